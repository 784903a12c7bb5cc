/*
 * Standard input and output of containers, the weaknesses of the reference's
 * among them. Ids: shared specification bridge.md 8.2.
 */
#include "tests/unit/container_peer.h"

static struct peer peer;

static int set_up(void **state UNUSED)
{
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	peer_done(&peer);
	return 0;
}

/* The host is gone with all its sockets. */
static void lose_host(struct run *r, bool fresh)
{
	peer_drop(&peer, fresh);
	for (int i = 0; i < 3; i++)
		fd_close(&r->x.fd[i]);
}

/* The streams' ports are listened on again. */
static void listen_again(struct run *r)
{
	struct err e = { 0 };

	for (int i = 0; i < 3; i++) {
		if (r->x.want[i])
			assert_int_equal(
				transport_listen(&peer.transport, r->x.port[i],
						 1, &r->x.listener[i], &e),
				0);
	}
}

static void host_is_back(void)
{
	peer_accept(&peer);
	peer_negotiate(&peer);
}

static void started(struct run *r, const char *line, bool terminal)
{
	const struct wish w = { .id = "one",
				.line = line,
				.terminal = terminal };

	r->container = "one";
	container_create(&peer, &w);
	container_run(&peer, r);
}

static void wait_for_end(uint32_t pid)
{
	for (int i = 0; i < 3000 && kill((pid_t)pid, 0) == 0; i++)
		(void)usleep(10000);
	assert_int_equal(kill((pid_t)pid, 0), -1);
}

/* Output of a process that goes on while no host is there, and its input. */
static void streams_go_on(bool terminal, bool fresh)
{
	struct run r = { .x.want = { true, true, false } };
	const char *end = terminal ? "two\r\n" : "two\n";
	char buf[256];

	started(&r, "read a; echo $a; read b; echo $b; read c; exit 3",
		terminal);
	assert_int_equal(fd_write_full(r.x.fd[0], "one\n", 4), 0);
	assert_true(peer_read(r.x.fd[1], buf, 4) == 4);
	lose_host(&r, fresh);
	listen_again(&r);
	host_is_back();
	peer_exec_streams(&peer, &r.x);
	assert_int_equal(fd_write_full(r.x.fd[0], "two\n", 4), 0);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n", 1), 0);
	peer.next_id += 100;
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 3);
	assert_non_null(strstr(peer_output(r.x.fd[1]), end));
	peer_exec_done(&r.x);
}

static void test_w_s4_stdin_is_dialled_again(void **state UNUSED)
{
	streams_go_on(false, true);
}

static void test_a_terminal_is_dialled_again(void **state UNUSED)
{
	streams_go_on(true, false);
}

/* Last words, said while nobody was there. */
static void test_w_s1_last_words_arrive(void **state UNUSED)
{
	struct run r = { .x.want = { true, true, true } };

	started(&r, "read a; read b; echo last words; echo err >&2; exit 4",
		false);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n\n", 2), 0);
	(void)usleep(1000);
	lose_host(&r, true);
	wait_for_end(r.x.pid);
	listen_again(&r);
	host_is_back();
	/* Asked for its exit, it tells at once. */
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 4);
	for (int i = 1; i < 3; i++)
		r.x.fd[i] = peer_take(&peer, r.x.listener[i]);
	(void)peer_output(r.x.fd[1]); /* the end of the stream at least */
	(void)peer_output(r.x.fd[2]);
	for (int i = 0; i < 3; i++)
		fd_close(&r.x.listener[i]);
	peer_exec_done(&r.x);
}

/* While the host is away the process waits for its pipe, and nothing that it
 * writes meanwhile is lost, or there twice. */
static void test_w_s2_nothing_twice(void **state UNUSED)
{
	struct run r = { .x.want = { true, true, false } };
	static char out[300000];
	size_t n;

	started(&r,
		"read a; i=100000; while [ $i -lt 130000 ]; do echo $i; "
		"i=$((i+1)); done",
		false);
	peer_drop(&peer, false);
	(void)shutdown(r.x.fd[1], SHUT_RDWR);
	fd_close(&r.x.fd[1]);
	(void)usleep(400000); /* it is judged to be lost with the host */
	assert_int_equal(fd_write_full(r.x.fd[0], "\n", 1), 0);
	listen_again(&r);
	host_is_back();
	fd_close(&r.x.listener[0]);
	r.x.fd[1] = peer_take(&peer, r.x.listener[1]);
	n = peer_read(r.x.fd[1], out, sizeof(out));
	assert_int_equal(n, 30000 * 7);
	for (size_t i = 0; i < 30000; i++)
		assert_int_equal(strtol(out + 7 * i, NULL, 10),
				 100000 + (long)i);
	peer_exec_done(&r.x);
	fd_close(&r.x.listener[1]);
}

/* The host does not want the output any more: the process is told so, and its
 * exit is. */
static void test_w_s3_a_closed_stream_holds_up_nothing(void **state UNUSED)
{
	struct run r = { .x.want = { true, true, false } };

	started(&r, "read a; trap '' PIPE; while echo x; do :; done; exit 6",
		false);
	fd_close(&r.x.fd[1]);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n", 1), 0);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 6);
	peer_exec_done(&r.x);
}

/*
 * A dial that the source of a move answered in its last instant: here the
 * connection stands, there nobody knows it, and the host's reset is the first
 * word on it. That is no host that wants no more.
 */
