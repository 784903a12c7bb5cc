/*
 * Theory of operation. States go one way: GREETING (waiting for the first
 * line), AGREEING (qmp_capabilities is sent), READY, CLOSED. A command is a
 * slot of a fixed table with its id, its callback and its timer. QEMU repeats
 * the id; an answer whose slot is no longer that command (it timed out) is
 * dropped. Closing answers every waiting slot, then tells the owner, once.
 *
 * Input is gathered up to a newline in one buffer that grows to QMP_LINE_MAX.
 * Output is queued and written when the socket takes it. A descriptor travels
 * with the first byte of its command, which begins a send of its own.
 */
#include "tools/qemu/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"
#include "config/text.h"
#include "config/util.h"

#define READ_CHUNK 16384
/* Depth of a message; QEMU's own stay below 10. */
#define JSON_DEPTH 32
/* Longest path of members given to qmp_data_*(). */
#define PATH_MAX_BYTES 128
/* The agreement is answered at once by a QEMU that lives. */
#define AGREE_MS 30000

enum state { GREETING, AGREEING, READY, CLOSED };

struct command {
	struct qmp *q;
	uint64_t id; /* 0: free */
	qmp_answer_fn *fn;
	void *ctx;
	struct loop_id timer;
};

struct qmp {
	struct loop *loop;
	struct qmp_handler h;
	enum state state;
	int fd;
	struct loop_id watch;
	struct text in;
	struct text out;
	size_t out_sent;
	int pass_fd; /* goes with the byte at pass_at; -1: none */
	size_t pass_at;
	uint64_t pass_id; /* command that was sent with one; 0: none */
	uint64_t next_id;
	struct command command[QMP_COMMANDS_MAX];
};

/* The members of @d are those of a json-c object. */
static struct json_object *member(const struct qmp_data *d, const char *path)
{
	struct json_object *at = (struct json_object *)(uintptr_t)d;
	char name[PATH_MAX_BYTES];

	while (at && *path) {
		const size_t len = strcspn(path, ".");
		struct json_object *next = NULL;

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!json_object_is_type(at, json_type_object) ||
		    !json_object_object_get_ex(at, name, &next))
			return NULL;
		at = next;
		path += len + (path[len] == '.');
	}
	return at;
}

const char *qmp_data_text(const struct qmp_data *d, const char *path)
{
	struct json_object *o = member(d, path);

	return json_object_is_type(o, json_type_string)
		       ? json_object_get_string(o)
		       : NULL;
}

bool qmp_data_int(const struct qmp_data *d, const char *path, int64_t *ret)
{
	struct json_object *o = member(d, path);

	if (!json_object_is_type(o, json_type_int))
		return false;
	*ret = json_object_get_int64(o);
	return true;
}

const struct qmp_data *qmp_data_at(const struct qmp_data *d, const char *path,
				   size_t index)
{
	struct json_object *o = member(d, path);

	if (!json_object_is_type(o, json_type_array) ||
	    index >= json_object_array_length(o))
		return NULL;
	return (const void *)json_object_array_get_idx(o, index);
}

const char *qmp_data_item(const struct qmp_data *d, const char *path,
			  size_t index)
{
	return qmp_data_text(qmp_data_at(d, path, index), "");
}

bool qmp_data_bool(const struct qmp_data *d, const char *path)
{
	struct json_object *o = member(d, path);

	return json_object_is_type(o, json_type_boolean) &&
	       json_object_get_boolean(o);
}

static const struct qmp_data *as_data(struct json_object *o)
{
	return (const struct qmp_data *)o;
}

static void finish(struct command *c, int result, const struct qmp_data *data,
		   const struct err *e)
{
	qmp_answer_fn *const fn = c->fn;
	void *const ctx = c->ctx;

	loop_cancel(c->q->loop, &c->timer);
	if (c->q->pass_id == c->id)
		c->q->pass_id = 0;
	c->id = 0;
	if (fn)
		fn(ctx, result, data, e);
}

static void close_with(struct qmp *q, const struct err *e)
{
	const struct err why = *e;

	if (q->state == CLOSED)
		return;
	q->state = CLOSED;
	loop_unwatch(q->loop, &q->watch);
	fd_close(&q->fd);
	fd_close(&q->pass_fd);
	for (size_t i = 0; i < QMP_COMMANDS_MAX; i++)
		if (q->command[i].id)
			finish(&q->command[i], -why.code, NULL, &why);
	if (q->h.closed)
		q->h.closed(q->h.ctx, &why);
}

__attribute__((format(printf, 3, 4))) static void
close_because(struct qmp *q, int code, const char *fmt, ...)
{
	struct err e = { .code = code };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	close_with(q, &e);
}

static void receive(struct qmp *q);

