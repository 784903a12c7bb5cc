/*
 * bridge/guest/answer.h - one encoded answer, whole, until it has left
 *
 * An answer belongs to no connection: it is in the queue of the one that is
 * up, or held until there is one, and goes back whole when a connection is
 * lost before all of it was written.
 */
#ifndef FERRY_BRIDGE_GUEST_ANSWER_H
#define FERRY_BRIDGE_GUEST_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/list.h"

/**
 * struct answer_to - whom to answer: what outlives the request's connection
 * @id:		id of the request
 * @type:	its type word
 * @conn:	number of the connection that it came on
 * @keep:	serial number of a container, 0: none. The answer is good for a
 *		later host object too, once that has named the container; see
 *		bridge/guest/container.h
 * @activity:	its activity id, "" when there was none
 */
struct answer_to {
	uint64_t id;
	uint32_t type;
	uint32_t conn;
	uint64_t keep;
	char activity[37];
};

/* The @id of a notice, which answers nothing. */
#define ANSWER_NOTICE UINT64_MAX

/**
 * struct answer - a frame
 * @node:	in a queue
 * @id:		id of the request that it answers, or ANSWER_NOTICE
 * @keep:	as in struct answer_to
 * @conn:	number of the connection that the request came on
 * @len:	bytes of @frame
 * @frame:	header and body
 */
struct answer {
	struct list node;
	uint64_t id;
	uint64_t keep;
	uint32_t conn;
	uint32_t len;
	uint8_t frame[];
};

/**
 * answer_new() - a frame from a body
 * @to:		request that it answers
 * @body:	JSON text
 * @len:	its bytes; with the header at most WIRE_GUEST_FRAME_MAX
 *
 * Return: the answer, in no list, or NULL
 */
struct answer *answer_new(const struct answer_to *to, const char *body,
			  size_t len);

/** answer_notice() - the frame of a notice about container @keep, or NULL */
struct answer *answer_notice(uint32_t type, uint64_t keep, const char *body,
			     size_t len);

/** answer_free() - release one that is in no queue; NULL is fine */
void answer_free(struct answer *a);

/** answer_free_all() - release all answers of a queue */
void answer_free_all(struct list *queue);

#endif
