/*
 * tools/shim/shim.h - the process that owns one sandbox
 *
 * Theory of operation. The shim makes the folder of its name (the lock on it is
 * the proof that it lives), listens on the ttrpc socket in it, and boots the
 * sandbox. Everybody else is a client of the socket. It ends in one way only:
 *
 *	somebody stops it, or the UVM ends -> the sandbox has ended
 *	-> all processes have ended, all who waited are answered
 *	-> the answers have left, or a second has passed -> folder removed
 *
 * SIGTERM and SIGINT stop it in order, a second one at once. When it dies any
 * other way QEMU dies with it, and its folder goes with the next start of any
 * sandbox, or with ferry gc.
 */
#ifndef FERRY_TOOLS_SHIM_SHIM_H
#define FERRY_TOOLS_SHIM_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/annotation_map.h"
#include "tools/launch.h"
#include "tools/qemu/remains.h"
#include "tools/qemu/rundir.h"
#include "tools/sandbox.h"
#include "tools/shim/events.h"
#include "tools/shim/log.h"
#include "tools/shim/machine.h"
#include "tools/shim/migrate.h"
#include "tools/shim/tasks.h"
#include "tools/shim/uvm.h"
#include "tools/shim/watch.h"
#include "tools/ttrpc/server.h"

/* In the folder of a sandbox. */
#define SHIM_SOCKET RUNDIR_SOCKET
/* The process that ferry run --detach -- COMMAND starts. */
#define SHIM_MAIN "main"

enum shim_state {
	SHIM_BOOTING,
	SHIM_READY,
	SHIM_ENDING,
	SHIM_MOVING, /* told only, see shim_state_told() */
	SHIM_STATES, /* number of states */
};

/**
 * struct shim - one sandbox and who asks about it
 * @launch:	what it was made from, borrowed
 * @name:	of the sandbox
 * @lock:	annotations that are fixed when it is migratable
 * @machine:	what a move compares; @sum_timer: its files, piece by piece
 * @tasks:	its containers
 * @migration:	of the whole sandbox
 * @events:	NULL: nobody wants to hear
 * @stops:	calls of Stop, answered at the end
 * @ready_fd:	where the starter waits for a verdict, -1: told
 * @left, @n_left: its last diagnostics bundle, "": none; and their number
 */
struct shim {
	struct launch *launch;
	const struct shim_birth *birth;
	const char *name;
	enum shim_state state;
	struct loop *loop;
	struct rundir dir;
	struct shim_log log;
	struct ttrpc_server *server;
	struct sandbox_config config;
	struct sandbox *sandbox;
	struct annotation_map lock;
	struct machine_facts machine;
	struct loop_id sum_timer;
	struct uvm_procs procs;
	struct shim_tasks tasks;
	struct shim_migration migration;
	struct events *events;
	struct ttrpc_call **stops;
	size_t n_stops;
	uint64_t started_ns;
	int ready_fd;
	struct loop_id ready_watch;
	int signal_fd;
	struct loop_id signal_watch;
	struct loop_id end_timer;
	int64_t end_limit_ms;
	bool ended;
	bool forced;
	bool failed;
	struct err why;
	char left[REMAINS_PATH_MAX];
	uint64_t n_left;
	struct watch watch;
};

/**
 * struct shim_birth - how a shim comes to be; borrowed for its life
 * @name:	of the sandbox, NULL: one is made
 * @listen_fd:	its socket, which stays the caller's; -1: one is made in the
 *		folder of the sandbox
 * @socket:	path of @listen_fd
 * @events:	path of containerd's ttrpc socket, NULL: nobody wants to hear
 * @name_space:	containerd's
 * @of_containerd: containerd started it: the starter does not wait for the UVM
 * @incoming:	the destination of a move: there is no UVM until it comes
 */
struct shim_birth {
	const char *name;
	int listen_fd;
	const char *socket;
	const char *events;
	const char *name_space;
	bool of_containerd;
	bool incoming;
};

/**
 * shim_start() - run a sandbox in a process of its own
 * @l:		options, checked; files found
 * @ret_name:	RUNDIR_NAME_MAX bytes, receives the name
 * @e:		why it did not become ready
 *
 * Returns when the sandbox is ready, or is served if containerd started it, or
 * has failed. A caller that dies before takes the sandbox with it.
 * Return: 0 or -errno
 */
int shim_start(struct launch *l, const struct shim_birth *birth, char *ret_name,
	       struct err *e);

/** shim_run() - be the shim; returns when everything has ended. Its verdict
 * goes to @ready_fd, which is taken */
void shim_run(struct launch *l, const struct shim_birth *birth, int ready_fd);

/** shim_stop() - end the sandbox; @force: without asking the guest */
void shim_stop(struct shim *s, bool force);

/** shim_make() - a UVM that waits for its guest; see struct ops_config */
int shim_make(struct shim *s, const struct vmm_config *c, struct sandbox **ret,
	      struct err *e);

/** shim_state_name() - "booting", "ready", "ending", "moving" */
const char *shim_state_name(enum shim_state state);

/**
 * shim_state_told() - what those are told who ask after its health
 *
 * A sandbox that is ready, and which a migration holds on either side, is moving:
 * it answers few requests then, and nothing is wrong with it.
 */
enum shim_state shim_state_told(const struct shim *s);

/* Its context is the struct shim. */
extern const struct ttrpc_service shim_ferry_service;

#endif
