/*
 * tests/unit/test_guest_limits.c - what the agent does at its limits, which
 * are members of its tables and made small here
 */
#include "tests/unit/guest_peer.h"

#include "bridge/guest/process.h"

#define LIVE_MAX 4u
#define UNTOLD_MAX 4u
#define TOLD_MAX 2u
#define REQUESTS_FEW 8u

static void make_small(struct agent *a)
{
	a->processes.max_live = LIVE_MAX;
	a->processes.max_untold = UNTOLD_MAX;
	a->processes.max_told = TOLD_MAX;
	a->requests.max = REQUESTS_FEW;
}

static void make_narrow(struct agent *a)
{
	make_small(a);
	a->held_max = 200; /* two exit codes */
}

static int begin(void **state, void (*tune)(struct agent *))
{
	static struct peer p;

	peer_init(&p);
	p.tune = tune;
	peer_start_agent(&p);
	peer_accept(&p);
	peer_negotiate(&p);
	*state = &p;
	return 0;
}

static int set_up(void **state)
{
	return begin(state, make_small);
}

static int set_up_narrow(void **state)
{
	return begin(state, make_narrow);
}

static int tear_down(void **state)
{
	struct peer *p = *state;

	assert_true(peer_agent_lives(p));
	peer_done(p);
	return 0;
}

static uint32_t start(struct peer *p, const char *line, uint32_t *pid)
{
	struct peer_exec x = { .line = line };
	struct peer_frame f;
	const uint32_t r =
		peer_call(p, WIRE_EXECUTE_PROCESS, peer_exec_body(p, &x), &f);

	if (r == HR_OK)
		*pid = (uint32_t)peer_number(&f, "ProcessId");
	return r;
}

/* Asks until the process is over, without waiting for it as a request. */
static void until_gone(uint32_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	for (int i = 0; i < PEER_WAIT_MS && access(path, F_OK) == 0; i++)
		(void)poll(NULL, 0, 1);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* The answer to a wait without a limit of its own, which comes at once. */
static uint32_t wait_code(struct peer *p, uint32_t pid, int64_t *code)
{
	struct peer_frame f;
	const uint32_t r = peer_call(p, WIRE_WAIT_FOR_PROCESS,
				     peer_wait_body(pid, UINT32_MAX), &f);

	*code = r == HR_OK ? peer_number(&f, "ExitCode") : -1;
	return r;
}

/* What is named in the headers, and why it is that much. */
static void test_the_limits_themselves(void **state)
{
	struct processes *all = calloc(1, sizeof(*all));

	(void)state;
	assert_non_null(all);
	processes_init(all, NULL, NULL, NULL, NULL);
	assert_int_equal(all->max_live, PROCESSES_MAX);
	assert_int_equal(all->max_told, PROCESS_TOLD_MAX);
	/* Every pid that the kernel gives by default. */
	assert_int_equal(all->max_untold, PROCESS_EXITS_MAX);
	assert_int_equal(PROCESS_EXITS_MAX, 32768);
	/* Every request may end in an answer that has to be held. */
	assert_true(AGENT_HELD_MAX >= (size_t)REQUESTS_MAX * 1024);
	free(all);
}

static void test_processes_max_one_more_is_refused(void **state)
{
	struct peer *p = *state;
	uint32_t pid[LIVE_MAX + 1];
	int64_t code;

	for (unsigned int i = 0; i < LIVE_MAX; i++)
		assert_int_equal(start(p, "exec sleep 1000", &pid[i]), HR_OK);
	assert_int_equal(start(p, "exit 0", &pid[LIVE_MAX]), HR_FAIL);
	(void)kill((pid_t)pid[0], SIGKILL);
	assert_int_equal(wait_code(p, pid[0], &code), HR_OK);
	assert_int_equal(code, 137);
	assert_int_equal(start(p, "exit 5", &pid[LIVE_MAX]), HR_OK);
	assert_int_equal(wait_code(p, pid[LIVE_MAX], &code), HR_OK);
	assert_int_equal(code, 5);
}

/* A host takes "not found" for an exit with code 0; it must not be told so. */
static void test_process_exits_max_no_code_0(void **state)
{
	enum { EXTRA = 3 };
	struct peer *p = *state;
	uint32_t pid[UNTOLD_MAX + EXTRA];
	int64_t code;

	for (unsigned int i = 0; i < ARRAY_LEN(pid); i++) {
		assert_int_equal(start(p, "exit 9", &pid[i]), HR_OK);
		until_gone(pid[i]);
	}
	/* One request behind: the last exit is in the table by now. */
	assert_int_equal(wait_code(p, pid[EXTRA], &code), HR_OK);
	assert_int_equal(code, 9);
	for (unsigned int i = 0; i < EXTRA; i++)
		assert_int_equal(wait_code(p, pid[i], &code), HR_FAIL);
	for (unsigned int i = EXTRA + 1; i < ARRAY_LEN(pid); i++) {
		assert_int_equal(wait_code(p, pid[i], &code), HR_OK);
		assert_int_equal(code, 9);
	}
	/* A pid that never was a process is still that. */
	assert_int_equal(wait_code(p, 1, &code), HR_ELEMENT_NOT_FOUND);
	assert_int_equal(wait_code(p, pid[EXTRA], &code), HR_ELEMENT_NOT_FOUND);
}

/* The table itself, with pids that are used again. */
static void test_a_pid_that_is_used_again_is_forgotten_no_more(void **state)
{
	struct processes *all = calloc(1, sizeof(*all));
	struct loop *loop = NULL;
	struct process *q = NULL;
	int fds[2];

	(void)state;
	assert_non_null(all);
	assert_int_equal(loop_new(&loop, NULL), 0);
	processes_init(all, loop, NULL, NULL, NULL);
	all->forgotten[77 / 8] |= 1u << 77 % 8;
	assert_true(process_forgotten(all, 77));
	assert_true(process_forgotten(all, 77 + PROCESS_FORGOTTEN_BITS));
	assert_false(process_forgotten(all, 78));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0); /* never becomes readable */
	assert_int_equal(process_adopt(all, 77, fds[0], &q, NULL), 0);
	assert_false(process_forgotten(all, 77));
	processes_done(all);
	fd_close(&fds[1]);
	loop_free(loop);
	free(all);
}

