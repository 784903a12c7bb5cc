/* tests/unit/test_guest_bridge.c - the agent against hosts of every kind */
#include "tests/unit/guest_peer.h"

#include "bridge/guest/conn.h"
#include "bridge/guest/request.h"

static int set_up(void **state)
{
	static struct peer p;

	peer_init(&p);
	peer_start_agent(&p);
	peer_accept(&p);
	*state = &p;
	return 0;
}

static void test_nothing_comes_before_negotiation(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;

	assert_false(peer_ready(p->fd, POLLIN, 100));
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_NOT_IMPLEMENTED);
	assert_int_equal(peer_call(p, WIRE_NEGOTIATE_PROTOCOL,
				   "{\"MinimumVersion\":5,"
				   "\"MaximumVersion\":9}",
				   &f),
			 HR_UNSUPPORTED_VERSION);
	assert_int_equal(peer_call(p, WIRE_NEGOTIATE_PROTOCOL,
				   "{\"MinimumVersion\":1,"
				   "\"MaximumVersion\":3}",
				   &f),
			 HR_UNSUPPORTED_VERSION);
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_NOT_IMPLEMENTED);
	peer_negotiate(p);
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_OK);
	assert_int_equal(peer_call(p, WIRE_NEGOTIATE_PROTOCOL,
				   "{\"MinimumVersion\":4,"
				   "\"MaximumVersion\":4}",
				   &f),
			 HR_NOT_IMPLEMENTED);
}

/* W-G12: the reference refuses some requests sent behind negotiation. */
static void test_w_g12_pipelined_requests_find_negotiation_done(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;

	for (int round = 0; round < 100; round++) {
		uint8_t both[1024];
		size_t n;

		n = peer_frame_put(both, WIRE_NEGOTIATE_PROTOCOL, 0,
				   "{\"MinimumVersion\":4,"
				   "\"MaximumVersion\":4}");
		n += peer_frame_put(both + n, WIRE_START, 1, "{}");
		peer_waiting[0] = peer_waiting[1] = true;
		peer_write(p, both, n);
		peer_answer(p, 0, &f);
		assert_int_equal(peer_result(&f), HR_OK);
		peer_answer(p, 1, &f);
		assert_int_equal(peer_result(&f), HR_OK);
		peer_drop(p, true);
		peer_accept(p);
	}
}

static void test_the_negotiated_version_ends_with_its_connection(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;

	peer_negotiate(p);
	peer_drop(p, false);
	peer_accept(p);
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_NOT_IMPLEMENTED);
	peer_negotiate(p);
}

static void test_capabilities_are_those_of_the_reference(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;

	assert_int_equal(peer_call(p, WIRE_NEGOTIATE_PROTOCOL,
				   "{\"ContainerId\":\"\",\"ActivityId\":"
				   "\"00000000-0000-0000-0000-000000000000\","
				   "\"MinimumVersion\":4,\"MaximumVersion\":4}",
				   &f),
			 HR_OK);
	assert_string_equal(
		f.body,
		"{\"Result\":0,\"ActivityId\":"
		"\"00000000-0000-0000-0000-000000000000\",\"Version\":4,"
		"\"Capabilities\":{\"SupportedSchemaVersions\":[{\"Major\":2,"
		"\"Minor\":1}],\"RuntimeOsType\":\"Linux\","
		"\"GuestDefinedCapabilities\":{"
		"\"NamespaceAddRequestSupported\":true,"
		"\"SignalProcessSupported\":true,"
		"\"DumpStacksSupported\":true,"
		"\"DeleteContainerStateSupported\":true}}}");
}

static void test_unknown_types_are_refused(void **state)
{
	static const uint32_t types[] = {
		WIRE_UPDATE_CONTAINER,
		WIRE_LIFECYCLE_NOTIFICATION,
		WIRE_MODIFY_SERVICE_SETTINGS,
		WIRE_CONTAINER_NOTIFICATION,
		0x20100201, /* an answer */
		0x10100202, /* another version */
		0x10100001,
		0x1010ff01,
		0x10000201,
		0x00000000,
		0xffffffff,
	};
	struct peer *p = *state;
	struct peer_frame f;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_int_equal(
			peer_call(p, types[i], peer_base(WIRE_NULL_ID), &f),
			HR_NOT_IMPLEMENTED);
}

