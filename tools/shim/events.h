/*
 * tools/shim/events.h - what happens to tasks, told to containerd
 *
 * Theory of operation. containerd's events service is a ttrpc server; events
 * are sent one after the other, the next one when the one before was taken, so
 * that they arrive in their order. Without a connection they wait, at most
 * EVENTS_MAX of them, and it is tried again every EVENTS_RETRY_MS; when there
 * are more the oldest are dropped, and the log says so. A sandbox that nobody
 * but ferry knows has no address for them, and none are kept.
 */
#ifndef FERRY_TOOLS_SHIM_EVENTS_H
#define FERRY_TOOLS_SHIM_EVENTS_H

#include <protobuf-c/protobuf-c.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "migration/seams.h"

#define EVENTS_MAX 4096u
#define EVENTS_RETRY_MS 500
#define EVENTS_ANSWER_MS 5000

struct events;

/**
 * events_new() - a queue
 * @address:	path of containerd's ttrpc socket
 * @name_space:	containerd's; both are copied
 *
 * Return: 0 or -ENOMEM
 */
int events_new(struct loop *loop, const char *address, const char *name_space,
	       struct events **ret, struct err *e);

/** events_put() - one more; @name is that of the message, without package */
void events_put(struct events *ev, const char *topic, const char *type,
		const ProtobufCMessage *m);

/** events_empty() - all were taken */
bool events_empty(const struct events *ev);

/** events_free() - drop what was not taken; NULL is fine */
void events_free(struct events *ev);

/* For the controllers; the context is the struct shim. */
extern const struct task_events shim_task_events;

#endif
