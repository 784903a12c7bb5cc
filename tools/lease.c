#include "tools/lease.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "migration/status.h"

void lease_init(struct lease *l, const char *name)
{
	char host[64] = "";

	*l = (struct lease){ .fd = -1 };
	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(l->owner, sizeof(l->owner), "%s:%.40s (%d)", host, name,
		       (int)getpid());
}

void lease_close(struct lease *l)
{
	fd_close(&l->fd);
	l->held = false;
}

/* --- the lock and the record -------------------------------------------------- */

static struct flock whole(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET };
}

/* Return: 1 locked, 0 another one has it, -errno */
static int lock(int fd)
{
	struct flock f = whole(F_WRLCK);

	if (fcntl(fd, F_OFD_SETLK, &f) == 0)
		return 1;
	return errno == EAGAIN || errno == EACCES ? 0 : -errno;
}

static int read_record(int fd, struct lease_record *ret, struct err *e)
{
	char bytes[LEASE_BYTES];
	const ssize_t n = pread(fd, bytes, sizeof(bytes), 0);

	if (n < 0)
		return err_sys(e, "lease");
	return lease_get(bytes, (size_t)n, ret, e);
}

static int write_record(int fd, const struct lease_record *r, struct err *e)
{
	char bytes[LEASE_BYTES];
	ssize_t n;

	lease_put(r, bytes);
	n = pwrite(fd, bytes, sizeof(bytes), 0);
	if (n >= 0 && n != (ssize_t)sizeof(bytes))
		return err_set(e, EIO, "lease: written in part");
	if (n < 0 || fdatasync(fd) < 0)
		return err_sys(e, "lease");
	return 0;
}

static struct lease_record record(const struct lease *l, const char *machine,
				  uint64_t epoch)
{
	struct lease_record r = { .epoch = epoch };

	(void)snprintf(r.machine, sizeof(r.machine), "%s", machine);
	(void)snprintf(r.owner, sizeof(r.owner), "%s", l->owner);
	return r;
}

/* --- the source --------------------------------------------------------------- */

static void name_by_fd(struct lease *l)
{
	l->named = false;
	(void)snprintf(l->path, sizeof(l->path), "/proc/%d/fd/%d",
		       (int)getpid(), l->fd);
}

/* Does the name still lead to our file? Others go by the name. */
static bool still_there(const struct lease *l)
{
	struct stat ours, there;

	if (l->fd < 0)
		return false;
	return !l->named ||
	       (stat(l->path, &there) == 0 && fstat(l->fd, &ours) == 0 &&
		ours.st_dev == there.st_dev && ours.st_ino == there.st_ino);
}

static int make(struct lease *made, const char *path, struct err *e)
{
	struct stat st;

	if (!*path) {
		made->fd = memfd_create("ferry-lease", MFD_CLOEXEC);
		if (made->fd < 0)
			return err_sys(e, "lease");
		name_by_fd(made);
		return 0;
	}
	if (*path != '/' || strlen(path) > LEASE_PATH_MAX)
		return err_set(e, EINVAL,
			       "lease: want an absolute path of at most %u "
			       "bytes",
			       LEASE_PATH_MAX);
	made->fd = open(path,
			O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW,
			0600);
	if (made->fd < 0 || fstat(made->fd, &st) < 0)
		return err_sys(e, "lease %.200s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "lease %.200s: no file", path);
	made->named = true;
	(void)snprintf(made->path, sizeof(made->path), "%s", path);
	return 0;
}

/* What is in a file that was there must be a record, or nothing. */
static int check_old(const struct lease *made, struct err *e)
{
	struct lease_record old;
	struct stat st;

	if (fstat(made->fd, &st) == 0 && st.st_size == 0)
		return 0;
	return read_record(made->fd, &old, e) < 0
		       ? err_wrap(e, "%.200s", made->path)
		       : 0;
}

int lease_hold(struct lease *l, const char *path, const char *machine,
	       uint64_t epoch, struct err *e)
{
	const bool same = l->fd >= 0 &&
			  (!*path || (l->named && strcmp(path, l->path) == 0));
	struct lease_record r = record(l, machine, epoch);
	struct lease made = *l;
	int n = 0;

	if (!same || !still_there(l)) {
		made.fd = -1;
		made.held = false;
		n = make(&made, path, e);
	}
	if (n == 0 && !made.held) {
		n = lock(made.fd);
		n = n == 0 ? err_set(e, EBUSY, "lease %.200s: another one runs",
				     made.path)
		    : n < 0 ? err_set(e, -n, "lease %.200s: no lock", made.path)
			    : 0;
	}
	if (n == 0)
		n = check_old(&made, e);
	if (n == 0)
		n = write_record(made.fd, &r, e);
	if (n < 0) {
		if (made.fd != l->fd)
			fd_close(&made.fd);
		return n;
	}
	made.held = true;
	if (made.fd != l->fd)
		fd_close(&l->fd); /* and with it the old lock */
	*l = made;
	return 0;
}

/* --- who takes it over -------------------------------------------------------------- */

int lease_open(struct lease *l, const char *path, const struct lease_claim *c,
	       struct err *e)
{
	struct lease_record r;
	cleanup_fd fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, EPRECONDITION,
			       "the source's lease %.120s cannot be reached "
			       "here (%s): one on storage that both hosts "
			       "share is wanted",
			       path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, EPRECONDITION, "lease %.120s: no file", path);
	n = read_record(fd, &r, e);
	if (n < 0)
		return err_set(e, EPRECONDITION,
			       "%.120s is not the lease of the source", path);
	n = lease_may(&r, c, e);
	if (n < 0)
		return n;
	lease_close(l);
	l->fd = fd_take(&fd);
	l->named = strncmp(path, "/proc/", 6) != 0;
	(void)snprintf(l->path, sizeof(l->path), "%s", path);
	if (!l->named)
		name_by_fd(l);
	return 0;
}

