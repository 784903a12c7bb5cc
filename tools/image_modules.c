/*
 * Theory of operation: names come in three groups, in the order of the
 * manifest within each: loaded at boot, loaded at boot if a device is there,
 * only in the image. One closure is grown name by name, so that whatever a
 * name adds to it is known: it gets that name's condition. A module of the
 * first group has none, whoever else needs it; one that names of several
 * devices need loads for any of them.
 */
#include "tools/image_modules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/text.h"
#include "config/util.h"
#include "initramfs/modules.h"
#include "tools/home.h"
#include "tools/image_file.h"

/* PID 1 reads it: one absolute path a line, in load order. */
#define BOOT_LIST "lib/modules/ferry.list"
/* Bytes of the generated lists. */
#define LIST_MAX ((size_t)4 * 1024 * 1024)
/* Bytes of one condition: eight digits and a comma for each device. */
#define CONDITION_MAX 128

enum when {
	WHEN_BOOT,
	WHEN_DEVICE,
	WHEN_LATER,
};

struct name {
	const char *name;
	const char *devices;
	enum when when;
};

/* One module of the image, and when it loads. */
struct chosen {
	const struct module *module;
	enum when when;
	char devices[CONDITION_MAX];
};

struct names {
	struct name *list;
	size_t count;
};

struct choice {
	struct chosen *list;
	size_t count;
};

/* --- names ------------------------------------------------------------------ */

static void take_group(struct names *n, const struct manifest *m,
		       enum when when)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct manifest_entry *x = &m->entries[i];
		enum when its;

		if (x->kind != MANIFEST_MODULE)
			continue;
		its = x->devices[0] ? WHEN_DEVICE : WHEN_BOOT;
		if (x->later)
			its = WHEN_LATER;
		if (its == when)
			n->list[n->count++] =
				(struct name){ x->arg, x->devices, when };
	}
}

static int collect(struct names *n, const struct manifest *m,
		   const struct image_options *o, struct err *e)
{
	n->list = calloc(m->count + o->modules_count + 1, sizeof(*n->list));
	if (!n->list)
		return err_set(e, ENOMEM, "no memory for the image");
	take_group(n, m, WHEN_BOOT);
	for (size_t i = 0; i < o->modules_count; i++)
		n->list[n->count++] =
			(struct name){ o->modules[i], "", WHEN_BOOT };
	take_group(n, m, WHEN_DEVICE);
	take_group(n, m, WHEN_LATER);
	return 0;
}

/* --- closure ---------------------------------------------------------------- */

static struct chosen *find(struct choice *c, const struct module *m)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->list[i].module == m)
			return &c->list[i];
	return NULL;
}

/* One more device for which it loads; each of its words once. */
static int widen(struct chosen *x, const char *devices, struct err *e)
{
	const size_t len = strlen(x->devices);

	if (strstr(x->devices, devices))
		return 0;
	if (len + 1 + strlen(devices) >= sizeof(x->devices))
		return err_set(e, E2BIG, "module %s: too many devices",
			       x->module->name);
	(void)snprintf(x->devices + len, sizeof(x->devices) - len, "%s%s",
		       len ? "," : "", devices);
	return 0;
}

static int choose(struct choice *c, const struct module *m,
		  const struct name *why, struct err *e)
{
	struct chosen *x = find(c, m);

	if (!x) {
		x = &c->list[c->count++];
		*x = (struct chosen){ .module = m, .when = why->when };
	}
	if (x->when != WHEN_DEVICE || why->when != WHEN_DEVICE)
		return 0;
	return widen(x, why->devices, e);
}

static int grow(struct choice *c, struct modules *m, const struct name *n,
		const struct module **scratch, struct err *e)
{
	size_t count;
	int r = modules_closure(m, &n->name, 1, scratch, &count, e);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = choose(c, scratch[i], n, e);
	return r;
}

static int close_over(struct choice *c, struct modules *m,
		      const struct names *n, struct err *e)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
	const size_t size = sizeof(struct module *);
	cleanup_free const struct module **scratch = calloc(m->count + 1, size);
	int r = 0;

	if (!scratch)
		return err_set(e, ENOMEM, "no memory for the image");
	for (size_t i = 0; r == 0 && i < n->count; i++)
		r = grow(c, m, &n->list[i], scratch, e);
	return r;
}

/* --- files and lists ---------------------------------------------------------- */

static int join(char *out, size_t size, const char *dir, const char *name,
		struct err *e)
{
	const int n = snprintf(out, size, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= size)
		return err_set(e, ENAMETOOLONG, "%.60s/%.60s: name too long",
			       dir, name);
	return 0;
}

static int add_module(struct image_tree *t, const char *dir,
		      const struct module *mod, char *release, size_t size,
		      struct err *e)
{
	const size_t len = strlen(mod->path);
	char path[PATH_MAX];
	void *data;
	size_t n;
	int r;

