/*
 * migration/session.h - one migration of a sandbox, this side of it
 *
 * Theory of operation. The orchestrator calls source and destination in turn;
 * each call is an event of one table of 13 states (migration.md 2; session.c).
 *
 *	source		export -> socket -> transfer -> finalize -> cleanup
 *	destination	import -> patch... -> prepare -> socket -> transfer
 *			-> finalize -> cleanup
 *
 * One call runs at a time; another one meanwhile is refused, except cancel,
 * which ends what runs (it waits for no lock: a transfer ends because of it),
 * and what only reads. The transfer runs behind the call that began it.
 *
 * Who owns the VM at the end: finalize with RESUME says this side, with STOP
 * that side. A destination never resumes by itself; a source that nobody calls
 * any more, and that has not begun to transfer, rolls back by itself after
 * SESSION_IDLE_S (session_ctl_idle(), a timer of the shim).
 *
 * What upstream learned and where ferry differs is in the comments of the
 * files, with the names of migration.md 11 and 12.
 */
#ifndef FERRY_MIGRATION_SESSION_H
#define FERRY_MIGRATION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/annotation_map.h"
#include "config/text.h"
#include "migration/machine.h"
#include "migration/op.h"
#include "migration/sandbox.h"
#include "migration/seq.h"
#include "migration/vmm_ops.h"

#define SESSION_ID_MAX 256u
/* What is kept of the name of who wrote an import. */
#define SESSION_PRODUCER_MAX 63u
/* Default wait for the transport socket; the shim's timer. */
#define SESSION_SOCKET_S 600
/* A source that nobody calls any more, unless it was told another time; the
 * shim's timer. */
#define SESSION_IDLE_S 900
#define SESSION_IDLE_MAX_S (7u * 24 * 3600)
/* Messages that a late subscriber still gets. */
#define SESSION_MESSAGES 64u
#define SESSION_LISTENERS_MAX 16u

/* The reference's numbers. */
enum session_state {
	SESSION_IDLE = 0,
	SESSION_SOURCE_PREPARED = 1,
	SESSION_SOURCE_EXPORTED = 2,
	SESSION_DESTINATION_IMPORTED = 3,
	SESSION_DESTINATION_PREPARED = 4,
	SESSION_SOCKET_WAITING = 5,
	SESSION_SOCKET_READY = 6,
	SESSION_TRANSFERRING = 7,
	SESSION_TRANSFER_COMPLETED = 8,
	SESSION_FINALIZED = 9,
	SESSION_CANCELLED = 10,
	SESSION_CANCELLING = 11,
	SESSION_FAILED = 12,
	SESSION_STATES, /* number of states */
};

enum session_event {
	SESSION_EV_EXPORT,
	SESSION_EV_IMPORT,
	SESSION_EV_PATCH,
	SESSION_EV_PREPARE,
	SESSION_EV_SOCKET,
	SESSION_EV_TRANSFER,
	SESSION_EV_CANCEL,
	SESSION_EV_FINALIZE_STOP,
	SESSION_EV_FINALIZE_RESUME,
	SESSION_EV_CLEANUP,
	SESSION_EVENTS, /* number of events */
};

/* Two tables: what a source may do, and what a destination may. */
extern const struct machine session_source_machine;
extern const struct machine session_destination_machine;

enum session_origin { /* on the wire */
		      SESSION_ORIGIN_NONE = 0,
		      SESSION_SOURCE = 1,
		      SESSION_DESTINATION = 2,
};

enum session_phase { /* on the wire */
		     SESSION_PHASE_NONE = 0,
		     SESSION_SETUP_DONE = 1,
		     SESSION_IN_PROGRESS = 2,
		     SESSION_BLACKOUT_STARTED = 3,
		     SESSION_OFFLINE_DONE = 4,
		     SESSION_BLACKOUT_EXITED = 5,
		     SESSION_DONE = 6,
		     SESSION_RECOVERY_DONE = 7,
		     SESSION_PHASE_FAILED = 8,
};

enum session_result { /* on the wire: PhaseState */
		      SESSION_RESULT_NONE = 0,
		      SESSION_SUCCESS = 1,
		      SESSION_RESULT_CANCELLED = 2,
		      SESSION_GUEST_CANCELLED = 3,
		      SESSION_SOURCE_FAILED = 4,
		      SESSION_DESTINATION_FAILED = 5,
		      SESSION_RECOVERY_FAILED = 6,
};

