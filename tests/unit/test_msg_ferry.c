/* What FerryResume adds to the messages, and that others do not see it. */
#include "tests/unit/unit.h"

#include <string.h>

#include "bridge/json_decode.h"
#include "bridge/msg_ferry.h"
#include "bridge/wire.h"
#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"

#define BODY_MAX (WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE)

static struct arena arena;
static struct text out;

static int set_up(void **state UNUSED)
{
	arena_init(&arena, 0x100000);
	text_heap(&out, BODY_MAX + 1);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	arena_done(&arena);
	text_done(&out);
	json_decode_done();
	return 0;
}

static void decode(const struct schema *schema, const char *text, void *ret)
{
	assert_int_equal(
		msg_decode(schema, text, strlen(text), &arena, ret, NULL), 0);
}

/* Read, written again, the same text. */
static void expect_round(uint32_t type, const char *text)
{
	union {
		struct msg_ferry_received received;
		struct msg_ferry_stream_end stream_end;
		struct msg_ferry_out_of_memory out_of_memory;
		struct msg_ferry_unwanted unwanted;
		struct msg_ferry_read_log read_log;
		struct msg_ferry_read_log_result read_log_result;
	} body;
	const struct schema *schema = msg_ferry_schema(type);

	assert_non_null(schema);
	assert_true(schema->size <= sizeof(body));
	decode(schema, text, &body);
	text_reset(&out);
	msg_encode(schema, &body, &out);
	assert_string_equal(text_str(&out), text);
}

static void test_every_frame(void **state UNUSED)
{
	expect_round(WIRE_FERRY_RECEIVED,
		     "{\"Received\":18446744073709551615}");
	expect_round(WIRE_FERRY_STREAM_END,
		     "{\"Port\":1073741825,\"Length\":9007199254740993}");
	expect_round(WIRE_FERRY_OUT_OF_MEMORY,
		     "{\"ContainerId\":\"c\",\"Count\":1}");
	expect_round(WIRE_FERRY_STREAM_MARK, "{\"Port\":1,\"Length\":2}");
	expect_round(WIRE_FERRY_UNWANTED, "{\"Port\":4294967295}");
	expect_round(WIRE_FERRY_READ_LOG,
		     "{\"ContainerId\":\"\",\"From\":5,\"Max\":100}");
	expect_round(wire_response_type(WIRE_FERRY_READ_LOG),
		     "{\"Result\":0,\"From\":5,\"Head\":9,\"Dropped\":0,"
		     "\"Text\":\"a\\nb\"}");
	assert_null(msg_ferry_schema(WIRE_CREATE));
	assert_null(msg_ferry_schema(wire_response_type(WIRE_FERRY_RECEIVED)));
	/* A peer that is no ferry has no such words. */
	assert_null(msg_schema(WIRE_FERRY_RECEIVED));
}

static void test_a_plain_negotiation_has_nothing_of_it(void **state UNUSED)
{
	const struct msg_negotiate m = {
		.base = { .container_id = "" },
		.minimum_version = 4,
		.maximum_version = 4,
	};
	const struct msg_negotiate_result r = { .version = 4 };

	msg_encode(&msg_negotiate_schema, &m, &out);
	assert_string_equal(text_str(&out),
			    "{\"ContainerId\":\"\",\"MinimumVersion\":4,"
			    "\"MaximumVersion\":4}");
	text_reset(&out);
	assert_int_equal(
		msg_encode_result(&msg_negotiate_result_schema, &r, &out), 0);
	assert_null(strstr(text_str(&out), "Ferry"));
}

static void test_hello(void **state UNUSED)
{
	static const char text[] =
		"{\"ContainerId\":\"\",\"MinimumVersion\":4,"
		"\"MaximumVersion\":4,\"Ferry\":{\"Version\":1,"
		"\"Nonce\":\"aa\",\"Session\":\"bb\",\"Received\":3,"
		"\"Sent\":4,\"HeartbeatMs\":500,\"Fixup\":{"
		"\"Entropy\":\"cc\",\"TimeNs\":1700000000000000001,"
		"\"Announce\":true}}}";
	struct msg_negotiate m;

	decode(&msg_negotiate_schema, text, &m);
	assert_non_null(m.ferry);
	assert_string_equal(m.ferry->session, "bb");
	assert_int_equal(m.ferry->sent, 4);
	assert_int_equal(m.ferry->fixup->time_ns, 1700000000000000001);
	assert_true(m.ferry->fixup->announce);
	msg_encode(&msg_negotiate_schema, &m, &out);
	assert_string_equal(text_str(&out), text);

	decode(&msg_negotiate_schema,
	       "{\"MinimumVersion\":4,\"MaximumVersion\":4,\"Ferry\":{}}", &m);
	assert_non_null(m.ferry);
	assert_int_equal(m.ferry->version, 0);
	assert_string_equal(m.ferry->nonce, "");
	assert_null(m.ferry->fixup);
}

static void test_welcome(void **state UNUSED)
{
	static const char text[] =
		"{\"Result\":0,\"Version\":4,\"Capabilities\":{"
		"\"GuestDefinedCapabilities\":{\"FerryResume\":true}},"
		"\"Ferry\":{\"Version\":1,\"Session\":\"bb\",\"Key\":\"dd\","
		"\"Proof\":\"ee\",\"Received\":4,\"Incarnation\":2,\"Fixup\":{"
		"\"Credited\":true,\"ClockStepMs\":-60000,\"Announced\":3}}}";
	struct msg_negotiate_result r;

	decode(&msg_negotiate_result_schema, text, &r);
	assert_true(r.capabilities.ferry_resume);
	assert_int_equal(r.ferry->incarnation, 2);
	assert_int_equal(r.ferry->fixed->clock_step_ms, -60000);
	assert_int_equal(
		msg_encode_result(&msg_negotiate_result_schema, &r, &out), 0);
	assert_string_equal(text_str(&out), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_frame, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_plain_negotiation_has_nothing_of_it, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_hello, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_welcome, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
