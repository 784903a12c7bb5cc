#include "tools/shim/mounts.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "config/text.h"
#include "config/util.h"

static const struct {
	const char *word;
	unsigned long flags;
} words[] = {
	{ "bind", MS_BIND },
	{ "rbind", MS_BIND | MS_REC },
	{ "ro", MS_RDONLY },
	{ "nosuid", MS_NOSUID },
	{ "nodev", MS_NODEV },
	{ "noexec", MS_NOEXEC },
	{ "noatime", MS_NOATIME },
	{ "nodiratime", MS_NODIRATIME },
	{ "relatime", MS_RELATIME },
	{ "sync", MS_SYNCHRONOUS },
	{ "dirsync", MS_DIRSYNC },
	{ "strictatime", MS_STRICTATIME },
	{ "rw", 0 },
	{ "defaults", 0 },
};

static unsigned long find(const char *word, bool *known)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		*known = true;
		return words[i].flags;
	}
	*known = false;
	return 0;
}

static int read_one(struct mounts *m, const TaskMount *from,
		    struct task_mount *ret, struct err *e)
{
	struct text rest;
	bool known;

	text_heap(&rest, MOUNTS_BYTES_MAX);
	*ret = (struct task_mount){
		.type = arena_strn(&m->arena, from->type, strlen(from->type)),
		.source = arena_strn(&m->arena, from->source,
				     strlen(from->source)),
	};
	for (size_t i = 0; i < from->n_options; i++) {
		ret->flags |= find(from->options[i], &known);
		if (known)
			continue;
		if (rest.len)
			text_addc(&rest, ',');
		text_add(&rest, from->options[i]);
	}
	ret->options = arena_strn(&m->arena, text_str(&rest), rest.len);
	if (rest.full || !ret->type || !ret->source || !ret->options) {
		text_done(&rest);
		return err_set(e, E2BIG, "the mounts are too long");
	}
	text_done(&rest);
	return 0;
}

int mounts_read(struct mounts *m, TaskMount *const *from, size_t n,
		struct err *e)
{
	int r = 0;

	m->n = 0;
	arena_init(&m->arena, 2 * MOUNTS_BYTES_MAX);
	if (n > MOUNTS_MAX)
		return err_set(e, E2BIG, "more than %u mounts", MOUNTS_MAX);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!from[i])
			continue;
		r = read_one(m, from[i], &m->mount[m->n], e);
		if (r == 0)
			m->n++;
	}
	return r;
}

void mounts_done(struct mounts *m)
{
	arena_done(&m->arena);
	m->n = 0;
}
