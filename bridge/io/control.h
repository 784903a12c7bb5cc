/*
 * bridge/io/control.h - what PID 1 and ferry's agent say to each other
 *
 * Theory of operation. The agent may be killed at any instant, PID 1 never
 * ends. Whatever must survive the agent is therefore with PID 1: descriptors
 * (the store), exits of processes that the agent cares for (the journal), the
 * log ring and the agent's own state memfd (a deposit like any other). They
 * talk over one SOCK_SEQPACKET pair, a fresh one for each incarnation of the
 * agent; PID 1 serves what the old one still holds before it starts the next.
 *
 * The agent is known by an ELF note (CONTROL_NOTE_*); every other program gets
 * no socket. The socket is descriptor CONTROL_FD and named in the environment
 * variable CONTROL_ENV, so that a wrapper hands it on unseen.
 *
 * Every packet is one struct control_msg, sent whole, with at most
 * CONTROL_FDS_MAX descriptors beside it. The agent asks, PID 1 answers each
 * packet in order with the same @op, @tag and key members and a @result (0 or
 * -errno). CONTROL_OP_EXIT alone is sent by PID 1 on its own, with tag 0, and
 * may come between a question and its answer. PID 1 never blocks on the
 * socket: while an answer does not fit it takes no further question, and exits
 * wait in its table. A packet that is malformed ends the connection.
 *
 * Order of steps that closes the races (design: deposit before spawn):
 *   1. TICKET_OPEN: a number of the agent's choice. While any ticket is open,
 *	PID 1 journals the exits of orphans that it does not know. When the
 *	journal is full it stops reaping until a ticket closes: close them.
 *   2. DEPOSIT: both ends that matter, keyed (object, role).
 *   3. fork and exec.
 *   4. REGISTER ticket, pid: answered with a pidfd, or with the exit if it was
 *	seen since the ticket was opened (CONTROL_FLAG_EXITED, @status; this
 *	counts as step 5). From now on the exit of this pid is kept until
 *	EXIT_ACK. Closes the ticket. The pid may be a direct child of the agent
 *	or an orphan (what a runtime left behind).
 *   5. EXIT ticket, pid, status: PID 1 reaped it (it was an orphan). Repeated
 *	to a new incarnation until acknowledged.
 * A direct child of the agent is reaped by the agent, which then says REAPED;
 * if the agent dies first the child becomes an orphan and step 5 applies.
 *
 * Restart. Open tickets, deposits and registered processes outlive the agent.
 * PID 1 starts it again only after some incarnation has said STABLE; before
 * that, and for an end with status 0 at any time, the end of the agent is the
 * end of the UVM. What a new incarnation does first: HELLO, then FETCH,
 * PROCESSES and TICKETS from cursor 0, then it settles each open ticket
 * (REGISTER or TICKET_CLOSE) and says STABLE. CONTROL_TRIES_MAX incarnations
 * in a row that end before STABLE end the UVM. Another program may be put in the
 * agent's place for the next start (init/upgrade.h).
 */
#ifndef FERRY_BRIDGE_IO_CONTROL_H
#define FERRY_BRIDGE_IO_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

#define CONTROL_VERSION 1u
#define CONTROL_FD 3
#define CONTROL_ENV "FERRY_CONTROL_FD"
#define CONTROL_FDS_MAX 4u

/* ELF note (bridge/io/note.h): owner, type, one-word description. */
#define CONTROL_NOTE_OWNER "ferry"
#define CONTROL_NOTE_AGENT 1u	/* this program speaks the protocol */
#define CONTROL_NOTE_WRAPPER 2u /* it hands CONTROL_FD on to what it runs */

/* Limits of PID 1's fixed tables; a full table fails one request. */
#define CONTROL_STORE_MAX 49152u  /* deposited descriptors */
#define CONTROL_TICKETS_MAX 256u  /* open tickets */
#define CONTROL_PIDS_MAX 8192u	  /* registered processes and kept exits */
#define CONTROL_JOURNAL_MAX 4096u /* unknown orphans while a ticket is open */

/* Incarnations in a row that may end before STABLE. */
#define CONTROL_TRIES_MAX 5u

/* WITHDRAW: every role of the object. */
#define CONTROL_ROLE_ALL UINT32_MAX

/*
 * What is asked, and with which members. Listings take a cursor in @arg: the
 * first entry at or behind it is answered, with @arg the cursor of the next
 * one, -ENOENT when there is none. Cursor 0 begins; entries keep their place,
 * so that adding and removing while listing shows every other entry once.
 */
