/*
 * A move between two sandboxes in one process: the way that works, the ways
 * back, and what each side refuses. Names L, W and F as in migration.md 11, 12
 * and 8.
 */
#include "tests/unit/fake_move.h"

static void whole_move(struct move *m)
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

static void test_a_move_that_works(void **state UNUSED)
{
	const struct container_ctl *c;
	struct move m;

	whole_move(&m);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_true(m.dst.vm_runs);
	assert_false(m.src.vm_exists);
	/* W24: the source's tasks end as unknown, not as -1. */
	assert_int_equal(world_count(&m.src, "exit p=255"), 1);
	assert_int_equal(world_count(&m.src, "exit c=255"), 1);
	/* O9, and ferry's /tasks/start behind it. */
	assert_string_equal(text_str(&m.dst.heard),
			    "created c2\nstarted c2\ncreated p2\nstarted p2\n");
	c = sandbox_ctl_container(&m.dst.s, "c2");
	assert_non_null(c);
	assert_string_equal(c->gcs_id, "c");
	assert_string_equal(c->pod->id, "p2");
	assert_string_equal(c->pod->gcs_id, "p");
	assert_int_equal(c->state, CONTAINER_RUNNING);
	assert_string_equal(c->bundle, "/there/bundle");
	assert_string_equal(c->init->stdio[GUEST_STDOUT], "/out2");
	assert_string_equal(m.dst.s.vm.id, "new-sandbox@vm");
	assert_int_equal(m.dst.s.vm.epoch, 1);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
	assert_int_equal(m.dst.session.state, SESSION_IDLE);
	/* It lives on: exits are told under the new id. */
	world_exit(&m.dst, "c", "", 9);
	assert_int_equal(world_count(&m.dst, "exit c2=9"), 1);
	move_done(&m);
}

static void test_l26_new_containers_use_the_guests_pod_id(void **state UNUSED)
{
	struct container_ctl *c;
	struct move m;

	whole_move(&m);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
	assert_int_equal(world_container(&m.dst,
					 sandbox_ctl_pod(&m.dst.s, "p2"), "n",
					 &c),
			 0);
	assert_string_equal(c->guest_bundle, "/run/gcs/pods/p/n");
	assert_string_equal(strstr(c->scratch.guest_path, "/scratch"),
			    "/scratch/p/n");
	move_cleanup(&m, &m.src);
	move_done(&m);
}

/* Everything of the source is as before the export. */
static void assert_source_lives(struct move *m)
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

static void test_l18_a_rollback_keeps_a_bridge_that_lives(void **state UNUSED)
{
	struct move m;
	unsigned ops;

	move_init(&m);
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	ops = m.src.n_ops;
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	/* finalize, and stdio of two containers: no reconnect */
	assert_int_equal(m.src.n_ops - ops, 3);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_source_lives(&m);
	/* L20: no second created, and exits are told once. */
	assert_int_equal(world_count(&m.src, "created"), 2);
	world_exit(&m.src, "c", "", 4);
	assert_int_equal(world_count(&m.src, "exit c=4"), 1);
	/* And it can be moved again. */
	move_done(&m);
}

static void
test_f16_the_source_runs_after_a_completed_transfer(void **state UNUSED)
{
	struct move m;

	whole_move(&m);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
	assert_source_lives(&m);
	assert_int_equal(m.src.s.vm.epoch, 2);
	assert_false(m.dst.vm_exists);
	assert_int_equal(world_count(&m.dst, "exit c2=137"), 1);
	assert_int_equal(world_count(&m.dst, "exit p2=137"), 1);
	move_done(&m);
}

static void test_l17_a_cancelled_destination_may_still_run(void **state UNUSED)
{
	struct move m;

	whole_move(&m);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_true(m.dst.vm_runs);
	move_done(&m);
}

/* W20, and epochs at an import: a state is of use once, and not any more when
 * its source went on. */
