/*
 * bridge/guest/keep.h - what a later agent has to know, object by object
 *
 * Each keep function writes the record of one object as it is now
 * (bridge/guest/slot.h): before and behind every act that cannot be repeated.
 * A record that cannot be written is told once in the log; the agent goes on.
 * The bodies are defined in keep.c and nowhere else; bridge/guest/takeover.h
 * reads them.
 *
 * A process of the UVM is kept before it is started, with its ticket; its pid
 * is written by itself into the record's word (bridge/io/spawn.h). So there is
 * no instant at which a process runs and nobody will ever know of it.
 */
#ifndef FERRY_BRIDGE_GUEST_KEEP_H
#define FERRY_BRIDGE_GUEST_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/carry.h"

/* Bytes of a body without its texts. */
#define KEEP_BODY_MAX 512u

/* --- the agent itself --------------------------------------------------------- */

/**
 * struct keep_agent - what all objects refer to
 * @number:	of the last connection
 * @epoch:	see struct agent
 * @serial:	of the last container
 */
struct keep_agent {
	uint32_t number;
	uint32_t epoch;
	uint64_t serial;
};

void keep_agent(struct agent *a);
bool keep_agent_read(const struct slot_view *v, struct keep_agent *ret);

/* --- processes ---------------------------------------------------------------- */

/**
 * struct keep_process - one process
 * @ticket, @number, @request: see struct process
 * @serial:	of its container, 0: of the UVM
 * @pid:	0: in the word of the record, or it was never started
 * @port:	streams of the session: the host's, 0: none
 * @call:	an exec that the runtime is starting, see runtime_left(); @runs is
 *		the runtime. 0: none
 * @carried:	all these streams were made, and have records of their own
 */
struct keep_process {
	uint64_t ticket;
	uint64_t number;
	uint64_t request;
	uint64_t serial;
	uint32_t pid;
	uint32_t exit_code;
	uint32_t told_on;
	enum process_state state;
	bool init;
	bool console;
	bool carried;
	uint32_t port[MSG_STDIO];
	uint64_t call;
	uint32_t runs;
};

/** keep_process_put() - before there is an object; *@slot as for slot_put() */
void keep_process_put(struct agent *a, uint32_t *slot,
		      const struct keep_process *k);
/** keep_process() - the object as it is; @forgotten: and now it goes */
void keep_process(void *agent, struct process *p, bool forgotten);
bool keep_process_read(const struct slot_view *v, struct keep_process *ret);

/* --- requests ----------------------------------------------------------------- */

/**
 * struct keep_request - a request that was not answered
 * @to:		whom to answer
 * @frame:	its number in the session; one behind those that were taken will
 *		come again
 * @pid:	it waits for the exit of this process, 0: for something else
 * @serial:	of its container, 0: of the UVM
 * @until_ms:	limit of a wait, CLOCK_MONOTONIC, 0: none
 * @container:	that it names, "": none of ours
 */
struct keep_request {
	struct answer_to to;
	uint64_t frame;
	uint32_t pid;
	uint64_t serial;
	int64_t until_ms;
	char container[129];
};

void keep_request(struct agent *a, uint32_t *slot,
		  const struct keep_request *k);
/** keep_wait() - @r waits for @p until @until_ms */
void keep_wait(struct agent *a, struct request *r, const struct process *p,
	       int64_t until_ms);
bool keep_request_read(const struct slot_view *v, struct keep_request *ret);

/* --- the session -------------------------------------------------------------- */

/** keep_session() - its name and key; the word counts frames of the host */
void keep_session(struct agent *a);
bool keep_session_read(const struct slot_view *v, struct session_id *ret);

/**
 * keep_stream() - a stream of the session begins, or, without @n, ends
 *
 * Its file is deposited, and a terminal, which no other deposit has for it.
 */
void keep_stream(void *agent, struct stream *s, const struct carry_new *n);
/** keep_stream_read() - all of it but the descriptors */
bool keep_stream_read(const struct slot_view *v, struct carry_new *ret);

/* --- volumes, policy ----------------------------------------------------------- */

/** keep_volume() - as it is; @forgotten: and now it goes */
void keep_volume(void *agent, struct volume *v, bool forgotten);
bool keep_volume_read(const struct slot_view *v, struct volume_facts *ret,
		      bool *ret_there);

/** keep_policy() - one was set */
void keep_policy(struct agent *a);
/** keep_policy_read() - into an agent that has none */
void keep_policy_read(struct agent *a, const struct slot_view *v);

/* --- networks ------------------------------------------------------------------ */

/** keep_network() - as it is, with its namespace; @forgotten: and now it goes */
void keep_network(void *agent, struct network_record *r, bool forgotten);

/**
 * keep_network_read() - a namespace as it was kept, without what it is
 *
 * Return: it is among the agent's; NULL: there is none, no memory
 */
struct network_record *keep_network_read(struct agent *a,
					 const struct slot_view *v);

/* --- containers --------------------------------------------------------------- */

/** keep_container() - as it is now */
void keep_container(struct container *c);

/**
 * struct keep_name - the beginning of a container's record
 * @id:		in the record
 */
struct keep_name {
	const char *id;
	uint64_t serial;
	enum container_state state;
};

/** keep_name_read() - of a record that is set aside */
bool keep_name_read(const struct slot_view *v, struct keep_name *ret);

/**
 * keep_container_read() - a container as it was kept
 *
 * Return: it is in the table, without processes; NULL: no container, no memory
 */
struct container *keep_container_read(struct agent *a,
				      const struct slot_view *v);

#endif
