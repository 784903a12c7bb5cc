#include "bridge/host/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/exitwatch.h"
#include "bridge/host/failure.h"
#include "bridge/host/listener.h"
#include "bridge/host/local.h"
#include "bridge/host/ports.h"
#include "bridge/host/relay.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"

/* Ports that are tried when another VM's listener has one already. */
#define PORT_TRIES 64
#define NEVER INT64_MAX

enum process_stage {
	STAGE_STARTING,
	STAGE_RUNNING,
	STAGE_DRAINING,
	STAGE_ENDED,
};

/*
 * struct stream - one of stdin, stdout, stderr
 * @local:	the caller's end, until the relay takes it
 * @guest:	the guest's connection, until the relay takes it
 * @port:	0: no such stream
 */
struct stream {
	struct host_process *process;
	struct host_listener listener;
	struct local local;
	struct local guest;
	struct host_relay *relay;
	uint32_t port;
	uint64_t bytes_at_exit;
	uint64_t bytes_seen; /* at the last look of the draining */
};

struct host_process {
	struct host_client *client;
	struct loop *loop;
	enum process_stage stage;
	char container_id[EXITWATCH_ID_MAX];
	struct stream stream[MSG_STDIO];
	struct exitwatch watch;
	uint64_t execute_id;
	uint32_t pid;
	bool close_stdin;
	int64_t drain_limit_ms;
	struct loop_id timer; /* always there, so that moving it cannot fail */
	struct host_process_end end;
	struct host_failure failure;
	void (*started)(void *ctx, uint32_t pid);
	void (*ended)(void *ctx, const struct host_process_end *end);
	void *ctx;
};

static const char *const stream_names[] = { "stdin", "stdout", "stderr" };

static int stream_index(const struct stream *s)
{
	return (int)(s - s->process->stream);
}

static const char *container_of(const struct host_process *p)
{
	return p->container_id[0] ? p->container_id : NULL;
}

/* --- the end -------------------------------------------------------------- */

static void on_timer(void *ctx);

static void set_timer(struct host_process *p, int64_t at)
{
	(void)loop_at(p->loop, at, on_timer, p, &p->timer, NULL);
}

static void stream_close(struct stream *s)
{
	host_listener_stop(&s->listener);
	host_relay_free(s->relay);
	s->relay = NULL;
	local_close(&s->guest);
	local_close(&s->local);
}

static void close_all(struct host_process *p)
{
	for (int i = 0; i < MSG_STDIO; i++)
		stream_close(&p->stream[i]);
	exitwatch_stop(&p->watch);
}

/* Ends the process; the callback comes from the timer, with a clean stack. */
static void finish(struct host_process *p)
{
	close_all(p);
	p->stage = STAGE_ENDED;
	set_timer(p, loop_now_ms(p->loop));
}

static void finish_failed(struct host_process *p, const struct host_failure *f)
{
	p->failure = *f;
	p->end.failure = &p->failure;
	finish(p);
}

static bool output_open(const struct host_process *p)
{
	for (int i = MSG_STDOUT; i < MSG_STDIO; i++)
		if (p->stream[i].relay ||
		    host_listener_active(&p->stream[i].listener))
			return true;
	return false;
}

/*
 * Has an output that is still open a right to stay so? Yes while its local
 * reader is slow (bounded by what can be on the way), and for a while when
 * bytes still come.
 */
static bool may_go_on(struct host_process *p)
{
	const bool in_time = loop_now_ms(p->loop) < p->drain_limit_ms;
	bool yes = false;

	for (int i = MSG_STDOUT; i < MSG_STDIO; i++) {
		struct stream *s = &p->stream[i];
		uint64_t bytes;

		if (!s->relay)
			continue;
		bytes = host_relay_bytes(s->relay);
		if (bytes - s->bytes_at_exit < HOST_DRAIN_BYTES_MAX &&
		    (host_relay_blocked(s->relay) ||
		     (in_time && bytes != s->bytes_seen)))
			yes = true;
		s->bytes_seen = bytes;
	}
	return yes;
}

static void drain(struct host_process *p)
{
	if (p->stage == STAGE_DRAINING && !output_open(p))
		finish(p);
}

static void on_timer(void *ctx)
{
	struct host_process *p = ctx;

	if (p->stage == STAGE_ENDED) {
		if (p->ended)
			p->ended(p->ctx, &p->end);
		return;
	}
	set_timer(p, NEVER);
	if (p->stage != STAGE_DRAINING)
		return;
	if (may_go_on(p)) {
		set_timer(p, loop_now_ms(p->loop) + HOST_DRAIN_MS);
		return;
	}
	log_warn("process %u: an output goes on after the exit, closed",
		 p->pid);
	p->end.output_held = true;
	finish(p);
}

