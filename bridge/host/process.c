#include "bridge/host/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/exitwatch.h"
#include "bridge/host/failure.h"
#include "bridge/host/ports.h"
#include "bridge/host/stream.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"
#include "config/util.h"

#define NEVER INT64_MAX

enum process_stage {
	STAGE_STARTING,
	STAGE_RUNNING,
	STAGE_DRAINING,
	STAGE_ENDED,
};

struct host_process {
	struct host_client *client;
	struct loop *loop;
	enum process_stage stage;
	char container_id[EXITWATCH_ID_MAX];
	struct host_stream stream[MSG_STDIO];
	uint64_t bytes_at_exit[MSG_STDIO];
	uint64_t bytes_seen[MSG_STDIO]; /* at the last look of the draining */
	struct exitwatch watch;
	struct host_observer observer;
	uint64_t execute_id;
	uint32_t pid;
	int64_t drain_limit_ms;
	struct loop_id timer; /* always there, so that moving it cannot fail */
	struct host_process_end end;
	struct host_failure failure;
	void (*started)(void *ctx, uint32_t pid);
	void (*left)(void *ctx, enum msg_stdio which);
	void (*ended)(void *ctx, const struct host_process_end *end);
	void *ctx;
};

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

static void close_all(struct host_process *p)
{
	for (int i = 0; i < MSG_STDIO; i++)
		host_stream_close(&p->stream[i]);
	exitwatch_stop(&p->watch);
	/* Still there, for a client that is freed takes it off. */
	p->observer.ready = NULL;
	p->observer.lost = NULL;
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
		if (host_stream_open(&p->stream[i]))
			return true;
	return false;
}

/*
 * Has an output that is still open a right to stay so? Yes while its local
 * reader is slow (bounded by what can be on the way), and for a while when
 * bytes still come or somebody may still attach to read them.
 */
static bool may_go_on(struct host_process *p)
{
	const bool in_time = loop_now_ms(p->loop) < p->drain_limit_ms;
	const enum host_state state = host_client_state(p->client);
	/* Nothing comes meanwhile; what is to come is not lost. */
	const bool gone = host_client_frozen(p->client) ||
			  (state != HOST_READY && state != HOST_FAILED);
	bool yes = false;

	for (int i = MSG_STDOUT; i < MSG_STDIO; i++) {
		const struct host_stream *s = &p->stream[i];
		const uint64_t bytes = host_stream_bytes(s);
		const bool moves = bytes != p->bytes_seen[i];

		if (host_stream_away(s))
			yes |= gone || in_time || moves ||
			       host_stream_blocked(s);
		else if (host_stream_parked(s))
			yes |= in_time;
		else if (s->carry && gone)
			yes = true;
		else
			yes |= bytes - p->bytes_at_exit[i] <
				       HOST_DRAIN_BYTES_MAX &&
			       (host_stream_blocked(s) || (in_time && moves));
		p->bytes_seen[i] = bytes;
	}
	return yes;
}

static void drain(struct host_process *p)
{
	if (p->stage == STAGE_DRAINING && !output_open(p))
		finish(p);
}

/* Outputs go on without end: say which of the two reasons it is. */
static void give_up_draining(struct host_process *p)
{
	for (int i = MSG_STDOUT; i < MSG_STDIO; i++) {
		if (host_stream_parked(&p->stream[i]) ||
		    host_stream_away(&p->stream[i]))
			p->end.output_cut = true;
		else if (host_stream_open(&p->stream[i]))
			p->end.output_held = true;
	}
	log_warn("process %u: an output goes on after the exit, closed",
		 p->pid);
	finish(p);
}

/* What is known here now, another host may be telling. */
static bool is_elsewhere(const struct host_process *p)
{
	const struct host_client *c = p->observer.client;

	return c && host_client_frozen(c) &&
	       host_client_state(c) != HOST_FAILED;
}

