#include "initramfs/modules.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"

enum {
	UNSEEN,
	OPEN, /* its dependencies are being walked */
	TAKEN,
};

/* Bytes shown of a name in an error. */
#define SHOWN_MAX 60

/* A piece of the text that is being read, without its NUL. */
struct span {
	const char *p;
	size_t n;
};

static int shown_err(struct err *e, int code, struct span what, const char *say)
{
	char name[SHOWN_MAX + 1];
	char buf[SHOWN_MAX * 4 + 8];
	const size_t n = what.n < SHOWN_MAX ? what.n : SHOWN_MAX;
	struct text t;

	memcpy(name, what.p, n);
	name[n] = '\0';
	text_fixed(&t, buf, sizeof(buf));
	text_quote(&t, name, SHOWN_MAX);
	return err_set(e, code, "module %s: %s", text_str(&t), say);
}

static struct span span_of(const char *s)
{
	return (struct span){ s, strlen(s) };
}

/* "kernel/net/x-y.ko" and "x_y" give "x_y"; empty when nothing is left. */
static struct span base_of(struct span path)
{
	const char *slash = memrchr(path.p, '/', path.n);
	struct span base = path;
	const char *ko;

	if (slash) {
		base.p = slash + 1;
		base.n = path.n - (size_t)(base.p - path.p);
	}
	ko = memmem(base.p, base.n, ".ko", 3);
	if (ko)
		base.n = (size_t)(ko - base.p);
	return base;
}

static char norm(char c)
{
	return c == '-' ? '_' : c;
}

static int name_cmp(struct span a, const char *name)
{
	for (size_t i = 0; i < a.n; i++) {
		const char c = norm(a.p[i]);

		if (c != name[i])
			return (unsigned char)c < (unsigned char)name[i] ? -1
									 : 1;
	}
	return name[a.n] ? -1 : 0;
}

static int module_cmp(const void *va, const void *vb)
{
	const struct module *a = va;
	const struct module *b = vb;
	const int c = strcmp(a->name, b->name);

	return c != 0 ? c : (int)a->builtin - (int)b->builtin;
}

/* A path that leads out of the folder, or that could confuse a list. */
static bool path_ok(struct span path)
{
	if (path.n == 0 || path.n > 1024 || path.p[0] == '/')
		return false;
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] <= ' ' || path.p[i] == 0x7f ||
		    (path.p[i] == '.' && i + 1 < path.n &&
		     path.p[i + 1] == '.'))
			return false;
	return base_of(path).n != 0;
}

static struct module *push(struct modules *m, struct err *e)
{
	const size_t space = m->space ? m->space * 2 : 256;
	struct module *list;

	if (m->count >= MODULES_MAX) {
		(void)err_set(e, E2BIG, "more than %d modules", MODULES_MAX);
		return NULL;
	}
	if (m->count == m->space) {
		list = reallocarray(m->list, space, sizeof(*list));
		if (!list) {
			(void)err_set(e, ENOMEM, "no memory for the modules");
			return NULL;
		}
		m->list = list;
		m->space = space;
	}
	return &m->list[m->count];
}

static int module_add(struct modules *m, struct span path, struct span deps,
		      bool builtin, struct err *e)
{
	const struct span base = base_of(path);
	struct module *mod = push(m, e);
	char *name;

	if (!mod)
		return e && e->code ? -e->code : -ENOMEM;
	*mod = (struct module){
		.path = arena_strn(&m->arena, path.p, path.n),
		.deps = arena_strn(&m->arena, deps.p, deps.n),
		.builtin = builtin,
	};
	name = arena_strn(&m->arena, base.p, base.n);
	if (!mod->path || !mod->deps || !name)
		return err_set(e, ENOMEM, "no memory for the modules");
	for (size_t i = 0; name[i]; i++)
		name[i] = norm(name[i]);
	mod->name = name;
	m->count++;
	return 0;
}

/* The next word at *@at in blanks, moved over; false when there is none. */
static bool word_next(struct span *at, struct span *word)
{
	while (at->n && (*at->p == ' ' || *at->p == '\t')) {
		at->p++;
		at->n--;
	}
	word->p = at->p;
	while (at->n && *at->p != ' ' && *at->p != '\t') {
		at->p++;
		at->n--;
	}
	word->n = (size_t)(at->p - word->p);
	return word->n != 0;
}

static int dep_line(struct modules *m, struct span line, struct err *e)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct span path = { line.p, 0 };
	struct span deps;
	struct span at;
	struct span word;

	if (!colon)
		return err_set(e, EINVAL, "no ':'");
	path.n = (size_t)(colon - line.p);
	deps = (struct span){ colon + 1, line.n - path.n - 1 };
	if (!path_ok(path))
		return err_set(e, EINVAL, "not a module's path before ':'");
	at = deps;
	while (word_next(&at, &word))
		if (!path_ok(word))
			return err_set(e, EINVAL, "not a module's path");
	return module_add(m, path, deps, false, e);
}

