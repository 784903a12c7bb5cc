/* tests/unit/test_vm_move.c - migration against a monitor that the test plays */
#include "tests/unit/vm_move_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bridge/io/fd.h"
#include "migration/status.h"
#include "tools/qemu/vm_move.h"

/* Its accelerator, and so whether memory can be copied while the guest runs. */
static void accelerated_by(struct fixture *f, bool kvm, int major)
{
	char version[64];

	expect(f, "\"query-kvm\"");
	answer(f, kvm ? "{\"present\": true, \"enabled\": true}"
		      : "{\"present\": false, \"enabled\": false}");
	if (kvm)
		return;
	(void)snprintf(version, sizeof(version), "{\"qemu\": {\"major\": %d}}",
		       major);
	expect(f, "\"query-version\"");
	answer(f, version);
}

static void arm(struct fixture *f, enum vm_move_side side,
		const struct vmm_options *o)
{
	struct err e;

	f->result = NOT_YET;
	assert_int_equal(vm_move_arm(f->m, side, o, on_done, f, &e), 0);
	expect(f, "\"query-migrate\"");
	answer(f, "{}");
	if (side == VM_MOVE_SOURCE)
		accelerated_by(f, true, 0);
	expect(f,
	       "{\"capability\":\"pause-before-switchover\",\"state\":true}");
	answer(f, "{}");
	expect(f, "{\"max-bandwidth\":107374182400");
	answer(f, "{}");
	assert_int_equal(f->result, 0);
}

/* Nobody answers on a transport that leads to a file. */
static void a_file_has_no_return_path(void **state)
{
	static const char *const path[] = {
		"{\"capability\":\"return-path\",\"state\":true}",
		"{\"capability\":\"return-path\",\"state\":false}",
	};
	struct fixture *f = *state;

	for (int file = 0; file < 2; file++) {
		const struct vmm_options o = { .to_file = file != 0 };
		struct err e;

		f->result = NOT_YET;
		assert_int_equal(
			vm_move_arm(f->m, VM_MOVE_SOURCE, &o, on_done, f, &e),
			0);
		expect(f, "\"query-migrate\"");
		answer(f, "{}");
		accelerated_by(f, true, 0);
		expect(f, path[file]);
		answer(f, "{}");
		expect(f, "{\"max-bandwidth\":107374182400");
		answer(f, "{}");
		assert_int_equal(f->result, 0);
	}
}

static void transfer(struct fixture *f, const char *command)
{
	struct err e;

	f->result = NOT_YET;
	assert_int_equal(vm_move_give(f->m, f->peer, on_done, f, &e), 0);
	expect(f, "\"getfd\"");
	answer(f, "{}");
	assert_int_equal(f->result, 0);
	assert_int_equal(vm_move_transfer(f->m, on_transfer, f, &e), 0);
	expect(f, command);
	answer(f, "{}");
	assert_int_equal(f->transfer, NOT_YET);
}

static void a_source_goes_through_all_phases(void **state)
{
	struct fixture *f = *state;

	arm(f, VM_MOVE_SOURCE, NULL);
	transfer(f, "\"migrate\",\"arguments\":{\"uri\":\"fd:move\"}");
	status(f, "setup");
	assert_string_equal(f->notes, ""); /* it is not done yet */
	status(f, "active");
	say(f, "{\"event\":\"MIGRATION_PASS\",\"data\":{\"pass\":1}}\n");
	say(f, "{\"event\":\"STOP\"}\n");
	status(f, "pre-switchover");
	expect(f, "\"migrate-continue\"");
	answer(f, "{}");
	status(f, "device");
	assert_int_equal(f->transfer, NOT_YET);
	status(f, "completed");
	assert_int_equal(f->transfer, 0);
	assert_string_equal(f->notes,
			    "setup pass* stopped pre-switchover completed ");
}

/* Beside what its events say; from QEMU's own word. */
static void a_source_tells_that_memory_flows(void **state)
{
	const struct vmm_options o = { .progress_ms = 1 };
	struct fixture *f = *state;

	arm(f, VM_MOVE_SOURCE, &o);
	transfer(f, "\"migrate\"");
	status(f, "active");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"active\"}");
	assert_string_equal(f->notes, "setup progress ");
	expect(f, "\"query-migrate\""); /* again and again */
	answer(f, "{\"status\": \"device\"}");
	expect(f, "\"query-migrate\"");
	status(f, "completed");
	answer(f, "{\"status\": \"active\"}"); /* too late */
	assert_string_equal(f->notes, "setup progress completed ");
	assert_int_equal(f->transfer, 0);
}

static void a_guest_that_ends_in_the_transfer_is_told(void **state)
{
	struct fixture *f = *state;

	arm(f, VM_MOVE_SOURCE, NULL);
	say(f, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true}}\n");
	transfer(f, "\"migrate\"");
	say(f, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":false}}\n");
	assert_string_equal(f->notes, "");
	say(f, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true}}\n");
	assert_string_equal(f->notes, "guest-ended ");
}

