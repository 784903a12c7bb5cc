/*
 * Theory of operation: the manifest's lines become entries of one cpio tree.
 * File contents are read whole and kept until the tree is written. Modules
 * come last: the closure of the ones loaded at boot gives /lib/modules/
 * ferry.list, the closure of all gives the files. The output appears under its
 * name only when complete.
 */
#include "tools/image_build.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/text.h"
#include "config/util.h"
#include "initramfs/cpio.h"
#include "initramfs/manifest.h"
#include "initramfs/modules.h"
#include "tools/home.h"
#include "tools/image_applets.h"
#include "tools/image_file.h"

/* PID 1 reads it: one absolute path a line, in load order. */
#define BOOT_LIST "lib/modules/ferry.list"
/* Bytes of one file that goes into an image. */
#define FILE_MAX ((size_t)512 * 1024 * 1024)
/* Bytes of the generated lists. */
#define LIST_MAX ((size_t)4 * 1024 * 1024)

static const struct {
	const char *name;
	const char *lib;
} programs[] = {
	[IMAGE_INIT] = { "@init", "guest/init" },
	[IMAGE_VSOCKEXEC] = { "@vsockexec", "guest/vsockexec" },
	[IMAGE_GCS] = { "@gcs", "guest/gcs" },
	[IMAGE_BUSYBOX] = { "@busybox", "guest/busybox" },
};
static_assert(ARRAY_LEN(programs) == IMAGE_PROGRAMS, "a program has no row");

/**
 * struct build - one image in the making
 * @o:		what is wanted
 * @tree:	the entries
 * @contents:	buffers that the tree's entries point into, owned
 * @contents_count: how many
 * @contents_space: room at @contents
 * @boot:	names of the modules loaded at boot, then those that are not
 * @boot_count:	how many are loaded at boot
 * @names_count: how many in all
 */
struct build {
	const struct image_options *o;
	struct cpio_tree tree;
	void **contents;
	size_t contents_count;
	size_t contents_space;
	const char **names;
	size_t boot_count;
	size_t names_count;
};

/* Keeps @*p until the build is over, or frees it when there is no memory. */
static int keep(struct build *b, void *p, struct err *e)
{
	if (b->contents_count == b->contents_space) {
		const size_t space =
			b->contents_space ? b->contents_space * 2 : 64;
		void **grown = reallocarray(b->contents, space, sizeof(*grown));

		if (!grown) {
			free(p);
			return err_set(e, ENOMEM, "no memory for the image");
		}
		b->contents = grown;
		b->contents_space = space;
	}
	b->contents[b->contents_count++] = p;
	return 0;
}

/* A file of the image, with the content of @source. */
static int add_file(struct build *b, const char *path, uint32_t mode,
		    const char *source, enum cpio_rank rank, struct err *e)
{
	struct cpio_entry n = { .name = path, .mode = S_IFREG | mode };
	void *data;
	int r = image_file_read(source, FILE_MAX, &data, &n.size, e);

	if (r < 0)
		return r;
	n.data = data;
	r = keep(b, data, e);
	if (r < 0)
		return r;
	return cpio_tree_add(&b->tree, &n, rank, e);
}

static int add_text(struct build *b, const char *path, uint32_t mode,
		    const char *text, struct err *e)
{
	struct cpio_entry n = { .name = path, .mode = S_IFREG | mode };
	char *copy = strdup(text);
	int r;

	if (!copy)
		return err_set(e, ENOMEM, "no memory for the image");
	n.data = copy;
	n.size = strlen(copy);
	r = keep(b, copy, e);
	return r < 0 ? r : cpio_tree_add(&b->tree, &n, CPIO_ONCE, e);
}

static int add_link(struct build *b, const char *path, const char *target,
		    enum cpio_rank rank, struct err *e)
{
	const struct cpio_entry n = {
		.name = path,
		.mode = S_IFLNK | 0777,
		.data = target,
		.size = strlen(target),
	};

