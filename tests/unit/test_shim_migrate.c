/* tests/unit/test_shim_migrate.c - the messages of the service Migration: known
 * bytes (shared specification migration.md 7.3), and ranges of options */
#include "tests/unit/unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/status.h"
#include "tools/shim/migrate.h"

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

static void test_known_export_request(void **state UNUSED)
{
	uint8_t bytes[64];
	uint8_t again[64];
	const size_t n = unhex("0a0273311218080112100800110000000000404540"
			       "180038ac021a020804",
			       bytes);
	MigrationPrepareRequest *q =
		migration_prepare_request__unpack(NULL, n, bytes);
	struct vmm_options o;
	struct err e;

	assert_non_null(q);
	assert_string_equal(q->session_id, "s1");
	assert_true(q->init_options->throttle->has_skip_throttling);
	assert_int_equal(migrate_options(q->init_options, &o, &e), 0);
	assert_false(o.skip_throttling);
	assert_int_equal(o.throttle_increment, 43); /* 42.5 */
	assert_int_equal(o.throttle_initial, 0);
	assert_int_equal(o.downtime_ms, 300);
	assert_int_equal(o.compress_threads, 4);
	assert_int_equal(migration_prepare_request__pack(q, again), n);
	assert_memory_equal(again, bytes, n);
	migration_prepare_request__free_unpacked(q, NULL);
}

static void test_known_finalize_request(void **state UNUSED)
{
	uint8_t bytes[16];
	const size_t n = unhex("0a0273311002", bytes);
	MigrationFinalizeRequest *q =
		migration_finalize_request__unpack(NULL, n, bytes);

	assert_non_null(q);
	assert_string_equal(q->session_id, "s1");
	assert_int_equal(q->action, MIGRATION_ACTION__MIGRATION_ACTION_RESUME);
	migration_finalize_request__free_unpacked(q, NULL);
}

static void test_known_notification(void **state UNUSED)
{
	const struct session_message m = {
		.id = 3,
		.origin = SESSION_SOURCE,
		.phase = SESSION_BLACKOUT_EXITED,
		.result = SESSION_SUCCESS,
		.blackout_ms = 115,
		.at_ns = 1700000001005000000u,
	};
	struct migrate_message out;
	uint8_t want[64];
	uint8_t got[64];
	const size_t n = unhex("0803120a080110051801220208731a060880e2cfaa06"
			       "220b0881e2cfaa0610c096b102",
			       want);

	migrate_message_fill(&out, &m, 1700000000000000000u);
	assert_int_equal(migration_notifications_response__pack(&out.m, got),
			 n);
	assert_memory_equal(got, want, n);
}

/* One option set each; TCP is given unless the case is about it. */
static int try_options(void (*set)(MigrationOptions *o, MigrationThrottle *t,
				   MigrationCompression *c),
		       struct err *e)
{
	MigrationOptions o = MIGRATION_OPTIONS__INIT;
	MigrationThrottle t = MIGRATION_THROTTLE__INIT;
	MigrationCompression c = MIGRATION_COMPRESSION__INIT;
	struct vmm_options untouched = { .trace = true };
	struct vmm_options ret = untouched;
	int r;

	o.has_memory_transport = true;
	o.memory_transport = MIGRATION_TRANSPORT__MIGRATION_TRANSPORT_TCP;
	o.throttle = &t;
	set(&o, &t, &c);
	r = migrate_options(&o, &ret, e);
	if (r < 0) /* a refused input leaves the outputs alone */
		assert_memory_equal(&ret, &untouched, sizeof(ret));
	return r;
}

#define SETS(name, ...)                                                        \
	static void name(MigrationOptions *o UNUSED,                           \
			 MigrationThrottle *t UNUSED,                          \
			 MigrationCompression *c UNUSED)                       \
	{                                                                      \
		__VA_ARGS__                                                    \
	}

SETS(none, )
SETS(other_transport, o->memory_transport = 0;)
SETS(no_transport, o->has_memory_transport = false;)
SETS(checksums, o->has_checksum_verification = o->checksum_verification = 1;)
SETS(scale_nan, t->has_throttling_scale = 1; t->throttling_scale = NAN;)
SETS(scale_low, t->has_throttling_scale = 1; t->throttling_scale = 0.99;)
SETS(scale_least, t->has_throttling_scale = 1; t->throttling_scale = 1;)
SETS(scale_most, t->has_throttling_scale = 1; t->throttling_scale = 100;)
SETS(scale_high, t->has_throttling_scale = 1; t->throttling_scale = 100.01;)
SETS(least_most, t->has_minimum_throttle_percentage = 1;
     t->minimum_throttle_percentage = 100;)
SETS(least_300, t->has_minimum_throttle_percentage = 1;
     t->minimum_throttle_percentage = 300;)
SETS(workers_0, o->compression = c; c->has_throttle_worker_count = 1;)
SETS(workers_255, o->compression = c; c->has_throttle_worker_count = 1;
     c->throttle_worker_count = 255;)
SETS(workers_256, o->compression = c; c->has_throttle_worker_count = 1;
     c->throttle_worker_count = 256;)
SETS(blackout_long, t->has_target_blackout_ms = 1;
     t->target_blackout_ms = 2000001;)
SETS(cancel_without_limit, o->has_cancel_over_blackout_limit = 1;
     o->cancel_over_blackout_limit = 1;)

static void idle_minute(MigrationOptions *o, MigrationThrottle *t UNUSED,
			MigrationCompression *c UNUSED)
{
	o->has_ferry_idle_seconds = true;
	o->ferry_idle_seconds = 60;
}

static void idle_for_ever(MigrationOptions *o, MigrationThrottle *t UNUSED,
			  MigrationCompression *c UNUSED)
{
	o->has_ferry_idle_seconds = true;
	o->ferry_idle_seconds = UINT32_MAX;
}

static void test_ranges_of_options(void **state UNUSED)
{
	static const struct {
		void (*set)(MigrationOptions *o, MigrationThrottle *t,
			    MigrationCompression *c);
		int result;
	} cases[] = {
		{ none, 0 },
		{ other_transport, -EINVAL },
		{ no_transport, -EINVAL },
		{ checksums, -EPRECONDITION },
		{ scale_nan, -EINVAL },
		{ scale_low, -EINVAL },
		{ scale_least, 0 },
		{ scale_most, 0 },
		{ scale_high, -EINVAL },
		{ least_most, 0 },
		{ least_300, -EINVAL },
		{ workers_0, -EINVAL },
		{ workers_255, 0 },
		{ workers_256, -EINVAL },
		{ blackout_long, -EINVAL },
		{ cancel_without_limit, -EINVAL },
		{ idle_minute, 0 },
		{ idle_for_ever, -EINVAL },
	};
	struct vmm_options o;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(try_options(cases[i].set, &e),
				 cases[i].result);
	/* Absent options: TCP and defaults. */
	assert_int_equal(migrate_options(NULL, &o, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_export_request),
		cmocka_unit_test(test_known_finalize_request),
		cmocka_unit_test(test_known_notification),
		cmocka_unit_test(test_ranges_of_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
