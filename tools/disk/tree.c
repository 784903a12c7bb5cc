#include "tools/disk/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"

struct walk {
	struct tree_sum sum;
	dev_t device;
	struct err *e;
};

static uint64_t blocks_of(uint64_t bytes)
{
	return bytes / TREE_BLOCK + (bytes % TREE_BLOCK != 0);
}

/* A file with several names counts where its first one stands, or in parts. */
static void count(struct walk *w, const struct stat *st)
{
	const uint64_t links = st->st_nlink ? st->st_nlink : 1;
	const uint64_t size = st->st_size > 0 ? (uint64_t)st->st_size : 0;

	w->sum.files++;
	if (st->st_mtime > w->sum.newest_s)
		w->sum.newest_s = st->st_mtime;
	if (S_ISREG(st->st_mode)) {
		w->sum.bytes += size / links;
		w->sum.blocks += blocks_of(size / links);
	} else if (S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode)) {
		w->sum.blocks += blocks_of(size);
	}
}

static int visit(struct walk *w, int dir, const char *name, int depth);

/* @fd is taken. */
static int visit_all(struct walk *w, int fd, const char *name, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *n;
	int r = 0;

	if (!d) {
		r = err_sys(w->e, "%s", name);
		fd_close(&fd);
		return r;
	}
	while (r == 0) {
		errno = 0;
		n = readdir(d);
		if (!n)
			break;
		if (strcmp(n->d_name, ".") != 0 && strcmp(n->d_name, "..") != 0)
			r = visit(w, dirfd(d), n->d_name, depth);
	}
	if (r == 0 && errno != 0)
		r = err_sys(w->e, "%s", name);
	(void)closedir(d);
	return r;
}

static int visit(struct walk *w, int dir, const char *name, int depth)
{
	struct stat st;
	int fd;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(w->e, "%s", name);
	count(w, &st);
	if (w->sum.files > TREE_FILES_MAX)
		return err_set(w->e, E2BIG, "more than %u files",
			       TREE_FILES_MAX);
	if (S_ISREG(st.st_mode) &&
	    faccessat(dir, name, R_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(w->e, "%s", name);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (st.st_dev != w->device)
		return err_set(w->e, EXDEV,
			       "%s: another file system is mounted there",
			       name);
	if (depth == TREE_DEPTH_MAX)
		return err_set(w->e, E2BIG, "%s: %d folders in each other",
			       name, TREE_DEPTH_MAX);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(w->e, "%s", name);
	r = visit_all(w, fd, name, depth + 1);
	return r < 0 && depth > 0 ? err_wrap(w->e, "%s", name) : r;
}

int tree_measure(const char *path, struct tree_sum *ret, struct err *e)
{
	struct walk w = { .e = e };
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(e, "%s", path);
	if (fstat(fd, &st) < 0) {
		r = err_sys(e, "%s", path);
		fd_close(&fd);
		return r;
	}
	w.device = st.st_dev;
	count(&w, &st);
	r = visit_all(&w, fd, path, 0);
	if (r < 0)
		return err_wrap(e, "%s", path);
	*ret = w.sum;
	return 0;
}