static void test_broken_bodies_are_answered(void **state)
{
	static const char *const bodies[] = {
		"",
		"{",
		"[]",
		"7",
		"\"x\"",
		"{} {}",
		"{\"ProcessId\":\"7\"}",
		"{\"ProcessId\":-1}",
		"{\"ProcessId\":4294967296}",
		"{\"ProcessId\":1.5}",
		"{\"ContainerId\":7}",
		"{\"ContainerId\":\"\xff\xfe\"",
		"{\"a\":\"\\ud800\"",
	};
	struct peer *p = *state;
	struct peer_frame f;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		assert_int_equal(
			peer_call(p, WIRE_WAIT_FOR_PROCESS, bodies[i], &f),
			HR_INVALID_JSON);
		assert_true(f.len < 4096);
	}
	/* The body of this one is nobody's business. */
	assert_int_equal(peer_call(p, WIRE_DUMP_STACKS, "", &f), HR_OK);
	assert_int_equal(peer_call(p, WIRE_DUMP_STACKS, "{", &f), HR_OK);
}

static void expect_closed_after(struct peer *p, uint32_t size)
{
	uint8_t head[WIRE_HEADER_SIZE];
	const struct wire_header h = { .type = WIRE_START, .size = size };
	uint8_t byte;

	wire_header_put(head, &h);
	peer_write(p, head, sizeof(head));
	assert_int_equal(peer_read(p->fd, &byte, 1), 0);
	peer_drop(p, true);
	peer_accept(p);
	peer_negotiate(p);
}

/* W-G1: the reference takes 4 GiB for a size below the header's. */
static void test_w_g1_sizes_below_the_header_close(void **state)
{
	struct peer *p = *state;
	const long before = peer_agent_kib(p);

	for (uint32_t size = 0; size < WIRE_HEADER_SIZE; size++)
		expect_closed_after(p, size);
	assert_true(peer_agent_kib(p) < before + 1024);
}

/* W-G2: nor is memory taken for what a header only announces. */
static void test_w_g2_sizes_are_bounded(void **state)
{
	struct peer *p = *state;
	const long before = peer_agent_kib(p);
	uint8_t head[WIRE_HEADER_SIZE];
	const struct wire_header h = { .type = WIRE_START,
				       .size = WIRE_HOST_FRAME_MAX };

	expect_closed_after(p, WIRE_HOST_FRAME_MAX + 1);
	expect_closed_after(p, UINT32_MAX);
	wire_header_put(head, &h);
	peer_write(p, head, sizeof(head));
	assert_false(peer_ready(p->fd, POLLIN, 200)); /* it waits */
	assert_true(peer_agent_kib(p) < before + 1024);
}

static void test_the_largest_frame_is_served(void **state)
{
	static const char start[] = "{\"ContainerId\":\"";
	static const char tail[] = "\"}";
	struct peer *p = *state;
	const size_t len = WIRE_HOST_FRAME_MAX - WIRE_HEADER_SIZE;
	char *body = malloc(len + 1);
	struct peer_frame f;

	assert_non_null(body);
	memset(body, 'x', len);
	memcpy(body, start, sizeof(start) - 1);
	memcpy(body + len - 2, tail, sizeof(tail));
	assert_int_equal(peer_call(p, WIRE_START, body, &f), HR_OK);
	free(body);
}

/* W-G13: what is asked can be long, the answer may not. */
static void test_w_g13_answers_fit_into_a_frame(void **state)
{
	static char body[60000];
	struct peer *p = *state;
	struct peer_frame f;

	memset(body, '<', sizeof(body) - 1);
	assert_int_equal(peer_call(p, WIRE_START, body, &f), HR_INVALID_JSON);
	body[0] = '"';
	assert_int_equal(peer_call(p, WIRE_START, body, &f), HR_INVALID_JSON);
	(void)snprintf(body, sizeof(body), "{\"ActivityId\":\"%0*d\"}", 50000,
		       7);
	assert_int_equal(peer_call(p, WIRE_START, body, &f), HR_OK);
}