/**
 * struct session_message - one notification
 * @id:		from 1, one sequence for all listeners
 * @blackout_ms: BLACKOUT_EXITED only
 * @at_ns:	when it happened, nanoseconds since 1970
 */
struct session_message {
	uint32_t id;
	enum session_origin origin;
	enum session_phase phase;
	enum session_result result;
	uint64_t blackout_ms;
	uint64_t at_ns;
};

/**
 * struct session_listener - a subscriber of the notifications
 * @message:	each message, in order
 * @ended:	the session was cleaned up; nothing comes after it
 * @ctx:	for both
 */
struct session_listener {
	void (*message)(void *ctx, const struct session_message *m);
	void (*ended)(void *ctx);
	void *ctx;
	struct session_listener *next;
};

/**
 * struct session_ctl - the session
 * @origin:	which side; SESSION_ORIGIN_NONE when idle
 * @start_ns:	when it began
 * @annotations: what this host was told for the sandbox, set by the owner before
 *		an import, borrowed; NULL: nothing, so nothing can differ
 * @producer:	program and version that exports are written by, set by the owner,
 *		borrowed; NULL: not told
 * @written_by:	that of the last import; "": not told
 * @from_file:	set by the owner before an import: the state is of this host and
 *		may have its devices and shares
 * @messages:	the last ones; TRANSFER_IN_PROGRESS is the first to go
 * @transfer_result: 1: not over; 0 or -errno afterwards, until cleanup
 */
struct session_ctl {
	struct sandbox_ctl *sandbox;
	enum session_state state;
	enum session_origin origin;
	char id[SESSION_ID_MAX + 1];
	uint64_t start_ns;
	struct vmm_options options;
	struct text exported;
	const void *compat; /* the platform's, for one step of the export */
	size_t compat_len;
	char *architecture; /* of this host, for imports; owned */
	const struct annotation_map *annotations;
	const char *producer;
	char written_by[SESSION_PRODUCER_MAX + 1];
	bool from_file;

	enum session_event doing; /* while seq.busy or op */
	struct seq seq;		  /* the call that runs */
	struct op *op;
	struct seq transfer; /* behind the calls */
	int transfer_result;
	struct err transfer_err;
	bool socket;	  /* the platform has one */
	bool guest_ended; /* by itself, while it moved */
	struct seq cancelling;
	struct op *cancel_op;
	enum session_state cancelled_from;
	struct op *patch_op; /* while doing a patch */
	const void *info;    /* of the socket, for the start of its call */
	size_t info_len;
	size_t granted;	    /* disks */
	struct op *wait_op; /* a cancel waits for what runs */
	bool idling;	    /* it rolls back by itself */
	struct op idle_op;

	struct session_message messages[SESSION_MESSAGES];
	size_t n_messages;
	uint32_t next_message;
	struct session_listener *listeners;
};

void session_ctl_init(struct session_ctl *s, struct sandbox_ctl *sandbox);
/** session_ctl_done() - with its sandbox; nothing may be on its way */
void session_ctl_done(struct session_ctl *s);

/**
 * session_number() - what both sides must agree on: the first four bytes of
 * SHA-256 over the id, a GUID in lower case
 */
uint32_t session_number(const char *id);

/* --- calls; each checks the id first: -EINVAL when it is another session --- */

/**
 * session_ctl_export() - PrepareAndExportSandbox
 * @options:	checked by session_options_check(); NULL: defaults
 *
 * After success s->exported holds the state. A failure of the platform leaves
 * the session idle; a later one leaves it failed, and nothing stays frozen that
 * finalize with RESUME would not find (W1).
 */
int session_ctl_export(struct session_ctl *s, const char *id,
		       const struct vmm_options *options, struct op *op,
		       struct err *e);

/**
 * session_ctl_import() - ImportSandbox; all or nothing, no operation
 *
 * A state whose annotations differ from those of this host is refused by the
 * name of the first (migration/annotated.h).
 */
int session_ctl_import(struct session_ctl *s, const char *id,
		       const char *sandbox_id, const void *state, size_t size,
		       struct err *e);