static void test_a_half_open_stream_is_dialled_again(void **state UNUSED)
{
	struct run r = { .x.want = { true, true, false } };

	started(&r, "read a; echo one; read b; echo two; exit 5", false);
	lose_host(&r, true);
	listen_again(&r);
	host_is_back();
	for (int i = 0; i < 2; i++) {
		r.x.fd[i] = peer_take(&peer, r.x.listener[i]);
		fd_close(&r.x.fd[i]);
		r.x.fd[i] = peer_take(&peer, r.x.listener[i]);
		fd_close(&r.x.listener[i]);
	}
	assert_int_equal(fd_write_full(r.x.fd[0], "\n\n", 2), 0);
	peer.next_id += 100;
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 5);
	assert_string_equal(peer_output(r.x.fd[1]), "one\ntwo\n");
	peer_exec_done(&r.x);
}

static void test_w_s5_streams_go_on_after_a_shutdown(void **state UNUSED)
{
	struct run r = { .x.want = { true, true, false } };
	char buf[8];

	started(&r, "trap 'echo no' TERM; echo up; read a; read a; echo bye",
		false);
	assert_true(peer_read(r.x.fd[1], buf, 3) == 3);
	assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_GRACEFUL, "one"),
			 HR_OK);
	lose_host(&r, false);
	listen_again(&r);
	host_is_back();
	peer_exec_streams(&peer, &r.x);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n\n", 2), 0);
	assert_non_null(strstr(peer_output(r.x.fd[1]), "bye\n"));
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 0);
	peer_exec_done(&r.x);
}

/* A host that does not read delays the exit for a while, and no longer. */
static void test_w_s7_the_drain_is_bounded(void **state UNUSED)
{
	struct run r = { .x.want = { false, true, false } };

	started(&r, "head -c 8000000 /dev/zero & sleep 0.2; exit 2", false);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 2);
	peer_exec_done(&r.x);
}

/* A socket that is reset, with bytes in it that nobody has read, is a loss as
 * any other. */
static void test_w_s9_any_error_is_a_loss(void **state UNUSED)
{
	struct run r = { .x.want = { true, true, false } };

	started(&r, "echo unread; read a; echo read; read a; exit 1", false);
	assert_true(peer_ready(r.x.fd[1], POLLIN, PEER_WAIT_MS));
	lose_host(&r, false);
	listen_again(&r);
	host_is_back();
	peer_exec_streams(&peer, &r.x);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n\n", 2), 0);
	assert_non_null(strstr(peer_output(r.x.fd[1]), "read\n"));
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 1);
	peer_exec_done(&r.x);
}

/* A host that will send nothing on an output still reads it. */
static void test_half_closed_outputs_go_on(void **state UNUSED)
{
	struct run r = { .x.want = { true, true, false } };

	started(&r, "read a; echo one; read a; echo two; exit 2", false);
	assert_int_equal(shutdown(r.x.fd[1], SHUT_WR), 0);
	(void)usleep(20000);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n\n", 2), 0);
	assert_string_equal(peer_output(r.x.fd[1]), "one\ntwo\n");
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 2);
	peer_exec_done(&r.x);
}

/* Nobody is there any more for an exec's streams: it lives on undisturbed. */
static void test_execs_are_not_dialled_again(void **state UNUSED)
{
	struct run init = { 0 };
	struct run r = { .container = "one",
			 .line = "trap '' PIPE; read a; echo x; echo y; exit 9",
			 .x.want = { true, true, false } };

	started(&init, "sleep 1000", false);
	container_run(&peer, &r);
	lose_host(&r, false);
	host_is_back();
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 9);
	peer_exec_done(&init.x);
}

/* The log takes each byte once, whoever takes the stream. */
static void test_w_s6_the_log_has_it_once(void **state UNUSED)
{
	const struct wish w = {
		.id = "one",
		.line = "read a; echo before; read a; echo behind",
		.annotations =
			"\"io.kubernetes.cri.container-type\":\"sandbox\","
			"\"io.kubernetes.cri.sandbox-id\":\"one\","
			"\"io.microsoft.container.lcow.tee-log-path\":"
			"\"a/b.log\"",
	};
	struct run r = { .container = "one", .x.want = { true, true, false } };
	char buf[8];

	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n", 1), 0);
	assert_int_equal(peer_read(r.x.fd[1], buf, 7), 7);
	lose_host(&r, false);
	listen_again(&r);
	host_is_back();
	peer_exec_streams(&peer, &r.x);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n", 1), 0);
	assert_non_null(strstr(peer_output(r.x.fd[1]), "behind\n"));
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 0);
	assert_string_equal(fake_text("/run/gcs/c/one/logs/a/b.log"),
			    "before\nbehind\n");
	peer_exec_done(&r.x);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_w_s1_last_words_arrive),
		T(test_w_s2_nothing_twice),
		T(test_w_s3_a_closed_stream_holds_up_nothing),
		T(test_w_s4_stdin_is_dialled_again),
		T(test_a_terminal_is_dialled_again),
		T(test_a_half_open_stream_is_dialled_again),
		T(test_w_s5_streams_go_on_after_a_shutdown),
		T(test_w_s6_the_log_has_it_once),
		T(test_w_s7_the_drain_is_bounded),
		T(test_w_s9_any_error_is_a_loss),
		T(test_half_closed_outputs_go_on),
		T(test_execs_are_not_dialled_again),
	};
#undef T

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
