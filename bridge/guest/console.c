#include "bridge/guest/console.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/io/fd.h"

/* Descriptors of a message that has more than it should. */
#define FDS_MAX 8

void console_init(struct console *c, struct loop *l)
{
	*c = (struct console){
		.loop = l, .listener = -1, .conn = -1, .master = -1
	};
}

void console_done(struct console *c)
{
	loop_unwatch(c->loop, &c->watch);
	if (c->listener >= 0)
		(void)unlink(c->path); /* the folder goes too */
	fd_close(&c->listener);
	fd_close(&c->conn);
	fd_close(&c->master);
}

/* Tells the result if it is there and wanted. */
static void console_tell(struct console *c)
{
	console_fn *fn = c->fn;

	if (!fn || (c->master < 0 && c->why.code == 0))
		return;
	c->fn = NULL;
	fn(c->ctx, fd_take(&c->master), &c->why);
}

static bool is_terminal(int fd)
{
	return isatty(fd) == 1;
}

/* Takes the first descriptor of a message, closes the rest. All of them come in
 * one header, which is the only one where nothing else was asked for. */
static int take_descriptor(struct msghdr *m)
{
	const struct cmsghdr *h = CMSG_FIRSTHDR(m);
	int fds[FDS_MAX] = { -1 };
	size_t n;

	if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > FDS_MAX)
		n = FDS_MAX; /* cannot be: there was no room for more */
	memcpy(fds, CMSG_DATA(h), n * sizeof(int));
	for (size_t i = 1; i < n; i++)
		fd_close(&fds[i]);
	return fds[0];
}

static int receive(int conn, struct err *e)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	char text[256];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;
	const ssize_t n = recvmsg(conn, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return err_sys(e, "console socket");
	if (n == 0)
		return err_set(e, EPIPE, "console socket: nothing was sent");
	fd = take_descriptor(&m);
	if (fd >= 0 && is_terminal(fd))
		return fd;
	fd_close(&fd);
	return err_set(e, EPROTO, "console socket: no terminal was sent");
}

static void on_message(void *ctx, uint32_t events)
{
	struct console *c = ctx;
	int fd;

	(void)events;
	fd = receive(c->conn, &c->why);
	if (fd == -EAGAIN || fd == -EINTR) {
		c->why.code = 0;
		return;
	}
	loop_unwatch(c->loop, &c->watch);
	fd_close(&c->conn);
	c->master = fd < 0 ? -1 : fd;
	console_tell(c);
}

static void on_connection(void *ctx, uint32_t events)
{
	struct console *c = ctx;

	(void)events;
	c->conn =
		accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (c->conn < 0)
		return;
	loop_unwatch(c->loop, &c->watch); /* one is all there may be */
	if (loop_watch(c->loop, c->conn, EPOLLIN, on_message, c, &c->watch,
		       &c->why) < 0)
		console_tell(c);
}

int console_listen(struct console *c, const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(e, ENAMETOOLONG, "console socket: %s", path);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	(void)snprintf(c->path, sizeof(c->path), "%s", path);
	(void)unlink(path); /* of an earlier agent */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "console socket");
	c->listener = fd;
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 1) < 0)
		return err_sys(e, "console socket");
	return 0;
}

void console_wanted(struct console *c, console_fn *fn, void *ctx)
{
	c->fn = fn;
	c->ctx = ctx;
	(void)loop_watch(c->loop, c->listener, EPOLLIN, on_connection, c,
			 &c->watch, &c->why);
	console_tell(c);
}