static void test_w20_a_state_of_the_past_is_refused(void **state UNUSED)
{
	struct world second;
	struct move m;
	size_t n;
	char *old;

	whole_move(&m);
	n = m.src.session.exported.len;
	old = malloc(n);
	assert_non_null(old);
	memcpy(old, m.src.session.exported.buf, n);
	world_init(&second, "second");
	second.peer = &m.src;
	/* While nobody has let it go on another one may take it, too. */
	assert_int_equal(
		session_ctl_import(&second.session, MOVE_ID, "x", old, n, &m.e),
		0);
	assert_int_equal(move_cancel(&m, &second), 0);
	assert_int_equal(move_cleanup(&m, &second), 0);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	/* The destination is whole and would run: its epoch has passed. */
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), -ESTALE);
	assert_false(m.dst.vm_runs);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_STOP), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
	world_done(&second);
	world_init(&second, "second");
	second.peer = &m.src;
	assert_int_equal(
		session_ctl_import(&second.session, MOVE_ID, "x", old, n, &m.e),
		-ESTALE);
	assert_int_equal(second.session.state, SESSION_IDLE);
	assert_int_equal(second.s.vm.state, VM_NOT_CREATED);
	assert_source_lives(&m);
	free(old);
	world_done(&second);
	move_done(&m);
}

static void test_w16_f17_cleanup_of_a_cancelled_destination(void **state UNUSED)
{
	struct container_ctl *c;
	struct move m;
	struct op op = { 0 };

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	move_reach_destination(&m, SESSION_DESTINATION_PREPARED);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
	assert_int_equal(m.dst.session.state, SESSION_IDLE);
	assert_false(m.dst.vm_exists);
	assert_int_equal(world_count(&m.dst, "exit c2=137"), 1);
	c = sandbox_ctl_container(&m.dst.s, "c2");
	assert_int_equal(c->state, CONTAINER_STOPPED);
	assert_int_equal(
		world_wait(&m.dst, container_ctl_delete(
					   c, world_op(&m.dst, &op), &m.e)),
		0);
	assert_int_equal(world_count(&m.dst, "deleted c2=137"), 1);
	move_done(&m);
}

static void
test_w3_an_exit_while_frozen_does_not_stop_the_rollback(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	world_exit(&m.src, "c", "", 5);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_source_lives(&m);
	assert_int_equal(world_count(&m.src, "exit c=5"), 1);
	assert_int_equal(sandbox_ctl_container(&m.src.s, "c")->state,
			 CONTAINER_STOPPED);
	move_done(&m);
}

static void test_w1_f2_a_refused_export_freezes_nothing(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_export_refused(&m);
	assert_int_equal(m.src.session.state, SESSION_FAILED);
	assert_int_equal(sandbox_ctl_container(&m.src.s, "c")->state,
			 CONTAINER_RUNNING);
	assert_false(m.src.s.pods->migrating);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_source_lives(&m);
	move_done(&m);
}

static void test_l7_a_share_or_device_is_refused_by_name(void **state UNUSED)
{
	static const char id[] = "70000000-0000-4000-8000-000000000007";
	const struct device_spec spec[DEVICE_KINDS] = {
		{ DEVICE_VPCI, id, "0000:01:00.0", NULL, NULL, false },
		{ DEVICE_PLAN9, id, "/srv", "7", "/mnt", true },
	};
	struct move m;
	size_t i;

	for (i = 0; i < DEVICE_KINDS; i++) {
		move_init(&m);
		assert_int_equal(
			devices_hold(&m.src.s.vm.devices, &spec[i], "c", &m.e),
			0);
		assert_int_equal(move_export(&m), -EPRECONDITION);
		assert_non_null(strstr(m.src.err.text, id));
		assert_non_null(strstr(m.src.err.text, spec[i].host));
		assert_int_equal(devices_drop(&m.src.s.vm.devices,
					      (enum device_kind)i, id, "c",
					      &m.e),
				 0);
		assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
		assert_int_equal(move_cleanup(&m, &m.src), 0);
		assert_int_equal(move_export(&m), 0);
		move_done(&m);
	}
}

static void test_w5_a_late_cancel_can_be_left_again(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(m.src.session.state, SESSION_CANCELLED);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_source_lives(&m);
	move_done(&m);
	/* A destination that runs is not ended by a stray cancel. */
	whole_move(&m);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), -EPRECONDITION);
	assert_true(m.dst.vm_runs);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
	move_done(&m);
}

