#include "tools/shim/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "build/proto/task_event.pb-c.h"
#include "config/util.h"
#include "migration/lists.h"
#include "tools/shim/shim.h"
#include "tools/ttrpc/client.h"
#include "tools/ttrpc/pb.h"

#define TYPE_PREFIX "containerd.events."

/* Type and topic are constants of this file. */
struct event {
	struct event *next;
	const char *topic;
	const char *type;
	uint64_t at_ns;
	size_t len;
	uint8_t bytes[];
};

struct events {
	struct loop *loop;
	char *address;
	char *name_space;
	struct event *head;
	struct event **tail;
	size_t n;
	struct ttrpc_client *client;
	bool lost;  /* @client is of no use any more */
	bool asked; /* the head is on its way */
	struct loop_id timer;
};

static void send_next(void *ctx);

static void later(struct events *ev, int64_t ms)
{
	/* Without memory for a timer the next event tries again. */
	(void)loop_at(ev->loop, loop_now_ms(ev->loop) + ms, send_next, ev,
		      &ev->timer, NULL);
}

static void drop_head(struct events *ev)
{
	struct event *x = ev->head;

	ev->head = x->next;
	if (!ev->head)
		ev->tail = &ev->head;
	ev->n--;
	free(x);
}

static void on_taken(void *ctx, enum ttrpc_code code, const char *text,
		     const ProtobufCMessage *m UNUSED)
{
	struct events *ev = ctx;

	ev->asked = false;
	if (code == TTRPC_UNAVAILABLE || code == TTRPC_DEADLINE_EXCEEDED) {
		later(ev, EVENTS_RETRY_MS);
		return;
	}
	/* A refused one would be refused again. */
	if (code != TTRPC_OK)
		log_warn("event %s is not taken: %s", ev->head->topic, text);
	drop_head(ev);
	if (ev->head)
		later(ev, 0);
}

static void on_lost(void *ctx, const struct err *why UNUSED)
{
	((struct events *)ctx)->lost = true;
}

static int dial(struct events *ev, struct err *e)
{
	cleanup_fd fd = -1;
	int r;

	if (ev->client && !ev->lost)
		return 0;
	ttrpc_client_free(ev->client);
	ev->client = NULL;
	r = ttrpc_dial(ev->address, &fd, e);
	if (r == 0)
		r = ttrpc_client_new(ev->loop, fd, on_lost, ev, &ev->client, e);
	if (r < 0)
		return r;
	(void)fd_take(&fd);
	ev->lost = false;
	return 0;
}

static int forward(struct events *ev, const struct event *x, struct err *e)
{
	TaskEventForward m = TASK_EVENT_FORWARD__INIT;
	TaskEventEnvelope envelope = TASK_EVENT_ENVELOPE__INIT;
	PbTimestamp at;
	PbAny any = PB_ANY__INIT;
	const struct ttrpc_ask ask = {
		.service = "containerd.services.events.ttrpc.v1.Events",
		.method = "Forward",
		.request = &m.base,
		.timeout_ms = EVENTS_ANSWER_MS,
		.done = on_taken,
		.ctx = ev,
	};

	any.type_url = pb_text(x->type);
	any.value.data = (uint8_t *)(uintptr_t)x->bytes;
	any.value.len = x->len;
	envelope.timestamp = pb_time(&at, x->at_ns);
	envelope.namespace_ = ev->name_space;
	envelope.topic = pb_text(x->topic);
	envelope.event = &any;
	m.envelope = &envelope;
	return ttrpc_client_call(ev->client, &ask, e);
}

static void send_next(void *ctx)
{
	struct events *ev = ctx;
	struct err e;

	if (!ev->head || ev->asked)
		return;
	if (dial(ev, &e) < 0 || forward(ev, ev->head, &e) < 0) {
		later(ev, EVENTS_RETRY_MS);
		return;
	}
	ev->asked = true;
}

void events_put(struct events *ev, const char *topic, const char *type,
		const ProtobufCMessage *m)
{
	const size_t len = protobuf_c_message_get_packed_size(m);
	struct event *x = malloc(sizeof(*x) + len);

	if (!x) {
		log_err("no memory for event %s, dropped", topic);
		return;
	}
	*x = (struct event){ .topic = topic,
			     .type = type,
			     .at_ns = clock_wall_ns(),
			     .len = len };
	(void)protobuf_c_message_pack(m, x->bytes);
	if (ev->n >= EVENTS_MAX && !ev->asked) {
		log_warn("nobody takes events, %s is dropped", ev->head->topic);
		drop_head(ev);
	}
	*ev->tail = x;
	ev->tail = &x->next;
	ev->n++;
	if (ev->timer.generation == 0 || ev->head == x)
		send_next(ev);
}

