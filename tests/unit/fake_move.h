/*
 * tests/unit/fake_move.h - a source and a destination, and an orchestrator's
 * calls to them; over tests/unit/fake_world.h
 */
#ifndef FERRY_TESTS_UNIT_FAKE_MOVE_H
#define FERRY_TESTS_UNIT_FAKE_MOVE_H

#include "tests/unit/fake_sandbox.h"

#define MOVE_ID "session-1"

struct move {
	struct world src;
	struct world dst;
	struct err e;
};

static inline void move_init(struct move *m)
{
	struct container_ctl *pause, *app;
	struct pod_ctl *pod;

	world_init(&m->src, "source");
	world_init(&m->dst, "destination");
	m->dst.peer = &m->src;
	assert_int_equal(world_boot(&m->src), 0);
	assert_int_equal(world_pod(&m->src, "p", &pod), 0);
	assert_int_equal(world_container(&m->src, pod, "p", &pause), 0);
	assert_int_equal(world_run_init(&m->src, pause), 0);
	assert_int_equal(world_container(&m->src, pod, "c", &app), 0);
	assert_int_equal(world_run_init(&m->src, app), 0);
	m->src.peer = &m->dst;
	m->src.port = 0x40000100;
	m->src.id = 100;
	m->src.n_ops = m->dst.n_ops = 0;
}

static inline void move_done(struct move *m)
{
	world_done(&m->src);
	world_done(&m->dst);
}

/* --- calls; each waits until it is over --- */

static inline int move_export(struct move *m)
{
	struct op op = { 0 };

	return world_wait(&m->src,
			  session_ctl_export(&m->src.session, MOVE_ID, NULL,
					     world_op(&m->src, &op), &m->e));
}

/* By an exec of the pod, which cannot come with it. */
static inline void move_export_refused(struct move *m)
{
	const struct process_spec exec = { .exec_id = "e", .document = "{}" };
	struct process_ctl *p;

	assert_int_equal(
		container_ctl_exec(sandbox_ctl_container(&m->src.s, "p"), &exec,
				   &p, &m->e),
		0);
	assert_int_equal(move_export(m), -EPRECONDITION);
}

static inline int move_import(struct move *m)
{
	return session_ctl_import(&m->dst.session, MOVE_ID, "new-sandbox",
				  m->src.session.exported.buf,
				  m->src.session.exported.len, &m->e);
}

static inline int move_patch_with(struct move *m, const char *id,
				  const char *new_id, const char *settings)
{
	const char *const layers[] = { "/there/base", "/there/app" };
	const struct network_endpoint nic = {
		.endpoint_id = (char[]){ "tap7" },
		.mac = (char[]){ "00-15-5D-00-00-07" },
		.name = (char[]){ "pod-eth0" },
		.settings = (char *)(uintptr_t)settings,
	};
	const bool pause = strcmp(id, "p") == 0;
	char scratch[64];
	const struct session_patch p = {
		.source_id = id,
		.id = new_id,
		.type = pause ? "sandbox" : "container",
		.bundle = "/there/bundle",
		.layers = layers,
		.n_layers = 2,
		.scratch = scratch,
		.init = { .stdio = { "/in2", "/out2", "/err2" } },
		.namespace_id = pause ? "ns-there" : "",
		.endpoints = &nic,
		.n_endpoints = pause,
	};
	struct op op = { 0 };

	(void)snprintf(scratch, sizeof(scratch), "/there/scratch-%s", id);
	return world_wait(&m->dst,
			  session_ctl_patch(&m->dst.session, &p,
					    world_op(&m->dst, &op), &m->e));
}

static inline int move_patch_one(struct move *m, const char *id,
				 const char *new_id)
{
	return move_patch_with(m, id, new_id, "{\"there\":1}");
}

static inline int move_patch(struct move *m)
{
	int r = move_patch_one(m, "c", "c2");

	return r < 0 ? r : move_patch_one(m, "p", "p2");
}

static inline int move_prepare(struct move *m)
{
	struct op op = { 0 };

	return world_wait(&m->dst,
			  session_ctl_prepare(&m->dst.session, MOVE_ID, NULL,
					      world_op(&m->dst, &op), &m->e));
}

