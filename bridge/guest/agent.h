/*
 * bridge/guest/agent.h - the agent: what it owns, and its loop
 *
 * One thread, one epoll. The agent owns everything; the parts do not know each
 * other, only the agent. Objects that outlive a connection (requests,
 * processes, streams, answers) refer to none. A turn of the loop ends with
 * writing what can be written, releasing what was closed, and replacing a
 * connection that was lost.
 */
#ifndef FERRY_BRIDGE_GUEST_AGENT_H
#define FERRY_BRIDGE_GUEST_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "bridge/guest/cgroup.h"
#include "bridge/guest/conn.h"
#include "bridge/guest/container.h"
#include "bridge/guest/flags.h"
#include "bridge/guest/job.h"
#include "bridge/guest/link.h"
#include "bridge/guest/list.h"
#include "bridge/guest/modify.h"
#include "bridge/guest/network.h"
#include "bridge/guest/orphans.h"
#include "bridge/guest/pid1.h"
#include "bridge/guest/policy.h"
#include "bridge/guest/process.h"
#include "bridge/guest/request.h"
#include "bridge/guest/resume.h"
#include "bridge/guest/runtime.h"
#include "bridge/guest/slot.h"
#include "bridge/guest/stream.h"
#include "bridge/guest/upkeep.h"
#include "bridge/io/loop.h"
#include "config/arena.h"
#include "config/err.h"
#include "config/text.h"

/* Memory that one decoded message may take. */
#define AGENT_MESSAGE_MAX ((size_t)48 << 20)
/* Bytes of answers that are held while no host is there: an error of the
 * longest text for each request that may be in progress. */
#define AGENT_HELD_MAX ((size_t)17 << 20)
/* Descriptors: 8,192 processes with pipes, sockets and a pidfd each. */
#define AGENT_FILES_MAX 131072u
/* How long a host may take for its first word, and one of ferry's, which waits
 * for us: a connection with no other end is not noticed by anything else. */
#define AGENT_SILENCE_MS 10000
#define AGENT_SILENCE_FERRY_MS 2000
/* Time for the last answer to leave before the UVM ends. */
#define AGENT_LAST_ANSWER_MS 1000
#define AGENT_LAST_GRACE_MS 100
/* PID 1 ends us long before, if it does what it was asked for. */
#define AGENT_POWEROFF_MS 10000

enum agent_end {
	AGENT_RUNS,
	AGENT_ANSWERS, /* a shutdown was asked for; the answer is leaving */
	AGENT_GRACE,   /* it has left the queue */
	AGENT_ENDS,    /* PID 1 was asked to power off */
};

/**
 * struct agent - all of it
 * @epoch:	number of the last connection that a new host object opened;
 *		whatever came on an earlier one is answered no more
 * @held:	answers and notices that found no negotiated connection, or no
 *		host that knows their container, oldest first
 * @held_max:	AGENT_HELD_MAX; a test may want less
 * @ferry_host:	the last host that was negotiated with was one of ferry's
 * @body:	the answer being encoded
 * @arena:	the message being handled
 * @nofile:	descriptor limit that the processes get
 * @root:	descriptor of "/"
 * @slots:	what a later agent will take over, with our own record at @slot
 * @unkept:	a record found no room, and that was told
 */
struct agent {
	struct flags flags;
	struct loop *loop;
	struct link link;
	struct conn conn;
	struct requests requests;
	struct processes processes;
	struct streams streams;
	struct pid1 pid1;
	struct resume resume;
	struct orphans orphans;
	struct jobs jobs;
	struct runtime runtime;
	struct networks networks;
	struct cgroups cgroups;
	struct policy policy;
	struct containers containers;
	struct upkeep upkeep;
	struct modify modify;
	struct slots slots;
	uint32_t slot;
	bool unkept;

	uint32_t epoch;
	bool ferry_host;
	struct list held;
	size_t held_bytes;
	size_t held_max;
	struct text body;
	struct arena arena;
	struct rlimit nofile;
	int root;

	bool stopped;
	enum agent_end end;
	bool power_ours; /* the machine is a UVM and we may switch it off */
	struct loop_id end_timer;
	int signal_fd;
	struct loop_id signal_watch;
	uint64_t frames;
	uint64_t answers;
	uint64_t dropped;
};

/**
 * agent_new() - everything but the connection
 * @f:		copied; its strings are borrowed
 *
 * Return: 0 or -errno
 */
int agent_new(const struct flags *f, struct agent **ret, struct err *e);

/** agent_free() - NULL is fine */
void agent_free(struct agent *a);

/**
 * agent_run() - serve the host until the UVM ends
 *
 * With -use-inouterr the end of standard input ends it too.
 * Return: 0 or -errno
 */
int agent_run(struct agent *a, struct err *e);

/**
 * agent_negotiated() - a version was agreed on: what was held is released or,
 * for a new host object, dropped
 * @how:	enum resume_hello
 */
void agent_negotiated(struct agent *a, int how);

/** agent_shutdown() - answer what is queued, then end the UVM */
void agent_shutdown(struct agent *a);

#endif
