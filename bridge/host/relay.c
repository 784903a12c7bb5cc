/*
 * Theory of operation. A relay is in one of three conditions: it waits for the
 * source (watched for input; the destination only for a hang-up), it is
 * blocked (the destination is watched for output, the source not at all, since
 * epoll cannot be told to keep quiet about its hang-up), or it is over.
 *
 * Bytes move by splice() when one end is a pipe and both may be used without
 * care; else by read() and write(), and what the destination did not take is
 * kept in @rest. An end that is always ready is driven by @timer, at once.
 */
#include "bridge/host/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Steps of one event; others get their turn then. */
#define STEPS_PER_EVENT 16
#define CAREFUL_READ 512u
#define NEVER INT64_MAX

struct host_relay {
	struct loop *loop;
	struct local from;
	struct local to;
	struct loop_id from_watch;
	struct loop_id to_watch;
	struct loop_id timer; /* always there, so that moving it cannot fail */
	bool splice;
	bool blocked;
	bool eof; /* the source is closed, no more is read */
	bool source_failed;
	uint8_t *rest;
	size_t rest_at;
	size_t rest_len;
	uint64_t bytes;
	uint64_t *tally;
	enum host_relay_end how;
	struct err err;
	host_relay_fn *done;
	void *ctx;
};

/* What one step came to. */
enum step {
	STEP_MOVED,
	STEP_WAIT_FROM,
	STEP_WAIT_TO,
	STEP_END, /* @how and @err tell why */
};

static void on_from(void *ctx, uint32_t events);
static void on_to(void *ctx, uint32_t events);
static void on_timer(void *ctx);

static void close_from(struct host_relay *r)
{
	loop_unwatch(r->loop, &r->from_watch);
	local_close(&r->from);
	r->eof = true;
}

static enum step end(struct host_relay *r, enum host_relay_end how, int error,
		     const char *what)
{
	r->how = how;
	if (how == HOST_RELAY_ERROR) {
		errno = error;
		(void)err_sys(&r->err, "%s", what);
	}
	return STEP_END;
}

/* The source has nothing more; what is held still goes out. */
static enum step source_ended(struct host_relay *r, int error)
{
	if (error) {
		r->source_failed = true;
		(void)end(r, HOST_RELAY_ERROR, error, "read of a stream");
	}
	close_from(r);
	return r->rest_len ? STEP_WAIT_TO : STEP_END;
}

static enum step destination_failed(struct host_relay *r, int error)
{
	if (error == EPIPE || error == ECONNRESET || error == EIO)
		return end(r, HOST_RELAY_CLOSED, 0, NULL);
	return end(r, HOST_RELAY_ERROR, error, "write of a stream");
}

/* splice() says EAGAIN for either end: which one has to be waited for? */
static enum step who_is_late(const struct host_relay *r)
{
	struct pollfd p = { .fd = r->to.fd, .events = POLLOUT };

	if (poll(&p, 1, 0) == 1)
		return STEP_WAIT_FROM;
	return STEP_WAIT_TO;
}

static void count(struct host_relay *r, ssize_t n)
{
	r->bytes += (uint64_t)n;
	if (r->tally)
		*r->tally += (uint64_t)n;
}

static enum step step_splice(struct host_relay *r)
{
	const ssize_t n =
		splice(r->from.fd, NULL, r->to.fd, NULL, RELAY_BUFFER_SIZE,
		       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n > 0) {
		count(r, n);
		return STEP_MOVED;
	}
	if (n == 0)
		return source_ended(r, 0);
	switch (errno) {
	case EAGAIN:
		return who_is_late(r);
	case EINTR:
		return STEP_MOVED;
	case EINVAL: /* a kind of file that it cannot do */
	case ENOSYS:
		r->splice = false;
		return STEP_MOVED;
	case EPIPE:
		return destination_failed(r, EPIPE);
	default:
		/* Either end may have said so; copying tells them apart. */
		r->splice = false;
		return STEP_MOVED;
	}
}