static void
test_w20_a_destination_runs_only_what_has_arrived(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_TRANSFERRING);
	move_reach_destination(&m, SESSION_TRANSFERRING);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), -EPRECONDITION);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_STOP), 0);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_source_lives(&m);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	move_done(&m);
}

static void test_w11_a_cancelled_transfer_is_no_failure(void **state UNUSED)
{
	struct move m;
	size_t i;

	move_init(&m);
	move_reach_source(&m, SESSION_TRANSFERRING);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(m.src.session.state, SESSION_CANCELLED);
	for (i = 0; i < m.src.session.n_messages; i++)
		assert_int_not_equal(m.src.session.messages[i].phase,
				     SESSION_PHASE_FAILED);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	move_done(&m);
}

struct hearing {
	struct session_listener l;
	unsigned n;
	uint32_t last;
	enum session_phase phase;
	enum session_result result;
	bool ended;
};

static void hear(void *ctx, const struct session_message *m)
{
	struct hearing *h = ctx;

	assert_true(m->id > h->last);
	h->last = m->id;
	h->phase = m->phase;
	h->result = m->result;
	h->n++;
}

static void hear_end(void *ctx)
{
	struct hearing *h = ctx;

	h->ended = true;
}

static void test_w10_the_outcome_is_kept_for_who_comes_late(void **state UNUSED)
{
	struct hearing h = { .l = { hear, hear_end, &h, NULL } };
	struct move m;
	int i;

	move_init(&m);
	move_reach_source(&m, SESSION_TRANSFERRING);
	session_ctl_notify(&m.src.session, SESSION_SETUP_DONE,
			   SESSION_RESULT_NONE, 0);
	for (i = 0; i < 200; i++)
		session_ctl_notify(&m.src.session, SESSION_IN_PROGRESS,
				   SESSION_RESULT_NONE, 0);
	world_let(&m.src, 0, -EIO);
	assert_int_equal(m.src.session.state, SESSION_FAILED);
	assert_int_equal(
		session_ctl_listen(&m.src.session, "other", &h.l, &m.e),
		-EINVAL);
	assert_int_equal(
		session_ctl_listen(&m.src.session, MOVE_ID, &h.l, &m.e), 0);
	assert_int_equal(h.n, SESSION_MESSAGES);
	assert_int_equal(h.phase, SESSION_PHASE_FAILED);
	assert_int_equal(m.src.session.messages[0].phase, SESSION_SETUP_DONE);
	assert_int_equal(m.src.session.messages[0].result, SESSION_SUCCESS);
	assert_int_equal(m.src.session.transfer_result, -EIO);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_true(h.ended);
	assert_source_lives(&m);
	move_done(&m);
}

/* Whose doing a failure is, and that a source does not come back. */
static void test_f12_f19_failures_have_their_names(void **state UNUSED)
{
	for (int guest = 0; guest < 2; guest++) {
		struct hearing h = { .l = { hear, hear_end, &h, NULL } };
		struct move m;

		move_init(&m);
		move_reach_source(&m, SESSION_TRANSFERRING);
		assert_int_equal(
			session_ctl_listen(&m.src.session, MOVE_ID, &h.l, &m.e),
			0);
		if (guest)
			session_ctl_guest_ended(&m.src.session);
		world_let(&m.src, 0, -EIO);
		assert_int_equal(h.phase, SESSION_PHASE_FAILED);
		assert_int_equal(h.result, guest ? SESSION_GUEST_CANCELLED
						 : SESSION_SOURCE_FAILED);
		m.src.fail_at = m.src.n_ops + 1;
		assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), -EIO);
		assert_int_equal(h.phase, SESSION_RECOVERY_DONE);
		assert_int_equal(h.result, SESSION_RECOVERY_FAILED);
		h.phase = SESSION_PHASE_NONE;
		assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
		assert_int_equal(h.phase, SESSION_PHASE_NONE);
		assert_int_equal(move_cleanup(&m, &m.src), 0);
		assert_source_lives(&m);
		move_done(&m);
	}
}

