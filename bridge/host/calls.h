/*
 * bridge/host/calls.h - one function for each message of the bridge
 *
 * Each starts a call on a client (see host_client_call() for returns and
 * limits) and gives its id. The callback gets the response struct named here,
 * or a failure. A NULL container id is the UVM itself. ModifySettings has a
 * function for each resource: bridge/host/settings.h. A container that is
 * created or taken over is an object: bridge/host/container.h.
 *
 * No call waits for another: one that is slow delays nobody else (W-H13), and
 * one that is past its deadline fails alone (W-H14).
 */
#ifndef FERRY_BRIDGE_HOST_CALLS_H
#define FERRY_BRIDGE_HOST_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "bridge/msg.h"
#include "bridge/msg_container.h"
#include "bridge/msg_ferry.h"
#include "config/err.h"

/* Deadlines of the calls that have another than HOST_CALL_TIMEOUT_MS. */
#define HOST_SHUTDOWN_TIMEOUT_MS 30000

/**
 * struct host_done - who hears of the end of a call
 * @fn:		NULL: nobody
 * @ctx:	passed to @fn
 * @timeout_ms:	0: the default of the message, HOST_NO_TIMEOUT: for ever
 */
struct host_done {
	host_answer_fn *fn;
	void *ctx;
	int timeout_ms;
};

/* What host_get_properties() asks for; may be added. */
enum host_properties {
	HOST_PROCESS_LIST = 1,
	HOST_STATISTICS = 2,
};

/**
 * host_create() - create a container; struct msg_create_result
 * @document:	borrowed for the call; a schema version of 0.0 is sent as 2.1
 *
 * Use host_container_create(), which knows of the exit notice that may follow.
 */
int host_create(struct host_client *c, const char *container_id,
		const struct msg_container_config *document,
		const struct host_done *done, uint64_t *ret_id, struct err *e);

/**
 * host_start() - struct msg_result
 *
 * Starts nothing, but belongs between Create and the first ExecuteProcess,
 * which starts the init process.
 */
int host_start(struct host_client *c, const char *container_id,
	       const struct host_done *done, uint64_t *ret_id, struct err *e);

/**
 * host_get_properties() - struct msg_get_properties_result
 * @what:	enum host_properties
 *
 * Members that were not asked for are absent; one that was asked for may be
 * absent too (no processes; a guest that does not know the statistics).
 */
int host_get_properties(struct host_client *c, const char *container_id,
			unsigned int what, const struct host_done *done,
			uint64_t *ret_id, struct err *e);

/**
 * host_delete_container_state() - struct msg_result
 *
 * HR_SYSTEM_NOT_FOUND: there is nothing (left) to delete.
 */
int host_delete_container_state(struct host_client *c, const char *container_id,
				const struct host_done *done, uint64_t *ret_id,
				struct err *e);

/**
 * host_execute_process() - start a process; struct msg_execute_process_result
 * @container_id: where, NULL: the UVM
 * @parameters:	what; borrowed for the call
 * @port:	ports that are listened on already, 0: no such stream
 */
int host_execute_process(struct host_client *c, const char *container_id,
			 const struct msg_process_parameters *parameters,
			 const uint32_t port[MSG_STDIO],
			 const struct host_done *done, uint64_t *ret_id,
			 struct err *e);

/**
 * host_wait_for_process() - struct msg_wait_for_process_result
 * @timeout_ms:	the guest's limit: 0: look and answer at once;
 *		MSG_WAIT_FOREVER: none, and the call has no deadline and
 *		survives the loss of the connection
 *
 * A process that still runs at the limit is HOST_FAIL_REFUSED with HR_TIMEOUT,
 * one that the guest does not know HR_ELEMENT_NOT_FOUND; that is not an exit.
 */
int host_wait_for_process(struct host_client *c, const char *container_id,
			  uint32_t pid, uint32_t timeout_ms,
			  const struct host_done *done, uint64_t *ret_id,
			  struct err *e);

/**
 * host_preregister_wait() - expect the answer to another host's wait
 * @id:		of that WaitForProcess, which had no limit; not 0
 * @done:	as of host_wait_for_process(); the call survives every loss and has
 *		no deadline
 *
 * An answer that is here already is handed on from the loop. Nothing is sent.
 * Return: 0, -EINVAL (0), -EEXIST (a call with this id is outstanding), -ENOBUFS,
 *         -ENOMEM
 */
int host_preregister_wait(struct host_client *c, uint64_t id,
			  host_answer_fn *done, void *ctx, struct err *e);

/**
 * host_signal_process() - struct msg_result
 * @signal:	signal number; 0 sends none, which means SIGKILL
 *
 * HR_ELEMENT_NOT_FOUND: there was nobody to deliver it to.
 */
int host_signal_process(struct host_client *c, const char *container_id,
			uint32_t pid, int32_t signal,
			const struct host_done *done, uint64_t *ret_id,
			struct err *e);

/** host_resize_console() - struct msg_result; cells, not pixels */
int host_resize_console(struct host_client *c, const char *container_id,
			uint32_t pid, uint16_t height, uint16_t width,
			const struct host_done *done, uint64_t *ret_id,
			struct err *e);

/** host_dump_stacks() - struct msg_dump_stacks_result; the text is raw */
int host_dump_stacks(struct host_client *c, const struct host_done *done,
		     uint64_t *ret_id, struct err *e);

/**
 * host_read_log() - struct msg_ferry_read_log_result
 * @from:	number of a byte in the life of the log
 *
 * Of a ferry agent only, docs/resume.md 1.3; others refuse it.
 */
int host_read_log(struct host_client *c, uint64_t from, uint32_t max,
		  const struct host_done *done, uint64_t *ret_id,
		  struct err *e);

/**
 * host_shutdown() - struct msg_result
 * @container_id: a container, NULL: the UVM powers off, and the loss of the
 *		bridge that follows counts as the answer
 * @forced:	SIGKILL instead of SIGTERM
 */
int host_shutdown(struct host_client *c, const char *container_id, bool forced,
		  const struct host_done *done, uint64_t *ret_id,
		  struct err *e);

#endif
