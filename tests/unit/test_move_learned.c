/*
 * What later versions of the reference learned (L), and what is still weak in
 * them (W), in the controllers: one test each that is not in
 * test_move_session.c. Numbers: migration.md 11 and 12, saved-state.md 11 (SW).
 */
#include "tests/unit/fake_move.h"

#include "migration/move.h"
#include "migration/saved.h"

static void both_transferred(struct move *m)
{
	move_init(m);
	move_reach_source(m, SESSION_TRANSFER_COMPLETED);
	move_reach_destination(m, SESSION_TRANSFER_COMPLETED);
}

static const struct container_ctl *container(const struct world *w,
					     const char *id)
{
	const struct container_ctl *c = sandbox_ctl_container(&w->s, id);

	assert_non_null(c);
	return c;
}

static int export_decoded(struct move *m, struct arena *a, struct saved *ret)
{
	const struct text *t = &m->src.session.exported;

	saved_arena_init(a, t->len);
	return saved_decode(t->buf, t->len, "amd64", a, ret, NULL, &m->e);
}

/* A card of which the guest would be told the same again: it is not asked to let
 * go of it, so connections over it live. With other settings it is. */
static void test_a_card_stays_when_its_settings_do(void **state UNUSED)
{
	static const char *const settings[] = { "{}", "{\"there\":1}" };

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const struct network_endpoint *x;
		struct move m;

		move_init(&m);
		move_reach_source(&m, SESSION_TRANSFER_COMPLETED);
		assert_int_equal(move_import(&m), 0);
		assert_int_equal(move_patch_one(&m, "c", "c2"), 0);
		assert_int_equal(move_patch_with(&m, "p", "p2", settings[i]),
				 0);
		assert_int_equal(move_prepare(&m), 0);
		assert_int_equal(move_socket(&m, &m.dst), 0);
		assert_int_equal(move_transfer(&m, &m.dst), 0);
		world_run(&m.dst);
		assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
		x = sandbox_ctl_pod(&m.dst.s, "p2")->network.endpoints;
		assert_non_null(x);
		assert_null(x->next);
		assert_string_equal(x->endpoint_id, "tap7");
		assert_true(x->in_vm && x->in_guest);
		assert_true(set_has(&m.dst.guest_nics, x->nic_id));
		assert_int_equal(m.dst.guest_nics.n, 1);
		assert_int_equal(set_has(&m.src.guest_nics, x->nic_id), i == 0);
		move_done(&m);
	}
}

/* Both hosts have cards in the same order, whatever that of a state is. */
static void test_cards_are_in_the_order_of_their_names(void **state UNUSED)
{
	static const char *const names[] = { "eth2", "eth1", "eth0", "eth3" };
	const struct network_endpoint *x;
	const struct seams seams = { 0 };
	struct network_ctl n;
	struct err e;
	char want = '0';

	assert_int_equal(network_ctl_init(&n, "ns", &seams, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct network_endpoint add = {
			.endpoint_id = (char[]){ "user" },
			.name = (char *)(uintptr_t)names[i],
		};

		assert_int_equal(network_ctl_add(&n, &add, &e), 0);
	}
	for (x = n.endpoints; x; x = x->next)
		assert_int_equal(x->name[3], want++);
	network_ctl_done(&n);
}

static void test_l12_calls_repeated_or_out_of_order(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(move_export(&m), -EPRECONDITION);
	assert_int_equal(move_import(&m), 0);
	assert_int_equal(move_import(&m), -EPRECONDITION);
	assert_int_equal(move_prepare(&m), -EPRECONDITION); /* patches first */
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), -EPRECONDITION);
	assert_int_equal(move_cleanup(&m, &m.src), -EPRECONDITION);
	assert_int_equal(m.src.session.state, SESSION_SOURCE_EXPORTED);
	move_done(&m);
}

