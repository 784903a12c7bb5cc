#include "tools/qemu/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "tools/qemu/orphan.h"
#include "tools/qemu/remains.h"

/* Folders are made and judged under a lock on the folder above them, so that
 * a new one is never seen unlocked by a process that cleans up. */
#define NAME_PREFIX "uvm-"
#define SHIM_PREFIX "shim-"

const char *rundir_base(void)
{
	static const char *const names[] = { "XDG_RUNTIME_DIR", "TMPDIR" };

	for (size_t i = 0; i < 2; i++) {
		const char *value = getenv(names[i]);

		if (value && value[0] == '/')
			return value;
	}
	return "/tmp";
}

static int open_folder(int parent, const char *name)
{
	return openat(parent, name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Calls @fn with each name in the folder; it may remove what it is given. */
static void each_name(int parent, void (*fn)(void *ctx, const char *name),
		      void *ctx)
{
	int copy = fcntl(parent, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!d) {
		fd_close(&copy);
		return;
	}
	rewinddir(d);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((entry = readdir(d)))
		fn(ctx, entry->d_name);
	(void)closedir(d); /* only read */
}

static void remove_file(void *ctx, const char *name)
{
	(void)unlinkat(*(const int *)ctx, name, 0); /* best effort */
}

/* A folder in it is the bundle of a container that came with its VM. */
static void remove_any(void *ctx, const char *name)
{
	const int dir = *(const int *)ctx;
	cleanup_fd inner = -1;

	if (unlinkat(dir, name, 0) == 0 || errno != EISDIR ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	inner = open_folder(dir, name);
	if (inner < 0)
		return;
	each_name(inner, remove_file, &inner);
	(void)unlinkat(dir, name, AT_REMOVEDIR); /* best effort */
}

/* Removes what is in a folder, two levels deep: there is no more. */
static void empty(int dir)
{
	each_name(dir, remove_any, &dir);
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Another owner may have made one of that name since. */
static bool is_older(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec != b->st_mtim.tv_sec
		       ? a->st_mtim.tv_sec < b->st_mtim.tv_sec
		       : a->st_mtim.tv_nsec <= b->st_mtim.tv_nsec;
}

static void remove_linked_socket(int dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const ssize_t n = readlinkat(dir, RUNDIR_SOCKET, a.sun_path,
				     sizeof(a.sun_path) - 1);
	struct stat link, st;
	cleanup_fd fd = -1;

	if (n <= 0 || a.sun_path[0] != '/' ||
	    fstatat(dir, RUNDIR_SOCKET, &link, AT_SYMLINK_NOFOLLOW) < 0 ||
	    lstat(a.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    !is_older(&st, &link))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 &&
	    errno == ECONNREFUSED)
		(void)unlink(a.sun_path); /* best effort */
}

/* Return: is it gone? Not while its owner lives. */
static bool remove_dead(int parent, const char *name)
{
	cleanup_fd dir = open_folder(parent, name);

	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return false;
	orphan_end(dir);
	if (has_prefix(name, SHIM_PREFIX))
		remains_of_dead(parent, dir, name + strlen(SHIM_PREFIX),
				RUNDIR_LOG);
	remove_linked_socket(dir);
	empty(dir);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0; /* next time, then */
}

/* What a walk over the folders is about. */
struct walk {
	int parent;
	const char *path;
	rundir_fn *fn;
	void *ctx;
};

static void tell(const struct walk *w, const char *name, bool alive)
{
	char path[RUNDIR_MAX + NAME_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", w->path, name);
	if (has_prefix(name, SHIM_PREFIX))
		name += strlen(SHIM_PREFIX);
	if (w->fn)
		w->fn(w->ctx, name, path, alive);
}

static void clean_one(void *ctx, const char *name)
{
	const struct walk *w = ctx;

	if ((has_prefix(name, NAME_PREFIX) || has_prefix(name, SHIM_PREFIX)) &&
	    remove_dead(w->parent, name))
		tell(w, name, false);
}

/* A folder in /tmp can have been made by anybody: it must be ours alone. */
static int parent_open(const char *path, int *ret, struct err *e)
{
	cleanup_fd fd = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return err_set(e, EPERM, "%s is not a private folder of yours",
			       path);
	*ret = fd_take(&fd);
	return 0;
}

/* The folder above all, locked, and its path in @path (PARENT_MAX). */
#define PARENT_MAX (RUNDIR_MAX - sizeof("/" NAME_PREFIX "XXXXXX"))

int rundir_enter(const char *base, char *path, int *ret, struct err *e)
{
	const int n = snprintf(path, PARENT_MAX, "%s/ferry-%u", base,
			       (unsigned int)geteuid());
	cleanup_fd parent = -1;
	int r;

	if (n < 0 || (size_t)n >= PARENT_MAX)
		return err_set(e, ENAMETOOLONG,
			       "%s is too long a path for sockets", base);
	r = parent_open(path, &parent, e);
	if (r < 0)
		return r;
	if (flock(parent, LOCK_EX) < 0)
		return err_sys(e, "lock %s", path);
	*ret = fd_take(&parent);
	return 0;
}

static int lock(int parent, struct rundir *d, struct err *e)
{
	d->lock = open_folder(parent, strrchr(d->path, '/') + 1);
	if (d->lock >= 0 && flock(d->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	(void)err_sys(e, "lock %s", d->path);
	rundir_done(d);
	return -e->code;
}

int rundir_new(const char *base, struct rundir *ret, struct err *e)
{
	char path[PARENT_MAX];
	struct walk w = { .path = path };
	struct rundir d = RUNDIR_NONE;
	cleanup_fd parent = -1;
	int r = rundir_enter(base, path, &parent, e);

	if (r < 0)
		return r;
	w.parent = parent;
	each_name(parent, clean_one, &w);
	(void)snprintf(d.path, sizeof(d.path), "%s/" NAME_PREFIX "XXXXXX",
		       path);
	if (!mkdtemp(d.path))
		return err_sys(e, "make %s", d.path);
	r = lock(parent, &d, e);
	if (r == 0)
		*ret = d;
	return r;
}

int rundir_name_check(const char *name, struct err *e)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_.";
	const size_t n = strlen(name);

	if (n == 0 || n >= RUNDIR_NAME_MAX || strspn(name, set) != n ||
	    strchr("-_.", name[0]))
		return err_set(e, EINVAL,
			       "'%.*s' is not a name: 1 to %d of a-z A-Z 0-9 "
			       "- _ . and no sign first",
			       RUNDIR_NAME_MAX, name, RUNDIR_NAME_MAX - 1);
	return 0;
}

static int path_of(const char *parent, const char *name, char *out,
		   struct err *e)
{
	const int n =
		snprintf(out, RUNDIR_MAX, "%s/" SHIM_PREFIX "%s", parent, name);

	if (n < 0 || n >= RUNDIR_MAX)
		return err_set(e, ENAMETOOLONG,
			       "%s is too long a name below %s", name, parent);
	return 0;
}

int rundir_named(const char *base, const char *name, struct rundir *ret,
		 struct err *e)
{
	char path[PARENT_MAX];
	struct walk w = { .path = path };
	struct rundir d = RUNDIR_NONE;
	cleanup_fd parent = -1;
	int r = rundir_name_check(name, e);

	if (r == 0)
		r = rundir_enter(base, path, &parent, e);
	if (r == 0)
		r = path_of(path, name, d.path, e);
	if (r < 0)
		return r;
	w.parent = parent;
	each_name(parent, clean_one, &w);
	if (mkdir(d.path, 0700) < 0)
		return errno == EEXIST
			       ? err_set(e, EEXIST, "a sandbox %s runs already",
					 name)
			       : err_sys(e, "make %s", d.path);
	r = lock(parent, &d, e);
	if (r == 0)
		*ret = d;
	return r;
}

int rundir_find(const char *base, const char *name, char *ret, struct err *e)
{
	char path[PARENT_MAX];
	char found[RUNDIR_MAX];
	cleanup_fd parent = -1;
	int r = rundir_name_check(name, e);

	if (r == 0)
		r = rundir_enter(base, path, &parent, e);
	if (r == 0)
		r = path_of(path, name, found, e);
	if (r < 0)
		return r;
	if (access(found, F_OK) < 0)
		return err_set(e, ENOENT, "no sandbox %s", name);
	memcpy(ret, found, RUNDIR_MAX);
	return 0;
}

static void look_at(void *ctx, const char *name)
{
	const struct walk *w = ctx;
	cleanup_fd dir = -1;

	if (!has_prefix(name, SHIM_PREFIX))
		return;
	dir = open_folder(w->parent, name);
	/* Under the lock of the folder above, nobody is fooled by ours. */
	if (dir >= 0)
		tell(w, name, flock(dir, LOCK_SH | LOCK_NB) < 0);
}

static int walk(const char *base, void (*visit)(void *ctx, const char *name),
		rundir_fn *fn, void *ctx, struct err *e)
{
	char path[PARENT_MAX];
	struct walk w = { .path = path, .fn = fn, .ctx = ctx };
	cleanup_fd parent = -1;
	const int r = rundir_enter(base, path, &parent, e);

	if (r < 0)
		return r;
	w.parent = parent;
	each_name(parent, visit, &w);
	return 0;
}

int rundir_each(const char *base, rundir_fn *fn, void *ctx, struct err *e)
{
	return walk(base, look_at, fn, ctx, e);
}

int rundir_clean(const char *base, rundir_fn *fn, void *ctx, struct err *e)
{
	return walk(base, clean_one, fn, ctx, e);
}

int rundir_keep_pid(const struct rundir *d, int pid, struct err *e)
{
	return orphan_keep(d->lock, pid, e);
}

void rundir_done(struct rundir *d)
{
	if (d->lock >= 0)
		empty(d->lock);
	if (d->path[0])
		(void)rmdir(d->path); /* the next start tries again */
	d->path[0] = '\0';
	fd_close(&d->lock);
}