int lease_take(struct lease *l, const struct lease_claim *c, struct err *e)
{
	struct lease_record r = { 0 };
	const bool was_held = l->held;
	int n;

	if (l->fd < 0)
		return err_set(e, EPRECONDITION, "there is no lease");
	n = was_held ? 1 : lock(l->fd);
	if (n < 0)
		return err_set(e, -n, "lease %.200s: no lock", l->path);
	if (n == 0) {
		n = read_record(l->fd, &r, e);
		return n < 0 ? n
			     : err_set(e, ESTALE, "the guest runs at %.120s",
				       r.owner);
	}
	l->held = true;
	l->before = (struct lease_record){ 0 };
	n = read_record(l->fd, &r, e);
	if (n == 0 && was_held && r.epoch == c->epoch)
		return 0;
	if (n == 0)
		n = lease_may(&r, c, e);
	if (n == 0) {
		const struct lease_record ours =
			record(l, c->machine, c->epoch);

		n = write_record(l->fd, &ours, e);
		if (!was_held)
			l->before = r;
	}
	if (n < 0 && !was_held)
		lease_yield(l);
	return n;
}

void lease_undo(struct lease *l)
{
	struct err e;

	if (l->fd < 0 || !l->held || !l->before.machine[0])
		return;
	(void)write_record(l->fd, &l->before, &e);
	lease_yield(l);
}

void lease_yield(struct lease *l)
{
	struct flock f = whole(F_UNLCK);

	l->before = (struct lease_record){ 0 };
	if (l->fd >= 0 && l->held)
		(void)fcntl(l->fd, F_OFD_SETLK, &f);
	l->held = false;
}

/* --- for people ------------------------------------------------------------------------ */

enum lease_word lease_word(const struct lease *l, uint64_t from, char *owner)
{
	struct flock f = whole(F_WRLCK);
	struct lease_record r;
	struct err e;

	*owner = '\0';
	if (l->fd < 0 || read_record(l->fd, &r, &e) < 0)
		return LEASE_WORD_NONE;
	(void)snprintf(owner, LEASE_OWNER_SIZE, "%s", r.owner);
	if (l->held)
		return LEASE_WORD_HERE;
	if (fcntl(l->fd, F_OFD_GETLK, &f) == 0 && f.l_type != F_UNLCK)
		return LEASE_WORD_ELSEWHERE;
	return r.epoch == from ? LEASE_WORD_FREE : LEASE_WORD_ENDED;
}

const char *lease_word_name(enum lease_word w)
{
	static const char *const names[] = {
		[LEASE_WORD_NONE] = "none",
		[LEASE_WORD_HERE] = "here",
		[LEASE_WORD_FREE] = "free",
		[LEASE_WORD_ELSEWHERE] = "elsewhere",
		[LEASE_WORD_ENDED] = "ended",
	};

	static_assert(ARRAY_LEN(names) == LEASE_WORDS, "a word has no name");
	return names[w];
}
