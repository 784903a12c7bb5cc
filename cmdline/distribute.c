#include "cmdline/distribute.h"

#include <string.h>

#include "config/util.h"
#include "cmdline/tokenize.h"
#include "cmdline/words.h"

static char home[] = "HOME=/";
static char term[] = "TERM=linux";
static char initramfs_program[] = "/init";
static char disk_program[] = "/sbin/init";

static int add_arg(struct distribution *d, char *word, struct err *e)
{
	size_t i = 1;

	while (i < ARRAY_LEN(d->argv) - 1 && d->argv[i])
		i++;
	if (i > DISTRIBUTE_ARGS_MAX)
		return err_class(e, ERR_INIT_ARGS_OVERFLOW,
				 "more than %u arguments for init at '%.64s'",
				 DISTRIBUTE_ARGS_MAX, word);
	d->argv[i] = word;
	return 0;
}

/*
 * The entry of the same name is replaced in place. The kernel looks at its
 * limit before it compares, so that the last entry cannot be replaced.
 */
static int add_env(struct distribution *d, const struct token *t, struct err *e)
{
	const size_t last = DISTRIBUTE_ENV_MAX + 1;
	const size_t len = strlen(t->name);
	char *entry = token_join(t);
	size_t i;

	for (i = 0; d->envp[i]; i++) {
		if (i == last)
			return err_class(e, ERR_INIT_ENV_OVERFLOW,
					 "more than %u environment entries "
					 "for init at '%.64s'",
					 DISTRIBUTE_ENV_MAX, entry);
		if (strncmp(d->envp[i], entry, len + 1) == 0)
			break;
	}
	d->envp[i] = entry;
	return 0;
}

/*
 * init= and rdinit= set the program and forget the arguments so far. As in the
 * kernel the loop ends one short of the table: argument 32 is out of sight
 * until the 31 before it are full again.
 */
static void set_program(struct distribution *d, const struct token *t,
			bool initramfs)
{
	const bool rdinit = strcmp(t->name, "rdinit") == 0;

	if (rdinit == initramfs)
		d->argv[0] = t->value;
	for (size_t i = 1; i < DISTRIBUTE_ARGS_MAX; i++)
		d->argv[i] = NULL;
}

static int kernel_word(struct distribution *d, const struct token *t,
		       bool initramfs, struct err *e)
{
	switch (words_fate(t->name, t->value)) {
	case WORD_POISON:
		if (!d->poison)
			d->poison = t->name;
		d->n_kernel++;
		return 0;
	case WORD_CONSUMED:
		if (t->value && (strcmp(t->name, "init") == 0 ||
				 strcmp(t->name, "rdinit") == 0))
			set_program(d, t, initramfs);
		d->n_kernel++;
		return 0;
	case WORD_DROPPED:
		d->n_kernel++;
		return 0;
	case WORD_UNKNOWN:
		break;
	}
	if (t->value)
		return add_env(d, t, e);
	return add_arg(d, t->name, e);
}

static bool is_separator(const struct token *t)
{
	return !t->value && strcmp(t->name, "--") == 0;
}

static int hand_out(char *line, bool initramfs, struct distribution *d,
		    struct err *e)
{
	struct token t;
	int r = 0;

	while (r == 0 && !d->separator && token_next(&line, &t)) {
		d->separator = is_separator(&t);
		if (!d->separator)
			r = kernel_word(d, &t, initramfs, e);
	}
	if (r < 0 || d->poison)
		return r;

	while (r == 0 && token_next(&line, &t)) {
		if (d->n_discarded || is_separator(&t))
			d->n_discarded++;
		else
			r = add_arg(d, token_join(&t), e);
	}
	if (d->n_discarded)
		d->n_discarded--; /* the second separator itself */
	return r;
}

int distribute(char *line, bool initramfs, struct distribution *d,
	       struct err *e)
{
	int r;

	*d = (struct distribution){
		.argv = { initramfs ? initramfs_program : disk_program },
		.envp = { home, term },
	};
	if (strlen(line) > DISTRIBUTE_LINE_MAX)
		return err_class(e, ERR_CMDLINE_TOO_LONG,
				 "%zu bytes, and a kernel takes at most %u",
				 strlen(line), DISTRIBUTE_LINE_MAX);

	r = hand_out(line, initramfs, d, e);
	while (d->argv[d->argc])
		d->argc++;
	while (d->envp[d->envc])
		d->envc++;
	return r;
}
