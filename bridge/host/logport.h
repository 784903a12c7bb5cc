/*
 * bridge/host/logport.h - the guest's log stream on port 109, line by line
 *
 * A line that is a JSON object with "level" and "msg" is taken apart; any other
 * line (a crash dump, half a line) is handed on as text, and the next line is
 * looked at anew. What the callback gets is printable: control bytes are
 * escaped. A connection is accepted once for each arming.
 * Source: shared specification bridge.md 5.6.
 */
#ifndef FERRY_BRIDGE_HOST_LOGPORT_H
#define FERRY_BRIDGE_HOST_LOGPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/io/log.h"
#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "config/err.h"

/* Longest line that is kept; the rest of a longer one is thrown away. */
#define LOGPORT_LINE_MAX 8192u

struct host_logport;

/**
 * struct host_log_line - one line of the guest
 * @level:	its level; LOG_LEVEL_INFO when it does not tell
 * @msg:	its "msg", or the whole line when it is not JSON
 * @json:	it was a JSON object with a "msg"
 * @cut:	it was longer than LOGPORT_LINE_MAX; such a line is never taken apart
 */
struct host_log_line {
	enum log_level level;
	const char *msg;
	bool json;
	bool cut;
};

typedef void host_log_fn(void *ctx, const struct host_log_line *line);

/**
 * host_logport_new() - listen on port 109
 * @loop:	event loop
 * @t:		where the guest dials
 * @line:	called for each line, empty ones left out
 * @ended:	the connection ended; host_logport_arm() to accept another. May
 *		be NULL
 * @ctx:	passed to both
 * @ret:	receives it; host_logport_free(NULL) is fine
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int host_logport_new(struct loop *loop, const struct transport *t,
		     host_log_fn *line, void (*ended)(void *ctx), void *ctx,
		     struct host_logport **ret, struct err *e);

/**
 * host_logport_arm() - accept one more connection
 *
 * Return: 0 (also when it listens or is connected already) or -errno
 */
int host_logport_arm(struct host_logport *p, struct err *e);

/** host_logport_free() - close it. Not from within its callbacks */
void host_logport_free(struct host_logport *p);

#endif
