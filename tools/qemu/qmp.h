/*
 * tools/qemu/qmp.h - QEMU's monitor protocol, asynchronous, on the event loop
 *
 * One connection carries lines of JSON: a greeting, then answers and events.
 * The client agrees on capabilities by itself. Commands are sent at once and
 * answered in order of arrival, each within its own deadline; events may come
 * at any time. QEMU is trusted less than it could be: lines and members are
 * bounded, and what makes no sense ends the connection, not the program.
 *
 * No JSON leaves this pair: callbacks read members by path.
 */
#ifndef FERRY_TOOLS_QEMU_QMP_H
#define FERRY_TOOLS_QEMU_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"

/* Longest line taken; query-qmp-schema, the largest known, has 250 KiB. */
#define QMP_LINE_MAX ((size_t)1024 * 1024)
/* Bytes that may wait to be written. */
#define QMP_QUEUE_MAX ((size_t)256 * 1024)
/* Commands that may wait for their answer. */
#define QMP_COMMANDS_MAX 32u

struct qmp;

/* Members of one answer or event; lives as long as the callback runs. */
struct qmp_data;

/**
 * qmp_data_text() - a string member
 * @d:		may be NULL, which has no members
 * @path:	member names joined by '.', for example "info.action"; "": @d itself
 *
 * Return: the string, borrowed; NULL when absent or of another type
 */
const char *qmp_data_text(const struct qmp_data *d, const char *path);

/** qmp_data_int() - an integer member; false and *@ret untouched without it */
bool qmp_data_int(const struct qmp_data *d, const char *path, int64_t *ret);

/** qmp_data_item() - a string of an array of strings, NULL: there is none */
const char *qmp_data_item(const struct qmp_data *d, const char *path,
			  size_t index);

/** qmp_data_at() - an element of an array of whatever, NULL: there is none */
const struct qmp_data *qmp_data_at(const struct qmp_data *d, const char *path,
				   size_t index);

/** qmp_data_bool() - a boolean member; false when absent */
bool qmp_data_bool(const struct qmp_data *d, const char *path);

/**
 * @result:	0, -EREMOTEIO (QEMU refused; @e has its words), -ETIMEDOUT,
 *		or the reason why the connection ended
 * @data:	what the command returned, NULL on failure
 */
typedef void qmp_answer_fn(void *ctx, int result, const struct qmp_data *data,
			   const struct err *e);

/**
 * struct qmp_handler - what the client tells its owner; any may be NULL
 * @ready:	capabilities are agreed, commands may be sent
 * @event:	an event with its members
 * @closed:	the connection ended (@e: "end of file" or what was wrong);
 *		called once, after the answers of all waiting commands
 * @ctx:	passed to all
 *
 * Callbacks may call any function of this pair except qmp_free().
 */
struct qmp_handler {
	void (*ready)(void *ctx);
	void (*event)(void *ctx, const char *name, const struct qmp_data *data);
	void (*closed)(void *ctx, const struct err *e);
	void *ctx;
};

/**
 * qmp_new() - serve a connection
 * @ret:	receives the client, the caller's
 * @l:		loop, borrowed for the life of the client
 * @fd:		connected stream, non-blocking; taken over, also on failure
 * @h:		copied
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int qmp_new(struct qmp **ret, struct loop *l, int fd,
	    const struct qmp_handler *h, struct err *e);

/** qmp_free() - close without any callback; NULL is fine */
void qmp_free(struct qmp *q);

/**
 * qmp_send() - one command
 * @q:		client
 * @command:	for example "query-status"
 * @arguments:	JSON text of an object, or NULL
 * @timeout_ms:	longest wait for the answer, from now on
 * @fn:		receives the answer exactly once, unless the client is freed;
 *		may be NULL
 * @ctx:	passed to @fn
 * @e:		reason
 *
 * Return: 0, -ENOTCONN (not ready or closed), -EINVAL (@arguments is not a
 *         JSON object), -EBUSY (QMP_COMMANDS_MAX are waiting), -ENOBUFS
 */
int qmp_send(struct qmp *q, const char *command, const char *arguments,
	     int timeout_ms, qmp_answer_fn *fn, void *ctx, struct err *e);

/**
 * qmp_send_fd() - as qmp_send(), with a descriptor: "getfd" and its kin
 * @fd:		borrowed, a copy travels with the command
 *
 * QEMU keeps one such descriptor until the command has been carried out, so
 * one is sent at a time. Return: as qmp_send(), and -EBUSY when one is on its
 * way; -errno of dup
 */
int qmp_send_fd(struct qmp *q, const char *command, const char *arguments,
		int fd, int timeout_ms, qmp_answer_fn *fn, void *ctx,
		struct err *e);

/** qmp_drain() - handle what has arrived already, without waiting */
void qmp_drain(struct qmp *q);

#endif