bool events_empty(const struct events *ev)
{
	return !ev || !ev->head;
}

int events_new(struct loop *loop, const char *address, const char *name_space,
	       struct events **ret, struct err *e)
{
	struct events *ev = calloc(1, sizeof(*ev));

	if (ev) {
		ev->loop = loop;
		ev->tail = &ev->head;
		ev->address = strdup(address);
		ev->name_space = strdup(name_space);
	}
	if (!ev || !ev->address || !ev->name_space) {
		events_free(ev);
		return err_set(e, ENOMEM, "no memory for events");
	}
	*ret = ev;
	return 0;
}

void events_free(struct events *ev)
{
	if (!ev)
		return;
	loop_cancel(ev->loop, &ev->timer);
	ttrpc_client_free(ev->client);
	while (ev->head)
		drop_head(ev);
	free(ev->address);
	free(ev->name_space);
	free(ev);
}

/* --- of tasks ------------------------------------------------------------------------ */

/* containerd's name for a process: that of its container for the first one. */
static const char *process_id(const struct task_event *t)
{
	return *t->exec_id ? t->exec_id : t->container_id;
}

static void put(void *ctx, const char *topic, const char *type,
		const ProtobufCMessage *m)
{
	const struct shim *s = ctx;

	if (s->events)
		events_put(s->events, topic, type, m);
}

static void created(void *ctx, const struct task_event *t)
{
	TaskEventCreate m = TASK_EVENT_CREATE__INIT;
	TaskEventIO io = TASK_EVENT_IO__INIT;

	io.stdin = pb_text(t->stdio[GUEST_STDIN]);
	io.stdout = pb_text(t->stdio[GUEST_STDOUT]);
	io.stderr = pb_text(t->stdio[GUEST_STDERR]);
	io.terminal = t->terminal;
	m.container_id = pb_text(t->container_id);
	m.bundle = pb_text(t->bundle);
	m.io = &io;
	m.pid = t->pid;
	put(ctx, "/tasks/create", TYPE_PREFIX "TaskCreate", &m.base);
}

static void started(void *ctx, const struct task_event *t)
{
	TaskEventStart m = TASK_EVENT_START__INIT;

	m.container_id = pb_text(t->container_id);
	m.pid = t->pid;
	put(ctx, "/tasks/start", TYPE_PREFIX "TaskStart", &m.base);
}

static void exec_added(void *ctx, const struct task_event *t)
{
	TaskEventExecAdded m = TASK_EVENT_EXEC_ADDED__INIT;

	m.container_id = pb_text(t->container_id);
	m.exec_id = pb_text(t->exec_id);
	put(ctx, "/tasks/exec-added", TYPE_PREFIX "TaskExecAdded", &m.base);
}

static void exec_started(void *ctx, const struct task_event *t)
{
	TaskEventExecStarted m = TASK_EVENT_EXEC_STARTED__INIT;

	m.container_id = pb_text(t->container_id);
	m.exec_id = pb_text(t->exec_id);
	m.pid = t->pid;
	put(ctx, "/tasks/exec-started", TYPE_PREFIX "TaskExecStarted", &m.base);
}

static void ended(void *ctx, const struct task_event *t)
{
	TaskEventExit m = TASK_EVENT_EXIT__INIT;
	PbTimestamp at;

	m.container_id = pb_text(t->container_id);
	m.id = pb_text(process_id(t));
	m.pid = t->pid;
	m.exit_status = t->exit_status;
	m.exited_at = pb_time(&at, t->exited_at_ns);
	log_info("exit container=%s exec=%s status=%u", t->container_id,
		 t->exec_id, t->exit_status);
	put(ctx, "/tasks/exit", TYPE_PREFIX "TaskExit", &m.base);
}

static void deleted(void *ctx, const struct task_event *t)
{
	TaskEventDelete m = TASK_EVENT_DELETE__INIT;
	PbTimestamp at;

	m.container_id = pb_text(t->container_id);
	m.id = pb_text(t->exec_id);
	m.pid = t->pid;
	m.exit_status = t->exit_status;
	m.exited_at = pb_time(&at, t->exited_at_ns);
	put(ctx, "/tasks/delete", TYPE_PREFIX "TaskDelete", &m.base);
}

static void out_of_memory(void *ctx, const struct task_event *t)
{
	TaskEventId m = TASK_EVENT_ID__INIT;

	log_warn("container %s: a process was killed for want of memory",
		 t->container_id);
	m.container_id = pb_text(t->container_id);
	put(ctx, "/tasks/oom", TYPE_PREFIX "TaskOOM", &m.base);
}

const struct task_events shim_task_events = {
	.created = created,
	.started = started,
	.exec_added = exec_added,
	.exec_started = exec_started,
	.exit = ended,
	.deleted = deleted,
	.oom = out_of_memory,
};
