#include "tools/small.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge/msg.h"
#include "config/num.h"
#include "config/text.h"
#include "config/util.h"
#include "tools/tool.h"

#define LINE_MAX_BYTES ((size_t)1024 * 1024)
#define SIGNAL_MAX 64u

/* --- arguments ------------------------------------------------------------------ */

static int signal_number(const char *text, uint32_t *ret, struct err *e)
{
	uint32_t n = 0;

	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, text) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	if (num_u32(text, 1, SIGNAL_MAX, &n, NULL) < 0)
		return err_set(e, EINVAL, "'%.40s' is no signal", text);
	*ret = n;
	return 0;
}

static const struct option known[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "force", no_argument, NULL, 'f' },
	{ "follow", no_argument, NULL, 'F' },
	{ "signal", required_argument, NULL, 's' },
};

/* Those of one command, for getopt to refuse the others by name. */
struct taken {
	struct option list[ARRAY_LEN(known) + 2];
	char letters[8];
};

static void take(const char *letters, struct taken *t)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strchr(letters, known[i].val))
			t->list[n++] = known[i];
	t->list[n++] = (struct option){ "help", no_argument, NULL, 'h' };
	t->list[n] = (struct option){ 0 };
	/* -f is the short form of either, a command has one of them. */
	(void)snprintf(t->letters, sizeof(t->letters), "+%s%sh",
		       strpbrk(letters, "fF") ? "f" : "",
		       strchr(letters, 's') ? "s:" : "");
}

/* Return: -1: go on, else the exit code. */
static int parse(const struct small *s, int argc, char **argv, struct words *w)
{
	struct taken t;
	struct err e;
	int id;

	take(s->options, &t);
	optind = 0;
	while ((id = getopt_long(argc, argv, t.letters, t.list, NULL)) != -1) {
		if (id == 'h') {
			(void)fputs(s->help, stdout);
			return TOOL_OK;
		}
		if (id == 'f' && strchr(s->options, 'F'))
			id = 'F';
		if (id == '?')
			return tool_try(s->name);
		if (id == 's' && signal_number(optarg, &w->signal, &e) < 0)
			return tool_usage(s->name, "%s", e.text);
		w->json |= id == 'j';
		w->force |= id == 'f';
		w->follow |= id == 'F';
	}
	while (optind < argc)
		w->word[w->n++] = argv[optind++];
	if (w->n < s->min)
		return tool_usage(s->name, "no sandbox");
	if (w->n > s->max)
		return tool_usage(s->name, "too many words: %s",
				  w->word[s->max]);
	return -1;
}

int small_run(const struct small *s, int argc, char **argv,
	      int (*run)(const struct words *w))
{
	struct words w = { .word = calloc((size_t)argc + 1, sizeof(char *)) };
	int code = TOOL_FAILURE;

	if (!w.word) {
		(void)fputs("ferry: out of memory\n", stderr);
		return code;
	}
	code = parse(s, argc, argv, &w);
	if (code < 0)
		code = run(&w);
	free(w.word);
	return code;
}

/* --- output ----------------------------------------------------------------------- */

void small_json(const struct schema *schema, const void *m)
{
	struct text line;

	text_heap(&line, LINE_MAX_BYTES);
	msg_encode(schema, m, &line);
	(void)puts(line.full ? "{}" : text_str(&line));
	text_done(&line);
}

void small_safe(const char *s, size_t max)
{
	char safe[4 * 128 + 8];
	struct text t;

	text_fixed(&t, safe, sizeof(safe));
	text_quote(&t, s, max);
	(void)fputs(text_str(&t), stdout);
}

void small_age(const PbTimestamp *since, char *out, size_t size)
{
	const int64_t s = since ? (int64_t)time(NULL) - since->seconds : 0;

	if (!since)
		(void)snprintf(out, size, "-");
	else if (s < 120)
		(void)snprintf(out, size, "%" PRId64 "s", s);
	else if (s < 7200)
		(void)snprintf(out, size, "%" PRId64 "m", s / 60);
	else
		(void)snprintf(out, size, "%" PRId64 "h", s / 3600);
}
