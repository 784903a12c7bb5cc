#include "bridge/guest/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

/* Tries while others rename (EAGAIN): a lone attacker loses some in a row. */
#define TRIES_MAX 1000
/* Names tried for a temporary file. */
#define NAMES_MAX 100

static const uint64_t resolve_flags[] = {
	[BENEATH_STRICT] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	[BENEATH_INSIDE] = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	[BENEATH_ROOTFS] = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
};

static const char *relative(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

/* As openat2(), with the errno and no words. */
static int resolve(int dir, const char *path, enum beneath how, int flags,
		   mode_t mode)
{
	const struct open_how h = {
		.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC |
			 (flags & O_PATH ? 0 : O_NOCTTY),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = resolve_flags[how],
	};

	for (int i = 0; i < TRIES_MAX; i++) {
		const long fd = syscall(SYS_openat2, dir, relative(path), &h,
					sizeof(h));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

int beneath_open(int dir, const char *path, enum beneath how, int flags,
		 mode_t mode, struct err *e)
{
	const int fd = resolve(dir, path, how, flags, mode);

	return fd >= 0 ? fd : err_set(e, -fd, "%s: %s", path, strerror(-fd));
}

static bool is_dots(const char *name, size_t len)
{
	return (len == 1 && name[0] == '.') ||
	       (len == 2 && name[0] == '.' && name[1] == '.');
}

int beneath_parent(int dir, const char *path, enum beneath how,
		   const char **ret_name, struct err *e)
{
	char up[BENEATH_PATH_MAX];
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const size_t len = (size_t)(name - path);
	int fd;

	if (*name == '\0' || is_dots(name, strlen(name)))
		return err_set(e, EINVAL, "%s: no name at the end", path);
	if (len >= sizeof(up))
		return err_set(e, ENAMETOOLONG, "a path is too long");
	memcpy(up, path, len);
	up[len] = '\0';
	fd = resolve(dir, up, how, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return err_set(e, -fd, "%s: %s", path, strerror(-fd));
	*ret_name = name;
	return fd;
}

/*
 * Makes the last component of @path in @parent, and opens what is there then.
 * What was made is opened by its name, as no link: whoever replaces it in
 * between gets an error.
 */
static int make_dir(int parent, const char *name, mode_t mode)
{
	cleanup_fd fd = -1;

	if (mkdirat(parent, name, 0700) < 0)
		return -errno;
	fd = resolve(parent, name, BENEATH_STRICT, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	if (fchmod(fd, mode) < 0)
		return -errno;
	return fd_take(&fd);
}

/* One more component: @path up to it is resolved anew from @dir. */
static int step(int dir, int parent, const char *path, const char *name,
		enum beneath how, mode_t mode)
{
	int fd = resolve(dir, path, how, O_PATH | O_DIRECTORY, 0);

	if (fd != -ENOENT)
		return fd;
	fd = make_dir(parent, name, mode);
	if (fd == -EEXIST) /* a race, or a link that leads nowhere */
		fd = resolve(dir, path, how, O_PATH | O_DIRECTORY, 0);
	return fd;
}

int beneath_mkdirs(int dir, const char *path, enum beneath how, mode_t mode,
		   struct err *e)
{
	char part[BENEATH_PATH_MAX];
	const char *at = path;
	size_t used = 0;
	cleanup_fd fd = resolve(dir, ".", how, O_PATH | O_DIRECTORY, 0);

	for (int n = 0; fd >= 0; n++) {
		const char *name;
		size_t len;
		int next;

		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (len == 0)
			return fd_take(&fd);
		if (n == BENEATH_PARTS_MAX || used + len + 2 > sizeof(part))
			return err_set(e, ENAMETOOLONG, "a path is too long");
		if (is_dots(at, len))
			return err_set(e, EINVAL, "%s: has a '.' or '..'",
				       path);
		if (used)
			part[used++] = '/';
		name = memcpy(part + used, at, len);
		used += len;
		part[used] = '\0';
		at += len;
		next = step(dir, fd, part, name, how, mode);
		fd_close(&fd);
		fd = next;
	}
	return err_set(e, -fd, "directory %s: %s", path, strerror(-fd));
}

/* A new file in @parent under a name that nobody has, open for writing. */
static int make_temporary(int parent, char *name, size_t size)
{
	static unsigned int count;

	for (int i = 0; i < NAMES_MAX; i++) {
		int fd;

		(void)snprintf(name, size, ".ferry-%d-%u", (int)getpid(),
			       count++);
		fd = openat(parent, name,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
				    O_CLOEXEC,
			    0600);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
}

int beneath_write(int dir, const char *path, enum beneath how, const void *data,
		  size_t size, mode_t mode, struct err *e)
{
	char temporary[48];
	const char *name = "";
	int r;
	cleanup_fd parent = beneath_parent(dir, path, how, &name, e);
	cleanup_fd fd = -1;

	if (parent < 0)
		return parent;
	fd = make_temporary(parent, temporary, sizeof(temporary));
	if (fd < 0)
		return err_set(e, -fd, "%s: %s", path, strerror(-fd));
	r = fd_write_full(fd, data, size);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && renameat(parent, temporary, parent, name) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	(void)unlinkat(parent, temporary, 0); /* it failed already */
	return err_set(e, -r, "%s: %s", path, strerror(-r));
}

int beneath_read(int dir, const char *path, enum beneath how, size_t max,
		 struct text *out, struct err *e)
{
	char buf[4096];
	struct stat st;
	size_t got = 0;
	ssize_t n;
	cleanup_fd fd =
		beneath_open(dir, path, how, O_RDONLY | O_NONBLOCK, 0, e);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: no regular file", path);
	while ((n = fd_read_full(fd, buf, sizeof(buf))) > 0) {
		got += (size_t)n;
		if (got > max)
			return err_set(e, EFBIG, "%s: over %zu bytes", path,
				       max);
		text_addn(out, buf, (size_t)n);
	}
	if (n < 0)
		return err_set(e, (int)-n, "%s: %s", path, strerror((int)-n));
	return out->full ? err_set(e, ENOMEM, "%s: no memory", path) : 0;
}

int beneath_symlink(int dir, const char *path, enum beneath how,
		    const char *target, struct err *e)
{
	char now[BENEATH_PATH_MAX];
	const char *name = "";
	ssize_t n;
	cleanup_fd parent = beneath_parent(dir, path, how, &name, e);

	if (parent < 0)
		return parent;
	if (symlinkat(target, parent, name) == 0)
		return 0;
	if (errno == EEXIST) {
		n = readlinkat(parent, name, now, sizeof(now));
		if (n >= 0 && (size_t)n == strlen(target) &&
		    memcmp(now, target, (size_t)n) == 0)
			return 0;
		errno = EEXIST;
	}
	return err_sys(e, "link %s", path);
}

int beneath_unlink(int dir, const char *path, enum beneath how, int flags,
		   struct err *e)
{
	const char *name = "";
	cleanup_fd parent = beneath_parent(dir, path, how, &name, e);

	if (parent == -ENOENT)
		return 0;
	if (parent < 0)
		return parent;
	if (unlinkat(parent, name, flags) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	return 0;
}

/* A file is made with an open of its own; a directory as mkdir -p does. */
static int make_file(int dir, const char *path, enum beneath how, mode_t mode,
		     struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char up[BENEATH_PATH_MAX];
	cleanup_fd parent = -1;
	cleanup_fd fd = -1;

	if (*name == '\0' || is_dots(name, strlen(name)))
		return err_set(e, EINVAL, "%s: no name at the end", path);
	if ((size_t)(name - path) >= sizeof(up))
		return err_set(e, ENAMETOOLONG, "a path is too long");
	(void)snprintf(up, sizeof(up), "%.*s", (int)(name - path), path);
	parent = beneath_mkdirs(dir, up, how, mode | 0111, e);
	if (parent < 0)
		return parent;
	fd = openat(parent, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return err_sys(e, "%s", path);
	if (fd >= 0 && fchmod(fd, mode) < 0)
		return err_sys(e, "%s", path);
	return 0;
}

int beneath_target(int dir, const char *path, enum beneath how, bool directory,
		   mode_t mode, struct err *e)
{
	struct stat st;
	int r;
	cleanup_fd fd = resolve(dir, path, how, O_PATH, 0);

	if (fd == -ENOENT && directory)
		return beneath_mkdirs(dir, path, how, mode, e);
	if (fd == -ENOENT) {
		r = make_file(dir, path, how, mode, e);
		if (r < 0)
			return r;
		fd = resolve(dir, path, how, O_PATH, 0);
	}
	if (fd < 0)
		return err_set(e, -fd, "%s: %s", path, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (!!S_ISDIR(st.st_mode) != directory)
		return err_set(e, directory ? ENOTDIR : EISDIR, "%s: is %s",
			       path,
			       directory ? "no directory" : "a directory");
	return fd_take(&fd);
}

/*
 * The last component is a name in the directory whose descriptor the path
 * goes through: it is not followed, and the descriptor pins the mount above,
 * not the one that shall go.
 */
int beneath_unmount(int dir, const char *path, enum beneath how, int flags,
		    struct err *e)
{
	char at[BENEATH_PROC_MAX + BENEATH_PATH_MAX];
	const char *name = "";
	cleanup_fd parent = beneath_parent(dir, path, how, &name, e);
	int n;

	if (parent < 0)
		return parent;
	n = snprintf(at, sizeof(at), "/proc/self/fd/%d/%s", parent, name);
	if (n < 0 || (size_t)n >= sizeof(at))
		return err_set(e, ENAMETOOLONG, "a path is too long");
	if (umount2(at, flags | UMOUNT_NOFOLLOW) < 0)
		return err_sys(e, "unmount %s", path);
	return 0;
}

const char *beneath_proc(int fd, char *buf)
{
	(void)snprintf(buf, BENEATH_PROC_MAX, "/proc/self/fd/%d", fd);
	return buf;
}
