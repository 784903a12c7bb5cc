/*
 * tests/unit/vsock_guest.h - a guest for tests of the vsock device
 *
 * Memory with guard pages around each region, a virtio-vsock driver that speaks
 * through the rings, and the host's ends of the streams as socket pairs. All in
 * one thread: guest_turn() lets the device work until it is idle.
 */
#ifndef FERRY_TESTS_UNIT_VSOCK_GUEST_H
#define FERRY_TESTS_UNIT_VSOCK_GUEST_H

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/vsock/backend.h"
#include "tools/vsock/ioctls.h"
#include "tools/vsock/worker.h"

#define GUEST_CID 42u
#define GUEST_PAGE 4096u
#define GUEST_REGIONS 3
#define GUEST_NUM_MAX 256
#define GUEST_HOST_FDS 4096
/* Room for data behind the header in the guest's receive buffers. */
#define GUEST_ROOM 4096u

/* Two regions that follow one another for the guest only, and one far away. */
static const struct {
	uint64_t guest;
	size_t size;
} guest_regions[GUEST_REGIONS] = {
	{ 0x1000, 0x300000 },
	{ 0x301000, 0x20000 },
	{ 0x100000000, 0x10000 },
};

struct guest_queue {
	uint16_t num;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint64_t buffer; /* of entry 0; entry i is @stride further */
	uint64_t table;	 /* indirect tables, one of 4 entries for each */
	size_t stride;
	uint16_t next_avail; /* free running */
	uint16_t next_used;
	int kick;
	int call;
	int err;
};

struct guest {
	struct backend *b;
	uint8_t *map[GUEST_REGIONS]; /* with the guard pages */
	uint64_t brk;
	struct guest_queue q[BACKEND_QUEUES];
	bool indirect;
	bool event_idx;
	uint64_t features;
	int dial_error; /* what the next dials return, 0: a socket */
	int host_fd[GUEST_HOST_FDS];
	unsigned int host_fds;
	unsigned int dials;
	int64_t now_ms;
};

struct guest_options {
	uint16_t num;
	uint16_t base;
	bool indirect;
	bool event_idx;
	size_t streams;
};

static inline uint8_t *guest_region(const struct guest *g, unsigned int i)
{
	return g->map[i] + GUEST_PAGE;
}

/* Where the guest's byte @gpa is here; it must be in one region. */
static inline void *guest_ptr(const struct guest *g, uint64_t gpa)
{
	for (unsigned int i = 0; i < GUEST_REGIONS; i++)
		if (gpa >= guest_regions[i].guest &&
		    gpa - guest_regions[i].guest < guest_regions[i].size)
			return guest_region(g, i) +
			       (gpa - guest_regions[i].guest);
	fail_msg("no guest memory at %#lx", (unsigned long)gpa);
	return NULL;
}

static inline uint64_t guest_alloc(struct guest *g, size_t size)
{
	const uint64_t at = (g->brk + GUEST_PAGE - 1) & ~(GUEST_PAGE - 1ull);

	g->brk = at + size;
	assert_true(g->brk <= guest_regions[0].guest + guest_regions[0].size);
	return at;
}

static inline void guest_put16(struct guest *g, uint64_t gpa, uint16_t v)
{
	__atomic_store_n((uint16_t *)guest_ptr(g, gpa), v, __ATOMIC_SEQ_CST);
}

static inline uint16_t guest_get16(struct guest *g, uint64_t gpa)
{
	return __atomic_load_n((uint16_t *)guest_ptr(g, gpa), __ATOMIC_SEQ_CST);
}

static inline int guest_dial(void *ctx, uint32_t port, int *ret_fd)
{
	struct guest *g = ctx;
	int pair[2];

	(void)port;
	g->dials++;
	if (g->dial_error != 0)
		return g->dial_error;
	assert_true(g->host_fds < GUEST_HOST_FDS);
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, pair),
			 0);
	g->host_fd[g->host_fds++] = pair[0];
	*ret_fd = pair[1];
	return 0;
}

static inline int guest_ioctl(struct guest *g, unsigned long request, void *arg)
{
	if (g->b == NULL) /* the device has a thread of its own */
		return worker_ioctl(request, arg);
	return ioctls_answer(g->b, request, arg);
}

static inline void guest_set_memory(struct guest *g)
{
	struct vhost_memory *t =
		calloc(1, sizeof(*t) + GUEST_REGIONS * sizeof(t->regions[0]));

	assert_non_null(t);
	t->nregions = GUEST_REGIONS;
	for (unsigned int i = 0; i < GUEST_REGIONS; i++)
		t->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = guest_regions[i].guest,
			.memory_size = guest_regions[i].size,
			.userspace_addr = (uintptr_t)guest_region(g, i),
		};
	assert_int_equal(guest_ioctl(g, VHOST_SET_MEM_TABLE, t), 0);
	free(t);
}

