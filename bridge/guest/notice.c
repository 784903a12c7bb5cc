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

void notice_send(struct container *c)
{
	struct agent *a = c->agent;
	const struct msg_notification n = {
		.base = { .container_id = c->facts.id,
			  .activity_id = c->facts.activity },
		.type = exit_names[c->facts.exit],
		.operation = "None",
		.result_info = "",
	};
	struct answer *notice = NULL;

	notice_oom(c);
	text_reset(&a->body);
	msg_encode(&msg_notification_schema, &n, &a->body);
	if (!a->body.full)
		notice = answer_notice(WIRE_CONTAINER_NOTIFICATION,
				       c->facts.serial, text_str(&a->body),
				       a->body.len);
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
	struct answer *notice = NULL;

	if (c->facts.oom_told == c->facts.oom_kills || !can_tell(c))
		return;
	text_reset(&a->body);
	msg_encode(&msg_ferry_out_of_memory_schema, &n, &a->body);
	if (!a->body.full)
		notice =
			answer_notice(WIRE_FERRY_OUT_OF_MEMORY, c->facts.serial,
				      text_str(&a->body), a->body.len);
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
