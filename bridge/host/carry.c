#include "bridge/host/carrystep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bridge/host/client_parts.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/msg_ferry.h"
#include "config/num.h"
#include "config/util.h"

/* Steps of one event; others get their turn then. */
#define STEPS 16
#define NUMBERS 64

/* gcc does not see that a stream keeps what it has. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static void on_guest(void *ctx, uint32_t events);
static void on_local(void *ctx, uint32_t events);
static void on_step(void *ctx);

static bool is_input(const struct host_stream *s)
{
	return s->which == MSG_STDIN;
}

static void post(const struct host_stream *s, uint32_t type)
{
	char body[96];
	struct err e = { 0 };
	int n;

	n = snprintf(body, sizeof(body), "{\"Port\":%" PRIu32, s->port);
	if (type == WIRE_FERRY_STREAM_END)
		n += snprintf(body + n, sizeof(body) - (size_t)n,
			      ",\"Length\":%" PRIu64, s->carry->length);
	body[n++] = '}';
	if (host_session_post(&s->client->session, type, body, (size_t)n, &e) <
	    0)
		log_warn("%s: %s", host_stream_name(s), e.text);
}

/* --- coming and going ------------------------------------------------------ */

static void listen_again(struct host_stream *s)
{
	struct err e = { 0 };

	if (!host_listener_active(&s->listener) &&
	    host_stream_listen_on(s, s->port, &e) < 0)
		log_warn("%s is not listened on again: %s", host_stream_name(s),
			 e.text);
}

static void drop_rest(struct host_stream *s)
{
	free(mem_take(&s->rest));
	s->rest_len = 0;
}

static void hang_up(struct host_stream *s)
{
	struct host_carry *c = s->carry;

	loop_unwatch(s->loop, &c->guest_watch);
	loop_cancel(s->loop, &c->ack_timer);
	loop_cancel(s->loop, &c->hello_timer);
	local_close(&s->guest);
	c->proven = false;
	c->greeted = false;
	c->ack_due = false;
	c->put_len = 0;
	c->put_at = 0;
	c->got_len = 0;
	if (!is_input(s)) {
		s->client->counts.replayed += s->rest_len;
		drop_rest(s); /* it was not given on: it comes again */
	}
}

void carry_lost(struct host_stream *s)
{
	hang_up(s);
	listen_again(s);
}

int carry_new(struct host_stream *s, struct err *e)
{
	struct host_client *client = s->client;
	struct host_carry *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, ENOMEM, "no memory for a stream");
	c->stream = s;
	c->prev = &client->carries;
	c->next = client->carries;
	if (c->next)
		c->next->prev = &c->next;
	client->carries = c;
	s->carry = c;
	return 0;
}

int carry_restore(struct host_stream *s, const struct host_stream_state *state,
		  struct err *e)
{
	struct host_carry *c;
	struct early_stream told;
	int r = carry_new(s, e);

	if (r < 0)
		return r;
	c = s->carry;
	c->ended = state->ended;
	c->length = state->length;
	c->marked = state->marked;
	c->mark = state->mark;
	c->acked = c->at = c->taken = state->offset;
	told = early_stream_take(&s->client->early, s->port);
	if (told.ended && !is_input(s) && told.length >= c->at) {
		c->ended = true;
		c->length = told.length;
	}
	if (told.marked) {
		c->marked = true;
		c->mark = told.mark;
	}
	c->guest_done = told.unwanted;
	if (c->guest_done && is_input(s))
		r = loop_at(s->loop, loop_now_ms(s->loop), on_step, s,
			    &c->step_timer, e);
	if (r < 0)
		return r;
	if (!is_input(s) || state->len == 0)
		return 0;
	if (state->len > STREAM_WINDOW_BYTES)
		return err_set(e, EINVAL, "%zu bytes of an input", state->len);
	r = carry_window(c, e);
	for (size_t i = 0; r == 0 && i < state->len; i++)
		c->window[c->taken++ % STREAM_WINDOW_BYTES] = state->bytes[i];
	return r;
}

int carry_state(const struct host_stream *s, struct host_stream_state *ret,
		struct err *e)
{
	const struct host_carry *c = s->carry;

