/*
 * The host's end of the bridge with ferry's own agent: the program build/
 * guest/bin/gcs over unix sockets, no VM. What it runs runs on this host, so
 * only what is harmless there is asked of it.
 */
#include "tests/unit/process_fixture.h"
#include "tests/unit/real_agent.h"

#include <sys/resource.h>
#include <sys/un.h>

#define OUT_MAX 4096

/* An agent, and the client that it dials. */
struct agent {
	struct fixture *x;
	pid_t pid;
};

/* One process of the agent, with what it wrote. */
struct run {
	struct host_process *process;
	uint64_t bytes;
	uint64_t hash;
	size_t len;
	struct host_process_end end;
	struct host_failure failure;
	int in;
	int out;
	int started;
	int ended;
	char text[OUT_MAX];
	bool out_ended;
};

static int setup_agent(void **state)
{
	struct agent *a = calloc(1, sizeof(*a));
	void *bare;

	if (!a)
		return -1;
	*state = a;
	if (setup_bare(&bare) < 0)
		return -1;
	a->x = bare;
	make_client(a->x, (struct host_client_config){ 0 });
	a->pid = agent_start(a->x->fake.dir);
	FAKE_UNTIL(&a->x->fake, a->x->ready == 1);
	return 0;
}

static int teardown_agent(void **state)
{
	struct agent *a = *state;
	void *bare = a->x;

	end_process(a->pid);
	(void)teardown(&bare);
	free(a);
	return 0;
}

static void run_started(void *ctx, uint32_t pid)
{
	struct run *r = ctx;

	assert_true(pid > 0);
	r->started++;
}

static void run_ended(void *ctx, const struct host_process_end *end)
{
	struct run *r = ctx;

	r->ended++;
	r->end = *end;
	if (end->failure)
		r->failure = *end->failure;
	host_process_free(mem_take(&r->process));
}

static void run_start(struct agent *a, struct run *r, const char *command,
		      bool tty)
{
	const char *argv[] = { "/bin/sh", "-c", command };
	struct msg_pair env = { "PATH", "/usr/bin:/bin" };
	const struct msg_process_parameters parameters = {
		.command_args = { argv, 3 },
		.environment = { &env, 1 },
		.working_directory = "/",
		.emulate_console = tty,
	};
	struct host_process_config config = {
		.parameters = &parameters,
		.started = run_started,
		.ended = run_ended,
		.ctx = r,
	};
	struct err e = { 0 };
	int in[2];
	int out[2];

	*r = (struct run){ 0 };
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	config.fd[MSG_STDIN] = in[0];
	config.fd[MSG_STDOUT] = out[1];
	config.fd[MSG_STDERR] = -1;
	if (host_process_start(a->x->client, &config, &r->process, &e) < 0)
		fail_msg("%s", e.text);
	fd_close(&in[0]);
	fd_close(&out[1]);
	assert_int_equal(fd_nonblock(in[1], true), 0);
	assert_int_equal(fd_nonblock(out[0], true), 0);
	r->in = in[1];
	r->out = out[0];
}

static uint64_t hash_more(uint64_t h, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * 0x100000001b3u;
	return h;
}

/* Reads what has come; keeps the beginning of it. */
static bool run_read(struct run *r)
{
	char buf[65536];
	ssize_t n;

	while (!r->out_ended && (n = read(r->out, buf, sizeof(buf))) >= 0) {
		size_t keep = (size_t)n;

		r->out_ended = n == 0;
		r->bytes += (uint64_t)n;
		r->hash = hash_more(r->hash, buf, (size_t)n);
		if (keep > sizeof(r->text) - 1 - r->len)
			keep = sizeof(r->text) - 1 - r->len;
		memcpy(r->text + r->len, buf, keep);
		r->len += keep;
	}
	return r->out_ended;
}

