#include "bridge/host/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "bridge/host/carry.h"
#include "bridge/host/client_parts.h"
#include "bridge/host/ports.h"
#include "bridge/io/log.h"
#include "config/util.h"

/* Ports that are tried when another VM's listener has one already. */
#define PORT_TRIES 64

static const char *const names[] = { "stdin", "stdout", "stderr" };
static_assert(ARRAY_LEN(names) == MSG_STDIO, "a stream has no name");

const char *host_stream_name(const struct host_stream *s)
{
	return names[s->which];
}

static bool is_input(const struct host_stream *s)
{
	return s->which == MSG_STDIN;
}

static void on_dialled(void *ctx, int fd, const struct err *e);
static void join(struct host_stream *s);

void host_stream_init(struct host_stream *s, struct host_client *c,
		      enum msg_stdio which, host_stream_fn *changed, void *ctx)
{
	*s = (struct host_stream){
		.client = c,
		.loop = host_client_loop(c),
		.which = which,
		.local = { .fd = -1 },
		.guest = { .fd = -1 },
		.changed = changed,
		.ctx = ctx,
	};
	host_listener_init(&s->listener, s->loop, host_client_transport(c),
			   on_dialled, s);
}

/* --- taking a relay apart --------------------------------------------------- */

static void drop_rest(struct host_stream *s)
{
	free(mem_take(&s->rest));
	s->rest_len = 0;
}

/* Both ends are the stream's again, and what was between them. */
static void take_apart(struct host_stream *s)
{
	struct host_relay_parts p;

	if (!s->relay)
		return;
	s->bytes_before += host_relay_bytes(s->relay);
	p = host_relay_take(mem_take(&s->relay));
	s->local = is_input(s) ? p.from : p.to;
	s->guest = is_input(s) ? p.to : p.from;
	s->rest = p.rest;
	s->rest_len = p.len;
}

void host_stream_close(struct host_stream *s)
{
	if (s->carry)
		s->bytes_before = s->carry->at;
	carry_free(s);
	host_listener_stop(&s->listener);
	take_apart(s);
	drop_rest(s);
	loop_cancel(s->loop, &s->settle);
	local_close(&s->guest);
	local_close(&s->local);
	s->over = true;
}

static void end(struct host_stream *s, enum stream_event what)
{
	host_stream_close(s);
	s->changed(s->ctx, s, what);
}

/* --- the guest's end -------------------------------------------------------- */

int host_stream_listen_on(struct host_stream *s, uint32_t port, struct err *e)
{
	s->port = port;
	return host_listener_start(&s->listener, port, HOST_NO_TIMEOUT, e);
}

/* A port that nobody else on this host listens on, where ports are shared. */
int host_stream_listen(struct host_stream *s, struct err *e)
{
	struct host_ports *ports = host_client_ports(s->client);
	uint32_t port;
	int r = -EADDRINUSE;

	for (int i = 0; i < PORT_TRIES && r == -EADDRINUSE; i++) {
		r = host_ports_take(ports, &port, e);
		if (r == 0)
			r = host_stream_listen_on(s, port, e);
	}
	if (r == 0 && s->client->session.exists)
		r = carry_new(s, e);
	return r;
}

int host_stream_restore(struct host_stream *s, uint32_t port,
			const struct host_stream_state *state, struct err *e)
{
	int r = host_stream_listen_on(s, port, e);

	if (r == 0 && state->carried)
		r = carry_restore(s, state, e);
	return r;
}

int host_stream_state(const struct host_stream *s,
		      struct host_stream_state *ret, struct err *e)
{
	*ret = (struct host_stream_state){ 0 };
	return s->carry ? carry_state(s, ret, e) : 0;
}

void host_stream_limit(struct host_stream *s, int timeout_ms)
{
	if (!s->carry && host_listener_active(&s->listener))
		/* Without memory for a timer: the exit ends it. */
		(void)host_listener_limit(&s->listener, timeout_ms, NULL);
}

