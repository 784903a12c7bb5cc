/*
 * The controllers on their cold path, against tests/unit/fake_world.h: what a
 * shim does from boot to the end, with every operation failing once.
 */
#include "tests/unit/fake_sandbox.h"

static int boot(struct world *w)
{
	return world_boot(w);
}

static int delete (struct world *w, struct container_ctl *c)
{
	struct op op = { 0 };
	struct err e;

	return world_wait(w, container_ctl_delete(c, world_op(w, &op), &e));
}

static int terminate(struct world *w)
{
	struct op op = { 0 };
	struct err e;

	w->fail_at = 0;
	return world_wait(w, vm_ctl_terminate(&w->s.vm, world_op(w, &op), &e));
}

static void assert_nothing_left(const struct world *w)
{
	assert_int_equal(w->disks.n, 0);
	assert_int_equal(w->mounts.n, 0);
	assert_int_equal(w->overlays.n, 0);
	assert_int_equal(w->nics.n, 0);
	assert_int_equal(w->guest_nics.n, 0);
	assert_int_equal(w->containers.n, 0);
	assert_null(w->s.vm.scsi.reservations);
}

static void test_a_pod_from_boot_to_end(void **state UNUSED)
{
	struct container_ctl *pause, *app;
	struct pod_ctl *pod;
	struct world w;

	world_init(&w, "sandbox");
	assert_int_equal(boot(&w), 0);
	assert_int_equal(world_pod(&w, "p", &pod), 0);
	assert_int_equal(world_container(&w, pod, "p", &pause), 0);
	assert_int_equal(world_run_init(&w, pause), 0);
	assert_int_equal(world_container(&w, pod, "c", &app), 0);
	assert_int_equal(world_run_init(&w, app), 0);
	/* Two shared layers and two scratch disks. */
	assert_int_equal(w.disks.n, 4);
	assert_int_equal(w.mounts.n, 4);
	assert_string_equal(app->scratch.guest_path,
			    "/run/mounts/scsi/0_3_0/scratch/p/c");
	assert_string_equal(app->rootfs, "/run/gcs/pods/p/c/rootfs");
	world_exit(&w, "c", "", 7);
	assert_int_equal(delete (&w, app), 0);
	assert_int_equal(w.disks.n, 3);
	world_exit(&w, "p", "", 0);
	assert_int_equal(delete (&w, pause), 0);
	assert_nothing_left(&w);
	assert_int_equal(sandbox_ctl_pod_delete(pod, NULL), 0);
	assert_int_equal(terminate(&w), 0);
	assert_false(w.vm_exists);
	assert_string_equal(text_str(&w.heard),
			    "created p\nstarted p\ncreated c\nstarted c\n"
			    "exit c=7\ndeleted c=7\nexit p=0\ndeleted p=0\n");
	world_done(&w);
}

static void test_execs_waits_and_kills(void **state UNUSED)
{
	const struct process_spec spec = { .exec_id = "e1", .document = "{}" };
	struct container_ctl *c;
	struct process_ctl *p;
	struct pod_ctl *pod;
	struct op op = { 0 }, wait = { 0 };
	struct world w;
	struct err e;

	world_init(&w, "sandbox");
	assert_int_equal(boot(&w), 0);
	assert_int_equal(world_pod(&w, "p", &pod), 0);
	assert_int_equal(world_container(&w, pod, "p", &c), 0);
	assert_int_equal(container_ctl_exec(c, &spec, &p, &e), -EPRECONDITION);
	assert_int_equal(world_run_init(&w, c), 0);
	assert_int_equal(container_ctl_exec(c, &spec, &p, &e), 0);
	assert_int_equal(container_ctl_exec(c, &spec, &p, &e), -EEXIST);
	assert_int_equal(process_ctl_delete(c->init, &e), -EINVAL);
	assert_int_equal(
		world_wait(&w, process_ctl_start(p, world_op(&w, &op), &e)), 0);
	assert_int_equal(op.value, 2);
	assert_int_equal(process_ctl_delete(p, &e), -EPRECONDITION);
	assert_int_equal(
		world_wait(&w, process_ctl_kill(p, 15, world_op(&w, &op), &e)),
		0);
	assert_int_equal(process_ctl_wait(p, world_op(&w, &wait), &e), 0);
	assert_false(w.over);
	world_exit(&w, "p", "e1", 143);
	assert_true(w.over);
	assert_int_equal(wait.value, 143);
	assert_int_equal(process_ctl_kill(p, 9, &op, &e), -ESRCH);
	assert_int_equal(status_of(-ESRCH), STATUS_NOT_FOUND);
	assert_int_equal(process_ctl_delete(p, &e), 0);
	/* A wait that nobody answers ends with its process. */
	assert_int_equal(container_ctl_exec(c, &spec, &p, &e), 0);
	assert_int_equal(process_ctl_wait(p, world_op(&w, &wait), &e), 0);
	process_ctl_unwait(p, &wait);
	assert_int_equal(w.result, -ECANCELED);
	assert_int_equal(process_ctl_wait(p, world_op(&w, &wait), &e), 0);
	assert_int_equal(process_ctl_delete(p, &e), 0);
	assert_int_equal(w.result, -ENOENT);
	assert_int_equal(terminate(&w), 0);
	assert_string_equal(text_str(&w.heard),
			    "created p\nstarted p\nexec_added p/e1\n"
			    "exec_started p/e1\nexit p/e1=143\n"
			    "deleted p/e1=143\nexec_added p/e1\n"
			    "deleted p/e1=0\nexit p=255\n");
	world_done(&w);
}

