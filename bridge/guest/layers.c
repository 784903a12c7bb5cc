#include "bridge/guest/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/mnt.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define DIRECTORY_MODE 0755
/* Numbers and colons; the kernel takes a page of options. */
#define LOWER_MAX 3800u
/* Where the numbers of descriptors are names. */
#define DESCRIPTORS "/proc/self/fd"

/**
 * struct stack - what is combined
 * @made:	directories of the scratch that were made by this call
 */
struct stack {
	int scratch;
	int upper;
	int work;
	bool made_upper;
	bool made_work;
	size_t n;
	int layer[LAYERS_MAX];
};

/* --- checks ---------------------------------------------------------------- */

static int check_layers(const struct msg_combined_layers *m, struct err *e)
{
	struct guestpath p;

	if (m->n_layers == 0)
		return err_set(e, EINVAL, "Layers: there is none");
	if (m->n_layers > LAYERS_MAX)
		return err_set(e, EINVAL, "Layers: more than %u", LAYERS_MAX);
	for (size_t i = 0; i < m->n_layers; i++) {
		const int r = guestpath_check(m->layer[i].path, GUESTPATH_LAYER,
					      "Path", &p, e);

		if (r < 0)
			return err_wrap(e, "Layers[%zu]", i);
	}
	return 0;
}

int layers_check(const struct msg_combined_layers *m, bool add,
		 struct volume_facts *f, struct err *e)
{
	struct guestpath p;
	int r = guestpath_check(m->container_root_path, GUESTPATH_BUNDLE,
				"ContainerRootPath", &p, e);

	*f = (struct volume_facts){
		.kind = VOLUME_LAYERS,
		.n_layers = (uint32_t)m->n_layers,
		.read_only = m->scratch_path[0] == '\0',
	};
	if (r == 0 && add && !strchr(p.rest, '/'))
		r = err_set(e, EINVAL, "ContainerRootPath: no bundle above it");
	if (r == 0)
		r = volume_text(f->path, sizeof(f->path),
				m->container_root_path, "ContainerRootPath", e);
	if (r == 0)
		r = volume_text(f->scratch, sizeof(f->scratch), m->scratch_path,
				"ScratchPath", e);
	if (r == 0 && add && !f->read_only)
		r = guestpath_check(m->scratch_path, GUESTPATH_SCRATCH,
				    "ScratchPath", &p, e);
	if (r == 0 && add)
		r = check_layers(m, e);
	return r;
}

void layers_bundle(const struct volume_facts *f, char *buf, size_t size)
{
	const char *slash = strrchr(f->path, '/');

	(void)snprintf(buf, size, "%.*s", slash ? (int)(slash - f->path) : 0,
		       f->path);
}

/* --- directories ----------------------------------------------------------- */

/* Opens a directory below a prefix; makes it if @make. */
static int open_path(const struct volume_env *env, const char *path,
		     enum guestpath_use use, bool make, struct err *e)
{
	struct guestpath p;
	cleanup_fd base = -1;
	int r = guestpath_check(path, use, "path", &p, e);

	if (r < 0)
		return r;
	base = guestpath_base(env->root, &p, e);
	if (base < 0)
		return base;
	return make ? beneath_mkdirs(base, p.rest, BENEATH_STRICT,
				     DIRECTORY_MODE, e)
		    : beneath_open(base, p.rest, BENEATH_STRICT,
				   O_PATH | O_DIRECTORY, 0, e);
}

static int open_layers(const struct volume_env *env,
		       const struct msg_combined_layers *m, struct stack *s,
		       struct err *e)
{
	for (s->n = 0; s->n < m->n_layers; s->n++) {
		const int fd = open_path(env, m->layer[s->n].path,
					 GUESTPATH_LAYER, false, e);

		if (fd < 0)
			return err_wrap(e, "Layers[%zu]", s->n);
		s->layer[s->n] = fd;
	}
	return 0;
}

