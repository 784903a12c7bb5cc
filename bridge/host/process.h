/*
 * bridge/host/process.h - one process of the guest and its streams
 *
 * Theory of operation. Starting takes a port for each stream, listens on all of
 * them, and only then asks the guest, which dials them before it answers:
 *
 *	STARTING -> RUNNING -> DRAINING -> ENDED
 *
 * RUNNING: the guest gave a process id, a wait without limit is outstanding
 * and survives the loss of the bridge (bridge/host/exitwatch.h). DRAINING: the
 * exit is known, the outputs have not ended. They are closed when for
 * HOST_DRAIN_MS nothing came, or after HOST_DRAIN_LIMIT_MS at the latest; only
 * the guest's slowness counts, for bytes that the local reader is slow to take
 * are never thrown away. ENDED: the callback has run, everything is closed.
 *
 * A stream that the guest does not dial within HOST_STDIO_DIAL_MS of its answer
 * (a policy may deny stdio) is empty; a second connection is refused.
 *
 * Who reads and writes the streams may come and go while the process runs
 * (host_process_attach(), _detach()). While nobody is attached nothing is read,
 * and a process that writes on waits; no memory is used for it. A process that
 * exits while nobody is attached is over after HOST_DRAIN_LIMIT_MS at the
 * latest, and what it wrote last is lost then (@output_cut).
 *
 * The init process of a container keeps its streams when the bridge is lost:
 * they are listened on again and the guest dials them (bridge/host/stream.h).
 * A process that the guest has already (the destination of a move, a host that
 * starts anew) is taken over by host_process_open().
 * The program ignores SIGPIPE.
 * Source: shared specification bridge.md 5 and 7.2 to 7.4.
 */
#ifndef FERRY_BRIDGE_HOST_PROCESS_H
#define FERRY_BRIDGE_HOST_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/host/stream.h"
#include "bridge/msg.h"
#include "config/err.h"

#define HOST_STDIO_DIAL_MS 10000
#define HOST_DRAIN_MS 1000
#define HOST_DRAIN_LIMIT_MS 10000
/* Output behind the exit: what all buffers on the way can hold, and more. */
#define HOST_DRAIN_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct host_process;

/**
 * struct host_process_end - how it ended
 * @exited:	@code is the exit code that the guest reported
 * @code:	0..255, 128 + signal; UINT32_MAX: the guest does not know
 * @failure:	why there is no exit code, NULL when @exited. It did not start
 *		(@started false), the bridge is gone, or the guest no longer
 *		knows the process: never a code of 0
 * @started:	the guest had given a process id
 * @output_cut:	an output failed: not all of it could be written
 * @output_held:	all that came was written, but something that outlives the
 *		process kept an output open, and it was closed
 */
struct host_process_end {
	bool exited;
	uint32_t code;
	const struct host_failure *failure;
	bool started;
	bool output_cut;
	bool output_held;
};

/**
 * struct host_process_config - what to start
 * @container_id: NULL: the UVM
 * @parameters:	borrowed for the call; the create_*_pipe members are set from
 *		@fd and @detached. Without an oci_process it is the init process
 *		of its container
 * @fd:		the caller's stdin, stdout, stderr; -1: no such stream, or
 *		@detached. They are copied, may be closed after the call, and
 *		keep their flags
 * @detached:	there is such a stream, and nobody is attached yet
 * @keep_streams: when the far end of an attached descriptor goes (end of the
 *		input, no reader of an output), detach it. Without, the guest's
 *		stream is closed: the process reads the end, or gets EPIPE
 * @start_timeout_ms: for the guest's answer; 0: HOST_CALL_TIMEOUT_MS
 * @started:	the guest runs it under this process id; may be NULL
 * @left:	a stream was detached because of @keep_streams; may be NULL
 * @ended:	last callback, once, also when it did not start; the process
 *		may be freed from within
 * @ctx:	passed to both
 */
struct host_process_config {
	const char *container_id;
	const struct msg_process_parameters *parameters;
	int fd[MSG_STDIO];
	bool detached[MSG_STDIO];
	bool keep_streams;
	int start_timeout_ms;
	void (*started)(void *ctx, uint32_t pid);
	void (*left)(void *ctx, enum msg_stdio which);
	void (*ended)(void *ctx, const struct host_process_end *end);
	void *ctx;
};