static inline void guest_set_addr(struct guest *g, unsigned int i, bool log)
{
	const struct guest_queue *q = &g->q[i];
	struct vhost_vring_addr a = {
		.index = i,
		.flags = log ? 1u << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = (uintptr_t)guest_ptr(g, q->desc),
		.avail_user_addr = (uintptr_t)guest_ptr(g, q->avail),
		.used_user_addr = (uintptr_t)guest_ptr(g, q->used),
		.log_guest_addr = q->used,
	};

	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_ADDR, &a), 0);
}

static inline void guest_set_file(struct guest *g, unsigned long request,
				  unsigned int i, int fd)
{
	struct vhost_vring_file f = { .index = i, .fd = fd };

	assert_int_equal(guest_ioctl(g, request, &f), 0);
}

static inline void guest_set_features(struct guest *g, bool log)
{
	uint64_t f = g->features;

	if (log)
		f |= 1ull << VHOST_F_LOG_ALL;
	assert_int_equal(guest_ioctl(g, VHOST_SET_FEATURES, &f), 0);
}

/* What QEMU does in vhost_dev_start(). */
static inline void guest_configure(struct guest *g, const uint16_t base[2])
{
	guest_set_features(g, false);
	guest_set_memory(g);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		struct vhost_vring_state s = { i, g->q[i].num };

		assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_NUM, &s), 0);
		s.num = base[i];
		assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_BASE, &s), 0);
		guest_set_addr(g, i, false);
		guest_set_file(g, VHOST_SET_VRING_KICK, i, g->q[i].kick);
		guest_set_file(g, VHOST_SET_VRING_CALL, i, g->q[i].call);
		guest_set_file(g, VHOST_SET_VRING_ERR, i, g->q[i].err);
	}
}

static inline int guest_running(struct guest *g, int on)
{
	return guest_ioctl(g, VHOST_VSOCK_SET_RUNNING, &on);
}

/* A new driver: empty rings whose indexes begin at @base. */
static inline void guest_init_queue(struct guest *g, unsigned int i,
				    uint16_t num, uint16_t base)
{
	struct guest_queue *q = &g->q[i];

	q->num = num;
	q->desc = guest_alloc(g, 16u * num);
	q->avail = guest_alloc(g, 6u + 2u * num);
	q->used = guest_alloc(g, 6u + 8u * num);
	q->stride = 2 * GUEST_ROOM;
	q->buffer = guest_alloc(g, q->stride * num);
	q->table = guest_alloc(g, 64u * num);
	q->next_avail = q->next_used = base;
	guest_put16(g, q->avail + 2, base);
	guest_put16(g, q->used + 2, base);
}

static inline void guest_kick(struct guest *g, unsigned int i)
{
	const uint64_t one = 1;

	assert_int_equal(write(g->q[i].kick, &one, sizeof(one)), sizeof(one));
}

/* Must the guest tell the device about the entries from @old on? */
static inline bool guest_must_kick(struct guest *g, unsigned int i,
				   uint16_t old)
{
	struct guest_queue *q = &g->q[i];
	const uint64_t event = q->used + 4 + 8u * q->num;

	if (g->event_idx)
		return vring_need_event(guest_get16(g, event), q->next_avail,
					old) != 0;
	return (guest_get16(g, q->used) & VRING_USED_F_NO_NOTIFY) == 0;
}

static inline void guest_desc(struct guest *g, uint64_t table, unsigned int i,
			      uint64_t addr, uint32_t len, uint16_t flags,
			      uint16_t next)
{
	const struct vring_desc d = { addr, len, flags, next };

	memcpy(guest_ptr(g, table + 16u * i), &d, sizeof(d));
}

/* Entry @slot becomes a chain of a 44-byte part and a part of @len bytes. */
static inline void guest_chain(struct guest *g, unsigned int i, uint16_t slot,
			       uint32_t len, uint16_t flags)
{
	struct guest_queue *q = &g->q[i];
	const uint64_t at = q->buffer + q->stride * slot;
	const uint64_t table = g->indirect ? q->table + 64u * slot : q->desc;

	if (!g->indirect) { /* one descriptor: any layout is allowed */
		guest_desc(g, table, slot, at, 44 + len, flags, 0);
		return;
	}
	guest_desc(g, table, 0, at, 44, flags | VRING_DESC_F_NEXT, 1);
	guest_desc(g, table, 1, at + 44, len, flags, 0);
	guest_desc(g, q->desc, slot, table, len > 0 ? 32 : 16,
		   VRING_DESC_F_INDIRECT, 0);
	if (len == 0)
		guest_desc(g, table, 0, at, 44, flags, 0);
}

