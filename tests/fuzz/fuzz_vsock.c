/*
 * tests/fuzz/fuzz_vsock.c - the vsock device under a hostile guest
 *
 * The input is a little program: each step writes into rings, descriptors,
 * tables or headers, sends a packet that is nearly right, plays with the host's
 * ends of the streams, or does what QEMU does. Guest memory has guard pages and
 * the dirty bitmap ends where it must, so an access outside of either is seen.
 * After each step the device must come to rest, within its limits.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/num.h"
#include "config/util.h"
#include "tools/vsock/backend.h"
#include "tools/vsock/ioctls.h"

#define PAGE 4096u
#define REGIONS 2
#define STREAMS_MAX 8u
#define HOST_FDS 16u
#define STEPS_MAX 400u
#define NUM 8u
#define CID 7u
/* More turns than this, without anybody doing anything, is a hang. */
#define TURNS_MAX 1000

/* They follow one another for the guest, and are far apart here. */
static const struct {
	uint64_t guest;
	uint32_t size;
} regions[REGIONS] = { { 0x1000, 0x8000 }, { 0x9000, 0x4000 } };

/* Guest pages up to the end of the last region, so bytes of the bitmap. */
#define BITMAP_BYTES 2u

static const uint64_t rings[BACKEND_QUEUES][3] = {
	{ 0x1000, 0x1100, 0x1200 },
	{ 0x1400, 0x1500, 0x1600 },
};

#define TABLES 0x2000u
#define BUFFERS 0x3000u

struct fuzz {
	const uint8_t *data;
	size_t size;
	struct backend *b;
	uint8_t *bitmap;
	uint16_t avail[BACKEND_QUEUES];
	int host_fd[HOST_FDS];
	unsigned int next_fd;
	int dial_error;
	int64_t now_ms;
	struct sockaddr_un at; /* where host programs begin streams */
	socklen_t at_len;
};

static uint8_t *memory[REGIONS];

static uint8_t byte(struct fuzz *f)
{
	if (f->size == 0)
		return 0;
	f->size--;
	return *f->data++;
}

static uint16_t word(struct fuzz *f)
{
	const uint8_t low = byte(f);

	return (uint16_t)(low | byte(f) << 8);
}

static void map_memory(void)
{
	for (unsigned int i = 0; i < REGIONS; i++) {
		uint8_t *at;

		if (memory[i] == NULL) {
			at = mmap(NULL, regions[i].size + 2 * PAGE, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			FUZZ_CHECK(at != MAP_FAILED);
			memory[i] = at + PAGE;
			FUZZ_CHECK(mprotect(memory[i], regions[i].size,
					    PROT_READ | PROT_WRITE) == 0);
		}
		memset(memory[i], 0, regions[i].size);
	}
}

/* Write wherever the guest can; what is outside is left out. */
static void poke(uint64_t gpa, const void *data, size_t len)
{
	for (unsigned int i = 0; i < REGIONS; i++) {
		const uint64_t low = regions[i].guest;
		const uint64_t high = low + regions[i].size;
		const uint64_t from = gpa > low ? gpa : low;
		const uint64_t to = gpa + len < high ? gpa + len : high;

		if (from < to)
			memcpy(memory[i] + (from - low),
			       (const uint8_t *)data + (from - gpa), to - from);
	}
}

static void poke16(uint64_t gpa, uint16_t v)
{
	uint8_t b[2];

	le16_put(b, v);
	poke(gpa, b, sizeof(b));
}

static void poke_desc(uint64_t at, uint64_t addr, uint32_t len, uint16_t flags,
		      uint16_t next)
{
	const struct vring_desc d = { addr, len, flags, next };

	poke(at, &d, sizeof(d));
}

static void offer(struct fuzz *f, unsigned int q, uint16_t head)
{
	poke16(rings[q][1] + 4 + 2ull * (f->avail[q]++ % NUM), head);
	poke16(rings[q][1] + 2, f->avail[q]);
}

static int dial(void *ctx, uint32_t port, int *ret_fd)
{
	struct fuzz *f = ctx;
	int *slot = &f->host_fd[f->next_fd++ % HOST_FDS];
	int pair[2] = { -1, -1 };

	(void)port;
	if (f->dial_error != 0)
		return f->dial_error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       pair) < 0)
		return -errno;
	if (*slot >= 0)
		(void)close(*slot);
	*slot = pair[0];
	*ret_fd = pair[1];
	return 0;
}

