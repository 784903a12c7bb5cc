#include "tools/vsock/hostend.h"

#include <errno.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"

/* New host programs taken by one turn. */
#define ACCEPTS_MAX 16
/* Ports of the host's end of streams that host programs begin. */
#define FIRST_PORT 0x40000000u

static void close_socket(struct vconn *c)
{
	fd_close(&c->fd); /* leaves the epoll with it */
	c->readable = false;
	c->want_out = false;
	fifo_done(&c->fifo);
}

void hostend_forget(struct backend *b, struct vconn *c)
{
	close_socket(c);
	vconns_free(&b->conns, c);
}

void hostend_reset(struct backend *b, struct vconn *c)
{
	if (!c->hashed) { /* the guest does not know it, or no more */
		hostend_forget(b, c);
		return;
	}
	close_socket(c);
	c->state = VCONN_DYING;
	vconns_unwait(&b->conns, c);
	c->tell = VCONN_TELL_RESET;
	vconns_queue(&b->conns, c);
}

static void tell_shutdown(struct vconn *c, uint32_t flags)
{
	if ((c->shut_told & flags) == flags)
		return;
	c->shut_told |= flags;
	c->tell |= VCONN_TELL_SHUTDOWN;
}

static void settle_open(struct backend *b, struct vconn *c)
{
	const bool unread = (c->shut_guest & PACKET_NO_RECEIVE) == 0;

	if (c->closed && (c->host_ended || !unread))
		tell_shutdown(c, PACKET_NO_BOTH);
	if (!unread && !c->host_stopped) {
		c->host_stopped = true;
		/* The host's next write fails, as that of the guest would. */
		(void)shutdown(c->fd, SHUT_RD);
	}
	if (c->fifo.len == 0 && c->shut_guest == PACKET_NO_BOTH) {
		hostend_reset(b, c);
		return;
	}
	if (c->fifo.len == 0 && (c->shut_guest & PACKET_NO_SEND) != 0 &&
	    !c->host_shut) {
		c->host_shut = true;
		/* Fails only when the peer is gone, which is noticed soon. */
		(void)shutdown(c->fd, SHUT_WR);
	}
	if (c->shut_told == PACKET_NO_BOTH) {
		close_socket(c);
		c->state = VCONN_CLOSING;
		backend_due(b, c, VCONN_WAIT_CLOSE);
	}
}

void hostend_settle(struct backend *b, struct vconn *c)
{
	if (c->state == VCONN_OPEN)
		settle_open(b, c);
	if (c->state == VCONN_DRAINING && c->fifo.len == 0) {
		hostend_forget(b, c);
		return;
	}
	if (c->state != VCONN_FREE && vconn_wants(c))
		vconns_queue(&b->conns, c);
}

static void open_stream(struct backend *b, struct vconn *c, uint32_t tell)
{
	c->state = VCONN_OPEN;
	vconns_unwait(&b->conns, c);
	c->tell |= tell;
	hostend_settle(b, c);
}

void hostend_dial(struct backend *b, struct vconn *c)
{
	const int ret = b->dial(b->dial_ctx, c->host_port, &c->fd);

	if (ret == -EAGAIN && b->now_ms < c->give_up_ms) {
		backend_due(b, c, VCONN_WAIT_DIAL);
		return;
	}
	if (ret < 0 || backend_watch(b, c) < 0)
		hostend_reset(b, c);
	else
		open_stream(b, c, VCONN_TELL_RESPONSE);
}

