#include "cmdline/optscan.h"

#include <stddef.h>
#include <string.h>

void optscan_init(struct optscan *s, int argc, char *const *argv)
{
	*s = (struct optscan){ .argc = argc, .argv = argv, .at = 1 };
}

/* Steps into the next argument that holds options; 0: there is none. */
static int enter(struct optscan *s)
{
	const char *arg = s->at < s->argc ? s->argv[s->at] : NULL;

	if (!arg || arg[0] != '-' || arg[1] == '\0')
		return 0;
	s->at++;
	if (strcmp(arg, "--") == 0)
		return 0;
	s->in = arg + 1;
	return 1;
}

int optscan_next(struct optscan *s, const char *with_value,
		 const char **ret_value)
{
	int letter;

	*ret_value = NULL;
	if (!s->in && !enter(s))
		return 0;

	letter = (unsigned char)*s->in++;
	if (strchr(with_value, letter)) {
		if (*s->in != '\0')
			*ret_value = s->in;
		else if (s->at < s->argc)
			*ret_value = s->argv[s->at++];
		s->in = NULL;
	} else if (*s->in == '\0') {
		s->in = NULL;
	}
	return letter;
}
