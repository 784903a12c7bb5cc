/*
 * bridge/host/container.h - one container of the guest, until it ends
 *
 * Theory of operation. A container is tracked from before Create is sent, so
 * that no exit notice can come too early, until its end is known:
 *
 *	CREATING --answer--> LIVE --notice, or the bridge failed--> ENDED
 *	    |                  ^
 *	    +--refused--> ENDED+-- host_container_open() (after a move)
 *
 * A create that fails is tracked no more: the same id may be created again
 * (W-H9). The loss of a connection ends no container, for the guest redials;
 * only a bridge that failed for good does, and that is told apart from an exit
 * (W-H10): nothing is known of the container then.
 *
 * The exit code is not told by the notice but by the init process's
 * WaitForProcess (bridge/host/process.h). The two come in either order.
 *
 * What else is done with a container (Start, GetProperties, constraints,
 * DeleteContainerState, processes) needs no object, only its id:
 * bridge/host/calls.h, settings.h, process.h.
 * Source: shared specification bridge.md 3.3, 3.14, 7.1, 7.5.
 */
#ifndef FERRY_BRIDGE_HOST_CONTAINER_H
#define FERRY_BRIDGE_HOST_CONTAINER_H

#include <stdbool.h>

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/msg_container.h"
#include "config/err.h"

struct host_container;

enum host_container_how {
	HOST_CONTAINER_EXITED,	/* its init process ended by itself */
	HOST_CONTAINER_STOPPED, /* ended, and it had been sent SIGTERM */
	HOST_CONTAINER_KILLED,	/* ended, and it had been sent SIGKILL */
	HOST_CONTAINER_UNKNOWN, /* the bridge is gone: nobody knows */
	HOST_CONTAINER_HOWS,	/* number of ways */
};

/**
 * host_container_ended_fn - the container's end; the last callback
 * @ctx:	of the container
 * @how:	the way
 * @why:	reason, for HOST_CONTAINER_UNKNOWN only
 *
 * The container may be freed from within.
 */
typedef void host_container_ended_fn(void *ctx, enum host_container_how how,
				     const struct err *why);

/**
 * host_container_create() - Create, and wait for the end
 * @c:		client in HOST_READY; free its containers before it
 * @id:		container id, copied
 * @document:	borrowed for the call
 * @created:	struct msg_create_result, or why there is no container; that is
 *		the last callback then. The container may be freed from within
 * @ended:	see there
 * @ctx:	passed to @ended
 * @ret:	receives the container
 * @e:		reason
 *
 * A create whose answer was lost (HOST_FAIL_LOST, HOST_FAIL_TIMEOUT) may have
 * left a container in the guest: delete its state before the next try.
 *
 * Return: 0; -EEXIST: this id is tracked already; -EINVAL: no id; else as
 *         host_client_call()
 */
int host_container_create(struct host_client *c, const char *id,
			  const struct msg_container_config *document,
			  const struct host_done *created,
			  host_container_ended_fn *ended, void *ctx,
			  struct host_container **ret, struct err *e);

/**
 * host_container_open() - know a container that the guest has already
 *
 * For the destination of a move and for a host that starts anew: no message is
 * sent. A notice that came before is handed on from the loop, not from here.
 *
 * Return: 0, -EEXIST, -EINVAL, -ENOMEM
 */
int host_container_open(struct host_client *c, const char *id,
			host_container_ended_fn *ended, void *ctx,
			struct host_container **ret, struct err *e);

/** host_container_free() - forget it, no callback; nothing is sent */
void host_container_free(struct host_container *h);

const char *host_container_id(const struct host_container *h);

/** host_container_live() - created or opened, and not ended */
bool host_container_live(const struct host_container *h);

/**
 * host_container_shutdown() - SIGTERM or SIGKILL to the init process
 * @forced:	SIGKILL
 * @done:	struct msg_result; a container that the guest does not know, or
 *		that has stopped, counts as done
 *
 * The answer does not wait for the end. Freeing the container ends the wait for
 * the answer without a callback.
 *
 * Return: as host_client_call(); -EALREADY: the same is under way
 */
int host_container_shutdown(struct host_container *h, bool forced,
			    const struct host_done *done, struct err *e);

/** host_container_how_name() - "exited", "stopped", "killed", "unknown" */
const char *host_container_how_name(enum host_container_how how);

#endif