	return cpio_tree_add(&b->tree, &n, rank, e);
}

/* The host's file that a manifest's SOURCE stands for. */
static int resolve(const struct build *b, const char *source, char *out,
		   size_t size, struct err *e)
{
	const char *file = source;

	if (source[0] == '@') {
		size_t i = 0;

		while (i < IMAGE_PROGRAMS &&
		       strcmp(programs[i].name, source) != 0)
			i++;
		if (i == IMAGE_PROGRAMS)
			return err_set(e, EINVAL, "no program is called %.40s",
				       source);
		file = b->o->programs[i];
		if (!file)
			return tool_lib_path(programs[i].lib, out, size, e);
	}
	if ((size_t)snprintf(out, size, "%s", file) >= size)
		return err_set(e, ENAMETOOLONG, "%.60s...: name too long",
			       file);
	return 0;
}

struct applet_links {
	struct build *b;
	const char *busybox;
};

static int add_applet(void *arg, const char *path, struct err *e)
{
	const struct applet_links *l = arg;

	return add_link(l->b, path, l->busybox, CPIO_WEAK, e);
}

static int add_busybox(struct build *b, const struct manifest_entry *n,
		       const char *source, struct err *e)
{
	struct applet_links links = { b, n->path };
	int r;

	if (b->o->no_busybox)
		return 0;
	r = add_file(b, n->path, n->mode, source, CPIO_ONCE, e);
	return r < 0 ? r : image_applets(source, add_applet, &links, e);
}

static int add_plain(struct build *b, const struct manifest_entry *n,
		     uint32_t kind, struct err *e)
{
	const struct cpio_entry entry = {
		.name = n->path,
		.mode = kind | n->mode,
		.rdev_major = n->major,
		.rdev_minor = n->minor,
	};

	return cpio_tree_add(&b->tree, &entry, CPIO_ONCE, e);
}

static int add_entry(struct build *b, const struct manifest_entry *n,
		     struct err *e)
{
	char source[PATH_MAX];
	int r;

	switch (n->kind) {
	case MANIFEST_DIR:
		return add_plain(b, n, S_IFDIR, e);
	case MANIFEST_NOD:
		return add_plain(b, n, n->block ? S_IFBLK : S_IFCHR, e);
	case MANIFEST_SLINK:
		return add_link(b, n->path, n->arg, CPIO_ONCE, e);
	case MANIFEST_TEXT:
		return add_text(b, n->path, n->mode, n->arg, e);
	case MANIFEST_FILE:
	case MANIFEST_BUSYBOX:
		r = resolve(b, n->arg, source, sizeof(source), e);
		if (r < 0)
			return r;
		if (n->kind == MANIFEST_BUSYBOX)
			return add_busybox(b, n, source, e);
		return add_file(b, n->path, n->mode, source, CPIO_ONCE, e);
	case MANIFEST_MODULE:
	case MANIFEST_KINDS:
		break;
	}
	return 0; /* modules come together, when all are known */
}

/* First all that load at boot, in their order, then the others. */
static int collect_modules(struct build *b, const struct manifest *m,
			   struct err *e)
{
	const size_t max = m->count + b->o->modules_count;

	b->names = calloc(max + 1, sizeof(*b->names));
	if (!b->names)
		return err_set(e, ENOMEM, "no memory for the image");
	for (size_t i = 0; i < m->count; i++)
		if (m->entries[i].kind == MANIFEST_MODULE &&
		    !m->entries[i].later)
			b->names[b->boot_count++] = m->entries[i].arg;
	for (size_t i = 0; i < b->o->modules_count; i++)
		b->names[b->boot_count++] = b->o->modules[i];
	b->names_count = b->boot_count;
	for (size_t i = 0; i < m->count; i++)
		if (m->entries[i].kind == MANIFEST_MODULE &&
		    m->entries[i].later)
			b->names[b->names_count++] = m->entries[i].arg;
	return 0;
}

