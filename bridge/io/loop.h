/*
 * bridge/io/loop.h - the event loop: one thread, one epoll, timers
 *
 * Watches and timers are named by a loop_id, a slot number with a generation.
 * The kernel is given the id, never a pointer: an event for a watch that was
 * removed a moment ago, in the same batch, finds another generation and is
 * dropped. Callbacks may add and remove any watch or timer, their own too.
 */
#ifndef FERRY_BRIDGE_IO_LOOP_H
#define FERRY_BRIDGE_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"

struct loop;

/* Names a watch or a timer; the zero value names nothing. */
struct loop_id {
	uint32_t slot;
	uint32_t generation;
};

/* @events: EPOLL* bits that are ready */
typedef void loop_io_fn(void *ctx, uint32_t events);
typedef void loop_timer_fn(void *ctx);

/** loop_new() - an empty loop; loop_free(NULL) is fine */
int loop_new(struct loop **ret, struct err *e);
void loop_free(struct loop *l);

/**
 * loop_watch() - call @fn whenever @fd is ready for @events
 * @l:		loop
 * @fd:		borrowed; unwatch it before it is closed
 * @events:	EPOLLIN, EPOLLOUT, ... (level triggered); 0 still reports
 *		EPOLLHUP and EPOLLERR
 * @fn:		called from loop_turn()
 * @ctx:	passed to @fn; must outlive the watch
 * @id:		receives the name of the watch
 * @e:		reason
 *
 * Return: 0, -ENOMEM, -ENOSPC, -EPERM (a kind of file that epoll refuses)
 */
int loop_watch(struct loop *l, int fd, uint32_t events, loop_io_fn *fn,
	       void *ctx, struct loop_id *id, struct err *e);

/** loop_rewatch() - change the events of a watch; cheap when they are equal */
void loop_rewatch(struct loop *l, struct loop_id id, uint32_t events);

/** loop_unwatch() - forget a watch and clear *@id; fine on a zero id */
void loop_unwatch(struct loop *l, struct loop_id *id);

/**
 * loop_at() - call @fn once, at @deadline_ms of loop_now_ms() or soon after
 *
 * An *@id that names a timer already is moved to the new deadline.
 * Return: 0 or -ENOMEM
 */
int loop_at(struct loop *l, int64_t deadline_ms, loop_timer_fn *fn, void *ctx,
	    struct loop_id *id, struct err *e);

/** loop_cancel() - forget a timer and clear *@id; fine on a zero id */
void loop_cancel(struct loop *l, struct loop_id *id);

/** loop_now_ms() - CLOCK_MONOTONIC, read once a turn */
int64_t loop_now_ms(const struct loop *l);

/**
 * loop_turn() - wait for events and call what is due, once
 * @max_wait_ms: longest wait; -1: no limit, 0: only what is ready now
 *
 * Return: number of callbacks made, or -errno (never -EINTR)
 */
int loop_turn(struct loop *l, int max_wait_ms, struct err *e);

/** loop_run() - turns until loop_stop(); return: 0 or -errno */
int loop_run(struct loop *l, struct err *e);
void loop_stop(struct loop *l);

#endif
