/*
 * tools/pod_run.h - containers of bundles in one sandbox, from disks to exits
 *
 * Theory of operation. Disks are made while the UVM boots. A root file system
 * becomes one read-only disk, however many containers have it; each container
 * has a sparse disk of its own for what it writes. When the bridge stands and
 * the disks of a container are there, the controllers (migration/) plug and
 * mount them, put the overlay together and create the container:
 *
 *	WAITING -> CREATING -> STARTING -> RUNNING -> ENDED
 *
 * In a pod the sandbox container (ferry's own, which only waits) is first; the
 * others join its network, IPC and host name. All ends when the main container
 * has ended, or when there is none, all have. Nothing is taken apart in the
 * guest: the UVM goes as a whole.
 */
#ifndef FERRY_TOOLS_POD_RUN_H
#define FERRY_TOOLS_POD_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "tools/disk/disk.h"
#include "tools/pod_plan.h"
#include "tools/report.h"
#include "tools/sandbox.h"

/**
 * struct pod_run_config - borrowed for its life
 * @plan:	what to run
 * @report:	phases, progress and warnings go there
 * @fs:		file system of root file systems
 * @tty:	the main container gets a terminal, whatever its bundle says
 * @interactive: it gets stdin even from a terminal
 * @height, @width: of the terminal
 * @started:	the main container's process runs; @terminal: with a terminal
 * @ended:	the code of all of it
 * @failed:	it cannot be run: @code of ferry, and why. Either of both is
 *		called once
 * @ctx:	passed to all
 */
struct pod_run_config {
	struct loop *loop;
	const struct pod_plan *plan;
	struct report *report;
	enum disk_fs fs;
	bool tty;
	bool interactive;
	uint16_t height;
	uint16_t width;
	void (*started)(void *ctx, bool terminal);
	void (*ended)(void *ctx, int code);
	void (*failed)(void *ctx, int code, const struct err *why);
	void *ctx;
};

struct pod_run;

/**
 * pod_run_new() - read the bundles
 *
 * Return: 0, -errno: the user can mend it
 */
int pod_run_new(const struct pod_run_config *c, struct pod_run **ret,
		struct err *e);

/** pod_run_devices() - controllers and ports that it needs */
void pod_run_devices(const struct pod_run *p, struct sandbox_config *config);

/** pod_run_disks() - begin to make the disks; 0 or -errno */
int pod_run_disks(struct pod_run *p, struct err *e);

/** pod_run_ready() - the sandbox is ready; borrowed until pod_run_ended() */
void pod_run_ready(struct pod_run *p, struct sandbox *s);

/** pod_run_ended() - the sandbox has ended; before sandbox_free() */
void pod_run_ended(struct pod_run *p);

/** pod_run_free() - after sandbox_free(); NULL is fine */
void pod_run_free(struct pod_run *p);

/** pod_run_signal() - to the main container, or to all; false: none runs */
bool pod_run_signal(struct pod_run *p, int signal);

/** pod_run_resize() - the main container's terminal */
void pod_run_resize(struct pod_run *p, uint16_t height, uint16_t width);

#endif