static void on_dialled(void *ctx, int fd, const struct err *e)
{
	struct host_stream *s = ctx;

	if (s->carry) {
		if (fd < 0)
			carry_lost(s);
		else
			carry_dialled(s, fd);
		return;
	}
	if (fd < 0) {
		log_warn("%s stays empty: %s", host_stream_name(s), e->text);
		end(s, STREAM_OVER);
		return;
	}
	/* A second connection is the guest's after a loss. */
	s->client->counts.redials += s->suspect;
	take_apart(s);
	local_close(&s->guest);
	s->guest = local_socket(fd);
	s->suspect = false;
	loop_cancel(s->loop, &s->settle);
	join(s);
}

/* Listens again for a guest that lost this stream. */
static void await_redial(struct host_stream *s)
{
	struct err e = { 0 };

	if (host_listener_active(&s->listener) ||
	    host_client_state(s->client) != HOST_READY)
		return;
	if (host_stream_listen_on(s, s->port, &e) == 0)
		return;
	log_warn("%s is not listened on again: %s", host_stream_name(s),
		 e.text);
	end(s, is_input(s) ? STREAM_OVER : STREAM_CUT);
}

static void on_settled(void *ctx)
{
	struct host_stream *s = ctx;

	if (!s->suspect)
		end(s, STREAM_OVER);
}

/*
 * The guest's end is gone. Is it for good? @broken: it did not end as a stream
 * does, so the connection was lost.
 */
static void guest_gone(struct host_stream *s, bool broken)
{
	local_close(&s->guest);
	if (!s->redial || s->exited) {
		end(s, broken && !is_input(s) ? STREAM_CUT : STREAM_OVER);
		return;
	}
	s->suspect |= broken;
	if (s->suspect)
		await_redial(s);
	else if (loop_at(s->loop, loop_now_ms(s->loop) + STREAM_SETTLE_MS,
			 on_settled, s, &s->settle, NULL) < 0)
		end(s, STREAM_OVER);
}

/* --- joining the ends ------------------------------------------------------- */

/* Input has ended here, and all of it is on its way. */
static void input_ended(struct host_stream *s)
{
	take_apart(s);
	local_close(&s->local);
	if (s->keep && !s->close_input) {
		s->changed(s->ctx, s, STREAM_DETACHED);
		return;
	}
	/* Closed whole it would look like a hang-up to who still reads. */
	s->close_input = true;
	local_half_close(&s->guest);
}

/* The local end takes or gives no more. */
static void local_gone(struct host_stream *s)
{
	take_apart(s);
	local_close(&s->local);
	if (s->keep)
		s->changed(s->ctx, s, STREAM_DETACHED);
	else
		end(s, STREAM_OVER);
}

static void on_relay_done(void *ctx, enum host_relay_end how,
			  const struct err *e)
{
	struct host_stream *s = ctx;
	const bool reading_failed = host_relay_source_failed(s->relay);

	if (how == HOST_RELAY_ERROR)
		log_warn("%s: %s", host_stream_name(s),
			 e ? e->text : "unknown error");
	if (is_input(s)) {
		if (how == HOST_RELAY_EOF)
			input_ended(s);
		else if (reading_failed)
			local_gone(s);
		else {
			take_apart(s);
			guest_gone(s, how == HOST_RELAY_ERROR);
		}
	} else if (how == HOST_RELAY_EOF || reading_failed) {
		take_apart(s);
		guest_gone(s, how == HOST_RELAY_ERROR);
	} else if (how == HOST_RELAY_CLOSED) {
		local_gone(s);
	} else {
		end(s, STREAM_CUT);
	}
}

/*
 * No more input: at once, or when bytes that found no room have gone the way of
 * all input, behind which there is nothing.
 */
static void close_idle_input(struct host_stream *s)
{
	local_close(&s->local);
	if (s->rest_len > 0)
		s->local.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->local.fd < 0) {
		drop_rest(s);
		local_half_close(&s->guest);
	}
}

