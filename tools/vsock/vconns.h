/*
 * tools/vsock/vconns.h - all streams of a device: slots, lookup, turn-taking
 *
 * The slots are one fixed array, so a pointer to a stream never dangles, and
 * an event that comes late is told apart by the generation of its slot.
 */
#ifndef FERRY_TOOLS_VSOCK_VCONNS_H
#define FERRY_TOOLS_VSOCK_VCONNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tools/vsock/vconn.h"

/* Streams at the same time; the guest gets a reset for one more. */
#define VCONNS_MAX 2048
#define VCONNS_BUCKETS 4096

LIST_HEAD(vconn_list, vconn);
TAILQ_HEAD(vconn_queue, vconn);

/**
 * struct vconns - the table
 * @limit:	slots that may be used, at most VCONNS_MAX
 * @used:	slots in use
 * @ready:	streams with something for the guest; the first is served next
 */
struct vconns {
	struct vconn slot[VCONNS_MAX];
	struct vconn_list bucket[VCONNS_BUCKETS];
	struct vconn_list unused;
	struct vconn_queue ready;
	size_t limit;
	size_t used;
};

/** vconns_init() - an empty table; @limit is cut to VCONNS_MAX */
void vconns_init(struct vconns *v, size_t limit);

/** vconns_new() - a cleared slot in @state, or NULL when the table is full */
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

/** vconns_free() - forget a stream; its descriptor is the caller's business */
void vconns_free(struct vconns *v, struct vconn *c);

/** vconns_index() - the number of its slot */
static inline uint32_t vconns_index(const struct vconns *v,
				    const struct vconn *c)
{
	return (uint32_t)(c - v->slot);
}

#endif