static void set_memory(struct fuzz *f, unsigned int kind)
{
	struct vhost_memory *t =
		calloc(1, sizeof(*t) + REGIONS * sizeof(t->regions[0]));

	FUZZ_CHECK(t != NULL);
	t->nregions = kind % 4 == 3 ? 0 : kind % 4 == 2 ? 1 : REGIONS;
	for (unsigned int i = 0; i < t->nregions; i++)
		t->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = regions[i].guest,
			.memory_size = kind % 4 == 1 ? regions[i].size - 3
						     : regions[i].size,
			.userspace_addr = (uintptr_t)memory[i],
		};
	(void)ioctls_answer(f->b, VHOST_SET_MEM_TABLE, t);
	free(t);
}

static uint64_t here(uint64_t gpa)
{
	return (uintptr_t)memory[0] + (gpa - regions[0].guest);
}

static void set_addr(struct fuzz *f, unsigned int q, uint16_t move, bool log)
{
	struct vhost_vring_addr a = {
		.index = q,
		.flags = log ? 1u << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = here(rings[q][0] + move),
		.avail_user_addr = here(rings[q][1] + move),
		.used_user_addr = here(rings[q][2] + move),
		.log_guest_addr = rings[q][2] + move,
	};

	(void)ioctls_answer(f->b, VHOST_SET_VRING_ADDR, &a);
}

static void set_running(struct fuzz *f, int on)
{
	(void)ioctls_answer(f->b, VHOST_VSOCK_SET_RUNNING, &on);
}

static void set_state(struct fuzz *f, unsigned long request, unsigned int q,
		      uint32_t num)
{
	struct vhost_vring_state s = { q, num };

	(void)ioctls_answer(f->b, request, &s);
}

static void set_features(struct fuzz *f, uint8_t choice)
{
	uint64_t features = 1ull << VIRTIO_F_VERSION_1;

	if (choice & 1)
		features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	if (choice & 2)
		features |= 1ull << VHOST_F_LOG_ALL;
	if (choice & 4)
		features |= 1ull << VIRTIO_F_NOTIFY_ON_EMPTY;
	if (choice & 8)
		features |= (uint64_t)choice << 36;
	(void)ioctls_answer(f->b, VHOST_SET_FEATURES, &features);
}

static void start(struct fuzz *f)
{
	uint64_t cid = CID;
	uint64_t log = (uintptr_t)f->bitmap;

	(void)ioctls_answer(f->b, VHOST_VSOCK_SET_GUEST_CID, &cid);
	(void)ioctls_answer(f->b, VHOST_SET_LOG_BASE, &log);
	set_features(f, byte(f));
	set_memory(f, 0);
	for (unsigned int q = 0; q < BACKEND_QUEUES; q++) {
		set_state(f, VHOST_SET_VRING_NUM, q, NUM);
		set_state(f, VHOST_SET_VRING_BASE, q, 0);
		set_addr(f, q, 0, true);
	}
	set_running(f, 1);
}

/* --- steps ---------------------------------------------------------------- */

static void step_poke(struct fuzz *f)
{
	const uint64_t at = 0x1000u + word(f) % 0xc000u;
	uint8_t bytes[16];
	const size_t n = 1u + byte(f) % sizeof(bytes);

	for (size_t i = 0; i < n; i++)
		bytes[i] = byte(f);
	poke(at, bytes, n);
}

static void step_desc(struct fuzz *f)
{
	static const uint64_t bases[] = { 0,	  0x1000, 0x8ff0,  0xcff0,
					  TABLES, ~15ull, BUFFERS, 1ull << 63 };
	static const uint32_t lens[] = { 0,	 16,	 44,	     128,
					 0x1000, 0x4000, 0xffffffff, 0x10000 };
	const uint8_t where = byte(f);
	const uint8_t what = byte(f);
	const uint64_t at =
		where & 0x80 ? TABLES + 16ull * (where & 0x7f)
			     : rings[where & 1][0] + 16ull * (where / 2 % NUM);

	poke_desc(at, bases[what & 7] + byte(f), lens[what >> 3 & 7] + byte(f),
		  byte(f) & 7, byte(f) % (NUM + 1));
}

