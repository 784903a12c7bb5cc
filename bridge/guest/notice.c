#include "bridge/guest/notice.h"

#include "bridge/guest/agent.h"
#include "bridge/guest/answer.h"
#include "bridge/guest/container.h"
#include "bridge/guest/reply.h"
#include "bridge/io/log.h"
#include "bridge/msg.h"

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

	text_reset(&a->body);
	msg_encode(&msg_notification_schema, &n, &a->body);
	if (!a->body.full)
		notice = answer_notice(c->facts.serial, text_str(&a->body),
				       a->body.len);
	if (!notice) {
		/* The host sees a lost connection instead. */
		log_err("no memory for a notice: the connection is dropped");
		a->conn.lost = true;
		return;
	}
	c->facts.told = true;
	c->facts.told_epoch = a->epoch;
	(void)reply_route(a, notice);
}

void notice_again(struct container *c)
{
	if (c->facts.told && c->facts.told_epoch < c->agent->epoch)
		notice_send(c);
}