	ret->carried = true;
	ret->ended = c->ended;
	ret->length = c->length;
	ret->marked = c->marked;
	ret->mark = c->mark;
	ret->offset = is_input(s) ? c->acked : c->at;
	if (!is_input(s) || !c->window)
		return 0;
	ret->len = (size_t)(c->taken - c->acked);
	ret->bytes = malloc(ret->len + 1);
	if (!ret->bytes)
		return err_set(e, ENOMEM, "no memory for an input");
	for (size_t i = 0; i < ret->len; i++)
		ret->bytes[i] = c->window[(c->acked + i) % STREAM_WINDOW_BYTES];
	return 0;
}

void carry_free(struct host_stream *s)
{
	struct host_carry *c = s->carry;

	if (!c)
		return;
	if (!c->guest_done && s->client->session.exists &&
	    !s->client->session.frozen)
		post(s, WIRE_FERRY_UNWANTED);
	hang_up(s);
	loop_unwatch(s->loop, &c->local_watch);
	loop_cancel(s->loop, &c->step_timer);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->carry = NULL;
	free(c->window);
	free(c);
}

static void end(struct host_stream *s, enum stream_event what)
{
	host_stream_close(s);
	s->changed(s->ctx, s, what);
}

static void on_hello_late(void *ctx)
{
	struct host_stream *s = ctx;

	if (!s->carry->proven)
		carry_lost(s);
}

void carry_dialled(struct host_stream *s, int fd)
{
	struct host_carry *c = s->carry;
	struct err e = { 0 };

	hang_up(s);
	s->guest = local_socket(fd);
	if (loop_watch(s->loop, fd, EPOLLIN, on_guest, s, &c->guest_watch, &e) <
		    0 ||
	    loop_at(s->loop, loop_now_ms(s->loop) + CARRY_HELLO_MS,
		    on_hello_late, s, &c->hello_timer, &e) < 0) {
		log_warn("%s: %s", host_stream_name(s), e.text);
		carry_lost(s);
	}
}

/* --- numbers --------------------------------------------------------------- */

/* Return: false: the connection is of no use */
static bool flush_put(struct host_stream *s)
{
	struct host_carry *c = s->carry;

	if (!c->greeted || s->guest.fd < 0)
		return true;
	if (c->put_at == c->put_len && c->ack_due &&
	    !s->client->session.frozen) {
		le64_put(c->put, c->at);
		c->put_at = 0;
		c->put_len = STREAM_OFFSET_BYTES;
		c->acked = c->at;
		c->ack_due = false;
	}
	while (c->put_at < c->put_len) {
		const ssize_t n = local_write(&s->guest, c->put + c->put_at,
					      c->put_len - c->put_at);

		if (n < 0)
			return n == -EAGAIN;
		c->put_at += (size_t)n;
	}
	return true;
}

/* The guest has @n bytes of an input. */
static bool take_number(struct host_stream *s, uint64_t n)
{
	struct host_carry *c = s->carry;

	if (n < c->acked || n > (c->greeted ? c->at : c->taken))
		return false;
	if (!c->greeted) {
		if (c->at > n)
			s->client->counts.replayed += c->at - n;
		c->at = n;
		c->greeted = true;
		if (c->ended)
			post(s, WIRE_FERRY_STREAM_END);
	}
	if (!s->client->session.frozen)
		c->acked = n;
	return true;
}

/* Return: false: the connection is of no use any more */
static bool read_numbers(struct host_stream *s)
{
	struct host_carry *c = s->carry;
	uint8_t buf[NUMBERS * STREAM_OFFSET_BYTES];
	const ssize_t n = local_read(&s->guest, buf, sizeof(buf));

	if (n < 0)
		return n == -EAGAIN;
	for (ssize_t i = 0; i < n; i++) {
		c->got[c->got_len++] = buf[i];
		if (c->got_len < STREAM_OFFSET_BYTES)
			continue;
		c->got_len = 0;
		if (!take_number(s, le64_get(c->got)))
			return false;
	}
	return n > 0;
}