static void on_exit_known(void *ctx, uint32_t code,
			  const struct host_failure *f)
{
	struct host_process *p = ctx;

	if (f) {
		p->failure = *f;
		p->end.failure = &p->failure;
	} else {
		p->end.exited = true;
		p->end.code = code;
	}
	p->stage = STAGE_DRAINING;
	stream_close(&p->stream[MSG_STDIN]);
	for (int i = MSG_STDOUT; i < MSG_STDIO; i++)
		if (p->stream[i].relay)
			p->stream[i].bytes_at_exit = p->stream[i].bytes_seen =
				host_relay_bytes(p->stream[i].relay);
	p->drain_limit_ms = loop_now_ms(p->loop) + HOST_DRAIN_LIMIT_MS;
	set_timer(p, loop_now_ms(p->loop) + HOST_DRAIN_MS);
	drain(p);
}

/* --- streams -------------------------------------------------------------- */

static void on_relay_done(void *ctx, enum host_relay_end how,
			  const struct err *e)
{
	struct stream *s = ctx;
	struct host_process *p = s->process;
	const bool is_input = s == &p->stream[MSG_STDIN];

	if (how == HOST_RELAY_ERROR) {
		log_warn("process %u: %s: %s", p->pid,
			 stream_names[stream_index(s)],
			 e ? e->text : "unknown error");
		p->end.output_cut |= !is_input;
	}
	/* The guest's end of stdin stays open: see bridge/host/relay.h. */
	if (is_input && how == HOST_RELAY_EOF)
		return;
	host_relay_free(s->relay);
	s->relay = NULL;
	drain(p);
}

static void stream_start_relay(struct stream *s)
{
	const bool is_input = s == &s->process->stream[MSG_STDIN];
	struct local *from = is_input ? &s->local : &s->guest;
	struct local *to = is_input ? &s->guest : &s->local;
	struct err e = { 0 };

	if (host_relay_new(s->process->loop, from, to, on_relay_done, s,
			   &s->relay, &e) == 0)
		return;
	log_warn("process %u: %s: %s", s->process->pid,
		 stream_names[stream_index(s)], e.text);
	s->process->end.output_cut |= !is_input;
	stream_close(s);
}

/* Input flows once the process runs, so that none is lost when it does not. */
static void start_stdin(struct host_process *p)
{
	struct stream *s = &p->stream[MSG_STDIN];

	if (s->guest.fd < 0 || s->relay)
		return;
	if (p->close_stdin)
		stream_close(s);
	else
		stream_start_relay(s);
}

static void on_dialled(void *ctx, int fd, const struct err *e)
{
	struct stream *s = ctx;
	struct host_process *p = s->process;

	if (fd < 0) {
		log_warn("process %u: %s stays empty: %s", p->pid,
			 stream_names[stream_index(s)], e->text);
		stream_close(s);
	} else {
		s->guest = local_socket(fd);
		if (s != &p->stream[MSG_STDIN])
			stream_start_relay(s);
		else if (p->stage == STAGE_RUNNING)
			start_stdin(p);
	}
	drain(p);
}

/* A port that nobody else on this host listens on, where ports are shared. */
static int stream_listen(struct stream *s, struct err *e)
{
	struct host_ports *ports = host_client_ports(s->process->client);
	int r = -EADDRINUSE;

	for (int i = 0; i < PORT_TRIES && r == -EADDRINUSE; i++) {
		r = host_ports_take(ports, &s->port, e);
		if (r == 0)
			r = host_listener_start(&s->listener, s->port,
						HOST_NO_TIMEOUT, e);
	}
	return r;
}

static int stream_open(struct stream *s, int fd, struct err *e)
{
	const bool is_input = stream_index(s) == MSG_STDIN;
	int r;

	if (fd < 0)
		return 0;
	r = local_open(fd, !is_input, &s->local, e);
	if (r < 0)
		return err_wrap(e, "%s", stream_names[stream_index(s)]);
	return stream_listen(s, e);
}

/* --- starting ------------------------------------------------------------- */