/* A source of this QEMU under TCG, whose guest has been stopped. */
static void arm_tcg(struct fixture *f, int major)
{
	struct err e;

	f->result = NOT_YET;
	assert_int_equal(
		vm_move_arm(f->m, VM_MOVE_SOURCE, NULL, on_done, f, &e), 0);
	expect(f, "\"query-migrate\"");
	answer(f, "{}");
	accelerated_by(f, false, major);
	expect(f, "migrate-set-capabilities");
	answer(f, "{}");
	expect(f, "migrate-set-parameters");
	answer(f, "{}");
	assert_int_equal(f->result, 0);
}

static void stand(struct fixture *f)
{
	struct err e;

	arm_tcg(f, 7);
	assert_int_equal(vm_move_transfer(f->m, on_transfer, f, &e), 0);
	expect(f, "\"stop\"");
	say(f, "{\"event\":\"STOP\"}\n");
}

/* QEMU before 9.0 loses stores of a guest that runs while TCG copies it. */
static void an_old_tcg_copies_a_guest_that_stands(void **state)
{
	struct fixture *f = *state;

	stand(f);
	answer(f, "{}");
	expect(f, "\"migrate\"");
	answer(f, "{}");
	status(f, "pre-switchover");
	expect(f, "\"migrate-continue\"");
	answer(f, "{}");
	status(f, "completed");
	assert_int_equal(f->transfer, 0);
	assert_string_equal(f->notes, "stopped pre-switchover completed ");
}

static void a_newer_tcg_copies_while_the_guest_runs(void **state)
{
	struct fixture *f = *state;
	struct err e;

	arm_tcg(f, 9);
	assert_int_equal(vm_move_transfer(f->m, on_transfer, f, &e), 0);
	expect(f, "\"migrate\"");
}

static void who_stood_goes_on_after_a_failure(void **state)
{
	struct fixture *f = *state;

	stand(f);
	answer(f, "{}");
	expect(f, "\"migrate\"");
	answer(f, "{}");
	status(f, "failed");
	expect(f, "\"cont\"");
	answer(f, "{}");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"failed\"}");
	assert_int_equal(f->transfer, -EIO);
}

static void who_stood_goes_on_after_a_cancel(void **state)
{
	struct fixture *f = *state;
	struct err e;

	stand(f);
	assert_int_equal(vm_move_cancel(f->m, on_cancel, f, &e), 0);
	answer(f, "{}"); /* to the stop: nothing is begun any more */
	assert_int_equal(f->transfer, -ECANCELED);
	expect(f, "\"migrate_cancel\"");
	answer(f, "{}");
	expect(f, "\"cont\"");
	answer(f, "{}");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"none\"}");
	assert_int_equal(f->cancel, 0);
}

/* QEMU would wait for it for ever, and the guest stand still. */
static void a_destination_that_hangs_in_the_switchover(void **state)
{
	struct fixture *f = *state;
	const struct vmm_options o = { .switchover_ms = 1 };

	arm(f, VM_MOVE_SOURCE, &o);
	transfer(f, "\"migrate\"");
	say(f, "{\"event\":\"STOP\"}\n");
	status(f, "pre-switchover");
	expect(f, "\"migrate-continue\"");
	answer(f, "{}");
	status(f, "device");
	expect(f, "\"migrate_cancel\"");
	answer(f, "{}");
	status(f, "cancelled");
	say(f, "{\"event\":\"RESUME\"}\n");
	assert_int_equal(f->transfer, -ECANCELED);
	assert_non_null(strstr(f->notes, "running"));
}

static void a_blocked_machine_is_not_armed(void **state)
{
	struct fixture *f = *state;
	struct err e;

	assert_int_equal(
		vm_move_arm(f->m, VM_MOVE_SOURCE, NULL, on_done, f, &e), 0);
	expect(f, "\"query-migrate\"");
	answer(f, "{\"blocked-reasons\": [\"a 9p share\"]}");
	assert_int_equal(f->result, -EPRECONDITION);
	assert_string_equal(f->why, "QEMU cannot migrate: a 9p share");
}

static void options_become_parameters(void **state)
{
	struct fixture *f = *state;
	const struct vmm_options o = {
		.throttle_increment = 7,
		.throttle_initial = 9,
		.downtime_ms = 250,
		.passes_max = 3,
	};
	struct err e;

	assert_int_equal(vm_move_arm(f->m, VM_MOVE_SOURCE, &o, on_done, f, &e),
			 0);
	expect(f, "\"query-migrate\"");
	answer(f, "{}");
	accelerated_by(f, true, 0);
	expect(f, "{\"capability\":\"auto-converge\",\"state\":true}");
	answer(f, "{}");
	expect(f, "\"cpu-throttle-increment\":7,\"cpu-throttle-initial\":9,"
		  "\"downtime-limit\":250}");
	answer(f, "{}");
	transfer(f, "\"migrate\"");
	say(f, "{\"event\":\"MIGRATION_PASS\",\"data\":{\"pass\":4}}\n");
	expect(f, "{\"downtime-limit\":2000000}");
}