/* The first bytes: is it the agent, on this connection of the bridge? */
static bool read_hello(struct host_stream *s)
{
	const struct host_session *session = &s->client->session;
	struct host_carry *c = s->carry;
	const ssize_t n = local_read(&s->guest, c->got + c->got_len,
				     STREAM_HELLO_BYTES - c->got_len);

	if (n == -EAGAIN)
		return true;
	if (n <= 0)
		return false;
	c->got_len += (size_t)n;
	if (c->got_len < STREAM_HELLO_BYTES)
		return true;
	c->got_len = 0;
	if (!session->exists ||
	    !stream_hello_check(&session->id, session->nonce, s->port,
				c->got)) {
		log_warn("%s: who dialled port %u is not the agent",
			 host_stream_name(s), s->port);
		return false;
	}
	c->proven = true;
	s->client->counts.redials += c->was_proven;
	c->was_proven = true;
	loop_cancel(s->loop, &c->hello_timer);
	if (!is_input(s)) {
		le64_put(c->put, c->at);
		c->put_at = 0;
		c->put_len = STREAM_OFFSET_BYTES;
		c->acked = c->at;
		c->greeted = true;
	}
	return true;
}

/* --- moving ---------------------------------------------------------------- */

/* All that the local writer gave was read. */
static void input_ended(struct host_stream *s)
{
	struct host_carry *c = s->carry;

	carry_detach(s);
	if (s->keep && !s->close_input) {
		s->changed(s->ctx, s, STREAM_DETACHED);
		return;
	}
	c->ended = true;
	c->length = c->taken;
	s->close_input = true;
	post(s, WIRE_FERRY_STREAM_END);
}

static void local_gone(struct host_stream *s)
{
	carry_detach(s);
	if (s->keep)
		s->changed(s->ctx, s, STREAM_DETACHED);
	else
		end(s, STREAM_OVER);
}

static void watch(struct host_stream *s, struct loop_id *id, struct local *l,
		  bool on, uint32_t events, loop_io_fn *fn)
{
	struct err e = { 0 };

	if (!on || l->fd < 0 || l->steady) {
		loop_unwatch(s->loop, id);
		return;
	}
	if (id->generation != 0) {
		loop_rewatch(s->loop, *id, events);
		return;
	}
	if (loop_watch(s->loop, l->fd, events, fn, s, id, &e) == -EPERM) {
		l->steady = true;
		l->careful = false;
	}
}

/* Is the guest's end of an output read? */
static bool reads(const struct host_stream *s)
{
	return !s->carry->greeted || (s->rest_len == 0 && s->local.fd >= 0 &&
				      !s->client->session.frozen);
}

/* Who is to be waited for; an end that is always ready gets its turn. */
static void arm(struct host_stream *s)
{
	struct host_carry *c = s->carry;
	const bool frozen = s->client->session.frozen;
	bool busy;

	if (is_input(s)) {
		const bool room = !frozen && !s->held && !c->ended &&
				  c->taken - c->acked < STREAM_WINDOW_BYTES;

		watch(s, &c->guest_watch, &s->guest, true,
		      EPOLLIN |
			      (c->greeted && c->at < c->taken ? EPOLLOUT : 0u),
		      on_guest);
		watch(s, &c->local_watch, &s->local, room, EPOLLIN, on_local);
		busy = room && s->local.steady;
	} else {
		const bool blocked = s->rest_len > 0;

		watch(s, &c->guest_watch, &s->guest, true,
		      (reads(s) ? EPOLLIN : 0u) |
			      (c->put_at < c->put_len ? EPOLLOUT : 0u),
		      on_guest);
		watch(s, &c->local_watch, &s->local, true,
		      blocked && !frozen ? EPOLLOUT : 0u, on_local);
		busy = blocked && !frozen && s->local.steady;
	}
	if (busy && s->local.fd >= 0)
		(void)loop_at(s->loop, loop_now_ms(s->loop), on_step, s,
			      &c->step_timer, NULL);
}

