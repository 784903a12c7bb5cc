/*
 * Theory of operation, beside that of the header: a job is a child process and
 * what is to be done when it has ended. First the one that looks through the
 * folder, then the one that writes; an empty disk has only the second. A timer
 * looks at how much has been written: for progress, and to notice a stop.
 */
#include "tools/disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "config/util.h"
#include "tools/disk/mkfs.h"
#include "tools/disk/tree.h"

#define SECTOR 512u
/* Of a program's words: what is kept, and what of it is shown. */
#define WORDS_MAX 4096
#define SHOWN_MAX 160
/* Less than this is a full disk. */
#define FULL_BYTES ((uint64_t)1024 * 1024)

/* What the child that looks through a folder tells. */
struct report {
	int result;
	struct tree_sum sum;
	struct err e;
};

struct disk_job {
	struct loop *loop;
	struct disk_handler h;
	char *source; /* NULL: an empty disk */
	char *where;
	bool choose; /* the file system may be another one */
	struct disk disk;
	struct tree_sum sum;
	uint64_t total;
	bool measuring;
	pid_t pid; /* -1: none */
	int pidfd;
	int out; /* what the child says */
	struct loop_id watch;
	struct loop_id timer;
	uint64_t written;
	int64_t moved_ms; /* when it grew last */
};

static void on_child(void *ctx, uint32_t events);
static void on_tick(void *ctx);

/* --- ends --------------------------------------------------------------------- */

static void reap(struct disk_job *j)
{
	siginfo_t info;

	loop_unwatch(j->loop, &j->watch);
	if (j->pid > 0) {
		(void)kill(j->pid, SIGKILL); /* a zombie does not mind */
		while (waitid(P_PID, (id_t)j->pid, &info, WEXITED) < 0 &&
		       errno == EINTR)
			;
	}
	j->pid = -1;
	fd_close(&j->pidfd);
	fd_close(&j->out);
}

static void over(struct disk_job *j, int result, const struct err *e)
{
	struct disk d = j->disk;

	loop_cancel(j->loop, &j->timer);
	if (result == 0)
		j->disk.fd = -1;
	else
		disk_done(&j->disk);
	if (j->h.done)
		j->h.done(j->h.ctx, result, result == 0 ? &d : NULL, e);
	else if (result == 0)
		disk_done(&d);
}

void disk_job_free(struct disk_job *j)
{
	if (!j)
		return;
	loop_cancel(j->loop, &j->timer);
	reap(j);
	disk_done(&j->disk);
	free(j->source);
	free(j->where);
	free(j);
}

void disk_done(struct disk *d)
{
	fd_close(&d->fd);
	d->path[0] = '\0';
}

/* --- the file -------------------------------------------------------------------- */

const char *disk_folder(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && dir[0] == '/' ? dir : "/var/tmp";
}

static int make_file(struct disk_job *j, struct err *e)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/ferry-disk-XXXXXX",
			     j->where) >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "%.80s: name too long",
			       j->where);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "a disk in %s", j->where);
	(void)unlink(path); /* at worst an empty file stays */
	j->disk.fd = fd;
	(void)snprintf(j->disk.path, sizeof(j->disk.path), "/proc/%d/fd/%d",
		       getpid(), fd);
	return 0;
}

static uint64_t available(const struct disk_job *j)
{
	struct statvfs v;

	if (fstatvfs(j->disk.fd, &v) < 0)
		return UINT64_MAX;
	return (uint64_t)v.f_bavail * v.f_frsize;
}

static int set_size(struct disk_job *j, uint64_t size, struct err *e)
{
	if (ftruncate(j->disk.fd, (off_t)size) < 0)
		return err_sys(e, "a disk of %" PRIu64 " bytes in %s", size,
			       j->where);
	j->disk.size = size;
	return 0;
}

/* --- children ---------------------------------------------------------------------- */

static int watch(struct disk_job *j, struct err *e)
{
	int r = loop_watch(j->loop, j->pidfd, EPOLLIN, on_child, j, &j->watch,
			   e);

	j->moved_ms = loop_now_ms(j->loop);
	if (r == 0)
		r = loop_at(j->loop, j->moved_ms + DISK_PROGRESS_MS, on_tick, j,
			    &j->timer, e);
	return r;
}