static void a_failure_has_the_words_of_qemu(void **state)
{
	struct fixture *f = *state;

	arm(f, VM_MOVE_SOURCE, NULL);
	transfer(f, "\"migrate\"");
	status(f, "failed");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"failed\", \"error-desc\": \"broken pipe\"}");
	assert_int_equal(f->transfer, -EIO);
	assert_string_equal(f->why, "the migration failed: broken pipe");
}

static void a_cancel_waits_for_the_real_end(void **state)
{
	struct fixture *f = *state;
	struct err e;

	arm(f, VM_MOVE_SOURCE, NULL);
	transfer(f, "\"migrate\"");
	assert_int_equal(vm_move_cancel(f->m, on_cancel, f, &e), 0);
	expect(f, "\"migrate_cancel\"");
	answer(f, "{}");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"cancelling\"}");
	assert_int_equal(f->cancel, NOT_YET);
	/* Not told to go on while it is being cancelled. */
	status(f, "pre-switchover");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"cancelled\"}");
	assert_int_equal(f->transfer, -ECANCELED);
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"cancelled\"}");
	assert_int_equal(f->cancel, 0);
}

static void a_cancel_that_comes_too_late_finds_it_complete(void **state)
{
	struct fixture *f = *state;
	struct err e;

	arm(f, VM_MOVE_SOURCE, NULL);
	transfer(f, "\"migrate\"");
	assert_int_equal(vm_move_cancel(f->m, on_cancel, f, &e), 0);
	expect(f, "\"migrate_cancel\"");
	answer(f, "{}");
	status(f, "completed");
	assert_int_equal(f->transfer, 0);
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"completed\"}");
	assert_int_equal(f->cancel, 0);
}

static void a_guest_is_continued_only_when_it_is_whole(void **state)
{
	struct fixture *f = *state;
	struct err e;

	arm(f, VM_MOVE_DESTINATION, NULL);
	assert_int_equal(vm_move_resume(f->m, on_done, f, &e), 0);
	expect(f, "\"query-status\"");
	answer(f, "{\"running\": false, \"status\": \"inmigrate\"}");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"active\"}");
	assert_int_equal(f->result, -EPRECONDITION);
	transfer(f, "\"migrate-incoming\"");
	status(f, "completed");
	assert_int_equal(f->transfer, 0);
	assert_int_equal(vm_move_resume(f->m, on_done, f, &e), 0);
	expect(f, "\"query-status\"");
	answer(f, "{\"running\": false}");
	expect(f, "\"query-migrate\"");
	answer(f, "{\"status\": \"completed\"}");
	expect(f, "\"cont\"");
	answer(f, "{}");
	assert_int_equal(f->result, 0);
}

static void the_end_of_the_vm_ends_everything(void **state)
{
	struct fixture *f = *state;
	struct err e;

	arm(f, VM_MOVE_SOURCE, NULL);
	transfer(f, "\"migrate\"");
	assert_int_equal(vm_move_cancel(f->m, on_cancel, f, &e), 0);
	fd_close(&f->peer);
	qmp_peer_turn(f->loop);
	assert_int_equal(f->transfer, -ESHUTDOWN);
	assert_int_equal(f->cancel, -ESHUTDOWN);
	assert_int_equal(vm_move_transfer(f->m, on_transfer, f, &e),
			 -ESHUTDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MOVE_TEST(a_source_goes_through_all_phases),
		MOVE_TEST(a_source_tells_that_memory_flows),
		MOVE_TEST(a_guest_that_ends_in_the_transfer_is_told),
		MOVE_TEST(an_old_tcg_copies_a_guest_that_stands),
		MOVE_TEST(a_newer_tcg_copies_while_the_guest_runs),
		MOVE_TEST(who_stood_goes_on_after_a_failure),
		MOVE_TEST(who_stood_goes_on_after_a_cancel),
		MOVE_TEST(a_destination_that_hangs_in_the_switchover),
		MOVE_TEST(a_blocked_machine_is_not_armed),
		MOVE_TEST(options_become_parameters),
		MOVE_TEST(a_file_has_no_return_path),
		MOVE_TEST(a_failure_has_the_words_of_qemu),
		MOVE_TEST(a_cancel_waits_for_the_real_end),
		MOVE_TEST(a_cancel_that_comes_too_late_finds_it_complete),
		MOVE_TEST(a_guest_is_continued_only_when_it_is_whole),
		MOVE_TEST(the_end_of_the_vm_ends_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
