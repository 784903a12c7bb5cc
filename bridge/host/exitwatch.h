/*
 * bridge/host/exitwatch.h - learn once how a process ended, whatever happens
 * to the connection
 *
 * One WaitForProcess without limit is outstanding and survives a loss. The
 * guest keeps an answer that it could not send and gives it later under the old
 * id, but two things can still be lost with a connection: the request, if the
 * guest had not read it, and the answer, if it was written and not read. So
 * after every reconnect a request that may be lost is made again, and for the
 * others the guest is asked once without waiting. "Not found" to such a
 * question is no exit code: the answer with the old id may be on its way and
 * gets EXITWATCH_GRACE_MS, then the watch fails.
 */
#ifndef FERRY_BRIDGE_HOST_EXITWATCH_H
#define FERRY_BRIDGE_HOST_EXITWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "config/err.h"

#define EXITWATCH_GRACE_MS 2000

/**
 * exitwatch_fn - it ended
 * @ctx:	of the watch
 * @code:	exit code; meaningless with @f
 * @f:		NULL, or why the exit code will never be known
 *
 * The watch is over and may be freed from within.
 */
typedef void exitwatch_fn(void *ctx, uint32_t code,
			  const struct host_failure *f);

/* Longest container id that is kept; longer ones are refused. */
#define EXITWATCH_ID_MAX 256

/**
 * struct exitwatch - one watch; embedded
 * @wait_id:	id of the first wait, which a move hands on
 */
struct exitwatch {
	struct host_client *client;
	struct host_observer observer;
	char container_id[EXITWATCH_ID_MAX];
	uint32_t pid;
	uint64_t wait_id;
	uint64_t again_id;
	uint64_t probe_id;
	bool waiting;
	bool again;
	bool probing;
	bool active;
	struct loop_id grace;
	exitwatch_fn *done;
	void *ctx;
};

/**
 * exitwatch_start() - begin to wait
 * @w:		zeroed, or stopped
 * @c:		client in HOST_READY
 * @container_id: NULL: the UVM
 * @pid:	process id in the guest
 * @done:	callback
 * @ctx:	passed to @done
 * @e:		reason
 *
 * Return: 0 or as host_client_call()
 */
int exitwatch_start(struct exitwatch *w, struct host_client *c,
		    const char *container_id, uint32_t pid, exitwatch_fn *done,
		    void *ctx, struct err *e);

/** exitwatch_stop() - forget it, no callback; fine when it is over */
void exitwatch_stop(struct exitwatch *w);

#endif