static void
test_w19_f26_a_source_that_nobody_calls_rolls_back(void **state UNUSED)
{
	static const enum session_state from[] = { SESSION_SOURCE_EXPORTED,
						   SESSION_SOCKET_WAITING };
	struct move m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(from); i++) {
		move_init(&m);
		move_reach_source(&m, from[i]);
		assert_true(session_ctl_idle(&m.src.session));
		world_run(&m.src);
		assert_int_equal(m.src.session.state, SESSION_IDLE);
		assert_source_lives(&m);
		move_done(&m);
	}
	/* Never one that has begun to transfer, never a destination. */
	move_init(&m);
	move_reach_source(&m, SESSION_TRANSFER_COMPLETED);
	move_reach_destination(&m, SESSION_DESTINATION_PREPARED);
	assert_false(session_ctl_idle(&m.src.session));
	assert_false(session_ctl_idle(&m.dst.session));
	move_done(&m);
}

static void test_w6_f5_a_refused_patch_can_be_repeated(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	assert_int_equal(move_import(&m), 0);
	assert_int_equal(move_patch_one(&m, "nobody", "x"), -ENOENT);
	assert_int_equal(move_patch_one(&m, "c", "a/b"), -EINVAL);
	m.dst.fail_at = m.dst.n_ops + 1;
	assert_int_equal(move_patch_one(&m, "p", "p2"), -EIO);
	assert_non_null(sandbox_ctl_pod(&m.dst.s, "p"));
	assert_non_null(sandbox_ctl_container(&m.dst.s, "p"));
	assert_int_equal(move_prepare(&m), -EPRECONDITION);
	assert_non_null(strstr(m.e.text, "p"));
	assert_int_equal(move_patch_one(&m, "p", "p2"), 0);
	assert_int_equal(move_patch_one(&m, "p", "p3"), -ENOENT);
	assert_int_equal(move_patch_one(&m, "c", "p2"), -EEXIST);
	assert_int_equal(move_patch_one(&m, "c", "c2"), 0);
	assert_int_equal(move_prepare(&m), 0);
	assert_string_equal(m.dst.s.vm.scsi.slot[0]->config.path,
			    "/there/base");
	move_done(&m);
}

static void test_w18_one_shared_layer_gets_one_path(void **state UNUSED)
{
	const char *const layers[] = { "/there/base", "/there/app" };
	const char *const others[] = { "/elsewhere/base", "/there/app" };
	struct session_patch p = {
		.source_id = "p",
		.id = "p2",
		.bundle = "/b",
		.layers = layers,
		.n_layers = 2,
		.scratch = "/there/s1",
	};
	struct op op = { 0 };
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	assert_int_equal(move_import(&m), 0);
	assert_int_equal(
		world_wait(&m.dst,
			   session_ctl_patch(&m.dst.session, &p,
					     world_op(&m.dst, &op), &m.e)),
		0);
	p.source_id = "c";
	p.id = "c2";
	p.layers = others;
	p.scratch = "/there/s2";
	assert_int_equal(session_ctl_patch(&m.dst.session, &p, &op, &m.e),
			 -EINVAL);
	p.layers = layers;
	p.scratch = "/there/s1";
	assert_int_equal(session_ctl_patch(&m.dst.session, &p, &op, &m.e),
			 -EINVAL);
	p.n_layers = 1;
	assert_int_equal(session_ctl_patch(&m.dst.session, &p, &op, &m.e),
			 -EINVAL);
	move_done(&m);
}

static void test_w21_options_are_checked_before_anything(void **state UNUSED)
{
	static const struct vmm_options bad[] = {
		{ .throttle_increment = 300 },
		{ .throttle_initial = 100 },
		{ .passes_target = 5, .passes_max = 4 },
		{ .downtime_ms = 2000001 },
		{ .cancel_over_limit = true },
		{ .compress_threads = 256 },
	};
	struct op op = { 0 };
	struct move m;
	size_t i;

	move_init(&m);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(session_ctl_export(&m.src.session, MOVE_ID,
						    &bad[i], &op, &m.e),
				 -EINVAL);
	assert_int_equal(m.src.n_ops, 0);
	move_done(&m);
}