static void on_timer(void *ctx)
{
	struct host_process *p = ctx;

	if (is_elsewhere(p)) {
		set_timer(p, loop_now_ms(p->loop) + HOST_DRAIN_MS);
		return;
	}
	if (p->stage == STAGE_ENDED) {
		if (p->ended)
			p->ended(p->ctx, &p->end);
		return;
	}
	set_timer(p, NEVER);
	if (p->stage != STAGE_DRAINING)
		return;
	if (may_go_on(p))
		set_timer(p, loop_now_ms(p->loop) + HOST_DRAIN_MS);
	else
		give_up_draining(p);
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
	for (int i = 0; i < MSG_STDIO; i++) {
		host_stream_exited(&p->stream[i]);
		p->bytes_at_exit[i] = p->bytes_seen[i] =
			host_stream_bytes(&p->stream[i]);
	}
	p->drain_limit_ms = loop_now_ms(p->loop) + HOST_DRAIN_LIMIT_MS;
	set_timer(p, loop_now_ms(p->loop) + HOST_DRAIN_MS);
	drain(p);
}

/* --- streams -------------------------------------------------------------- */

static void on_stream(void *ctx, struct host_stream *s, enum stream_event what)
{
	struct host_process *p = ctx;

	if (what == STREAM_CUT)
		p->end.output_cut = true;
	if (what == STREAM_DETACHED && p->left)
		p->left(p->ctx, s->which);
	drain(p);
}

static void on_bridge_lost(void *ctx, const struct err *why)
{
	struct host_process *p = ctx;

	(void)why;
	for (int i = 0; i < MSG_STDIO; i++)
		host_stream_bridge_lost(&p->stream[i]);
}

static void on_bridge_ready(void *ctx, const struct host_guest *guest)
{
	struct host_process *p = ctx;

	(void)guest;
	for (int i = 0; i < MSG_STDIO; i++)
		host_stream_bridge_ready(&p->stream[i]);
	if (p->stage != STAGE_DRAINING)
		return;
	/* What was lost on the way comes again. */
	p->drain_limit_ms = loop_now_ms(p->loop) + HOST_DRAIN_LIMIT_MS;
	set_timer(p, loop_now_ms(p->loop) + HOST_DRAIN_MS);
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
		host_stream_limit(&p->stream[i], HOST_STDIO_DIAL_MS);
	/* Input flows once it runs, so that none is lost when it does not. */
	host_stream_release(&p->stream[MSG_STDIN]);
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
	const bool is_init =
		id && !(config->parameters && config->parameters->oci_process);

	p->client = c;
	p->loop = host_client_loop(c);
	p->started = config->started;
	p->left = config->left;
	p->ended = config->ended;
	p->ctx = config->ctx;
	for (int i = 0; i < MSG_STDIO; i++) {
		struct host_stream *s = &p->stream[i];

		host_stream_init(s, c, (enum msg_stdio)i, on_stream, p);
		s->redial = is_init;
		s->keep = config->keep_streams;
	}
	if (id && strlen(id) >= sizeof(p->container_id))
		return err_set(e, ENAMETOOLONG, "a container id is too long");
	if (id)
		memcpy(p->container_id, id, strlen(id));
	p->observer = (struct host_observer){
		.ready = on_bridge_ready,
		.lost = on_bridge_lost,
		.ctx = p,
	};
	host_client_observe(c, &p->observer);
	return loop_at(p->loop, NEVER, on_timer, p, &p->timer, e);
}

/* Gives up what was begun; @r is what went wrong. */
static int undo(struct host_process *p, int r)
{
	p->stage = STAGE_ENDED;
	host_process_free(p);
	return r;
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
	p->stream[MSG_STDIN].held = true;
	for (int i = 0; r == 0 && i < MSG_STDIO; i++) {
		struct host_stream *s = &p->stream[i];

		if (config->fd[i] >= 0 || config->detached[i])
			r = host_stream_listen(s, e);
		if (r == 0 && config->fd[i] >= 0)
			r = host_stream_attach(s, config->fd[i], e);
	}
	if (r == 0)
		r = execute(p, config, e);
	if (r < 0)
		return undo(p, r);
	*ret = p;
	return 0;
}

/* The ports of a process that the guest has; nobody else may get them. */
static int open_streams(struct host_process *p,
			const struct host_process_config *config,
			const struct host_process_state *state, struct err *e)
{
	struct host_ports *ports = host_client_ports(p->client);
	int r = 0;

	for (int i = 0; r == 0 && i < MSG_STDIO; i++) {
		struct host_stream *s = &p->stream[i];

		if (state->port[i] == 0)
			continue;
		if (state->port[i] <= HOST_PORT_LAST)
			host_ports_raise(ports, state->port[i] + 1);
		r = state->stream ? host_stream_restore(s, state->port[i],
							&state->stream[i], e)
				  : host_stream_listen_on(s, state->port[i], e);
		if (r == 0 && config->fd[i] >= 0)
			r = host_stream_attach(s, config->fd[i], e);
	}
	return r;
}

