/* tests/unit/test_guest_flags.c - the agent's command line */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bridge/guest/flags.h"
#include "config/util.h"

#define STR(s) ((char[]){ s })
#define ARGS(...) ((char *[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	char *none[] = { NULL };
	struct flags f;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(flags_parse(none, &f, &e), 0);
	assert_false(f.v4);
	assert_int_equal(f.log_level, LOG_LEVEL_DEBUG);
	assert_false(f.log_json);
	assert_string_equal(f.log_file, "");
	assert_int_equal(f.kmsg_level, 4);
	assert_int_equal(f.root_mem_reserve_bytes, 78643200);
	assert_int_equal(f.gcs_mem_limit_bytes, 52428800);
	assert_true(f.scrub_logs);
	assert_false(f.policy_deny);
	assert_false(f.use_inouterr);
	assert_int_equal(f.transport.kind, TRANSPORT_VSOCK);
	assert_int_equal(f.transport.cid, 2);
}

static void test_the_line_of_the_reference_host(void **state)
{
	struct flags f;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(
		flags_parse(ARGS(STR("-v4"), STR("-log-format"), STR("json"),
				 STR("-loglevel"), STR("Warning"),
				 STR("-disable-time-sync"),
				 STR("-scrub-logs=false"),
				 STR("-initial-policy-stance=deny"),
				 STR("-kmsgLogLevel=6"),
				 STR("-core-dump-location"), STR("/tmp/core"),
				 STR("-transport"), STR("unix:/run/v")),
			    &f, &e),
		0);
	assert_true(f.v4);
	assert_true(f.log_json);
	assert_int_equal(f.log_level, LOG_LEVEL_WARN);
	assert_true(f.disable_time_sync);
	assert_false(f.scrub_logs);
	assert_true(f.policy_deny);
	assert_int_equal(f.kmsg_level, 6);
	assert_string_equal(f.core_pattern, "/tmp/core");
	assert_int_equal(f.transport.kind, TRANSPORT_UNIX);
}

static void test_reading_stops_at_the_first_other_word(void **state)
{
	struct flags f;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(
		flags_parse(ARGS(STR("-v4"), STR("false"), STR("-nonsense")),
			    &f, &e),
		0);
	assert_true(f.v4); /* a boolean takes no word of its own */
	assert_int_equal(flags_parse(ARGS(STR("--"), STR("-nonsense")), &f, &e),
			 0);
	assert_int_equal(flags_parse(ARGS(STR("--v4")), &f, &e), 0);
	assert_true(f.v4);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *word;
		const char *text;
	} bad[] = {
		{ "-nonsense", "-nonsense: no such flag" },
		{ "-v", "-v: no such flag" },
		{ "-v4=maybe", "-v4: 'maybe' is not true or false" },
		{ "-loglevel=loud", "-loglevel: 'loud' is not a log level" },
		{ "-loglevel", "-loglevel: needs a value" },
		{ "-log-format=xml", "-log-format: 'xml' is not text or json" },
		{ "-kmsgLogLevel=-1",
		  "-kmsgLogLevel: '-1' is not a decimal number" },
		{ "-initial-policy-stance=",
		  "-initial-policy-stance: '' is not allow or deny" },
		{ "-core-dump-location=|/bin/sh",
		  "-core-dump-location: a program for core dumps is refused" },
		{ "-core-dump-location= |/bin/sh",
		  "-core-dump-location: a program for core dumps is refused" },
		{ "-transport=tcp:1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct flags f = { .kmsg_level = 99 };
		struct err e = { 0 };
		char word[64];

		(void)snprintf(word, sizeof(word), "%s", bad[i].word);
		assert_true(flags_parse(ARGS(word), &f, &e) < 0);
		if (bad[i].text)
			assert_string_equal(e.text, bad[i].text);
		assert_int_equal(f.kmsg_level, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_the_line_of_the_reference_host),
		cmocka_unit_test(test_reading_stops_at_the_first_other_word),
		cmocka_unit_test(test_what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
