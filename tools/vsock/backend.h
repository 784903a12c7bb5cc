/*
 * tools/vsock/backend.h - the vsock device: rings on one side, sockets on the
 * other
 *
 * A backend is driven from outside: backend_wait() waits for events without
 * touching anything else, backend_serve() does one bounded turn of work. The
 * worker (worker.h) calls them from a thread and serialises the second with the
 * vhost ioctls (ioctls.h); tests call them one after the other.
 *
 * Between a stop and the next start nothing touches guest memory. Streams
 * survive a stop, because a paused and continued VM, or a migration that was
 * called off, must not lose them. A start with other rings or other positions
 * is a new driver in the guest: then all streams are closed.
 */
#ifndef FERRY_TOOLS_VSOCK_BACKEND_H
#define FERRY_TOOLS_VSOCK_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "tools/vsock/dirtylog.h"
#include "tools/vsock/gmem.h"
#include "tools/vsock/hybrid.h"
#include "tools/vsock/packet.h"
#include "tools/vsock/vconns.h"
#include "tools/vsock/vqueue.h"

/* Queue numbers of the virtio device; the third is served by QEMU. */
#define BACKEND_TO_GUEST 0
#define BACKEND_FROM_GUEST 1
#define BACKEND_QUEUES 2

/* Events taken by one turn. */
#define BACKEND_EVENTS_MAX 64
/* Resets for streams that do not exist; when full, the guest has to wait. */
#define BACKEND_RESETS_MAX 256
/* Buffers of the guest that one turn takes from each queue. */
#define BACKEND_TX_BUDGET 128
#define BACKEND_RX_BUDGET 256
/* Buffers that one read from a host socket may fill. */
#define BACKEND_BATCH_MAX 16

/* A full backlog is tried again until just before the guest gives up (2 s). */
#define BACKEND_DIAL_RETRY_MS 5
#define BACKEND_DIAL_LIMIT_MS 1900
/* The guest's answer to the end of the host's side; as in Linux. */
#define BACKEND_CLOSE_LIMIT_MS 8000
/* Bytes of a guest program that has ended may wait this long for a reader. */
#define BACKEND_DRAIN_LIMIT_MS 120000
/* Without a free descriptor, host programs are looked at again after this. */
#define BACKEND_ACCEPT_RETRY_MS 100
/* A host program says CONNECT, and the guest answers it, within these. */
#define BACKEND_GREETING_LIMIT_MS 5000
#define BACKEND_ASKING_LIMIT_MS 2000

/**
 * backend_dial_fn - make the host's end of a stream
 * @ctx:	as given to backend_new()
 * @port:	port that the guest asked for
 * @ret_fd:	receives a connected, non-blocking stream socket
 *
 * Return: 0, -EAGAIN (try again soon), or another negative errno
 */
typedef int backend_dial_fn(void *ctx, uint32_t port, int *ret_fd);

/* A queue with its eventfds: from the guest, to the guest, on errors. */
struct backend_queue {
	struct vqueue ring;
	int kick;
	int call;
	int err;
	bool err_told;
};

/* What a queue looked like when it was stopped. */
struct backend_mark {
	bool valid;
	uint16_t num;
	uint16_t next_avail;
	struct vqueue_addr addr;
};

/**
 * struct backend - the device; its fields belong to this room's files
 * @features:	as acknowledged by the guest, and VHOST_F_LOG_ALL
 * @log_base:	address of the dirty bitmap, 0: none
 * @running:	the rings are served
 * @more:	the last turn left work behind
 * @closed:	QEMU closed the device
 * @accepting:	host programs may be waiting at the listener
 * @control:	socket whose other end QEMU holds, -1: none
 * @due_ms:	when the next stream has to be looked at, 0: none has
 * @pieces:	memory of the chains that are being worked on
 * @iov:	the payload part of it
 */
