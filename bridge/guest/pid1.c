#include "bridge/guest/pid1.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/num.h"
#include "config/util.h"

/* Numbers of different agents differ above this bit. */
#define NUMBER_SHIFT 32
_Static_assert(UINT64_C(1) << NUMBER_SHIFT == PID1_NUMBERS,
	       "the first agent is number 1");

/* Without it nothing is taken over, and all would be lost. */
#define HELLO_TRIES 2

void pid1_init(struct pid1 *p)
{
	*p = (struct pid1){ .fd = -1 };
}

static struct pid1_packet *queued(struct pid1 *p, unsigned int i)
{
	return &p->queue[(p->first + i) & (p->capacity - 1)];
}

static int queue_resize(struct pid1 *p, unsigned int capacity)
{
	struct pid1_packet *to = calloc(capacity, sizeof(*to));

	if (!to)
		return -ENOMEM;
	for (unsigned int i = 0; i < p->n_queued; i++)
		to[i] = *queued(p, i);
	free(p->queue);
	p->queue = to;
	p->capacity = capacity;
	p->first = 0;
	return 0;
}

/* Room for one more. */
static int queue_grow(struct pid1 *p)
{
	if (p->n_queued < p->capacity)
		return 0;
	if (p->n_queued >= PID1_QUEUE_MAX)
		return -ENOBUFS;
	return queue_resize(p, p->capacity > 0 ? p->capacity * 2
					       : PID1_QUEUE_KEPT);
}

/* What a burst needed is given back. */
static void queue_shrink(struct pid1 *p)
{
	if (p->n_queued == 0 && p->capacity > PID1_QUEUE_KEPT)
		(void)queue_resize(p, PID1_QUEUE_KEPT);
}

static void forget_queue(struct pid1 *p)
{
	for (unsigned int i = 0; i < p->n_queued; i++)
		fd_close(&queued(p, i)->fd);
	free(mem_take(&p->queue));
	p->n_queued = p->capacity = 0;
}

static void pid1_lose(struct pid1 *p, const char *why)
{
	if (p->fd < 0)
		return;
	log_warn("PID 1 is not used any more: %s", why);
	loop_unwatch(p->loop, &p->watch);
	fd_close(&p->fd);
	forget_queue(p);
	if (p->on_lost)
		p->on_lost(p->ctx);
}

void pid1_listen(struct pid1 *p, pid1_told_fn *told, pid1_lost_fn *lost,
		 void *ctx)
{
	p->on_told = told;
	p->on_lost = lost;
	p->ctx = ctx;
}

void pid1_done(struct pid1 *p)
{
	if (p->fd >= 0)
		loop_unwatch(p->loop, &p->watch);
	fd_close(&p->fd);
	forget_queue(p);
	free(mem_take(&p->early));
	if (p->ring) {
		union {
			const struct control_ring *ring;
			void *start;
		} at = { .ring = p->ring };

		(void)munmap(at.start, p->ring_bytes);
		p->ring = NULL;
	}
}

static bool wait_for(int fd, short events, int ms)
{
	struct pollfd f = { .fd = fd, .events = events };

	return poll(&f, 1, ms) == 1 && (f.revents & events) != 0;
}