static void run_finish(struct agent *a, struct run *r)
{
	fd_close(&r->in);
	FAKE_UNTIL(&a->x->fake, run_read(r) && r->ended);
	fd_close(&r->out);
	if (!r->end.exited)
		fail_msg("%s", r->failure.err.text);
}

static void test_output_and_exit_code(void **state)
{
	struct agent *a = *state;
	struct run r;

	run_start(a, &r, "echo hello; read x; echo \"got $x\"; exit 7", false);
	assert_int_equal(write(r.in, "line\n", 5), 5);
	run_finish(a, &r);
	assert_string_equal(r.text, "hello\ngot line\n");
	assert_int_equal(r.end.code, 7);
	assert_false(r.end.output_cut);
}

static void test_end_of_input(void **state)
{
	struct agent *a = *state;
	struct run r;

	run_start(a, &r, "wc -c", false);
	assert_int_equal(write(r.in, "12345", 5), 5);
	run_finish(a, &r);
	assert_int_equal(atoi(r.text), 5);
}

static void test_program_that_does_not_exist(void **state)
{
	const char *argv[] = { "/no/such/program" };
	const struct msg_process_parameters parameters = {
		.command_args = { argv, 1 },
	};
	struct agent *a = *state;
	struct run r = { 0 };
	struct host_process_config config = {
		.parameters = &parameters,
		.fd = { -1, -1, -1 },
		.ended = run_ended,
		.ctx = &r,
	};

	assert_int_equal(
		host_process_start(a->x->client, &config, &r.process, NULL), 0);
	FAKE_UNTIL(&a->x->fake, r.ended);
	assert_false(r.end.started);
	assert_int_equal(r.failure.kind, HOST_FAIL_REFUSED);
}

static void test_terminal_and_its_size(void **state)
{
	struct agent *a = *state;
	struct run r;

	run_start(a, &r, "tty; read x; stty size; read x; exit 3", true);
	FAKE_UNTIL(&a->x->fake, (run_read(&r), strchr(r.text, '\n')));
	assert_non_null(strstr(r.text, "/dev/pts/"));
	assert_int_equal(host_process_resize(r.process, 33, 111, NULL, NULL),
			 0);
	assert_int_equal(write(r.in, "\n", 1), 1);
	FAKE_UNTIL(&a->x->fake, (run_read(&r), strstr(r.text, "33 111")));
	assert_int_equal(write(r.in, "\n", 1), 1);
	FAKE_UNTIL(&a->x->fake, run_read(&r) && r.ended);
	assert_int_equal(r.end.code, 3);
	fd_close(&r.in);
	fd_close(&r.out);
}

static void test_signal(void **state)
{
	struct agent *a = *state;
	struct run r;

	run_start(a, &r, "echo up; exec sleep 600", false);
	FAKE_UNTIL(&a->x->fake, (run_read(&r), strstr(r.text, "up")));
	assert_int_equal(host_process_signal(r.process, SIGTERM, NULL, NULL),
			 0);
	run_finish(a, &r);
	assert_int_equal(r.end.code, 128 + SIGTERM);
}

/* 64 MiB there and back, with equal hashes. */
static void test_bulk(void **state)
{
	static const size_t total = (size_t)64 * 1024 * 1024;
	struct agent *a = *state;
	uint64_t hash = 0;
	size_t sent = 0;
	char buf[32768];
	struct run r;

	run_start(a, &r, "exec cat", false);
	while (sent < total) {
		ssize_t n;

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (char)((sent + i) * 2654435761u >> 13);
		n = write(r.in, buf, sizeof(buf));
		if (n > 0) {
			hash = hash_more(hash, buf, (size_t)n);
			sent += (size_t)n;
		}
		(void)run_read(&r);
		assert_true(loop_turn(a->x->fake.loop, n > 0 ? 0 : 5, NULL) >=
			    0);
	}
	run_finish(a, &r);
	assert_int_equal(r.bytes, sent);
	assert_true(r.hash == hash);
	assert_int_equal(r.end.code, 0);
}

