/*
 * bridge/guest/request.h - requests that are in progress
 *
 * Most requests are answered before the next one is looked at. One that has to
 * wait (for a process, for a dial) is an object here, outside of any
 * connection: it knows its id and the number of the connection that it came
 * on, and survives that connection.
 */
#ifndef FERRY_BRIDGE_GUEST_REQUEST_H
#define FERRY_BRIDGE_GUEST_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/answer.h"
#include "bridge/guest/list.h"
#include "bridge/guest/slot.h"
#include "bridge/io/loop.h"

/* Most requests in progress; one more is refused with an error. */
#define REQUESTS_MAX 16384u
#define REQUEST_BUCKETS 1024u

struct request;

/* What to let go of when a request is dropped unanswered; may be NULL. */
typedef void request_drop_fn(struct request *r);

/**
 * struct request - one of them
 * @node:	in struct requests
 * @bucket:	in the index by id
 * @to:		whom to answer
 * @waiting:	in the list of whatever it waits for
 * @timer:	its deadline, if it has one
 * @loop:	of @timer
 * @ctx:	its owner's
 * @on_drop:	called before it is dropped
 * @slot:	its record, 0: none; see bridge/guest/keep.h
 */
struct request {
	struct list node;
	struct list bucket;
	struct answer_to to;
	struct list waiting;
	struct loop_id timer;
	struct loop *loop;
	void *ctx;
	request_drop_fn *on_drop;
	uint32_t slot;
};

/**
 * struct requests - all of them
 * @all:	oldest first
 * @max:	REQUESTS_MAX; a test may want less
 * @slots:	where records are dropped, NULL: there are none
 * @kept:	record of the request that is being handled, until request_new()
 */
struct requests {
	struct loop *loop;
	struct list all;
	struct list bucket[REQUEST_BUCKETS];
	size_t n;
	size_t max;
	struct slots *slots;
	uint32_t kept;
};

/** requests_init() - none */
void requests_init(struct requests *all, struct loop *l);

/** requests_done() - drop all */
void requests_done(struct requests *all);

/**
 * request_new() - keep a request
 * @to:		copied
 *
 * Return: the request, or NULL (REQUESTS_MAX reached, no memory)
 */
struct request *request_new(struct requests *all, const struct answer_to *to);

/** request_free() - it was answered: forget it */
void request_free(struct requests *all, struct request *r);

/** request_pass() - the same, but its record is for the next request_new() */
void request_pass(struct requests *all, struct request *r);

/** request_passed() - drop the record that no request_new() has taken */
void request_passed(struct requests *all);

/** request_find() - the newest of that id, or NULL */
struct request *request_find(struct requests *all, uint64_t id);

/**
 * requests_drop_id() - the host uses @id itself: older holders of it, which
 * came on a connection before @conn, will not be answered
 */
void requests_drop_id(struct requests *all, uint64_t id, uint32_t conn);

/**
 * requests_drop_before() - the same for all of earlier connections, but for
 * those that are kept for a container
 */
void requests_drop_before(struct requests *all, uint32_t conn);

#endif
