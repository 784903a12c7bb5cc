#include "bridge/guest/mnt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/io/fd.h"
#include "config/util.h"

/*
 * The kernel's numbers (linux/mount.h): that header and the C libraries'
 * sys/mount.h cannot be included together.
 */
#define API_FSOPEN_CLOEXEC 1u
#define API_FSMOUNT_CLOEXEC 1u
#define API_ATTR_RDONLY 1u
#define API_CONFIG_FLAG 0u
#define API_CONFIG_STRING 1u
#define API_CONFIG_CREATE 6u
#define API_MOVE_F_EMPTY 0x04u
#define API_MOVE_T_EMPTY 0x40u
#define API_OPEN_TREE_CLONE 1u
#define API_OPEN_TREE_CLOEXEC ((unsigned int)O_CLOEXEC)
#define API_RECURSIVE 0x8000u /* AT_RECURSIVE */

/* linux/fs.h */
#define PROPAGATE_UNBINDABLE ((uint64_t)1 << 17)
#define PROPAGATE_PRIVATE ((uint64_t)1 << 18)
#define PROPAGATE_SLAVE ((uint64_t)1 << 19)
#define PROPAGATE_SHARED ((uint64_t)1 << 20)

/* struct mount_attr */
struct attr {
	uint64_t set;
	uint64_t clear;
	uint64_t propagation;
	uint64_t userns;
};

static const struct propagation {
	const char *name;
	uint64_t flag;
	unsigned int at;
} propagations[] = {
	{ "private", PROPAGATE_PRIVATE, 0 },
	{ "rprivate", PROPAGATE_PRIVATE, API_RECURSIVE },
	{ "shared", PROPAGATE_SHARED, 0 },
	{ "rshared", PROPAGATE_SHARED, API_RECURSIVE },
	{ "slave", PROPAGATE_SLAVE, 0 },
	{ "rslave", PROPAGATE_SLAVE, API_RECURSIVE },
	{ "unbindable", PROPAGATE_UNBINDABLE, 0 },
	{ "runbindable", PROPAGATE_UNBINDABLE, API_RECURSIVE },
};

/* The kernel's own words about a failure, if it has any, else errno's. */
static int fs_error(int fs, const char *type, const char *source, struct err *e)
{
	const int code = errno > 0 ? errno : EIO;
	char line[160];

	for (;;) {
		const ssize_t n = read(fs, line, sizeof(line) - 1);

		if (n <= 0)
			break;
		line[n] = '\0';
		if (line[0] != 'e')
			continue;
		return err_set(e, code, "mount %s %s: %s (%s)", type, source,
			       n > 2 ? line + 2 : "", strerror(code));
	}
	return err_set(e, code, "mount %s %s: %s", type, source,
		       strerror(code));
}

static int configure(int fs, const struct mnt_option *o)
{
	return (int)syscall(SYS_fsconfig, fs,
			    o->value ? API_CONFIG_STRING : API_CONFIG_FLAG,
			    o->key, o->value, 0);
}

int mnt_new(const char *type, const char *source,
	    const struct mnt_option *option, size_t n, bool read_only,
	    struct err *e)
{
	const struct mnt_option from = { "source", source };
	const struct mnt_option ro = { "ro", NULL };
	cleanup_fd fs = (int)syscall(SYS_fsopen, type, API_FSOPEN_CLOEXEC);
	int mnt;

	if (fs < 0 && errno == ENODEV)
		return err_set(e, ENODEV, "this kernel has no file system '%s'",
			       type);
	if (fs < 0)
		return err_sys(e, "mount %s", type);
	if (configure(fs, &from) < 0 || (read_only && configure(fs, &ro) < 0))
		return fs_error(fs, type, source, e);
	for (size_t i = 0; i < n; i++) {
		if (configure(fs, &option[i]) < 0)
			return fs_error(fs, type, source, e);
	}
	if (syscall(SYS_fsconfig, fs, API_CONFIG_CREATE, NULL, NULL, 0) < 0)
		return fs_error(fs, type, source, e);
	mnt = (int)syscall(SYS_fsmount, fs, API_FSMOUNT_CLOEXEC,
			   read_only ? API_ATTR_RDONLY : 0u);
	return mnt < 0 ? fs_error(fs, type, source, e) : mnt;
}

int mnt_clone(int dir, bool read_only, struct err *e)
{
	const struct attr attr = { .set = API_ATTR_RDONLY };
	cleanup_fd mnt =
		(int)syscall(SYS_open_tree, dir, "",
			     (unsigned int)AT_EMPTY_PATH | API_OPEN_TREE_CLONE |
				     API_OPEN_TREE_CLOEXEC);

	if (mnt < 0)
		return err_sys(e, "bind mount");
	if (read_only &&
	    syscall(SYS_mount_setattr, mnt, "", (unsigned int)AT_EMPTY_PATH,
		    &attr, sizeof(attr)) < 0)
		return err_sys(e, "bind mount, read-only");
	return fd_take(&mnt);
}

