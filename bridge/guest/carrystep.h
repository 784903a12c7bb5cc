/*
 * bridge/guest/carrystep.h - the inside of a stream of the session, for the two
 * files that make it up: carry.c has its connections and its life, carrystep.c
 * moves its bytes
 */
#ifndef FERRY_BRIDGE_GUEST_CARRYSTEP_H
#define FERRY_BRIDGE_GUEST_CARRYSTEP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/carry.h"

/* --- carry.c --- */

/** carry_tell() - send a frame about the stream */
void carry_tell(const struct stream *s, uint32_t type);

/** carry_note() - what a later agent has to know of it */
void carry_note(const struct stream *s, uint64_t value);

/** carry_timer() - call @fn in @ms, with the stream */
void carry_timer(struct stream *s, struct loop_id *id, int ms,
		 loop_timer_fn *fn);

/** carry_watch() - watch @fd for @events, or, if not @on, not at all */
void carry_watch(struct stream *s, struct loop_id *id, int fd, bool on,
		 uint32_t events, loop_io_fn *fn);

/** carry_broke() - its connection is: dial again, unless the host is gone too */
void carry_broke(struct stream *s);

/**
 * carry_flush() - write what begins the connection, or a number that is due
 *
 * Return: false: the connection is broken
 */
bool carry_flush(struct stream *s);

/* Events; the context is the stream. */
void carry_on_sock(void *ctx, uint32_t events);
void carry_on_end(void *ctx, uint32_t events);
void carry_on_run_timer(void *ctx);

/* --- carrystep.c --- */

/** carry_run_output(), _input() - move until one side has to be waited for, or
 * others have their turn; the stream may be closed then */
void carry_run_output(struct stream *s);
void carry_run_input(struct stream *s);

/** carry_move() - splice() what is there, without waiting */
ssize_t carry_move(int from, int to, size_t most);

/** carry_input_over() - all of it was given, or nobody reads it any more */
void carry_input_over(struct stream *s);

/**
 * carry_read_numbers() - of the host, about an output
 *
 * Return: false: the connection is of no use any more
 */
bool carry_read_numbers(struct stream *s);

#endif
