/*
 * Theory of operation: the manifest's lines become entries of one cpio tree.
 * File contents are read whole and kept until the tree is written. Modules
 * come last, when all are known. The output appears under its name only when
 * complete.
 */
#include "tools/image_build.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/util.h"
#include "initramfs/manifest.h"
#include "tools/home.h"
#include "tools/image_applets.h"
#include "tools/image_file.h"
#include "tools/image_modules.h"
#include "tools/image_runtime.h"
#include "tools/image_tree.h"

static const struct {
	const char *name;
	const char *lib;
} programs[] = {
	[IMAGE_INIT] = { "@init", "guest/init" },
	[IMAGE_VSOCKEXEC] = { "@vsockexec", "guest/vsockexec" },
	[IMAGE_GCS] = { "@gcs", "guest/gcs" },
	[IMAGE_BUSYBOX] = { "@busybox", "guest/busybox" },
	[IMAGE_RUNTIME] = { "@runtime", "guest/crun" },
};
static_assert(ARRAY_LEN(programs) == IMAGE_PROGRAMS, "a program has no row");

/* The host's file that a manifest's SOURCE stands for. */
static int resolve(const struct image_tree *t, const char *source, char *out,
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
		file = t->o->programs[i];
		if (!file)
			return tool_lib_path(programs[i].lib, out, size, e);
	}
	if ((size_t)snprintf(out, size, "%s", file) >= size)
		return err_set(e, ENAMETOOLONG, "%.60s...: name too long",
			       file);
	return 0;
}

struct applet_links {
	struct image_tree *t;
	const char *busybox;
};

static int add_applet(void *arg, const char *path, struct err *e)
{
	const struct applet_links *l = arg;

	return image_tree_link(l->t, path, l->busybox, CPIO_WEAK, e);
}

static int add_busybox(struct image_tree *t, const struct manifest_entry *n,
		       const char *source, struct err *e)
{
	struct applet_links links = { t, n->path };
	int r;

	if (t->o->no_busybox)
		return 0;
	r = image_tree_file(t, n->path, n->mode, source, CPIO_ONCE, e);
	return r < 0 ? r : image_applets(source, add_applet, &links, e);
}

static int add_runtime(struct image_tree *t, const struct manifest_entry *n,
		       const char *source, struct err *e)
{
	return t->o->no_runtime
		       ? 0
		       : image_runtime_add(t, n->path, n->mode, source, e);
}

static int add_plain(struct image_tree *t, const struct manifest_entry *n,
		     uint32_t kind, struct err *e)
{
	const struct cpio_entry entry = {
		.name = n->path,
		.mode = kind | n->mode,
		.rdev_major = n->major,
		.rdev_minor = n->minor,
	};

	return cpio_tree_add(&t->tree, &entry, CPIO_ONCE, e);
}

static int add_entry(struct image_tree *t, const struct manifest_entry *n,
		     struct err *e)
{
	char source[PATH_MAX];
	int r;

	switch (n->kind) {
	case MANIFEST_DIR:
		return add_plain(t, n, S_IFDIR, e);
	case MANIFEST_NOD:
		return add_plain(t, n, n->block ? S_IFBLK : S_IFCHR, e);
	case MANIFEST_SLINK:
		return image_tree_link(t, n->path, n->arg, CPIO_ONCE, e);
	case MANIFEST_TEXT:
		return image_tree_text(t, n->path, n->mode, n->arg, e);
	case MANIFEST_FILE:
	case MANIFEST_BUSYBOX:
	case MANIFEST_RUNTIME:
		r = resolve(t, n->arg, source, sizeof(source), e);
		if (r < 0)
			return r;
		if (n->kind == MANIFEST_RUNTIME)
			return add_runtime(t, n, source, e);
		if (n->kind == MANIFEST_BUSYBOX)
			return add_busybox(t, n, source, e);
		return image_tree_file(t, n->path, n->mode, source, CPIO_ONCE,
				       e);
	case MANIFEST_MODULE:
	case MANIFEST_KINDS:
		break;
	}
	return 0; /* modules come together, when all are known */
}

static int add_manifest(struct image_tree *t, const struct manifest *m,
			const char *file, struct err *e)
{
	for (size_t i = 0; i < m->count; i++) {
		int r = add_entry(t, &m->entries[i], e);

		if (r < 0)
			return err_wrap(e, "%s line %u", file,
					m->entries[i].line);
	}
	return 0;
}

/* --add SOURCE:PATH; programs stay programs. */
static int add_extra(struct image_tree *t, const char *word, struct err *e)
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
	return image_tree_file(t, colon + 1, st.st_mode & 0111 ? 0755 : 0644,
			       source, CPIO_REPLACE, e);
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

static int fill(struct image_tree *t, const struct manifest *m, struct err *e)
{
	const char *file = t->o->manifest ? t->o->manifest : "default manifest";
	int r = add_manifest(t, m, file, e);

	if (r == 0)
		r = image_modules_add(t, m, e);
	for (size_t i = 0; r == 0 && i < t->o->adds_count; i++)
		r = add_extra(t, t->o->adds[i], e);
	return r;
}

static int write_out(struct image_tree *t, struct err *e)
{
	struct image_out out;
	int r = image_out_open(&out, t->o->out, e);

	if (r == 0)
		r = cpio_tree_write(&t->tree, t->o->mtime, image_out_put, &out,
				    e);
	if (r == 0)
		r = image_out_commit(&out, e);
	image_out_done(&out);
	return r;
}

int image_build(const struct image_options *o, struct err *e)
{
	struct image_tree t;
	struct manifest m;
	int r = load_manifest(&m, o->manifest, e);

	image_tree_init(&t, o);
	if (r == 0)
		r = fill(&t, &m, e);
	if (r == 0)
		r = write_out(&t, e);
	image_tree_done(&t);
	manifest_done(&m);
	return r;
}