static int builtin_line(struct modules *m, struct span line, struct err *e)
{
	if (!path_ok(line))
		return err_set(e, EINVAL, "not a module's path");
	return module_add(m, line, (struct span){ "", 0 }, true, e);
}

static int each_line(struct modules *m, struct span text, const char *file,
		     int (*take)(struct modules *, struct span, struct err *),
		     struct err *e)
{
	unsigned int number = 0;

	if (text.n > MODULES_DEP_MAX)
		return err_set(e, E2BIG, "%s: more than %zu MiB", file,
			       MODULES_DEP_MAX / 1024 / 1024);
	while (text.n) {
		const char *end = memchr(text.p, '\n', text.n);
		struct span line = { text.p,
				     end ? (size_t)(end - text.p) : text.n };
		const size_t step = line.n + (end != NULL);

		number++;
		if (line.n) {
			struct err why = { 0 };
			int r = take(m, line, &why);

			if (r < 0) {
				(void)err_wrap(&why, "%s line %u", file,
					       number);
				if (e)
					*e = why;
				return r;
			}
		}
		text.p += step;
		text.n -= step;
	}
	return 0;
}

int modules_parse(struct modules *m, const char *dep, size_t dep_len,
		  const char *builtin, size_t builtin_len, struct err *e)
{
	int r;

	*m = (struct modules){ 0 };
	/* Names, NULs and alignment on top of the text itself. */
	arena_init(&m->arena, 8 * MODULES_DEP_MAX);
	r = each_line(m, (struct span){ dep, dep_len }, "modules.dep", dep_line,
		      e);
	if (r == 0 && builtin)
		r = each_line(m, (struct span){ builtin, builtin_len },
			      "modules.builtin", builtin_line, e);
	if (r == 0 && m->count)
		qsort(m->list, m->count, sizeof(*m->list), module_cmp);
	return r;
}

void modules_done(struct modules *m)
{
	arena_done(&m->arena);
	free(m->list);
	*m = (struct modules){ 0 };
}

/* The first of a name, which is the file where there is one. */
static struct module *find(const struct modules *m, struct span name)
{
	size_t low = 0;
	size_t high = m->count;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;

		if (name_cmp(name, m->list[mid].name) > 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < m->count && name_cmp(name, m->list[low].name) == 0)
		return &m->list[low];
	return NULL;
}

const struct module *modules_find(const struct modules *m, const char *name)
{
	return find(m, base_of(span_of(name)));
}

struct walk {
	struct modules *m;
	const struct module **ret;
	size_t count;
};

/* The last word of @s in blanks, cut off from it; false when there is none. */
static bool word_last(struct span *s, struct span *word)
{
	while (s->n && (s->p[s->n - 1] == ' ' || s->p[s->n - 1] == '\t'))
		s->n--;
	word->n = 0;
	while (s->n && s->p[s->n - 1] != ' ' && s->p[s->n - 1] != '\t') {
		s->n--;
		word->n++;
	}
	word->p = s->p + s->n;
	return word->n != 0;
}

/* Depth first, dependencies from right to left, then the module itself. */
/* NOLINTNEXTLINE(misc-no-recursion): MODULES_DEPTH_MAX bounds it */
static int visit(struct walk *w, struct span name, unsigned int depth,
		 struct err *e)
{
	struct module *mod = find(w->m, base_of(name));
	struct span deps;
	struct span dep;

	if (!mod)
		return shown_err(e, ENOENT, name, "the kernel has none");
	if (mod->state == TAKEN || mod->builtin)
		return 0;
	if (mod->state == OPEN)
		return shown_err(e, ELOOP, name, "depends on itself");
	if (depth >= MODULES_DEPTH_MAX)
		return shown_err(e, E2BIG, name, "too long a chain");

	mod->state = OPEN;
	deps = span_of(mod->deps);
	while (word_last(&deps, &dep)) {
		int r = visit(w, dep, depth + 1, e);

		if (r < 0)
			return r;
	}
	mod->state = TAKEN;
	w->ret[w->count++] = mod;
	return 0;
}

int modules_closure(struct modules *m, const char *const *names, size_t n,
		    const struct module **ret, size_t *ret_count, struct err *e)
{
	struct walk w = { .m = m, .ret = ret };

	for (size_t i = 0; i < m->count; i++)
		m->list[i].state = UNSEEN;
	for (size_t i = 0; i < n; i++) {
		int r = visit(&w, span_of(names[i]), 0, e);

		if (r < 0)
			return r;
	}
	*ret_count = w.count;
	return 0;
}

int modules_release(const void *ko, size_t len, char *out, size_t size)
{
	static const char key[] = "vermagic=";
	const char *p = memmem(ko, len, key, sizeof(key) - 1);
	size_t left;
	size_t n = 0;

	if (!p)
		return -ENOENT;
	p += sizeof(key) - 1;
	left = len - (size_t)(p - (const char *)ko);
	while (n < left && p[n] > ' ' && p[n] < 0x7f && p[n] != '/')
		n++;
	if (n == 0 || n == left || n >= size || p[0] == '.')
		return -ENOENT;
	memcpy(out, p, n);
	out[n] = '\0';
	return 0;
}