int host_process_open(struct host_client *c,
		      const struct host_process_config *config,
		      const struct host_process_state *state, bool watch,
		      struct host_process **ret, struct err *e)
{
	struct host_process *p;
	int r;

	if (state->pid == 0 || state->wait_id == 0)
		return err_set(e, EINVAL,
			       "a process without a %s cannot be taken over",
			       state->pid == 0 ? "pid" : "wait id");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, ENOMEM, "no memory for a process");
	r = process_init(p, c, config, e);
	p->pid = state->pid;
	p->end.started = true;
	p->stage = STAGE_RUNNING;
	if (r == 0)
		r = open_streams(p, config, state, e);
	if (r == 0 && !state->exited)
		r = exitwatch_adopt(&p->watch, c, container_of(p), p->pid,
				    state->wait_id, watch, on_exit_known, p, e);
	if (r < 0)
		return undo(p, r);
	if (state->exited) {
		p->watch.call[EXITWATCH_WAIT].id = state->wait_id;
		on_exit_known(p, state->code, NULL);
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
	host_client_unobserve(&p->observer);
	loop_cancel(p->loop, &p->timer);
	free(p);
}

/* --- while it runs -------------------------------------------------------- */

uint32_t host_process_pid(const struct host_process *p)
{
	return p->pid;
}

static int check_attach(const struct host_process *p, const int fd[MSG_STDIO],
			struct err *e)
{
	if (p->stage == STAGE_ENDED)
		return err_set(e, ESRCH, "the process has ended");
	for (int i = 0; i < MSG_STDIO; i++)
		if (fd[i] >= 0 && host_stream_attached(&p->stream[i]))
			return err_set(e, EBUSY, "somebody is attached to %s",
				       host_stream_name(&p->stream[i]));
	return 0;
}

int host_process_attach(struct host_process *p, const int fd[MSG_STDIO],
			struct err *e)
{
	int r = check_attach(p, fd, e);

	for (int i = 0; r == 0 && i < MSG_STDIO; i++) {
		if (fd[i] < 0)
			continue;
		r = host_stream_attach(&p->stream[i], fd[i], e);
		while (r < 0 && i-- > 0)
			if (fd[i] >= 0)
				host_stream_detach(&p->stream[i]);
	}
	return r;
}

void host_process_detach(struct host_process *p, enum msg_stdio which)
{
	host_stream_detach(&p->stream[which]);
}

bool host_process_attached(const struct host_process *p, enum msg_stdio which)
{
	return host_stream_attached(&p->stream[which]);
}

void host_process_close_stdin(struct host_process *p)
{
	host_stream_close_input(&p->stream[MSG_STDIN]);
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
	const bool exited = p->stage > STAGE_RUNNING && p->end.exited &&
			    host_client_frozen(p->client);

	if (p->stage != STAGE_RUNNING && !exited)
		return -ESRCH;
	ret->pid = p->pid;
	ret->wait_id = exitwatch_wait_id(&p->watch);
	ret->exited = exited;
	ret->code = p->end.code;
	ret->stream = NULL;
	for (int i = 0; i < MSG_STDIO; i++)
		/* One that is over is nobody's any more. */
		ret->port[i] = p->stream[i].over ? 0 : p->stream[i].port;
	return 0;
}

int host_process_streams(const struct host_process *p,
			 struct host_stream_state *ret, struct err *e)
{
	int r = 0;

	for (int i = 0; i < MSG_STDIO; i++)
		ret[i] = (struct host_stream_state){ 0 };
	for (int i = 0; i < MSG_STDIO && r == 0; i++)
		r = host_stream_state(&p->stream[i], &ret[i], e);
	return r;
}

void host_process_streams_done(struct host_stream_state *state)
{
	for (int i = 0; i < MSG_STDIO; i++)
		free(mem_take(&state[i].bytes));
}
