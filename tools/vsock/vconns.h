/*
 * tools/vsock/vconns.h - all streams of a device: slots, lookup, turn-taking,
 * deadlines
 *
 * Slots come in chunks, which are allocated when they are needed, up to the
 * limit, and never moved or freed before the end: a pointer to a stream never
 * dangles, and an event that comes late is told apart by the generation of its
 * slot. What is done for a packet, an event or a deadline costs the same with
 * ten streams and with all of them: streams are found by a hash of their ports,
 * and those that wait for the same length of time stand in one queue, of which
 * only the head has to be looked at.
 */
#ifndef FERRY_TOOLS_VSOCK_VCONNS_H
#define FERRY_TOOLS_VSOCK_VCONNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tools/vsock/vconn.h"

/*
 * Streams at the same time; the guest gets a reset for one more. 5,000 processes
 * with three streams each, and what else there is. Each has a descriptor, and
 * all slots together take 4 MiB.
 */
#define VCONNS_MAX 16384
/* So many have VCONN_BUFFER_BYTES each, those that begin then the least. */
#define VCONNS_ROOMY 2048
#define VCONNS_BUCKETS 16384
#define VCONNS_CHUNK 256
#define VCONNS_CHUNKS (VCONNS_MAX / VCONNS_CHUNK)

LIST_HEAD(vconn_list, vconn);
TAILQ_HEAD(vconn_queue, vconn);

/**
 * struct vconns - the table
 * @chunk:	the slots; @chunks of them are allocated
 * @limit:	slots that may be used, at most VCONNS_MAX
 * @used:	slots in use
 * @ready:	streams with something for the guest; the first is served next
 * @waiting:	by what they wait for; the first is due first
 */
struct vconns {
	struct vconn *chunk[VCONNS_CHUNKS];
	size_t chunks;
	struct vconn_list bucket[VCONNS_BUCKETS];
	struct vconn_list unused;
	struct vconn_queue ready;
	struct vconn_queue waiting[VCONN_WAITS];
	size_t limit;
	size_t used;
};

/** vconns_init() - an empty table; @limit is cut to VCONNS_MAX */
void vconns_init(struct vconns *v, size_t limit);

/** vconns_done() - release the slots; the streams are forgotten already */
void vconns_done(struct vconns *v);

/** vconns_new() - a cleared slot in @state, or NULL: full, or no memory */
struct vconn *vconns_new(struct vconns *v, enum vconn_state state);

/** vconns_bind() - give a stream its ports, by which it is found from now on */
void vconns_bind(struct vconns *v, struct vconn *c, uint32_t guest_port,
		 uint32_t host_port);

/** vconns_unbind() - it is not found any more */
void vconns_unbind(struct vconn *c);

/** vconns_find() - the stream of these ports, or NULL */
struct vconn *vconns_find(struct vconns *v, uint32_t guest_port,
			  uint32_t host_port);

/** vconns_queue() - at the end of those that have something for the guest */
void vconns_queue(struct vconns *v, struct vconn *c);

/** vconns_unqueue() - it has nothing for the guest now */
void vconns_unqueue(struct vconns *v, struct vconn *c);

/**
 * vconns_wait() - look at a stream at @due_ms
 * @why:	its queue; of those in one queue none is due before an earlier one
 */
void vconns_wait(struct vconns *v, struct vconn *c, enum vconn_wait why,
		 int64_t due_ms);

/** vconns_unwait() - it waits for no time */
void vconns_unwait(struct vconns *v, struct vconn *c);

/** vconns_due() - a stream that is due at @now_ms, or NULL */
struct vconn *vconns_due(struct vconns *v, int64_t now_ms);

/** vconns_due_ms() - when the next stream is due, 0: none waits */
int64_t vconns_due_ms(const struct vconns *v);

/** vconns_free() - forget a stream; its descriptor is the caller's business */
void vconns_free(struct vconns *v, struct vconn *c);

/** vconns_at() - the slot of this number, free or not; NULL: there is none */
static inline struct vconn *vconns_at(const struct vconns *v, size_t index)
{
	if (index >= v->limit || index / VCONNS_CHUNK >= v->chunks)
		return NULL;
	return &v->chunk[index / VCONNS_CHUNK][index % VCONNS_CHUNK];
}

#endif