/* Relays when both ends are there. */
static void join(struct host_stream *s)
{
	struct local *from = is_input(s) ? &s->local : &s->guest;
	struct local *to = is_input(s) ? &s->guest : &s->local;
	struct err e = { 0 };

	if (s->relay || s->held || s->guest.fd < 0)
		return;
	if (is_input(s) && s->close_input)
		close_idle_input(s);
	if (s->local.fd < 0)
		return;
	s->guest.own = false; /* we half-close it */
	if (host_relay_new(s->loop, from, to, on_relay_done, s, &s->relay, &e) <
	    0) {
		log_warn("%s: %s", host_stream_name(s), e.text);
		end(s, is_input(s) ? STREAM_OVER : STREAM_CUT);
		return;
	}
	host_relay_tally(s->relay, &s->client->counts.bytes[s->which]);
	host_relay_prime(s->relay, s->rest, s->rest_len);
	s->rest = NULL;
	s->rest_len = 0;
}

int host_stream_attach(struct host_stream *s, int fd, struct err *e)
{
	int r;

	if (s->port == 0)
		return err_set(e, ENXIO, "the process has no %s",
			       host_stream_name(s));
	if (s->over || (is_input(s) && s->close_input))
		return err_set(e, EPIPE, "%s has ended", host_stream_name(s));
	if (host_stream_attached(s))
		return err_set(e, EBUSY, "somebody is attached to %s",
			       host_stream_name(s));
	r = local_open(fd, !is_input(s), &s->local, e);
	if (r < 0)
		return err_wrap(e, "%s", host_stream_name(s));
	if (s->carry)
		carry_run(s);
	else
		join(s);
	return 0;
}

void host_stream_detach(struct host_stream *s)
{
	if (s->carry) {
		carry_detach(s);
		return;
	}
	take_apart(s);
	local_close(&s->local);
}

bool host_stream_attached(const struct host_stream *s)
{
	return s->relay || s->local.fd >= 0;
}

void host_stream_release(struct host_stream *s)
{
	s->held = false;
	if (!s->carry) {
		join(s);
		return;
	}
	if (s->close_input)
		carry_close_input(s);
	carry_run(s);
}

void host_stream_close_input(struct host_stream *s)
{
	if (s->carry) {
		carry_close_input(s);
		return;
	}
	s->close_input = true;
	if (s->relay)
		host_relay_finish(s->relay);
	else
		join(s);
}

/* --- news ------------------------------------------------------------------- */

void host_stream_bridge_lost(struct host_stream *s)
{
	if (s->carry)
		carry_lost(s);
	else if (s->redial && s->port != 0 && !s->over)
		s->suspect = true;
}

/*
 * Outputs whose guest's end still stands are left alone. Input that has been
 * closed has nobody who would notice: its port is opened in any case.
 */
void host_stream_bridge_ready(struct host_stream *s)
{
	if (!s->suspect || s->over || s->exited || s->carry)
		return;
	loop_cancel(s->loop, &s->settle);
	if ((s->guest.fd < 0 && !s->relay) || (is_input(s) && !s->relay))
		await_redial(s);
}

void host_stream_exited(struct host_stream *s)
{
	s->exited = true;
	if (is_input(s)) {
		host_stream_close(s);
		return;
	}
	/* An end that was being thought about is one. */
	if (s->settle.generation != 0 && !s->suspect)
		host_stream_close(s);
}

bool host_stream_open(const struct host_stream *s)
{
	return s->carry || s->relay || s->guest.fd >= 0 ||
	       host_listener_active(&s->listener);
}

bool host_stream_parked(const struct host_stream *s)
{
	return s->carry ? s->local.fd < 0 : !s->relay && s->guest.fd >= 0;
}

uint64_t host_stream_bytes(const struct host_stream *s)
{
	if (s->carry)
		return s->carry->at;
	return s->bytes_before + (s->relay ? host_relay_bytes(s->relay) : 0);
}

bool host_stream_blocked(const struct host_stream *s)
{
	return s->carry ? s->rest_len > 0
			: s->relay && host_relay_blocked(s->relay);
}

bool host_stream_away(const struct host_stream *s)
{
	return s->carry && (!s->carry->marked || s->carry->at < s->carry->mark);
}