static void on_started(void *ctx, const void *result,
		       const struct host_failure *f)
{
	struct host_process *p = ctx;
	const struct msg_execute_process_result *r = result;
	struct host_failure no = { .kind = HOST_FAIL_GARBLED };

	if (f) {
		finish_failed(p, f);
		return;
	}
	if (r->process_id == 0) {
		no = host_failure_make(HOST_FAIL_GARBLED, WIRE_EXECUTE_PROCESS,
				       true, NULL);
		finish_failed(p, &no);
		return;
	}
	p->pid = r->process_id;
	p->end.started = true;
	p->stage = STAGE_RUNNING;
	if (exitwatch_start(&p->watch, p->client, container_of(p), p->pid,
			    on_exit_known, p, &no.err) < 0) {
		no.kind = HOST_FAIL_LOCAL;
		finish_failed(p, &no);
		return;
	}
	for (int i = 0; i < MSG_STDIO; i++)
		if (host_listener_active(&p->stream[i].listener))
			/* Without memory for a timer: the exit ends it. */
			(void)host_listener_limit(&p->stream[i].listener,
						  HOST_STDIO_DIAL_MS, NULL);
	start_stdin(p);
	if (p->started)
		p->started(p->ctx, p->pid);
}

static int execute(struct host_process *p,
		   const struct host_process_config *config, struct err *e)
{
	struct msg_process_parameters parameters = *config->parameters;
	const struct host_done done = {
		.fn = on_started,
		.ctx = p,
		.timeout_ms = config->start_timeout_ms,
	};
	uint32_t port[MSG_STDIO];

	for (int i = 0; i < MSG_STDIO; i++)
		port[i] = p->stream[i].port;
	parameters.create_stdin_pipe = port[MSG_STDIN] != 0;
	parameters.create_stdout_pipe = port[MSG_STDOUT] != 0;
	parameters.create_stderr_pipe = port[MSG_STDERR] != 0;
	return host_execute_process(p->client, container_of(p), &parameters,
				    port, &done, &p->execute_id, e);
}

static int process_init(struct host_process *p, struct host_client *c,
			const struct host_process_config *config, struct err *e)
{
	const char *id = config->container_id;

	p->client = c;
	p->loop = host_client_loop(c);
	p->started = config->started;
	p->ended = config->ended;
	p->ctx = config->ctx;
	for (int i = 0; i < MSG_STDIO; i++) {
		struct stream *s = &p->stream[i];

		s->process = p;
		s->local.fd = -1;
		s->guest.fd = -1;
		host_listener_init(&s->listener, p->loop,
				   host_client_transport(c), on_dialled, s);
	}
	if (id && strlen(id) >= sizeof(p->container_id))
		return err_set(e, ENAMETOOLONG, "a container id is too long");
	if (id)
		memcpy(p->container_id, id, strlen(id));
	return loop_at(p->loop, NEVER, on_timer, p, &p->timer, e);
}

int host_process_start(struct host_client *c,
		       const struct host_process_config *config,
		       struct host_process **ret, struct err *e)
{
	struct host_process *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ENOMEM, "no memory for a process");
	r = process_init(p, c, config, e);
	for (int i = 0; r == 0 && i < MSG_STDIO; i++)
		r = stream_open(&p->stream[i], config->fd[i], e);
	if (r == 0)
		r = execute(p, config, e);
	if (r < 0) {
		p->stage = STAGE_ENDED;
		host_process_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void host_process_free(struct host_process *p)
{
	if (!p)
		return;
	if (p->stage == STAGE_STARTING)
		host_client_cancel(p->client, p->execute_id);
	close_all(p);
	loop_cancel(p->loop, &p->timer);
	free(p);
}

/* --- while it runs -------------------------------------------------------- */

uint32_t host_process_pid(const struct host_process *p)
{
	return p->pid;
}

void host_process_close_stdin(struct host_process *p)
{
	struct stream *s = &p->stream[MSG_STDIN];

	p->close_stdin = true;
	if (s->relay)
		host_relay_finish(s->relay);
	else if (p->stage == STAGE_RUNNING)
		start_stdin(p);
}

static int check_running(const struct host_process *p, struct err *e)
{
	if (p->stage != STAGE_RUNNING)
		return err_set(e, ESRCH, "the process does not run");
	return 0;
}

int host_process_signal(struct host_process *p, int32_t signal,
			const struct host_done *done, struct err *e)
{
	const int r = check_running(p, e);

	if (r < 0)
		return r;
	return host_signal_process(p->client, container_of(p), p->pid, signal,
				   done, NULL, e);
}

int host_process_resize(struct host_process *p, uint16_t height, uint16_t width,
			const struct host_done *done, struct err *e)
{
	const int r = check_running(p, e);

	if (r < 0)
		return r;
	return host_resize_console(p->client, container_of(p), p->pid, height,
				   width, done, NULL, e);
}

int host_process_state(const struct host_process *p,
		       struct host_process_state *ret)
{
	if (p->stage != STAGE_RUNNING)
		return -ESRCH;
	ret->pid = p->pid;
	ret->wait_id = p->watch.call[EXITWATCH_WAIT].id;
	for (int i = 0; i < MSG_STDIO; i++)
		ret->port[i] = p->stream[i].port;
	return 0;
}