/* clang-format off */
enum control_op {
	CONTROL_OP_HELLO = 1,		/* @arg: CONTROL_VERSION; see below */
	CONTROL_OP_DEPOSIT = 2,		/* @object, @role + 1 fd; replaces */
	CONTROL_OP_WITHDRAW = 3,	/* @object, @role or _ROLE_ALL */
	CONTROL_OP_FETCH = 4,		/* cursor; @object, @role + 1 fd */
	CONTROL_OP_TICKET_OPEN = 5,	/* @ticket, not 0 */
	CONTROL_OP_TICKET_CLOSE = 6,	/* @ticket; nothing was forked */
	CONTROL_OP_REGISTER = 7,	/* @ticket, @pid, @object; + pidfd */
	CONTROL_OP_EXIT = 8,		/* PID 1: @ticket, @pid, @object,
					 * @status */
	CONTROL_OP_EXIT_ACK = 9,	/* @ticket */
	CONTROL_OP_REAPED = 10,		/* @ticket: the agent has reaped it */
	CONTROL_OP_PROCESSES = 11,	/* cursor; @ticket, @pid, @object, and
					 * EXITED and @status, or GONE, or
					 * + pidfd */
	CONTROL_OP_STABLE = 12,		/* the state was taken over */
	CONTROL_OP_POWEROFF = 13,	/* @arg: enum control_end; no answer */
	CONTROL_OP_TICKETS = 14,	/* cursor; @ticket: an open one */
};
/* clang-format on */

/*
 * Answer to HELLO: @arg incarnation (1, 2, ...), @status version of PID 1,
 * + the log ring (a memfd sealed against writing, struct control_ring; without
 * a descriptor when PID 1 has none). A version that PID 1 does not speak is
 * -EPROTONOSUPPORT. Any other request before HELLO is -EPROTO.
 */

/*
 * EXITED:	it ended; see @status
 * POISONED:	HELLO: the last two incarnations ended before STABLE; set the
 *		state aside
 * MIGRATABLE:	HELLO: the UVM was started to be migrated: init's command is the
 *		agent, without a wrapper that holds a connection of its own
 * GONE:	PROCESSES: somebody else has reaped it, most likely an agent
 *		that could not say REAPED any more; its exit is not known here
 */
enum control_flag {
	CONTROL_FLAG_EXITED = 1u << 0,
	CONTROL_FLAG_POISONED = 1u << 1,
	CONTROL_FLAG_GONE = 1u << 2,
	CONTROL_FLAG_MIGRATABLE = 1u << 3,
};

/* Why the UVM ends; the host is told by PID 1's sign (init/end.h). */
enum control_end {
	CONTROL_END_ORDERLY = 0,
	CONTROL_END_FAILED = 1,
};

/**
 * struct control_msg - one packet, all members in host byte order
 * @op:		enum control_op
 * @flags:	enum control_flag
 * @tag:	chosen by the asker, repeated in the answer
 * @result:	answer: 0 or -errno
 * @status:	wait status as waitpid(2) gives it
 * @object:	the agent's name for the object, opaque to PID 1
 * @ticket:	the agent's number, unique for the life of the UVM
 * @role:	which descriptor of the object
 * @pid:	process id in the root pid namespace
 * @arg:	by @op
 */
struct control_msg {
	uint32_t op;
	uint32_t flags;
	uint64_t tag;
	int32_t result;
	int32_t status;
	uint64_t object;
	uint64_t ticket;
	uint32_t role;
	int32_t pid;
	uint64_t arg;
	uint64_t reserved;
};

_Static_assert(sizeof(struct control_msg) == 64, "the packet has a fixed size");

#define CONTROL_RING_MAGIC 0x676e695279727246ull /* "FrryRing" */
#define CONTROL_RING_SIZE (1u << 18)

/**
 * struct control_ring - head of the log ring's memfd; @size bytes of text
 * follow at CONTROL_RING_DATA
 * @magic:	CONTROL_RING_MAGIC
 * @size:	bytes of text that the ring holds, a power of two
 * @head:	bytes ever written; byte n is at CONTROL_RING_DATA + n % size.
 *		Stored with release order after the bytes; a reader that finds
 *		head - n > size after copying byte n was overtaken
 * @dropped:	bytes that a reader can no longer see (head - size, if more)
 *		plus what PID 1 had to leave out
 */
struct control_ring {
	uint64_t magic;
	uint64_t size;
	uint64_t head;
	uint64_t dropped;
};

#define CONTROL_RING_DATA 4096u

/**
 * control_send() - one packet with @n_fds borrowed descriptors
 *
 * Never blocks, whatever the mode of @fd.
 * Return: 0, -EAGAIN (the peer does not read), -EPIPE, or -errno
 */
int control_send(int fd, const struct control_msg *m, const int *fds,
		 size_t n_fds, struct err *e);

/**
 * control_recv() - one packet; descriptors are close-on-exec and the caller's
 * @fds:	room for CONTROL_FDS_MAX; unused ones are -1
 *
 * A packet of another size, or with cut ancillary data, is -EPROTO, and its
 * descriptors are closed. Never blocks, whatever the mode of @fd.
 * Return: 1 a packet, 0 end of file, -EAGAIN, or -errno
 */
int control_recv(int fd, struct control_msg *m, int fds[CONTROL_FDS_MAX],
		 struct err *e);

#endif
