/*
 * tests/unit/cutting_proxy.h - a process between a guest and a host that cuts
 * connections behind any byte
 *
 * It listens where the guest dials: on the bridge's port, and on PROXY_LISTEN
 * ports of streams, which follow those that are used. Each connection has a budget of bytes, both directions together; when it
 * is used up, what was read and not passed on is lost, and either this
 * connection or all of them end. The numbers are the same in each run; what
 * happens is not, for the kernel schedules.
 */
#ifndef FERRY_TESTS_UNIT_CUTTING_PROXY_H
#define FERRY_TESTS_UNIT_CUTTING_PROXY_H

#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/transport.h"
#include "bridge/wire.h"
#include "tests/unit/pick.h"

/* Ports of streams that are listened on at once; slot 0 is the bridge's. */
#define PROXY_LISTEN 512u
#define PROXY_SLOTS (PROXY_LISTEN + 1)
#define PROXY_CONNECTIONS 64
#define PROXY_POLL (PROXY_SLOTS + 2 * PROXY_CONNECTIONS)
/* Budgets: most of the time small, now and then large. */
#define PROXY_SMALL 400u
#define PROXY_MIDDLE 8000u
#define PROXY_LARGE 120000u
/* One of so many cuts ends all connections. */
#define PROXY_ALL 4u

struct proxy {
	pid_t pid;
	uint32_t *cuts;
};

/* One connection: what one end sent and the other has not taken yet. */
struct proxy_pair {
	int fd[2];
	uint8_t held[2][4096];
	size_t held_len[2];
	size_t budget;
};

struct proxy_state {
	struct transport from;
	struct transport to;
	uint32_t lowest; /* port that is listened on */
	int listener[PROXY_SLOTS];
	uint32_t port[PROXY_SLOTS];
	struct proxy_pair pair[PROXY_CONNECTIONS];
	uint32_t *cuts;
};

static bool proxy_whole; /* nothing is cut */

static inline size_t proxy_budget(bool bridge)
{
	const uint32_t kind = pick(8);

	if (proxy_whole)
		return SIZE_MAX;
	if (bridge) /* a negotiation has to fit in now and then */
		return 500 + pick(4 * PROXY_MIDDLE);
	if (kind < 4)
		return 1 + pick(PROXY_SMALL);
	return 1 + pick(kind < 7 ? PROXY_MIDDLE : PROXY_LARGE);
}

static inline void proxy_drop(struct proxy_pair *p)
{
	fd_close(&p->fd[0]);
	fd_close(&p->fd[1]);
	p->held_len[0] = 0;
	p->held_len[1] = 0;
}

static inline void proxy_cut(struct proxy_state *s, struct proxy_pair *p)
{
	(void)__atomic_add_fetch(s->cuts, 1, __ATOMIC_RELAXED);
	proxy_drop(p);
	if (pick(PROXY_ALL) != 0)
		return;
	for (int i = 0; i < PROXY_CONNECTIONS; i++)
		proxy_drop(&s->pair[i]);
}

static inline void proxy_listen(struct proxy_state *s, uint32_t port)
{
	const uint32_t n =
		port == WIRE_PORT_BRIDGE ? 0 : 1 + port % PROXY_LISTEN;
	struct err e = { 0 };

	if (s->listener[n] >= 0)
		transport_unlink(&s->from, s->port[n]);
	fd_close(&s->listener[n]);
	s->port[n] = port;
	if (transport_listen(&s->from, port, 16, &s->listener[n], &e) < 0)
		_exit(1);
}

/* A port of a stream is used: listen on more of them. */
static inline void proxy_follow(struct proxy_state *s, uint32_t port)
{
	while (port > s->lowest + PROXY_LISTEN / 4 * 3)
		proxy_listen(s, s->lowest++ + PROXY_LISTEN);
}

static inline void proxy_accept(struct proxy_state *s, uint32_t n)
{
	struct proxy_pair *p = NULL;
	struct err e = { 0 };
	int fd = -1;

	if (transport_accept(&s->from, s->listener[n], &fd, &e) < 0)
		return;
	for (int i = 0; !p && i < PROXY_CONNECTIONS; i++)
		if (s->pair[i].fd[0] < 0)
			p = &s->pair[i];
	if (!p || transport_dial(&s->to, s->port[n], &p->fd[1], &e) < 0) {
		fd_close(&fd);
		if (p)
			p->fd[1] = -1;
		return;
	}
	p->fd[0] = fd;
	p->budget = proxy_budget(n == 0);
	if (s->port[n] != WIRE_PORT_BRIDGE)
		proxy_follow(s, s->port[n]);
}

