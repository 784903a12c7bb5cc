#include "bridge/host/carrystep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/client_parts.h"
#include "bridge/io/log.h"
#include "config/util.h"

#define BUFFER 65536u
/* Reads of an end that may block. */
#define CAREFUL_READ 512u

/* gcc does not see that a stream keeps its buffer. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

int carry_window(struct host_carry *c, struct err *e)
{
	if (!c->window)
		c->window = malloc(STREAM_WINDOW_BYTES);
	return c->window ? 0 : err_set(e, ENOMEM, "no memory for an input");
}

static void on_ack(void *ctx)
{
	struct host_stream *s = ctx;

	s->carry->ack_timer = (struct loop_id){ 0 };
	if (s->carry->at != s->carry->acked)
		s->carry->ack_due = true;
	carry_run(s);
}

static void wrote(struct host_stream *s, uint64_t n)
{
	struct host_carry *c = s->carry;

	c->at += n;
	s->client->counts.bytes[s->which] += n;
	if (c->at - c->acked >= STREAM_ACK_BYTES)
		c->ack_due = true;
	else if (c->ack_timer.generation == 0)
		(void)loop_at(s->loop, loop_now_ms(s->loop) + STREAM_ACK_MS,
			      on_ack, s, &c->ack_timer, NULL);
}

static enum carry_step write_failed(const struct host_stream *s, int error)
{
	if (error == EPIPE || error == ECONNRESET || error == EIO)
		return STEP_LOCAL_GONE;
	log_warn("%s: write of a stream: %s", host_stream_name(s),
		 strerror(error));
	return STEP_CUT;
}

static enum carry_step give_rest(struct host_stream *s)
{
	const ssize_t n = local_write(&s->local, s->rest, s->rest_len);

	if (n == -EAGAIN)
		return STEP_WAIT;
	if (n < 0)
		return write_failed(s, (int)-n);
	wrote(s, (uint64_t)n);
	s->rest_len -= (size_t)n;
	if (s->rest_len == 0) {
		free(mem_take(&s->rest));
		return STEP_MOVED;
	}
	memmove(s->rest, s->rest + n, s->rest_len);
	return STEP_WAIT;
}

static enum carry_step step_output(struct host_stream *s, bool ready)
{
	const struct host_carry *c = s->carry;
	uint8_t buf[BUFFER];
	ssize_t got, put = 0;

	if (s->local.fd < 0 || s->client->session.frozen)
		return STEP_WAIT;
	if (s->rest_len > 0)
		return ready || !s->local.careful ? give_rest(s) : STEP_WAIT;
	if (!c->greeted)
		return STEP_WAIT;
	got = local_read(&s->guest, buf, sizeof(buf));
	if (got == -EAGAIN)
		return STEP_WAIT;
	if (got <= 0 || (c->ended && (uint64_t)got > c->length - c->at))
		return STEP_HANG_UP;
	if (ready || !s->local.careful)
		put = local_write(&s->local, buf, (size_t)got);
	if (put < 0 && put != -EAGAIN)
		return write_failed(s, (int)-put);
	if (put > 0)
		wrote(s, (uint64_t)put);
	if (put < 0)
		put = 0;
	if (put == got)
		return STEP_MOVED;
	s->rest = malloc((size_t)(got - put));
	if (!s->rest)
		return STEP_HANG_UP; /* it comes again */
	s->rest_len = (size_t)(got - put);
	memcpy(s->rest, buf + put, s->rest_len);
	return STEP_WAIT;
}

/* Bytes of the ring from @from on, up to its end or @to. */
static size_t piece(uint64_t from, uint64_t to)
{
	const size_t left =
		STREAM_WINDOW_BYTES - (size_t)(from % STREAM_WINDOW_BYTES);

	return to - from < left ? (size_t)(to - from) : left;
}

static enum carry_step take_input(struct host_stream *s, bool ready)
{
	struct host_carry *c = s->carry;
	size_t most = piece(c->taken, c->acked + STREAM_WINDOW_BYTES);
	struct err e = { 0 };
	ssize_t n;

	if (s->local.fd < 0 || s->held || c->ended || most == 0 ||
	    s->client->session.frozen || (s->local.careful && !ready))
		return STEP_WAIT;
	if (carry_window(c, &e) < 0)
		return STEP_LOCAL_GONE;
	if (most > (s->local.careful ? CAREFUL_READ : BUFFER))
		most = s->local.careful ? CAREFUL_READ : BUFFER;
	n = local_read(&s->local, c->window + c->taken % STREAM_WINDOW_BYTES,
		       most);
	if (n == -EAGAIN)
		return STEP_WAIT;
	if (n < 0 && n != -EIO)
		return STEP_LOCAL_GONE;
	if (n <= 0)
		return STEP_INPUT_ENDED;
	c->taken += (uint64_t)n;
	s->client->counts.bytes[s->which] += (uint64_t)n;
	return STEP_MOVED;
}

static enum carry_step send_input(struct host_stream *s)
{
	struct host_carry *c = s->carry;
	ssize_t n;

	if (!c->greeted || c->at == c->taken)
		return STEP_WAIT;
	n = local_write(&s->guest, c->window + c->at % STREAM_WINDOW_BYTES,
			piece(c->at, c->taken));
	if (n == -EAGAIN)
		return STEP_WAIT;
	if (n < 0)
		return STEP_HANG_UP;
	c->at += (uint64_t)n;
	return STEP_MOVED;
}

static enum carry_step step_input(struct host_stream *s, bool ready)
{
	const enum carry_step in = take_input(s, ready);
	enum carry_step out;

	if (in != STEP_MOVED && in != STEP_WAIT)
		return in;
	out = send_input(s);
	return out == STEP_WAIT ? in : out;
}

enum carry_step carry_step(struct host_stream *s, bool ready)
{
	return s->which == MSG_STDIN ? step_input(s, ready)
				     : step_output(s, ready);
}
