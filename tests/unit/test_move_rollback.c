/*
 * tests/unit/test_move_rollback.c - the ways back from a move between two sandboxes
 * in one process, and whose doing a failure is
 *
 * Names L, W and F as in migration.md 11, 12 and 8.
 */
#include "tests/unit/fake_move.h"

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
	move_source_lives(&m);
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

	move_whole(&m);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
	move_source_lives(&m);
	assert_int_equal(m.src.s.vm.epoch, 2);
	assert_false(m.dst.vm_exists);
	assert_int_equal(world_count(&m.dst, "exit c2=137"), 1);
	assert_int_equal(world_count(&m.dst, "exit p2=137"), 1);
	move_done(&m);
}

static void test_l17_a_cancelled_destination_may_still_run(void **state UNUSED)
{
	struct move m;

	move_whole(&m);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_true(m.dst.vm_runs);
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
	move_source_lives(&m);
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
	move_source_lives(&m);
	move_done(&m);
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
	move_source_lives(&m);
	move_done(&m);
	/* A destination that runs is not ended by a stray cancel. */
	move_whole(&m);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_int_equal(move_cancel(&m, &m.dst), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), -EPRECONDITION);
	assert_true(m.dst.vm_runs);
	assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.dst), 0);
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
	move_source_lives(&m);
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
		move_source_lives(&m);
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
		move_source_lives(&m);
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
	move_source_lives(&m);
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
		cmocka_unit_test(test_l18_a_rollback_keeps_a_bridge_that_lives),
		cmocka_unit_test(
			test_f16_the_source_runs_after_a_completed_transfer),
		cmocka_unit_test(
			test_l17_a_cancelled_destination_may_still_run),
		cmocka_unit_test(
			test_w16_f17_cleanup_of_a_cancelled_destination),
		cmocka_unit_test(
			test_w3_an_exit_while_frozen_does_not_stop_the_rollback),
		cmocka_unit_test(test_w1_f2_a_refused_export_freezes_nothing),
		cmocka_unit_test(test_w5_a_late_cancel_can_be_left_again),
		cmocka_unit_test(test_w11_a_cancelled_transfer_is_no_failure),
		cmocka_unit_test(
			test_w10_the_outcome_is_kept_for_who_comes_late),
		cmocka_unit_test(test_f12_f19_failures_have_their_names),
		cmocka_unit_test(
			test_w19_f26_a_source_that_nobody_calls_rolls_back),
		cmocka_unit_test(test_w6_f5_a_refused_patch_can_be_repeated),
		cmocka_unit_test(test_f9_the_socket_does_not_come),
		cmocka_unit_test(test_f23_the_vm_dies_during_the_session),
	};

	return cmocka_run_group_tests_name("move_session", tests, NULL, NULL);
}