/* Make descriptor @head available; kick when the device wants it. */
static inline void guest_offer(struct guest *g, unsigned int i, uint16_t head)
{
	struct guest_queue *q = &g->q[i];
	const uint16_t old = q->next_avail;

	guest_put16(g, q->avail + 4 + 2u * (old % q->num), head);
	q->next_avail++;
	guest_put16(g, q->avail + 2, q->next_avail);
	if (guest_must_kick(g, i, old))
		guest_kick(g, i);
}

static inline void guest_post_rx(struct guest *g, unsigned int count)
{
	struct guest_queue *q = &g->q[BACKEND_TO_GUEST];

	for (unsigned int k = 0; k < count; k++) {
		const uint16_t slot = q->next_avail % q->num;

		guest_chain(g, BACKEND_TO_GUEST, slot, GUEST_ROOM,
			    VRING_DESC_F_WRITE);
		guest_offer(g, BACKEND_TO_GUEST, slot);
	}
}

/* Let the device work until it has nothing to do. */
static inline void guest_turn(struct guest *g)
{
	struct epoll_event ev[BACKEND_EVENTS_MAX];

	for (int i = 0; i < 10000; i++) {
		const int n = backend_wait(g->b, ev, 0);

		if (n == 0 && i > 0 && backend_timeout(g->b, g->now_ms) != 0)
			return;
		backend_serve(g->b, ev, n, g->now_ms);
	}
	fail_msg("the device does not come to rest");
}

/* Time passes, and the device notices. */
static inline void guest_pass(struct guest *g, int64_t ms)
{
	g->now_ms += ms;
	guest_turn(g);
}

static inline uint16_t guest_tx_free(struct guest *g)
{
	const struct guest_queue *q = &g->q[BACKEND_FROM_GUEST];
	const uint16_t used = guest_get16(g, q->used + 2);

	return (uint16_t)(q->num - (uint16_t)(q->next_avail - used));
}

/* Put a packet in the ring; the header's addresses are filled in. */
static inline void guest_send_raw(struct guest *g, const struct packet *p,
				  const void *payload, uint32_t len)
{
	struct guest_queue *q = &g->q[BACKEND_FROM_GUEST];
	const uint16_t slot = q->next_avail % q->num;
	uint8_t *at = guest_ptr(g, q->buffer + q->stride * slot);

	if (guest_tx_free(g) == 0)
		guest_turn(g);
	assert_true(guest_tx_free(g) > 0);
	packet_put(at, p);
	if (len > 0)
		memcpy(at + 44, payload, len);
	guest_chain(g, BACKEND_FROM_GUEST, slot, len, 0);
	guest_offer(g, BACKEND_FROM_GUEST, slot);
}

/* The guest's end of a stream, with its credit. */
struct guest_stream {
	uint32_t port;
	uint32_t host_port;
	uint32_t alloc;
	uint32_t gone;
	uint32_t sent;
	uint32_t peer_alloc;
	uint32_t peer_gone;
};

static inline struct packet guest_packet(const struct guest_stream *s,
					 enum packet_op op)
{
	return (struct packet){
		.src_cid = GUEST_CID,
		.dst_cid = PACKET_CID_HOST,
		.src_port = s->port,
		.dst_port = s->host_port,
		.type = PACKET_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = s->alloc,
		.fwd_cnt = s->gone,
	};
}

static inline void guest_tell(struct guest *g, const struct guest_stream *s,
			      enum packet_op op, uint32_t flags)
{
	struct packet p = guest_packet(s, op);

	p.flags = flags;
	guest_send_raw(g, &p, NULL, 0);
	guest_turn(g);
}

static inline void guest_data(struct guest *g, struct guest_stream *s,
			      const void *data, uint32_t len)
{
	struct packet p = guest_packet(s, PACKET_DATA);

	p.len = len;
	s->sent += len;
	guest_send_raw(g, &p, data, len);
}

/*
 * The next packet to the guest. Return: true and @p, and the payload in @data
 * when it is not NULL (GUEST_ROOM bytes). The buffer is offered again.
 */
static inline bool guest_recv(struct guest *g, struct packet *p, void *data)
{
	struct guest_queue *q = &g->q[BACKEND_TO_GUEST];
	struct vring_used_elem e;
	const uint8_t *at;

	if (guest_get16(g, q->used + 2) == q->next_used)
		return false;
	memcpy(&e,
	       guest_ptr(g, q->used + 4 +
				    8u * (unsigned int)(q->next_used % q->num)),
	       sizeof(e));
	q->next_used++;
	assert_true(e.id < q->num);
	at = guest_ptr(g, q->buffer + q->stride * e.id);
	assert_true(e.len >= 44 && e.len <= 44 + GUEST_ROOM);
	packet_get(at, p);
	assert_int_equal(p->len, e.len - 44);
	assert_int_equal(p->src_cid, PACKET_CID_HOST);
	assert_int_equal(p->dst_cid, GUEST_CID);
	if (data != NULL && p->len > 0)
		memcpy(data, at + 44, p->len);
	guest_post_rx(g, 1);
	return true;
}

