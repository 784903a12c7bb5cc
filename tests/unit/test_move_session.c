/*
 * tests/unit/test_move_session.c - a move between two sandboxes in one process: the
 * way that works, and what each side refuses; the ways back are in
 * test_move_rollback.c
 *
 * Names L, W and F as in migration.md 11, 12 and 8.
 */
#include "tests/unit/fake_move.h"

static void test_a_move_that_works(void **state UNUSED)
{
	const struct container_ctl *c;
	struct move m;

	move_whole(&m);
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

	move_whole(&m);
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

/* W20, and epochs at an import: a state is of use once, and not any more when
 * its source went on. */
static void test_w20_a_state_of_the_past_is_refused(void **state UNUSED)
{
	struct world second;
	struct move m;
	size_t n;
	char *old;

	move_whole(&m);
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
	move_source_lives(&m);
	free(old);
	world_done(&second);
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
	move_source_lives(&m);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_move_that_works),
		cmocka_unit_test(test_l26_new_containers_use_the_guests_pod_id),
		cmocka_unit_test(test_w20_a_state_of_the_past_is_refused),
		cmocka_unit_test(test_l7_a_share_or_device_is_refused_by_name),
		cmocka_unit_test(
			test_w20_a_destination_runs_only_what_has_arrived),
		cmocka_unit_test(test_w18_one_shared_layer_gets_one_path),
		cmocka_unit_test(test_w21_options_are_checked_before_anything),
		cmocka_unit_test(test_ids_states_and_sockets),
	};

	return cmocka_run_group_tests_name("move_session", tests, NULL, NULL);
}