/* Keeps what the destination did not take. */
static enum step keep(struct host_relay *r, const uint8_t *bytes, size_t len)
{
	r->rest = malloc(len);
	if (!r->rest)
		return end(r, HOST_RELAY_ERROR, ENOMEM, "buffer of a stream");
	memcpy(r->rest, bytes, len);
	r->rest_at = 0;
	r->rest_len = len;
	return STEP_WAIT_TO;
}

static enum step step_read(struct host_relay *r, bool to_ready)
{
	uint8_t buf[RELAY_BUFFER_SIZE];
	const ssize_t got = local_read(
		&r->from, buf, r->from.careful ? CAREFUL_READ : sizeof(buf));
	ssize_t put = 0;

	if (got == -EAGAIN)
		return STEP_WAIT_FROM;
	if (got <= 0)
		return source_ended(r, (int)-got);
	count(r, got);

	if (to_ready || !r->to.careful)
		put = local_write(&r->to, buf, (size_t)got);
	if (put < 0 && put != -EAGAIN) {
		(void)keep(r, buf, (size_t)got);
		return destination_failed(r, (int)-put);
	}
	if (put < 0)
		put = 0;
	if (put < got)
		return keep(r, buf + put, (size_t)(got - put));
	return r->from.careful ? STEP_WAIT_FROM : STEP_MOVED;
}

static enum step step_write(struct host_relay *r)
{
	const ssize_t put =
		local_write(&r->to, r->rest + r->rest_at, r->rest_len);

	if (put == -EAGAIN)
		return STEP_WAIT_TO;
	if (put < 0)
		return destination_failed(r, (int)-put);
	r->rest_at += (size_t)put;
	r->rest_len -= (size_t)put;
	if (r->rest_len > 0)
		return STEP_WAIT_TO;
	free(r->rest);
	r->rest = NULL;
	if (r->eof)
		return STEP_END;
	return r->to.careful || r->from.careful ? STEP_WAIT_FROM : STEP_MOVED;
}

/* The last thing that happens to a relay: it may be freed inside. */
static void report(struct host_relay *r)
{
	loop_unwatch(r->loop, &r->to_watch);
	loop_cancel(r->loop, &r->timer);
	r->blocked = false;
	if (r->how == HOST_RELAY_CLOSED) {
		loop_unwatch(r->loop, &r->from_watch);
		local_close(&r->to);
	} else {
		close_from(r);
		if (r->to.own)
			local_half_close(&r->to);
	}
	r->done(r->ctx, r->how, r->err.code ? &r->err : NULL);
}

static void again_at_once(struct host_relay *r)
{
	(void)loop_at(r->loop, loop_now_ms(r->loop), on_timer, r, &r->timer,
		      NULL);
}

/* Watches one end. Return: 0, also for an end that epoll refuses; -errno. */
static int watch(struct host_relay *r, struct local *end, uint32_t events,
		 loop_io_fn *fn, struct loop_id *id)
{
	int err;

	if (end->steady || end->fd < 0)
		return 0;
	if (id->generation != 0) {
		loop_rewatch(r->loop, *id, events);
		return 0;
	}
	err = loop_watch(r->loop, end->fd, events, fn, r, id, &r->err);
	if (err == -EPERM) {
		end->steady = true;
		end->careful = false;
		r->err = (struct err){ 0 };
		return 0;
	}
	return err;
}

/* Arranges for the next step. Return: 0 or -errno with r->err. */
static int arm(struct host_relay *r)
{
	int err;

	if (r->blocked)
		loop_unwatch(r->loop, &r->from_watch);
	else if (!r->eof) {
		err = watch(r, &r->from, EPOLLIN, on_from, &r->from_watch);
		if (err < 0)
			return err;
	}
	err = watch(r, &r->to, r->blocked ? EPOLLOUT : 0, on_to, &r->to_watch);
	if (err < 0)
		return err;
	if (r->blocked ? r->to.steady : r->from.steady)
		again_at_once(r);
	return 0;
}

