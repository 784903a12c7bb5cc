/*
 * initramfs/manifest.h - what goes into an image, as text; pure
 *
 * One entry a line, words parted by blanks, '#' begins a comment line:
 *
 *	dir PATH MODE
 *	file PATH MODE SOURCE
 *	busybox PATH MODE SOURCE	a file, and a link for each of its applets
 *	runtime PATH MODE SOURCE	a program, with its loader and libraries
 *	slink PATH TARGET
 *	nod PATH MODE c|b MAJOR MINOR
 *	text PATH MODE TEXT...		the rest of the line, \n and \\ in it
 *	module NAME			with all it needs; loaded at boot, in order
 *	module NAME later		with all it needs; in the image only
 *	module NAME if DEVICE...	loaded at boot if one of the PCI devices,
 *					VENDOR:DEVICE in hexadecimal, is there
 *
 * PATH is absolute, MODE octal. SOURCE is a file on the host, or @NAME: one of
 * the programs that the image's builder knows.
 */
#ifndef FERRY_INITRAMFS_MANIFEST_H
#define FERRY_INITRAMFS_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/err.h"

/* Bytes of a manifest, of a line of it, and lines with an entry. */
#define MANIFEST_MAX ((size_t)4 * 1024 * 1024)
#define MANIFEST_LINE_MAX 16384
#define MANIFEST_ENTRIES_MAX 65536
/* Linux's device numbers: 12 bits major, 20 bits minor. */
#define MANIFEST_MAJOR_MAX 4095
#define MANIFEST_MINOR_MAX 1048575

enum manifest_kind {
	MANIFEST_DIR,
	MANIFEST_FILE,
	MANIFEST_BUSYBOX,
	MANIFEST_RUNTIME,
	MANIFEST_SLINK,
	MANIFEST_NOD,
	MANIFEST_TEXT,
	MANIFEST_MODULE,
	MANIFEST_KINDS,
};

/**
 * struct manifest_entry - one line
 * @kind:	its first word
 * @line:	where it stands, from 1
 * @path:	absolute path in the image; NULL for a module
 * @mode:	permissions, at most 07777; 0 for a link or a module
 * @arg:	source, target, text (escapes resolved) or module name; or NULL
 * @block:	nod: a block device, else a character device
 * @major:	nod
 * @minor:	nod
 * @later:	module: not loaded at boot
 * @devices:	module: loaded only if one of these is there, eight hexadecimal
 *		digits each, with commas between; "": in any case
 */
struct manifest_entry {
	enum manifest_kind kind;
	unsigned int line;
	const char *path;
	uint32_t mode;
	const char *arg;
	bool block;
	uint32_t major;
	uint32_t minor;
	bool later;
	const char *devices;
};

/**
 * struct manifest - the entries in their order
 * @arena:	owns all text
 * @entries:	owned
 * @count:	number of entries
 * @space:	room at @entries
 */
struct manifest {
	struct arena arena;
	struct manifest_entry *entries;
	size_t count;
	size_t space;
};

/**
 * manifest_parse() - read a manifest
 * @m:		filled; needs manifest_done() in any case
 * @file:	its name, for errors
 * @text:	@len bytes, borrowed for the call
 * @e:		names file and line
 *
 * Return: 0, -EINVAL (form), -ERANGE (a number), -E2BIG (a limit), -ENOMEM
 */
int manifest_parse(struct manifest *m, const char *file, const char *text,
		   size_t len, struct err *e);

/** manifest_done() - release @m */
void manifest_done(struct manifest *m);

#endif
