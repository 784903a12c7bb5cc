#include "bridge/host/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

/* Ports are looked up by their low bits; stdio ports follow each other. */
#define BUCKETS 256u
/* Connections taken in one event; other ports get their turn then. */
#define TAKES_PER_EVENT 16
/* Guests that dial at the same moment; the kernel refuses more. */
#define BACKLOG 128

struct port;

/* A shim's connection: first it asks, then it has a port. */
struct pair {
	struct acceptor *all;
	struct port *port;
	struct pair *next; /* of the port, or of those that have none yet */
	uint32_t cid;
	int fd;
	struct loop_id watch;
};

struct port {
	struct acceptor *all;
	struct port *next; /* of the bucket */
	struct pair *first;
	uint32_t number;
	int fd;
	struct loop_id watch;
};

struct acceptor {
	struct loop *loop;
	struct acceptor_ports ports;
	int fd;
	struct loop_id watch;
	int spare; /* closed for a moment when there are no descriptors left */
	int idle_ms;
	struct loop_id idle;
	size_t n_pairs;
	struct pair *asking;
	struct port *bucket[BUCKETS];
};

/* --- AF_VSOCK ---------------------------------------------------------------------- */

static int vsock_listen(void *ctx UNUSED, uint32_t port, int *ret_fd,
			struct err *e)
{
	const struct sockaddr_vm at = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = port,
	};
	cleanup_fd fd =
		socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, "vsock socket");
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return err_sys(e, "vsock port %u", port);
	*ret_fd = fd_take(&fd);
	return 0;
}

