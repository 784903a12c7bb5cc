/*
 * Kills for want of memory.
 *
 * cgroup 2 counts them in memory.events and wakes whoever polls that file;
 * cgroup 1 counts them in memory.oom_control and writes to an eventfd. Either
 * way the counter is the truth and the event only says when to look. A cgroup
 * that is removed wakes us too, for ever: then the watch is dropped and the
 * last count stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bridge/guest/cgroup_file.h"
#include "bridge/io/fd.h"

/**
 * struct oom_watch - one cgroup
 * @file:	open on the file with the counter
 * @event:	cgroup 1: the eventfd, else -1
 */
struct oom_watch {
	struct loop *loop;
	struct loop_id watch;
	int file;
	int event;
	uint64_t kills;
	oom_fn *fn;
	void *ctx;
};

/* Return: 0, or -errno: there is no such cgroup any more */
static int read_kills(int file, uint64_t *ret)
{
	static const struct cgroup_key key[] = { { "oom_kill", 0 } };
	char text[1024];
	const ssize_t n = pread(file, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	cgroup_keys_text(text, key, 1, ret);
	return 0;
}

uint64_t oom_check(struct oom_watch *w)
{
	uint64_t kills = 0;

	if (read_kills(w->file, &kills) < 0) {
		loop_unwatch(w->loop, &w->watch);
		return w->kills;
	}
	if (kills > w->kills) {
		w->kills = kills;
		w->fn(w->ctx, kills); /* may unwatch */
		return kills;
	}
	return w->kills;
}

static void on_event(void *ctx, uint32_t events)
{
	struct oom_watch *w = ctx;
	uint64_t times;

	(void)events;
	if (w->event >= 0)
		(void)!read(w->event, &times, sizeof(times));
	(void)oom_check(w);
}

/* cgroup 1: tell the kernel which eventfd is for which file. */
static int subscribe(int dir, struct oom_watch *w, struct err *e)
{
	char text[32];

	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event < 0)
		return err_sys(e, "eventfd");
	(void)snprintf(text, sizeof(text), "%d %d", w->event, w->file);
	return cgroup_write(dir, "cgroup.event_control", text, e);
}

static int start(struct cgroups *c, const char *path, struct oom_watch *w,
		 struct err *e)
{
	const bool v1 = c->version == CGROUP_V1;
	cleanup_fd dir = cgroup_dir(c, "memory", path, e);
	uint64_t kills = 0;
	int r;

	if (dir < 0)
		return dir;
	w->file = openat(dir, v1 ? "memory.oom_control" : "memory.events",
			 O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (w->file < 0)
		return err_sys(e, "oom counter of %.128s", path);
	if (v1 && subscribe(dir, w, e) < 0)
		return err_code(e);
	/* A file that was never read counts as changed. */
	r = read_kills(w->file, &kills);
	if (r < 0)
		return err_set(e, -r, "oom counter of %.128s", path);
	return loop_watch(c->loop, v1 ? w->event : w->file,
			  v1 ? EPOLLIN : EPOLLPRI, on_event, w, &w->watch, e);
}

int oom_watch(struct cgroups *c, const char *path, uint64_t before, oom_fn *fn,
	      void *ctx, struct oom_watch **ret, struct err *e)
{
	struct oom_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(e, ENOMEM, "no memory for an oom watch");
	*w = (struct oom_watch){ .loop = c->loop,
				 .file = -1,
				 .event = -1,
				 .kills = before,
				 .fn = fn,
				 .ctx = ctx };
	r = start(c, path, w, e);
	if (r < 0) {
		oom_unwatch(w);
		return r;
	}
	*ret = w;
	return 0;
}

void oom_unwatch(struct oom_watch *w)
{
	if (!w)
		return;
	loop_unwatch(w->loop, &w->watch);
	fd_close(&w->event);
	fd_close(&w->file);
	free(w);
}