static void test_ids_states_and_sockets(void **state UNUSED)
{
	struct op op = { 0 };
	struct move m;

	move_init(&m);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(session_ctl_transfer(&m.src.session, MOVE_ID, &m.e),
			 -EINVAL);
	assert_int_equal(
		session_ctl_export(&m.src.session, "", NULL, &op, &m.e),
		-EINVAL);
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(move_export(&m), -EPRECONDITION);
	assert_int_equal(session_ctl_blocks_tasks(&m.src.session, &m.e),
			 -EPRECONDITION);
	assert_int_equal(session_ctl_transfer(&m.src.session, "other", &m.e),
			 -EINVAL);
	assert_int_equal(
		world_wait(&m.src,
			   session_ctl_socket(&m.src.session, MOVE_ID, "", 0,
					      world_op(&m.src, &op), &m.e)),
		-EINVAL);
	assert_int_equal(m.src.session.state, SESSION_SOURCE_EXPORTED);
	assert_int_equal(move_transfer(&m, &m.src), 0);
	assert_int_equal(move_transfer(&m, &m.src), 0);
	assert_int_equal(m.src.session.state, SESSION_SOCKET_WAITING);
	assert_int_equal(move_socket(&m, &m.src), 0);
	assert_int_equal(m.src.session.state, SESSION_TRANSFER_COMPLETED);
	assert_int_equal(move_socket(&m, &m.src), -EEXIST);
	assert_int_equal(session_number("5F0B1190-63BE-4E0C-B974-BD0F55675A42"),
			 0x2629ea69);
	assert_int_equal(session_number("session-1"), 0x84097828);
	move_done(&m);
}

static void test_f9_the_socket_does_not_come(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOCKET_WAITING);
	session_ctl_socket_late(&m.src.session);
	assert_int_equal(m.src.session.state, SESSION_FAILED);
	assert_int_equal(m.src.session.n_messages, 1);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_source_lives(&m);
	move_done(&m);
}

static void test_f23_the_vm_dies_during_the_session(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	world_vm_ends(&m.src);
	assert_int_equal(world_count(&m.src, "exit"), 2);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), -EPRECONDITION);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(world_count(&m.src, "exit"), 2);
	move_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_move_that_works),
		cmocka_unit_test(test_l26_new_containers_use_the_guests_pod_id),
		cmocka_unit_test(test_l18_a_rollback_keeps_a_bridge_that_lives),
		cmocka_unit_test(
			test_f16_the_source_runs_after_a_completed_transfer),
		cmocka_unit_test(
			test_l17_a_cancelled_destination_may_still_run),
		cmocka_unit_test(test_w20_a_state_of_the_past_is_refused),
		cmocka_unit_test(
			test_w16_f17_cleanup_of_a_cancelled_destination),
		cmocka_unit_test(
			test_w3_an_exit_while_frozen_does_not_stop_the_rollback),
		cmocka_unit_test(test_w1_f2_a_refused_export_freezes_nothing),
		cmocka_unit_test(test_l7_a_share_or_device_is_refused_by_name),
		cmocka_unit_test(test_w5_a_late_cancel_can_be_left_again),
		cmocka_unit_test(
			test_w20_a_destination_runs_only_what_has_arrived),
		cmocka_unit_test(test_w11_a_cancelled_transfer_is_no_failure),
		cmocka_unit_test(
			test_w10_the_outcome_is_kept_for_who_comes_late),
		cmocka_unit_test(test_f12_f19_failures_have_their_names),
		cmocka_unit_test(
			test_w19_f26_a_source_that_nobody_calls_rolls_back),
		cmocka_unit_test(test_w6_f5_a_refused_patch_can_be_repeated),
		cmocka_unit_test(test_w18_one_shared_layer_gets_one_path),
		cmocka_unit_test(test_w21_options_are_checked_before_anything),
		cmocka_unit_test(test_ids_states_and_sockets),
		cmocka_unit_test(test_f9_the_socket_does_not_come),
		cmocka_unit_test(test_f23_the_vm_dies_during_the_session),
	};

	return cmocka_run_group_tests_name("move_session", tests, NULL, NULL);
}
