#include "bridge/host/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "bridge/host/carry.h"
#include "bridge/host/client_parts.h"
#include "bridge/host/failure.h"
#include "bridge/io/log.h"
#include "bridge/msg_ferry.h"
#include "bridge/wire.h"
#include "config/text.h"
#include "config/util.h"

/* What one decoded notice may take; its members are a few short strings. */
#define NOTICE_MAX ((size_t)1024 * 1024)
/* Pause before listening again after a connection that came to nothing. */
#define RETRY_FIRST_MS 10
#define RETRY_MAX_MS 200

/* --- frames --------------------------------------------------------------- */

static void on_out_of_memory(struct host_client *c, const struct frame *frame)
{
	struct msg_ferry_out_of_memory n;
	struct err e = { 0 };

	if (msg_decode(&msg_ferry_out_of_memory_schema, frame->body, frame->len,
		       &c->arena, &n, &e) < 0)
		log_warn("bridge notice is garbled: %s, ignored", e.text);
	else if (n.count > 0)
		host_observer_out_of_memory(&c->observers, n.base.container_id,
					    n.count);
}

static void on_notification(struct host_client *c, const struct frame *frame)
{
	struct msg_notification n;
	char buf[128];
	struct text id;
	struct err e = { 0 };
	bool kept;

	if (frame->header.type == WIRE_FERRY_OUT_OF_MEMORY) {
		on_out_of_memory(c, frame);
		return;
	}
	if (frame->header.type != WIRE_CONTAINER_NOTIFICATION) {
		log_warn("bridge notice of unknown type 0x%08x, ignored",
			 frame->header.type);
		return;
	}
	if (msg_decode(&msg_notification_schema, frame->body, frame->len,
		       &c->arena, &n, &e) < 0) {
		log_warn("bridge notice is garbled: %s, ignored", e.text);
		return;
	}
	if (host_track_notice(&c->track, &n) ||
	    host_observer_notification(&c->observers, &n))
		return;
	kept = host_track_remember(&c->track, &n);
	text_fixed(&id, buf, sizeof(buf));
	text_quote(&id, n.base.container_id, 24);
	log_warn("bridge notice for an unknown container id=%s, %s",
		 text_str(&id), kept ? "kept for later" : "ignored");
}

/* A frame about a stream. Return: false: it is another */
static bool on_stream_frame(struct host_client *c, const struct frame *f)
{
	union {
		struct msg_ferry_stream_end end;
		struct msg_ferry_unwanted unwanted;
	} m;
	struct err e = { 0 };

	if (f->header.type != WIRE_FERRY_STREAM_END &&
	    f->header.type != WIRE_FERRY_STREAM_MARK &&
	    f->header.type != WIRE_FERRY_UNWANTED)
		return false;
	if (msg_decode(msg_ferry_schema(f->header.type), f->body, f->len,
		       &c->arena, &m, &e) < 0)
		log_warn("a frame about a stream: %s, ignored", e.text);
	else if (f->header.type == WIRE_FERRY_STREAM_END)
		carry_end(c, m.end.port, m.end.length);
	else if (f->header.type == WIRE_FERRY_STREAM_MARK)
		carry_mark(c, m.end.port, m.end.length);
	else
		carry_unwanted(c, m.unwanted.port);
	return true;
}

static void on_frame(void *ctx, const struct frame *frame)
{
	struct host_client *c = ctx;
	const bool numbered = c->session.on;
	struct err e = { 0 };
	const int r = host_session_frame(&c->session, frame, &e);

	if (r < 0)
		client_lose(c, &e);
	if (r != 0)
		return;
	switch (wire_kind(frame->header.type)) {
	case WIRE_RESPONSE:
		host_pending_answer(&c->calls, frame);
		break;
	case WIRE_NOTIFICATION:
		c->counts.notices++;
		if (!numbered || !on_stream_frame(c, frame))
			on_notification(c, frame);
		break;
	default:
		(void)err_set(&e, EPROTO,
			      "the guest sent a frame of type 0x%08x",
			      frame->header.type);
		client_lose(c, &e);
	}
	if (numbered)
		host_session_served(&c->session, frame);
	arena_reset(&c->arena);
}

/* --- connections ---------------------------------------------------------- */