/* Room is watched for only while something waits for it. */
static void pid1_rewatch(struct pid1 *p)
{
	loop_rewatch(p->loop, p->watch,
		     p->n_queued > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Sends what the socket takes now. */
static void send_queue(struct pid1 *p)
{
	struct err e = { 0 };
	int r = 0;

	while (p->fd >= 0 && p->n_queued > 0 && r == 0) {
		struct pid1_packet *q = queued(p, 0);

		r = control_send(p->fd, &q->msg, &q->fd, q->fd >= 0 ? 1 : 0,
				 &e);
		if (r == 0) {
			fd_close(&q->fd);
			p->first = (p->first + 1) & (p->capacity - 1);
			p->n_queued--;
		} else if (r != -EAGAIN) {
			pid1_lose(p, e.text);
		}
	}
	queue_shrink(p);
}

/* @fd: taken, -1: none */
static void send_with(struct pid1 *p, const struct control_msg *m, int fd)
{
	const bool waits = p->n_queued > 0;
	const int r = p->fd >= 0 ? queue_grow(p) : 0;

	if (r < 0)
		pid1_lose(p, r == -ENOMEM ? "no memory for what it is told"
					  : "it does not read");
	if (p->fd < 0) {
		fd_close(&fd);
		return;
	}
	*queued(p, p->n_queued++) = (struct pid1_packet){ *m, fd };
	if (waits)
		return; /* in its turn */
	send_queue(p);
	if (p->fd >= 0 && p->n_queued > 0)
		pid1_rewatch(p);
}

static void pid1_send(struct pid1 *p, const struct control_msg *m)
{
	send_with(p, m, -1);
}

static void close_all(int fds[CONTROL_FDS_MAX])
{
	for (unsigned int i = 0; i < CONTROL_FDS_MAX; i++)
		fd_close(&fds[i]);
}

/* Return: did somebody here want to know? */
static bool tell(const struct pid1 *p, const struct control_msg *m, int *pidfd)
{
	struct pid1_told t = {
		.registered = m->op == CONTROL_OP_REGISTER,
		.result = m->result,
		.ticket = m->ticket,
		.pid = m->pid,
		.pidfd = fd_take(pidfd),
		.exited = m->op == CONTROL_OP_EXIT ||
			  (m->flags & CONTROL_FLAG_EXITED) != 0,
		.status = m->status,
	};
	const bool known = p->on_told && p->on_told(p->ctx, &t);

	fd_close(&t.pidfd);
	return known;
}

static void acknowledge(struct pid1 *p, const struct control_msg *m)
{
	const struct control_msg ack = {
		.op = CONTROL_OP_EXIT_ACK,
		.ticket = m->ticket,
		.pid = m->pid,
	};

	pid1_send(p, &ack);
}

static void on_exit_told(struct pid1 *p, const struct control_msg *m, int *fd)
{
	if (!tell(p, m, fd))
		log_info("process pid=%d of an earlier agent has ended",
			 m->pid);
	acknowledge(p, m);
}

static void on_registered(struct pid1 *p, const struct control_msg *m, int *fd)
{
	/* What was reaped here before PID 1 came to look for it needs no
	 * ticket any more. */
	if (m->result == -ESRCH)
		pid1_ticket_close(p, m->tag);
	if (tell(p, m, fd) && (m->flags & CONTROL_FLAG_EXITED) != 0)
		acknowledge(p, m);
}

/* What PID 1 says on its own, and what it says to us. */
static void on_packet(struct pid1 *p, const struct control_msg *m, int *fd)
{
	if (m->op == CONTROL_OP_EXIT) {
		on_exit_told(p, m, fd);
		return;
	}
	if (m->op == CONTROL_OP_REGISTER)
		on_registered(p, m, fd);
	if (m->result == 0 ||
	    (m->op == CONTROL_OP_REGISTER && m->result == -ESRCH) ||
	    (m->op == CONTROL_OP_REAPED && m->result == -ENOENT) ||
	    (m->op == CONTROL_OP_WITHDRAW && m->result == -ENOENT))
		return;
	p->refused++;
	log_warn("PID 1 refused op=%u: %s", m->op, strerror(-m->result));
}

static void pid1_read(struct pid1 *p)
{
	struct control_msg m;
	int fds[CONTROL_FDS_MAX];
	struct err e = { 0 };
	int r = 1;

	while (r > 0 && p->fd >= 0) {
		r = control_recv(p->fd, &m, fds, &e);
		if (r <= 0)
			break;
		on_packet(p, &m, &fds[0]);
		close_all(fds);
	}
	if (r == 0)
		pid1_lose(p, "it hung up");
	else if (r < 0 && r != -EAGAIN)
		pid1_lose(p, e.text);
}

static void on_ready(void *ctx, uint32_t events)
{
	struct pid1 *p = ctx;

	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		pid1_read(p);
	send_queue(p);
	if (p->fd >= 0)
		pid1_rewatch(p);
}

/* Return: true when descriptor CONTROL_FD is what the environment promises */
static bool is_control_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

static void map_ring(struct pid1 *p, int fd)
{
	const struct control_ring *ring;
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < CONTROL_RING_DATA)
		return;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return;
	ring = at;
	if (ring->magic != CONTROL_RING_MAGIC || ring->size == 0 ||
	    ring->size > (uint64_t)st.st_size - CONTROL_RING_DATA) {
		(void)munmap(at, (size_t)st.st_size);
		return;
	}
	p->ring = ring;
	p->ring_bytes = (uint64_t)st.st_size;
}

/* Told before anybody can know the process. */
static int keep_early(struct pid1 *p, const struct control_msg *m,
		      struct err *e)
{
	struct control_msg *more =
		realloc(p->early, (p->n_early + 1) * sizeof(*more));

	if (!more)
		return err_set(e, ENOMEM, "no memory for an exit");
	p->early = more;
	p->early[p->n_early++] = *m;
	return 0;
}

int pid1_ask(struct pid1 *p, struct control_msg *m, int fds[CONTROL_FDS_MAX],
	     struct err *e)
{
	const uint32_t op = m->op;
	int r = control_send(p->fd, m, NULL, 0, e);

	while (r >= 0) {
		if (!wait_for(p->fd, POLLIN, PID1_HELLO_MS))
			return err_set(e, ETIMEDOUT, "PID 1 does not answer");
		r = control_recv(p->fd, m, fds, e);
		if (r <= 0)
			return r < 0 ? r : err_set(e, EPIPE, "PID 1 hung up");
		if (m->op == op)
			return 0;
		close_all(fds);
		r = m->op == CONTROL_OP_EXIT ? keep_early(p, m, e) : 0;
	}
	return r;
}

static int hello(struct pid1 *p, struct err *e)
{
	struct control_msg m = { .op = CONTROL_OP_HELLO,
				 .arg = CONTROL_VERSION };
	int fds[CONTROL_FDS_MAX];
	const int r = pid1_ask(p, &m, fds, e);

	if (r < 0)
		return r;
	map_ring(p, fds[0]);
	close_all(fds);
	if (m.result < 0)
		return err_set(e, -m.result, "PID 1 refused the hello: %s",
			       strerror(-m.result));
	p->incarnation = m.arg;
	p->poisoned = (m.flags & CONTROL_FLAG_POISONED) != 0;
	p->migratable = (m.flags & CONTROL_FLAG_MIGRATABLE) != 0;
	return 0;
}

int pid1_attach(struct pid1 *p, struct loop *l, struct err *e)
{
	const char *name = getenv(CONTROL_ENV);
	uint32_t number = 0;
	int r;

	if (!name)
		return 0;
	r = num_u32(name, 3, INT32_MAX, &number, e);
	if (r == 0 && !is_control_socket((int)number))
		r = err_set(e, ENOTSOCK, "%s=%u is no control socket",
			    CONTROL_ENV, number);
	(void)unsetenv(CONTROL_ENV); /* what we start is not the agent */
	if (r < 0)
		return r;
	p->loop = l;
	p->fd = (int)number;
	r = fd_cloexec(p->fd, true);
	for (int i = 0; r == 0 && i < HELLO_TRIES; i++)
		if (hello(p, e) == 0)
			return 0;
	fd_close(&p->fd);
	return err_code(e);
}

int pid1_go_on(struct pid1 *p, struct err *e)
{
	struct control_msg *early = mem_take(&p->early);
	int none = -1;
	int r;

	if (p->fd < 0)
		return 0;
	r = loop_watch(p->loop, p->fd, EPOLLIN, on_ready, p, &p->watch, e);
	if (r == 0)
		pid1_rewatch(p);
	else
		fd_close(&p->fd);
	for (size_t i = 0; r == 0 && i < p->n_early; i++)
		on_packet(p, &early[i], &none);
	free(early);
	return r;
}

void pid1_stable(struct pid1 *p)
{
	const struct control_msg m = { .op = CONTROL_OP_STABLE };

	if (p->stable)
		return;
	p->stable = true;
	pid1_send(p, &m);
}

uint64_t pid1_number(struct pid1 *p)
{
	return p->fd < 0 ? 0 : p->incarnation << NUMBER_SHIFT | ++p->numbers;
}

uint64_t pid1_ticket(struct pid1 *p)
{
	struct control_msg m = { .op = CONTROL_OP_TICKET_OPEN };

	m.ticket = pid1_number(p);
	m.tag = m.ticket;
	if (m.ticket != 0)
		pid1_send(p, &m);
	return m.ticket;
}

void pid1_deposit(struct pid1 *p, uint64_t object, uint32_t role, int fd)
{
	const struct control_msg m = { .op = CONTROL_OP_DEPOSIT,
				       .object = object,
				       .role = role };
	int copy;

	if (object == 0 || p->fd < 0)
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy >= 0)
		send_with(p, &m, copy);
	else if (errno != EBADF) /* there is nothing to give */
		pid1_lose(p, "no descriptor for a deposit");
}

