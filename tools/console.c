#include "tools/console.h"

#include <sys/epoll.h>

#include "bridge/host/local.h"
#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/listener.h"

static void on_done(void *ctx, enum host_relay_end how UNUSED,
		    const struct err *e UNUSED)
{
	struct console *c = ctx;

	host_relay_free(c->relay);
	c->relay = NULL;
}

static void on_qemu(void *ctx, uint32_t events UNUSED)
{
	struct console *c = ctx;
	struct local from;
	struct local to;
	struct err e;
	int fd = -1;

	if (listener_accept(c->listen, &fd, &e) < 0)
		return;
	loop_unwatch(c->loop, &c->watch);
	fd_close(&c->listen);
	from = local_socket(fd);
	if (local_open(c->out, true, &to, &e) < 0) {
		local_close(&from);
		return;
	}
	if (host_relay_new(c->loop, &from, &to, on_done, c, &c->relay, &e) <
	    0) {
		local_close(&from);
		local_close(&to);
	}
}

int console_open(struct console *c, struct loop *loop, const char *path,
		 int out, struct err *e)
{
	int r;

	*c = CONSOLE_NONE;
	c->loop = loop;
	c->out = out;
	r = listener_open(path, &c->listen, e);
	if (r < 0)
		return r;
	return loop_watch(loop, c->listen, EPOLLIN, on_qemu, c, &c->watch, e);
}

void console_close(struct console *c)
{
	if (c->listen >= 0)
		loop_unwatch(c->loop, &c->watch);
	fd_close(&c->listen);
	host_relay_free(c->relay);
	*c = CONSOLE_NONE;
}
