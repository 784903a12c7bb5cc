#include "bridge/guest/giveup.h"

#include "bridge/guest/container.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/notice.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/runtime.h"
#include "bridge/hresult.h"
#include "bridge/io/log.h"

/* Whoever waits is told so. */
static void give_up_requests(struct agent *a)
{
	struct slot_view v = { 0 };

	while (slot_next_aside(&a->slots, SLOT_REQUEST, v.handle, &v)) {
		struct keep_request k;
		struct request *r = NULL;

		if (keep_request_read(&v, &k))
			r = request_find(&a->requests, k.to.id);
		if (r && r->slot == v.handle) {
			(void)reply_error(a, &r->to, HR_FAIL,
					  "agents died of this: given up");
			request_free(&a->requests, r);
		}
		slot_left(&a->slots);
	}
}

static void give_up_containers(struct agent *a);

/* Whatever the runtime says, its processes were killed. */
static void on_ended(void *ctx, struct runtime_result *r)
{
	struct agent *a = ctx;
	struct slot_view v;
	struct keep_name k;

	(void)r;
	if (slot_next_aside(&a->slots, SLOT_CONTAINER, 0, &v)) {
		slot_settled(&a->slots);
		if (keep_name_read(&v, &k) && (k.state == CONTAINER_CREATED ||
					       k.state == CONTAINER_RUNNING))
			notice_given_up(a, k.id, k.serial);
	}
	give_up_containers(a);
}

/* One after the other; the first one that is aside is the one in progress. */
static void give_up_containers(struct agent *a)
{
	struct runtime_call q = { .verb = RUNTIME_DELETE_FORCE };
	struct slot_view v;
	struct keep_name k;
	int r = -1;

	if (!slot_next_aside(&a->slots, SLOT_CONTAINER, 0, &v))
		return;
	if (keep_name_read(&v, &k)) {
		log_err("container=%s is given up", k.id);
		q.id = k.id;
		r = runtime_call(&a->runtime, &q, on_ended, a, NULL);
	}
	slot_left(&a->slots);
	if (r < 0)
		on_ended(a, NULL);
}

void giveup(struct agent *a)
{
	give_up_requests(a);
	give_up_containers(a);
}
