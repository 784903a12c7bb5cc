/*
 * Who waits for whom. A step of a stream takes from its source and gives to
 * its sink. When the source is empty only the source is watched for input,
 * when the sink is full only the sink for room; the other side is then watched
 * for nothing but its end. A pipe whose writers are gone reports a hang-up
 * whatever is asked of it, so a source that is not wanted is not watched.
 */
#include "bridge/guest/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/guest/carry.h"
#include "bridge/guest/streamstep.h"
#include "bridge/io/fd.h"
#include "config/util.h"

/* Attempts in a row that move nothing though both sides are ready. */
#define STALLS_MAX 4
/* A port that does not answer is dialled again; later on more seldom. */
#define REDIAL_MS 100
#define REDIAL_SLOW_MS 1000
#define REDIAL_FAST_DIALS 300u

static void stream_run(struct stream *s);
static void on_sock(void *ctx, uint32_t events);
static void on_end(void *ctx, uint32_t events);
static void on_timer(void *ctx);

static const char *const state_names[] = {
	[STREAM_OPEN] = "open",	      [STREAM_JUDGE] = "judge",
	[STREAM_LOST] = "lost",	      [STREAM_REDIAL] = "redial",
	[STREAM_DISCARD] = "discard", [STREAM_LINGER] = "linger",
	[STREAM_CLOSED] = "closed",
};

const char *stream_state_name(enum stream_state state)
{
	return (unsigned int)state < ARRAY_LEN(state_names) ? state_names[state]
							    : "?";
}

static struct loop *loop_of(const struct stream *s)
{
	return s->owner->loop;
}

static void changed(struct stream *s)
{
	if (s->on_change)
		s->on_change(s->ctx);
}

static void set_timer(struct stream *s, int ms)
{
	/* Without a timer the stream only stays as it is for longer. */
	(void)loop_at(loop_of(s), loop_now_ms(loop_of(s)) + ms, on_timer, s,
		      &s->timer, NULL);
}

/* Watches @fd for @events, or not at all. */
static int want(struct stream *s, struct loop_id *watch, int fd, bool on,
		uint32_t events, loop_io_fn *fn, struct err *e)
{
	if (!on || fd < 0) {
		loop_unwatch(loop_of(s), watch);
		return 0;
	}
	if (watch->generation != 0) {
		loop_rewatch(loop_of(s), *watch, events);
		return 0;
	}
	return loop_watch(loop_of(s), fd, events, fn, s, watch, e);
}

static int want_source(struct stream *s, struct err *e)
{
	int r;

	if (s->kind == STREAM_OUT) {
		r = want(s, &s->end_watch, s->end, true, EPOLLIN, on_end, e);
		return r < 0 ? r
			     : want(s, &s->sock_watch, s->sock, true,
				    s->half_closed ? 0 : EPOLLRDHUP, on_sock,
				    e);
	}
	r = want(s, &s->sock_watch, s->sock, true, EPOLLIN, on_sock, e);
	return r < 0 ? r : want(s, &s->end_watch, s->end, true, 0, on_end, e);
}

static int want_sink(struct stream *s, struct err *e)
{
	int r;

	if (s->kind == STREAM_OUT) {
		(void)want(s, &s->end_watch, s->end, false, 0, on_end, e);
		r = want(s, &s->sock_watch, s->sock, true, EPOLLOUT, on_sock,
			 e);
	} else {
		(void)want(s, &s->sock_watch, s->sock, false, 0, on_sock, e);
		r = want(s, &s->end_watch, s->end, true, EPOLLOUT, on_end, e);
	}
	return r;
}

static void let_go_of_end(struct stream *s)
{
	loop_unwatch(loop_of(s), &s->end_watch);
	if (s->end >= 0 && s->number != 0 && s->owner->on_end)
		s->owner->on_end(s->owner->ctx, s->number, s->role);
	fd_close(&s->end);
}

static void let_go_of_sock(struct stream *s)
{
	loop_unwatch(loop_of(s), &s->sock_watch);
	if (s->sock >= 0)
		(void)shutdown(s->sock, SHUT_RDWR); /* the peer may be gone */
	fd_close(&s->sock);
}