static void
test_an_exit_before_the_start_is_told_counts_behind_it(void **state UNUSED)
{
	struct container_ctl *c;
	struct pod_ctl *pod;
	struct world w;
	struct op op = { 0 };
	struct err e;

	world_init(&w, "sandbox");
	assert_int_equal(boot(&w), 0);
	assert_int_equal(world_pod(&w, "p", &pod), 0);
	assert_int_equal(world_container(&w, pod, "p", &c), 0);
	assert_int_equal(process_ctl_start(c->init, world_op(&w, &op), &e), 0);
	world_exit(&w, "p", "", 3);
	assert_int_equal(world_wait(&w, 0), 0);
	assert_int_equal(c->state, CONTAINER_STOPPED);
	assert_string_equal(text_str(&w.heard),
			    "created p\nstarted p\nexit p=3\n");
	assert_int_equal(terminate(&w), 0);
	world_done(&w);
}

static void test_ids_and_states_are_checked(void **state UNUSED)
{
	struct container_ctl *c;
	struct pod_ctl *pod, *other;
	struct world w;
	struct err e;

	world_init(&w, "sandbox");
	assert_int_equal(sandbox_ctl_pod_new(&w.s, "p", "", &pod, &e),
			 -EPRECONDITION);
	assert_int_equal(boot(&w), 0);
	assert_int_equal(boot(&w), -EPRECONDITION);
	assert_int_equal(sandbox_ctl_pod_new(&w.s, "..", "", &pod, &e),
			 -EINVAL);
	assert_int_equal(sandbox_ctl_pod_new(&w.s, "a/b", "", &pod, &e),
			 -EINVAL);
	assert_int_equal(world_pod(&w, "p", &pod), 0);
	assert_int_equal(sandbox_ctl_pod_new(&w.s, "p", "", &other, &e),
			 -EEXIST);
	assert_int_equal(world_container(&w, pod, "c", &c), -EPRECONDITION);
	assert_int_equal(world_container(&w, pod, "p", &c), 0);
	assert_int_equal(world_container(&w, pod, "p", &c), -EEXIST);
	assert_int_equal(sandbox_ctl_pod_delete(pod, &e), -EPRECONDITION);
	assert_int_equal(terminate(&w), 0);
	world_done(&w);
}

/* --- every operation fails once --- */

static void a_create_that_fails(unsigned n, enum world_fault fault,
				bool *ret_failed)
{
	struct container_ctl *c;
	struct pod_ctl *pod;
	struct world w;
	int r;

	world_init(&w, "sandbox");
	w.at_once = n % 2 == 1; /* both ways in which operations end */
	assert_int_equal(boot(&w), 0);
	assert_int_equal(world_pod(&w, "p", &pod), 0);
	w.fail_at = w.n_ops + n;
	w.fault = fault;
	r = world_container(&w, pod, "p", &c);
	*ret_failed = r < 0;
	if (r < 0) {
		assert_null(pod->containers);
		assert_nothing_left(&w);
		assert_int_equal(w.heard.len, 0);
	}
	assert_int_equal(terminate(&w), 0);
	world_done(&w);
}

static void test_a_failed_create_leaves_nothing(void **state UNUSED)
{
	unsigned n, fault;
	bool failed;

	for (fault = 0; fault < WORLD_FAULTS; fault++) {
		for (n = 1, failed = true; failed; n++)
			a_create_that_fails(n, fault, &failed);
		/* 2 NIC, 3 attach, 3 mount, overlay, container */
		assert_int_equal(n, 12);
	}
}