static int open_scratch_dir(int scratch, const char *name, bool *made,
			    struct err *e)
{
	int fd = beneath_open(scratch, name, BENEATH_STRICT,
			      O_PATH | O_DIRECTORY, 0, e);

	if (fd != -ENOENT)
		return fd;
	fd = beneath_mkdirs(scratch, name, BENEATH_STRICT, DIRECTORY_MODE, e);
	*made = fd >= 0;
	return fd;
}

static int open_scratch(const struct volume_env *env,
			const struct volume_facts *f, struct stack *s,
			struct err *e)
{
	s->scratch = open_path(env, f->scratch, GUESTPATH_SCRATCH, true, e);
	if (s->scratch < 0)
		return err_wrap(e, "ScratchPath");
	s->upper = open_scratch_dir(s->scratch, "upper", &s->made_upper, e);
	if (s->upper >= 0)
		s->work =
			open_scratch_dir(s->scratch, "work", &s->made_work, e);
	return s->upper < 0 || s->work < 0 ? err_wrap(e, "ScratchPath") : 0;
}

static void stack_close(struct stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		fd_close(&s->layer[i]);
	fd_close(&s->scratch);
	fd_close(&s->upper);
	fd_close(&s->work);
}

/* What this call has made, if it is still empty. */
static void stack_undo(const struct stack *s)
{
	if (s->made_work)
		(void)unlinkat(s->scratch, "work", AT_REMOVEDIR);
	if (s->made_upper)
		(void)unlinkat(s->scratch, "upper", AT_REMOVEDIR);
}

/* --- mounts ---------------------------------------------------------------- */

/* Numbers of descriptors, which are names below DESCRIPTORS, and colons. */
static void lower_names(const struct stack *s, char *buf, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < s->n; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%d",
					i > 0 ? ":" : "", s->layer[i]);
}

static int mount_short(const struct volume_env *env, const struct stack *s,
		       const struct volume_facts *f, const char *lower,
		       struct err *e)
{
	char upper[16], work[16];
	const struct mnt_option option[] = { { "lowerdir", lower },
					     { "upperdir", upper },
					     { "workdir", work } };
	const bool ro = s->upper < 0;
	cleanup_fd mnt = -1;

	(void)snprintf(upper, sizeof(upper), "%d", s->upper);
	(void)snprintf(work, sizeof(work), "%d", s->work);
	mnt = mnt_new("overlay", "overlay", option, ro ? 1 : 3, ro, e);
	if (mnt < 0)
		return mnt;
	return mnt_put(env->root, f->path, GUESTPATH_BUNDLE, DIRECTORY_MODE,
		       mnt, e);
}

static int mount_long(const struct volume_env *env, const struct stack *s,
		      const struct volume_facts *f, const char *lower,
		      struct err *e)
{
	char data[LOWER_MAX + 64];
	const int n = snprintf(data, sizeof(data), "lowerdir=%s", lower);

	if (s->upper >= 0)
		(void)snprintf(data + n, sizeof(data) - (size_t)n,
			       ",upperdir=%d,workdir=%d", s->upper, s->work);
	return mnt_put_page(env->root, f->path, GUESTPATH_BUNDLE,
			    DIRECTORY_MODE, "overlay", data, s->upper < 0, e);
}

static int overlay(const struct volume_env *env, const struct stack *s,
		   const struct volume_facts *f, struct err *e)
{
	char lower[LOWER_MAX];

	if (chdir(DESCRIPTORS) < 0)
		return err_sys(e, "enter %s", DESCRIPTORS);
	lower_names(s, lower, sizeof(lower));
	return strlen(lower) < MNT_VALUE_MAX ? mount_short(env, s, f, lower, e)
					     : mount_long(env, s, f, lower, e);
}