/* From one end to the other, within the budget. */
static inline void proxy_move(struct proxy_state *s, struct proxy_pair *p,
			      int from, short events)
{
	uint8_t *held = p->held[from];
	ssize_t n;

	if (p->held_len[from] == 0 && events != 0) {
		n = read(p->fd[from], held, sizeof(p->held[0]));
		if (n <= 0) {
			proxy_drop(p);
			return;
		}
		p->held_len[from] = (size_t)n;
	}
	if (p->held_len[from] == 0)
		return;
	n = write(p->fd[!from], held,
		  p->held_len[from] < p->budget ? p->held_len[from]
						: p->budget);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		proxy_drop(p);
		return;
	}
	p->budget -= (size_t)n;
	p->held_len[from] -= (size_t)n;
	memmove(held, held + n, p->held_len[from]);
	if (p->budget == 0)
		proxy_cut(s, p);
}

static inline void proxy_turn(struct proxy_state *s)
{
	struct pollfd p[PROXY_POLL];
	nfds_t n = 0;

	for (uint32_t i = 0; i < PROXY_SLOTS; i++)
		p[n++] = (struct pollfd){ .fd = s->listener[i],
					  .events = POLLIN };
	for (int i = 0; i < PROXY_CONNECTIONS; i++) {
		const struct proxy_pair *c = &s->pair[i];

		for (int k = 0; k < 2; k++) {
			const bool full = c->held_len[k] > 0;
			const bool give = c->held_len[!k] > 0;

			p[n++] = (struct pollfd){
				.fd = c->fd[k],
				.events = (short)((full ? 0 : POLLIN) |
						  (give ? POLLOUT : 0)),
			};
		}
	}
	if (poll(p, n, -1) < 0)
		return;
	for (int i = 0; i < PROXY_CONNECTIONS; i++)
		for (int k = 0; k < 2; k++) {
			struct proxy_pair *c = &s->pair[i];
			const struct pollfd *q =
				&p[PROXY_SLOTS + 2 * (unsigned int)i +
				   (unsigned int)k];

			if (c->fd[k] < 0 || c->fd[k] != q->fd)
				continue;
			if ((q->revents & (POLLHUP | POLLERR)) != 0 &&
			    (q->revents & POLLIN) == 0)
				proxy_drop(c);
			else if ((q->revents & POLLOUT) != 0)
				proxy_move(s, c, !k, 0);
			if (c->fd[k] == q->fd && (q->revents & POLLIN) != 0)
				proxy_move(s, c, k, POLLIN);
		}
	for (uint32_t i = 0; i < PROXY_SLOTS; i++)
		if (p[i].revents != 0)
			proxy_accept(s, i);
}

static inline void proxy_run(struct proxy_state *s)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < PROXY_CONNECTIONS; i++)
		s->pair[i].fd[0] = s->pair[i].fd[1] = -1;
	for (uint32_t i = 0; i < PROXY_SLOTS; i++)
		s->listener[i] = -1;
	proxy_listen(s, WIRE_PORT_BRIDGE);
	s->lowest = WIRE_PORT_STDIO_FIRST;
	for (uint32_t i = 0; i < PROXY_LISTEN; i++)
		proxy_listen(s, s->lowest + i);
	for (;;)
		proxy_turn(s);
}

/* From where the guest dials in @dir to where the host listens. */
static inline void proxy_start(struct proxy *p, const char *dir,
			       const struct transport *to)
{
	static struct proxy_state s;
	char spelled[80];
	struct err e = { 0 };

	p->cuts = mmap(NULL, sizeof(*p->cuts), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p->cuts, MAP_FAILED);
	(void)snprintf(spelled, sizeof(spelled), "unix:%s/v", dir);
	assert_int_equal(transport_parse(spelled, &s.from, &e), 0);
	s.to = *to;
	s.cuts = p->cuts;
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		proxy_run(&s);
}

/* The same, and it cuts nothing. */
static inline void proxy_start_whole(struct proxy *p, const char *dir,
				     const struct transport *to)
{
	proxy_whole = true;
	proxy_start(p, dir, to);
	proxy_whole = false;
}

static inline uint32_t proxy_cuts(const struct proxy *p)
{
	return __atomic_load_n(p->cuts, __ATOMIC_RELAXED);
}

static inline void proxy_stop(struct proxy *p)
{
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	if (p->cuts)
		(void)munmap(p->cuts, sizeof(*p->cuts));
}

#endif
