#include "tools/qemu/remains.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/text.h"
#include "config/util.h"
#include "tools/mask.h"

/* What is written before it has its name; the next writer removes it. */
#define UNFINISHED ".new"
/* "20260131T235959Z" */
#define STAMP_LEN 16u
/* Bundles of one second, one sandbox and one reason. */
#define SAME_MAX 9

static int open_folder(int parent, const char *name)
{
	return openat(parent, name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Calls @fn with each name that is a bundle's; @fn may not remove any. */
static void each_bundle(int store, void (*fn)(void *ctx, const char *name),
			void *ctx)
{
	int copy = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!d) {
		fd_close(&copy);
		return;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			fn(ctx, entry->d_name);
	(void)closedir(d); /* only read */
}

/* A bundle has files, no folders. */
static void remove_bundle(int store, const char *name)
{
	cleanup_fd dir = open_folder(store, name);
	int copy = dir < 0 ? -1 : fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!d) {
		fd_close(&copy);
		return;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((entry = readdir(d)))
		(void)unlinkat(dir, entry->d_name, 0); /* best effort */
	(void)closedir(d);
	(void)unlinkat(store, name, AT_REMOVEDIR);
}

/* --- room ------------------------------------------------------------------ */

/* The oldest by its name, which begins with the time. */
struct oldest {
	size_t n;
	char name[NAME_MAX + 1];
};

static void look_for_oldest(void *ctx, const char *name)
{
	struct oldest *o = ctx;

	if (o->n++ == 0 || strcmp(name, o->name) < 0)
		(void)snprintf(o->name, sizeof(o->name), "%s", name);
}

static void make_room(int store)
{
	struct oldest o = { 0 };
	size_t before;

	remove_bundle(store, UNFINISHED);
	do {
		before = o.n;
		o.n = 0;
		each_bundle(store, look_for_oldest, &o);
		if (o.n < REMAINS_MAX || o.n == before)
			return; /* it fits, or the oldest does not go */
		remove_bundle(store, o.name);
	} while (true);
}

/* --- writing ----------------------------------------------------------------- */

static int write_file(int dir, const struct remains_file *f, struct err *e)
{
	const size_t skip =
		f->len > REMAINS_FILE_MAX ? f->len - REMAINS_FILE_MAX : 0;
	cleanup_fd fd = openat(dir, f->name,
			       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_full(fd, f->text + skip, f->len - skip) < 0)
		return err_sys(e, "%s", f->name);
	return 0;
}

static int fill(int store, const struct remains_file *file, size_t n,
		struct err *e)
{
	cleanup_fd dir = -1;
	int r = 0;

	if (mkdirat(store, UNFINISHED, 0700) < 0)
		return err_sys(e, "make a bundle");
	dir = open_folder(store, UNFINISHED);
	if (dir < 0)
		return err_sys(e, "open a bundle");
	for (size_t i = 0; i < n && i < REMAINS_FILES_MAX && r == 0; i++)
		r = write_file(dir, &file[i], e);
	return r;
}

/* Gives the bundle its name, which @out (REMAINS_PATH_MAX) receives. */
static int name_it(int store, const char *name, const char *why, char *out,
		   struct err *e)
{
	const time_t now = time(NULL);
	char stamp[STAMP_LEN + 1] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (int i = 1; i <= SAME_MAX; i++) {
		(void)snprintf(out, REMAINS_PATH_MAX,
			       i > 1 ? "%s-%s-%s.%d" : "%s-%s-%s", stamp, name,
			       why, i);
		if (renameat2(store, UNFINISHED, store, out,
			      RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return err_sys(e, "%s", out);
}

/* In the store of @parent, under its lock; @out receives the name. */
static int write_below(int parent, const char *name, const char *why,
		       const struct remains_file *file, size_t n, char *out,
		       struct err *e)
{
	cleanup_fd store = -1;
	int r;

	if (mkdirat(parent, REMAINS_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", REMAINS_DIR);
	store = open_folder(parent, REMAINS_DIR);
	if (store < 0)
		return err_sys(e, "open %s", REMAINS_DIR);
	make_room(store);
	r = fill(store, file, n, e);
	if (r == 0)
		r = name_it(store, name, why, out, e);
	if (r < 0)
		remove_bundle(store, UNFINISHED);
	return r;
}

int remains_write(const char *base, const char *name, const char *why,
		  const struct remains_file *file, size_t n, char *ret,
		  struct err *e)
{
	char path[RUNDIR_MAX] = "";
	char own[REMAINS_PATH_MAX] = "";
	cleanup_fd parent = -1;
	int r = rundir_name_check(name, e);

	if (r == 0)
		r = rundir_enter(base, path, &parent, e);
	if (r == 0)
		r = write_below(parent, name, why, file, n, own, e);
	if (r < 0)
		return err_wrap(e, "diagnostics");
	(void)snprintf(ret, REMAINS_PATH_MAX, "%s/" REMAINS_DIR "/%.96s", path,
		       own);
	return 0;
}

ssize_t remains_end_of(int fd, char *buf)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	if (st.st_size > (off_t)REMAINS_FILE_MAX)
		(void)lseek(fd, -(off_t)REMAINS_FILE_MAX, SEEK_END);
	return fd_read_full(fd, buf, REMAINS_FILE_MAX);
}

void remains_of_dead(int parent, int dir, const char *name, const char *log)
{
	static const char why[] =
		"The shim of this sandbox died: its log ends where it did.\n";
	char *buf = malloc(REMAINS_FILE_MAX);
	cleanup_fd fd = openat(dir, log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char own[REMAINS_PATH_MAX];
	struct err e;
	const ssize_t n = buf ? remains_end_of(fd, buf) : -1;

	if (n >= 0) {
		mask_text(buf, (size_t)n);
		const struct remains_file file[] = {
			{ "why", why, sizeof(why) - 1 },
			{ "log", buf, (size_t)n },
		};

		(void)write_below(parent, name, REMAINS_SHIM, file,
				  ARRAY_LEN(file), own, &e);
	}
	free(buf);
}

/* --- finding ------------------------------------------------------------------- */

struct newest {
	const char *wanted;
	char name[NAME_MAX + 1];
};

/* TIME-NAME-WHY: the name may have a '-' too, the reason has none. */
static void look_for_newest(void *ctx, const char *name)
{
	struct newest *n = ctx;
	const char *end = strrchr(name, '-');
	const char *own = name + STAMP_LEN + 1;

	if (strlen(name) > STAMP_LEN && name[STAMP_LEN] == '-' && end > own &&
	    (size_t)(end - own) == strlen(n->wanted) &&
	    strncmp(own, n->wanted, strlen(n->wanted)) == 0 &&
	    strcmp(name, n->name) > 0)
		(void)snprintf(n->name, sizeof(n->name), "%s", name);
}

int remains_find(const char *base, const char *name, char *ret, struct err *e)
{
	struct newest n = { .wanted = name };
	char path[RUNDIR_MAX] = "";
	cleanup_fd parent = -1;
	cleanup_fd store = -1;
	int r = rundir_enter(base, path, &parent, e);

	if (r < 0)
		return r;
	store = open_folder(parent, REMAINS_DIR);
	if (store >= 0)
		each_bundle(store, look_for_newest, &n);
	if (n.name[0] == '\0')
		return err_set(e, ENOENT, "%s has left nothing", name);
	(void)snprintf(ret, REMAINS_PATH_MAX, "%s/" REMAINS_DIR "/%.96s", path,
		       n.name);
	return 0;
}
