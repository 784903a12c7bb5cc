/*
 * migration/guest_ops.h - what the controllers ask of the guest's agent
 *
 * One struct of functions for one VM; the shim implements it with bridge/host,
 * tests with a fake. Asynchronous as migration/vmm_ops.h, with the same rules.
 * Ids and paths here are always those that the guest knows, never the host's.
 *
 * A resource that is not there when it is to be removed is a success. When the
 * bridge is closed for good an operation fails with -ESHUTDOWN; the controllers
 * take that as "released with the VM". While the bridge is away and may come
 * back (the migration mark is set) it fails with -ENOTCONN.
 *
 * What nobody asked for comes back through the functions of
 * migration/sandbox.h: sandbox_ctl_process_exited(), sandbox_ctl_oom().
 */
#ifndef FERRY_MIGRATION_GUEST_OPS_H
#define FERRY_MIGRATION_GUEST_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "migration/op.h"

struct arena;
struct saved_process;
struct saved_stream;
struct saved_text;
struct saved_vm;

enum guest_stream { GUEST_STDIN, GUEST_STDOUT, GUEST_STDERR, GUEST_STREAMS };

/* MappedVirtualDisk. All fields are repeated on removal. */
struct guest_mount {
	uint32_t controller;
	uint32_t lun;
	uint64_t partition; /* 0: the whole disk */
	const char *path;
	bool read_only;
	bool encrypted;
	bool ensure_filesystem;
	bool block_dev;
	const char *filesystem; /* "": find out */
	const char *const *options;
	size_t n_options;
};

/* CombinedLayers. */
struct guest_layers {
	const char *container_id;
	const char *rootfs;
	const char *scratch;	   /* "": read-only */
	const char *const *layers; /* topmost first */
	size_t n_layers;
};

/*
 * Network. @settings is what the shim gave for the endpoint: the JSON object of
 * the message without NamespaceID and ID; "" on removal.
 */
struct guest_nic {
	const char *namespace_id;
	const char *id;
	const char *mac;
	const char *settings;
};

/*
 * Create and Start of a container. @disks are the mount points of the disks
 * that were asked for beside the layers, in the order of the request: the
 * implementer puts them into the mounts of the document.
 */
struct guest_container {
	const char *id;
	const char *bundle;
	const char *scratch;  /* "": none */
	const char *document; /* OCI, JSON text, as cleaned for the guest */
	const char *const *disks;
	size_t n_disks;
};

/**
 * struct guest_process - one process to start or to open again
 * @container_id: the guest's id of its container
 * @exec_id:	"" for init; with @container_id the name under which the exit
 *		is told
 * @document:	OCI process, JSON text; NULL for init
 * @stdio:	upstream ends, as the task service got them; "": no such stream
 * @terminal:	stdin and stdout are one terminal
 * @pid:	open only: process id in the guest
 * @port:	open only: host ports, 0: stream not open
 * @wait_id:	open only: id of the wait that the guest has not answered
 * @probe:	open only: ask once, with GUEST_PROBE_MS and a deadline of the
 *		host, whether it has exited already. Source rollback: false
 * @streams:	open only: what the source had of those that are in the bridge's
 *		session; the others begin where the guest does
 * @exited:	open only: it has, with @exit_status. Without a wait id that was
 *		told, and only what nobody has read is opened; else it is told by
 *		who opens it, when all that it wrote was taken
 * @unread:	open only: of outputs that are not in @streams any more
 */
struct guest_process {
	const char *container_id;
	const char *exec_id;
	const char *document;
	const char *stdio[GUEST_STREAMS];
	bool terminal;
	uint32_t pid;
	uint32_t port[GUEST_STREAMS];
	uint64_t wait_id;
	bool probe;
	const struct saved_stream *streams;
	size_t n_streams;
	bool exited;
	uint32_t exit_status;
	const struct saved_text *unread; /* GUEST_STREAMS */
};

/* Limit of the exit probe, in the guest; the host gives it ten times that. */
#define GUEST_PROBE_MS 50

struct guest_ops {
	/* --- the bridge --- */
	/* Bind its listener; before the VM starts. */
	int (*listen)(void *ctx, struct op *op, struct err *e);
	/*
	 * Wait for the guest and negotiate. @cold: as a cold start; else a
	 * destination: no cold-start messages. A failure leaves the listener
	 * bound, so that the call can be repeated.
	 */
	int (*connect)(void *ctx, bool cold, struct op *op, struct err *e);
	/*
	 * Source rollback: bind again, take the guest's new connection into the
	 * existing bridge, negotiate. Outstanding requests stay.
	 */
	int (*reconnect)(void *ctx, struct op *op, struct err *e);
	bool (*connected)(void *ctx);
	/* While set, a lost connection parks the bridge instead of closing it. */
	void (*set_migrating)(void *ctx, bool on);
	/* Close it; every wait ends. */
	void (*close)(void *ctx);
	/* Numbers that travel; raise() never lowers and takes 0 for nothing. */
	uint32_t (*next_port)(void *ctx);
	uint64_t (*next_id)(void *ctx);
	void (*raise)(void *ctx, uint32_t port, uint64_t id);