static void test_two_hundred_processes(void **state)
{
	enum { N = 200 };
	static struct run r[N];
	struct agent *a = *state;
	char command[64];

	for (int i = 0; i < N; i++) {
		(void)snprintf(command, sizeof(command),
			       "read x; echo %d; exit %d", i, i);
		run_start(a, &r[i], command, false);
	}
	for (int i = 0; i < N; i++)
		FAKE_UNTIL(&a->x->fake, r[i].started);
	for (int i = 0; i < N; i++)
		assert_int_equal(write(r[i].in, "\n", 1), 1);
	for (int i = 0; i < N; i++) {
		run_finish(a, &r[i]);
		assert_int_equal(r[i].end.code, i);
		assert_int_equal(atoi(r[i].text), i);
	}
}

/* The client is let go and another takes over: the agent dials again. */
static void test_another_host_takes_over(void **state)
{
	struct agent *a = *state;
	struct run r;

	for (int i = 0; i < 5; i++) {
		host_client_free(mem_take(&a->x->client));
		a->x->ready = 0;
		make_client(a->x, (struct host_client_config){ 0 });
		FAKE_UNTIL(&a->x->fake, a->x->ready == 1);
		run_start(a, &r, "exit 5", false);
		run_finish(a, &r);
		assert_int_equal(r.end.code, 5);
	}
}

/* Shuts the client's bridge connection down, as a dying transport would. */
static void cut(const struct agent *a)
{
	char path[64];
	int cuts = 0;

	(void)snprintf(path, sizeof(path), "%s/v_%u", a->x->fake.dir,
		       WIRE_PORT_BRIDGE);
	for (int fd = 3; fd < 4096; fd++) {
		struct sockaddr_un at = { 0 };
		socklen_t len = sizeof(at);

		if (getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
		    at.sun_family == AF_UNIX && strcmp(at.sun_path, path) == 0)
			cuts += shutdown(fd, SHUT_RDWR) == 0;
	}
	assert_int_equal(cuts, 1);
}

static void test_processes_outlive_ten_losses(void **state)
{
	enum { N = 20 };
	static struct run r[N];
	struct agent *a = *state;

	for (int i = 0; i < N; i++)
		run_start(a, &r[i], "read x; echo \"$x\"; exit 6", false);
	for (int i = 0; i < N; i++)
		FAKE_UNTIL(&a->x->fake, r[i].started);
	for (int round = 1; round <= 10; round++) {
		cut(a);
		FAKE_UNTIL(&a->x->fake, a->x->lost == round);
		FAKE_UNTIL(&a->x->fake, a->x->ready == round + 1);
		/* One ends now, another maybe while the bridge is away. */
		assert_int_equal(write(r[2 * round - 2].in, "a\n", 2), 2);
		run_finish(a, &r[2 * round - 2]);
		assert_int_equal(write(r[2 * round - 1].in, "b\n", 2), 2);
	}
	for (int i = 0; i < N; i++) {
		if (i % 2)
			run_finish(a, &r[i]);
		assert_int_equal(r[i].end.code, 6);
		assert_string_equal(r[i].text, i % 2 ? "b\n" : "a\n");
	}
}

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* then fewer fit */
	}
}

#define AG(name)                                                               \
	cmocka_unit_test_setup_teardown(name, setup_agent, teardown_agent)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AG(test_output_and_exit_code),
		AG(test_end_of_input),
		AG(test_program_that_does_not_exist),
		AG(test_terminal_and_its_size),
		AG(test_signal),
		AG(test_bulk),
		AG(test_two_hundred_processes),
		AG(test_processes_outlive_ten_losses),
		AG(test_another_host_takes_over),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (access(AGENT, X_OK) < 0) {
		printf("ok 1 - host agent # SKIP %s is not built\n", AGENT);
		return 0;
	}
	raise_limit();
	return cmocka_run_group_tests_name("host agent", tests, NULL, NULL);
}