static void fail(struct host_client *c, const struct err *why)
{
	const uint64_t unsent = host_conn_unsent(&c->conn);

	c->state = HOST_FAILED;
	loop_cancel(c->config.loop, &c->give_up);
	loop_cancel(c->config.loop, &c->retry);
	host_listener_stop(&c->listener);
	host_conn_close(&c->conn);
	client_resume_over(c, why);
	host_pending_end(&c->calls, HOST_FAIL_LOST, true, unsent, why);
	host_observer_failed(&c->observers, why);
}

static void on_give_up(void *ctx)
{
	struct host_client *c = ctx;
	struct err e = { 0 };

	(void)err_set(&e, ETIMEDOUT,
		      "the guest did not get in touch in time%s%s",
		      c->last_err.code ? ": " : "", c->last_err.text);
	fail(c, &e);
}

int client_limit(struct host_client *c, int timeout_ms, struct err *e)
{
	if (timeout_ms <= 0)
		return 0;
	return loop_at(c->config.loop, loop_now_ms(c->config.loop) + timeout_ms,
		       on_give_up, c, &c->give_up, e);
}

void client_calls_lost(struct host_client *c, uint64_t unsent,
		       const struct err *why)
{
	host_session_lost(&c->session);
	if (!c->session.exists)
		host_pending_end(&c->calls, HOST_FAIL_LOST, false, unsent, why);
	else if (c->in_negotiation)
		host_pending_cancel(&c->calls, c->negotiating);
	c->in_negotiation = false;
}

/* A blackout: only what the transport did, and nobody waits for its end. */
static bool is_blackout(const struct host_client *c, const struct err *why)
{
	return c->migrating && !c->resume.active && why->code != EPROTO;
}

void client_lose(struct host_client *c, const struct err *why)
{
	const bool was_ready = c->state == HOST_READY;
	const uint64_t unsent = host_conn_unsent(&c->conn);
	struct err reason = *why; /* @why may be the connection's own */

	c->counts.losses += was_ready;
	c->counts.fruitless += !was_ready;
	if (is_blackout(c, why)) {
		log_info("bridge parked: %s", reason.text);
		client_park(c, &reason);
		return;
	}
	host_conn_close(&c->conn);
	c->state = HOST_LISTENING;
	if (was_ready) {
		c->retry_ms = 0;
		/* Without memory for the timer: no limit, as by default. */
		if (!c->migrating)
			(void)client_limit(c, c->config.reconnect_timeout_ms,
					   NULL);
		log_info("bridge lost: %s, listening again", reason.text);
	} else {
		c->last_err = reason;
		log_info("bridge connection came to nothing: %s", reason.text);
	}
	client_listen_again(c);
	client_calls_lost(c, unsent, &reason);
	if (was_ready)
		host_observer_lost(&c->observers, &reason);
}

static void on_conn_lost(void *ctx, const struct err *why)
{
	client_lose(ctx, why);
}

static void copy_os(char *out, size_t size, const char *os)
{
	size_t i;

	for (i = 0; os[i] != '\0' && i + 1 < size; i++)
		out[i] = isalnum((unsigned char)os[i])
				 ? (char)tolower((unsigned char)os[i])
				 : '?';
	out[i] = '\0';
}

static void enter_ready(struct host_client *c,
			const struct msg_negotiate_result *r)
{
	const struct msg_capabilities *cap = &r->capabilities;

	c->guest = (struct host_guest){
		.version = r->version,
		.connection = c->guest.connection + 1,
		.namespace_add_supported = cap->namespace_add_request_supported,
		.signal_process_supported = cap->signal_process_supported,
		.dump_stacks_supported = cap->dump_stacks_supported,
		.delete_container_state_supported =
			cap->delete_container_state_supported,
	};
	copy_os(c->guest.os, sizeof(c->guest.os), cap->runtime_os_type);
	loop_cancel(c->config.loop, &c->give_up);
	c->retry_ms = 0;
	c->last_err = (struct err){ 0 };
	c->state = HOST_READY;
	c->counts.connections++;
	log_info("bridge ready connection=%u os=%s", c->guest.connection,
		 c->guest.os);
	host_observer_ready(&c->observers, &c->guest);
	client_resume_over(c, NULL);
}

static int negotiate(struct host_client *c, struct err *e);

/*
 * The agent does not know the session: another one has begun, or none. What was
 * outstanding in the old one ends, for nobody can say what became of it; waits
 * are made again by their owners.
 */