/**
 * host_process_start() - start a process in the guest
 * @c:		client in HOST_READY; free its processes before it, or wait for
 *		their ends
 * @config:	what
 * @ret:	receives the process
 * @e:		reason
 *
 * Return: 0: @ended will be called; -errno: it never will be
 */
int host_process_start(struct host_client *c,
		       const struct host_process_config *config,
		       struct host_process **ret, struct err *e);

/**
 * struct host_process_state - what a move hands on about a process
 * @pid:	process id
 * @port:	ports of its streams, 0: none, or it is over
 * @wait_id:	id of the outstanding wait, never 0
 * @exited:	it has, with @code, which nobody was told yet: not all that it
 *		wrote was taken. Only of a session
 * @stream:	of a session: MSG_STDIO of them; NULL: there is none
 */
struct host_process_state {
	uint32_t pid;
	uint32_t port[MSG_STDIO];
	uint64_t wait_id;
	bool exited;
	uint32_t code;
	const struct host_stream_state *stream;
};

/**
 * host_process_open() - take over a process that the guest has
 * @c:		client in HOST_READY, whose floors were raised
 *		(host_client_raise_id(), host_ports_raise())
 * @config:	as for a start; of @parameters, which may be NULL, only
 *		oci_process is looked at (is it an init process?), of @fd what
 *		is attached at once. @started is not called
 * @state:	what host_process_state() gave
 * @watch:	ask whether it has ended in the meantime. False when the wait
 *		of @state is still this client's own
 * @ret:	receives the process
 * @e:		reason
 *
 * The guest's answer to the wait of @state is expected, also one that is here
 * already. The question has a limit of EXITWATCH_PROBE_MS in the guest and of
 * EXITWATCH_PROBE_LIMIT_MS here; "not found" ends the process without an exit
 * code (@exited false), anything else that is no exit leaves it running. Of one
 * that has exited only the streams are left, and nothing is asked.
 *
 * Return: 0: @ended will be called; -EINVAL: a wait id or pid of 0; -EEXIST:
 *         that wait is outstanding here; -errno: it never will be
 */
int host_process_open(struct host_client *c,
		      const struct host_process_config *config,
		      const struct host_process_state *state, bool watch,
		      struct host_process **ret, struct err *e);

/** host_process_free() - let go of it: streams are closed, nothing is killed,
 * no callback; NULL is fine */
void host_process_free(struct host_process *p);

/** host_process_pid() - process id in the guest, 0 before @started */
uint32_t host_process_pid(const struct host_process *p);

/**
 * host_process_attach() - join descriptors to the streams of a process
 * @fd:		stdin, stdout, stderr; -1: leave that stream as it is. Copied
 *
 * All of them or none. Return: 0, -ESRCH (it has ended), -ENXIO (no such
 * stream), -EPIPE (that stream has ended), -EBUSY (somebody is attached:
 * host_process_detach() first), -errno
 */
int host_process_attach(struct host_process *p, const int fd[MSG_STDIO],
			struct err *e);

/** host_process_detach() - let go of one local end; the process notices
 * nothing but that nobody reads */
void host_process_detach(struct host_process *p, enum msg_stdio which);

/** host_process_attached() - is somebody? */
bool host_process_attached(const struct host_process *p, enum msg_stdio which);

/** host_process_close_stdin() - no more input: half close after what was read */
void host_process_close_stdin(struct host_process *p);

/**
 * host_process_signal() - signal it; 0: SIGKILL
 *
 * HR_ELEMENT_NOT_FOUND in the callback: it had ended already.
 * Return: as host_client_call(); -ESRCH: not started or ended
 */
int host_process_signal(struct host_process *p, int32_t signal,
			const struct host_done *done, struct err *e);

/** host_process_resize() - size of its terminal, in cells; return as above */
int host_process_resize(struct host_process *p, uint16_t height, uint16_t width,
			const struct host_done *done, struct err *e);

/**
 * host_process_state() - return: 0, -ESRCH when it does not run
 *
 * Until the session goes on here an end is not told: another host may tell it.
 */
int host_process_state(const struct host_process *p,
		       struct host_process_state *ret);

/**
 * host_process_streams() - what a move hands on about its streams
 *
 * The session has to be frozen (host_client_freeze()), and stay so: what moves
 * later is lost or comes twice.
 * @ret:	MSG_STDIO of them; host_process_streams_done() always
 * Return: 0 or -ENOMEM
 */
int host_process_streams(const struct host_process *p,
			 struct host_stream_state *ret, struct err *e);

void host_process_streams_done(struct host_stream_state *state);

#endif