static int vsock_accept(void *ctx UNUSED, int fd, int *ret_fd,
			uint32_t *ret_cid)
{
	struct sockaddr_vm peer = { 0 };
	socklen_t len = sizeof(peer);
	const int got = accept4(fd, (struct sockaddr *)&peer, &len,
				SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (got < 0)
		return -errno;
	*ret_fd = got;
	*ret_cid = peer.svm_cid;
	return 0;
}

const struct acceptor_ports acceptor_vsock = {
	.listen = vsock_listen,
	.accept = vsock_accept,
};

/* --- pairs ------------------------------------------------------------------------- */

static void on_idle(void *ctx)
{
	const struct acceptor *a = ctx;

	loop_stop(a->loop);
}

static void rest(struct acceptor *a)
{
	struct err e;

	if (a->n_pairs == 0 &&
	    loop_at(a->loop, loop_now_ms(a->loop) + a->idle_ms, on_idle, a,
		    &a->idle, &e) < 0)
		loop_stop(a->loop); /* whoever asks starts another */
}

static struct port *find(const struct acceptor *a, uint32_t number)
{
	struct port *p = a->bucket[number % BUCKETS];

	while (p && p->number != number)
		p = p->next;
	return p;
}

static void port_release(struct port *p)
{
	loop_unwatch(p->all->loop, &p->watch);
	fd_close(&p->fd);
	free(p);
}

/* A port that nobody wants is the kernel's to refuse. */
static void port_free(struct port *p)
{
	struct port **at = &p->all->bucket[p->number % BUCKETS];

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	port_release(p);
}

static void unlist(struct pair *p)
{
	struct pair **at = p->port ? &p->port->first : &p->all->asking;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

static void pair_release(struct pair *p)
{
	loop_unwatch(p->all->loop, &p->watch);
	fd_close(&p->fd);
	free(p);
}

static void pair_free(struct pair *p)
{
	struct acceptor *a = p->all;

	unlist(p);
	if (p->port && !p->port->first)
		port_free(p->port);
	pair_release(p);
	a->n_pairs--;
	rest(a);
}

/* Its end has come, and was not looked at yet. */
static bool has_gone(const struct pair *p)
{
	char byte;

	return recv(p->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Whose a connection of @cid is; NULL: nobody's. */
static struct pair *owner(const struct port *port, uint32_t cid)
{
	struct pair *p = port->first;

	while (p && p->cid != cid)
		p = p->next;
	return p;
}

/* --- connections of guests ------------------------------------------------------------ */

static int say(const struct pair *p, int result, int fd)
{
	struct acceptor_word w = { .version = ACCEPTOR_VERSION,
				   .result = result };
	struct iovec io = { .iov_base = &w, .iov_len = sizeof(w) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };

	if (fd >= 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	return sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A descriptor is let go of, so that the connection can be refused at least. */
static void refuse_one(struct port *port)
{
	struct acceptor *a = port->all;
	uint32_t cid;
	int fd = -1;

	fd_close(&a->spare);
	(void)a->ports.accept(a->ports.ctx, port->fd, &fd, &cid);
	fd_close(&fd);
	a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warn("vsock port %u: no descriptors left, a guest was refused",
		 port->number);
}

static void hand_on(const struct port *port, uint32_t cid, int fd)
{
	const struct pair *p = owner(port, cid);
	const int r = p ? say(p, 0, fd) : 0;

	if (r < 0)
		log_warn(
			"vsock port %u: the shim of guest %u does not take its "
			"connection: %s",
			port->number, cid, strerror(-r));
}

static void on_dialled(void *ctx, uint32_t events UNUSED)
{
	struct port *port = ctx;
	const struct acceptor *a = port->all;

	for (int i = 0; i < TAKES_PER_EVENT; i++) {
		cleanup_fd fd = -1;
		uint32_t cid = 0;
		const int r =
			a->ports.accept(a->ports.ctx, port->fd, &fd, &cid);

		if (r == -EMFILE || r == -ENFILE)
			refuse_one(port);
		if (r == -EAGAIN)
			return;
		if (r == 0)
			hand_on(port, cid, fd);
	}
}

/* --- shims ---------------------------------------------------------------------------- */

static int port_get(struct acceptor *a, uint32_t number, struct port **ret,
		    struct err *e)
{
	struct port **at = &a->bucket[number % BUCKETS];
	struct port *p = find(a, number);
	int r;

	if (p) {
		*ret = p;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, ENOMEM, "no memory");
	p->all = a;
	p->number = number;
	p->fd = -1;
	r = a->ports.listen(a->ports.ctx, number, &p->fd, e);
	if (r == 0)
		r = loop_watch(a->loop, p->fd, EPOLLIN, on_dialled, p,
			       &p->watch, e);
	if (r < 0) {
		fd_close(&p->fd);
		free(p);
		return r;
	}
	p->next = *at;
	*at = p;
	*ret = p;
	return 0;
}

static int serve(struct pair *p, const struct acceptor_ask *q, struct err *e)
{
	struct port *port = NULL;
	struct pair *before;
	int r;

	if (q->version != ACCEPTOR_VERSION)
		return err_set(e, EPROTO, "another version");
	r = port_get(p->all, q->port, &port, e);
	if (r < 0)
		return r;
	before = owner(port, q->cid);
	if (before && !has_gone(before))
		return err_set(e, EADDRINUSE, "another shim has it");
	unlist(p);
	p->cid = q->cid;
	p->port = port;
	p->next = port->first;
	port->first = p;
	if (before) /* it has asked again */
		pair_free(before);
	return 0;
}

static void on_pair(void *ctx, uint32_t events UNUSED)
{
	struct pair *p = ctx;
	struct acceptor_ask q;
	const ssize_t n = recv(p->fd, &q, sizeof(q), MSG_DONTWAIT);
	struct err e;
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Once is enough; what else it says is its end. */
	if (n != (ssize_t)sizeof(q) || p->port) {
		pair_free(p);
		return;
	}
	r = serve(p, &q, &e);
	if (say(p, r, -1) < 0 || r < 0)
		pair_free(p);
}

static int pair_new(struct acceptor *a, int fd, struct err *e)
{
	struct pair *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ENOMEM, "no memory for a shim");
	p->all = a;
	p->fd = -1;
	r = loop_watch(a->loop, fd, EPOLLIN, on_pair, p, &p->watch, e);
	if (r < 0) {
		free(p);
		return r;
	}
	p->fd = fd;
	p->next = a->asking;
	a->asking = p;
	a->n_pairs++;
	loop_cancel(a->loop, &a->idle);
	return 0;
}

static bool is_ours(int fd)
{
	struct ucred c = { 0 };
	socklen_t len = sizeof(c);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) == 0 &&
	       c.uid == geteuid();
}

static void on_shim(void *ctx, uint32_t events UNUSED)
{
	struct acceptor *a = ctx;
	cleanup_fd fd =
		accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err e = { 0 };

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		fd_close(&a->spare);
		fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);
		fd_close(&fd); /* it is told by the end */
		a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0 || !is_ours(fd))
		return;
	if (a->n_pairs >= ACCEPTOR_PAIRS_MAX)
		(void)err_set(&e, ENOSPC, "too many ports");
	else if (pair_new(a, fd, &e) == 0)
		fd = -1;
	if (e.code)
		log_warn("a shim was refused: %s", e.text);
}

int acceptor_new(struct loop *l, int listen_fd,
		 const struct acceptor_ports *ports, int idle_ms,
		 struct acceptor **ret, struct err *e)
{
	struct acceptor *a = calloc(1, sizeof(*a));
	int r;

	if (!a) {
		fd_close(&listen_fd);
		return err_set(e, ENOMEM, "no memory for an acceptor");
	}
	a->loop = l;
	a->ports = *ports;
	a->fd = listen_fd;
	a->idle_ms = idle_ms;
	a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r = loop_watch(l, a->fd, EPOLLIN, on_shim, a, &a->watch, e);
	if (r < 0) {
		acceptor_free(a);
		return r;
	}
	rest(a);
	*ret = a;
	return 0;
}

static void release_list(struct pair *p)
{
	for (struct pair *next; p; p = next) {
		next = p->next;
		pair_release(p);
	}
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	release_list(a->asking);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct port *p = a->bucket[i], *next; p; p = next) {
			next = p->next;
			release_list(p->first);
			port_release(p);
		}
	}
	loop_cancel(a->loop, &a->idle);
	loop_unwatch(a->loop, &a->watch);
	fd_close(&a->fd);
	fd_close(&a->spare);
	free(a);
}