static void run(struct host_relay *r, bool to_ready)
{
	enum step s = STEP_MOVED;

	for (int i = 0; i < STEPS_PER_EVENT && s == STEP_MOVED; i++) {
		if (r->rest_len > 0)
			s = step_write(r);
		else if (r->eof)
			s = STEP_END;
		else if (r->splice)
			s = step_splice(r);
		else
			s = step_read(r, to_ready);
	}
	r->blocked = s == STEP_WAIT_TO;
	if (s != STEP_END && arm(r) < 0) {
		r->how = HOST_RELAY_ERROR;
		s = STEP_END;
	}
	if (s == STEP_END)
		report(r);
}

static void on_from(void *ctx, uint32_t events)
{
	(void)events; /* a hang-up is read as the end or an error */
	run(ctx, false);
}

static void on_to(void *ctx, uint32_t events)
{
	struct host_relay *r = ctx;

	if (r->blocked) {
		run(r, true);
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		r->how = HOST_RELAY_CLOSED;
		report(r);
	}
}

static void on_timer(void *ctx)
{
	struct host_relay *r = ctx;

	/* It has fired: have another for the next time. */
	if (loop_at(r->loop, NEVER, on_timer, r, &r->timer, &r->err) < 0) {
		r->how = HOST_RELAY_ERROR;
		report(r);
	} else if (r->eof && r->rest_len == 0) {
		report(r);
	} else {
		run(r, r->to.steady);
	}
}

int host_relay_new(struct loop *loop, struct local *from, struct local *to,
		   host_relay_fn *done, void *ctx, struct host_relay **ret,
		   struct err *e)
{
	struct host_relay *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return err_set(e, ENOMEM, "no memory for a stream");
	r->loop = loop;
	r->from = *from;
	r->to = *to;
	r->done = done;
	r->ctx = ctx;
	r->splice = (from->pipe || to->pipe) && !from->careful && !to->careful;

	err = loop_at(loop, NEVER, on_timer, r, &r->timer, &r->err);
	if (err == 0)
		err = arm(r);
	if (err < 0) {
		if (e)
			*e = r->err;
		r->from.fd = -1; /* both stay the caller's */
		r->to.fd = -1;
		host_relay_free(r);
		return err;
	}
	from->fd = -1;
	to->fd = -1;
	*ret = r;
	return 0;
}

void host_relay_finish(struct host_relay *r)
{
	if (r->eof)
		return;
	close_from(r);
	if (r->rest_len == 0)
		again_at_once(r);
}

bool host_relay_source_failed(const struct host_relay *r)
{
	return r->source_failed;
}

struct host_relay_parts host_relay_take(struct host_relay *r)
{
	struct host_relay_parts parts;

	loop_unwatch(r->loop, &r->from_watch);
	loop_unwatch(r->loop, &r->to_watch);
	if (r->rest_at > 0 && r->rest)
		memmove(r->rest, r->rest + r->rest_at, r->rest_len);
	parts = (struct host_relay_parts){
		.from = r->from,
		.to = r->to,
		.rest = r->rest_len > 0 ? r->rest : NULL,
		.len = r->rest_len,
	};
	r->from.fd = -1;
	r->to.fd = -1;
	if (parts.rest)
		r->rest = NULL;
	host_relay_free(r);
	return parts;
}

void host_relay_prime(struct host_relay *r, uint8_t *rest, size_t len)
{
	if (len == 0) {
		free(rest);
		return;
	}
	r->rest = rest;
	r->rest_at = 0;
	r->rest_len = len;
	r->blocked = true;
	if (arm(r) < 0)
		again_at_once(r); /* the write will say what is wrong */
}

void host_relay_tally(struct host_relay *r, uint64_t *sum)
{
	r->tally = sum;
}

uint64_t host_relay_bytes(const struct host_relay *r)
{
	return r->bytes;
}

bool host_relay_blocked(const struct host_relay *r)
{
	return r->blocked;
}

void host_relay_free(struct host_relay *r)
{
	if (!r)
		return;
	loop_unwatch(r->loop, &r->from_watch);
	loop_unwatch(r->loop, &r->to_watch);
	loop_cancel(r->loop, &r->timer);
	local_close(&r->from);
	local_close(&r->to);
	free(r->rest);
	free(r);
}
