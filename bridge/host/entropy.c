#include "bridge/host/entropy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "bridge/host/door.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"

struct host_entropy {
	struct loop *loop;
	struct transport transport;
	int fd;
	struct loop_id watch;
	unsigned int serves;
	void (*served)(void *ctx);
	void *ctx;
};

static void stop(struct host_entropy *s)
{
	if (s->fd < 0)
		return;
	loop_unwatch(s->loop, &s->watch);
	transport_unlink(&s->transport, WIRE_PORT_ENTROPY);
	fd_close(&s->fd);
}

/*
 * A fresh socket takes so few bytes at once. A guest that made its buffers
 * smaller than that gets none: it is not waited for.
 */
static bool serve(int fd)
{
	unsigned char seed[ENTROPY_BYTES];
	ssize_t n = getrandom(seed, sizeof(seed), 0);

	if (n == (ssize_t)sizeof(seed))
		n = send(fd, seed, sizeof(seed), MSG_NOSIGNAL | MSG_DONTWAIT);
	explicit_bzero(seed, sizeof(seed));
	if (n != (ssize_t)sizeof(seed))
		return false;
	(void)shutdown(fd, SHUT_WR); /* the close behind it says the same */
	return true;
}

static void on_ready(void *ctx, uint32_t events);

static int open_port(struct host_entropy *s, struct err *e)
{
	const int r = host_door_listen(&s->transport, WIRE_PORT_ENTROPY, 1,
				       &s->fd, e);

	return r < 0 ? r
		     : loop_watch(s->loop, s->fd, EPOLLIN, on_ready, s,
				  &s->watch, e);
}

/* Not served: either the acceptor has died, or the port cannot be kept. */
static void on_failure(struct host_entropy *s, struct err *e)
{
	loop_unwatch(s->loop, &s->watch);
	if (e->code == ECONNRESET) {
		fd_close(&s->fd);
		if (open_port(s, e) == 0)
			return;
	}
	log_warn("entropy port: %s, closed", e->text);
	stop(s);
}

static void on_ready(void *ctx, uint32_t events)
{
	struct host_entropy *s = ctx;
	struct err e = { 0 };
	cleanup_fd fd = -1;
	bool done;

	(void)events;
	if (host_door_accept(&s->transport, s->fd, &fd, &e) < 0) {
		if (e.code != EAGAIN)
			on_failure(s, &e);
		return;
	}
	done = serve(fd);
	if (!done)
		log_warn("entropy port: the guest took no bytes");
	if (++s->serves == ENTROPY_SERVES_MAX) {
		log_warn("entropy port: dialled %u times, closed", s->serves);
		stop(s);
	}
	if (done && s->served)
		s->served(s->ctx);
}

int host_entropy_new(struct loop *loop, const struct transport *t,
		     void (*served)(void *ctx), void *ctx,
		     struct host_entropy **ret, struct err *e)
{
	struct host_entropy *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "no memory for the entropy port");
	s->loop = loop;
	s->transport = *t;
	s->fd = -1;
	s->served = served;
	s->ctx = ctx;
	r = open_port(s, e);
	if (r < 0) {
		host_entropy_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void host_entropy_free(struct host_entropy *s)
{
	if (!s)
		return;
	stop(s);
	free(s);
}
