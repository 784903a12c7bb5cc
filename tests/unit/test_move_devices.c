/*
 * Assigned devices and shares: they refuse a move, and they go into a save to a
 * file and out of it again, with their stages and with who holds them.
 */
#include "tests/unit/fake_move.h"

#include "migration/move.h"
#include "migration/saved.h"

#define GPU "A0000000-0000-4000-8000-00000000000a"
#define GPU_LOWER "a0000000-0000-4000-8000-00000000000a"
#define NIC "b0000000-0000-4000-8000-00000000000b"
#define SHARE "c0000000-0000-4000-8000-00000000000c"

static const struct device_spec gpu = { .kind = DEVICE_VPCI,
					.id = GPU,
					.host = "0000:01:00.0" };
static const struct device_spec nic = { .kind = DEVICE_VPCI,
					.id = NIC,
					.host = "0000:02:00.0" };
static const struct device_spec share = { .kind = DEVICE_PLAN9,
					  .id = SHARE,
					  .host = "/srv/data",
					  .name = "7",
					  .guest_path = "/run/mounts/7",
					  .read_only = true };

static void hold_all(struct devices *d)
{
	struct err e;

	assert_int_equal(devices_hold(d, &share, "p", &e), 0);
	assert_int_equal(devices_hold(d, &nic, "c", &e), 0);
	assert_int_equal(devices_hold(d, &gpu, "c", &e), 0);
	assert_int_equal(devices_hold(d, &share, "c", &e), 0);
	assert_int_equal(
		devices_stage(d, DEVICE_VPCI, GPU, DEVICE_ATTACHED, &e), 0);
	assert_int_equal(
		devices_stage(d, DEVICE_PLAN9, SHARE, DEVICE_ATTACHED, &e), 0);
	assert_int_equal(
		devices_stage(d, DEVICE_PLAN9, SHARE, DEVICE_MOUNTED, &e), 0);
}

static void test_holders_and_stages(void **state UNUSED)
{
	struct device_spec other = share;
	struct devices d = { 0 };
	struct err e;

	hold_all(&d);
	assert_int_equal(d.n, 3);
	assert_string_equal(d.device[0].id, GPU_LOWER);
	assert_int_equal(d.device[2].n_holders, 2);
	assert_string_equal(d.device[2].holder[0], "c");
	assert_int_equal(devices_hold(&d, &share, "c", &e), -EEXIST);
	other.read_only = false;
	assert_int_equal(devices_hold(&d, &other, "q", &e), -EEXIST);
	other = gpu;
	other.id = "7";
	assert_int_equal(devices_hold(&d, &other, "q", &e), -EINVAL);
	/* One step at a time, and a function is never mounted. */
	assert_int_equal(
		devices_stage(&d, DEVICE_VPCI, GPU, DEVICE_MOUNTED, &e),
		-EPRECONDITION);
	assert_int_equal(
		devices_stage(&d, DEVICE_PLAN9, SHARE, DEVICE_RESERVED, &e),
		-EPRECONDITION);
	assert_int_equal(devices_drop(&d, DEVICE_PLAN9, SHARE, "q", &e),
			 -ENOENT);
	assert_int_equal(devices_drop(&d, DEVICE_PLAN9, SHARE, "p", &e), 0);
	assert_int_equal(d.n, 3);
	assert_int_equal(devices_drop(&d, DEVICE_VPCI, GPU_LOWER, "c", &e), 0);
	assert_int_equal(d.n, 2);
	assert_string_equal(d.device[0].id, NIC);
	assert_string_equal(d.device[1].id, SHARE);
	devices_done(&d);
}

/* Saves the running source, as ferry save does. */
static int save(struct move *m, struct text *out)
{
	struct arena a;
	struct saved s;
	int r;

	arena_init(&a, (size_t)16 * 1024 * 1024);
	r = move_take(&m->src.s, &a, &s, &m->e);
	if (r == 0)
		r = saved_encode(&s, out, &m->e);
	arena_done(&a);
	return r;
}

static void detach_all(struct devices *d)
{
	struct err e;

	assert_int_equal(devices_detached(d, DEVICE_VPCI, GPU, &e), 0);
	assert_int_equal(devices_detached(d, DEVICE_PLAN9, SHARE, &e), 0);
}

static void
test_a_save_has_them_and_a_restore_attaches_again(void **state UNUSED)
{
	struct devices *d;
	struct device *x;
	struct move m;
	struct text t;

	move_init(&m);
	hold_all(&m.src.s.vm.devices);
	text_heap(&t, SAVED_BYTES_MAX + 1);
	assert_int_equal(save(&m, &t), -EPRECONDITION);
	assert_non_null(strstr(m.e.text, "detached first"));
	detach_all(&m.src.s.vm.devices);
	assert_int_equal(save(&m, &t), 0);
	m.dst.session.from_file = true;
	assert_int_equal(session_ctl_import(&m.dst.session, MOVE_ID, "new",
					    t.buf, t.len, &m.e),
			 0);
	d = &m.dst.s.vm.devices;
	assert_int_equal(d->n, 3);
	x = devices_find(d, DEVICE_PLAN9, SHARE);
	assert_non_null(x);
	assert_int_equal(x->stage, DEVICE_MOUNTED);
	assert_int_equal(x->n_holders, 2);
	assert_string_equal(x->host, "/srv/data");
	assert_string_equal(x->guest_path, "/run/mounts/7");
	assert_true(x->read_only);
	/* The one that was only reserved waits for nobody. */
	x = devices_waiting(d);
	assert_string_equal(x->id, GPU_LOWER);
	assert_int_equal(
		devices_stage(d, DEVICE_VPCI, GPU, DEVICE_ATTACHED, &m.e), 0);
	x = devices_waiting(d);
	assert_string_equal(x->id, SHARE);
	assert_int_equal(
		devices_stage(d, DEVICE_PLAN9, SHARE, DEVICE_ATTACHED, &m.e),
		0);
	assert_non_null(devices_waiting(d)); /* and not yet mounted */
	assert_int_equal(
		devices_stage(d, DEVICE_PLAN9, SHARE, DEVICE_MOUNTED, &m.e), 0);
	assert_null(devices_waiting(d));
	text_done(&t);
	move_done(&m);
}

static void test_they_do_not_come_with_a_move(void **state UNUSED)
{
	struct move m;
	struct text t;

	move_init(&m);
	hold_all(&m.src.s.vm.devices);
	detach_all(&m.src.s.vm.devices);
	assert_int_equal(move_export(&m), -EPRECONDITION); /* detached or not */
	assert_non_null(strstr(m.src.err.text, "0000:01:00.0"));
	assert_int_equal(move_finalize(&m, &m.src, VMM_RESUME), 0);
	assert_int_equal(move_cleanup(&m, &m.src), 0);
	text_heap(&t, SAVED_BYTES_MAX + 1);
	assert_int_equal(save(&m, &t), 0);
	assert_int_equal(session_ctl_import(&m.dst.session, MOVE_ID, "new",
					    t.buf, t.len, &m.e),
			 -EPRECONDITION);
	assert_non_null(strstr(m.e.text, "2 devices and 1 shares"));
	assert_int_equal(m.dst.session.state, SESSION_IDLE);
	assert_int_equal(m.dst.s.vm.devices.n, 0);
	text_done(&t);
	move_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holders_and_stages),
		cmocka_unit_test(
			test_a_save_has_them_and_a_restore_attaches_again),
		cmocka_unit_test(test_they_do_not_come_with_a_move),
	};

	return cmocka_run_group_tests_name("move_devices", tests, NULL, NULL);
}