/* In the child. */
static _Noreturn void measure(const struct disk_job *j, int out, pid_t parent)
{
	struct report report = { 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	report.result = tree_measure(j->source, &report.sum, &report.e);
	(void)fd_write_full(out, &report, sizeof(report));
	_exit(0);
}

static int start_measuring(struct disk_job *j, struct err *e)
{
	const pid_t parent = getpid();
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	j->measuring = true;
	j->pid = fork();
	if (j->pid == 0)
		measure(j, pipes[1], parent);
	fd_close(&pipes[1]);
	j->out = pipes[0];
	if (j->pid < 0)
		return err_sys(e, "fork");
	j->pidfd = (int)syscall(SYS_pidfd_open, j->pid, 0);
	if (j->pidfd < 0)
		return err_sys(e, "pidfd");
	return watch(j, e);
}

static int run_mkfs(struct disk_job *j, struct err *e)
{
	const struct mkfs_wish w = {
		.fs = j->disk.fs,
		.source = j->source,
		.target = j->disk.path,
		.sum = j->sum,
		.all_root = geteuid() != 0,
	};
	struct mkfs_command c;
	struct spawn s = {
		.argv = c.argv,
		.envp = c.envp,
		.path = mkfs_path(),
		.stdio = { -1, -1, -1 },
		.die_with_parent = true,
	};
	int pipes[2];
	int r;

	mkfs_command(&w, &c);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	s.stdio[1] = s.stdio[2] = pipes[1];
	r = spawn_start(&s, &j->pid, &j->pidfd, e);
	fd_close(&pipes[1]);
	if (r < 0) {
		j->pid = -1;
		fd_close(&pipes[0]);
		return r;
	}
	j->out = pipes[0];
	(void)fd_nonblock(j->out, true);
	return watch(j, e);
}

static int start_writing(struct disk_job *j, struct err *e)
{
	int r = 0;

	j->measuring = false;
	if (j->disk.fs == DISK_FS_EXT4 && j->source)
		r = set_size(j, mkfs_ext4_size(&j->sum), e);
	if (r == 0)
		r = run_mkfs(j, e);
	if ((r == -ENOENT || r == -EACCES) && j->choose &&
	    j->disk.fs == DISK_FS_EROFS) {
		j->disk.fs = DISK_FS_EXT4;
		return start_writing(j, e);
	}
	return r;
}

/* --- what came of them ------------------------------------------------------------------ */

static int measured(struct disk_job *j, struct err *e)
{
	struct report report;
	const ssize_t n = fd_read_full(j->out, &report, sizeof(report));
	uint64_t room;

	fd_close(&j->out);
	if (n != (ssize_t)sizeof(report))
		return err_set(e, EIO, "cannot look through %s", j->source);
	if (report.result < 0) {
		*e = report.e;
		return report.result;
	}
	j->sum = report.sum;
	j->total = report.sum.blocks * TREE_BLOCK;
	room = available(j);
	/* Half of it: holes and links may take less than they seem to. */
	if (j->total / 2 > room)
		return err_set(e, ENOSPC,
			       "a disk of %s takes %" PRIu64
			       " MiB, %s has %" PRIu64 " MiB free",
			       j->source, j->total >> 20, j->where, room >> 20);
	return start_writing(j, e);
}

/* The last line that a program wrote, printable. */
static void last_words(int fd, char *out, size_t size)
{
	char buf[WORDS_MAX];
	const ssize_t n = read(fd, buf, sizeof(buf) - 1);
	size_t len = n > 0 ? (size_t)n : 0;
	size_t from;

	while (len && buf[len - 1] == '\n')
		len--;
	for (from = len; from && buf[from - 1] != '\n'; from--)
		;
	buf[len] = '\0';
	for (size_t i = from; i < len; i++)
		if (buf[i] < ' ' || buf[i] > '~')
			buf[i] = '?';
	(void)snprintf(out, size, "%.*s", (int)size - 1, buf + from);
}

static int written(struct disk_job *j, const siginfo_t *info, struct err *e)
{
	char words[SHOWN_MAX];
	struct stat st;

	last_words(j->out, words, sizeof(words));
	if ((info->si_code != CLD_EXITED || info->si_status != 0) &&
	    (available(j) < FULL_BYTES || strstr(words, "No space left")))
		return err_set(e, ENOSPC,
			       "no space left in %s for a disk of %s", j->where,
			       j->source ? j->source : "nothing");
	if (info->si_code != CLD_EXITED || info->si_status != 0)
		return err_set(e, EIO, "%s failed%s%s", mkfs_name(j->disk.fs),
			       words[0] ? ": " : "", words);
	if (mkfs_check(j->disk.fd, j->disk.fs, e) < 0)
		return -e->code;
	if (fstat(j->disk.fd, &st) < 0)
		return err_sys(e, "disk");
	j->disk.size = (uint64_t)st.st_size;
	if (j->disk.size % SECTOR)
		return set_size(j, (j->disk.size / SECTOR + 1) * SECTOR, e);
	return 0;
}

static void on_child(void *ctx, uint32_t events UNUSED)
{
	struct disk_job *j = ctx;
	siginfo_t info = { 0 };
	struct err e = { 0 };
	int r = 0;

	if (waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG) < 0 ||
	    info.si_pid == 0)
		return;
	j->pid = -1;
	if (j->measuring) {
		loop_unwatch(j->loop, &j->watch);
		fd_close(&j->pidfd);
		r = measured(j, &e);
		if (r == 0)
			return; /* now it is being written */
	} else {
		r = written(j, &info, &e);
	}
	reap(j);
	over(j, r, r < 0 ? &e : NULL);
}