static void test_activity_ids_that_a_host_refuses_are_left_out(void **state)
{
	static const char *const ids[] = {
		"",
		"{11111111-2222-3333-4444-555555555555}",
		"11111111-2222-3333-4444-55555555555",
		"11111111-2222-3333-4444-5555555555555",
		"1111111122223333444455555555555555555",
		"gggggggg-2222-3333-4444-555555555555",
	};
	struct peer *p = *state;
	struct peer_frame f;
	char body[256];

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		(void)snprintf(body, sizeof(body), "{\"ActivityId\":\"%s\"}",
			       ids[i]);
		assert_int_equal(peer_call(p, WIRE_START, body, &f), HR_OK);
		assert_null(strstr(f.body, "ActivityId"));
	}
	assert_int_equal(peer_call(p, WIRE_START, peer_base("x"), &f), HR_OK);
	assert_non_null(strstr(f.body, PEER_ACTIVITY));
}

static void test_container_requests_have_the_right_codes(void **state)
{
	static const struct {
		uint32_t type;
		uint32_t of_uvm;
		uint32_t of_unknown;
	} cases[] = {
		{ WIRE_CREATE, HR_INVALID_JSON, HR_INVALID_JSON },
		{ WIRE_START, HR_OK, HR_OK },
		{ WIRE_SHUTDOWN_GRACEFUL, 0, HR_SYSTEM_NOT_FOUND },
		{ WIRE_SHUTDOWN_FORCED, 0, HR_SYSTEM_NOT_FOUND },
		{ WIRE_WAIT_FOR_PROCESS, HR_ELEMENT_NOT_FOUND,
		  HR_SYSTEM_NOT_FOUND },
		{ WIRE_SIGNAL_PROCESS, HR_ELEMENT_NOT_FOUND,
		  HR_SYSTEM_NOT_FOUND },
		{ WIRE_RESIZE_CONSOLE, HR_ELEMENT_NOT_FOUND,
		  HR_SYSTEM_NOT_FOUND },
		{ WIRE_GET_PROPERTIES, HR_FAIL, HR_SYSTEM_NOT_FOUND },
		{ WIRE_MODIFY_SETTINGS, HR_INVALID_JSON, HR_INVALID_JSON },
		{ WIRE_DELETE_CONTAINER_STATE, HR_SYSTEM_NOT_FOUND,
		  HR_SYSTEM_NOT_FOUND },
	};
	struct peer *p = *state;
	struct peer_frame f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(
			peer_call(p, cases[i].type, peer_base("c0ffee"), &f),
			cases[i].of_unknown);
		if (cases[i].of_uvm == 0 && cases[i].type != WIRE_START)
			continue; /* that is the end of the UVM */
		assert_int_equal(peer_call(p, cases[i].type,
					   peer_base(WIRE_NULL_ID), &f),
				 cases[i].of_uvm);
	}
}