static void step_offer(struct fuzz *f)
{
	const uint8_t b = byte(f);

	offer(f, b & 1, (b >> 1) % (NUM + 1));
	if (b >= 0xf0)
		poke16(rings[b & 1][1] + 2, (uint16_t)(f->avail[b & 1] + b));
}

static void step_packet(struct fuzz *f)
{
	const uint8_t shape = byte(f);
	const uint32_t real = word(f) % 0x2000u;
	const uint16_t slot = f->avail[BACKEND_FROM_GUEST] % NUM;
	const uint64_t at = shape & 1 ? 0x9000u - 1u - shape % 64u
				      : BUFFERS + 0x100u * slot;
	const uint64_t table = TABLES + 0x40u * slot;
	struct packet p = {
		.src_cid = shape < 0xf8 ? CID : shape,
		.dst_cid = PACKET_CID_HOST,
		.src_port = byte(f) % 12u,
		.dst_port = (shape & 4 ? 0x40000000u : 0) + byte(f) % 3u,
		.len = shape < 0xf0 ? real : real + 1,
		.type = shape == 0xe0 ? 2 : PACKET_TYPE_STREAM,
		.op = byte(f) % 9,
		.flags = byte(f),
		.buf_alloc = (uint32_t)byte(f) << 10,
		.fwd_cnt = byte(f),
	};
	uint8_t header[PACKET_HEADER_SIZE];

	if (p.op != PACKET_DATA && shape < 0x80)
		p.len = 0;
	packet_put(header, &p);
	poke(at, header, sizeof(header));
	if (shape & 2) {
		poke_desc(table, at, 44, VRING_DESC_F_NEXT, 1);
		poke_desc(table + 16, at + 44, real, 0, 0);
		poke_desc(rings[1][0] + 16ull * slot, table, 32,
			  VRING_DESC_F_INDIRECT, 0);
	} else {
		poke_desc(rings[1][0] + 16ull * slot, at, 44 + real, 0, 0);
	}
	offer(f, BACKEND_FROM_GUEST, slot);
}

static void step_room(struct fuzz *f)
{
	const uint8_t b = byte(f);
	const uint32_t len = word(f) % 0x1100u;

	for (unsigned int i = 0; i <= b % NUM; i++) {
		const uint16_t slot = f->avail[BACKEND_TO_GUEST] % NUM;

		poke_desc(rings[0][0] + 16ull * slot,
			  b & 0x80 ? 0x9000u - len / 2 : BUFFERS + 0x1000u, len,
			  VRING_DESC_F_WRITE, 0);
		offer(f, BACKEND_TO_GUEST, slot);
	}
}

static void step_host(struct fuzz *f)
{
	static uint8_t bytes[0x8000];
	const uint8_t b = byte(f);
	int *fd = &f->host_fd[b % HOST_FDS];

	if (*fd < 0)
		return;
	switch (b >> 5) {
	case 0:
	case 1:
		(void)!send(*fd, bytes, word(f) % sizeof(bytes), MSG_NOSIGNAL);
		break;
	case 2:
	case 3:
		(void)!read(*fd, bytes, sizeof(bytes));
		break;
	case 4:
		(void)close(*fd);
		*fd = -1;
		break;
	case 5:
	case 6:
	default:
		(void)shutdown(*fd, (b >> 5) - 5); /* RD, WR, RDWR */
		break;
	}
}

static void step_qemu(struct fuzz *f)
{
	const uint8_t b = byte(f);

	switch (b % 8) {
	case 0:
		set_running(f, 0);
		if (b & 0x80)
			f->avail[0] = f->avail[1] = 0;
		for (unsigned int q = 0; q < BACKEND_QUEUES && b & 0x40; q++)
			set_state(f, VHOST_SET_VRING_BASE, q, f->avail[q]);
		break;
	case 1:
		set_running(f, 1);
		break;
	case 2:
		set_memory(f, b >> 3);
		break;
	case 3:
		set_addr(f, b >> 7, word(f), (b & 8) != 0);
		break;
	case 4:
		set_addr(f, b >> 7, 0, (b & 8) != 0);
		break;
	case 5:
		set_features(f, b >> 3);
		break;
	case 6:
		set_state(f, VHOST_SET_VRING_NUM, b >> 7, 1u << (b >> 3 & 15));
		break;
	default:
		f->dial_error = b & 0x80 ? -EAGAIN : b & 0x40 ? -ENOENT : 0;
		break;
	}
}