int mnt_attach(int mnt, int target, struct err *e)
{
	if (syscall(SYS_move_mount, mnt, "", target, "",
		    API_MOVE_F_EMPTY | API_MOVE_T_EMPTY) < 0)
		return err_sys(e, "attach a mount");
	return 0;
}

/* Opens the directory that the path's prefix is. */
static int open_base(int root, const char *path, enum guestpath_use use,
		     struct guestpath *p, struct err *e)
{
	const int r = guestpath_check(path, use, "path", p, e);

	return r < 0 ? r : guestpath_base(root, p, e);
}

int mnt_put_page(int root, const char *path, enum guestpath_use use,
		 mode_t mode, const char *type, const char *data,
		 bool read_only, struct err *e)
{
	char at[BENEATH_PROC_MAX];
	struct guestpath p;
	cleanup_fd target = -1;
	cleanup_fd base = open_base(root, path, use, &p, e);
	int r = 0;

	if (base < 0)
		return base;
	target = beneath_target(base, p.rest, BENEATH_STRICT, true, mode, e);
	if (target < 0)
		r = target;
	else if (mount(type, beneath_proc(target, at), type,
		       read_only ? MS_RDONLY : 0, data) < 0)
		r = err_sys(e, "mount %s", type);
	if (r < 0)
		(void)beneath_unlink(base, p.rest, BENEATH_STRICT, AT_REMOVEDIR,
				     NULL);
	return r;
}

int mnt_put(int root, const char *path, enum guestpath_use use, mode_t mode,
	    int mnt, struct err *e)
{
	struct guestpath p;
	cleanup_fd target = -1;
	cleanup_fd base = open_base(root, path, use, &p, e);
	int r;

	if (base < 0)
		return base;
	target = beneath_target(base, p.rest, BENEATH_STRICT, true, mode, e);
	r = target < 0 ? target : mnt_attach(mnt, target, e);
	if (r < 0)
		(void)beneath_unlink(base, p.rest, BENEATH_STRICT, AT_REMOVEDIR,
				     NULL);
	return r;
}

void mnt_take_back(int root, const char *path, enum guestpath_use use)
{
	struct guestpath p;
	cleanup_fd base = open_base(root, path, use, &p, NULL);

	if (base < 0)
		return;
	(void)beneath_unmount(base, p.rest, BENEATH_STRICT, 0, NULL);
	(void)beneath_unlink(base, p.rest, BENEATH_STRICT, AT_REMOVEDIR, NULL);
}

static const struct propagation *find(const char *flag)
{
	for (size_t i = 0; i < ARRAY_LEN(propagations); i++) {
		if (strcmp(propagations[i].name, flag) == 0)
			return &propagations[i];
	}
	return NULL;
}

bool mnt_is_propagation(const char *flag)
{
	return find(flag) != NULL;
}

int mnt_propagate(int mnt, const char *flag, struct err *e)
{
	const struct propagation *p = find(flag);
	const struct attr attr = { .propagation = p ? p->flag : 0 };

	if (!p)
		return err_set(e, EINVAL, "'%s' is no propagation", flag);
	if (syscall(SYS_mount_setattr, mnt, "",
		    (unsigned int)AT_EMPTY_PATH | p->at, &attr,
		    sizeof(attr)) < 0)
		return err_sys(e, "propagation '%s'", flag);
	return 0;
}

int mnt_remove(int root, const char *path, enum guestpath_use use,
	       struct err *e)
{
	struct guestpath p;
	int n = 0;
	cleanup_fd base = -1;
	int r = guestpath_check(path, use, "path", &p, e);

	if (r < 0)
		return r;
	base = beneath_open(root, p.prefix, BENEATH_STRICT,
			    O_PATH | O_DIRECTORY, 0, e);
	if (base < 0)
		return base == -ENOENT ? 0 : base;
	while (n < MNT_STACKED_MAX) {
		r = beneath_unmount(base, p.rest, BENEATH_STRICT, 0, e);
		if (r < 0)
			break;
		n++;
	}
	if (r == -ENOENT)
		return n;
	/* A mount point is pinned, and found without its disk. */
	if (r < 0 && r != -EINVAL && r != -EIO)
		return r;
	if (n > 0)
		r = beneath_remove(base, p.rest, BENEATH_STRICT, e);
	else
		r = beneath_unlink(base, p.rest, BENEATH_STRICT, AT_REMOVEDIR,
				   NULL);
	return n > 0 && r < 0 ? r : n;
}
