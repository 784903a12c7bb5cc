/*
 * bridge/host/client.h - the host's end of the bridge of one sandbox
 *
 * Theory of operation. The client listens on the bridge port before the VM
 * starts. The guest dials, the client negotiates, and calls may be made. When
 * the connection is lost the client listens again and negotiates again, with
 * the same counter of ids:
 *
 *	LISTENING -> NEGOTIATING -> READY -> (lost) LISTENING ...
 *	any of them -> FAILED	(no guest in time, or no way to listen)
 *	READY -> (lost in the migration window) PARKED -> LISTENING ...
 *
 * A call is made in READY only. Its callback runs exactly once: with the
 * answer, or with a struct host_failure. Losing the connection ends every call
 * with HOST_FAIL_LOST, because its answer may have died with the connection;
 * a call that survives (WaitForProcess) is kept and ends with an answer that
 * carries its old id, on whatever connection that comes. A call past its
 * deadline fails alone and a late answer is dropped.
 *
 * The migration window (host_client_set_migrating()) is open while the VM may
 * be moved away. A connection that is lost in it parks the client: nobody
 * listens, nothing times out but the calls themselves, everything that survives
 * a loss stays. Either the VM is gone and the client is freed, or it comes back
 * and host_client_resume() brings the bridge back, on this host or, with the
 * same effect, on a connection that somebody else accepted. A breach of the
 * protocol is no blackout (W-H11): it costs the connection and the client
 * listens at once, in the window or not.
 *
 * The guest is untrusted. A frame over WIRE_GUEST_FRAME_MAX, one shorter than
 * its header, or one of an unknown kind costs it the connection. An answer
 * with an unknown id, one of the wrong type, a notification for a container
 * that nobody tracks: logged and ignored. An answer that cannot be decoded
 * fails its own call only. Texts of the guest are escaped before they are put
 * into an error or a log line.
 * Source: shared specification bridge.md 1, 6 and 7.
 */
#ifndef FERRY_BRIDGE_HOST_CLIENT_H
#define FERRY_BRIDGE_HOST_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/host/ports.h"
#include "bridge/host/track.h"
#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "bridge/msg.h"
#include "config/err.h"

struct host_client;

/* Calls that may be outstanding at once, waits included. */
#define HOST_CALLS_MAX 16384u
#define HOST_CONNECT_TIMEOUT_MS 120000
#define HOST_NEGOTIATE_TIMEOUT_MS 30000
#define HOST_CALL_TIMEOUT_MS 300000
#define HOST_NO_TIMEOUT (-1)
/* How long a bridge that looks alive may take to say so in a resume. */
#define HOST_PING_TIMEOUT_MS 2000

enum host_state {
	HOST_LISTENING,
	HOST_NEGOTIATING,
	HOST_READY,
	HOST_FAILED,
	HOST_PARKED,
	HOST_STATES, /* number of states */
};

/* Why a call has no result. */
enum host_fail {
	HOST_FAIL_REFUSED,   /* the guest answered with an error: @hresult */
	HOST_FAIL_LOST,	     /* the bridge was lost before the answer came */
	HOST_FAIL_TIMEOUT,   /* no answer in time */
	HOST_FAIL_GARBLED,   /* the answer is not one to this call */
	HOST_FAIL_CANCELLED, /* the client was freed */
	HOST_FAIL_LOCAL,     /* it never left: memory, a limit */
	HOST_FAILS,	     /* number of kinds */
};

/**
 * struct host_failure - one failed call
 * @kind:	what kind of failure
 * @hresult:	the guest's result code; 0 unless HOST_FAIL_REFUSED
 * @sent:	bytes of the request went out: the guest may have acted on it
 * @err:	the whole story in one printable sentence
 */
struct host_failure {
	enum host_fail kind;
	uint32_t hresult;
	bool sent;
	struct err err;
};

/**
 * struct host_guest - what the guest said in negotiation
 * @version:		protocol version
 * @connection:		1 for the first connection that got this far, 2, ...
 * @*_supported:	its capabilities
 * @os:			lower case, printable, for example "linux"
 */
struct host_guest {
	uint32_t version;
	uint32_t connection;
	bool namespace_add_supported;
	bool signal_process_supported;
	bool dump_stacks_supported;
	bool delete_container_state_supported;
	char os[16];
};

/**
 * struct host_observer - somebody who wants to know; embedded by its owner
 * @ready:	negotiated, calls may be made unless it is frozen; again after
 *		every loss
 * @thawed:	calls may be made once more after host_client_freeze()
 * @lost:	the connection was lost, the client listens again; called after
 *		the calls that did not survive were ended
 * @failed:	the client gave up and does nothing any more
 * @notification: an exit notice of a container that is not tracked (see
 *		bridge/host/container.h). Return true when the container is
 *		known; a notice that nobody knows is remembered for a while
 * @out_of_memory: processes of a container were killed for want of memory,
 *		@count of them so far; only an agent of ferry's tells it, and
 *		before the end of the container
 * @ctx:	passed to all of them; any of them may be NULL
 * @prev, @next, @client: the client's
 *
 * An observer may remove itself or others from within a callback.
 */
