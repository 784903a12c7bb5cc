#include "cmdline/roundtrip.h"

#include <string.h>

#include "cmdline/distribute.h"
#include "cmdline/tokenize.h"

void intent_init(struct intent *in)
{
	in->n = 0;
	in->n_kernel = 0;
	in->used = 0;
	in->full = false;
}

void intent_arg(struct intent *in, const char *word)
{
	const size_t size = strlen(word) + 1;

	if (in->n == INTENT_WORDS_MAX || size > INTENT_TEXT_MAX - in->used) {
		in->full = true;
		return;
	}
	memcpy(in->store + in->used, word, size);
	in->word[in->n++] = in->store + in->used;
	in->used += size;
}

void intent_kernel(struct intent *in, const char *word)
{
	intent_arg(in, word);
	if (!in->full)
		in->n_kernel = in->n;
}

static int differs(struct err *e, const char *what)
{
	return err_class(e, ERR_CMDLINE_ROUNDTRIP,
			 "a kernel would not read what was meant: %s", what);
}

/* The words before the separator, one by one, as they were meant. */
static int check_kernel_words(char *line, const struct intent *in,
			      struct err *e)
{
	struct token t;
	size_t i;

	for (i = 0; token_next(&line, &t); i++) {
		if (!t.value && strcmp(t.name, "--") == 0)
			return i == in->n_kernel
				       ? 0
				       : differs(e, "the separator is early");
		if (i >= in->n_kernel)
			return differs(e, "a word too many for the kernel");
		if (strcmp(token_join(&t), in->word[i]) != 0)
			return differs(e, "another word for the kernel");
	}
	return differs(e, "there is no separator");
}

/* Init's arguments: those that were meant, and no environment of its own. */
static int check_init(const struct distribution *d, const struct intent *in,
		      struct err *e)
{
	const size_t n_args = in->n - in->n_kernel;

	if (d->poison)
		return differs(e, "a parameter has a value that it rejects");
	if (d->n_discarded || d->argc != n_args + 1)
		return differs(e, "init gets another number of arguments");
	if (d->envc != 2 || strcmp(d->envp[0], "HOME=/") != 0 ||
	    strcmp(d->envp[1], "TERM=linux") != 0)
		return differs(e, "init gets environment entries");
	for (size_t i = 0; i < n_args; i++)
		if (strcmp(d->argv[i + 1], in->word[in->n_kernel + i]) != 0)
			return differs(e, "init gets another argument");
	return 0;
}

int roundtrip_check(const char *line, const struct intent *in, struct err *e)
{
	char copy[DISTRIBUTE_LINE_MAX + 1];
	const size_t len = strlen(line);
	struct distribution d;
	int r;

	if (len > DISTRIBUTE_LINE_MAX || in->full)
		return err_class(e, ERR_CMDLINE_TOO_LONG,
				 "the line has %zu bytes, and a kernel takes "
				 "at most %u",
				 len, DISTRIBUTE_LINE_MAX);

	/* Either walk cuts its copy up; root=... reads the same from both. */
	memcpy(copy, line, len + 1);
	r = distribute(copy, true, &d, e);
	if (r == 0)
		r = check_init(&d, in, e);
	if (r < 0)
		return r;
	memcpy(copy, line, len + 1);
	return check_kernel_words(copy, in, e);
}
