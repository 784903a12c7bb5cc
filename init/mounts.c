#include "init/mounts.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/util.h"

#define NDSE (MS_NODEV | MS_NOSUID | MS_NOEXEC)

enum kind {
	MOUNT,
	MOUNT_OR_BUSY, /* the kernel may have mounted it already */
	DIRECTORY,     /* mode 0755; there already is fine */
	LINK,	       /* @source: what it points to; there already is fine */
};

/* One step; which members count follows from @kind. */
struct step {
	enum kind kind;
	const char *target;
	const char *source;
	const char *type;
	unsigned long flags;
	const char *data;
};

/* Targets, types, flags and order: shared specification cmdline.md 8.2. */
/* clang-format off */
static const struct step dev[] = {
	{ MOUNT_OR_BUSY, "/dev", "devtmpfs", "devtmpfs",
	  MS_NOSUID | MS_NOEXEC, NULL },
};

static const struct step base[] = {
	{ MOUNT, "/proc", "proc", "proc", NDSE, NULL },
	{ LINK, "/dev/fd", "/proc/self/fd", NULL, 0, NULL },
	{ LINK, "/dev/stdin", "/proc/self/fd/0", NULL, 0, NULL },
	{ LINK, "/dev/stdout", "/proc/self/fd/1", NULL, 0, NULL },
	{ LINK, "/dev/stderr", "/proc/self/fd/2", NULL, 0, NULL },
	{ MOUNT, "/run", "tmpfs", "tmpfs", NDSE, "mode=0755" },
	{ MOUNT, "/tmp", "tmpfs", "tmpfs", NDSE, NULL },
	{ DIRECTORY, "/dev/shm", NULL, NULL, 0, NULL },
	{ MOUNT, "/dev/shm", "shm", "tmpfs", NDSE, NULL },
	{ DIRECTORY, "/dev/pts", NULL, NULL, 0, NULL },
	{ MOUNT, "/dev/pts", "devpts", "devpts", MS_NOSUID | MS_NOEXEC, NULL },
	{ MOUNT, "/sys", "sysfs", "sysfs", NDSE, NULL },
};

static const struct step overlay[] = {
	{ DIRECTORY, "/run/over", NULL, NULL, 0, NULL },
	{ MOUNT, "/run/over", "tmpfs", "tmpfs", NDSE, "size=40%,mode=0755" },
	{ DIRECTORY, "/run/over/etc", NULL, NULL, 0, NULL },
	{ DIRECTORY, "/run/over/etc/upper", NULL, NULL, 0, NULL },
	{ DIRECTORY, "/run/over/etc/work", NULL, NULL, 0, NULL },
	{ MOUNT, "/etc", "overlay", "overlay", NDSE,
	  "lowerdir=/etc,upperdir=/run/over/etc/upper,"
	  "workdir=/run/over/etc/work" },
	{ DIRECTORY, "/run/over/var", NULL, NULL, 0, NULL },
	{ DIRECTORY, "/run/over/var/upper", NULL, NULL, 0, NULL },
	{ DIRECTORY, "/run/over/var/work", NULL, NULL, 0, NULL },
	{ MOUNT, "/var", "overlay", "overlay", MS_NODEV | MS_NOSUID,
	  "lowerdir=/var,upperdir=/run/over/var/upper,"
	  "workdir=/run/over/var/work" },
};
/* clang-format on */

static int run_one(const struct step *s, struct err *e)
{
	switch (s->kind) {
	case MOUNT:
	case MOUNT_OR_BUSY:
		if (mount(s->source, s->target, s->type, s->flags, s->data) <
			    0 &&
		    !(s->kind == MOUNT_OR_BUSY && errno == EBUSY))
			return err_sys(e, "mount %s on %s", s->type, s->target);
		break;
	case DIRECTORY:
		if (mkdir(s->target, 0755) < 0 && errno != EEXIST)
			return err_sys(e, "mkdir %s", s->target);
		break;
	case LINK:
		if (symlink(s->source, s->target) < 0 && errno != EEXIST)
			return err_sys(e, "symlink %s", s->target);
		break;
	}
	return 0;
}

static int run_all(const struct step *steps, size_t n, struct err *e)
{
	int r;

	for (size_t i = 0; i < n; i++) {
		r = run_one(&steps[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

int mounts_dev(struct err *e)
{
	return run_all(dev, ARRAY_LEN(dev), e);
}

int mounts_base(struct err *e)
{
	return run_all(base, ARRAY_LEN(base), e);
}

int mounts_overlay(struct err *e)
{
	return run_all(overlay, ARRAY_LEN(overlay), e);
}
