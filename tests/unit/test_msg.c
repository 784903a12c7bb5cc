/* tests/unit/test_msg.c - messages, and what an answer must never be */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/hresult.h"
#include "bridge/json_check.h"
#include "bridge/json_decode.h"
#include "bridge/msg.h"
#include "bridge/msg_container.h"
#include "bridge/msg_metrics.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"
#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"

#define BODY_MAX (WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE)
#define GUID "9b2f6a50-7c1d-4e8b-9f3a-5d6c7b8a9012"

static struct arena arena;
static struct text out;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 0x1000000);
	text_heap(&out, BODY_MAX + 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_done(&arena);
	text_done(&out);
	json_decode_done();
	return 0;
}

static int decode(const struct schema *schema, const char *text, void *ret,
		  struct err *e)
{
	return msg_decode(schema, text, strlen(text), &arena, ret, e);
}

/* The answer as text: always JSON, always within a frame. */
static const char *answer(const struct schema *schema, const void *msg)
{
	text_reset(&out);
	assert_int_equal(msg_encode_result(schema, msg, &out), 0);
	assert_true(out.len <= BODY_MAX);
	assert_int_equal(json_check(text_str(&out), out.len, NULL), 0);
	return text_str(&out);
}

/* @n times @c; the caller frees it. */
static char *repeat(char c, size_t n)
{
	char *s = malloc(n + 1);

	assert_non_null(s);
	memset(s, c, n);
	s[n] = '\0';
	return s;
}

/* --- decoding -------------------------------------------------------------- */

static void test_msg_execute_process(void **state)
{
	static const char text[] =
		"{\"ContainerId\":\"" WIRE_NULL_ID "\",\"Settings\":{"
		"\"ProcessParameters\":\"{\\\"CommandArgs\\\":[\\\"a\\\"],"
		"\\\"Environment\\\":{\\\"A\\\":\\\"1\\\"},"
		"\\\"ConsoleSize\\\":[24,80],\\\"EmulateConsole\\\":true,"
		"\\\"CreateStdOutPipe\\\":true,\\\"User\\\":\\\"x\\\","
		"\\\"OciProcess\\\":{\\\"cwd\\\":\\\"/\\\"}}\","
		"\"VsockStdioRelaySettings\":{\"StdOut\":4294967295}}}\n";
	struct msg_execute_process m;

	(void)state;
	assert_int_equal(decode(&msg_execute_process_schema, text, &m, NULL),
			 0);
	assert_string_equal(m.base.container_id, WIRE_NULL_ID);
	assert_string_equal(m.base.activity_id, "");
	assert_int_equal(m.parameters.command_args.n, 1);
	assert_string_equal(m.parameters.command_args.item[0], "a");
	assert_string_equal(m.parameters.command_line, "");
	assert_string_equal(m.parameters.environment.item[0].name, "A");
	assert_int_equal(m.parameters.console_size[0], 24);
	assert_int_equal(m.parameters.console_size[1], 80);
	assert_true(m.parameters.emulate_console);
	assert_true(m.parameters.create_stdout_pipe);
	assert_false(m.parameters.create_stdin_pipe);
	assert_string_equal(m.parameters.oci_process, "{\"cwd\":\"/\"}");
	assert_int_equal(m.port[MSG_STDIN], 0);
	assert_true(m.port[MSG_STDOUT] == UINT32_MAX);
}