static int add_manifest(struct build *b, const struct manifest *m,
			const char *file, struct err *e)
{
	for (size_t i = 0; i < m->count; i++) {
		int r = add_entry(b, &m->entries[i], e);

		if (r < 0)
			return err_wrap(e, "%s line %u", file,
					m->entries[i].line);
	}
	return collect_modules(b, m, e);
}

/* --add SOURCE:PATH; programs stay programs. */
static int add_extra(struct build *b, const char *word, struct err *e)
{
	const char *colon = strrchr(word, ':');
	char source[PATH_MAX];
	struct stat st;
	size_t n;

	if (!colon || colon == word || colon[1] != '/')
		return err_set(e, EINVAL,
			       "--add %.80s: want SOURCE:PATH, PATH absolute",
			       word);
	n = (size_t)(colon - word);
	if (n >= sizeof(source))
		return err_set(e, ENAMETOOLONG, "--add: name too long");
	memcpy(source, word, n);
	source[n] = '\0';
	if (stat(source, &st) < 0)
		return err_sys(e, "%s", source);
	return add_file(b, colon + 1, st.st_mode & 0111 ? 0755 : 0644, source,
			CPIO_REPLACE, e);
}

/* --- modules -------------------------------------------------------------- */

struct closure {
	const struct module **list;
	size_t boot;  /* the first ones load at boot */
	size_t count; /* all */
};

static int join(char *out, size_t size, const char *dir, const char *name,
		struct err *e)
{
	const int n = snprintf(out, size, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= size)
		return err_set(e, ENAMETOOLONG, "%.60s/%.60s: name too long",
			       dir, name);
	return 0;
}

static int add_module(struct build *b, const char *dir,
		      const struct module *mod, char *release, size_t size,
		      struct err *e)
{
	char source[PATH_MAX];
	struct cpio_entry n;
	const size_t len = strlen(mod->path);
	void *data;
	int r;

	if (len < 3 || strcmp(mod->path + len - 3, ".ko") != 0)
		return err_set(e, ENOTSUP,
			       "%s: a compressed module cannot be loaded",
			       mod->path);
	r = join(source, sizeof(source), dir, mod->path, e);
	if (r < 0)
		return r;
	n = (struct cpio_entry){ .mode = S_IFREG | 0644 };
	r = image_file_read(source, FILE_MAX, &data, &n.size, e);
	if (r < 0)
		return r;
	n.data = data;
	r = keep(b, data, e);
	if (r < 0)
		return r;
	if (!release[0] && modules_release(n.data, n.size, release, size) < 0)
		return err_set(e, EINVAL, "%s: names no kernel release",
			       source);
	if ((size_t)snprintf(source, sizeof(source), "lib/modules/%s/%s",
			     release, mod->path) >= sizeof(source))
		return err_set(e, ENAMETOOLONG, "%s: name too long", mod->path);
	n.name = source;
	return cpio_tree_add(&b->tree, &n, CPIO_ONCE, e);
}

/* The boot list, and modules.dep for what is loaded later. */
static int add_module_lists(struct build *b, const struct closure *c,
			    const char *release, struct err *e)
{
	char path[PATH_MAX];
	struct text list;
	struct text dep;
	int r = 0;

	text_heap(&list, LIST_MAX);
	text_heap(&dep, LIST_MAX);
	for (size_t i = 0; i < c->count; i++) {
		if (i < c->boot)
			text_addf(&list, "/lib/modules/%s/%s\n", release,
				  c->list[i]->path);
		text_addf(&dep, "%s:%s\n", c->list[i]->path, c->list[i]->deps);
	}
	(void)snprintf(path, sizeof(path), "lib/modules/%s/modules.dep",
		       release);
	if (list.full || dep.full)
		r = err_set(e, E2BIG, "too many modules");
	if (r == 0)
		r = add_text(b, BOOT_LIST, 0644, text_str(&list), e);
	if (r == 0 && c->count)
		r = add_text(b, path, 0644, text_str(&dep), e);
	text_done(&list);
	text_done(&dep);
	return r;
}

