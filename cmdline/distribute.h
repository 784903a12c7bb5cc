/*
 * cmdline/distribute.h - what becomes of each word: the kernel's, an argument
 * or an environment entry of the first process
 *
 * Source: shared specification cmdline.md 7.2, 7.3 (Linux init/main.c,
 * unknown_bootoption, set_init_arg), for CONFIG_INIT_ENV_ARG_LIMIT=32.
 */
#ifndef FERRY_CMDLINE_DISTRIBUTE_H
#define FERRY_CMDLINE_DISTRIBUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"

/* Arguments behind argv[0]; one more and the kernel panics. */
#define DISTRIBUTE_ARGS_MAX 32u
/* Environment entries besides HOME and TERM. */
#define DISTRIBUTE_ENV_MAX 31u
/* Longest line without its NUL that boots on x86. */
#define DISTRIBUTE_LINE_MAX 2047u

/**
 * struct distribution - what the first process receives
 * @argv:	NULL-terminated; strings lie in the line that was given, or are
 *		constants
 * @argc:	arguments with argv[0]
 * @envp:	NULL-terminated, HOME and TERM first
 * @envc:	entries of @envp
 * @n_kernel:	words that the kernel consumed or dropped
 * @separator:	there was a "--"
 * @n_discarded: words behind a second "--"
 * @poison:	name of a parameter whose value the kernel rejects, NULL: none.
 *		Every argument behind the separator is lost then
 */
struct distribution {
	char *argv[DISTRIBUTE_ARGS_MAX + 2];
	size_t argc;
	char *envp[DISTRIBUTE_ENV_MAX + 3];
	size_t envc;
	size_t n_kernel;
	bool separator;
	size_t n_discarded;
	const char *poison;
};

/**
 * distribute() - tokenize a line and hand out its words
 * @line:	writable; cut up in place, must outlive @d
 * @initramfs:	the program comes from an initramfs: /init, or what rdinit=
 *		says. Else it is /sbin/init, or what init= says
 * @d:		result; on an error as far as it went
 * @e:		cmdline-too-long (the VM never starts), init-args-overflow,
 *		init-env-overflow (the kernel panics)
 *
 * Return: 0 or -EINVAL
 */
int distribute(char *line, bool initramfs, struct distribution *d,
	       struct err *e);

#endif
