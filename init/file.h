/* init/file.h - small files of /proc, /sys and the image, without a heap */
#ifndef FERRY_INIT_FILE_H
#define FERRY_INIT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"

/**
 * file_read() - the beginning of a file as text
 * @path:	file
 * @buf:	receives at most @size - 1 bytes and a NUL; "" on failure
 * @size:	bytes of @buf
 * @e:		reason
 *
 * Return: bytes read, -EFBIG (there is more than @size - 1), or -errno
 */
int file_read(const char *path, char *buf, size_t size, struct err *e);

/**
 * file_write() - one write(2) of @text to an existing file, as the control
 * files of the kernel want it
 *
 * Return: 0 or -errno
 */
int file_write(const char *path, const char *text, struct err *e);

/**
 * file_word() - cut the next word off a text
 * @at:		cursor in a writable text; moves behind the word
 * @ends:	bytes that separate words
 *
 * Return: the word, NULL at the end
 */
char *file_word(char **at, const char *ends);

#endif