	if (len < 3 || strcmp(mod->path + len - 3, ".ko") != 0)
		return err_set(e, ENOTSUP,
			       "%s: a compressed module cannot be loaded",
			       mod->path);
	r = join(path, sizeof(path), dir, mod->path, e);
	if (r == 0)
		r = image_tree_read(t, path, &data, &n, e);
	if (r < 0)
		return r;
	if (!release[0] && modules_release(data, n, release, size) < 0)
		return err_set(e, EINVAL, "%s: names no kernel release", path);
	if ((size_t)snprintf(path, sizeof(path), "lib/modules/%s/%s", release,
			     mod->path) >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "%s: name too long", mod->path);
	return image_tree_bytes(t, path, 0644, data, n, CPIO_ONCE, e);
}

static void list_line(struct text *list, const char *release,
		      const struct chosen *x)
{
	if (x->when == WHEN_LATER)
		return;
	text_addf(list, "/lib/modules/%s/%s%s%s\n", release, x->module->path,
		  x->when == WHEN_DEVICE ? " " : "", x->devices);
}

/* The boot list, and modules.dep for what is loaded later. */
static int add_lists(struct image_tree *t, const struct choice *c,
		     const char *release, struct err *e)
{
	char path[PATH_MAX];
	struct text list;
	struct text dep;
	int r = 0;

	text_heap(&list, LIST_MAX);
	text_heap(&dep, LIST_MAX);
	for (size_t i = 0; i < c->count; i++) {
		const struct module *m = c->list[i].module;

		list_line(&list, release, &c->list[i]);
		text_addf(&dep, "%s:%s\n", m->path, m->deps);
	}
	(void)snprintf(path, sizeof(path), "lib/modules/%s/modules.dep",
		       release);
	if (list.full || dep.full)
		r = err_set(e, E2BIG, "too many modules");
	if (r == 0)
		r = image_tree_text(t, BOOT_LIST, 0644, text_str(&list), e);
	if (r == 0 && c->count)
		r = image_tree_text(t, path, 0644, text_str(&dep), e);
	text_done(&list);
	text_done(&dep);
	return r;
}

static int add_choice(struct image_tree *t, struct modules *m,
		      const struct names *n, const char *dir, struct err *e)
{
	char release[NAME_MAX + 1] = "";
	struct choice c = { 0 };
	int r;

	c.list = calloc(m->count + 1, sizeof(*c.list));
	if (!c.list)
		return err_set(e, ENOMEM, "no memory for the image");
	r = close_over(&c, m, n, e);
	for (size_t i = 0; r == 0 && i < c.count; i++)
		r = add_module(t, dir, c.list[i].module, release,
			       sizeof(release), e);
	if (r == 0)
		r = add_lists(t, &c, release, e);
	free(c.list);
	return r;
}

/* --- the kernel's own lists ---------------------------------------------------- */

static int read_in(const char *dir, const char *name, void **ret,
		   size_t *ret_len, struct err *e)
{
	char path[PATH_MAX];
	int r = join(path, sizeof(path), dir, name, e);

	return r < 0 ? r
		     : image_file_read(path, MODULES_DEP_MAX, ret, ret_len, e);
}

static int load(struct modules *m, const char *dir, struct err *e)
{
	cleanup_free void *dep = NULL;
	cleanup_free void *builtin = NULL;
	size_t dep_len;
	size_t builtin_len = 0;
	int r;

	*m = (struct modules){ 0 };
	r = read_in(dir, "modules.dep", &dep, &dep_len, e);
	if (r < 0)
		return r;
	/* Not every folder has one; then no name is known to be built in. */
	(void)read_in(dir, "modules.builtin", &builtin, &builtin_len, NULL);
	r = modules_parse(m, dep, dep_len, builtin, builtin_len, e);
	return r < 0 ? err_wrap(e, "%s", dir) : 0;
}

static int add_names(struct image_tree *t, const struct names *n, struct err *e)
{
	char found[PATH_MAX];
	const char *dir = t->o->modules_dir;
	struct modules m;
	int r;

	if (n->count == 0)
		return image_tree_text(t, BOOT_LIST, 0644, "", e);
	if (!dir) {
		r = tool_lib_path("modules", found, sizeof(found), e);
		if (r < 0)
			return r;
		dir = found;
	}
	r = load(&m, dir, e);
	if (r == 0)
		r = add_choice(t, &m, n, dir, e);
	modules_done(&m);
	return r;
}

int image_modules_add(struct image_tree *t, const struct manifest *m,
		      struct err *e)
{
	struct names n = { 0 };
	int r = collect(&n, m, t->o, e);

	if (r == 0)
		r = add_names(t, &n, e);
	free(n.list);
	return r;
}
