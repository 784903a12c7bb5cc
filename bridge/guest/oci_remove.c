#include "bridge/guest/oci.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/oci_doc.h"
#include "bridge/io/fd.h"
#include "config/util.h"

/* Mounts on one another at one place. */
#define STACKED_MAX 64

/* All mounts at one name, with what is mounted below; none is fine. */
static int detach(int dir, const char *name, struct err *e)
{
	struct err why = { 0 };
	int r = 0;

	for (int i = 0; r == 0 && i < STACKED_MAX; i++)
		r = beneath_unmount(dir, name, BENEATH_STRICT, MNT_DETACH,
				    &why);
	if (r == 0 || r == -EINVAL || r == -ENOENT)
		return 0;
	return err_set(e, -r, "%s", why.text);
}

/* The first failure of several steps. */
static int first(int r, int next)
{
	return r < 0 ? r : next;
}

/* An existing folder that guestpath_check() lets pass; -ENOENT: it is gone. */
static int open_there(int root, const char *path, enum guestpath_use use,
		      struct err *e)
{
	struct guestpath g;
	const int r = guestpath_check(path, use, "path", &g, e);
	cleanup_fd base = r < 0 ? r
				: beneath_open(root, g.prefix, BENEATH_STRICT,
					       O_PATH | O_DIRECTORY, 0, e);

	return base < 0 ? base
			: beneath_open(base, g.rest, BENEATH_STRICT,
				       O_PATH | O_DIRECTORY, 0, e);
}

static int detach_sources(int bundle, struct err *e)
{
	const struct dirent *entry;
	int r = 0;
	int fd = beneath_open(bundle, OCI_SOURCES, BENEATH_STRICT,
			      O_RDONLY | O_DIRECTORY, 0, e);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		fd_close(&fd);
		return 0; /* there are none */
	}
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			r = first(r, detach(dirfd(d), entry->d_name, e));
	(void)closedir(d);
	return r;
}

static int detach_shared(const struct oci_work *w, struct err *e)
{
	static const char *const names[] = { OCI_SHARED, OCI_SHARED_TMPFS,
					     OCI_HUGEPAGES };
	int r = 0;
	cleanup_fd dir =
		open_there(w->root, w->sandbox_root, GUESTPATH_BUNDLE, e);

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		r = first(r, detach(dir, names[i], e));
	return r;
}

int oci_unmount(void *arg, struct text *out UNUSED, struct err *e)
{
	const struct oci_work *w = arg;
	int r = 0;
	cleanup_fd bundle = open_there(w->root, w->bundle, GUESTPATH_BUNDLE, e);

	if (bundle >= 0)
		r = detach_sources(bundle, e);
	else if (bundle != -ENOENT)
		r = bundle;
	if (w->facts->kind == OCI_SANDBOX)
		r = first(r, detach_shared(w, e));
	return r;
}

/* A tree below a known prefix, and with @parent the empty folder above it. */
static int remove_tree(const struct oci_work *w, const char *path,
		       enum guestpath_use use, bool parent, struct err *e)
{
	struct guestpath g;
	const char *slash;
	char up[GUESTPATH_MAX];
	int r = guestpath_check(path, use, "path", &g, e);
	cleanup_fd base =
		r < 0 ? r
		      : beneath_open(w->root, g.prefix, BENEATH_STRICT,
				     O_PATH | O_DIRECTORY, 0, e);

	if (base < 0)
		return base == -ENOENT ? 0 : base;
	/* CombinedLayers may have bound it onto the scratch; that ends here. */
	r = use == GUESTPATH_BUNDLE
		    ? beneath_unmount(base, g.rest, BENEATH_STRICT, 0, e)
		    : 0;
	if (r < 0 && r != -EINVAL && r != -ENOENT)
		return err_wrap(e, "%s", path);
	r = beneath_remove(base, g.rest, BENEATH_STRICT, e);
	slash = strrchr(g.rest, '/');
	if (parent && slash) {
		(void)snprintf(up, sizeof(up), "%.*s", (int)(slash - g.rest),
			       g.rest);
		/* others may be in it */
		(void)beneath_unlink(base, up, BENEATH_STRICT, AT_REMOVEDIR,
				     NULL);
	}
	return r;
}

int oci_remove(void *arg, struct text *out, struct err *e)
{
	static const char pods[] = "/run/gcs/pods/";
	const struct oci_work *w = arg;
	const bool sandbox = w->facts->kind == OCI_SANDBOX;
	int r = oci_unmount(arg, out, e);

	if (w->scratch && *w->scratch)
		r = first(r, remove_tree(w, w->scratch, GUESTPATH_SCRATCH,
					 false, e));
	r = first(r, remove_tree(w, w->bundle, GUESTPATH_BUNDLE,
				 sandbox && strncmp(w->bundle, pods,
						    sizeof(pods) - 1) == 0,
				 e));
	if (sandbox && w->facts->virtual_pod)
		r = first(r, remove_tree(w, w->sandbox_root, GUESTPATH_BUNDLE,
					 true, e));
	return r;
}

int oci_tee_open(int root, const char *sandbox_root, const char *tee_log,
		 struct err *e)
{
	struct stat st;
	cleanup_fd fd = -1;
	cleanup_fd dir = open_there(root, sandbox_root, GUESTPATH_BUNDLE, e);

	if (dir < 0)
		return err_wrap(e, "tee log");
	fd = beneath_open(dir, tee_log, BENEATH_STRICT,
			  O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0666, e);
	if (fd < 0)
		return err_wrap(e, "tee log");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(e, EINVAL, "tee log: %s is no plain file",
			       tee_log);
	return fd_take(&fd);
}