static void test_a_failed_delete_can_be_repeated(void **state UNUSED)
{
	unsigned n, fault;
	struct world w;
	bool failed;

	for (fault = 0; fault < WORLD_FAULTS; fault++)
		for (n = 1, failed = true; failed; n++) {
			struct container_ctl *c;
			struct pod_ctl *pod;
			int r;

			world_init(&w, "sandbox");
			assert_int_equal(boot(&w), 0);
			assert_int_equal(world_pod(&w, "p", &pod), 0);
			assert_int_equal(world_container(&w, pod, "p", &c), 0);
			assert_int_equal(world_run_init(&w, c), 0);
			world_exit(&w, "p", "", 0);
			w.fail_at = w.n_ops + n;
			w.fault = fault;
			r = delete (&w, c);
			failed = w.n_ops >= w.fail_at;
			if (r < 0) {
				assert_int_equal(world_count(&w, "deleted"), 0);
				/* No disk goes from below its overlay. */
				if (w.vm_exists && w.overlays.n > 0)
					assert_int_equal(w.disks.n, 3);
				assert_int_equal(delete (&w, c), 0);
			}
			assert_nothing_left(&w);
			assert_int_equal(world_count(&w, "deleted p=0"), 1);
			assert_int_equal(terminate(&w), 0);
			world_done(&w);
		}
}

static void test_a_failed_boot_leaves_no_vm(void **state UNUSED)
{
	unsigned n, fault;
	struct world w;

	for (fault = 0; fault < WORLD_FAULTS; fault++)
		for (n = 1; n <= 4; n++) {
			world_init(&w, "sandbox");
			w.fail_at = n;
			w.fault = fault;
			if (boot(&w) < 0) {
				assert_int_equal(w.s.vm.state, VM_TERMINATED);
				assert_false(w.vm_exists);
			} else {
				assert_int_equal(fault, WORLD_VM_DIES);
			}
			assert_int_equal(terminate(&w), 0);
			world_done(&w);
		}
}

static void test_the_end_of_the_vm_ends_every_task_once(void **state UNUSED)
{
	struct container_ctl *pause, *app;
	struct pod_ctl *pod;
	struct op op = { 0 }, wait = { 0 };
	struct world w;
	struct err e;

	world_init(&w, "sandbox");
	assert_int_equal(boot(&w), 0);
	assert_int_equal(world_pod(&w, "p", &pod), 0);
	assert_int_equal(world_container(&w, pod, "p", &pause), 0);
	assert_int_equal(world_run_init(&w, pause), 0);
	assert_int_equal(world_container(&w, pod, "c", &app), 0);
	/* One of them is just being started. */
	assert_int_equal(process_ctl_start(app->init, &op, &e), 0);
	op.done = NULL;
	w.n_queue = 0;
	app->init->starting = false;
	assert_int_equal(process_ctl_wait(pause->init, world_op(&w, &wait), &e),
			 0);
	world_vm_ends(&w);
	assert_int_equal(wait.value, TASK_EXIT_UNKNOWN);
	assert_int_equal(world_count(&w, "exit p=255"), 1);
	assert_int_equal(world_count(&w, "exit c=255"), 1);
	sandbox_ctl_vm_exited(&w.s);
	world_exit(&w, "p", "", 0);
	assert_int_equal(world_count(&w, "exit"), 2);
	/* L27: what is gone with the VM counts as released. */
	assert_int_equal(delete (&w, app), 0);
	assert_int_equal(delete (&w, pause), 0);
	assert_nothing_left(&w);
	world_done(&w);
}

static void ignore(struct op *op, int result UNUSED, const struct err *e UNUSED)
{
	op->done = NULL;
}

static void test_terminate_in_the_middle_of_a_boot(void **state UNUSED)
{
	unsigned n;

	for (n = 0; n < 4; n++) {
		const struct vm_spec spec = { .id = "v", .n_controllers = 1 };
		struct world w;
		struct op boot_op = { 0 }, op = { 0 };
		struct err e;
		unsigned i;

		world_init(&w, "sandbox");
		assert_int_equal(vm_ctl_set(&w.s.vm, &spec, &e), 0);
		assert_int_equal(
			vm_ctl_boot(&w.s.vm, world_op(&w, &boot_op), &e), 0);
		for (i = 0; i < n; i++)
			world_let(&w, 0, 0);
		op = (struct op){ .done = ignore };
		assert_int_equal(vm_ctl_terminate(&w.s.vm, &op, &e), 0);
		world_run(&w);
		assert_int_equal(w.result, -ECANCELED);
		assert_null(op.done); /* it has ended */
		assert_false(w.vm_exists);
		world_done(&w);
	}
}

