/*
 * The calls of a client and those who watch it, declared in
 * bridge/host/client.h: who may be asked, when, and under which id.
 */
#include "bridge/host/client_parts.h"

#include <errno.h>

#include "bridge/wire.h"

/*
 * Between two connections of a session a request waits for the next one, which
 * is the agent's to make. Not in the window of a migration, whose session may be
 * another host's by then, and not one that is to end the guest: who asks for that
 * has other means.
 */
static struct outbox *box_between(struct host_client *c,
				  const struct host_call *call)
{
	const bool between =
		c->state == HOST_LISTENING || c->state == HOST_NEGOTIATING;

	return between && c->session.exists && !c->session.frozen &&
			       !c->migrating && !call->ends_bridge
		       ? &c->session.out
		       : NULL;
}

int host_client_call(struct host_client *c, const struct host_call *call,
		     uint64_t *ret_id, struct err *e)
{
	struct outbox *later = box_between(c, call);

	/* What is sent now would be a frame more than who goes on knows of. */
	if (c->session.frozen && !call->ends_bridge)
		return err_set(e, EBUSY, "%s: the sandbox is being moved",
			       wire_type_name(call->type));
	if (c->state != HOST_READY && !later)
		return err_set(e, ENOTCONN,
			       "%s: there is no bridge to the guest",
			       wire_type_name(call->type));
	return host_pending_start(&c->calls, call, later, ret_id, e);
}

int host_client_preregister(struct host_client *c, uint64_t id,
			    const struct host_call *call, struct err *e)
{
	return host_pending_preregister(&c->calls, id, call, e);
}

void host_client_cancel(struct host_client *c, uint64_t id)
{
	host_pending_cancel(&c->calls, id);
}

bool host_client_delivered(const struct host_client *c, uint64_t id)
{
	/* In a session what was not, will be. */
	return (c->session.exists && id >= c->session_from) ||
	       host_pending_delivered(&c->calls, id);
}

uint64_t host_client_next_id(const struct host_client *c)
{
	return c->calls.next_id;
}

void host_client_raise_id(struct host_client *c, uint64_t floor)
{
	host_pending_raise(&c->calls, floor);
}

/* --- observers ------------------------------------------------------------ */

void host_client_observe(struct host_client *c, struct host_observer *o)
{
	o->client = c;
	host_observer_add(&c->observers, o);
}

void host_client_unobserve(struct host_observer *o)
{
	if (!o->client)
		return;
	host_observer_remove(&o->client->observers, o);
	o->client = NULL;
}
