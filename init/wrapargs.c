#include "init/wrapargs.h"

#include <errno.h>
#include <stddef.h>

#include "cmdline/initargs.h"
#include "cmdline/optscan.h"
#include "config/num.h"

static int port(const char *value, int letter, uint32_t *ret, struct err *e)
{
	if (!value)
		return err_set(e, EINVAL, "option -%c needs a port", letter);
	if (num_u32(value, 1, INITARGS_PORT_MAX, ret, e) < 0) {
		(void)err_wrap(e, "option -%c", letter);
		return -EINVAL;
	}
	return 0;
}

static int option(struct wrapargs *a, int letter, const char *value,
		  struct err *e)
{
	switch (letter) {
	case 'r':
		a->relay = true;
		return 0;
	case 'i':
		return port(value, letter, &a->ports[0], e);
	case 'o':
		return port(value, letter, &a->ports[1], e);
	case 'e':
		return port(value, letter, &a->ports[2], e);
	default:
		return err_set(e, EINVAL, "unknown option 0x%02x", letter);
	}
}

int wrapargs_parse(int argc, char *const *argv, struct wrapargs *ret,
		   struct err *e)
{
	struct wrapargs a = { .relay = false };
	struct optscan scan;
	const char *value;
	int letter, r;

	optscan_init(&scan, argc, argv);
	while ((letter = optscan_next(&scan, "ioe", &value)) != 0) {
		r = option(&a, letter, value, e);
		if (r < 0)
			return r;
	}
	if (scan.at >= argc)
		return err_set(e, EINVAL, "no program given");
	if (a.relay && wrapargs_relay_port(&a) == 0)
		return err_set(e, EINVAL, "-r requires -o or -e");
	a.command = argv + scan.at;
	*ret = a;
	return 0;
}

uint32_t wrapargs_relay_port(const struct wrapargs *a)
{
	return a->ports[2] ? a->ports[2] : a->ports[1];
}

bool wrapargs_only_output(const struct wrapargs *a)
{
	if (a->ports[0] || wrapargs_relay_port(a) == 0)
		return false;
	return !a->ports[1] || !a->ports[2] || a->ports[1] == a->ports[2];
}