/* W-G5: documents that crash the reference's agent. */
static void test_w_g5_no_document_crashes_the_agent(void **state)
{
	static const struct {
		uint32_t type;
		const char *body;
	} cases[] = {
		{ WIRE_CREATE, "{\"ContainerId\":\"a\"}" },
		{ WIRE_CREATE, "{\"ContainerId\":\"a\",\"ContainerConfig\":"
			       "\"{\\\"SchemaVersion\\\":{\\\"Major\\\":2,"
			       "\\\"Minor\\\":1}}\"}" },
		{ WIRE_MODIFY_SETTINGS,
		  "{\"ContainerId\":\"" WIRE_NULL_ID
		  "\",\"Request\":{\"ResourceType\":\"MappedVirtualDisk\","
		  "\"Settings\":{\"Controller\":200}}}" },
		{ WIRE_EXECUTE_PROCESS,
		  "{\"ContainerId\":\"" WIRE_NULL_ID "\"}" },
		{ WIRE_EXECUTE_PROCESS,
		  "{\"ContainerId\":\"" WIRE_NULL_ID
		  "\",\"Settings\":{\"ProcessParameters\":\"{}\"}}" },
		{ WIRE_EXECUTE_PROCESS,
		  "{\"ContainerId\":\"" WIRE_NULL_ID
		  "\",\"Settings\":{\"ProcessParameters\":"
		  "\"{\\\"CommandLine\\\":\\\"  \\\"}\"}}" },
		{ WIRE_EXECUTE_PROCESS,
		  "{\"ContainerId\":\"" WIRE_NULL_ID
		  "\",\"Settings\":{\"ProcessParameters\":"
		  "\"{\\\"CommandArgs\\\":[\\\"\\\"]}\"}}" },
		{ WIRE_EXECUTE_PROCESS,
		  "{\"ContainerId\":\"" WIRE_NULL_ID
		  "\",\"Settings\":{\"ProcessParameters\":\"\"}}" },
		{ WIRE_GET_PROPERTIES,
		  "{\"ContainerId\":\"" WIRE_NULL_ID "\",\"Query\":\"{\"}" },
	};
	struct peer *p = *state;
	struct peer_frame f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(peer_call(p, cases[i].type, cases[i].body, &f) !=
			    HR_OK);
}

static void test_without_v4_everything_is_refused(void **state)
{
	struct peer p;
	struct peer_frame f;

	(void)state;
	peer_init(&p);
	p.flags.v4 = false;
	peer_start_agent(&p);
	peer_accept(&p);
	assert_int_equal(peer_call(&p, WIRE_NEGOTIATE_PROTOCOL,
				   "{\"MinimumVersion\":4,"
				   "\"MaximumVersion\":4}",
				   &f),
			 HR_NOT_IMPLEMENTED);
	assert_true(peer_agent_lives(&p));
	peer_done(&p);
}

static void test_an_initial_policy_of_deny_runs_nothing(void **state)
{
	struct peer p;
	struct peer_frame f;
	struct peer_exec x = { .line = "true" };

	(void)state;
	peer_init(&p);
	p.flags.policy_deny = true;
	peer_start_agent(&p);
	peer_accept(&p);
	peer_negotiate(&p);
	assert_int_equal(
		peer_call(&p, WIRE_EXECUTE_PROCESS, peer_exec_body(&p, &x), &f),
		HR_FAIL);
	peer_done(&p);
}

/* W-G14: waits beyond the limit are refused, nothing else suffers. */
static void test_w_g14_requests_in_progress_are_bounded(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "sleep 1000");
	unsigned int refused = 0, told = 0;
	struct peer_frame f;

	for (unsigned int i = 0; i < REQUESTS_MAX + 10; i++) {
		peer_send(p, WIRE_WAIT_FOR_PROCESS,
			  peer_wait_body(pid, UINT32_MAX));
	}
	for (refused = 0; refused < 10; refused++) {
		assert_true(peer_recv(p, &f));
		assert_int_equal(peer_result(&f), HR_FAIL);
	}
	assert_int_equal(
		peer_call(p, WIRE_SIGNAL_PROCESS, peer_signal_body(pid, 0), &f),
		HR_OK);
	for (told = 0; told < REQUESTS_MAX; told++) {
		assert_true(peer_recv(p, &f));
		assert_int_equal(peer_number(&f, "ExitCode"), 137);
	}
}

