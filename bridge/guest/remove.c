/*
 * Theory of operation: beneath_remove() walks the tree with one open
 * directory a level, to a depth of DEPTH_MAX. A directory that lies deeper is
 * first renamed into the top of the tree, where a later pass meets it near the
 * surface: a container may nest as deep as it likes. A pass removes what it
 * can. At the top passes go on while they make progress; further down what
 * cannot be removed ends them, or each level would double the work below it.
 */
#include "bridge/guest/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/io/fd.h"

#define DEPTH_MAX 32
/* Passes over one directory to which others keep adding. */
#define PASSES_MAX 64

/**
 * struct removal - one tree on its way out
 * @top:	descriptor of the tree's top
 * @moved:	directories that were moved there, for their names
 * @first:	first failure as -errno, 0: none
 */
struct removal {
	int top;
	unsigned int moved;
	int first;
};

static void failed(struct removal *m, int error)
{
	if (m->first == 0)
		m->first = -error;
}

/* A directory of this mount, by its one name. */
static int enter(int dir, const char *name)
{
	const struct open_how h = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve =
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dir, name, &h, sizeof(h));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	if (fd >= 0)
		return (int)fd;
	return errno == EXDEV ? -EBUSY : -errno;
}

/* Out of the depth, to the top, under a name that nobody has. */
static int move_up(struct removal *m, int dir, const char *name)
{
	char up[32];
	int r;

	do {
		(void)snprintf(up, sizeof(up), ".ferry-%u", m->moved++);
		r = syscall(SYS_renameat2, dir, name, m->top, up,
			    RENAME_NOREPLACE) < 0
			    ? errno
			    : 0;
	} while (r == EEXIST);
	return -r;
}

static bool empty(struct removal *m, int *fd, int depth);

/* Return: the name is gone (or moved to where a later pass finds it) */
static bool remove_name(struct removal *m, int dir, const char *name, int depth)
{
	int fd, r;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM && errno != EBUSY) {
		failed(m, errno);
		return false;
	}
	r = errno;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return true;
	if (errno == ENOTDIR) { /* a file with a mount, or an immutable one */
		failed(m, r);
		return false;
	}
	if (errno != ENOTEMPTY && errno != EEXIST) {
		failed(m, errno);
		return false;
	}
	if (depth >= DEPTH_MAX && (r = move_up(m, dir, name)) == 0)
		return true;
	fd = depth >= DEPTH_MAX ? r : enter(dir, name);
	if (fd < 0) {
		failed(m, -fd);
		return false;
	}
	if (!empty(m, &fd, depth + 1))
		return false;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return true;
	failed(m, errno);
	return false;
}

/* One pass. Return: entries that are still there; *@gone counts the others */
static size_t pass(struct removal *m, DIR *d, int depth, size_t *gone)
{
	const struct dirent *entry;
	size_t left = 0;

	*gone = 0;
	rewinddir(d);
	while ((entry = readdir(d))) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_name(m, dirfd(d), entry->d_name, depth))
			++*gone;
		else
			left++;
	}
	return left;
}

/* Takes *@fd. Return: nothing is left in it, as far as this could see */
static bool empty(struct removal *m, int *fd, int depth)
{
	DIR *d = fdopendir(*fd);
	size_t left, gone;

	if (!d) {
		failed(m, errno);
		fd_close(fd);
		return false;
	}
	*fd = -1;
	for (int i = 0; depth == 0 || i < PASSES_MAX; i++) {
		left = pass(m, d, depth, &gone);
		if (gone == 0 || (depth > 0 && left > 0))
			break;
	}
	(void)closedir(d);
	return left == 0;
}

int beneath_remove(int dir, const char *path, enum beneath how, struct err *e)
{
	struct removal m = { .top = -1 };
	const char *name = "";
	int fd;
	cleanup_fd parent = beneath_parent(dir, path, how, &name, e);

	if (parent == -ENOENT)
		return 0;
	if (parent < 0)
		return parent;
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	fd = enter(parent, name);
	if (fd < 0)
		return err_set(e, -fd, "remove %s: %s", path,
			       fd == -EBUSY ? "a mount" : strerror(-fd));
	m.top = fd;
	(void)empty(&m, &fd, 0);
	if (m.first == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		failed(&m, errno);
	if (m.first < 0)
		return err_set(e, -m.first, "remove %s: %s", path,
			       strerror(-m.first));
	return 0;
}
