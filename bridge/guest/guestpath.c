#include "bridge/guest/guestpath.h"

#include <string.h>

#include "bridge/guest/beneath.h"
#include "config/util.h"

/* Longest id: it becomes one component of a path. */
#define ID_MAX 255
/* Mode of a prefix that nobody made before. */
#define PREFIX_MODE 0700

/**
 * struct row - one prefix
 * @prefix:	absolute, without a slash at its end
 * @uses:	enum guestpath_use, added
 * @scratch:	components that a scratch folder needs below the prefix: the
 *		top of a disk or the whole folder of a pod is none
 */
struct row {
	const char *prefix;
	unsigned int uses;
	unsigned int scratch;
};

static const struct row rows[] = {
	{ "/run/gcs/c",
	  GUESTPATH_BUNDLE | GUESTPATH_SCRATCH | GUESTPATH_MOUNT |
		  GUESTPATH_LAYER,
	  1 },
	{ "/run/gcs/pods", GUESTPATH_BUNDLE | GUESTPATH_SCRATCH, 2 },
	{ "/run/mounts/scsi",
	  GUESTPATH_SCRATCH | GUESTPATH_MOUNT | GUESTPATH_LAYER, 2 },
	{ "/run/mounts/plan9", GUESTPATH_MOUNT | GUESTPATH_LAYER, 0 },
	{ "/run/layers", GUESTPATH_MOUNT | GUESTPATH_LAYER, 0 },
	{ "/run/drivers", GUESTPATH_MOUNT, 0 },
};

static const struct row *row_of(const char *path, enum guestpath_use use)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const size_t len = strlen(rows[i].prefix);

		if (strncmp(path, rows[i].prefix, len) == 0 &&
		    path[len] == '/' && (rows[i].uses & use))
			return &rows[i];
	}
	return NULL;
}

/* Number of components, 0: one of them is empty, "." or "..". */
static unsigned int components(const char *rest)
{
	unsigned int n = 0;

	for (;;) {
		const size_t len = strcspn(rest, "/");

		if (len == 0 || (len == 1 && rest[0] == '.') ||
		    (len == 2 && rest[0] == '.' && rest[1] == '.'))
			return 0;
		n++;
		if (rest[len] == '\0')
			return n;
		rest += len + 1;
	}
}

static bool bytes_ok(const char *path, enum guestpath_use use)
{
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return !(use & (GUESTPATH_SCRATCH | GUESTPATH_LAYER)) ||
	       !strpbrk(path, ":,\\");
}

int guestpath_check(const char *path, enum guestpath_use use, const char *what,
		    struct guestpath *ret, struct err *e)
{
	const struct row *row;
	const char *rest;
	unsigned int n;

	if (strlen(path) >= GUESTPATH_MAX)
		return err_set(e, EINVAL, "%s: over %d bytes", what,
			       GUESTPATH_MAX - 1);
	if (path[0] != '/')
		return err_set(e, EINVAL, "%s: '%s' is not absolute", what,
			       path);
	if (!bytes_ok(path, use))
		return err_set(e, EINVAL, "%s: has a byte that is not allowed",
			       what);
	row = row_of(path, use);
	if (!row)
		return err_set(e, EINVAL,
			       "%s: '%s' is not below a folder for it", what,
			       path);
	rest = path + strlen(row->prefix) + 1;
	n = components(rest);
	if (n == 0)
		return err_set(e, EINVAL,
			       "%s: '%s' has an empty, '.' or '..' component",
			       what, path);
	if (use == GUESTPATH_SCRATCH && n < row->scratch)
		return err_set(e, EINVAL, "%s: '%s' is no folder of its own",
			       what, path);
	*ret = (struct guestpath){ .prefix = row->prefix, .rest = rest };
	return 0;
}

int guestpath_base(int root, const struct guestpath *p, struct err *e)
{
	return beneath_mkdirs(root, p->prefix, BENEATH_STRICT, PREFIX_MODE, e);
}

bool guestpath_id_ok(const char *id)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.+-";
	const size_t len = strlen(id);

	return len >= 1 && len <= ID_MAX && strspn(id, good) == len &&
	       id[0] != '-' && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}
