#include "tools/handoff.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "migration/status.h"

#define MAGIC "ferry-fd-v1 "
#define NUMBER_BYTES 4u

struct handoff {
	struct loop *loop;
	int fd;	      /* the unix connection, owned; or borrowed */
	bool numbers; /* handoff_agree() */
	uint8_t want[NUMBER_BYTES];
	uint8_t got[NUMBER_BYTES];
	size_t n;
	struct loop_id watch;
	struct loop_id timer;
	handoff_done_fn *done;
	void *ctx;
};

static void stop(struct handoff *h)
{
	loop_unwatch(h->loop, &h->watch);
	loop_cancel(h->loop, &h->timer);
	if (!h->numbers)
		fd_close(&h->fd);
}

static void over(struct handoff *h, int result, int fd, const struct err *e)
{
	stop(h);
	h->done(h->ctx, result, fd, e);
}

static void fail(struct handoff *h, const struct err *e)
{
	over(h, -e->code, -1, e);
}

static void on_late(void *ctx)
{
	struct err e;

	(void)err_set(&e, ETIMEDOUT, "the transport's other end is silent");
	fail(ctx, &e);
}

/* --- taking -------------------------------------------------------------------------- */

/* A stream socket that somebody is at the other end of? */
static int check(int fd, struct err *e)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int type = 0;
	socklen_t type_len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 ||
	    type != SOCK_STREAM)
		return err_set(e, EPRECONDITION,
			       "the transport is no stream socket");
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return err_set(e, EPRECONDITION,
			       "the transport is not connected");
	return 0;
}

/* Exactly one descriptor; others that came are closed. */
static int descriptor_of(struct msghdr *m)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int got[4];
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n > ARRAY_LEN(got))
			n = ARRAY_LEN(got);
		memcpy(got, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (fd < 0 && n == 1)
				fd = got[i];
			else
				fd_close(&got[i]);
		}
	}
	return fd;
}

static void on_descriptor(void *ctx, uint32_t events UNUSED)
{
	struct handoff *h = ctx;
	char byte;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} room;
	struct msghdr m = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room.bytes),
	};
	const ssize_t n = recvmsg(h->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	cleanup_fd fd = -1;
	struct err e;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	fd = n == 1 ? descriptor_of(&m) : -1;
	if (fd < 0) {
		(void)err_set(&e, EPRECONDITION, "no transport was given");
		fail(h, &e);
	} else if (check(fd, &e) < 0) {
		fail(h, &e);
	} else {
		over(h, 0, fd_take(&fd), NULL);
	}
}

static bool is_token(const char *p, size_t n)
{
	if (n < HANDOFF_TOKEN_MIN || n > HANDOFF_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!strchr("0123456789abcdefABCDEF", p[i]) || p[i] == '\0')
			return false;
	return true;
}

/* Cuts the words in two; @path and @token have room for any that are right. */
static int parse(const char *info, size_t len, char *path, char *token,
		 struct err *e)
{
	const size_t magic = strlen(MAGIC);
	const char *line;
	size_t n;

	if (len < magic || memcmp(info, MAGIC, magic) != 0)
		return err_set(e, EINVAL, "protocol_info: want " MAGIC "...");
	info += magic;
	len -= magic;
	line = memchr(info, '\n', len);
	n = line ? (size_t)(line - info) : 0;
	if (n == 0 || n > HANDOFF_PATH_MAX || *info != '/' ||
	    memchr(info, '\0', n))
		return err_set(e, EINVAL, "protocol_info: no absolute path");
	len -= n + 1;
	if (!is_token(line + 1, len))
		return err_set(e, EINVAL,
			       "protocol_info: want 32 to 128 digits");
	memcpy(path, info, n);
	path[n] = '\0';
	memcpy(token, line + 1, len);
	token[len] = '\n';
	token[len + 1] = '\0';
	return 0;
}

static int dial(const char *path, int *ret, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t len = sizeof(peer);
	cleanup_fd fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, "socket");
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set(e, EPRECONDITION, "transport %s: %s", path,
			       strerror(errno));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != geteuid())
		return err_set(e, EPRECONDITION,
			       "the transport is offered by another user");
	*ret = fd_take(&fd);
	return 0;
}

static int begin(struct loop *l, int fd, bool numbers, handoff_done_fn *done,
		 void *ctx, struct handoff **ret, struct err *e)
{
	struct handoff *h = calloc(1, sizeof(*h));

	if (!h)
		return err_set(e, ENOMEM, "no memory for a transport");
	*h = (struct handoff){ .loop = l,
			       .fd = fd,
			       .numbers = numbers,
			       .done = done,
			       .ctx = ctx };
	*ret = h;
	return loop_at(l, loop_now_ms(l) + HANDOFF_MS, on_late, h, &h->timer,
		       e);
}

