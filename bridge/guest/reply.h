/* bridge/guest/reply.h - answers: encoded, then sent, held or dropped */
#ifndef FERRY_BRIDGE_GUEST_REPLY_H
#define FERRY_BRIDGE_GUEST_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/guest/agent.h"
#include "bridge/msg.h"

enum reply {
	REPLY_SENT,    /* in the queue of the connection */
	REPLY_HELD,    /* until a host is there that waits for it */
	REPLY_DROPPED, /* nobody waits for it any more */
};

/**
 * reply_with() - answer a request
 * @to:		the request
 * @schema:	of the response
 * @msg:	the response, which begins with a struct msg_result
 */
enum reply reply_with(struct agent *a, const struct answer_to *to,
		      const struct schema *schema, const void *msg);

/** reply_ok() - success, nothing else to say */
enum reply reply_ok(struct agent *a, const struct answer_to *to);

/** reply_code() - failure, and the code says it all */
enum reply reply_code(struct agent *a, const struct answer_to *to,
		      uint32_t code);

/** reply_error() - failure, the cause as for printf */
enum reply reply_error(struct agent *a, const struct answer_to *to,
		       uint32_t code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** reply_route() - send, hold or drop an encoded answer, which is taken */
enum reply reply_route(struct agent *a, struct answer *answer);

/**
 * reply_release() - a host knows the container now: send what is kept for it
 * @keep:	its serial number
 *
 * Return: was its notice among it?
 */
bool reply_release(struct agent *a, uint64_t keep);

/**
 * reply_drop_held() - the host uses @id itself: held answers to it, all of them
 * from earlier connections, are sent no more
 */
void reply_drop_held(struct agent *a, uint64_t id);

#endif
