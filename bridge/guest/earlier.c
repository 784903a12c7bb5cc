#include "bridge/guest/earlier.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* Bytes of a command line that are looked at: those of a call are all short. */
#define CMDLINE_MAX 2048

void earlier_init(struct earlier *w, struct loop *l)
{
	*w = (struct earlier){ .loop = l, .runs = -1 };
}

void earlier_stop(struct earlier *w)
{
	loop_unwatch(w->loop, &w->watch);
	loop_cancel(w->loop, &w->timer);
	fd_close(&w->runs);
}

static void on_over(void *ctx, uint32_t events)
{
	struct earlier *w = ctx;

	(void)events;
	earlier_stop(w);
	w->over(w->ctx);
}

/* What it was doing in the kernel may still become true: its end is waited for. */
static void on_limit(void *ctx)
{
	struct earlier *w = ctx;
	struct loop *l = w->loop;

	if (!w->killed) {
		log_warn("a runtime of an earlier agent is killed: no end");
		(void)syscall(SYS_pidfd_send_signal, w->runs, SIGKILL, NULL, 0);
		w->killed = true;
		if (loop_at(l, loop_now_ms(l) + EARLIER_KILL_MS, on_limit, w,
			    &w->timer, NULL) == 0)
			return;
	}
	on_over(w, 0);
}

/* Words of a process, with their ends. Return: bytes of them */
static size_t cmdline(const char *who, char buf[CMDLINE_MAX])
{
	char path[32];
	cleanup_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", who);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : fd_read_full(fd, buf, CMDLINE_MAX);
	return n > 0 ? (size_t)n : 0;
}

/*
 * The number may be another's by now. Calls of the runtime name their log, which is
 * below its folder; right before that they have the words of an agent, and none for
 * a moment in between.
 */
static bool is_call(const struct runtime *rt, pid_t pid)
{
	char theirs[CMDLINE_MAX], ours[CMDLINE_MAX], who[16];
	size_t n;

	(void)snprintf(who, sizeof(who), "%d", (int)pid);
	n = cmdline(who, theirs);
	return n == 0 || memmem(theirs, n, rt->dir, strlen(rt->dir)) != NULL ||
	       (n == cmdline("self", ours) && memcmp(theirs, ours, n) == 0);
}

static int watch(struct earlier *w, int64_t limit_ms)
{
	const int r = loop_watch(w->loop, w->runs, EPOLLIN, on_over, w,
				 &w->watch, NULL);

	return r < 0 ? r
		     : loop_at(w->loop, loop_now_ms(w->loop) + limit_ms,
			       on_limit, w, &w->timer, NULL);
}

int earlier_wait(struct earlier *w, const struct runtime *rt, uint64_t pid,
		 int64_t limit_ms, earlier_fn *over, void *ctx)
{
	int r;

	w->over = over;
	w->ctx = ctx;
	if (pid == 0)
		return 0;
	w->runs = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (w->runs < 0)
		return errno == ESRCH ? 0 : -errno;
	r = is_call(rt, (pid_t)pid) ? watch(w, limit_ms) : -ESRCH;
	if (r < 0)
		earlier_stop(w);
	if (r == -ESRCH)
		return 0;
	return r < 0 ? r : 1;
}
