/*
 * bridge/guest/notice.h - telling the host that a container has ended
 *
 * One notice for each container that was created, when its init process is
 * over, whether anybody waits for it or not. It is kept until a host that knows
 * the container is connected (struct answer_to @keep); there is room for one in
 * each container, so notices need no limit of their own. A notice that was
 * sent to a host object is sent again to a later one that asks for the exit of
 * the init process: it has begun to watch the container just then.
 * Source: shared specification bridge.md 3.14, 6.5.
 */
#ifndef FERRY_BRIDGE_GUEST_NOTICE_H
#define FERRY_BRIDGE_GUEST_NOTICE_H

struct container;

/** notice_send() - its init process is over */
void notice_send(struct container *c);

/** notice_again() - a host object that is new to it asks for the exit */
void notice_again(struct container *c);

#endif