void pid1_withdraw(struct pid1 *p, uint64_t object, uint32_t role)
{
	const struct control_msg m = { .op = CONTROL_OP_WITHDRAW,
				       .object = object,
				       .role = role };

	if (object != 0)
		pid1_send(p, &m);
}

/* Its answers are left to the loop: reading them may end processes. A PID 1
 * that waits for room for an answer is one whose questions have all come. */
void pid1_flush(struct pid1 *p)
{
	for (int ms = 0; p->n_queued > 0 && !p->slow && ms < PID1_FLUSH_MS;
	     ms++) {
		(void)wait_for(p->fd, POLLOUT, 1);
		send_queue(p);
	}
	p->slow = p->n_queued > 0;
}

static void send_ticket(struct pid1 *p, enum control_op op, uint64_t ticket,
			pid_t pid)
{
	const struct control_msg m = {
		.op = op,
		.tag = ticket,
		.ticket = ticket,
		.pid = pid,
		.object = ticket,
	};

	if (ticket != 0)
		pid1_send(p, &m);
}

void pid1_ticket_close(struct pid1 *p, uint64_t ticket)
{
	send_ticket(p, CONTROL_OP_TICKET_CLOSE, ticket, 0);
}

void pid1_register(struct pid1 *p, uint64_t ticket, pid_t pid)
{
	send_ticket(p, CONTROL_OP_REGISTER, ticket, pid);
}

