#include "initramfs/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/num.h"
#include "config/text.h"
#include "config/util.h"

/* Words of the longest kind, and one more to notice a surplus. */
#define WORDS_MAX 8
/* "VVVV:DDDD" */
#define DEVICE_LEN 9

/* A line on its way to an entry. */
struct line {
	struct manifest *m;
	char *words[WORDS_MAX];
	size_t count;
	char *rest; /* from the fourth word to the end of the line, or NULL */
};

static int take_mode(const char *word, uint32_t *ret, struct err *e)
{
	uint32_t mode = 0;

	for (const char *p = word; *p; p++) {
		if (*p < '0' || *p > '7' || p - word > 4)
			return err_set(e, EINVAL, "mode '%.20s' is not octal",
				       word);
		mode = mode << 3 | (uint32_t)(*p - '0');
	}
	if (mode > 07777)
		return err_set(e, ERANGE, "mode %s is above 7777", word);
	*ret = mode;
	return 0;
}

static int take_mode_only(struct line *l, struct manifest_entry *n,
			  struct err *e)
{
	return take_mode(l->words[2], &n->mode, e);
}

static int take_source(struct line *l, struct manifest_entry *n, struct err *e)
{
	n->arg = l->words[3];
	return take_mode(l->words[2], &n->mode, e);
}

static int take_target(struct line *l, struct manifest_entry *n,
		       struct err *e UNUSED)
{
	n->arg = l->words[2];
	return 0;
}

static int take_nod(struct line *l, struct manifest_entry *n, struct err *e)
{
	const char *type = l->words[3];
	int r = take_mode(l->words[2], &n->mode, e);

	if (r < 0)
		return r;
	if (strcmp(type, "c") != 0 && strcmp(type, "b") != 0)
		return err_set(e, EINVAL, "a device is 'c' or 'b', not '%.20s'",
			       type);
	n->block = type[0] == 'b';
	r = num_u32(l->words[4], 0, MANIFEST_MAJOR_MAX, &n->major, e);
	if (r < 0)
		return err_wrap(e, "major number");
	r = num_u32(l->words[5], 0, MANIFEST_MINOR_MAX, &n->minor, e);
	if (r < 0)
		return err_wrap(e, "minor number");
	return 0;
}

static int take_text(struct line *l, struct manifest_entry *n, struct err *e)
{
	const char *from = l->rest ? l->rest : "";
	char *to;

	n->arg = to = arena_strn(&l->m->arena, from, strlen(from));
	if (!to)
		return err_set(e, ENOMEM, "no memory");
	for (; *from; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from != 'n' && *from != '\\')
			return err_set(e, EINVAL,
				       "a '\\' stands before 'n' or '\\' only");
		*to++ = *from == 'n' ? '\n' : '\\';
	}
	*to = '\0';
	return take_mode(l->words[2], &n->mode, e);
}

/* "1af4:1004" as "1af41004", which is how the kernel lists it. */
static int take_device(struct text *to, const char *word, struct err *e)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(word) != DEVICE_LEN || word[DEVICE_LEN / 2] != ':')
		return err_set(e, EINVAL, "'%.20s' is not VENDOR:DEVICE", word);
	if (to->len)
		text_addc(to, ',');
	for (const char *p = word; *p; p++) {
		if (p - word == DEVICE_LEN / 2)
			continue;
		if (!strchr(digits, *p))
			return err_set(e, EINVAL,
				       "'%.20s': digits are 0 to 9 and a to f",
				       word);
		text_addc(to, *p);
	}
	return 0;
}

static int take_devices(struct line *l, struct manifest_entry *n, struct err *e)
{
	char buf[WORDS_MAX * DEVICE_LEN];
	struct text devices;

	text_fixed(&devices, buf, sizeof(buf));
	for (size_t i = 3; i < l->count; i++) {
		const int r = take_device(&devices, l->words[i], e);

		if (r < 0)
			return r;
	}
	n->devices = arena_strn(&l->m->arena, buf, devices.len);
	return n->devices ? 0 : err_set(e, ENOMEM, "no memory");
}

static int take_module(struct line *l, struct manifest_entry *n, struct err *e)
{
	const char *when = l->count > 2 ? l->words[2] : "";

	n->arg = l->words[1];
	n->devices = "";
	n->later = l->count == 3 && strcmp(when, "later") == 0;
	if (l->count > 3 && strcmp(when, "if") == 0)
		return take_devices(l, n, e);
	if (l->count > 2 && !n->later)
		return err_set(
			e, EINVAL,
			"'later', 'if DEVICE...' or nothing, not '%.20s'",
			when);
	return 0;
}

