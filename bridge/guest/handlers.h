/*
 * bridge/guest/handlers.h - one function a request type; see dispatch.h
 *
 * Each answers its request exactly once, or keeps it as a struct request.
 * Containers are not served yet: no container exists, so requests that name
 * one say so with the code that a host knows (shared specification bridge.md
 * 2.7), and Create fails.
 */
#ifndef FERRY_BRIDGE_GUEST_HANDLERS_H
#define FERRY_BRIDGE_GUEST_HANDLERS_H

#include <stdbool.h>

#include "bridge/guest/dispatch.h"

/* system.c: the bridge and the UVM */
handler_fn handle_negotiate;
handler_fn handle_create;
handler_fn handle_start;
handler_fn handle_shutdown;
handler_fn handle_get_properties;
handler_fn handle_modify_settings;
handler_fn handle_dump_stacks;
handler_fn handle_delete_container_state;

/* execute.c: starting processes */
handler_fn handle_execute_process;

/* uvm.c: processes of the UVM */
handler_fn handle_wait_for_process;
handler_fn handle_signal_process;
handler_fn handle_resize_console;

/** uvm_process_over() - the exit of a process: answer who waits for it */
void uvm_process_over(void *ctx, struct process *p);

/** is_uvm() - does the container id mean the UVM itself? */
bool is_uvm(const char *container_id);

#endif
