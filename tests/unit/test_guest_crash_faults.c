/*
 * tests/unit/test_guest_crash_faults.c - the agent is killed, and of the calls
 * by which the next one takes over the n-th fails: what there was is there
 *
 * In make check only every STRIDE-th call fails, with FERRY_SOAK=1 each.
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/crash_fixture.h"
#include "tests/unit/faults.h"

#define STRIDE 5
#define CALLS_MAX 5000

extern const char __executable_start[]; /* NOLINT: the linker's name */

static struct peer peer;
static char failed[sizeof(faults->name)]; /* the function that did */
static size_t failed_at;		  /* as objdump and addr2line have it */

static void begin(struct peer *p)
{
	crash_begin(p);
	faults->spared = p->agent;
}

static int set_up(void **state UNUSED)
{
	faults_arm(0);
	container_begin = begin;
	container_start_agent(&peer);
	peer.older = true;
	return 0;
}

static int tear_down(void **state UNUSED)
{
	faults_arm(0);
	crash_done(&peer);
	return 0;
}

static int count(void **state UNUSED)
{
	faults_init();
	return 0;
}

/* Return: the agent agreed, and did not leave before */
static bool greeted(void)
{
	static uint8_t frame[1024];
	static struct peer_frame f;
	const uint64_t id = peer.next_id++;
	const size_t n = peer_frame_put(
		frame, WIRE_NEGOTIATE_PROTOCOL, id,
		"{\"ContainerId\":\"" WIRE_NULL_ID "\",\"ActivityId\":"
		"\"" PEER_ACTIVITY "\",\"MinimumVersion\":4,"
		"\"MaximumVersion\":4}");

	peer_waiting[id] = true;
	if (fd_write_full(peer.fd, frame, n) < 0)
		return false;
	return peer_recv(&peer, &f) && f.id == id && peer_result(&f) == HR_OK;
}

/* The agent is killed, and the @n-th call from then on fails. Return: one did,
 * before the host was met */
static bool killed_with_a_fault(int64_t n)
{
	bool hit;

	(void)kill(crash->agent, SIGSTOP);
	faults_arm(n);
	crash_kill(&peer);
	peer_accept(&peer);
	hit = faults->name[0] != '\0';
	(void)snprintf(failed, sizeof(failed), "%s", faults->name);
	failed_at = faults->where - (uintptr_t)__executable_start;
	faults_arm(0);
	while (!greeted()) {
		fd_close(&peer.fd);
		peer_accept(&peer);
	}
	return hit;
}

static bool is_called(const void *line)
{
	const char *calls = container_steered(&peer, "calls");

	return calls && strstr(calls, line) != NULL;
}

/* A process whose runtime waits when it is @line. Return: the request */
static uint64_t begun(struct run *r, const char *file, const char *line)
{
	uint64_t id;

	container_steer(&peer, file, "");
	id = peer_send(&peer, WIRE_EXECUTE_PROCESS,
		       container_execute_body(&peer, r));
	crash_until(is_called, line);
	return id;
}

/* The runtime goes on: the process ends with @code. */
static void goes_on(const struct run *r, uint64_t id, const char *file,
		    uint32_t code)
{
	static struct peer_frame f;

	if (!peer_waiting[id])
		fail_msg("%s, %s at 0x%zx: refused", file, failed, failed_at);
	container_steer(&peer, file, NULL);
	while (peer_waiting[id])
		assert_true(peer_recv(&peer, &f));
	if (peer_result(&f) != HR_OK)
		fail_msg("%s, %s at 0x%zx: %s", file, failed, failed_at,
			 f.body);
	assert_int_equal(container_wait(&peer, r->container,
					(uint32_t)peer_number(&f, "ProcessId")),
			 code);
}

/* A process of the UVM with a wait, a container with an exec that the runtime is
 * starting, and one that it is letting go. Return: false: there is no @at-th call */