void stream_close(struct stream *s)
{
	if (s->state == STREAM_CLOSED)
		return;
	carry_done(s);
	let_go_of_end(s);
	let_go_of_sock(s);
	fd_close(&s->tee);
	loop_cancel(loop_of(s), &s->timer);
	s->state = STREAM_CLOSED;
	s->owner->n--;
	list_remove(&s->node);
	if (s->forgotten)
		list_push(&s->owner->dead, &s->node);
	else
		changed(s);
}

static void redial_failed(struct stream *s)
{
	let_go_of_sock(s);
	set_timer(s,
		  ++s->dials < REDIAL_FAST_DIALS ? REDIAL_MS : REDIAL_SLOW_MS);
}

/* Does the host know this socket? A reset says no. */
static void look_alive(struct stream *s)
{
	transport_probe(s->sock);
	s->fresh_ms = loop_now_ms(loop_of(s)) + STREAM_FRESH_MS;
}

static bool broke_early(struct stream *s)
{
	return s->port != 0 && s->early < STREAM_EARLY_MAX &&
	       loop_now_ms(loop_of(s)) < s->fresh_ms;
}

/* The socket of a stream broke. */
static void stream_broke(struct stream *s)
{
	let_go_of_sock(s);
	if (s->state == STREAM_DISCARD)
		return;
	loop_unwatch(loop_of(s), &s->end_watch);
	if (!s->owner->host_up) {
		s->state = STREAM_LOST;
	} else if (broke_early(s)) {
		s->early++;
		s->state = STREAM_REDIAL;
		redial_failed(s);
	} else {
		s->state = STREAM_JUDGE;
		s->broke_on = s->owner->host_number;
		s->looks = 0;
		set_timer(s, STREAM_JUDGE_MS);
	}
	changed(s);
}

/* All was sent: wait until the host closes its side. */
static void stream_linger(struct stream *s)
{
	struct err e = { 0 };

	if (shutdown(s->sock, SHUT_WR) < 0) {
		stream_close(s);
		return;
	}
	s->state = STREAM_LINGER;
	set_timer(s, STREAM_LINGER_MS);
	if (want(s, &s->sock_watch, s->sock, true, EPOLLIN | EPOLLRDHUP,
		 on_sock, &e) < 0)
		stream_close(s);
	else
		changed(s);
}

/*
 * A host half-closes to end its input; more than that may be its own end. A
 * vsock whose peer has closed both ways does not report a hang-up, but takes
 * nothing any more, not even an empty send, which puts nothing on the wire.
 */
static bool is_half_closed(const struct stream *s)
{
	struct pollfd p = { .fd = s->sock, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) == 0 &&
	       send(s->sock, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) == 0;
}

static void stream_source_ended(struct stream *s)
{
	if (s->kind == STREAM_IN && s->port != 0 && !is_half_closed(s)) {
		stream_broke(s);
	} else if (s->kind == STREAM_IN || s->state == STREAM_DISCARD) {
		stream_close(s);
	} else {
		let_go_of_end(s);
		stream_linger(s);
	}
}

/* --- a host is back -------------------------------------------------------- */

/* Connected again. What was not sent goes on, or the end is told. */
static void redialled(struct stream *s)
{
	struct err e = { 0 };

	s->dials = 0;
	s->half_closed = false;
	look_alive(s);
	s->state = STREAM_OPEN;
	loop_unwatch(loop_of(s), &s->sock_watch);
	loop_cancel(loop_of(s), &s->timer);
	if (s->end < 0) {
		stream_linger(s);
		return;
	}
	if (s->marked && s->tty)
		set_timer(s, STREAM_TTY_QUIET_MS);
	if ((s->left_len > 0 ? want_sink(s, &e) : want_source(s, &e)) < 0)
		stream_close(s);
}

static void redial(struct stream *s)
{
	const struct streams *all = s->owner;
	struct err e = { 0 };

	s->state = STREAM_REDIAL;
	if (!all->host_up) {
		s->state = STREAM_LOST; /* until the next one */
		changed(s);
	} else if (transport_dial(all->transport, s->port, &s->sock, &e) < 0 ||
		   want(s, &s->sock_watch, s->sock, true, EPOLLOUT, on_sock,
			&e) < 0) {
		redial_failed(s);
	}
}

static void on_redial(struct stream *s)
{
	if (transport_dial_result(s->sock) == 0)
		redialled(s);
	else
		redial_failed(s);
}