/* Some of what is queued; up to a byte that a descriptor goes with, or it. */
static ssize_t send_some(struct qmp *q)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
			      .cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS,
		      } };
	struct iovec part = { .iov_base = q->out.buf + q->out_sent,
			      .iov_len = q->out.len - q->out_sent };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;

	if (q->pass_fd < 0)
		return sendmsg(q->fd, &m, MSG_NOSIGNAL);
	if (q->out_sent < q->pass_at) {
		part.iov_len = q->pass_at - q->out_sent;
		return sendmsg(q->fd, &m, MSG_NOSIGNAL);
	}
	memcpy(CMSG_DATA(&control.head), &q->pass_fd, sizeof(int));
	m.msg_control = control.bytes;
	m.msg_controllen = sizeof(control.bytes);
	n = sendmsg(q->fd, &m, MSG_NOSIGNAL);
	if (n > 0)
		fd_close(&q->pass_fd);
	return n;
}

/* Writes what is queued; returns false when the connection broke. */
static bool flush(struct qmp *q)
{
	while (q->out_sent < q->out.len) {
		const ssize_t n = send_some(q);

		if (n > 0) {
			q->out_sent += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		/* The last events may be here already; then comes the end. */
		text_reset(&q->out);
		q->out_sent = 0;
		receive(q);
		close_because(q, EPIPE, "QMP: nobody reads");
		return false;
	}
	if (q->out_sent == q->out.len) {
		text_reset(&q->out);
		q->out_sent = 0;
	}
	loop_rewatch(q->loop, q->watch,
		     EPOLLIN | (q->out.len ? (uint32_t)EPOLLOUT : 0));
	return true;
}

static void on_timeout(void *ctx)
{
	struct command *c = ctx;
	struct err e;

	(void)err_set(&e, ETIMEDOUT, "QEMU did not answer a command in time");
	finish(c, -ETIMEDOUT, NULL, &e);
}

static struct command *slot_free(struct qmp *q)
{
	for (size_t i = 0; i < QMP_COMMANDS_MAX; i++)
		if (!q->command[i].id)
			return &q->command[i];
	return NULL;
}

static struct command *slot_of(struct qmp *q, uint64_t id)
{
	for (size_t i = 0; i < QMP_COMMANDS_MAX; i++)
		if (q->command[i].id == id)
			return &q->command[i];
	return NULL;
}

/* One line of output: the command with its id and its checked arguments. */
static int put(struct qmp *q, const char *command, const char *arguments,
	       uint64_t id, struct err *e)
{
	struct json_object *o = json_object_new_object();
	struct json_object *args = NULL;
	int r = 0;

	if (arguments) {
		args = json_tokener_parse(arguments);
		if (!json_object_is_type(args, json_type_object)) {
			json_object_put(args);
			json_object_put(o);
			return err_set(e, EINVAL,
				       "arguments of %s are not an object",
				       command);
		}
	}
	json_object_object_add(o, "execute", json_object_new_string(command));
	if (args)
		json_object_object_add(o, "arguments", args);
	json_object_object_add(o, "id", json_object_new_int64((int64_t)id));
	text_addf(&q->out, "%s\n",
		  json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	if (q->out.full)
		r = err_set(e, ENOBUFS, "QEMU does not take commands");
	json_object_put(o);
	return r;
}

static int send_command(struct qmp *q, const char *command,
			const char *arguments, int timeout_ms,
			qmp_answer_fn *fn, void *ctx, struct err *e)
{
	struct command *c = slot_free(q);
	int r;

	if (!c)
		return err_set(e, EBUSY, "%u QMP commands are waiting",
			       QMP_COMMANDS_MAX);
	r = put(q, command, arguments, q->next_id, e);
	if (r < 0)
		return r;
	r = loop_at(q->loop, loop_now_ms(q->loop) + timeout_ms, on_timeout, c,
		    &c->timer, e);
	if (r < 0)
		return r;
	c->id = q->next_id++;
	c->fn = fn;
	c->ctx = ctx;
	loop_rewatch(q->loop, q->watch, EPOLLIN | EPOLLOUT);
	return 0;
}

int qmp_send(struct qmp *q, const char *command, const char *arguments,
	     int timeout_ms, qmp_answer_fn *fn, void *ctx, struct err *e)
{
	if (q->state != READY)
		return err_set(e, ENOTCONN, "QMP is not connected");
	return send_command(q, command, arguments, timeout_ms, fn, ctx, e);
}

int qmp_send_fd(struct qmp *q, const char *command, const char *arguments,
		int fd, int timeout_ms, qmp_answer_fn *fn, void *ctx,
		struct err *e)
{
	const size_t at = q->out.len;
	cleanup_fd copy = -1;
	int r;

	if (q->pass_id || q->pass_fd >= 0)
		return err_set(e, EBUSY, "QEMU is given a descriptor already");
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return err_sys(e, "descriptor for QEMU");
	r = qmp_send(q, command, arguments, timeout_ms, fn, ctx, e);
	if (r < 0)
		return r;
	q->pass_id = q->next_id - 1;
	q->pass_at = at;
	q->pass_fd = fd_take(&copy);
	return 0;
}

static void on_agreed(void *ctx, int result, const struct qmp_data *data UNUSED,
		      const struct err *e)
{
	struct qmp *q = ctx;

	if (q->state == CLOSED)
		return;
	if (result < 0) {
		close_with(q, e);
		return;
	}
	q->state = READY;
	if (q->h.ready)
		q->h.ready(q->h.ctx);
}

static void on_greeting(struct qmp *q, struct json_object *o)
{
	struct err e;

	if (!json_object_object_get_ex(o, "QMP", NULL)) {
		close_because(q, EPROTO, "QMP: no greeting");
		return;
	}
	q->state = AGREEING;
	if (send_command(q, "qmp_capabilities", NULL, AGREE_MS, on_agreed, q,
			 &e) < 0)
		close_with(q, &e);
}

static void on_answer(struct qmp *q, struct json_object *o)
{
	const struct qmp_data *all = as_data(o);
	struct json_object *error = NULL;
	struct json_object *value = NULL;
	struct command *c;
	struct err e = { 0 };
	int64_t id = 0;

	if (!qmp_data_int(all, "id", &id) || id <= 0)
		return; /* an error about input that had no id */
	c = slot_of(q, (uint64_t)id);
	if (!c)
		return; /* it came too late and nobody waits */
	if (json_object_object_get_ex(o, "error", &error)) {
		const char *text = qmp_data_text(as_data(error), "desc");

		(void)err_set(&e, EREMOTEIO, "QEMU: %s",
			      text ? text : "error without words");
		finish(c, -EREMOTEIO, NULL, &e);
		return;
	}
	(void)json_object_object_get_ex(o, "return", &value);
	finish(c, 0, as_data(value), NULL);
}

static void on_object(struct qmp *q, struct json_object *o)
{
	const char *event = qmp_data_text(as_data(o), "event");
	struct json_object *data = NULL;

	if (q->state == GREETING) {
		on_greeting(q, o);
		return;
	}
	if (!event) {
		on_answer(q, o);
		return;
	}
	(void)json_object_object_get_ex(o, "data", &data);
	if (q->h.event)
		q->h.event(q->h.ctx, event, as_data(data));
}

static void on_line(struct qmp *q, const char *line, size_t len)
{
	struct json_tokener *t = json_tokener_new_ex(JSON_DEPTH);
	struct json_object *o;

	if (!t) {
		close_because(q, ENOMEM, "QMP: out of memory");
		return;
	}
	o = json_tokener_parse_ex(t, line, (int)len);
	if (json_object_is_type(o, json_type_object))
		on_object(q, o);
	else
		close_because(q, EPROTO, "QMP: a line is not a JSON object");
	json_object_put(o);
	json_tokener_free(t);
}

/* Handles every whole line, keeps the rest. */
static void take_lines(struct qmp *q)
{
	size_t from = 0;

	while (q->state != CLOSED) {
		const char *start = q->in.buf + from;
		const char *end = memchr(start, '\n', q->in.len - from);

		if (!end)
			break;
		if (end > start && !(end == start + 1 && *start == '\r'))
			on_line(q, start, (size_t)(end - start));
		from = (size_t)(end - q->in.buf) + 1;
	}
	memmove(q->in.buf, q->in.buf + from, q->in.len - from);
	q->in.len -= from;
}

static void receive(struct qmp *q)
{
	char buf[READ_CHUNK];

	while (q->state != CLOSED) {
		const ssize_t n = recv(q->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_because(q, n < 0 ? errno : ECONNRESET, "QMP: %s",
				      n < 0 ? strerror(errno) : "end of file");
			return;
		}
		text_addn(&q->in, buf, (size_t)n);
		if (q->in.full)
			close_because(q, EPROTO, "QMP: a line is too long");
		else if (memchr(buf, '\n', (size_t)n))
			take_lines(q);
	}
}

static void on_ready(void *ctx, uint32_t events)
{
	struct qmp *q = ctx;

	if ((events & EPOLLOUT) && !flush(q))
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(q);
}

void qmp_drain(struct qmp *q)
{
	receive(q);
}

int qmp_new(struct qmp **ret, struct loop *l, int fd,
	    const struct qmp_handler *h, struct err *e)
{
	struct qmp *q = calloc(1, sizeof(*q));
	int r;

	if (!q) {
		fd_close(&fd);
		return err_set(e, ENOMEM, "QMP client");
	}
	*q = (struct qmp){
		.loop = l, .h = *h, .fd = fd, .pass_fd = -1, .next_id = 1
	};
	text_heap(&q->in, QMP_LINE_MAX);
	text_heap(&q->out, QMP_QUEUE_MAX);
	for (size_t i = 0; i < QMP_COMMANDS_MAX; i++)
		q->command[i].q = q;
	r = loop_watch(l, fd, EPOLLIN, on_ready, q, &q->watch, e);
	if (r < 0) {
		qmp_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	loop_unwatch(q->loop, &q->watch);
	for (size_t i = 0; i < QMP_COMMANDS_MAX; i++)
		loop_cancel(q->loop, &q->command[i].timer);
	fd_close(&q->fd);
	fd_close(&q->pass_fd);
	text_done(&q->in);
	text_done(&q->out);
	free(q);
}