/* A host that sends and does not read stops itself, not the agent. */
static void test_answers_that_nobody_reads_are_bounded(void **state)
{
	struct peer *p = *state;
	const long before = peer_agent_kib(p);
	uint8_t frame[256];
	size_t len, sent = 0, at = 0, answered = 0;
	const char *body = peer_base("x");
	struct peer_frame f;

	assert_int_equal(fd_nonblock(p->fd, true), 0);
	len = peer_frame_put(frame, WIRE_START, 7, body);
	while (peer_ready(p->fd, POLLOUT, 500)) {
		const ssize_t n = write(p->fd, frame + at, len - at);

		if (n < 0 && errno == EAGAIN)
			continue;
		assert_true(n > 0);
		at += (size_t)n;
		if (at == len) {
			at = 0;
			sent++;
		}
	}
	assert_true(sent * len > CONN_QUEUE_MAX);
	assert_true(peer_agent_kib(p) < before + 16384);
	assert_int_equal(fd_nonblock(p->fd, false), 0);
	for (answered = 0; answered < sent; answered++) {
		peer_waiting[7] = true;
		peer_answer(p, 7, &f);
	}
	if (at > 0)
		peer_write(p, frame + at, len - at);
	else
		peer_write(p, frame, len);
	peer_waiting[7] = true;
	peer_answer(p, 7, &f);
}

static void test_dump_says_what_there_is_and_no_secret(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "sleep 1000 # hush-line",
		.parameters = ",\"Environment\":{\"A\":\"hush-env\"}",
		.want = { false, true, false },
	};
	struct peer_frame f;
	char want[64];

	peer_exec(p, &x);
	assert_int_equal(peer_call(p, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	(void)snprintf(want, sizeof(want), "process pid=%u state=live", x.pid);
	assert_non_null(strstr(f.body, want));
	assert_non_null(strstr(f.body, "connection number=1 negotiated=1"));
	assert_null(strstr(f.body, "hush"));
	(void)kill((pid_t)x.pid, SIGKILL);
	peer_exec_done(&x);
}

/* W-G28: the first shutdown is answered, the agent does not spin or hang. */
static void test_w_g28_shutdown_answers_and_ends(void **state)
{
	struct peer p;
	struct peer_frame f;
	int status = -1;
	uint8_t byte;

	(void)state;
	peer_start(&p);
	peer_send_id(&p, WIRE_SHUTDOWN_GRACEFUL, 1, peer_base(WIRE_NULL_ID));
	peer_send_id(&p, WIRE_SHUTDOWN_FORCED, 2, peer_base(WIRE_NULL_ID));
	peer_answer(&p, 1, &f);
	assert_int_equal(peer_result(&f), HR_OK);
	assert_int_equal(peer_read(p.fd, &byte, 1), 0);
	/* On anything but vsock it only ends: the machine is not ours. */
	assert_int_equal(waitpid(p.agent, &status, 0), p.agent);
	assert_int_equal(status, 0);
	p.agent = -1;
	peer_done(&p);
}

int main(void)
{
#define RAW(f) cmocka_unit_test_setup_teardown(f, set_up, peer_tear_down)
#define TEST(f) cmocka_unit_test_setup_teardown(f, peer_set_up, peer_tear_down)
	const struct CMUnitTest tests[] = {
		RAW(test_nothing_comes_before_negotiation),
		RAW(test_w_g12_pipelined_requests_find_negotiation_done),
		RAW(test_the_negotiated_version_ends_with_its_connection),
		RAW(test_capabilities_are_those_of_the_reference),
		TEST(test_unknown_types_are_refused),
		TEST(test_broken_bodies_are_answered),
		TEST(test_w_g1_sizes_below_the_header_close),
		TEST(test_w_g2_sizes_are_bounded),
		TEST(test_the_largest_frame_is_served),
		TEST(test_w_g13_answers_fit_into_a_frame),
		TEST(test_activity_ids_that_a_host_refuses_are_left_out),
		TEST(test_container_requests_have_the_right_codes),
		TEST(test_w_g5_no_document_crashes_the_agent),
		cmocka_unit_test(test_without_v4_everything_is_refused),
		cmocka_unit_test(test_an_initial_policy_of_deny_runs_nothing),
		TEST(test_w_g14_requests_in_progress_are_bounded),
		TEST(test_answers_that_nobody_reads_are_bounded),
		TEST(test_dump_says_what_there_is_and_no_secret),
		cmocka_unit_test(test_w_g28_shutdown_answers_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