static void run(struct host_stream *s, bool ready)
{
	const struct host_carry *c = s->carry;
	enum carry_step step = STEP_MOVED;

	for (int i = 0; i < STEPS && step == STEP_MOVED; i++) {
		step = carry_step(s, ready);
		if (s->local.careful)
			ready = false;
	}
	if (is_input(s) ? c->guest_done : c->ended && c->at == c->length) {
		end(s, STREAM_OVER);
		return;
	}
	if (step == STEP_HANG_UP || !flush_put(s))
		carry_lost(s);
	if (step == STEP_CUT) {
		end(s, STREAM_CUT);
		return;
	}
	if (step == STEP_LOCAL_GONE) {
		local_gone(s);
		return; /* it may be over */
	}
	if (step == STEP_INPUT_ENDED)
		input_ended(s);
	if (s->carry)
		arm(s);
}

void carry_run(struct host_stream *s)
{
	run(s, s->local.steady);
}

static void on_step(void *ctx)
{
	carry_run(ctx);
}

static void on_guest(void *ctx, uint32_t events)
{
	struct host_stream *s = ctx;
	const bool was_proven = s->carry->proven;
	bool good = true;

	if (!was_proven)
		good = read_hello(s);
	else if (is_input(s) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		good = read_numbers(s);
	else if (!is_input(s) && (events & (EPOLLHUP | EPOLLERR)) != 0 &&
		 !reads(s))
		good = false; /* it would be told again and again */
	if (!good)
		carry_lost(s);
	carry_run(s);
}

static void on_local(void *ctx, uint32_t events)
{
	struct host_stream *s = ctx;

	if (!is_input(s) && s->rest_len == 0 &&
	    (events & (EPOLLERR | EPOLLHUP)) != 0)
		local_gone(s);
	else
		run(s, true);
}

void carry_detach(struct host_stream *s)
{
	loop_unwatch(s->loop, &s->carry->local_watch);
	local_close(&s->local);
}

void carry_close_input(struct host_stream *s)
{
	if (s->carry->ended)
		return;
	s->close_input = true;
	if (s->held)
		return; /* told when the process runs */
	input_ended(s);
	arm(s);
}

void carry_frozen(struct host_client *client)
{
	struct host_carry *next;

	/* One that is over takes no other with it. */
	for (struct host_carry *c = client->carries; c; c = next) {
		next = c->next;
		carry_run(c->stream);
	}
}

void carry_forgotten(struct host_client *client)
{
	while (client->carries) {
		struct host_stream *s = client->carries->stream;

		s->carry->guest_done = true; /* it knows nothing of it */
		end(s, is_input(s) ? STREAM_OVER : STREAM_CUT);
	}
}

/* --- frames ---------------------------------------------------------------- */

static struct host_stream *by_port(const struct host_client *c, uint32_t port)
{
	for (struct host_carry *k = c->carries; k; k = k->next)
		if (k->stream->port == port)
			return k->stream;
	return NULL;
}

/* Where to note what is told of a stream that may still be opened. */
static struct early_stream *early(struct host_client *c, uint32_t port)
{
	return c->adopted ? early_stream_note(&c->early, port) : NULL;
}

void carry_end(struct host_client *client, uint32_t port, uint64_t length)
{
	struct host_stream *s = by_port(client, port);
	struct early_stream *told = s ? NULL : early(client, port);

	/* Told again on each connection of the stream, also when it is over. */
	if (told) {
		told->ended = true;
		told->length = length;
	}
	if (!s || is_input(s) || s->carry->ended)
		return;
	if (length < s->carry->at + s->rest_len) {
		log_warn("%s ends at %" PRIu64 " of %" PRIu64 " bytes, ignored",
			 host_stream_name(s), length, s->carry->at);
		return;
	}
	s->carry->ended = true;
	s->carry->length = length;
	carry_run(s);
}

void carry_mark(struct host_client *client, uint32_t port, uint64_t mark)
{
	struct host_stream *s = by_port(client, port);
	struct early_stream *told = s ? NULL : early(client, port);

	if (told) {
		told->marked = true;
		told->mark = mark;
	}
	if (!s || is_input(s))
		return;
	s->carry->marked = true;
	s->carry->mark = mark;
}

void carry_unwanted(struct host_client *client, uint32_t port)
{
	struct host_stream *s = by_port(client, port);
	struct early_stream *told = s ? NULL : early(client, port);

	if (told)
		told->unwanted = true;
	if (!s || !is_input(s))
		return;
	s->carry->guest_done = true;
	end(s, STREAM_OVER);
}
