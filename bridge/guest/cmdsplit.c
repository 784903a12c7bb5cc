#include "bridge/guest/cmdsplit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * Cursor over the line and the place where the next byte of an argument goes.
 * An argument is never longer than what it was cut from, so one copy of the
 * line holds them all.
 */
struct split {
	const char *line;
	const char *at;
	char *out;
	char **argv;
	size_t n;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char escaped(char c)
{
	if (c == 't')
		return '\t';
	return c == 'n' ? '\n' : c;
}

static int take_escape(struct split *s, struct err *e)
{
	s->at++;
	if (*s->at == '\0')
		return err_set(e, EINVAL, "nothing behind the last backslash");
	*s->out++ = escaped(*s->at++);
	return 0;
}

static int take_quoted(struct split *s, struct err *e)
{
	const char quote = *s->at;
	const size_t start = (size_t)(s->at - s->line);

	s->at++;
	while (*s->at != quote) {
		if (*s->at == '\0')
			return err_set(e, EINVAL, "open quote at byte %zu",
				       start);
		if (*s->at == '\\' && quote == '"') {
			const int r = take_escape(s, e);

			if (r < 0)
				return r;
		} else {
			*s->out++ = *s->at++;
		}
	}
	s->at++;
	return 0;
}

static int take_argument(struct split *s, struct err *e)
{
	int r = 0;

	if (s->n == CMDSPLIT_ARGS_MAX)
		return err_set(e, E2BIG, "over %u arguments",
			       CMDSPLIT_ARGS_MAX);
	s->argv[s->n++] = s->out;
	while (r == 0 && *s->at != '\0' && !is_blank(*s->at)) {
		if (*s->at == '"' || *s->at == '\'')
			r = take_quoted(s, e);
		else if (*s->at == '\\')
			r = take_escape(s, e);
		else if (strchr(";&|<>", *s->at))
			r = err_set(
				e, EINVAL,
				"'%c' at byte %zu has no meaning here: quote it",
				*s->at, (size_t)(s->at - s->line));
		else
			*s->out++ = *s->at++;
	}
	*s->out++ = '\0';
	return r;
}

/* Each argument but the first has a separator before it. */
static size_t args_bound(const char *line)
{
	size_t n = 1;

	for (; *line != '\0'; line++)
		n += is_blank(*line);
	return n < CMDSPLIT_ARGS_MAX ? n : CMDSPLIT_ARGS_MAX;
}

int cmdsplit(const char *line, struct arena *a, char ***ret_argv, size_t *ret_n,
	     struct err *e)
{
	struct split s = { .line = line, .at = line };

	s.argv = arena_array(a, args_bound(line) + 1, sizeof(*s.argv));
	s.out = arena_alloc(a, strlen(line) + 2);
	if (!s.argv || !s.out)
		return err_set(e, ENOMEM, "no memory for the command line");
	for (;;) {
		int r;

		while (is_blank(*s.at))
			s.at++;
		if (*s.at == '\0')
			break;
		r = take_argument(&s, e);
		if (r < 0)
			return r;
	}
	s.argv[s.n] = NULL;
	*ret_argv = s.argv;
	*ret_n = s.n;
	return 0;
}