static void on_tick(void *ctx)
{
	struct disk_job *j = ctx;
	const int64_t now = loop_now_ms(j->loop);
	struct stat st = { 0 };
	struct err e;

	(void)fstat(j->disk.fd, &st);
	if ((uint64_t)st.st_blocks * SECTOR != j->written) {
		j->written = (uint64_t)st.st_blocks * SECTOR;
		j->moved_ms = now;
		if (j->h.progress && !j->measuring)
			j->h.progress(j->h.ctx,
				      j->written < j->total ? j->written
							    : j->total,
				      j->total);
	}
	if (now - j->moved_ms >= DISK_STALL_MS) {
		(void)err_set(&e, ETIMEDOUT,
			      "making a disk has come to a stop");
		reap(j);
		over(j, -ETIMEDOUT, &e);
		return;
	}
	if (loop_at(j->loop, now + DISK_PROGRESS_MS, on_tick, j, &j->timer,
		    &e) < 0) {
		reap(j);
		over(j, -e.code, &e);
	}
}

/* --- beginning ------------------------------------------------------------------------- */

static int check(const struct disk_wish *w, struct err *e)
{
	struct stat st;

	if (!w->source &&
	    (w->size < DISK_SCRATCH_MIN || w->size > DISK_SCRATCH_MAX))
		return err_set(e, ERANGE,
			       "a disk of %" PRIu64 " bytes: want %" PRIu64
			       " to %" PRIu64,
			       w->size, DISK_SCRATCH_MIN, DISK_SCRATCH_MAX);
	if (!w->source)
		return 0;
	if (stat(w->source, &st) < 0)
		return err_sys(e, "%s", w->source);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s is not a folder", w->source);
	return 0;
}

static int begin(struct disk_job *j, const struct disk_wish *w, struct err *e)
{
	int r;

	j->where = strdup(w->where ? w->where : disk_folder());
	if (w->source)
		j->source = strdup(w->source);
	if (!j->where || (w->source && !j->source))
		return err_set(e, ENOMEM, "disk");
	r = make_file(j, e);
	if (r < 0)
		return r;
	if (j->source)
		return start_measuring(j, e);
	r = set_size(j, w->size / SECTOR * SECTOR, e);
	return r < 0 ? r : start_writing(j, e);
}

int disk_start(struct loop *l, const struct disk_wish *w,
	       const struct disk_handler *h, struct disk_job **ret,
	       struct err *e)
{
	struct disk_job *j;
	int r = check(w, e);

	if (r < 0)
		return r;
	j = calloc(1, sizeof(*j));
	if (!j)
		return err_set(e, ENOMEM, "disk");
	j->loop = l;
	j->h = *h;
	j->pid = j->pidfd = j->out = j->disk.fd = -1;
	j->choose = w->fs == DISK_FS_AUTO;
	j->disk.fs = w->fs == DISK_FS_AUTO ? DISK_FS_EROFS : w->fs;
	if (!w->source)
		j->disk.fs = DISK_FS_EXT4;
	r = begin(j, w, e);
	if (r < 0) {
		disk_job_free(j);
		return r;
	}
	*ret = j;
	return 0;
}
