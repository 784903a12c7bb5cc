/*
 * bridge/guest/slot.h - records of the agent's objects that outlive the agent
 *
 * Theory of operation. One memfd, mapped, deposited with PID 1: a header, a
 * table of slots, and a heap of cells for their bodies. An object has one slot;
 * a slot has two copies, and the one with the higher generation counts:
 *
 *	put	write the body into free cells, fill the copy that does not
 *		count, store its generation last
 *	drop	clear the generation that does not count, then the one that does
 *
 * The agent is killed between two of its instructions, and what it has stored
 * is in the memfd: so whatever the instruction, the next agent finds the record
 * as it was before the call or as it is behind it. A sum over each copy is for
 * everything else that may happen to memory; who fails it is skipped and told.
 * A put costs the same with ten records as with ten thousand. Which slots and
 * cells are free is in the heap of the process, and found anew by the next one:
 * a bit for each, looked at 64 at a time, from a place below which no run of that
 * length is free. One place for all lengths would stay at the first gap that is
 * too short for what is wanted, and each put would walk from there.
 *
 * A slot also has one word of its own that is stored in place: what changes too
 * often for a copy, or what a child writes before it becomes a program.
 *
 * Poison. While a record is taken over its number is in the header. An agent
 * that finds one there died of it; a record of which SLOT_DEATHS_MAX agents
 * died is set aside: it stays where it is, and slot_next() does not find it any
 * more. What has to be told about it is read once more by slot_next_aside(); an
 * agent that dies of that is the last one to read it.
 *
 * Bodies are written member by member (bridge/guest/pack.h), each kind with a
 * version; an agent reads its own version and the one before.
 */
#ifndef FERRY_BRIDGE_GUEST_SLOT_H
#define FERRY_BRIDGE_GUEST_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "config/text.h"

#define SLOT_MAGIC 0x31746f6c53727246ull /* "FrrSlot1" */
/* Records: processes and their exits, requests, and a few of the rest. */
#define SLOTS_MAX 65536u
#define SLOT_CELL 64u
/* Cells of the heap; memory is used only where something was written. */
#define SLOT_CELLS (1u << 20)
/* Bytes of the longest body. */
#define SLOT_BODY_MAX (1u << 20)
/* Lengths in cells, but for 0, that have a place of their own; 2 KiB. */
#define SLOT_RUNS 33u
/* Agents that may die of one record. */
#define SLOT_DEATHS_MAX 2u
/* Records that slots_dump() names. */
#define SLOTS_DUMPED_MAX 64u

/* What a record describes; numbers are never used again. */
enum slot_kind {
	SLOT_AGENT = 1,
	SLOT_SESSION = 2,
	SLOT_CONTAINER = 3,
	SLOT_PROCESS = 4,
	SLOT_NETWORK = 5, /* a namespace */
	SLOT_ADAPTER = 6,
	SLOT_VOLUME = 7,
	SLOT_REQUEST = 8,
	SLOT_STREAM = 9, /* of the session */
	SLOT_POLICY = 10,
	SLOT_KINDS,
};

/**
 * struct slot_copy - one of two
 * @generation:	0: it says nothing
 * @cell, @len:	where the body is, and its bytes
 * @sum:	over the rest of the copy, the slot's kind, the body
 * @version:	of the body
 */
struct slot_copy {
	uint32_t generation;
	uint32_t cell;
	uint32_t len;
	uint32_t sum;
	uint16_t version;
	uint16_t reserved;
};

/**
 * struct slot - one record
 * @word:	see above
 * @deaths:	agents that died of it
 */
struct slot {
	struct slot_copy copy[2];
	uint64_t word;
	uint16_t kind;
	uint16_t reserved;
	uint32_t deaths;
	uint64_t reserved2;
};

_Static_assert(sizeof(struct slot) == 64, "a slot has a fixed size");

/**
 * struct slot_head - the first page
 * @suspect:	the slot that is being taken over, plus one
 */
struct slot_head {
	uint64_t magic;
	uint32_t slots;
	uint32_t cells;
	uint32_t suspect;
	uint32_t reserved;
};

#define SLOT_HEAD_BYTES 4096u
#define SLOT_FILE_BYTES                                                        \
	(SLOT_HEAD_BYTES + (size_t)SLOTS_MAX * sizeof(struct slot) +           \
	 (size_t)SLOT_CELLS * SLOT_CELL)

/**
 * struct slots - a view of the file; without one every call does nothing
 * @fd:		the memfd, -1: there is none
 * @used:	a bit for each cell that holds a body that counts
 * @taken:	a bit for each slot that is in use; one allocation with @used
 * @next_slot:	none is free below
 * @next_cell:	no run of that length is free below
 * @high:	slots from here on were never used
 * @damaged, @aside: records found so when it was opened
 */
struct slots {
	int fd;
	struct slot_head *head;
	struct slot *slot;
	uint8_t *cell;
	uint8_t *used;
	uint8_t *taken;
	uint32_t next_slot;
	uint32_t next_cell[SLOT_RUNS];
	uint32_t high;
	uint32_t damaged;
	uint32_t aside;
};

/** slots_init() - none; slots_done() is fine */
void slots_init(struct slots *s);

/** slots_done() - forget the view; the file stays as it is */
void slots_done(struct slots *s);

/** slots_create() - an empty file; return: 0 or -errno */
int slots_create(struct slots *s, struct err *e);

/**
 * slots_open() - a file that another agent left
 * @fd:		taken, also on failure
 *
 * Return: 0, -EPROTO (it is none of ours), or -errno
 */
int slots_open(struct slots *s, int fd, struct err *e);

/**
 * slot_put() - write a record
 * @handle:	0: a new one; receives its handle
 *
 * Return: 0, -ENOSPC, -E2BIG. Then the record is as it was, and the object will
 *         not survive the agent as it is now
 */
int slot_put(struct slots *s, uint32_t *handle, enum slot_kind kind,
	     const void *body, size_t len);

/** slot_drop() - there is no such object any more; 0 is fine. *@handle is 0 */
void slot_drop(struct slots *s, uint32_t *handle);

/** slot_word() - the word of a record, NULL: no such record */
uint64_t *slot_word(const struct slots *s, uint32_t handle);

/**
 * struct slot_view - one record as it was found
 * @body:	in the file: copy what is kept
 */
struct slot_view {
	uint32_t handle;
	enum slot_kind kind;
	uint16_t version;
	uint64_t word;
	const void *body;
	size_t len;
};

/**
 * slot_next() - the first record of @kind behind handle @after that can be
 * trusted; it is the suspect until slot_survived()
 *
 * Return: false: there is none
 */
bool slot_next(struct slots *s, enum slot_kind kind, uint32_t after,
	       struct slot_view *ret);

/** slot_next_aside() - the same, of those that were set aside; slot_left() follows */
bool slot_next_aside(struct slots *s, enum slot_kind kind, uint32_t after,
		     struct slot_view *ret);

/** slot_left() - nobody died of the last slot_next_aside(): it stays aside */
void slot_left(struct slots *s);

/** slot_settled() - likewise, and nobody has to read it any more; it stays aside */
void slot_settled(struct slots *s);

/** slots_dump() - what was given up, for the agent's report about itself */
void slots_dump(const struct slots *s, struct text *out);

/** slot_survived() - nobody died of the last slot_next() */
void slot_survived(struct slots *s);

#endif
