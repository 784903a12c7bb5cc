#include "cmdline/initargs.h"

#include <errno.h>
#include <stddef.h>

#include "config/num.h"
#include "cmdline/optscan.h"

static char default_program[] = "/bin/gcs";
static char default_level[] = "-loglevel";
static char default_debug[] = "debug";
static char default_file[] = "-logfile=/run/gcs/gcs.log";

static char *const default_command[] = { default_program, default_level,
					 default_debug, default_file, NULL };

static int option(struct init_args *ret, int letter, const char *value,
		  struct err *e)
{
	switch (letter) {
	case 'w':
		ret->overlay = true;
		return 0;
	case 'd':
		if (!value)
			return err_set(e, EINVAL, "option -d needs a program");
		ret->shell = value;
		return 0;
	case 'e':
		if (!value)
			return err_set(e, EINVAL, "option -e needs a port");
		if (num_u32(value, 1, INITARGS_PORT_MAX, &ret->entropy_port,
			    e) < 0)
			return err_wrap(e, "entropy port");
		return 0;
	default:
		return err_set(e, EINVAL, "unknown option 0x%02x", letter);
	}
}

int initargs_parse(int argc, char *const *argv, struct init_args *ret,
		   struct err *e)
{
	struct optscan scan;
	const char *value;
	int letter, r;

	*ret = (struct init_args){ .command = default_command,
				   .defaulted = true };
	optscan_init(&scan, argc, argv);
	while ((letter = optscan_next(&scan, "ed", &value)) != 0) {
		r = option(ret, letter, value, e);
		if (r < 0)
			return -EINVAL; /* a bad number may say ERANGE */
	}

	if (scan.at < argc) {
		ret->command = argv + scan.at;
		ret->defaulted = false;
	}
	return 0;
}
