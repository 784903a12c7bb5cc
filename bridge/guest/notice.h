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
 *
 * That processes of a container were killed for want of memory is a notice of
 * ferry's own, for hosts that take those (docs/resume.md 1.3); for others it is
 * in the log. It is no queue but two counts of the container, what happened and
 * what was told: so it needs no room, comes before the notice of the end, and is
 * told to a host that was away.
 */
#ifndef FERRY_BRIDGE_GUEST_NOTICE_H
#define FERRY_BRIDGE_GUEST_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

struct agent;
struct answer;
struct container;

/** notice_send() - its init process is over */
void notice_send(struct container *c);

/** notice_given_up() - of a container that has no object, see giveup.h */
void notice_given_up(struct agent *a, const char *id, uint64_t serial);

/** notice_again() - a host object that is new to it asks for the exit */
void notice_again(struct container *c);

/** notice_oom() - tell of the kills that were not told, if it can be told now */
void notice_oom(struct container *c);

/** notice_oom_all() - of all containers: the host is back */
void notice_oom_all(struct agent *a);

/**
 * notice_unsent() - what becomes of a frame that did not leave
 *
 * Return: true: it is one that will be made again, and is not to be kept
 */
bool notice_unsent(struct agent *a, const struct answer *answer);

#endif