struct backend {
	struct gmem mem;
	struct dirtylog log;
	uint64_t log_base;
	struct backend_queue queue[BACKEND_QUEUES];
	struct backend_mark mark[BACKEND_QUEUES];
	uint64_t features;
	uint64_t guest_cid;
	bool running;
	bool more;
	bool closed;
	bool accepting;
	int epoll;
	int wake;
	int control;
	int listener;
	backend_dial_fn *dial;
	void *dial_ctx;
	int64_t now_ms;
	int64_t due_ms;
	uint32_t next_port;
	struct packet reset[BACKEND_RESETS_MAX];
	unsigned int resets_first;
	unsigned int resets;
	struct vconns conns;
	struct vqueue_pieces pieces;
	struct iovec iov[VQUEUE_PIECES_MAX];
	struct vqueue_chain chain[BACKEND_BATCH_MAX];
};

/**
 * backend_new() - a device that nobody has configured yet
 * @dial:	makes host sockets
 * @ctx:	for @dial; borrowed for the life of the backend
 * @streams:	most streams at a time, at most VCONNS_MAX
 * @ret:	receives the backend
 *
 * Return: 0 or -errno
 */
int backend_new(backend_dial_fn *dial, void *ctx, size_t streams,
		struct backend **ret);

/** backend_free() - close all; NULL is fine */
void backend_free(struct backend *b);

/** backend_set_control() - take over @fd; its hang-up sets @closed */
int backend_set_control(struct backend *b, int fd);

/** backend_set_listener() - take over a listening socket for host programs */
int backend_set_listener(struct backend *b, int fd);

/** backend_set_kick() - take over an eventfd of a queue, -1: none */
int backend_set_kick(struct backend *b, unsigned int queue, int fd);

/** backend_set_features() - take over acknowledged features */
void backend_set_features(struct backend *b, uint64_t features);

/** backend_remap() - the memory table or the log changed: check all again */
void backend_remap(struct backend *b);

/** backend_start() - serve the rings from now on */
void backend_start(struct backend *b);

/** backend_stop() - touch no guest memory from now on */
void backend_stop(struct backend *b);

/** backend_drop_streams() - close all streams without a word to the guest */
void backend_drop_streams(struct backend *b);

/** backend_wake() - make a running backend_wait() return */
void backend_wake(struct backend *b);

/**
 * backend_wait() - wait for events; touches nothing but the epoll
 * @ev:		receives the events
 * @max_ms:	longest wait, -1: as long as it takes
 *
 * Return: number of events, 0 on a signal
 */
int backend_wait(struct backend *b, struct epoll_event ev[BACKEND_EVENTS_MAX],
		 int max_ms);

/**
 * backend_timeout() - how long the next backend_wait() may wait
 *
 * Return: ms, 0: work is left, -1: until something happens
 */
int backend_timeout(const struct backend *b, int64_t now_ms);

/** backend_serve() - one turn; a bounded amount of work for each queue */
void backend_serve(struct backend *b, const struct epoll_event *ev, int n,
		   int64_t now_ms);

/** backend_now_ms() - CLOCK_MONOTONIC */
int64_t backend_now_ms(void);

/* --- for the files of the device itself --------------------------------- */

/** backend_watch() - watch the host socket of a stream; -errno */
int backend_watch(struct backend *b, struct vconn *c);

/** backend_rewatch() - ask to be told of room in the host socket, or not */
void backend_rewatch(struct backend *b, struct vconn *c, bool want_out);

/** backend_due() - look at a stream when it has waited long enough for @why */
void backend_due(struct backend *b, struct vconn *c, enum vconn_wait why);

/** backend_again() - take another turn after @after_ms, whatever happens */
void backend_again(struct backend *b, int64_t after_ms);

/** backend_signal() - interrupt the guest for a queue */
void backend_signal(struct backend *b, unsigned int queue);

/** backend_check() - report a broken ring to QEMU, once */
void backend_check(struct backend *b, unsigned int queue);

#endif