static void stream_wait(struct stream *s, enum step why)
{
	struct err e = { 0 };
	int r;

	if (s->state == STREAM_DISCARD)
		r = want(s, &s->end_watch, s->end, true, EPOLLIN, on_end, &e);
	else
		r = why == STEP_NEED_SINK ? want_sink(s, &e)
					  : want_source(s, &e);
	if (r < 0)
		stream_close(s);
	else if (s->marked)
		changed(s);
}

/* Moves until one side has to be waited for, or others have their turn. */
static void stream_run(struct stream *s)
{
	const uint64_t until = s->offset + STREAM_TURN_BYTES;
	unsigned int stalls = 0;
	enum step step = STEP_NEED_SOURCE;

	while (s->offset < until) {
		step = stream_step(s);
		if (step == STEP_AGAIN && ++stalls > STALLS_MAX)
			s->no_splice = true; /* it says neither yes nor no */
		if (step != STEP_MOVED && step != STEP_AGAIN)
			break;
	}
	switch (step) {
	case STEP_END:
		stream_source_ended(s);
		break;
	case STEP_SINK_BROKE:
		if (s->kind == STREAM_OUT)
			stream_broke(s);
		else
			stream_close(s); /* nobody reads it any more */
		break;
	case STEP_MOVED:
	case STEP_AGAIN:
	case STEP_NEED_SOURCE:
	case STEP_NEED_SINK:
	default:
		stream_wait(s, step);
		break;
	}
}

/* Does nobody read what would be sent? A host may half-close an output. */
static bool is_gone(struct stream *s, uint32_t events)
{
	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		return true;
	if ((events & EPOLLRDHUP) == 0)
		return false;
	s->half_closed = is_half_closed(s);
	return !s->half_closed;
}

static void on_sock(void *ctx, uint32_t events)
{
	struct stream *s = ctx;

	switch (s->state) {
	case STREAM_OPEN:
		if (s->kind == STREAM_IDLE)
			stream_close(s);
		else if (s->kind == STREAM_OUT && is_gone(s, events))
			stream_broke(s);
		else
			stream_run(s);
		break;
	case STREAM_LINGER:
		/* The host has closed its side, or is gone: then its successor
		 * has to be told the end. */
		if (s->port != 0 && (events & EPOLLERR) != 0)
			stream_broke(s);
		else
			stream_close(s);
		break;
	case STREAM_REDIAL:
		on_redial(s);
		break;
	case STREAM_JUDGE:
	case STREAM_LOST:
	case STREAM_DISCARD:
	case STREAM_CLOSED:
	default:
		loop_unwatch(loop_of(s), &s->sock_watch);
		break;
	}
}

static void on_end(void *ctx, uint32_t events)
{
	struct stream *s = ctx;

	/* Nobody reads the pipe, or nobody has the terminal. */
	if (s->kind == STREAM_IN && (events & (EPOLLERR | EPOLLHUP)) != 0)
		stream_close(s);
	else
		stream_run(s);
}

static void on_timer(void *ctx)
{
	struct stream *s = ctx;
	const struct streams *all = s->owner;

	if (s->state == STREAM_LINGER) {
		stream_close(s);
	} else if (s->state == STREAM_REDIAL) {
		redial(s);
	} else if (s->state == STREAM_JUDGE) {
		if (all->host_up && all->host_number == s->broke_on) {
			if (++s->looks < STREAM_JUDGE_LOOKS) {
				set_timer(s, STREAM_JUDGE_MS);
				return;
			}
			s->refused = true; /* it was the stream that ended */
			stream_close(s);
			return;
		}
		s->state = STREAM_LOST;
		if (all->host_up)
			streams_host(s->owner, true, all->host_number);
	} else if (s->marked && s->tty) {
		s->quiet = true;
		changed(s);
	}
}

int streams_init(struct streams *all, struct loop *l, const struct transport *t)
{
	*all = (struct streams){ .loop = l, .transport = t };
	list_init(&all->all);
	list_init(&all->dead);
	all->scratch = malloc(STREAM_BUFFER);
	return all->scratch ? 0 : -ENOMEM;
}

void streams_sweep(struct streams *all)
{
	struct list *node;

	while ((node = list_pop(&all->dead)) != NULL) {
		struct stream *s = LIST_ITEM(node, struct stream, node);

		free(s->left);
		free(s);
	}
}