/* The next packet must be this one. */
static inline struct packet guest_expect(struct guest *g, enum packet_op op,
					 uint32_t port)
{
	struct packet p = { 0 };

	guest_turn(g);
	assert_true(guest_recv(g, &p, NULL));
	assert_int_equal(p.op, op);
	assert_int_equal(p.dst_port, port);
	return p;
}

static inline void guest_expect_nothing(struct guest *g)
{
	struct packet p = { 0 };

	guest_turn(g);
	if (guest_recv(g, &p, NULL))
		fail_msg("unexpected packet, op %u", p.op);
}

/* Open a stream; return: the host's end. */
static inline int guest_connect(struct guest *g, struct guest_stream *s,
				uint32_t port)
{
	struct packet p;

	*s = (struct guest_stream){
		.port = port,
		.host_port = 1000,
		.alloc = 0x40000,
	};
	guest_tell(g, s, PACKET_REQUEST, 0);
	p = guest_expect(g, PACKET_RESPONSE, port);
	s->peer_alloc = p.buf_alloc;
	return g->host_fd[g->host_fds - 1];
}

/* Memory, rings and eventfds, without a device. */
static inline struct guest *guest_prepare(const struct guest_options *o)
{
	struct guest *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->now_ms = 1000;
	g->brk = guest_regions[0].guest;
	g->indirect = o->indirect;
	g->event_idx = o->event_idx;
	g->features = 1ull << VIRTIO_F_VERSION_1 |
		      1ull << VIRTIO_RING_F_INDIRECT_DESC |
		      (o->event_idx ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0);
	for (unsigned int i = 0; i < GUEST_REGIONS; i++) {
		const size_t size = guest_regions[i].size;

		g->map[i] = mmap(NULL, size + 2ul * GUEST_PAGE, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(g->map[i], MAP_FAILED);
		assert_int_equal(mprotect(guest_region(g, i), size,
					  PROT_READ | PROT_WRITE),
				 0);
	}
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		guest_init_queue(g, i, o->num ? o->num : 64, o->base);
		g->q[i].kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		g->q[i].call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		g->q[i].err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	return g;
}

/* The guest's driver comes up. */
static inline void guest_boot(struct guest *g)
{
	const uint16_t base[2] = { g->q[0].next_avail, g->q[1].next_avail };
	uint64_t cid = GUEST_CID;

	assert_int_equal(guest_ioctl(g, VHOST_VSOCK_SET_GUEST_CID, &cid), 0);
	guest_configure(g, base);
	guest_post_rx(g, g->q[BACKEND_TO_GUEST].num);
	assert_int_equal(guest_running(g, 1), 0);
}

static inline struct guest *guest_new(const struct guest_options *o)
{
	struct guest *g = guest_prepare(o);

	assert_int_equal(backend_new(guest_dial, g,
				     o->streams ? o->streams : VCONNS_MAX,
				     &g->b),
			 0);
	guest_boot(g);
	return g;
}

/* No access at all to guest memory, or all of it again. */
static inline void guest_protect(const struct guest *g, int prot)
{
	for (unsigned int i = 0; i < GUEST_REGIONS; i++)
		assert_int_equal(mprotect(guest_region(g, i),
					  guest_regions[i].size, prot),
				 0);
}

/* Where the device goes on in a stopped queue. */
static inline uint16_t guest_base(struct guest *g, unsigned int i)
{
	struct vhost_vring_state s = { .index = i };

	assert_int_equal(guest_ioctl(g, VHOST_GET_VRING_BASE, &s), 0);
	return (uint16_t)s.num;
}

static inline void guest_free(struct guest *g)
{
	backend_free(g->b);
	for (unsigned int i = 0; i < g->host_fds; i++)
		if (g->host_fd[i] >= 0)
			(void)close(g->host_fd[i]);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		(void)close(g->q[i].kick);
		(void)close(g->q[i].call);
		(void)close(g->q[i].err);
	}
	for (unsigned int i = 0; i < GUEST_REGIONS; i++)
		(void)munmap(g->map[i], guest_regions[i].size + 2 * GUEST_PAGE);
	free(g);
}

/* Has this eventfd been written to since the last look? */
static inline bool guest_signalled(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* Close the host's end number @i. */
static inline void guest_host_close(struct guest *g, unsigned int i)
{
	(void)close(g->host_fd[i]);
	g->host_fd[i] = -1;
}

static inline size_t guest_streams(const struct guest *g)
{
	return g->b->conns.used;
}

#endif