static bool at_or_below(const char *path, const char *dir)
{
	const size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

/* Puts the bundle onto the scratch, if that is elsewhere. */
static int bind_bundle(const struct volume_env *env, struct volume_facts *f,
		       const struct stack *s, struct err *e)
{
	char bundle[VOLUME_PATH_MAX];
	cleanup_fd from = -1;
	cleanup_fd to = -1;
	cleanup_fd mnt = -1;
	int r;

	layers_bundle(f, bundle, sizeof(bundle));
	if (f->scratch[0] == '\0' || at_or_below(f->scratch, bundle))
		return 0;
	from = beneath_mkdirs(s->scratch, "bundle", BENEATH_STRICT,
			      DIRECTORY_MODE, e);
	if (from < 0)
		return from;
	to = open_path(env, bundle, GUESTPATH_BUNDLE, true, e);
	if (to < 0)
		return to;
	mnt = mnt_clone(from, false, e);
	if (mnt < 0)
		return mnt;
	r = mnt_attach(mnt, to, e);
	f->bound = r == 0;
	return r;
}

static int mount_root(const struct volume_env *env, const struct stack *s,
		      const struct volume_facts *f, struct err *e)
{
	cleanup_fd mnt = -1;

	if (s->n > 1 || s->upper >= 0)
		return overlay(env, s, f, e);
	mnt = mnt_clone(s->layer[0], true, e);
	if (mnt < 0)
		return mnt;
	return mnt_put(env->root, f->path, GUESTPATH_BUNDLE, DIRECTORY_MODE,
		       mnt, e);
}

int layers_add(const struct volume_env *env,
	       const struct msg_combined_layers *m, struct volume_facts *f,
	       struct err *e)
{
	struct stack s = { .scratch = -1, .upper = -1, .work = -1 };
	int r = open_layers(env, m, &s, e);

	if (r == 0 && !f->read_only)
		r = open_scratch(env, f, &s, e);
	if (r == 0)
		r = bind_bundle(env, f, &s, e);
	if (r == 0)
		r = mount_root(env, &s, f, e);
	if (r < 0) {
		if (f->bound)
			(void)layers_unbind(env, f, NULL); /* best effort */
		f->bound = false;
		stack_undo(&s);
	}
	stack_close(&s);
	return r;
}

int layers_remove(const struct volume_env *env, const struct volume_facts *f,
		  struct err *e)
{
	const int r = mnt_remove(env->root, f->path, GUESTPATH_BUNDLE, e);
	const bool dead = r == -EIO || r == -EROFS; /* the scratch's disk */

	if (r < 0 && !dead)
		return r;
	return f->bound ? layers_unbind(env, f, e) : 0;
}

/* Folders that were made for the bundle, where nothing else is in them. */
static void remove_empty(int base, char *path)
{
	char *slash;

	(void)beneath_unlink(base, path, BENEATH_STRICT, AT_REMOVEDIR, NULL);
	slash = strrchr(path, '/');
	if (!slash)
		return;
	*slash = '\0';
	(void)beneath_unlink(base, path, BENEATH_STRICT, AT_REMOVEDIR, NULL);
}

int layers_unbind(const struct volume_env *env, const struct volume_facts *f,
		  struct err *e)
{
	char bundle[VOLUME_PATH_MAX];
	struct guestpath p;
	cleanup_fd base = -1;
	int r;

	layers_bundle(f, bundle, sizeof(bundle));
	r = guestpath_check(bundle, GUESTPATH_BUNDLE, "bundle", &p, e);
	if (r < 0)
		return r;
	base = beneath_open(env->root, p.prefix, BENEATH_STRICT,
			    O_PATH | O_DIRECTORY, 0, e);
	if (base < 0)
		return base == -ENOENT ? 0 : base;
	r = beneath_unmount(base, p.rest, BENEATH_STRICT, 0, e);
	if (r < 0 && r != -EINVAL && r != -ENOENT && r != -EIO)
		return r;
	(void)snprintf(bundle, sizeof(bundle), "%s", p.rest);
	remove_empty(base, bundle);
	return 0;
}
