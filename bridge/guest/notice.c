#include "bridge/guest/notice.h"

#include "bridge/guest/agent.h"
#include "bridge/guest/answer.h"
#include "bridge/guest/container.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/takeover.h"
#include "bridge/io/log.h"
#include "bridge/msg.h"
#include "bridge/msg_ferry.h"
#include "bridge/wire.h"

static const char *const exit_names[] = {
	[CONTAINER_UNEXPECTED] = "UnexpectedExit",
	[CONTAINER_GRACEFUL] = "GracefulExit",
	[CONTAINER_FORCED] = "ForcedExit",
};

/* Return: NULL: no memory */
static struct answer *encode(struct agent *a, const struct schema *schema,
			     const void *msg, uint32_t type, uint64_t serial)
{
	text_reset(&a->body);
	msg_encode(schema, msg, &a->body);
	return a->body.full ? NULL
			    : answer_notice(type, serial, text_str(&a->body),
					    a->body.len);
}

static struct answer *notice_of(struct agent *a, const char *id,
				const char *activity, const char *type,
				uint64_t serial)
{
	const struct msg_notification n = {
		.base = { .container_id = id, .activity_id = activity },
		.type = type,
		.operation = "None",
		.result_info = "",
	};

	return encode(a, &msg_notification_schema, &n,
		      WIRE_CONTAINER_NOTIFICATION, serial);
}

void notice_given_up(struct agent *a, const char *id, uint64_t serial)
{
	struct answer *notice = notice_of(
		a, id, WIRE_NULL_ID, exit_names[CONTAINER_UNEXPECTED], serial);

	if (notice)
		(void)reply_route(a, notice);
}

void notice_send(struct container *c)
{
	struct agent *a = c->agent;
	struct answer *notice;

	notice_oom(c);
	notice = notice_of(a, c->facts.id, c->facts.activity,
			   exit_names[c->facts.exit], c->facts.serial);
	if (!notice) {
		/* The host sees a lost connection instead. */
		takeover_rather(a, "a notice");
		log_err("no memory for a notice: the connection is dropped");
		a->conn.lost = true;
		return;
	}
	c->facts.told = true;
	c->facts.told_epoch = a->epoch;
	/* An agent that is killed between these two is told from one that has
	 * put it there. */
	c->facts.told_frame = resume_number(a);
	keep_container(c);
	(void)reply_route(a, notice);
}

/* --- out of memory --------------------------------------------------------- */

/* A frame of ferry's that is made now reaches a host that knows the container. */
static bool can_tell(const struct container *c)
{
	const struct agent *a = c->agent;
	const struct conn *conn = &a->conn;

	if (a->epoch > 1 && !container_known(c))
		return false;
	if (a->resume.exists && !conn->up)
		return true; /* the session keeps it */
	if (!conn->up || conn->lost || !conn->negotiated || !conn->events)
		return false;
	/* Who does not read is told later, at the end of it at the latest. */
	return conn->queued < CONN_QUEUE_LOW ||
	       c->facts.state == CONTAINER_TERMINATED;
}

void notice_oom(struct container *c)
{
	struct agent *a = c->agent;
	const struct msg_ferry_out_of_memory n = {
		.base = { .container_id = c->facts.id,
			  .activity_id = c->facts.activity },
		.count = c->facts.oom_kills,
	};
	struct answer *notice;

	if (c->facts.oom_told == c->facts.oom_kills || !can_tell(c))
		return;
	notice = encode(a, &msg_ferry_out_of_memory_schema, &n,
			WIRE_FERRY_OUT_OF_MEMORY, c->facts.serial);
	if (!notice)
		return; /* the next kill, or the end, tries again */
	c->facts.oom_told = n.count;
	(void)reply_route(a, notice);
}

void notice_oom_all(struct agent *a)
{
	for (struct list *l = a->containers.all.next; l != &a->containers.all;
	     l = l->next)
		notice_oom(LIST_ITEM(l, struct container, node));
}

bool notice_unsent(struct agent *a, const struct answer *answer)
{
	struct container *c;

	if (wire_header_get(answer->frame).type != WIRE_FERRY_OUT_OF_MEMORY)
		return false;
	c = container_by_serial(&a->containers, answer->keep);
	if (c)
		c->facts.oom_told = 0;
	return true;
}

void notice_again(struct container *c)
{
	if (c->facts.told && c->facts.told_epoch < c->agent->epoch)
		notice_send(c);
}