/* Each operation of the resume fails once; the second call ends it. */
static void test_l13_w2_finalize_goes_on_where_it_failed(void **state UNUSED)
{
	bool failed = true;
	unsigned n;

	for (n = 1; failed; n++) {
		struct move m;
		int r;

		both_transferred(&m);
		assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
		m.dst.fail_at = m.dst.n_ops + n;
		m.dst.fault = WORLD_FAIL_LATER;
		r = move_finalize(&m, &m.dst, VMM_RESUME);
		failed = m.dst.n_ops >= m.dst.fail_at;
		m.dst.fail_at = 0;
		if (r < 0)
			assert_int_equal(m.dst.session.state,
					 SESSION_TRANSFER_COMPLETED);
		assert_int_equal(move_finalize(&m, &m.dst, VMM_RESUME), 0);
		assert_true(m.dst.vm_runs);
		assert_int_equal(container(&m.dst, "c2")->state,
				 CONTAINER_RUNNING);
		assert_int_equal(world_count(&m.dst, "created c2"), 1);
		assert_int_equal(move_cleanup(&m, &m.dst), 0);
		move_done(&m);
	}
	assert_true(n > 4);
}

static void test_l14_cancel_reverts_nothing(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(container(&m.src, "c")->state,
			 CONTAINER_SOURCE_MIGRATING);
	assert_int_equal(m.src.s.vm.state, VM_SOURCE_INITIALIZED);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(container(&m.src, "c")->state, CONTAINER_RUNNING);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	move_done(&m);
}

static void test_l15_cancel_does_not_wait_for_the_transfer(void **state UNUSED)
{
	struct op op = { 0 };
	struct move m;
	size_t i;
	bool asked = false;

	move_init(&m);
	move_reach_source(&m, SESSION_TRANSFERRING);
	assert_true(m.src.session.transfer.busy);
	assert_int_equal(session_ctl_cancel(&m.src.session, MOVE_ID,
					    world_op(&m.src, &op), &m.e),
			 0);
	/* The platform has been asked while the memory still moves. */
	for (i = 0; i < m.src.n_queue; i++)
		asked |= m.src.queue[i].kind == W_CANCEL;
	assert_true(asked);
	assert_true(m.src.session.transfer.busy);
	world_run(&m.src);
	assert_int_equal(m.src.session.state, SESSION_CANCELLED);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	move_done(&m);
}

static void test_l16_cancel_of_what_is_over_is_fine(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(m.src.session.state, SESSION_IDLE);
	move_done(&m);
}

static void
test_l23_l25_the_state_has_what_the_caller_need_not(void **state UNUSED)
{
	struct arena a;
	struct saved s;
	struct move m;

	move_init(&m);
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(export_decoded(&m, &a, &s), 0);
	assert_true(s.vm.compat.n > 0);
	/* L8: floors above everything that the guest still knows. */
	assert_int_equal(s.vm.next_port, 0x40000100);
	assert_int_equal(s.vm.next_id, 100);
	assert_int_equal(session_ctl_import(&m.dst.session, MOVE_ID, "",
					    m.src.session.exported.buf,
					    m.src.session.exported.len, &m.e),
			 -EINVAL);
	assert_int_equal(m.dst.session.state, SESSION_IDLE);
	arena_done(&a);
	move_done(&m);
}

static void test_l27_a_vm_that_is_gone_is_released_already(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	world_vm_ends(&m.src);
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(world_count(&m.src, "exit c"), 1);
	move_done(&m);
}

static void test_w22_tasks_are_refused_while_a_session_is(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	assert_int_equal(session_ctl_blocks_tasks(&m.src.session, &m.e), 0);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	assert_int_equal(session_ctl_blocks_tasks(&m.src.session, &m.e),
			 -EPRECONDITION);
	assert_true(m.e.text[0] != '\0');
	assert_int_equal(move_cancel(&m, &m.src), 0);
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_int_equal(session_ctl_blocks_tasks(&m.src.session, &m.e), 0);
	move_done(&m);
}

