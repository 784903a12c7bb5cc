/*
 * bridge/host/pending.h - the calls of one bridge that wait for an answer
 *
 * The table gives the ids, sends the requests, matches the answers and knows
 * the deadlines. It outlives connections; which calls do as well is decided by
 * struct host_call. An entry is out of the table before its callback runs, so
 * a callback may start and cancel any call.
 *
 * An answer to a WaitForProcess that this host never made is another host's, the
 * source of a move; it is kept for a while (bridge/host/early.h), because it may
 * come before the call is registered here (migration.md W7).
 */
#ifndef FERRY_BRIDGE_HOST_PENDING_H
#define FERRY_BRIDGE_HOST_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/frame.h"
#include "bridge/host/client.h"
#include "bridge/host/conn.h"
#include "bridge/host/early.h"
#include "config/arena.h"

#define PENDING_BUCKETS 1024u

struct host_pending_call;

struct host_pending_list {
	struct host_pending_call *first;
	struct host_pending_call *last;
};

/**
 * struct host_pending - the table; embedded
 * @conn:	where requests go, borrowed
 * @counts:	of the client, borrowed
 * @bucket:	chains of entries by id
 * @mortal, @surviving: lists of entries in the order in which they were made,
 *		those that a loss ends and the others
 * @n:		number of entries
 * @next_id:	id of the next request
 * @foreign_from, @foreign_to: ids between that were passed over, not used
 * @early:	answers to calls of another host
 * @conn_first_id: ids from here on were sent on this connection
 * @conn_answered: highest of them that was answered, plus 1
 * @arena:	memory of the answer that is being handled
 */
struct host_pending {
	struct loop *loop;
	struct host_conn *conn;
	struct host_counts *counts;
	struct host_pending_call *bucket[PENDING_BUCKETS];
	struct host_pending_list mortal;
	struct host_pending_list surviving;
	size_t n;
	uint64_t next_id;
	uint64_t foreign_from;
	uint64_t foreign_to;
	struct early_answers early;
	uint64_t conn_first_id;
	uint64_t conn_answered;
	struct arena arena;
	bool frozen; /* nothing is sent again by itself */
};

void host_pending_init(struct host_pending *p, struct loop *loop,
		       struct host_conn *conn, struct host_counts *counts);

/** host_pending_done() - release an empty table; see host_pending_end() */
void host_pending_done(struct host_pending *p);

/** host_pending_new_conn() - requests go to a new connection from now on */
void host_pending_new_conn(struct host_pending *p);

/**
 * host_pending_start() - as host_client_call(), in any state of the client
 * @later:	outbox of a session without a connection: the request goes out
 *		with the next one; NULL: now
 */
int host_pending_start(struct host_pending *p, const struct host_call *call,
		       struct outbox *later, uint64_t *ret_id, struct err *e);

/** host_pending_raise() - as host_client_raise_id() */
void host_pending_raise(struct host_pending *p, uint64_t floor);

/** host_pending_preregister() - as host_client_preregister() */
int host_pending_preregister(struct host_pending *p, uint64_t id,
			     const struct host_call *call, struct err *e);

/** host_pending_cancel() - forget a call without its callback */
void host_pending_cancel(struct host_pending *p, uint64_t id);

/** host_pending_delivered() - as host_client_delivered() */
bool host_pending_delivered(const struct host_pending *p, uint64_t id);

/** host_pending_answer() - a response frame; an id of no call is logged only */
void host_pending_answer(struct host_pending *p, const struct frame *frame);

/**
 * host_pending_end() - end the calls that a loss ends
 * @kind:	HOST_FAIL_LOST or HOST_FAIL_CANCELLED
 * @all:	those that survive a loss too
 * @unsent:	ids from here on never left (host_conn_unsent())
 * @why:	reason, or NULL
 */
void host_pending_end(struct host_pending *p, enum host_fail kind, bool all,
		      uint64_t unsent, const struct err *why);

#endif