/* Words with the kind's own; SIZE_MAX: any number. */
static const struct {
	const char *name;
	size_t words_min;
	size_t words_max;
	bool has_path;
	int (*take)(struct line *, struct manifest_entry *, struct err *);
	const char *form;
} kinds[] = {
	[MANIFEST_DIR] = { "dir", 3, 3, true, take_mode_only, "PATH MODE" },
	[MANIFEST_FILE] = { "file", 4, 4, true, take_source,
			    "PATH MODE SOURCE" },
	[MANIFEST_BUSYBOX] = { "busybox", 4, 4, true, take_source,
			       "PATH MODE SOURCE" },
	[MANIFEST_RUNTIME] = { "runtime", 4, 4, true, take_source,
			       "PATH MODE SOURCE" },
	[MANIFEST_SLINK] = { "slink", 3, 3, true, take_target, "PATH TARGET" },
	[MANIFEST_NOD] = { "nod", 6, 6, true, take_nod,
			   "PATH MODE c|b MAJOR MINOR" },
	[MANIFEST_TEXT] = { "text", 3, SIZE_MAX, true, take_text,
			    "PATH MODE TEXT..." },
	[MANIFEST_MODULE] = { "module", 2, WORDS_MAX - 1, false, take_module,
			      "NAME [later | if DEVICE...]" },
};
static_assert(ARRAY_LEN(kinds) == MANIFEST_KINDS, "a kind has no row");

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cuts @s into words in place; @rest is a copy from the fourth one on. */
static int split(struct line *l, char *s, struct err *e)
{
	while (blank(*s))
		s++;
	while (*s && l->count < WORDS_MAX) {
		if (l->count == 3) {
			l->rest = arena_strn(&l->m->arena, s, strlen(s));
			if (!l->rest)
				return err_set(e, ENOMEM, "no memory");
		}
		l->words[l->count++] = s;
		while (*s && !blank(*s))
			s++;
		if (*s)
			*s++ = '\0';
		while (blank(*s))
			s++;
	}
	return 0;
}

static int path_check(const char *path, struct err *e)
{
	if (!path || path[0] != '/')
		return err_set(e, EINVAL, "'%.60s' is not an absolute path",
			       path);
	return 0;
}

static int entry_take(struct line *l, struct manifest_entry *n, struct err *e)
{
	size_t k = 0;

	while (k < ARRAY_LEN(kinds) && strcmp(kinds[k].name, l->words[0]) != 0)
		k++;
	if (k == ARRAY_LEN(kinds))
		return err_set(e, EINVAL, "unknown kind '%.20s'", l->words[0]);
	if (l->count < kinds[k].words_min || l->count > kinds[k].words_max)
		return err_set(e, EINVAL, "want '%s %s'", kinds[k].name,
			       kinds[k].form);
	n->kind = (enum manifest_kind)k;
	if (kinds[k].has_path) {
		int r = path_check(l->words[1], e);

		if (r < 0)
			return r;
		n->path = l->words[1];
	}
	return kinds[k].take(l, n, e);
}

static struct manifest_entry *push(struct manifest *m, struct err *e)
{
	const size_t space = m->space ? m->space * 2 : 64;
	struct manifest_entry *entries;

	if (m->count >= MANIFEST_ENTRIES_MAX) {
		(void)err_set(e, E2BIG, "more than %d entries",
			      MANIFEST_ENTRIES_MAX);
		return NULL;
	}
	if (m->count == m->space) {
		entries = reallocarray(m->entries, space, sizeof(*entries));
		if (!entries) {
			(void)err_set(e, ENOMEM, "no memory");
			return NULL;
		}
		m->entries = entries;
		m->space = space;
	}
	m->entries[m->count] = (struct manifest_entry){ 0 };
	return &m->entries[m->count];
}

static int line_take(struct manifest *m, unsigned int number, const char *p,
		     size_t n, struct err *e)
{
	struct line l = { .m = m };
	struct manifest_entry *entry;
	char *copy;
	int r;

	if (n > MANIFEST_LINE_MAX)
		return err_set(e, E2BIG, "longer than %d bytes",
			       MANIFEST_LINE_MAX);
	if (memchr(p, '\0', n))
		return err_set(e, EINVAL, "a NUL byte");
	copy = arena_strn(&m->arena, p, n);
	if (!copy)
		return err_set(e, ENOMEM, "no memory");
	r = split(&l, copy, e);
	if (r < 0 || l.count == 0 || l.words[0][0] == '#')
		return r;
	entry = push(m, e);
	if (!entry)
		return -e->code;
	entry->line = number;
	r = entry_take(&l, entry, e);
	if (r == 0)
		m->count++;
	return r;
}

int manifest_parse(struct manifest *m, const char *file, const char *text,
		   size_t len, struct err *e)
{
	unsigned int number = 0;
	int r;

	*m = (struct manifest){ 0 };
	/* Lines are copied once, their rest once or twice more. */
	arena_init(&m->arena, 8 * MANIFEST_MAX);
	if (len > MANIFEST_MAX)
		return err_set(e, E2BIG, "%s: more than %zu MiB", file,
			       MANIFEST_MAX / 1024 / 1024);
	while (len) {
		const char *end = memchr(text, '\n', len);
		const size_t n = end ? (size_t)(end - text) : len;
		const size_t step = n + (end != NULL);
		struct err why = { 0 };

		r = line_take(m, ++number, text, n, &why);
		if (r < 0) {
			(void)err_wrap(&why, "%s line %u", file, number);
			if (e)
				*e = why;
			return r;
		}
		text += step;
		len -= step;
	}
	return 0;
}

void manifest_done(struct manifest *m)
{
	arena_done(&m->arena);
	free(m->entries);
	*m = (struct manifest){ 0 };
}