void streams_done(struct streams *all)
{
	while (!list_empty(&all->all))
		stream_close(LIST_ITEM(all->all.next, struct stream, node));
	streams_sweep(all);
	free(mem_take(&all->scratch));
}

void stream_discard(struct stream *s)
{
	struct err e = { 0 };

	s->state = STREAM_DISCARD;
	s->owner->discarded += s->left_len;
	s->left_len = 0;
	if (want(s, &s->end_watch, s->end, true, EPOLLIN, on_end, &e) < 0)
		s->state = STREAM_LOST; /* the next host, perhaps */
}

void streams_host(struct streams *all, bool up, uint32_t number)
{
	all->host_up = up;
	if (up)
		all->host_number = number;
	/* Nothing is moved here: that could end streams, and with them others
	 * of the same process, under this loop. */
	for (struct list *l = all->all.next; l != &all->all; l = l->next) {
		struct stream *s = LIST_ITEM(l, struct stream, node);

		if (s->carry)
			carry_host(s);
		else if (up && s->state == STREAM_LOST && s->port != 0)
			redial(s);
		else if (up && s->state == STREAM_LOST)
			stream_discard(s);
		else if (up && s->state == STREAM_OPEN && s->port != 0)
			look_alive(s);
		if (up)
			s->early = 0;
	}
}

/* Begins to watch and moves what is there. */
static int stream_start(struct stream *s, struct err *e)
{
	if (s->sock < 0) {
		s->state = STREAM_LOST;
		return 0;
	}
	if (s->kind == STREAM_IDLE)
		return want(s, &s->sock_watch, s->sock, true, EPOLLRDHUP,
			    on_sock, e);
	return want_source(s, e);
}

int stream_new(struct streams *all, enum stream_kind kind, int sock, int end,
	       bool tty, stream_change_fn *fn, void *ctx, struct stream **ret,
	       struct err *e)
{
	struct stream *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		fd_close(&sock);
		fd_close(&end);
		return err_set(e, ENOMEM, "no memory for a stream");
	}
	s->owner = all;
	s->kind = kind;
	s->sock = sock;
	s->end = end;
	s->tty = tty;
	s->tee = -1;
	s->forgotten = true; /* nobody has it yet */
	list_init(&s->node);
	list_push(&all->all, &s->node);
	all->n++;
	r = stream_start(s, e);
	if (r < 0) {
		stream_close(s);
		return r;
	}
	s->forgotten = false;
	s->on_change = fn;
	s->ctx = ctx;
	*ret = s;
	return 0;
}

void stream_deposited(struct stream *s, uint64_t number, uint32_t role)
{
	s->number = number;
	s->role = role;
}

void stream_redial(struct stream *s, uint32_t port)
{
	s->port = port;
}

void stream_tee(struct stream *s, int fd)
{
	s->tee = fd;
	s->no_splice = !s->carry;
}

void stream_process_exited(struct stream *s)
{
	int waiting = 0;

	s->marked = true;
	if (s->kind != STREAM_OUT || s->end < 0)
		return;
	if (s->carry) {
		carry_exited(s);
		return;
	}
	if (s->tty && s->state == STREAM_OPEN) {
		/* Its end of file comes after everything that was written. */
		set_timer(s, STREAM_TTY_QUIET_MS);
		return;
	}
	if (ioctl(s->end, FIONREAD, &waiting) < 0)
		waiting = 0;
	s->mark = s->offset + (uint64_t)waiting;
}

bool stream_drained(const struct stream *s)
{
	if (s->carry)
		return carry_drained(s);
	if (s->kind != STREAM_OUT ||
	    (s->state != STREAM_OPEN && s->state != STREAM_REDIAL))
		return true;
	if (!s->marked || s->left_len > 0)
		return false;
	return s->tty ? s->quiet : s->offset >= s->mark;
}

void stream_forget(struct stream *s)
{
	s->forgotten = true;
	s->port = 0;
	s->on_change = NULL;
	s->ctx = NULL;
	if (s->state == STREAM_CLOSED)
		list_push(&s->owner->dead, &s->node);
	else if (s->carry)
		return; /* what is in it the host may still have */
	else if (s->kind == STREAM_IDLE || s->state == STREAM_LOST ||
		 s->state == STREAM_JUDGE || s->state == STREAM_REDIAL)
		stream_close(s);
}
