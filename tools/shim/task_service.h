/*
 * tools/shim/task_service.h - containerd's task service, and its methods for
 * the service Ferry, where a container may be named too
 *
 * Each is a ttrpc_method_fn on a struct shim.
 * Source: shared specification migration.md 10.3.
 */
#ifndef FERRY_TOOLS_SHIM_TASK_SERVICE_H
#define FERRY_TOOLS_SHIM_TASK_SERVICE_H

#include "config/err.h"
#include "tools/ttrpc/server.h"

extern const struct ttrpc_service shim_task_service;

struct shim;
struct shim_task;
struct process_ctl;

/** task_find() - the container of a call, or NULL and the call is refused */
struct shim_task *task_find(struct shim *s, struct ttrpc_call *call,
			    const char *id);

/** task_process() - the process of a call, or NULL and the call is refused */
struct process_ctl *task_process(struct shim *s, struct ttrpc_call *call,
				 const char *id, const char *exec_id);

/** task_refuse() - with the code for @e's errno */
void task_refuse(struct ttrpc_call *call, const struct err *e);

ttrpc_method_fn task_on_start;
ttrpc_method_fn task_on_state;
ttrpc_method_fn task_on_wait;
ttrpc_method_fn task_on_delete;
ttrpc_method_fn task_on_exec;
ttrpc_method_fn task_on_kill;
ttrpc_method_fn task_on_pids;
ttrpc_method_fn task_on_stats;
ttrpc_method_fn task_on_update;
ttrpc_method_fn task_on_close_io;
ttrpc_method_fn task_on_resize;
ttrpc_method_fn task_on_attach;

#endif