static void test_a_create_can_be_cancelled_at_each_step(void **state UNUSED)
{
	unsigned n;
	bool complete = false;

	for (n = 0; !complete; n++) {
		struct container_disk layer = { .disk = { .path = (char[]){
								  "/l" } } };
		const struct container_spec spec = {
			.id = "p",
			.bundle = "/b",
			.document = "{}",
			.layers = &layer,
			.n_layers = 1,
		};
		struct container_ctl *c;
		struct pod_ctl *pod;
		struct world w;
		struct op op = { 0 };
		struct err e;
		unsigned i;

		world_init(&w, "sandbox");
		assert_int_equal(boot(&w), 0);
		assert_int_equal(world_pod(&w, "p", &pod), 0);
		assert_int_equal(pod_ctl_container_new(pod, &spec, &c,
						       world_op(&w, &op), &e),
				 0);
		for (i = 0; i < n && !w.over; i++)
			world_let(&w, 0, 0);
		complete = w.over;
		if (!complete) {
			container_ctl_cancel(c);
			world_run(&w);
			assert_true(w.over);
			assert_int_equal(w.result, -ECANCELED);
			assert_nothing_left(&w);
			assert_null(pod->containers);
		}
		assert_int_equal(terminate(&w), 0);
		world_done(&w);
	}
	assert_true(n > 5);
}

static void test_a_disk_that_is_wanted_again_while_it_goes(void **state UNUSED)
{
	struct scsi_disk_config disk = { .path = (char[]){ "/d" } };
	const struct scsi_mount_config mount = { .read_only = true };
	char a[NAMES_GUID_SIZE], b[NAMES_GUID_SIZE];
	struct op gone = { 0 }, back;
	unsigned n;

	for (n = 0; n <= 2; n++) {
		struct world w;
		struct err e;
		unsigned i;

		world_init(&w, "sandbox");
		assert_int_equal(boot(&w), 0);
		assert_int_equal(
			scsi_ctl_reserve(&w.s.vm.scsi, &disk, 0, &mount, a, &e),
			0);
		assert_int_equal(
			world_wait(&w, scsi_ctl_map(&w.s.vm.scsi, a,
						    world_op(&w, &gone), &e)),
			0);
		assert_int_equal(scsi_ctl_unmap(&w.s.vm.scsi, a,
						world_op(&w, &gone), &e),
				 0);
		for (i = 0; i < n; i++)
			world_let(&w, 0, 0);
		assert_int_equal(
			scsi_ctl_reserve(&w.s.vm.scsi, &disk, 0, &mount, b, &e),
			0);
		back = (struct op){ .done = world_over, .ctx = &w };
		assert_int_equal(scsi_ctl_map(&w.s.vm.scsi, b, &back, &e), 0);
		while (!w.over)
			world_let(&w, 0, 0);
		assert_int_equal(w.result, 0);
		w.over = false;
		world_run(&w);
		assert_int_equal(w.result, 0);
		assert_int_equal(w.mounts.n, 1);
		assert_int_equal(w.disks.n, 1);
		assert_int_equal(w.s.vm.scsi.slot[0]->mounts->ref_count, 1);
		disk.read_only = true;
		assert_int_equal(
			scsi_ctl_reserve(&w.s.vm.scsi, &disk, 0, &mount, a, &e),
			-EINVAL);
		disk.read_only = false;
		assert_int_equal(terminate(&w), 0);
		world_done(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pod_from_boot_to_end),
		cmocka_unit_test(test_execs_waits_and_kills),
		cmocka_unit_test(
			test_an_exit_before_the_start_is_told_counts_behind_it),
		cmocka_unit_test(test_ids_and_states_are_checked),
		cmocka_unit_test(test_a_failed_create_leaves_nothing),
		cmocka_unit_test(test_a_failed_delete_can_be_repeated),
		cmocka_unit_test(test_a_failed_boot_leaves_no_vm),
		cmocka_unit_test(test_the_end_of_the_vm_ends_every_task_once),
		cmocka_unit_test(test_terminate_in_the_middle_of_a_boot),
		cmocka_unit_test(test_a_create_can_be_cancelled_at_each_step),
		cmocka_unit_test(
			test_a_disk_that_is_wanted_again_while_it_goes),
	};

	return cmocka_run_group_tests_name("move_cold", tests, NULL, NULL);
}
