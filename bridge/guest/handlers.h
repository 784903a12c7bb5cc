/*
 * bridge/guest/handlers.h - one function a request type; see dispatch.h
 *
 * Each answers its request exactly once, or keeps it as a struct request.
 */
#ifndef FERRY_BRIDGE_GUEST_HANDLERS_H
#define FERRY_BRIDGE_GUEST_HANDLERS_H

#include <stdbool.h>

#include "bridge/guest/container.h"
#include "bridge/guest/dispatch.h"
#include "bridge/msg.h"
#include "bridge/msg_settings.h"

/* system.c: the bridge and the UVM */
handler_fn handle_negotiate;
handler_fn handle_start;
handler_fn handle_shutdown;
handler_fn handle_modify_settings;
handler_fn handle_dump_stacks;
handler_fn handle_read_log;

/* create.c, askcontainer.c, delete.c: containers */
handler_fn handle_create;
handler_fn handle_get_properties;
handler_fn handle_delete_container_state;
/** container_shutdown() - a shutdown that names a container */
void container_shutdown(struct call *c, const struct msg_base *m);
/** container_modify() - settings of a container */
void container_modify(struct call *c, const struct msg_modify_settings *m);
/** container_execute() - its init process, or one more in it */
void container_execute(struct call *c, const struct msg_execute_process *m);

/* execute.c: starting processes */
handler_fn handle_execute_process;
/** policy_forbids() - to run anything? Then the request is answered */
bool policy_forbids(struct call *c);

/* askprocess.c: processes that run or have run */
handler_fn handle_wait_for_process;
handler_fn handle_signal_process;
handler_fn handle_resize_console;

/**
 * process_wait_again() - a wait that an earlier agent was asked for
 * @until_ms:	its limit, 0: none
 */
void process_wait_again(struct agent *a, struct process *p, struct request *r,
			int64_t until_ms);

/** process_tell_start() - answer a start: this is what runs */
void process_tell_start(struct agent *a, const struct answer_to *to,
			const struct process *p);

/** process_answer_start() - the same, and forget the request */
void process_answer_start(struct agent *a, struct request *r,
			  const struct process *p);

/** process_answer_waiters() - a process is over: answer who waits for it */
void process_answer_waiters(void *ctx, struct process *p);

/**
 * named_container() - the container that a request names, past its creation
 *
 * Return: NULL, and the request is answered
 */
struct container *named_container(struct call *c, const char *id);

/** is_uvm() - does the container id mean the UVM itself? */
bool is_uvm(const char *container_id);

#endif
