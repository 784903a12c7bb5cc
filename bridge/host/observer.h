/* bridge/host/observer.h - telling the observers of a client, safely */
#ifndef FERRY_BRIDGE_HOST_OBSERVER_H
#define FERRY_BRIDGE_HOST_OBSERVER_H

#include "bridge/host/client.h"

/**
 * struct host_observers - who is told; embedded, zero is empty
 * @first:	list
 * @cursor:	the next to be told in the round that goes on
 */
struct host_observers {
	struct host_observer *first;
	struct host_observer *cursor;
};

/** host_observer_add() - put @o in the list */
void host_observer_add(struct host_observers *all, struct host_observer *o);

/** host_observer_remove() - take @o out, also in the middle of a round */
void host_observer_remove(struct host_observers *all, struct host_observer *o);

/* One round each: every observer that has the callback is called. */
void host_observer_ready(struct host_observers *all,
			 const struct host_guest *guest);
void host_observer_thawed(struct host_observers *all);
void host_observer_lost(struct host_observers *all, const struct err *why);
void host_observer_failed(struct host_observers *all, const struct err *why);

/** host_observer_notification() - return: does any of them know the container? */
bool host_observer_notification(struct host_observers *all,
				const struct msg_notification *n);

/** host_observer_out_of_memory() - a round of that callback */
void host_observer_out_of_memory(struct host_observers *all,
				 const char *container_id, uint64_t count);

#endif