static bool all_is_taken_over(int64_t at)
{
	const struct wish w = { .id = "c", .line = "exec sleep 1000" };
	const struct wish w2 = { .id = "d", .line = "exit 4" };
	struct run init = { .container = "c" }, init2 = { .container = "d" };
	struct run more = { .container = "c", .line = "exit 3" };
	struct peer_frame f;
	uint64_t id, exec, start;
	uint32_t pid;
	bool hit;

	container_create(&peer, &w);
	container_run(&peer, &init);
	pid = peer_run(&peer, "exec sleep 1000");
	id = peer_send(&peer, WIRE_WAIT_FOR_PROCESS,
		       peer_wait_body(pid, UINT32_MAX));
	exec = begun(&more, "wait-exec", "exec c\n");
	container_create(&peer, &w2);
	start = begun(&init2, "wait-start", "start d\n");
	/* Behind this the wait was read. */
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	hit = killed_with_a_fault(at);
	if (peer_call(&peer, WIRE_SIGNAL_PROCESS,
		      peer_signal_body(pid, SIGTERM), &f) != HR_OK)
		fail_msg("call %" PRId64 ": %s", at, f.body);
	while (peer_waiting[id])
		assert_true(peer_recv(&peer, &f));
	if (peer_number(&f, "ExitCode") != 128 + SIGTERM)
		fail_msg("call %" PRId64 ", %s at 0x%zx: %s", at, failed,
			 failed_at, f.body);
	goes_on(&more, exec, "wait-exec", 3);
	goes_on(&init2, start, "wait-start", 4);
	assert_string_equal(peer_notice(&peer, "d"), "UnexpectedExit");
	container_delete(&peer, "d");
	assert_int_equal(container_signal(&peer, "c", init.x.pid, SIGKILL),
			 HR_OK);
	assert_int_equal(container_wait(&peer, "c", init.x.pid), 137);
	assert_string_equal(peer_notice(&peer, "c"), "ForcedExit");
	container_delete(&peer, "c");
	return hit;
}

/* Each time from the start: a takeover of more makes more calls. */
static void test_every_call_of_a_takeover_fails_once(void **state)
{
	const char *soak = getenv("FERRY_SOAK");
	const int stride = soak && strcmp(soak, "1") == 0 ? 1 : STRIDE;
	unsigned int n = 0;

	for (int64_t at = 1; all_is_taken_over(at); at += stride, n++) {
		assert_true(at < CALLS_MAX);
		(void)tear_down(state);
		(void)set_up(state);
	}
	assert_true(n > 1);
	print_message("# %u calls failed\n", n);
}

/* Return: is it there? A connection that ends is replaced. */
static bool asked(uint64_t id)
{
	static uint8_t frame[1024];
	static struct peer_frame f;
	const size_t n = peer_frame_put(frame, WIRE_DUMP_STACKS, id, "{}");

	peer_waiting[id] = true;
	(void)fd_write_full(peer.fd, frame, n);
	while (peer_waiting[id] && peer_recv(&peer, &f))
		;
	if (!peer_waiting[id])
		return true;
	fd_close(&peer.fd);
	peer_accept(&peer);
	faults_arm(0);
	while (!greeted()) {
		fd_close(&peer.fd);
		peer_accept(&peer);
	}
	return false;
}

/* An answer that finds no memory is given by the next agent. */
static void test_every_place_of_a_request_fails_once(void **state UNUSED)
{
	static struct peer_frame f;
	unsigned int left = 0;

	(void)asked(peer.next_id++); /* these places are known now */
	for (size_t i = 0; i < FAULT_PLACES; i++) {
		const unsigned int started = crash->started;
		const uint64_t id = peer.next_id;

		if (faults->places[i].at == 0)
			continue;
		peer.next_id++;
		faults_arm_at(1, faults->places[i].at);
		(void)asked(id);
		faults_arm(0);
		left += crash->started - started;
		while (crash->started != started && peer_waiting[id])
			assert_true(peer_recv(&peer, &f));
	}
	print_message("# %u agents left an answer to the next\n", left);
	assert_int_not_equal(left, 0);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_call_of_a_takeover_fails_once),
		TEST(test_every_place_of_a_request_fails_once),
	};

	return container_main(argc, argv, tests, ARRAY_LEN(tests), count);
}