struct host_observer {
	void (*ready)(void *ctx, const struct host_guest *guest);
	void (*thawed)(void *ctx);
	void (*lost)(void *ctx, const struct err *why);
	void (*failed)(void *ctx, const struct err *why);
	bool (*notification)(void *ctx, const struct msg_notification *n);
	void (*out_of_memory)(void *ctx, const char *container_id,
			      uint64_t count);
	void *ctx;
	struct host_observer *prev;
	struct host_observer *next;
	struct host_client *client;
};

/**
 * struct host_client_config - how a client behaves
 * @loop:		event loop, borrowed for the client's life
 * @transport:		where the guest dials
 * @connect_timeout_ms:	from the start until the first negotiation is done;
 *			0: HOST_CONNECT_TIMEOUT_MS, HOST_NO_TIMEOUT
 * @reconnect_timeout_ms: the same after a loss; 0: no limit
 * @negotiate_timeout_ms: for one connection; 0: HOST_NEGOTIATE_TIMEOUT_MS
 * @session:	ask for a session (bridge/host/session.h): with an agent that has
 *		it, calls and streams outlive connections
 * @moved:	the guest comes from another place, see host_client_moved()
 * @saved:	of another host's client, by host_client_save(): go on with its
 *		session; borrowed for the call of host_client_new(). NULL: none
 */
struct host_client_config {
	struct loop *loop;
	struct transport transport;
	int connect_timeout_ms;
	int reconnect_timeout_ms;
	int negotiate_timeout_ms;
	bool session;
	bool moved;
	const uint8_t *saved;
	size_t saved_len;
};

/**
 * host_client_new() - listen on the bridge port
 * @config:	copied
 * @ret:	receives the client; host_client_free(NULL) is fine
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int host_client_new(const struct host_client_config *config,
		    struct host_client **ret, struct err *e);

/**
 * host_client_free() - close the bridge; outstanding calls end with
 * HOST_FAIL_CANCELLED. Not from within a callback of the client.
 */
void host_client_free(struct host_client *c);

/**
 * host_client_moved() - the VM runs in another place, or was loaded from a state
 *
 * With the next negotiation the guest is asked to reseed its random generator,
 * set its clock and announce its addresses (docs/resume.md 4). Until it has done
 * the first nothing is asked of it. A guest of another kind only gets a line in
 * the log.
 */
void host_client_moved(struct host_client *c, bool moved);

/**
 * host_client_freeze() - before another host goes on with the session
 *
 * From here on nothing is acknowledged and no stream moves, so that what is
 * saved stays true; requests are refused with -EBUSY, but for one that is to end
 * the guest. Or go on with it here.
 */
void host_client_freeze(struct host_client *c, bool frozen);
bool host_client_frozen(const struct host_client *c);

/**
 * host_client_save() - the session, for host_client_new() of another host
 * @ret:	on the heap; it has secrets
 *
 * The ids of calls and ports of streams go their own ways:
 * host_client_next_id(), host_process_state(), host_process_streams().
 * Return: 0, -ENOENT: there is no session; -ENOMEM
 */
int host_client_save(const struct host_client *c, uint8_t **ret, size_t *len,
		     struct err *e);

/** host_client_observe() - hear of changes; @o must outlive the observation */
void host_client_observe(struct host_client *c, struct host_observer *o);

/** host_client_unobserve() - hear no more; fine when not observing */
void host_client_unobserve(struct host_observer *o);

enum host_state host_client_state(const struct host_client *c);

/** host_state_name() - "listening", "negotiating", "ready", ... */
const char *host_state_name(enum host_state state);

/**
 * struct host_counts - what a client has done so far; never goes back
 * @connections: negotiated ones
 * @losses:	of those, parked ones too
 * @fruitless:	connections that came to nothing
 * @notices:	of the guest
 * @calls, @failed: calls by how they ended; @calls: all that were begun
 * @late:	answers to calls that were over
 * @bytes:	of streams, that the receiver took
 * @redials:	streams that the guest dialled again
 * @replayed:	bytes of streams that came, or went, once more
 */
struct host_counts {
	uint64_t connections;
	uint64_t losses;
	uint64_t fruitless;
	uint64_t notices;
	uint64_t calls;
	uint64_t failed[HOST_FAILS];
	uint64_t late;
	uint64_t bytes[MSG_STDIO];
	uint64_t redials;
	uint64_t replayed;
};

const struct host_counts *host_client_counts(const struct host_client *c);

/** host_client_outstanding() - calls that wait for an answer */
size_t host_client_outstanding(const struct host_client *c);

/** host_client_guest() - the last negotiation, NULL before the first */
const struct host_guest *host_client_guest(const struct host_client *c);

/* What the client was made with, for those that stand on it. */
struct loop *host_client_loop(const struct host_client *c);
const struct transport *host_client_transport(const struct host_client *c);
struct host_ports *host_client_ports(struct host_client *c);
struct host_track *host_client_track(struct host_client *c);

/** host_client_next_id() - the id that the next call gets */
uint64_t host_client_next_id(const struct host_client *c);

