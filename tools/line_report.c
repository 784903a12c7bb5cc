#include "tools/line_report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/tokenize.h"
#include "config/text.h"

/* How much of a foreign word a sentence shows. */
#define SHOWN_MAX 40

static void __attribute__((format(printf, 2, 3)))
problem(struct line_report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->n_problems == LINE_PROBLEMS_MAX)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(r->problem[r->n_problems++], ERR_TEXT_MAX, fmt,
			ap); /* cut is fine */
	va_end(ap);
}

static const char *shown(char buf[4 * SHOWN_MAX + 4], const char *word)
{
	struct text t;

	text_fixed(&t, buf, 4 * SHOWN_MAX + 4);
	text_quote(&t, word, SHOWN_MAX);
	return buf;
}

/* Words up to the separator, each with what the kernel does with it. */
static int list_words(struct line_report *r)
{
	char *at = r->words_text;
	struct token t;
	char *join;

	r->word = calloc(r->length / 2 + 1, sizeof(*r->word));
	if (!r->word)
		return -ENOMEM;
	while (token_next(&at, &t)) {
		if (!t.value && strcmp(t.name, "--") == 0)
			return 0;
		r->word[r->n_words].fate = words_fate(t.name, t.value);
		join = token_join(&t);
		r->word[r->n_words++].text = join;
	}
	return 0;
}

static void look_at_words(struct line_report *r, const char *line)
{
	char buf[4 * SHOWN_MAX + 4];
	size_t quotes = 0, stray = 0;

	for (const char *p = line; *p != '\0'; p++)
		quotes += *p == '"';
	if (quotes % 2)
		problem(r, "a quote is never closed and swallows the rest of "
			   "the line");
	if (r->d.poison)
		problem(r,
			"the kernel rejects the value of %s and then forgets "
			"every argument behind the separator",
			shown(buf, r->d.poison));
	if (!r->d.separator && !r->d.poison)
		problem(r, "there is no separator \"--\": no word is meant for "
			   "init");
	if (r->d.n_discarded)
		problem(r, "%zu words behind a second \"--\" are lost",
			r->d.n_discarded);

	for (size_t i = 0; i < r->n_words; i++) {
		const char *w = r->word[i].text;

		stray += r->word[i].fate == WORD_UNKNOWN && !strchr(w, '=');
		if (strcmp(w, "initcall_blacklist=virtio_vsock_init") == 0)
			problem(r, "this line is for Hyper-V: under QEMU it "
				   "keeps virtio-vsock from loading");
		if (strcmp(w, "pci=off") == 0)
			problem(r, "pci=off removes every virtio-pci device: "
				   "under QEMU only microvm can boot so");
	}
	if (stray)
		problem(r,
			"%zu words before the separator are unknown to the "
			"kernel and become init's first arguments",
			stray);
	if (r->d.envc > 2)
		problem(r,
			"%zu words become environment entries, which init "
			"drops",
			r->d.envc - 2);
}

static void look_at_init(struct line_report *r)
{
	char *const *command;
	struct err e = { 0 };
	char buf[4 * SHOWN_MAX + 4];

	if (initargs_parse((int)r->d.argc, r->d.argv, &r->args, &e) < 0)
		problem(r, "init refuses its arguments: %s", e.text);
	else if (r->args.defaulted)
		problem(r, "init gets no command and starts the default agent");
	r->mode = mode_choose(r->args.command);

	command = r->args.command;
	if (r->mode.mode == GUEST_MODE_OTHER)
		problem(r, "init runs %s, which is not an agent",
			shown(buf, command[0]));
	if (r->mode.mode == GUEST_MODE_CONSOLE && command[1] &&
	    strncmp(command[1], "-c\"", 3) == 0)
		problem(r, "the blank behind -c is missing: the shell refuses "
			   "the option and the UVM ends");
	if ((r->mode.mode == GUEST_MODE_CLASSIC ||
	     r->mode.mode == GUEST_MODE_RELAY) &&
	    r->mode.log_port == 0)
		problem(r, "vsockexec has no port for the log");
}

static int fill(struct line_report *r, const char *line, struct err *e)
{
	r->words_text = strdup(line);
	r->init_text = strdup(line);
	if (!r->words_text || !r->init_text || list_words(r) < 0)
		return err_set(e, ENOMEM, "no memory");

	if (distribute(r->init_text, true, &r->d, &r->fatal) == 0)
		look_at_words(r, line);
	if (r->fatal.class == ERR_NONE)
		look_at_init(r);
	return 0;
}

int line_report_new(const char *line, struct line_report **ret, struct err *e)
{
	const size_t length = strlen(line);
	struct line_report *r;
	int rc;

	if (length > LINE_REPORT_MAX)
		return err_set(e, E2BIG, "the line has more than %u bytes",
			       LINE_REPORT_MAX);
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(e, ENOMEM, "no memory");
	r->length = length;
	rc = fill(r, line, e);
	if (rc < 0) {
		line_report_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

void line_report_free(struct line_report *r)
{
	if (!r)
		return;
	free(r->word);
	free(r->words_text);
	free(r->init_text);
	free(r);
}
