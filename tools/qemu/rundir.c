#include "tools/qemu/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"

/* Folders are made and judged under a lock on the folder above them, so that
 * a new one is never seen unlocked by a process that cleans up. */
#define NAME_PREFIX "uvm-"

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

/* Removes what is in a folder, one level deep: nothing there is a folder. */
static void empty(int dir)
{
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!d) {
		fd_close(&copy);
		return;
	}
	rewinddir(d);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(dir, entry->d_name, 0); /* best effort */
	(void)closedir(d);				       /* only read */
}

static void remove_dead(int parent, const char *name)
{
	cleanup_fd dir = openat(
		parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return; /* its owner lives */
	empty(dir);
	(void)unlinkat(parent, name, AT_REMOVEDIR); /* next time, then */
}

static void clean(int parent)
{
	int copy = fcntl(parent, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!d) {
		fd_close(&copy);
		return;
	}
	while ((entry = readdir(d)))
		if (strncmp(entry->d_name, NAME_PREFIX,
			    sizeof(NAME_PREFIX) - 1) == 0)
			remove_dead(parent, entry->d_name);
	(void)closedir(d); /* only read */
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

static int make(int parent, struct rundir *d, struct err *e)
{
	if (!mkdtemp(d->path))
		return err_sys(e, "make %s", d->path);
	d->lock = openat(parent, strrchr(d->path, '/') + 1,
			 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->lock >= 0 && flock(d->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	(void)err_sys(e, "lock %s", d->path);
	rundir_done(d);
	return -e->code;
}

int rundir_new(const char *base, struct rundir *ret, struct err *e)
{
	char parent_path[RUNDIR_MAX - sizeof("/" NAME_PREFIX "XXXXXX")];
	struct rundir d = RUNDIR_NONE;
	cleanup_fd parent = -1;
	int n;
	int r;

	n = snprintf(parent_path, sizeof(parent_path), "%s/ferry-%u", base,
		     (unsigned int)geteuid());
	if (n < 0 || (size_t)n >= sizeof(parent_path))
		return err_set(e, ENAMETOOLONG,
			       "%s is too long a path for sockets", base);
	r = parent_open(parent_path, &parent, e);
	if (r < 0)
		return r;
	if (flock(parent, LOCK_EX) < 0)
		return err_sys(e, "lock %s", parent_path);
	clean(parent);
	(void)snprintf(d.path, sizeof(d.path), "%s/" NAME_PREFIX "XXXXXX",
		       parent_path);
	r = make(parent, &d, e);
	if (r < 0)
		return r;
	*ret = d;
	return 0;
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