static void session_over(struct host_client *c)
{
	struct err why = { 0 };

	(void)err_set(&why, ECONNRESET,
		      "the UVM's agent was restarted and has forgotten the "
		      "session");
	log_warn("bridge: %s", why.text);
	carry_forgotten(c);
	host_pending_end(&c->calls, HOST_FAIL_LOST, false, c->calls.next_id,
			 &why);
}

static void on_negotiated(void *ctx, const void *result,
			  const struct host_failure *f)
{
	struct host_client *c = ctx;
	const struct msg_negotiate_result *r = result;
	struct err e = { 0 };
	const bool existed = c->session.exists;
	int how = 0;

	c->in_negotiation = false;
	if (c->state != HOST_NEGOTIATING)
		return; /* ended with its connection, or with the client */
	if (f)
		e = f->err;
	else if (r->version != WIRE_PROTOCOL_VERSION)
		(void)err_set(&e, EPROTO, "the guest chose version %u, not %u",
			      r->version, WIRE_PROTOCOL_VERSION);
	else
		how = host_session_welcome(&c->session, r->ferry,
					   r->capabilities.ferry_resume, &e);
	if (how == HOST_SESSION_AGAIN && negotiate(c, &e) == 0)
		return;
	if (e.code == 0) {
		if (how == HOST_SESSION_NEW)
			c->session_from = c->calls.next_id;
		if (existed && how != HOST_SESSION_GOES_ON)
			session_over(c);
		enter_ready(c, r);
		return;
	}
	/* A guest that says no will say it again: do not wait for that. */
	if (c->guest.connection == 0 && (!f || f->kind == HOST_FAIL_REFUSED)) {
		(void)err_wrap(&e, "no bridge with this guest");
		fail(c, &e);
	} else {
		client_lose(c, &e);
	}
}

static int negotiate(struct host_client *c, struct err *e)
{
	struct host_session_hello hello;
	struct msg_negotiate n = {
		.base = { .container_id = "", .activity_id = WIRE_NULL_ID },
		.minimum_version = WIRE_PROTOCOL_VERSION,
		.maximum_version = WIRE_PROTOCOL_VERSION,
		.ferry_events = true,
	};
	const struct host_call call = {
		.type = WIRE_NEGOTIATE_PROTOCOL,
		.request = &msg_negotiate_schema,
		.message = &n,
		.response = &msg_negotiate_result_schema,
		.response_size = sizeof(struct msg_negotiate_result),
		.timeout_ms = c->config.negotiate_timeout_ms,
		.done = on_negotiated,
		.ctx = c,
	};
	int r = 0;

	if (c->session.wanted || c->session.moved) {
		r = host_session_hello(&c->session, &hello, e);
		n.ferry = &hello.msg;
	}
	if (r == 0)
		r = host_pending_start(&c->calls, &call, NULL, &c->negotiating,
				       e);
	c->in_negotiation = r == 0;
	return r;
}

/* Serves a new connection. Return: 0 or -errno, the connection is lost then. */
int client_serve(struct host_client *c, int fd, struct err *e)
{
	int r;

	c->state = HOST_NEGOTIATING;
	host_pending_new_conn(&c->calls);
	r = host_conn_open(&c->conn, fd, e);
	if (r == 0)
		r = negotiate(c, e);
	return r;
}

static void on_dialled(void *ctx, int fd, const struct err *why)
{
	struct host_client *c = ctx;
	struct err e = { 0 };

	if (fd < 0)
		client_lose(c, why);
	else if (client_serve(c, fd, &e) < 0)
		client_lose(c, &e);
}

static void on_retry(void *ctx)
{
	struct host_client *c = ctx;
	struct err e = { 0 };

	if (host_listener_start(&c->listener, WIRE_PORT_BRIDGE, HOST_NO_TIMEOUT,
				&e) == 0)
		return;
	c->last_err = e;
	log_warn("bridge: %s, trying again", e.text);
	client_listen_again(c);
}

void client_listen_again(struct host_client *c)
{
	const int pause_ms = c->retry_ms;
	struct err e = { 0 };

	c->retry_ms = pause_ms == 0		    ? RETRY_FIRST_MS
		      : pause_ms < RETRY_MAX_MS / 2 ? 2 * pause_ms
						    : RETRY_MAX_MS;
	if (pause_ms == 0)
		on_retry(c);
	else if (loop_at(c->config.loop, loop_now_ms(c->config.loop) + pause_ms,
			 on_retry, c, &c->retry, &e) < 0)
		fail(c, &e);
}