static int accept_one(struct backend *b)
{
	cleanup_fd fd =
		accept4(b->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct vconn *c;

	if (fd < 0)
		return -errno;
	c = vconns_new(&b->conns, VCONN_GREETING);
	if (c == NULL)
		return 0; /* closed: the host program sees end of file */
	c->fd = fd_take(&fd);
	if (backend_watch(b, c) < 0)
		hostend_forget(b, c);
	else
		backend_due(b, c, VCONN_WAIT_GREETING);
	return 0;
}

void hostend_accept(struct backend *b)
{
	int ret = 0;

	for (int i = 0; i < ACCEPTS_MAX && ret == 0; i++)
		ret = accept_one(b);
	if (ret == 0) {
		backend_again(b, 0);
	} else if (ret == -EAGAIN) {
		b->accepting = false;
	} else {
		/* They wait in the backlog; asking at once would not help. */
		backend_again(b, BACKEND_ACCEPT_RETRY_MS);
	}
}

static void greet(struct backend *b, struct vconn *c)
{
	uint32_t port = 0;
	const int ret = hybrid_greeting(c->fd, &port);

	if (ret == -EAGAIN)
		return;
	if (ret < 0) {
		hostend_forget(b, c);
		return;
	}
	do
		b->next_port = b->next_port < FIRST_PORT ? FIRST_PORT
							 : b->next_port + 1;
	while (vconns_find(&b->conns, port, b->next_port) != NULL);

	vconns_bind(&b->conns, c, port, b->next_port);
	c->state = VCONN_ASKING;
	c->tell = VCONN_TELL_REQUEST;
	backend_due(b, c, VCONN_WAIT_ASKING);
	vconns_queue(&b->conns, c);
}

void hostend_answered(struct backend *b, struct vconn *c)
{
	if (hybrid_accepted(c->fd, c->host_port) < 0)
		hostend_reset(b, c);
	else
		open_stream(b, c, 0);
}

/* The host takes no more bytes: what waits for it is lost, as on a pipe. */
static void host_is_deaf(struct vconn *c)
{
	vconn_forwarded(c, (uint32_t)c->fifo.len);
	fifo_done(&c->fifo);
	c->host_deaf = true;
	tell_shutdown(c, PACKET_NO_RECEIVE);
}

/* Return: bytes taken, or -errno when the socket takes no more at all. */
static ssize_t send_some(const struct vconn *c, struct iovec *iov, size_t n)
{
	const struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	const ssize_t ret = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (ret >= 0)
		return ret;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static size_t skip_bytes(struct iovec *iov, size_t n, size_t skip)
{
	size_t i = 0;

	while (i < n && skip >= iov[i].iov_len)
		skip -= iov[i++].iov_len;
	if (i < n) {
		iov[i].iov_base = (uint8_t *)iov[i].iov_base + skip;
		iov[i].iov_len -= skip;
	}
	return i;
}

void hostend_write(struct backend *b, struct vconn *c, struct iovec *iov,
		   size_t n, uint32_t len)
{
	ssize_t done = 0;
	size_t i;

	c->got += len;
	if (!c->host_deaf && c->fifo.len == 0 && len > 0)
		done = send_some(c, iov, n);
	if (done < 0)
		host_is_deaf(c);
	if (c->host_deaf)
		done = len;
	vconn_forwarded(c, (uint32_t)done);
	i = skip_bytes(iov, n, (size_t)done);
	if (fifo_put(&c->fifo, iov + i, n - i, c->room) < 0) {
		hostend_reset(b, c);
		return;
	}
	if (c->fifo.len > 0)
		backend_rewatch(b, c, true);
	hostend_settle(b, c);
}

static void flush(struct backend *b, struct vconn *c)
{
	struct iovec iov[2];
	const size_t n = fifo_peek(&c->fifo, iov);
	ssize_t done;

	if (n == 0)
		return;
	done = send_some(c, iov, n);
	if (done < 0) {
		host_is_deaf(c);
	} else {
		fifo_drop(&c->fifo, (size_t)done);
		vconn_forwarded(c, (uint32_t)done);
	}
	if (c->fifo.len == 0)
		backend_rewatch(b, c, false);
}

uint32_t hostend_read(struct backend *b, struct vconn *c, struct iovec *iov,
		      size_t n, uint32_t room)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	const ssize_t got = recvmsg(c->fd, &m, MSG_DONTWAIT);

	if (got > 0) {
		/* A short read emptied it, unless its end is still to come. */
		if ((uint32_t)got < room && !c->hup)
			c->readable = false;
		return (uint32_t)got;
	}
	if (got == 0) {
		c->host_ended = true;
		tell_shutdown(c, PACKET_NO_SEND);
		hostend_settle(b, c);
	} else if (errno == EAGAIN) {
		c->readable = false;
	} else if (errno != EINTR) {
		hostend_reset(b, c);
	}
	return 0;
}

void hostend_event(struct backend *b, struct vconn *c, uint32_t events)
{
	const uint32_t ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	c->readable = c->readable || (events & (EPOLLIN | ends)) != 0;
	c->hup = c->hup || (events & ends) != 0;
	c->closed = c->closed || (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (c->state == VCONN_GREETING) {
		greet(b, c);
		return;
	}
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
		flush(b, c);
	hostend_settle(b, c);
}

void hostend_due(struct backend *b, struct vconn *c)
{
	vconns_unwait(&b->conns, c);
	switch (c->state) {
	case VCONN_DIALING:
		hostend_dial(b, c);
		break;
	case VCONN_CLOSING:
	case VCONN_ASKING:
		hostend_reset(b, c);
		break;
	case VCONN_GREETING:
	case VCONN_DRAINING:
		hostend_forget(b, c);
		break;
	case VCONN_FREE:
	case VCONN_OPEN:
	case VCONN_DYING:
		break; /* these wait for nothing but events */
	}
}