static void test_one_request_too_many_is_refused(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint64_t id[REQUESTS_FEW];
	uint32_t pid = 0;
	int64_t code;

	assert_int_equal(start(p, "exec sleep 1000", &pid), HR_OK);
	for (unsigned int i = 0; i < REQUESTS_FEW; i++)
		id[i] = peer_send(p, WIRE_WAIT_FOR_PROCESS,
				  peer_wait_body(pid, UINT32_MAX));
	assert_int_equal(wait_code(p, pid, &code), HR_FAIL);
	(void)kill((pid_t)pid, SIGTERM);
	for (unsigned int i = 0; i < REQUESTS_FEW; i++) {
		peer_answer(p, id[i], &f);
		assert_int_equal(peer_number(&f, "ExitCode"), 143);
	}
}

/*
 * While no host is there, answers up to the limit are held; a wait that found
 * no room is not lost: its code is told to who asks again.
 */
static void test_agent_held_max_can_be_asked_for_again(void **state)
{
	enum { N = 3 };
	struct peer *p = *state;
	struct peer_frame f;
	char fifo[96], line[160];
	uint32_t pid[N] = { 0 };
	unsigned int held = 0;
	int64_t code;

	(void)snprintf(fifo, sizeof(fifo), "%s/gate", p->dir);
	(void)snprintf(line, sizeof(line),
		       "until [ -e %s ]; do sleep 0.02; done; exit 6", fifo);
	for (int i = 0; i < N; i++) {
		assert_int_equal(start(p, line, &pid[i]), HR_OK);
		(void)peer_send(p, WIRE_WAIT_FOR_PROCESS,
				peer_wait_body(pid[i], UINT32_MAX));
	}
	/* The requests are read: one that is answered came behind them. */
	assert_int_equal(wait_code(p, 1, &code), HR_ELEMENT_NOT_FOUND);
	fd_close(&p->listener);
	transport_unlink(&p->transport, WIRE_PORT_BRIDGE);
	peer_drop(p, false);
	fd_close(&(int){ open(fifo, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) });
	for (int i = 0; i < N; i++)
		until_gone(pid[i]);
	assert_int_equal(transport_listen(&p->transport, WIRE_PORT_BRIDGE, 64,
					  &p->listener, &(struct err){ 0 }),
			 0);
	peer_accept(p);
	p->next_id = 100;
	peer_negotiate(p);
	while (peer_ready(p->fd, POLLIN, 200)) {
		assert_true(peer_recv(p, &f));
		assert_int_equal(peer_number(&f, "ExitCode"), 6);
		held++;
	}
	assert_true(held < N); /* there was room for fewer */
	for (unsigned int i = held; i < N; i++) {
		assert_int_equal(wait_code(p, pid[i], &code), HR_OK);
		assert_int_equal(code, 6);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_limits_themselves),
		TEST(test_processes_max_one_more_is_refused),
		TEST(test_process_exits_max_no_code_0),
		cmocka_unit_test(
			test_a_pid_that_is_used_again_is_forgotten_no_more),
		TEST(test_one_request_too_many_is_refused),
		cmocka_unit_test_setup_teardown(
			test_agent_held_max_can_be_asked_for_again,
			set_up_narrow, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
