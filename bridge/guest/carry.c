#include "bridge/guest/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/carrystep.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/msg_ferry.h"
#include "config/num.h"
#include "config/util.h"

static void run(struct stream *s);
static void dial(struct stream *s);

static struct loop *loop_of(const struct stream *s)
{
	return s->owner->loop;
}

void carry_tell(const struct stream *s, uint32_t type)
{
	const struct streams *all = s->owner;

	all->tell(all->tell_ctx, type, s->carry->port,
		  type == WIRE_FERRY_STREAM_MARK ? s->mark : s->carry->length);
}

void carry_note(const struct stream *s, uint64_t value)
{
	if (s->carry->word)
		__atomic_store_n(s->carry->word, value, __ATOMIC_RELEASE);
}

void carry_timer(struct stream *s, struct loop_id *id, int ms,
		 loop_timer_fn *fn)
{
	/* Without a timer the next event of anything moves it on. */
	(void)loop_at(loop_of(s), loop_now_ms(loop_of(s)) + ms, fn, s, id,
		      NULL);
}

void carry_watch(struct stream *s, struct loop_id *id, int fd, bool on,
		 uint32_t events, loop_io_fn *fn)
{
	struct err e = { 0 };

	if (!on || fd < 0)
		loop_unwatch(loop_of(s), id);
	else if (id->generation != 0)
		loop_rewatch(loop_of(s), *id, events);
	else if (loop_watch(loop_of(s), fd, events, fn, s, id, &e) < 0) {
		log_err("a stream waits: %s", e.text);
		carry_timer(s, &s->carry->run_timer, CARRY_MEMORY_MS,
			    carry_on_run_timer);
	}
}

static void let_go_of_sock(struct stream *s)
{
	struct carry *c = s->carry;

	loop_unwatch(loop_of(s), &s->sock_watch);
	loop_cancel(loop_of(s), &c->dial_timer);
	fd_close(&s->sock);
	c->greeted = false;
	c->ack_due = false;
	c->put_at = 0;
	c->put_len = 0;
	c->got_len = 0;
}

static struct stream **bucket_of(struct streams *all, uint32_t port)
{
	return &all->by_port[port % STREAM_BUCKETS]; /* they count upwards */
}

void carry_done(struct stream *s)
{
	struct carry *c = s->carry;
	struct stream **at;

	if (!c)
		return;
	for (at = bucket_of(s->owner, c->port); *at != s;)
		at = &(*at)->carry->next;
	*at = c->next;
	let_go_of_sock(s);
	loop_cancel(loop_of(s), &c->run_timer);
	if (s->owner->on_kept)
		s->owner->on_kept(s->owner->ctx, s, NULL);
	fd_close(&c->file);
	fd_close(&c->mid);
	s->carry = NULL;
	free(c);
}

/* --- the connection -------------------------------------------------------- */

static void on_dial_timer(void *ctx)
{
	dial(ctx);
}

/* Not connected: again, unless the host is gone too. */
void carry_broke(struct stream *s)
{
	struct carry *c = s->carry;
	const uint32_t n = c->dials++;
	int ms = CARRY_REDIAL_MS;

	let_go_of_sock(s);
	s->state = STREAM_LOST;
	if (!s->owner->host_up || !s->owner->nonce)
		return;
	if (n < 6)
		ms = 1 << n;
	else if (n >= CARRY_FAST_DIALS)
		ms = CARRY_REDIAL_SLOW_MS;
	carry_timer(s, &c->dial_timer, ms, on_dial_timer);
}

static void dial(struct stream *s)
{
	const struct streams *all = s->owner;
	struct err e = { 0 };

	if (!all->host_up || !all->nonce || s->sock >= 0)
		return;
	s->state = STREAM_REDIAL;
	if (transport_dial(all->transport, s->carry->port, &s->sock, &e) < 0) {
		carry_broke(s);
		return;
	}
	carry_watch(s, &s->sock_watch, s->sock, true, EPOLLOUT, carry_on_sock);
	if (s->sock_watch.generation == 0)
		carry_broke(s);
}

void carry_host(struct stream *s)
{
	s->carry->dials = 0;
	let_go_of_sock(s); /* it ends with the bridge's connection */
	s->state = STREAM_LOST;
	dial(s);
}