/** host_client_raise_id() - go on at @floor unless the counter is past it */
void host_client_raise_id(struct host_client *c, uint64_t floor);

/* --- the migration window; bridge.md 7.6 ---------------------------------- */

/**
 * host_client_set_migrating() - open the window, or close it
 *
 * Closing it while the client is parked makes it listen, as after any loss.
 */
void host_client_set_migrating(struct host_client *c, bool migrating);

bool host_client_migrating(const struct host_client *c);

/** host_client_connected() - is there a negotiated connection now? */
bool host_client_connected(const struct host_client *c);

/**
 * host_resumed_fn - a resume is over
 * @why:	NULL: the bridge is there; -ETIMEDOUT, or why it never will be
 */
typedef void host_resumed_fn(void *ctx, const struct err *why);

/**
 * host_client_resume() - see to it that the bridge is there
 * @timeout_ms:	for all of it; HOST_NO_TIMEOUT
 * @done:	called once, from the loop
 * @ctx:	passed to @done
 * @e:		reason
 *
 * A bridge that was never lost is used as it is, once a call over it was
 * answered; one that does not answer within HOST_PING_TIMEOUT_MS is given up.
 * A parked client listens and negotiates anew, with its own next id. One that
 * listens anyway (the destination of a move) is waited for. After a timeout
 * inside the window the client is parked again, and this may be repeated.
 *
 * Return: 0; -EALREADY: one is under way; -ENOTCONN: the client has failed;
 *         -EADDRINUSE and the like: not listening; -ENOMEM
 */
int host_client_resume(struct host_client *c, int timeout_ms,
		       host_resumed_fn *done, void *ctx, struct err *e);

/**
 * host_client_resume_on() - use this connection from now on
 * @fd:		connected stream socket of any family, taken in any case
 *
 * Replaces the connection that there is; calls that do not survive a loss end.
 * Return: 0; -EINVAL: the window is not open, or the client has failed; -errno
 */
int host_client_resume_on(struct host_client *c, int fd, struct err *e);

/* --- one call; bridge/host/calls.h has a typed function for each message --- */

/**
 * host_answer_fn - a call is over
 * @ctx:	of the call
 * @result:	the response struct of the message, for the time of the
 *		callback; NULL: failed
 * @f:		why it failed, NULL: it did not
 */
typedef void host_answer_fn(void *ctx, const void *result,
			    const struct host_failure *f);

/**
 * struct host_call - one request and what becomes of its answer
 * @type:	request type word
 * @request:	schema of @message
 * @message:	request struct
 * @response:	schema of the response
 * @response_size: size of its struct, whose first member is a msg_result
 * @timeout_ms:	0: HOST_CALL_TIMEOUT_MS, HOST_NO_TIMEOUT
 * @survives:	goes on when the connection is lost
 * @ends_bridge: the loss of the connection is the answer, and a good one
 * @again:	refused with HR_RETRY it is sent again, HOST_AGAIN_MAX times, each
 *		with a new id: for whom the id does not matter
 * @done:	callback, NULL: nobody cares
 * @ctx:	passed to @done
 */
struct host_call {
	uint32_t type;
	const struct schema *request;
	const void *message;
	const struct schema *response;
	size_t response_size;
	int timeout_ms;
	bool survives;
	bool ends_bridge;
	bool again;
	host_answer_fn *done;
	void *ctx;
};

/* An agent that is restarted again and again serves nobody. */
#define HOST_AGAIN_MAX 8u

/**
 * host_client_call() - send one request
 * @c:		client
 * @call:	borrowed for the call of this function
 * @ret_id:	receives the id before anything is sent; may be NULL
 * @e:		reason
 *
 * Between two connections of a session the request waits for the next one.
 *
 * Return: 0: the callback will run, later and once; -ENOTCONN (no bridge),
 *         -ENOBUFS (a limit), -E2BIG (the request), -ENOMEM: it never will
 */
int host_client_call(struct host_client *c, const struct host_call *call,
		     uint64_t *ret_id, struct err *e);

/**
 * host_client_preregister() - expect the answer to a request of another host
 * @id:		its id, not 0
 * @call:	what it was; it has to survive losses, and is never sent. The id
 *		counts as read by the guest
 *
 * An answer to a WaitForProcess that came before is kept for this (up to
 * EARLY_ANSWERS_MAX of them) and handed on from the loop.
 *
 * Return: 0, -EINVAL (an id of 0), -EEXIST (outstanding: its owner will get
 *         the answer), -ENOBUFS, -ENOMEM
 */
int host_client_preregister(struct host_client *c, uint64_t id,
			    const struct host_call *call, struct err *e);

/** host_client_cancel() - forget a call; its callback does not run */
void host_client_cancel(struct host_client *c, uint64_t id);

/**
 * host_client_delivered() - has the guest read this outstanding call for sure?
 *
 * It reads in order, so an answer to a later call of the same connection is
 * the proof. A surviving call without it has to be made again after a loss.
 */
bool host_client_delivered(const struct host_client *c, uint64_t id);

/** host_fail_name() - "refused", "lost", ...; "unknown" out of range */
const char *host_fail_name(enum host_fail kind);

#endif
