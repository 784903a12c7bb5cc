/*
 * bridge/host/client_parts.h - the inside of a client, for the three files that
 * make it up: client.c has the connection, client_calls.c the calls, window.c
 * the migration window
 */
#ifndef FERRY_BRIDGE_HOST_CLIENT_PARTS_H
#define FERRY_BRIDGE_HOST_CLIENT_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "bridge/host/conn.h"
#include "bridge/host/earlystream.h"
#include "bridge/host/listener.h"
#include "bridge/host/observer.h"
#include "bridge/host/pending.h"
#include "bridge/host/session.h"

struct host_carry;

/*
 * struct resume - a resume that is under way
 * @ping:	id of the call that shows that the bridge lives
 */
struct resume {
	bool active;
	bool pinging;
	uint64_t ping;
	struct loop_id timer;
	host_resumed_fn *done;
	void *ctx;
};

/*
 * struct host_client - the client
 * @give_up:	limit of the time without a bridge
 * @retry:	the next attempt to listen
 * @last_err:	of a connection that came to nothing
 * @carries:	streams of the session
 * @counts:	see bridge/host/client.h
 * @early:	told of others, while the session may be another host's: @adopted
 * @session_from: id of the first call of the session; earlier ones the agent
 *		may never have heard of
 * @arena:	memory of the notice that is being handled
 * @in_negotiation, @negotiating: the call that is NegotiateProtocol, while it is outstanding
 */
struct host_client {
	struct host_client_config config;
	struct host_ports ports;
	enum host_state state;
	struct host_listener listener;
	struct host_conn conn;
	struct host_pending calls;
	struct host_session session;
	struct host_carry *carries;
	struct early_streams early;
	bool adopted;
	uint64_t session_from;
	bool in_negotiation;
	uint64_t negotiating;
	struct loop_id give_up;
	struct loop_id retry;
	int retry_ms;
	bool migrating;
	struct resume resume;
	struct host_guest guest;
	struct err last_err;
	struct host_observers observers;
	struct host_track track;
	struct host_counts counts;
	struct arena arena;
};

/**
 * client_lose() - the connection is gone, on purpose or not
 *
 * One that was of use is replaced at once, others after a pause, so that a guest
 * that only knocks costs little. In a blackout nothing is replaced.
 */
void client_lose(struct host_client *c, const struct err *why);

/** client_listen_again() - now, or after the pause that is due */
void client_listen_again(struct host_client *c);

/** client_limit() - give up in @timeout_ms; 0 or less: never */
int client_limit(struct host_client *c, int timeout_ms, struct err *e);

/** client_serve() - use a new connection; after an error client_lose() */
int client_serve(struct host_client *c, int fd, struct err *e);

/**
 * client_calls_lost() - the connection is gone: end the calls that end with it,
 * which in a session is none
 */
void client_calls_lost(struct host_client *c, uint64_t unsent,
		       const struct err *why);

/** client_park() - no connection, nobody listens, the calls of it end */
void client_park(struct host_client *c, const struct err *why);

/** client_resume_over() - end a resume that is under way; the callback is last */
void client_resume_over(struct host_client *c, const struct err *why);

#endif
