/*
 * initramfs/elf.h - what a program or a library asks the loader for; pure
 *
 * Format: System V ABI, ELF-64 object files, as the linker of this machine
 * writes them. Of the dynamic section only DT_NEEDED is read: a library's name
 * is looked for in folders, DT_RPATH and its kin are not followed.
 */
#ifndef FERRY_INITRAMFS_ELF_H
#define FERRY_INITRAMFS_ELF_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"

/* Libraries that one file names itself; the largest programs have some 60. */
#define ELF_NEEDED_MAX 256
/* Longest name of a library or path of a loader, without the NUL. */
#define ELF_NAME_MAX 255

/**
 * struct elf_needs - what one file asks for; the texts point into it
 * @interp:	path of the loader, NULL for a static program or a library
 * @needed:	names of libraries in the file's order
 * @count:	how many
 */
struct elf_needs {
	const char *interp;
	const char *needed[ELF_NEEDED_MAX];
	size_t count;
};

/**
 * elf_needs_read() - read it from a file's bytes
 * @elf:	the whole file, may be damaged
 * @len:	bytes at @elf
 * @ret:	filled on 0; lives as long as @elf
 * @e:		what is wrong
 *
 * Return: 0, -EINVAL (not a 64-bit ELF program or library of this machine, or
 * damaged), -E2BIG (more than ELF_NEEDED_MAX names)
 */
int elf_needs_read(const void *elf, size_t len, struct elf_needs *ret,
		   struct err *e);

#endif
