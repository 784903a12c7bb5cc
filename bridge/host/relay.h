/*
 * bridge/host/relay.h - copy one stream between two descriptors
 *
 * One direction. Through a pipe the kernel moves the bytes (splice); elsewhere
 * at most RELAY_BUFFER_SIZE bytes are held. Nothing is read that the other end
 * has no room for: a slow reader slows the writer down and costs no memory.
 *
 * The relay ends when the source has ended and all of it was written, when the
 * destination is closed (nobody reads any more; the source stays open until
 * host_relay_free() then, and what was not taken is kept), or on an error. The end of the
 * source is read, and the source closed, once all that came before it went out;
 * what the local reader has not yet taken then lies in its pipe or socket. (The
 * guest reports an exit only after the host has closed the streams.) A socket
 * that is the destination is half-closed, then kept open until
 * host_relay_free(), because closing it would look like a hang-up to a process
 * that still reads.
 */
#ifndef FERRY_BRIDGE_HOST_RELAY_H
#define FERRY_BRIDGE_HOST_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/local.h"
#include "bridge/io/loop.h"
#include "config/err.h"

#define RELAY_BUFFER_SIZE 65536u

struct host_relay;

enum host_relay_end {
	HOST_RELAY_EOF,	   /* all of the source arrived */
	HOST_RELAY_CLOSED, /* the destination takes no more */
	HOST_RELAY_ERROR,  /* see the error */
};

/* The last thing that a relay does; it may be freed from within. */
typedef void host_relay_fn(void *ctx, enum host_relay_end how,
			   const struct err *e);

/**
 * host_relay_new() - start to copy
 * @loop:	event loop
 * @from:	source, taken (set to closed) on success
 * @to:		destination, taken on success
 * @done:	called once, from the loop, never from this function
 * @ctx:	passed to @done
 * @ret:	receives the relay
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int host_relay_new(struct loop *loop, struct local *from, struct local *to,
		   host_relay_fn *done, void *ctx, struct host_relay **ret,
		   struct err *e);

/**
 * host_relay_finish() - read no more; what was read is still written, then the
 * relay ends as if the source had ended, with its callback
 */
void host_relay_finish(struct host_relay *r);

/**
 * struct host_relay_parts - what is left of a relay that was taken apart
 * @from, @to:	its ends; closed where the relay had closed them
 * @rest:	bytes read and not written, the caller's to free; NULL: none
 * @len:	their number
 */
struct host_relay_parts {
	struct local from;
	struct local to;
	uint8_t *rest;
	size_t len;
};

/**
 * host_relay_take() - end a relay without a callback and without closing
 *
 * Nothing is lost: what was read and not written is given back as well. May be
 * called from within the callback.
 */
struct host_relay_parts host_relay_take(struct host_relay *r);

/**
 * host_relay_prime() - write these bytes before anything is read
 * @rest:	on the heap, taken
 *
 * For a relay that was made in this turn of the loop.
 */
void host_relay_prime(struct host_relay *r, uint8_t *rest, size_t len);

/** host_relay_source_failed() - did it end because reading failed? */
bool host_relay_source_failed(const struct host_relay *r);

/** host_relay_tally() - *@sum grows by each byte that is read; borrowed */
void host_relay_tally(struct host_relay *r, uint64_t *sum);

/** host_relay_bytes() - bytes read so far */
uint64_t host_relay_bytes(const struct host_relay *r);

/** host_relay_blocked() - does it wait for the destination to take more? */
bool host_relay_blocked(const struct host_relay *r);

/** host_relay_free() - stop and close both ends, no callback; NULL is fine */
void host_relay_free(struct host_relay *r);

#endif