static void test_w23_a_create_that_is_no_patch_is_refused(void **state UNUSED)
{
	struct container_ctl *c = NULL;
	struct move m;

	move_init(&m);
	move_reach_source(&m, SESSION_SOURCE_EXPORTED);
	assert_int_equal(move_import(&m), 0);
	assert_int_equal(move_patch_one(&m, "", "c2"), -EINVAL);
	assert_int_equal(move_patch_one(&m, "nobody", "c2"), -ENOENT);
	assert_true(world_container(&m.dst, sandbox_ctl_pod(&m.dst.s, "p"),
				    "new", &c) < 0);
	assert_int_equal(m.dst.session.state, SESSION_DESTINATION_IMPORTED);
	assert_int_equal(move_patch(&m), 0);
	move_done(&m);
}

static void test_w27_stop_after_a_failed_export(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	move_export_refused(&m);
	assert_int_equal(move_finalize(&m, &m.src, VMM_STOP), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	assert_false(m.src.vm_exists);
	assert_int_equal(world_count(&m.src, "exit c=255"), 1);
	move_done(&m);
}

/* A disk and a mount that were only reserved are not taken for more. */
static void test_sw4_stages_come_as_they_were(void **state UNUSED)
{
	const struct scsi_disk *d;
	struct arena a;
	struct saved s;
	struct move m;
	size_t i;

	move_init(&m);
	for (i = 0; !m.src.s.vm.scsi.slot[i];)
		i++;
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(export_decoded(&m, &a, &s), 0);
	assert_true(s.vm.scsi.n_disks > 0 && s.vm.scsi.disks[0].n_mounts > 0);
	s.vm.scsi.disks[0].stage = SAVED_STAGE_RESERVED;
	s.vm.scsi.disks[0].mounts[0].stage = SAVED_STAGE_RESERVED;
	assert_int_equal(move_give(&m.dst.s, &s, &m.e), 0);
	d = m.dst.s.vm.scsi.slot[s.vm.scsi.disks[0].slot];
	assert_int_equal(d->state, SCSI_DISK_RESERVED);
	assert_int_equal(d->mounts->state, SCSI_MOUNT_RESERVED);
	d = m.dst.s.vm.scsi.slot[s.vm.scsi.disks[1].slot];
	assert_int_equal(d->state, SCSI_DISK_ATTACHED);
	arena_done(&a);
	move_done(&m);
}

/* W8: what is exported can be imported, also a pod without a network. */
static void test_sw8_a_pod_without_network_moves(void **state UNUSED)
{
	struct container_ctl *c;
	struct pod_ctl *pod;
	struct move m;

	move_init(&m);
	assert_int_equal(sandbox_ctl_pod_new(&m.src.s, "q", "", &pod, &m.e), 0);
	assert_int_equal(world_container(&m.src, pod, "q", &c), 0);
	assert_int_equal(world_run_init(&m.src, c), 0);
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(move_import(&m), 0);
	assert_non_null(sandbox_ctl_pod(&m.dst.s, "q"));
	move_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_card_stays_when_its_settings_do),
		cmocka_unit_test(test_cards_are_in_the_order_of_their_names),
		cmocka_unit_test(test_l12_calls_repeated_or_out_of_order),
		cmocka_unit_test(test_l13_w2_finalize_goes_on_where_it_failed),
		cmocka_unit_test(test_l14_cancel_reverts_nothing),
		cmocka_unit_test(
			test_l15_cancel_does_not_wait_for_the_transfer),
		cmocka_unit_test(test_l16_cancel_of_what_is_over_is_fine),
		cmocka_unit_test(
			test_l23_l25_the_state_has_what_the_caller_need_not),
		cmocka_unit_test(
			test_l27_a_vm_that_is_gone_is_released_already),
		cmocka_unit_test(test_w22_tasks_are_refused_while_a_session_is),
		cmocka_unit_test(test_w23_a_create_that_is_no_patch_is_refused),
		cmocka_unit_test(test_w27_stop_after_a_failed_export),
		cmocka_unit_test(test_sw4_stages_come_as_they_were),
		cmocka_unit_test(test_sw8_a_pod_without_network_moves),
	};

	return cmocka_run_group_tests_name("move_learned", tests, NULL, NULL);
}