static inline int move_socket(struct move *m, struct world *w)
{
	struct op op = { 0 };

	return world_wait(w, session_ctl_socket(&w->session, MOVE_ID, "x", 1,
						world_op(w, &op), &m->e));
}

static inline int move_transfer(struct move *m, struct world *w)
{
	return session_ctl_transfer(&w->session, MOVE_ID, &m->e);
}

static inline int move_cancel(struct move *m, struct world *w)
{
	struct op op = { 0 };

	return world_wait(w, session_ctl_cancel(&w->session, w->session.id,
						world_op(w, &op), &m->e));
}

static inline int move_finalize(struct move *m, struct world *w,
				enum vmm_outcome outcome)
{
	struct op op = { 0 };

	return world_wait(w, session_ctl_finalize(&w->session, w->session.id,
						  outcome, world_op(w, &op),
						  &m->e));
}

static inline int move_cleanup(struct move *m, struct world *w)
{
	struct op op = { 0 };

	return world_wait(w, session_ctl_cleanup(&w->session, w->session.id,
						 world_op(w, &op), &m->e));
}

/* From the socket on; @steps of the VMM begin the transfer. */
static inline void reach_socket(struct move *m, struct world *w,
				enum session_state state, int steps)
{
	if (state == SESSION_SOCKET_WAITING) {
		assert_int_equal(move_transfer(m, w), 0);
		return;
	}
	assert_int_equal(move_socket(m, w), 0);
	if (state == SESSION_SOCKET_READY)
		return;
	assert_int_equal(move_transfer(m, w), 0);
	while (steps-- > 0)
		world_let(w, 0, 0);
	if (state == SESSION_TRANSFERRING)
		return;
	world_run(w);
}

/* Both up to @state: each side its part of the way. */
static inline void move_reach_source(struct move *m, enum session_state state)
{
	struct world *w = &m->src;

	if (state == SESSION_IDLE)
		return;
	assert_int_equal(move_export(m), 0);
	if (state == SESSION_SOURCE_EXPORTED)
		return;
	reach_socket(m, w, state, 1); /* start */
}

static inline void move_reach_destination(struct move *m,
					  enum session_state state)
{
	struct world *w = &m->dst;

	if (state == SESSION_IDLE)
		return;
	assert_int_equal(move_import(m), 0);
	assert_int_equal(move_patch(m), 0);
	if (state == SESSION_DESTINATION_IMPORTED)
		return;
	assert_int_equal(move_prepare(m), 0);
	if (state == SESSION_DESTINATION_PREPARED)
		return;
	reach_socket(m, w, state, 2); /* listen, start */
}

static inline void move_whole(struct move *m)
{
	move_init(m);
	m->src.session.producer = "ferry of before";
	assert_int_equal(move_export(m), 0);
	assert_int_equal(move_import(m), 0);
	/* Hazard 24: whose state it is can be told. */
	assert_string_equal(m->dst.session.written_by, "ferry of before");
	assert_int_equal(move_patch(m), 0);
	assert_int_equal(move_prepare(m), 0);
	assert_int_equal(move_socket(m, &m->src), 0);
	assert_int_equal(move_socket(m, &m->dst), 0);
	assert_int_equal(move_transfer(m, &m->src), 0);
	assert_int_equal(move_transfer(m, &m->dst), 0);
	world_run(&m->src);
	world_run(&m->dst);
	assert_int_equal(m->src.session.state, SESSION_TRANSFER_COMPLETED);
	assert_int_equal(m->dst.session.state, SESSION_TRANSFER_COMPLETED);
}

/* Everything of the source is as before the export. */
static inline void move_source_lives(struct move *m)
{
	const struct container_ctl *c;
	const struct pod_ctl *p;

	assert_int_equal(m->src.s.vm.state, VM_RUNNING);
	assert_int_equal(m->src.s.vm.scsi.state, SCSI_READY);
	assert_false(m->src.migrating);
	assert_true(m->src.bridge);
	for (p = m->src.s.pods; p; p = p->next) {
		assert_false(p->migrating);
		assert_int_equal(p->network.state, NETWORK_CONFIGURED);
		for (c = p->containers; c; c = c->next)
			assert_true(c->state == CONTAINER_RUNNING ||
				    c->state == CONTAINER_STOPPED);
	}
}

#endif
