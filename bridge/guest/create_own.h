/*
 * bridge/guest/create_own.h - a create in progress, for the two files that make
 * it up: create.c has the way there, create_undo.c the way back
 */
#ifndef FERRY_BRIDGE_GUEST_CREATE_OWN_H
#define FERRY_BRIDGE_GUEST_CREATE_OWN_H

#include "bridge/guest/agent.h"
#include "bridge/guest/container.h"
#include "bridge/guest/oci.h"

/* Lines of resolv.conf. */
#define RESOLV_MAX 8192

/* What has to be undone when a create fails. */
enum create_did {
	DID_DISK = 1,
	DID_CGROUP = 2,
	DID_RUNTIME = 4,
	DID_OWN_CGROUP =
		8, /* the container's; else the runtime takes it away */
};

/* A process whose runtime was killed ends by itself, or is ended: looks at it. */
#define CREATE_LOOKS_MAX 50u
#define CREATE_LOOK_MS 100
/* How often folders and mounts are removed that did not go at once. */
#define CREATE_UNDO_TRIES 3u

/**
 * struct create - one of them
 * @request:	NULL: its host is gone
 * @did:	enum create_did, added
 * @looks, @undone: how often it was looked for processes, and folders were removed
 * @code, @err:	why it failed, valid while it is undone
 * @arena:	the request's document
 * @work:	what the jobs work on
 */
struct create {
	struct agent *agent;
	struct container *container;
	struct request *request;
	unsigned int did;
	unsigned int looks;
	unsigned int undone;
	struct loop_id timer;
	uint32_t code;
	struct err err;
	struct arena arena;
	struct text resolv;
	struct oci_work work;
};

/** create_free() - it is over, whatever became of it */
void create_free(struct create *x);

/** create_fail() - undo what was done, then answer with @code and @e */
void create_fail(struct create *x, uint32_t code, const struct err *e);

/** create_disk_job() - @fn works on x->work in a child; 0 or -errno */
int create_disk_job(struct create *x, job_fn *fn, int64_t deadline_ms,
		    job_done_fn *done, struct err *e);

/** create_drop() - the request's host is gone; the create goes on */
void create_drop(struct request *r);

#endif
