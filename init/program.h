/* init/program.h - finding a program, and knowing ferry's own by their note */
#ifndef FERRY_INIT_PROGRAM_H
#define FERRY_INIT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

/* The whole search path, and PATH in the environment of every child. */
#define PROGRAM_PATH "/sbin:/usr/sbin:/bin:/usr/bin"

/* Longest path of a program, with the NUL. */
#define PROGRAM_PATH_MAX 512u

/* Bounds on what is read of a program that is looked at for its note. */
#define PROGRAM_PHDRS_MAX 64u
#define PROGRAM_NOTES_MAX 4096u

/**
 * program_find() - the path of a program
 * @name:	as in argv[0]; with a slash it is taken as it is
 * @search:	directories separated by colons
 * @path:	receives the path
 * @e:		reason
 *
 * Return: 0, -ENOENT, -EACCES (found, but not executable), -ENAMETOOLONG
 */
int program_find(const char *name, const char *search,
		 char path[PROGRAM_PATH_MAX], struct err *e);

/**
 * program_note() - the type of a program's ferry note (bridge/io/note.h)
 *
 * Return: CONTROL_NOTE_AGENT or CONTROL_NOTE_WRAPPER, 0: none, of another
 *         version, not an ELF file of this machine's kind, or unreadable
 */
uint32_t program_note(const char *path);

/**
 * program_takes_control() - is this command ferry's agent, plain or behind
 * ferry's wrapper?
 * @argv:	command
 * @agent:	index of the wrapped program, 0: there is no wrapper, -1: no
 *		agent in this command
 * @search:	as for program_find()
 */
bool program_takes_control(char *const *argv, int agent, const char *search);

#endif
