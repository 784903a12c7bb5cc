/*
 * cmdline/optscan.h - the POSIX shape of options, without global state
 *
 * Single letters, "-we1" is three in one, stops at the first argument that is
 * no option, "--" ends the options. Used by PID 1: nothing is allocated.
 */
#ifndef FERRY_CMDLINE_OPTSCAN_H
#define FERRY_CMDLINE_OPTSCAN_H

/**
 * struct optscan - a walk over an argument vector
 * @argc:	entries of @argv
 * @argv:	borrowed, never changed
 * @at:		index of the next argument; behind the last option it is the
 *		first operand
 * @in:		rest of a bundle of letters, NULL between arguments
 */
struct optscan {
	int argc;
	char *const *argv;
	int at;
	const char *in;
};

/** optscan_init() - begin behind argv[0] */
void optscan_init(struct optscan *s, int argc, char *const *argv);

/**
 * optscan_next() - the next option
 * @s:		walk
 * @with_value:	letters that take a value ("-e 1" or "-e1")
 * @ret_value:	set for those letters; NULL: the value is missing
 *
 * Return: the letter (any byte), 0 at the first operand or the end
 */
int optscan_next(struct optscan *s, const char *with_value,
		 const char **ret_value);

#endif