static int add_closure(struct build *b, struct modules *m, const char *dir,
		       struct err *e)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
	const size_t size = sizeof(struct module *);
	cleanup_free const struct module **list = calloc(m->count + 1, size);
	struct closure c = { .list = list };
	char release[NAME_MAX + 1] = "";
	int r;

	if (!list)
		return err_set(e, ENOMEM, "no memory for the image");
	r = modules_closure(m, b->names, b->boot_count, list, &c.boot, e);
	if (r == 0) /* begins with the modules of the boot */
		r = modules_closure(m, b->names, b->names_count, list, &c.count,
				    e);
	for (size_t i = 0; r == 0 && i < c.count; i++)
		r = add_module(b, dir, list[i], release, sizeof(release), e);
	return r < 0 ? r : add_module_lists(b, &c, release, e);
}

static int read_in(const char *dir, const char *name, void **ret,
		   size_t *ret_len, struct err *e)
{
	char path[PATH_MAX];
	int r = join(path, sizeof(path), dir, name, e);

	return r < 0 ? r
		     : image_file_read(path, MODULES_DEP_MAX, ret, ret_len, e);
}

static int modules_load(struct modules *m, const char *dir, struct err *e)
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

static int add_modules(struct build *b, struct err *e)
{
	char found[PATH_MAX];
	const char *dir = b->o->modules_dir;
	struct modules m;
	int r;

	if (b->names_count == 0)
		return add_text(b, BOOT_LIST, 0644, "", e);
	if (!dir) {
		r = tool_lib_path("modules", found, sizeof(found), e);
		if (r < 0)
			return r;
		dir = found;
	}
	r = modules_load(&m, dir, e);
	if (r == 0)
		r = add_closure(b, &m, dir, e);
	modules_done(&m);
	return r;
}

/* --- all of it ---------------------------------------------------------------- */

static int load_manifest(struct manifest *m, const char *file, struct err *e)
{
	cleanup_free void *text = NULL;
	size_t len;
	int r;

	*m = (struct manifest){ 0 };
	if (!file)
		return manifest_parse(m, "default manifest",
				      image_manifest_default,
				      strlen(image_manifest_default), e);
	r = image_file_read(file, MANIFEST_MAX, &text, &len, e);
	return r < 0 ? r : manifest_parse(m, file, text, len, e);
}

static int fill(struct build *b, const struct manifest *m, struct err *e)
{
	const char *file = b->o->manifest ? b->o->manifest : "default manifest";
	int r = add_manifest(b, m, file, e);

	if (r == 0)
		r = add_modules(b, e);
	for (size_t i = 0; r == 0 && i < b->o->adds_count; i++)
		r = add_extra(b, b->o->adds[i], e);
	return r;
}

static int write_out(struct build *b, struct err *e)
{
	struct image_out out;
	int r = image_out_open(&out, b->o->out, e);

	if (r == 0)
		r = cpio_tree_write(&b->tree, b->o->mtime, image_out_put, &out,
				    e);
	if (r == 0)
		r = image_out_commit(&out, e);
	image_out_done(&out);
	return r;
}

int image_build(const struct image_options *o, struct err *e)
{
	struct build b = { .o = o };
	struct manifest m;
	int r = load_manifest(&m, o->manifest, e);

	cpio_tree_init(&b.tree);
	if (r == 0)
		r = fill(&b, &m, e);
	if (r == 0)
		r = write_out(&b, e);
	cpio_tree_done(&b.tree);
	while (b.contents_count)
		free(b.contents[--b.contents_count]);
	free(b.contents);
	free(b.names);
	manifest_done(&m);
	return r;
}
