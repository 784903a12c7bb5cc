/*
 * tools/vsock/vconn.h - one stream: what was sent, what may be sent, what ends
 *
 * Pure: no descriptor is touched here and no ring. Streams are governed by
 * credit (virtio specification 1.2, 5.10.6.3): each side says how large its
 * buffer is (buf_alloc) and how much has left it (fwd_cnt), and the other
 * never has more than buf_alloc bytes under way. Counters are modulo 2^32.
 *
 *   DIALING   the guest asked; the host socket is not connected yet
 *   OPEN      both ends are there; each direction may be shut
 *   CLOSING   the host's end is gone; waits for the guest's reset
 *   DRAINING  the guest's end is gone; what it sent still goes to the host
 *   DYING     only a reset for the guest is still to be sent
 *   GREETING  a host program connected and has not said CONNECT yet
 *   ASKING    the guest was asked for a stream and has not answered yet
 */
#ifndef FERRY_TOOLS_VSOCK_VCONN_H
#define FERRY_TOOLS_VSOCK_VCONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tools/vsock/fifo.h"
#include "tools/vsock/packet.h"

/*
 * Our receive buffer of a stream, 256 KiB: the default of the kernel too. And
 * of one that begins when there are many already, so that what a guest can make
 * the host keep stays within 1 GiB (vconns.h).
 */
#define VCONN_BUFFER_BYTES 0x40000u
#define VCONN_BUFFER_LEAST 0x8000u

enum vconn_state {
	VCONN_FREE = 0,
	VCONN_DIALING,
	VCONN_OPEN,
	VCONN_CLOSING,
	VCONN_DRAINING,
	VCONN_DYING,
	VCONN_GREETING,
	VCONN_ASKING,
};

/* What a stream waits for; how long is a matter of this alone (backend.c). */
enum vconn_wait {
	VCONN_WAIT_DIAL,     /* the next attempt to connect */
	VCONN_WAIT_CLOSE,    /* the guest's reset */
	VCONN_WAIT_DRAIN,    /* a reader on the host */
	VCONN_WAIT_GREETING, /* CONNECT of a host program */
	VCONN_WAIT_ASKING,   /* the guest's answer */
	VCONN_WAITS,
};

/* What has to be told to the guest, in the order in which it is told. */
#define VCONN_TELL_RESET 1u
#define VCONN_TELL_REQUEST 2u
#define VCONN_TELL_RESPONSE 4u
#define VCONN_TELL_SHUTDOWN 8u
#define VCONN_TELL_CREDIT 16u
#define VCONN_TELL_NEED 32u

/**
 * struct vconn - one stream
 * @guest_port:	the guest's port
 * @host_port:	ours
 * @generation:	changes with each use of the slot
 * @tell:	VCONN_TELL_* bits
 * @fd:		host socket, -1: none
 * @fifo:	bytes of the guest that the host socket did not take yet
 * @room:	bytes of the guest that are taken before any has left
 * @got:	bytes received from the guest
 * @gone:	bytes of these that left for the host
 * @gone_told:	@gone as the guest knows it
 * @peer_alloc:	the guest's buf_alloc
 * @peer_gone:	the guest's fwd_cnt
 * @sent:	bytes sent to the guest
 * @shut_guest:	PACKET_NO_*: what the guest will not do any more
 * @shut_told:	what we told it that the host will not do any more
 * @asked:	a credit request is out
 * @readable:	the host socket may have bytes or an end of file
 * @hup:	the host's end sends no more: read on until end of file
 * @closed:	the host's end is closed
 * @host_deaf:	the host socket takes no bytes any more
 * @host_ended:	end of file was read from the host socket
 * @host_shut:	the host was told that the guest sends no more
 * @host_stopped: the host was told that the guest takes no more
 * @want_out:	waiting for room in the host socket
 * @hashed:	can be found by its ports
 * @queued:	is in the queue of streams that have something for the guest
 * @batch:	buffers to offer to the next read
 * @index:	number of its slot
 * @wait:	why it waits for @due_ms
 * @due_ms:	time of the next step of its own, 0: none
 * @give_up_ms:	end of the attempts to connect
 */
struct vconn {
	enum vconn_state state;
	uint32_t guest_port;
	uint32_t host_port;
	uint32_t generation;
	uint32_t tell;
	int fd;
	struct fifo fifo;
	uint32_t room;
	uint32_t got;
	uint32_t gone;
	uint32_t gone_told;
	uint32_t peer_alloc;
	uint32_t peer_gone;
	uint32_t sent;
	uint32_t shut_guest;
	uint32_t shut_told;
	bool asked;
	bool readable;
	bool hup;
	bool closed;
	bool host_deaf;
	bool host_ended;
	bool host_shut;
	bool host_stopped;
	bool want_out;
	bool queued;
	bool hashed;
	unsigned int batch;
	uint32_t index;
	enum vconn_wait wait;
	int64_t due_ms;
	int64_t give_up_ms;
	TAILQ_ENTRY(vconn) ready;
	TAILQ_ENTRY(vconn) timed;
	LIST_ENTRY(vconn) link;
};

/** vconn_peer() - take over the credit fields of a packet from the guest */
void vconn_peer(struct vconn *c, const struct packet *p);

/** vconn_credit() - bytes that may be sent to the guest now */
uint32_t vconn_credit(const struct vconn *c);

/** vconn_fits() - has the guest credit for @len more bytes? */
bool vconn_fits(const struct vconn *c, uint32_t len);

/** vconn_forwarded() - @len bytes left for the host; asks for an update */
void vconn_forwarded(struct vconn *c, uint32_t len);

/** vconn_reads() - may bytes of the host be read for the guest now? */
bool vconn_reads(const struct vconn *c);

/**
 * vconn_wants() - is there anything to send to the guest now?
 *
 * Asks for credit when that is all that is missing.
 */
bool vconn_wants(struct vconn *c);

/**
 * vconn_fill() - addresses and credit of the next packet to the guest
 * @guest_cid:	where it goes
 * @op:		what it is
 */
void vconn_fill(struct vconn *c, uint64_t guest_cid, enum packet_op op,
		struct packet *p);

/**
 * vconn_control() - the next control packet to the guest
 *
 * Return: true and fills @p, or false: nothing to tell
 */
bool vconn_control(struct vconn *c, uint64_t guest_cid, struct packet *p);

#endif