void pid1_reaped(struct pid1 *p, uint64_t ticket)
{
	send_ticket(p, CONTROL_OP_REAPED, ticket, 0);
}

bool pid1_poweroff(struct pid1 *p)
{
	const struct control_msg m = { .op = CONTROL_OP_POWEROFF,
				       .arg = CONTROL_END_ORDERLY };

	pid1_send(p, &m);
	return p->fd >= 0;
}

/* The oldest byte that cannot be overtaken while it is copied: its writer may
 * take the oldest half meanwhile. */
static uint64_t oldest(const struct control_ring *r, uint64_t head)
{
	return head > r->size / 2 ? head - r->size / 2 : 0;
}

bool pid1_log_read(const struct pid1 *p, uint64_t from, size_t max,
		   struct pid1_log *ret, struct text *out)
{
	const struct control_ring *r = p->ring;
	const char *data;
	uint64_t first;

	if (!r)
		return false;
	data = (const char *)r + CONTROL_RING_DATA;
	ret->head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
	ret->dropped = __atomic_load_n(&r->dropped, __ATOMIC_RELAXED);
	first = oldest(r, ret->head);
	ret->from = from < first ? first : from > ret->head ? ret->head : from;
	for (uint64_t at = ret->from; at < ret->head && at - ret->from < max;
	     at++) {
		const char c = data[at % r->size];

		text_addc(out, c == '\n' || c == '\t' || (c >= ' ' && c <= '~')
				       ? c
				       : '?');
	}
	return true;
}

void pid1_log_tail(const struct pid1 *p, size_t max, struct text *out)
{
	struct pid1_log log;
	uint64_t head;

	if (!p->ring)
		return;
	head = __atomic_load_n(&p->ring->head, __ATOMIC_ACQUIRE);
	(void)pid1_log_read(p, head > max ? head - max : 0, max, &log, out);
}