	/* --- resources --- */
	int (*disk_mount)(void *ctx, const struct guest_mount *m, struct op *op,
			  struct err *e);
	int (*disk_unmount)(void *ctx, const struct guest_mount *m,
			    struct op *op, struct err *e);
	/* SCSIDevice Remove. */
	int (*disk_eject)(void *ctx, uint32_t controller, uint32_t lun,
			  struct op *op, struct err *e);
	int (*layers_combine)(void *ctx, const struct guest_layers *l,
			      struct op *op, struct err *e);
	int (*layers_remove)(void *ctx, const struct guest_layers *l,
			     struct op *op, struct err *e);
	int (*nic_add)(void *ctx, const struct guest_nic *n, struct op *op,
		       struct err *e);
	int (*nic_remove)(void *ctx, const struct guest_nic *n, struct op *op,
			  struct err *e);

	/* --- containers --- */
	int (*container_create)(void *ctx, const struct guest_container *c,
				struct op *op, struct err *e);
	/* DeleteContainerState; also of one whose create failed. */
	int (*container_delete)(void *ctx, const char *id, struct op *op,
				struct err *e);
	/* Migration: track it again; no message is sent. */
	int (*container_open)(void *ctx, const char *id, struct op *op,
			      struct err *e);

	/* --- processes --- */
	/*
	 * Opens the upstream ends, listens, ExecuteProcess, WaitForProcess.
	 * op->value is the process id. The exit is told once, with
	 * sandbox_ctl_process_exited(), never before op has ended.
	 */
	int (*process_start)(void *ctx, const struct guest_process *p,
			     struct op *op, struct err *e);
	/* op->value: 1 delivered, 0 there was nobody to deliver it to. */
	int (*process_signal)(void *ctx, const char *container_id,
			      const char *exec_id, int32_t signal,
			      struct op *op, struct err *e);
	/*
	 * Closes what the host holds of a process that has exited, or never
	 * started: streams, relays, the wait. Cannot fail.
	 */
	void (*process_close)(void *ctx, const char *container_id,
			      const char *exec_id);
	/* Facts for the saved state: ports and the id of the unanswered wait. */
	int (*process_state)(void *ctx, const char *container_id,
			     const char *exec_id, uint32_t port[GUEST_STREAMS],
			     uint64_t *ret_wait_id, struct err *e);
	/*
	 * Migration: take over the upstream ends of a task that was patched.
	 * Replaces those of an earlier call; a failure changes nothing.
	 */
	int (*process_attach)(void *ctx, const struct guest_process *p,
			      struct op *op, struct err *e);
	/*
	 * Migration: bind the ports, register the wait, probe, start relays.
	 * Idempotent: a repeated call binds again. op->value: 1 it runs,
	 * 0 it has exited, which is told as any exit, after op has ended.
	 */
	int (*process_open)(void *ctx, const struct guest_process *p,
			    struct op *op, struct err *e);

	/*
	 * --- the session of the bridge (docs/resume.md 2.1). Who has none leaves
	 * these out; processes of the VM itself are known to nobody else ---
	 */
	/*
	 * Freeze it, and say what another host needs to go on with it, in memory
	 * of @a: nothing is acknowledged from here on, no stream moves. May be
	 * repeated. An empty text: there is none, and nothing was frozen.
	 */
	int (*session_save)(void *ctx, struct arena *a, struct saved_text *ret,
			    struct err *e);
	/* Go on with it here; fine when it is not frozen. */
	void (*session_thaw)(void *ctx);
	/* Streams of a process, which may have ended, into @ret, while it is
	 * frozen; and that it has exited, if nobody was told that yet. */
	int (*process_streams)(void *ctx, const char *container_id,
			       const char *exec_id, struct arena *a,
			       struct saved_process *ret, struct err *e);
	/* Processes of the VM itself into @ret, or -EPRECONDITION. */
	int (*others_save)(void *ctx, struct arena *a, struct saved_vm *ret,
			   struct err *e);
	/* Those that came; they are opened by the implementer when the guest is
	 * there. Nothing of @saved is kept. */
	int (*others_give)(void *ctx, const struct saved_vm *saved,
			   struct err *e);
};

#endif
