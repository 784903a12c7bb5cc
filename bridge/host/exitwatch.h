/*
 * bridge/host/exitwatch.h - learn once how a process ended, whatever happens
 * to the connection
 *
 * One WaitForProcess without limit is outstanding and survives a loss. The
 * guest keeps an answer that it could not send and gives it later under the old
 * id, but two things can still be lost with a connection: the request, if the
 * guest had not read it, and the answer, if it was written and not read. So
 * after every reconnect a wait that may be lost is made again, and otherwise
 * the guest is asked once without waiting. "Not found" to such a question is
 * no exit code: the answer with the old id may be on its way and gets
 * EXITWATCH_GRACE_MS, then the watch fails.
 *
 * A watch may also be adopted: its first wait was made by another host, the
 * source of a move, and the guest will answer it here. Whether it does is not
 * relied on: unless the probe finds the process ended or unknown, a wait of
 * this host's own is made as well.
 */
#ifndef FERRY_BRIDGE_HOST_EXITWATCH_H
#define FERRY_BRIDGE_HOST_EXITWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "config/err.h"

#define EXITWATCH_GRACE_MS 2000
/* The question whether a process that is taken over runs: the guest's limit,
 * and how long its answer may take (W-H8). */
#define EXITWATCH_PROBE_MS 50
#define EXITWATCH_PROBE_LIMIT_MS 5000
/* Longest container id that is kept, with its NUL; longer ones are refused. */
#define EXITWATCH_ID_MAX 256

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

/* The calls of a watch. */
enum exitwatch_call {
	EXITWATCH_WAIT,	 /* the first wait, its id is what a move hands on */
	EXITWATCH_AGAIN, /* a wait in place of one that may be lost */
	EXITWATCH_PROBE, /* a question without waiting */
	EXITWATCH_CALLS, /* number of calls */
};

struct exitwatch;

/**
 * struct exitwatch_slot - one call
 * @watch:	whose
 * @id:		request id
 * @active:	it is outstanding
 */
struct exitwatch_slot {
	struct exitwatch *watch;
	uint64_t id;
	bool active;
};

/**
 * struct exitwatch - one watch; embedded, zero is stopped
 * @call:	its calls; call[EXITWATCH_WAIT].id stays valid when it is over
 * @adopted:	the first wait was another host's
 * @behind:	the bridge came back while it was frozen: nothing was asked yet
 * @in_grace:	waits for a late answer to the first wait
 * @last:	why the latest of the calls failed
 */
struct exitwatch {
	struct host_client *client;
	struct host_observer observer;
	char container_id[EXITWATCH_ID_MAX];
	uint32_t pid;
	struct exitwatch_slot call[EXITWATCH_CALLS];
	struct loop_id grace;
	bool in_grace;
	bool adopted;
	bool behind;
	struct host_failure last;
	exitwatch_fn *done;
	void *ctx;
};

/**
 * exitwatch_start() - begin to wait
 * @w:		stopped
 * @c:		client in HOST_READY
 * @container_id: NULL: the UVM
 * @pid:	process id in the guest
 * @done:	callback
 * @ctx:	passed to @done
 * @e:		reason
 *
 * Return: 0, -ENAMETOOLONG, or as host_client_call()
 */
int exitwatch_start(struct exitwatch *w, struct host_client *c,
		    const char *container_id, uint32_t pid, exitwatch_fn *done,
		    void *ctx, struct err *e);

/**
 * exitwatch_adopt() - go on with the wait of another host
 * @wait_id:	its id, not 0
 * @probe:	ask at once whether the process has ended
 * The others are as in exitwatch_start().
 *
 * Return: 0, -EINVAL (@wait_id is 0), -EEXIST (outstanding here already),
 *         -ENAMETOOLONG, or as host_client_call()
 */
int exitwatch_adopt(struct exitwatch *w, struct host_client *c,
		    const char *container_id, uint32_t pid, uint64_t wait_id,
		    bool probe, exitwatch_fn *done, void *ctx, struct err *e);

/** exitwatch_wait_id() - the wait that the guest has for sure, else the last */
uint64_t exitwatch_wait_id(const struct exitwatch *w);

/** exitwatch_stop() - forget it, no callback; fine when it is over */
void exitwatch_stop(struct exitwatch *w);

#endif
