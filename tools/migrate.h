/*
 * tools/migrate.h - `ferry migrate`: a sandbox goes to another host
 *
 * The orchestrator of a move (docs/migration.md): a client of the service
 * Migration of both shims, the other one through `ferry migrate receive`. It
 * decides one thing only, who of both runs the guest in the end, and does so in
 * an order in which a death or a broken link at any time leaves one of them:
 * the destination is told to go on when the memory has arrived; the source gives
 * up when the destination has said that it runs, and goes on when it is known
 * not to run. Should it be wrong in that, the lease of the machine
 * (tools/lease.h) refuses the second of both.
 */
#ifndef FERRY_TOOLS_MIGRATE_H
#define FERRY_TOOLS_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "build/proto/ferry.pb-c.h"
#include "config/err.h"
#include "migration/lease.h"
#include "tools/handoff.h"
#include "tools/remote.h"

int tool_migrate(int argc, char **argv);

/* What the user wrote. */
struct migrate_args {
	const char *sandbox;
	const char *to;
	const char *lease;
	uint32_t downtime_ms;
	uint32_t cancel_downtime_ms;
	uint32_t max_passes;
	uint32_t target_passes;
	uint32_t throttle_start; /* percent */
	uint32_t throttle_step;
	uint32_t compress; /* threads */
	uint32_t timeout_s;
	bool no_throttle;
	bool force; /* after the time limit; else it is called off */
	bool cancel;
	bool json;
};

/* How far one side is. */
struct migrate_side {
	struct ttrpc_client *client;
	char session[40];
	char state[32];
	char vm[40];
	char reason[ERR_TEXT_MAX];
	uint64_t transferred;
	uint64_t remaining;
	uint64_t dirty;
	uint64_t rate;
	uint64_t reconnect_ms;
	int64_t clock_ns; /* its wall clock less ours */
	uint64_t stopped_ns;
	uint64_t running_ns;
	char lease[16]; /* who may run it, as this side sees it */
	char owner[LEASE_OWNER_SIZE];
	bool lost; /* the connection, or its shim */
};

/**
 * struct migrate - one move
 * @remote:	the source's shim
 * @session:	id
 * @data:	where the memory goes
 * @offer:	where the source's shim asks for @data
 * @pulse:	both are told now and then that we live
 * @most:	progress that was told
 */
struct migrate {
	struct migrate_args args;
	struct remote remote;
	struct migrate_side source;
	struct migrate_side destination;
	char session[40];
	int data;
	int offer;
	struct loop_id offer_watch;
	struct loop_id pulse;
	char token[HANDOFF_TOKEN_MIN + 1];
	char path[HANDOFF_PATH_MAX + 1];
	char far_path[HANDOFF_PATH_MAX + 1];
	char far_token[HANDOFF_TOKEN_MAX + 1];
	int64_t begun_ms;
	uint64_t most;
	const char *phase;
	bool forced;
	bool over; /* what is to be called off has had its outcome */
};

/**
 * migrate_args() - read the command line
 * @a:		zeros; @a->sandbox stays NULL when there is nothing to do (help)
 *
 * Return: TOOL_OK, TOOL_USAGE and the user was told why
 */
int migrate_args(int argc, char **argv, struct migrate_args *a);

/** migrate_session() - a new id in m->session */
int migrate_session(struct migrate *m, struct err *e);

/** migrate_ask() - a call to one side, and wait for its answer */
int migrate_ask(struct migrate *m, struct migrate_side *side,
		const char *service, const char *method,
		const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *response,
		void (*got)(void *ctx, const ProtobufCMessage *m), void *ctx,
		int64_t timeout_ms, struct err *e);

/**
 * migrate_containers() - the containers of the source
 * @ret:	the caller's; NULL on failure
 */
int migrate_containers(struct migrate *m, FerryContainersResponse **ret,
		       struct err *e);

/** migrate_call() - a method of Migration that takes only the session */
int migrate_call(struct migrate *m, struct migrate_side *side,
		 const char *method, struct err *e);

/** migrate_finalize() - @resume: this side runs it; else it gives it up */
int migrate_finalize(struct migrate *m, struct migrate_side *side, bool resume,
		     struct err *e);

/** migrate_look() - how far is this side? */
int migrate_look(struct migrate *m, struct migrate_side *side, bool force,
		 struct err *e);

/** migrate_pulse() - from now on both are told that we live, while the loop
 * turns; whoever does not hear it any more goes on without us */
void migrate_pulse(struct migrate *m);

/** migrate_link() - connect to both sides; the memory's way too */
int migrate_link(struct migrate *m, struct err *e);

/** migrate_hand_over() - state and containers to the destination, sockets to
 * both; the memory may flow then */
int migrate_hand_over(struct migrate *m, struct err *e);

/* Of migrate_report.c. */
void migrate_report(struct migrate *m, const char *phase);
void migrate_report_done(const struct migrate *m);
/* It is in files now, and nowhere else. */
void migrate_report_saved(const struct migrate *m, const char *file);
void migrate_report_failed(const struct migrate *m, const struct err *why,
			   const char *where);

#endif
