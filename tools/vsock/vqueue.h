/*
 * tools/vsock/vqueue.h - the device's side of a split virtqueue
 *
 * Source: virtio specification 1.2, section 2.7. The guest may write anything
 * into the rings at any time: indexes, heads, lengths, addresses and chains are
 * copied once, checked, and used from the copy. A ring that breaks a rule is
 * broken until it is started again; nothing is taken from it any more.
 *
 * Entries are taken in order and given back in the same turn, so between turns
 * the ring's whole state is @next_avail and what guest memory holds.
 */
#ifndef FERRY_TOOLS_VSOCK_VQUEUE_H
#define FERRY_TOOLS_VSOCK_VQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/vsock/dirtylog.h"
#include "tools/vsock/gmem.h"

/* Largest queue, and longest chain, direct and indirect together. */
#define VQUEUE_NUM_MAX 1024
/* Pieces of guest memory that one batch of chains may have (IOV_MAX). */
#define VQUEUE_PIECES_MAX 1024

/**
 * struct vqueue_addr - where a queue lies in this process
 * @log:	mark what is written into the used ring
 * @log_guest:	guest address of the used ring, for the marks
 */
struct vqueue_addr {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	bool log;
	uint64_t log_guest;
};

/**
 * struct vqueue - one queue
 * @num:	entries, a power of two
 * @next_avail:	next entry of the available ring to take
 * @seen_avail:	the guest's index when it was last read
 * @next_used:	next entry of the used ring to write
 * @told_used:	the index that the guest can see
 * @called_used: the index at the last decision to interrupt
 * @call_valid:	@called_used means something
 * @mapped:	the addresses are set and inside of the memory table
 * @broken:	the guest broke a rule
 * @event_idx:	VIRTIO_RING_F_EVENT_IDX was negotiated
 * @on_empty:	VIRTIO_F_NOTIFY_ON_EMPTY was negotiated
 */
struct vqueue {
	uint16_t num;
	uint16_t next_avail;
	uint16_t seen_avail;
	uint16_t next_used;
	uint16_t told_used;
	uint16_t called_used;
	bool call_valid;
	bool mapped;
	bool broken;
	bool event_idx;
	bool on_empty;
	struct vqueue_addr addr;
	struct gmem *mem;
	const struct dirtylog *log;
};

/* Memory of the chains of one batch: device-readable pieces first. */
struct vqueue_pieces {
	struct gmem_piece piece[VQUEUE_PIECES_MAX];
	size_t n;
};

/**
 * struct vqueue_chain - one buffer of the guest
 * @head:	names it when it is given back
 * @first:	index of its first piece
 * @outs:	pieces that the device may read, then
 * @ins:	pieces that the device may write
 * @out_bytes:	sum over @outs
 * @in_bytes:	sum over @ins
 */
struct vqueue_chain {
	uint16_t head;
	size_t first;
	size_t outs;
	size_t ins;
	uint64_t out_bytes;
	uint64_t in_bytes;
};

/**
 * vqueue_set_num() - set the size; only for a stopped ring
 *
 * Return: 0 or -EINVAL (zero, no power of two, over VQUEUE_NUM_MAX)
 */
int vqueue_set_num(struct vqueue *r, uint32_t num);

/**
 * vqueue_set_addr() - set where the ring lies; allowed while it runs
 *
 * Return: 0 or -EINVAL (bad alignment); what is not in the memory table is
 * accepted, but not @mapped
 */
int vqueue_set_addr(struct vqueue *r, const struct vqueue_addr *a);

/** vqueue_remap() - find out again whether the ring lies in the memory table */
void vqueue_remap(struct vqueue *r);

/** vqueue_start() - begin to serve: read the used index, forget old errors */
void vqueue_start(struct vqueue *r);

/** vqueue_usable() - is it safe and sensible to touch the ring? */
static inline bool vqueue_usable(const struct vqueue *r)
{
	return r->mapped && !r->broken;
}

/**
 * vqueue_take() - take the next available chain
 * @r:		ring
 * @p:		its pieces are appended here
 * @c:		receives the chain
 *
 * Return: 1 taken, 0 nothing available, -ENOBUFS no room in @p (nothing was
 * taken; only when @p was not empty before), -EPROTO the ring is now broken
 */
int vqueue_take(struct vqueue *r, struct vqueue_pieces *p,
		struct vqueue_chain *c);

/** vqueue_untake() - leave the last @n chains, none given back yet, for later */
void vqueue_untake(struct vqueue *r, unsigned int n);

/** vqueue_give() - give a chain back with @len bytes written into it */
void vqueue_give(struct vqueue *r, const struct vqueue_chain *c, uint32_t len);

/**
 * vqueue_publish() - show the guest what was given back
 *
 * Return: true if the guest wants an interrupt for it
 */
bool vqueue_publish(struct vqueue *r);

/**
 * vqueue_listen() - ask the guest for a kick at the next buffer
 *
 * Return: true if there is one already
 */
bool vqueue_listen(struct vqueue *r);

/** vqueue_mute() - the guest need not kick for now */
void vqueue_mute(struct vqueue *r);

#endif