/* --- the client ----------------------------------------------------------- */

int host_client_new(const struct host_client_config *config,
		    struct host_client **ret, struct err *e)
{
	struct host_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, ENOMEM, "no memory for a bridge client");
	c->config = *config;
	if (c->config.connect_timeout_ms == 0)
		c->config.connect_timeout_ms = HOST_CONNECT_TIMEOUT_MS;
	if (c->config.negotiate_timeout_ms == 0)
		c->config.negotiate_timeout_ms = HOST_NEGOTIATE_TIMEOUT_MS;
	host_ports_init(&c->ports);
	arena_init(&c->arena, NOTICE_MAX);
	host_pending_init(&c->calls, config->loop, &c->conn, &c->counts);
	host_conn_init(&c->conn, config->loop, on_frame, on_conn_lost, c);
	host_session_init(&c->session, config->loop, &c->conn, config->session,
			  on_conn_lost, c);
	host_listener_init(&c->listener, config->loop, &config->transport,
			   on_dialled, c);

	c->session.moved = config->moved;
	r = config->saved ? host_session_restore(&c->session, config->saved,
						 config->saved_len, e)
			  : 0;
	c->config.saved = NULL;
	c->adopted = config->saved != NULL;
	if (r == 0)
		r = host_listener_start(&c->listener, WIRE_PORT_BRIDGE,
					HOST_NO_TIMEOUT, e);
	if (r == 0)
		r = client_limit(c, c->config.connect_timeout_ms, e);
	if (r < 0) {
		host_client_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void host_client_free(struct host_client *c)
{
	uint64_t unsent;

	if (!c)
		return;
	unsent = host_conn_unsent(&c->conn);
	c->state = HOST_FAILED;
	host_listener_stop(&c->listener);
	host_conn_close(&c->conn);
	loop_cancel(c->config.loop, &c->give_up);
	loop_cancel(c->config.loop, &c->retry);
	loop_cancel(c->config.loop, &c->resume.timer);
	c->resume.active = false; /* without its callback */
	host_pending_end(&c->calls, HOST_FAIL_CANCELLED, true, unsent, NULL);
	host_session_done(&c->session);
	while (c->observers.first)
		host_client_unobserve(c->observers.first);
	host_track_done(&c->track);
	early_streams_done(&c->early);
	host_pending_done(&c->calls);
	arena_done(&c->arena);
	free(c);
}

void host_client_moved(struct host_client *c, bool moved)
{
	c->session.moved = moved;
}

void host_client_freeze(struct host_client *c, bool frozen)
{
	host_session_freeze(&c->session, frozen);
	c->calls.frozen = frozen;
	carry_frozen(c);
	if (!frozen && c->state == HOST_READY)
		host_observer_thawed(&c->observers);
}

bool host_client_frozen(const struct host_client *c)
{
	return c->session.frozen;
}

int host_client_save(const struct host_client *c, uint8_t **ret, size_t *len,
		     struct err *e)
{
	return host_session_save(&c->session, ret, len, e);
}

const char *host_state_name(enum host_state state)
{
	static const char *const names[] = {
		[HOST_LISTENING] = "listening",
		[HOST_NEGOTIATING] = "negotiating",
		[HOST_READY] = "ready",
		[HOST_FAILED] = "failed",
		[HOST_PARKED] = "parked",
	};

	static_assert(ARRAY_LEN(names) == HOST_STATES, "a state has no name");
	return names[state];
}

const struct host_counts *host_client_counts(const struct host_client *c)
{
	return &c->counts;
}

size_t host_client_outstanding(const struct host_client *c)
{
	return c->calls.n;
}

enum host_state host_client_state(const struct host_client *c)
{
	return c->state;
}

const struct host_guest *host_client_guest(const struct host_client *c)
{
	return c->guest.connection > 0 ? &c->guest : NULL;
}

struct loop *host_client_loop(const struct host_client *c)
{
	return c->config.loop;
}

const struct transport *host_client_transport(const struct host_client *c)
{
	return &c->config.transport;
}

struct host_track *host_client_track(struct host_client *c)
{
	return &c->track;
}

struct host_ports *host_client_ports(struct host_client *c)
{
	return &c->ports;
}