/* A host program begins a stream, or says something else. */
static void step_begin(struct fuzz *f)
{
	static const char *const lines[] = { "CONNECT 1\n", "CONNECT 2\nmore",
					     "CONNECT ", "CONNECT 4294967296\n",
					     "\n" };
	const char *line = lines[byte(f) % ARRAY_LEN(lines)];
	int *slot = &f->host_fd[f->next_fd++ % HOST_FDS];

	if (*slot >= 0)
		(void)close(*slot);
	*slot = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*slot < 0 ||
	    connect(*slot, (const struct sockaddr *)&f->at, f->at_len) < 0)
		return; /* a full backlog */
	(void)!send(*slot, line, strlen(line), MSG_NOSIGNAL);
}

static void step_time(struct fuzz *f)
{
	f->now_ms += 1 + 8 * word(f);
}

typedef void step_fn(struct fuzz *f);

/* What a lively guest does often is here often. */
static step_fn *const steps[] = {
	step_packet, step_packet, step_packet, step_packet,
	step_room,   step_room,	  step_host,   step_host,
	step_host,   step_qemu,	  step_poke,   step_desc,
	step_offer,  step_time,	  step_begin,  step_room,
};

/* --- what must hold ------------------------------------------------------- */

static void check(struct fuzz *f)
{
	size_t used = 0;

	const struct vconn *c;

	for (size_t i = 0; (c = vconns_at(&f->b->conns, i)) != NULL; i++) {
		used += c->state != VCONN_FREE;
		FUZZ_CHECK(c->fifo.len <= c->room);
		FUZZ_CHECK(c->state == VCONN_FREE ? c->fd < 0 : true);
	}
	FUZZ_CHECK(used == f->b->conns.used && used <= STREAMS_MAX);
	FUZZ_CHECK(f->b->resets <= BACKEND_RESETS_MAX);
	FUZZ_CHECK(f->b->pieces.n <= VQUEUE_PIECES_MAX);
}

static void rest(struct fuzz *f)
{
	struct epoll_event ev[BACKEND_EVENTS_MAX];
	int turns = 0;

	do {
		const int n = backend_wait(f->b, ev, 0);

		backend_serve(f->b, ev, n, f->now_ms);
		FUZZ_CHECK(++turns < TURNS_MAX);
	} while (backend_timeout(f->b, f->now_ms) == 0);
	check(f);
}

/* A listener with a name that the kernel chooses, in no file system. */
static void listen_anywhere(struct fuzz *f)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	const int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	f->at_len = sizeof(f->at);
	FUZZ_CHECK(bind(fd, (const struct sockaddr *)&any,
			sizeof(any.sun_family)) == 0);
	FUZZ_CHECK(listen(fd, 4) == 0);
	FUZZ_CHECK(getsockname(fd, (struct sockaddr *)&f->at, &f->at_len) == 0);
	FUZZ_CHECK(backend_set_listener(f->b, fd) == 0);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz f = { .data = data, .size = size, .now_ms = 1 };

	map_memory();
	f.bitmap = calloc(1, BITMAP_BYTES);
	FUZZ_CHECK(f.bitmap != NULL);
	for (unsigned int i = 0; i < HOST_FDS; i++)
		f.host_fd[i] = -1;
	FUZZ_CHECK(backend_new(dial, &f, STREAMS_MAX, &f.b) == 0);
	listen_anywhere(&f);
	start(&f);
	for (unsigned int i = 0; i < STEPS_MAX && f.size > 0; i++) {
		steps[byte(&f) % ARRAY_LEN(steps)](&f);
		rest(&f);
	}
	backend_free(f.b);
	for (unsigned int i = 0; i < HOST_FDS; i++)
		if (f.host_fd[i] >= 0)
			(void)close(f.host_fd[i]);
	free(f.bitmap);
	return 0;
}