/**
 * struct session_patch - what containerd's Create on the destination says
 * @source_id:	annotation: id of the container on the source
 * @id:		new id
 * @type:	annotation io.kubernetes.cri.container-type, "": absent
 * @bundle:	of this host
 * @layers:	resolved paths, topmost first
 * @scratch:	resolved path; NULL: none
 * @disks:	resolved paths of further disks in their order; none: they keep
 *		the paths of the source (W17)
 * @init:	stdio and terminal
 * @annotations: of the container; those that are locked must not differ from
 *		what the sandbox was built of; NULL: none
 * @namespace_id: sandbox container: network namespace of this host, "": none
 * @endpoints:	of it
 */
struct session_patch {
	const char *source_id;
	const char *id;
	const char *type;
	const char *bundle;
	const char *const *layers;
	size_t n_layers;
	const char *scratch;
	const char *const *disks;
	size_t n_disks;
	struct process_spec init;
	const struct annotation_map *annotations;
	const char *namespace_id;
	const struct network_endpoint *endpoints;
	size_t n_endpoints;
};

/**
 * session_ctl_patch() - all or nothing (F5, W6); op->value: the pid of init
 *
 * Return: 0 (see op.h), -EINVAL, -ENOENT (no such container, or patched
 *         before), -EEXIST, -EPRECONDITION
 */
int session_ctl_patch(struct session_ctl *s, const struct session_patch *p,
		      struct op *op, struct err *e);

/** session_ctl_prepare() - PrepareSandbox; refused while patches are pending */
int session_ctl_prepare(struct session_ctl *s, const char *id,
			const struct vmm_options *options, struct op *op,
			struct err *e);

/** session_ctl_socket() - CreateDuplicateSocket; see migration.md 7.4 */
int session_ctl_socket(struct session_ctl *s, const char *id, const void *info,
		       size_t len, struct op *op, struct err *e);

/** session_ctl_transfer() - TransferSandbox; what comes of it is a message */
int session_ctl_transfer(struct session_ctl *s, const char *id, struct err *e);

/** session_ctl_cancel() - Cancel; in every state */
int session_ctl_cancel(struct session_ctl *s, const char *id, struct op *op,
		       struct err *e);

/** session_ctl_finalize() - FinalizeSandbox; repeatable after a failure */
int session_ctl_finalize(struct session_ctl *s, const char *id,
			 enum vmm_outcome action, struct op *op, struct err *e);

/**
 * session_ctl_cleanup() - Cleanup
 *
 * A destination that was cancelled gives its VM up and ends the imported tasks
 * with TASK_EXIT_ABORTED.
 */
int session_ctl_cleanup(struct session_ctl *s, const char *id, struct op *op,
			struct err *e);

/** session_ctl_listen() - Notifications; -EINVAL, -EEXHAUSTED */
int session_ctl_listen(struct session_ctl *s, const char *id,
		       struct session_listener *l, struct err *e);

/** session_ctl_unlisten() - the subscriber is gone; fine when not listening */
void session_ctl_unlisten(struct session_ctl *s, struct session_listener *l);

/* --- from the shim's timers and the VMM --- */

/** session_ctl_socket_late() - the transport did not come in time */
void session_ctl_socket_late(struct session_ctl *s);

/**
 * session_ctl_idle() - nobody called for SESSION_IDLE_S
 *
 * A source in SourcePrepared to SocketWaiting, or failed before its transfer,
 * cancels, resumes and cleans up by itself (F26, W19). Return: true: it does
 */
bool session_ctl_idle(struct session_ctl *s);

/** session_ctl_notify() - a phase of the platform's own */
void session_ctl_notify(struct session_ctl *s, enum session_phase phase,
			enum session_result result, uint64_t blackout_ms);

/** session_ctl_guest_ended() - the guest shut down or reset itself; a failure that
 * follows is its doing */
void session_ctl_guest_ended(struct session_ctl *s);

/** session_ctl_vm_exited() - called by sandbox_ctl_vm_exited() */
void session_ctl_vm_exited(struct session_ctl *s);

/**
 * session_ctl_blocks_tasks() - does the session keep tasks from being touched?
 *
 * Return: 0 or -EPRECONDITION for State, Kill and Delete (migration.md 2)
 */
int session_ctl_blocks_tasks(const struct session_ctl *s, struct err *e);

/** session_options_check() - ranges of migration.md 9.3; 0 or -EINVAL */
int session_options_check(const struct vmm_options *o, struct err *e);

#endif