/* Who is here says so; behind that a receiver tells what it has. */
static void connected(struct stream *s)
{
	struct carry *c = s->carry;

	s->state = STREAM_OPEN;
	stream_hello_put(s->owner->session, s->owner->nonce, c->port, c->put);
	c->put_len = STREAM_HELLO_BYTES;
	if (s->kind == STREAM_IN) {
		le64_put(c->put + STREAM_HELLO_BYTES, s->offset);
		c->put_len += STREAM_OFFSET_BYTES;
		c->acked = s->offset;
		c->greeted = true;
	}
}

/* Writes what begins the connection, or a number. Return: false: broken */
bool carry_flush(struct stream *s)
{
	struct carry *c = s->carry;

	if (c->put_at == c->put_len && c->ack_due) {
		le64_put(c->put, s->offset);
		c->put_at = 0;
		c->put_len = STREAM_OFFSET_BYTES;
		c->acked = s->offset;
		c->ack_due = false;
	}
	while (c->put_at < c->put_len) {
		const ssize_t n = send(s->sock, c->put + c->put_at,
				       c->put_len - c->put_at,
				       MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->put_at += (size_t)n;
	}
	return true;
}

/* --- events ---------------------------------------------------------------- */

static void run(struct stream *s)
{
	if (s->kind == STREAM_OUT)
		carry_run_output(s);
	else
		carry_run_input(s);
}

void carry_on_run_timer(void *ctx)
{
	struct stream *s = ctx;

	s->carry->run_timer = (struct loop_id){ 0 };
	s->carry->ack_due = s->kind == STREAM_IN && s->state == STREAM_OPEN &&
			    s->carry->acked != s->offset;
	run(s);
}

static bool is_broken(struct stream *s, uint32_t events)
{
	const uint32_t gone = EPOLLHUP | EPOLLERR;

	if (s->kind == STREAM_OUT)
		return (events & (EPOLLIN | gone)) != 0 &&
		       !carry_read_numbers(s);
	return (events & gone) != 0 && (events & EPOLLIN) == 0;
}

void carry_on_sock(void *ctx, uint32_t events)
{
	struct stream *s = ctx;

	if (s->state == STREAM_REDIAL) {
		if (transport_dial_result(s->sock) != 0) {
			carry_broke(s);
			return;
		}
		connected(s);
	} else if (is_broken(s, events)) {
		carry_broke(s);
	}
	run(s);
}

void carry_on_end(void *ctx, uint32_t events)
{
	struct stream *s = ctx;

	/* Nobody reads the pipe, or nobody has the terminal. */
	if (s->kind == STREAM_IN && (events & (EPOLLERR | EPOLLHUP)) != 0)
		carry_input_over(s);
	else
		run(s);
}

static void on_quiet(void *ctx)
{
	struct stream *s = ctx;

	s->quiet = true;
	s->mark = s->offset;
	if (s->carry)
		carry_tell(s, WIRE_FERRY_STREAM_MARK);
	if (s->on_change)
		s->on_change(s->ctx);
}

void carry_exited(struct stream *s)
{
	int waiting = 0;

	if (s->tty) {
		carry_timer(s, &s->timer, STREAM_TTY_QUIET_MS, on_quiet);
		return;
	}
	if (ioctl(s->end, FIONREAD, &waiting) < 0)
		waiting = 0;
	s->mark = s->offset + (uint64_t)waiting;
	carry_tell(s, WIRE_FERRY_STREAM_MARK);
}

bool carry_drained(const struct stream *s)
{
	if (s->kind != STREAM_OUT || s->end < 0)
		return true;
	if (!s->marked)
		return false;
	return s->tty ? s->quiet : s->offset >= s->mark;
}

/* Nobody will have it. */
static void drop(struct stream *s)
{
	carry_done(s);
	loop_unwatch(loop_of(s), &s->end_watch);
	if (s->kind == STREAM_OUT && s->end >= 0)
		stream_discard(s);
	else
		stream_close(s);
}

/* Where an earlier agent has left it. */
static void go_on(struct stream *s, const struct carry_new *n)
{
	struct carry *c = s->carry;
	struct stat st;
	off_t at;

	while (c->mid >= 0 && carry_move(c->mid, c->file, STREAM_BUFFER) > 0)
		;
	at = lseek(c->file, 0, SEEK_CUR);
	if (at < 0 || fstat(c->file, &st) < 0)
		return; /* not with a memfd */
	if (s->kind == STREAM_OUT) {
		s->offset = (uint64_t)at;
		c->acked = n->word;
		c->at = n->word;
	} else {
		s->offset = (uint64_t)st.st_size;
		c->at = (uint64_t)at;
		c->ended = n->word != 0;
		c->length = n->word - 1;
	}
}

/* A pipe by one descriptor. Without it a terminal is read. */
static int both_ends(void)
{
	char name[32];
	int p[2], fd;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
	fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	(void)close(p[0]);
	(void)close(p[1]);
	return fd;
}

static struct stream *make(struct streams *all, const struct carry_new *n,
			   stream_change_fn *fn, void *ctx)
{
	struct carry *c = calloc(1, sizeof(*c));
	struct stream *s = calloc(1, sizeof(*s));
	const int file = n->file >= 0
				 ? n->file
				 : memfd_create("ferry-stream", MFD_CLOEXEC);

	if (!c || !s || file < 0) {
		fd_close(&(int){ file });
		free(c);
		free(s);
		return NULL;
	}
	*c = (struct carry){
		.port = n->port, .file = file, .mid = n->mid, .slot = n->slot
	};
	if (n->tty && n->kind == STREAM_OUT && n->file < 0)
		c->mid = both_ends();
	*s = (struct stream){ .owner = all,
			      .kind = n->kind,
			      .state = STREAM_LOST,
			      .sock = -1,
			      .end = n->end,
			      .tee = -1,
			      .tty = n->tty,
			      .number = n->number,
			      .role = n->role,
			      .carry = c,
			      .on_change = fn,
			      .ctx = ctx };
	list_push(&all->all, &s->node);
	c->next = *bucket_of(all, c->port);
	*bucket_of(all, c->port) = s;
	all->n++;
	if (n->file >= 0)
		go_on(s, n);
	if (s->kind == STREAM_OUT && s->end < 0) {
		c->ended = true;
		c->length = s->offset;
	}
	if (all->on_kept)
		all->on_kept(all->ctx, s, n);
	return s;
}

int stream_new_carried(struct streams *all, const struct carry_new *n,
		       stream_change_fn *fn, void *ctx, struct stream **ret,
		       struct err *e)
{
	struct stream *s = make(all, n, fn, ctx);

	if (!s) {
		fd_close(&(int){ n->end });
		return err_set(e, ENOMEM, "no memory for a stream");
	}
	*ret = s;
	if (!all->session) {
		drop(s); /* it was over before the process began */
		return 0;
	}
	carry_watch(s, &s->end_watch, s->end, true,
		    s->kind == STREAM_OUT      ? EPOLLIN
		    : s->carry->at < s->offset ? EPOLLOUT
					       : 0u,
		    carry_on_end);
	/* That may not have been told yet. */
	if (s->kind == STREAM_OUT && s->carry->ended)
		carry_tell(s, WIRE_FERRY_STREAM_END);
	dial(s);
	return 0;
}

/* --- frames ---------------------------------------------------------------- */

static struct stream *by_port(struct streams *all, enum stream_kind kind,
			      uint32_t port)
{
	struct stream *s = *bucket_of(all, port);

	while (s && (s->kind != kind || s->carry->port != port))
		s = s->carry->next;
	return s;
}

void streams_end(struct streams *all, uint32_t port, uint64_t length)
{
	struct stream *s = by_port(all, STREAM_IN, port);

	if (!s)
		return;
	if (length < s->offset ||
	    (s->carry->ended && s->carry->length != length)) {
		log_warn("input of port %u ends at %" PRIu64 " of %" PRIu64
			 " bytes, ignored",
			 port, length, s->offset);
		return;
	}
	s->carry->ended = true;
	s->carry->length = length;
	carry_note(s, length + 1);
	run(s);
}

void streams_unwanted(struct streams *all, uint32_t port)
{
	struct stream *s = by_port(all, STREAM_OUT, port);

	if (!s)
		return;
	s->refused = true;
	stream_close(s);
}

void streams_session_over(struct streams *all)
{
	/* Closing one may close others. */
	for (size_t i = 0; i < STREAM_BUCKETS; i++) {
		while (all->by_port[i])
			drop(all->by_port[i]);
	}
}