static void test_msg_names_the_path_of_inner_documents(void **state)
{
	static const struct {
		const struct schema *schema;
		const char *text, *want;
	} cases[] = {
		{ &msg_execute_process_schema,
		  "{\"Settings\":{\"ProcessParameters\":\"{\\\"CommandArgs\\\":"
		  "[\\\"a\\\",\\\"b\\\",3]}\"}}",
		  "$.Settings.ProcessParameters: $.CommandArgs[2]: want "
		  "string" },
		{ &msg_execute_process_schema, "{\"Settings\":{}}",
		  "$.Settings.ProcessParameters: missing" },
		{ &msg_execute_process_schema, "{}", "$.Settings: missing" },
		{ &msg_execute_process_schema, "{\"Settings\":null}",
		  "$.Settings: missing" },
		{ &msg_create_schema, "{\"ContainerConfig\":\"\"}",
		  "$.ContainerConfig: not JSON: unexpected end at byte 0" },
		{ &msg_create_schema, "{\"ContainerId\":\"x\"}",
		  "$.ContainerConfig: missing" },
		{ &msg_modify_settings_schema, "{\"Request\":1}",
		  "$.Request: want object" },
		{ &msg_modify_settings_schema, "{}", "$.Request: missing" },
		{ &msg_get_properties_schema, "{\"Query\":\"x\"}",
		  "$.Query: not JSON: a value is missing at byte 0" },
		{ &msg_wait_for_process_schema, "{\"ProcessId\":-1}",
		  "$.ProcessId: number out of range" },
		{ &msg_wait_for_process_schema, "{\"timeoutinms\":4294967296}",
		  "$.TimeoutInMs: number out of range" },
		{ &msg_base_schema, "{\"otsc\":{\"traceparent\":1}}",
		  "$.otsc.traceparent: want string" },
		{ &msg_signal_process_schema,
		  "{\"Options\":{\"Signal\":\"9\"}}",
		  "$.Options.Signal: want integer" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[1024] __attribute__((aligned(16)));
		struct err e = { 0 };

		assert_int_equal(
			decode(cases[i].schema, cases[i].text, buf, &e),
			-EINVAL);
		assert_string_equal(e.text, cases[i].want);
	}
}

static void test_msg_empty_query_is_no_query(void **state)
{
	static const char *const texts[] = { "{\"Query\":\"\"}", "{}",
					     "{\"Query\":null}",
					     "{\"Query\":\"{}\"}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct msg_get_properties m;

		assert_int_equal(
			decode(&msg_get_properties_schema, texts[i], &m, NULL),
			0);
		assert_int_equal(m.query.types.n, 0);
	}
}

static void test_msg_signal_options_are_optional(void **state)
{
	struct msg_signal_process m;

	(void)state;
	assert_int_equal(decode(&msg_signal_process_schema, "{}", &m, NULL), 0);
	assert_int_equal(m.signal, 0);
	msg_encode(&msg_signal_process_schema, &m, &out);
	assert_string_equal(text_str(&out),
			    "{\"ContainerId\":\"\",\"ProcessId\":0}");
	text_reset(&out);
	m.signal = 15;
	msg_encode(&msg_signal_process_schema, &m, &out);
	assert_string_equal(text_str(&out),
			    "{\"ContainerId\":\"\",\"ProcessId\""
			    ":0,\"Options\":{\"Signal\":15}}");
}

static void test_msg_memory_limits_are_exact(void **state)
{
	static const char text[] =
		"{\"Properties\":\"{\\\"LCOWMetrics\\\":{\\\"memory\\\":{"
		"\\\"total_rss\\\":9007199254740993,\\\"usage\\\":{\\\"limit"
		"\\\":18446744073709551615},\\\"swap\\\":{}},"
		"\\\"blkio\\\":{}}}\"}";
	struct msg_get_properties_result m;

	(void)state;
	assert_int_equal(
		decode(&msg_get_properties_result_schema, text, &m, NULL), 0);
	assert_true(m.properties.metrics->memory->usage->limit == UINT64_MAX);
	assert_true(m.properties.metrics->memory->total.rss ==
		    UINT64_C(9007199254740993));
	assert_non_null(m.properties.metrics->memory->swap);
	assert_null(m.properties.metrics->memory->kernel);
	assert_string_equal(m.properties.metrics->blkio, "{}");
	assert_null(m.properties.metrics->cpu);
}

static void test_msg_settings_by_resource(void **state)
{
	struct msg_modify_settings m;
	struct msg_network n;

	(void)state;
	assert_int_equal(decode(&msg_modify_settings_schema,
				"{\"Request\":{\"Settings\":{\"Routes\":[{"
				"\"Metric\":65535}],\"ID\":\"x\"},"
				"\"ResourceType\":\"Network\"}}",
				&m, NULL),
			 0);
	assert_string_equal(m.request.request_type, "");
	assert_ptr_equal(msg_settings_schema(m.request.resource_type),
			 &msg_network_schema);
	assert_int_equal(
		decode(&msg_network_schema, m.request.settings, &n, NULL), 0);
	assert_int_equal(n.route[0].metric, 65535);
	assert_string_equal(n.id, "x");
	assert_null(msg_settings_schema("network"));
	assert_null(msg_settings_schema("PodCgroupMemoryLimit"));
	assert_null(msg_settings_schema(""));
}

/* Every type word of bridge.md 1.3 has bodies, and no other word has. */
static void test_msg_schema_of_every_type(void **state)
{
	unsigned int found = 0;

	(void)state;
	for (uint32_t category = 1; category <= 2; category++)
		for (uint32_t n = 0; n < 4096; n++) {
			const uint32_t type =
				0x10000001 | category << 20 | n << 8;

			found += msg_schema(type) != NULL;
			assert_true((msg_schema(type) != NULL) ==
				    (wire_type_name(type) != NULL));
			assert_true(!msg_schema(type) ==
				    !msg_schema(wire_response_type(type)));
		}
	assert_int_equal(found, 16);
	assert_ptr_equal(msg_schema(WIRE_CONTAINER_NOTIFICATION),
			 &msg_notification_schema);
	assert_null(msg_schema(0));
	assert_null(msg_schema(0x30100201));
	assert_null(msg_schema(WIRE_CREATE + 1));
}

/* --- what ends the bridge for the whole VM: bridge.md 2.6 ------------------ */

static void test_msg_2_6_result_is_int32(void **state)
{
	const struct msg_result m = { .result = hresult_to_wire(HR_FAIL) };

	(void)state;
	assert_string_equal(answer(&msg_result_schema, &m),
			    "{\"Result\":-2147467259}");
}

static void test_msg_2_6_activity_id_is_a_guid_or_absent(void **state)
{
	static const struct {
		const char *id, *want;
	} cases[] = {
		{ NULL, "{\"Result\":0}" },
		{ "", "{\"Result\":0}" },
		{ "{" GUID "}", "{\"Result\":0}" },
		{ "9b2f6a507c1d4e8b9f3a5d6c7b8a9012", "{\"Result\":0}" },
		{ "9b2f6a50-7c1d-4e8b-9f3a-5d6c7b8a901", "{\"Result\":0}" },
		{ "9b2f6a50-7c1d-4e8b-9f3a-5d6c7b8a9012\n", "{\"Result\":0}" },
		{ "9b2f6a50-7c1d-4e8b-9f3a-5d6c7b8a901g", "{\"Result\":0}" },
		{ "9b2f6a50-7c1d-4e8b-9f3a+5d6c7b8a9012", "{\"Result\":0}" },
		{ "9b2f6a5--7c1d-4e8b-9f3a-5d6c7b8a9012", "{\"Result\":0}" },
		{ GUID, "{\"Result\":0,\"ActivityId\":\"" GUID "\"}" },
		{ "9B2F6A50-7C1D-4E8B-9F3A-5D6C7B8A9012",
		  "{\"Result\":0,\"ActivityId\":\"" GUID "\"}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct msg_result m = { .activity_id = cases[i].id };
		const struct msg_notification n = {
			.base.activity_id = cases[i].id,
		};
		const char *text;

		assert_string_equal(answer(&msg_result_schema, &m),
				    cases[i].want);
		text_reset(&out);
		msg_encode(&msg_notification_schema, &n, &out);
		text = text_str(&out);
		assert_true(!strstr(text, "ActivityId") ==
			    !strstr(cases[i].want, "ActivityId"));
	}
}

static void test_msg_2_6_properties_is_text_or_absent(void **state)
{
	struct msg_get_properties_result m = { 0 };

	(void)state;
	assert_string_equal(answer(&msg_get_properties_result_schema, &m),
			    "{\"Result\":0,\"Properties\":\"{}\"}");
	m.base.result = hresult_to_wire(HR_TIMEOUT);
	assert_string_equal(answer(&msg_get_properties_result_schema, &m),
			    "{\"Result\":-1070137079}");
}

static void test_msg_2_6_result_info_is_text_or_absent(void **state)
{
	static const char *const absent[] = { NULL, "", " ", "{", "x", "{}{}" };
	struct msg_notification m = { .type = "UnexpectedExit",
				      .operation = "None" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		m.result_info = absent[i];
		text_reset(&out);
		msg_encode(&msg_notification_schema, &m, &out);
		assert_string_equal(text_str(&out),
				    "{\"ContainerId\":\"\","
				    "\"Type\":\"UnexpectedExit\","
				    "\"Operation\":\"None\",\"Result\":0}");
	}
	m.result_info = "{\"a\":1}";
	text_reset(&out);
	msg_encode(&msg_notification_schema, &m, &out);
	assert_non_null(
		strstr(text_str(&out), "\"ResultInfo\":\"{\\\"a\\\":1}\""));
}

static void test_msg_2_6_line_is_unsigned(void **state)
{
	struct msg_error_record record = { .line = UINT32_MAX,
					   .module_name = "gcs" };
	const struct msg_result m = { .result = -1,
				      .record = &record,
				      .n_records = 1 };

	(void)state;
	assert_string_equal(answer(&msg_result_schema, &m),
			    "{\"Result\":-1,\"ErrorRecords\":[{\"Result\":0,"
			    "\"Message\":\"\",\"ModuleName\":\"gcs\","
			    "\"FileName\":\"\",\"Line\":4294967295}]}");
}

static void test_msg_2_6_guest_defined_capabilities_is_there(void **state)
{
	const struct msg_negotiate_result m = { .version = 4 };

	(void)state;
	assert_string_equal(answer(&msg_negotiate_result_schema, &m),
			    "{\"Result\":0,\"Version\":4,\"Capabilities\":{"
			    "\"GuestDefinedCapabilities\":{}}}");
}

/* A failed answer is its base: no number of a process, no stacks. */
static void test_msg_failed_answer_is_its_base(void **state)
{
	const struct msg_execute_process_result m = { .base.result = -1,
						      .process_id = 7 };
	const struct msg_dump_stacks_result d = { .base.result = -1,
						  .guest_stacks = "x" };

	(void)state;
	assert_string_equal(answer(&msg_execute_process_result_schema, &m),
			    "{\"Result\":-1}");
	assert_string_equal(answer(&msg_dump_stacks_result_schema, &d),
			    "{\"Result\":-1}");
}

/* --- the limit of a frame -------------------------------------------------- */

/* The error answer that quotes a bad body twice, as the reference does. */
static const char *quoting_answer(const char *body)
{
	struct msg_error_record record = { .result = -1,
					   .message = body,
					   .module_name = "gcs",
					   .line = UINT32_MAX };
	const struct msg_result m = { .result =
					      hresult_to_wire(HR_INVALID_JSON),
				      .activity_id = GUID,
				      .error_message = body,
				      .record = &record,
				      .n_records = 1 };

	return answer(&msg_result_schema, &m);
}

/* W-G13: 20,000 bytes of '<' made an answer of 240,398 bytes. */
static void test_msg_w_g13_answer_stays_within_a_frame(void **state)
{
	cleanup_free char *body = repeat('<', 20000);
	struct msg_result got;
	const char *text = quoting_answer(body);

	(void)state;
	assert_true(out.len > BODY_MAX - 32); /* and is not cut needlessly */
	assert_int_equal(decode(&msg_result_schema, text, &got, NULL), 0);
	assert_int_equal(got.result, hresult_to_wire(HR_INVALID_JSON));
	assert_string_equal(got.activity_id, GUID);
	assert_int_equal(got.n_records, 1);
	assert_true(strlen(got.error_message) > 5000);
	assert_true(strlen(got.error_message) == strlen(got.record[0].message));
	assert_true(got.record[0].line == UINT32_MAX);
	assert_string_equal(got.record[0].module_name, "gcs");
}

static void test_msg_cut_at_every_size(void **state)
{
	static const char *const pieces[] = { "x",	     "<",
					      "\xc3\xa9",    "\xf0\x9f\x98\x80",
					      "\xff",	     "\"",
					      "\xe2\x80\xa8" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		const size_t piece = strlen(pieces[i]);

		for (size_t n = 5400; n < 70000; n += n < 5430 ? 1 : 8001) {
			char *body = repeat('x', n * piece);

			for (size_t at = 0; at < n; at++)
				memcpy(body + at * piece, pieces[i], piece);
			(void)quoting_answer(body);
			free(body);
		}
	}
}

/* The exact size of a frame is sent whole, one byte more is cut by one. */
static void test_msg_stacks_up_to_the_last_byte(void **state)
{
	static const char around[] = "{\"Result\":0,\"GuestStacks\":\"\"}";
	const size_t most = BODY_MAX - (sizeof(around) - 1);
	cleanup_free char *stacks = repeat('s', most + 1);
	struct msg_dump_stacks_result m = { .guest_stacks = stacks };
	struct msg_dump_stacks_result got;

	(void)state;
	for (size_t n = most - 1; n <= most + 1; n++) {
		stacks[n] = '\0';
		(void)answer(&msg_dump_stacks_result_schema, &m);
		stacks[n] = 's';
		assert_int_equal(decode(&msg_dump_stacks_result_schema,
					text_str(&out), &got, NULL),
				 0);
		assert_int_equal(strlen(got.guest_stacks), n < most ? n : most);
	}
}

/* Properties cannot be cut and stay JSON: the request fails instead. */
static void test_msg_too_long_properties_are_a_failure(void **state)
{
	struct msg_process_details *list = calloc(10000, sizeof(*list));
	const struct msg_get_properties_result m = {
		.base.activity_id = GUID,
		.properties = { .process = list, .n_processes = 10000 },
	};

	(void)state;
	assert_non_null(list);
	assert_string_equal(answer(&msg_get_properties_result_schema, &m),
			    "{\"Result\":-2147467259,\"ActivityId\":\"" GUID
			    "\",\"ErrorMessage\":\"the answer does not fit "
			    "into a frame\"}");
	free(list);
}

static void test_msg_result_survives_the_smallest_room(void **state)
{
	const struct msg_result m = { .result = -2147467259,
				      .activity_id = GUID,
				      .error_message = "why" };
	const size_t least = strlen("{\"Result\":-2147467259}");

	(void)state;
	for (size_t max = 1; max < 128; max++) {
		struct text t;
		int r;

		text_heap(&t, max);
		r = msg_encode_result(&msg_result_schema, &m, &t);
		assert_int_equal(r, max <= least ? -ENOMEM : 0);
		assert_false(t.full);
		if (r == 0)
			assert_int_equal(json_check(text_str(&t), t.len, NULL),
					 0);
		else
			assert_int_equal(t.len, 0);
		text_done(&t);
	}
}

static void test_msg_result_appends(void **state)
{
	const struct msg_result m = { .result = 1 };

	(void)state;
	text_reset(&out);
	text_add(&out, "head");
	assert_int_equal(msg_encode_result(&msg_result_schema, &m, &out), 0);
	assert_string_equal(text_str(&out), "head{\"Result\":1}");
	out.full = true;
	assert_int_equal(msg_encode_result(&msg_result_schema, &m, &out),
			 -ENOMEM);
}

/* What a guest may send to the host is no less checked. */
static void test_msg_host_refuses_a_bad_guest(void **state)
{
	static const char *const bad[] = {
		"{\"Result\":2147500037}",
		"{\"Result\":\"0\"}",
		"{\"Result\":0.0}",
		"{\"ErrorRecords\":[{\"Line\":-1}]}",
		"{\"ErrorRecords\":{}}",
		"{\"Properties\":{}}",
		"{\"Properties\":\"\"}",
		"{\"Properties\":\"[]\"}",
		"{\"ActivityId\":7}",
		"{",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct msg_get_properties_result m;
		struct err e = { 0 };

		assert_int_equal(decode(&msg_get_properties_result_schema,
					bad[i], &m, &e),
				 -EINVAL);
		assert_true(e.text[0] != '\0');
	}
}

int main(void)
{
#define UNIT(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		UNIT(test_msg_execute_process),
		UNIT(test_msg_names_the_path_of_inner_documents),
		UNIT(test_msg_empty_query_is_no_query),
		UNIT(test_msg_signal_options_are_optional),
		UNIT(test_msg_memory_limits_are_exact),
		UNIT(test_msg_settings_by_resource),
		UNIT(test_msg_schema_of_every_type),
		UNIT(test_msg_2_6_result_is_int32),
		UNIT(test_msg_2_6_activity_id_is_a_guid_or_absent),
		UNIT(test_msg_2_6_properties_is_text_or_absent),
		UNIT(test_msg_2_6_result_info_is_text_or_absent),
		UNIT(test_msg_2_6_line_is_unsigned),
		UNIT(test_msg_2_6_guest_defined_capabilities_is_there),
		UNIT(test_msg_failed_answer_is_its_base),
		UNIT(test_msg_w_g13_answer_stays_within_a_frame),
		UNIT(test_msg_cut_at_every_size),
		UNIT(test_msg_stacks_up_to_the_last_byte),
		UNIT(test_msg_too_long_properties_are_a_failure),
		UNIT(test_msg_result_survives_the_smallest_room),
		UNIT(test_msg_result_appends),
		UNIT(test_msg_host_refuses_a_bad_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