int handoff_take(struct loop *l, const void *info, size_t len,
		 handoff_done_fn *done, void *ctx, struct handoff **ret,
		 struct err *e)
{
	char path[HANDOFF_PATH_MAX + 1];
	char token[HANDOFF_TOKEN_MAX + 2];
	struct handoff *h = NULL;
	int fd = -1;
	int r = parse(info, len, path, token, e);

	if (r == 0)
		r = dial(path, &fd, e);
	if (r < 0)
		return r;
	r = begin(l, fd, false, done, ctx, &h, e);
	if (!h) {
		fd_close(&fd);
		return r;
	}
	/* It fits any socket buffer. */
	if (r == 0 && send(fd, token, strlen(token), MSG_NOSIGNAL) < 0)
		r = err_sys(e, "transport %s", path);
	if (r == 0)
		r = loop_watch(l, fd, EPOLLIN, on_descriptor, h, &h->watch, e);
	if (r < 0) {
		handoff_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

/* --- agreeing ------------------------------------------------------------------------- */

static void on_number(void *ctx, uint32_t events UNUSED)
{
	struct handoff *h = ctx;
	const ssize_t n =
		recv(h->fd, h->got + h->n, NUMBER_BYTES - h->n, MSG_DONTWAIT);
	struct err e;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		(void)err_set(&e, ECONNRESET, "the transport's end has gone");
		fail(h, &e);
		return;
	}
	h->n += (size_t)n;
	if (h->n < NUMBER_BYTES)
		return;
	if (memcmp(h->got, h->want, NUMBER_BYTES) == 0) {
		over(h, 0, -1, NULL);
		return;
	}
	(void)err_set(&e, EPRECONDITION,
		      "the transport belongs to another session");
	fail(h, &e);
}

int handoff_agree(struct loop *l, int fd, uint32_t number,
		  handoff_done_fn *done, void *ctx, struct handoff **ret,
		  struct err *e)
{
	struct handoff *h = NULL;
	int r = begin(l, fd, true, done, ctx, &h, e);

	if (!h)
		return r;
	for (size_t i = 0; i < NUMBER_BYTES; i++)
		h->want[i] = (uint8_t)(number >> (24 - 8 * i));
	if (r == 0 && send(fd, h->want, NUMBER_BYTES,
			   MSG_NOSIGNAL | MSG_DONTWAIT) != NUMBER_BYTES)
		r = err_set(e, ECONNRESET, "the transport's end has gone");
	if (r == 0)
		r = loop_watch(l, fd, EPOLLIN, on_number, h, &h->watch, e);
	if (r < 0) {
		handoff_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void handoff_free(struct handoff *h)
{
	if (!h)
		return;
	stop(h);
	free(h);
}

/* --- giving --------------------------------------------------------------------------- */

static int read_token(int conn, const char *token, struct err *e)
{
	char said[HANDOFF_TOKEN_MAX + 2];
	size_t n = 0;

	while (n < sizeof(said) - 1) {
		struct pollfd p = { .fd = conn, .events = POLLIN };

		if (poll(&p, 1, HANDOFF_MS) <= 0)
			return err_set(e, ETIMEDOUT, "nobody says the secret");
		if (recv(conn, said + n, 1, 0) != 1)
			return err_set(e, EACCES, "nobody says the secret");
		if (said[n] == '\n')
			break;
		n++;
	}
	said[n] = '\0';
	if (strcmp(said, token) != 0)
		return err_set(e, EACCES, "not the secret of this transport");
	return 0;
}

int handoff_give(int conn, const char *token, int fd, struct err *e)
{
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} room = { 0 };
	struct msghdr m = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	const int r = read_token(conn, token, e);

	if (r < 0)
		return r;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(conn, &m, MSG_NOSIGNAL) == 1 ? 0
						    : err_sys(e, "transport");
}

int handoff_info(const char *path, const char *token,
		 char ret[HANDOFF_INFO_MAX], struct err *e)
{
	if (strlen(path) > HANDOFF_PATH_MAX)
		return err_set(e, ENAMETOOLONG, "%.80s...", path);
	(void)snprintf(ret, HANDOFF_INFO_MAX, MAGIC "%s\n%s", path, token);
	return 0;
}

int handoff_token(char *ret, struct err *e)
{
	unsigned char chance[HANDOFF_TOKEN_MIN / 2];

	if (getrandom(chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		return err_sys(e, "random numbers");
	for (size_t i = 0; i < sizeof(chance); i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", chance[i]);
	return 0;
}
