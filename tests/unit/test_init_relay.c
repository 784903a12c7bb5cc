/* vsockexec's two jobs, over unix sockets and with real children. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "init/relay.h"
#include "init/streams.h"
#include "init/wrapargs.h"

#define PATIENCE_MS 30000

static char dir[] = "/tmp/ferry-relay-XXXXXX";
static struct transport at;

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/ferry-relay-XXXXXX");
	assert_non_null(mkdtemp(dir));
	at = (struct transport){ .kind = TRANSPORT_UNIX };
	(void)snprintf(at.base, sizeof(at.base), "%s/v", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t port = 1; port < 4; port++)
		transport_unlink(&at, port);
	return rmdir(dir);
}

/* Runs a shell script under the relay, as a process of its own. */
static pid_t start_relay(const char *script)
{
	char copy[512];
	static char sh[] = "sh", c[] = "-c";
	char *const argv[] = { sh, c, copy, NULL };
	const struct relay_job job = { at, 1, true, true, -1, 127, argv };
	const pid_t pid = fork();
	int r;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	for (int fd = 3; fd < 1024; fd++)
		(void)close(fd); /* whatever the test was started with */
	(void)snprintf(copy, sizeof(copy), "%s", script);
	r = relay_run(&job, NULL);
	_exit(r < 0 ? 99 : r);
}

static int wait_exit(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int host_listen(uint32_t port)
{
	int fd = -1;

	assert_int_equal(transport_listen(&at, port, 4, &fd, NULL), 0);
	return fd;
}

static void wait_readable(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static int host_accept(int listener)
{
	int fd = -1;

	wait_readable(listener);
	assert_int_equal(transport_accept(&at, listener, &fd, NULL), 0);
	return fd;
}

/* Reads one line (or to the end of file) without its newline. */
static const char *read_line(int fd)
{
	static char line[4096];
	size_t len = 0;
	char c;

	while (len < sizeof(line) - 1) {
		wait_readable(fd);
		if (read(fd, &c, 1) != 1 || c == '\n')
			break;
		line[len++] = c;
	}
	line[len] = '\0';
	return line;
}

static void test_output_and_status_pass(void **state)
{
	int listener = host_listen(1), host;
	const pid_t pid = start_relay("echo out; echo err >&2; exit 7");

	(void)state;
	host = host_accept(listener);
	assert_string_equal(read_line(host), "out");
	assert_string_equal(read_line(host), "err");
	assert_string_equal(read_line(host), "");
	assert_int_equal(wait_exit(pid), 7);
	fd_close(&host);
	fd_close(&listener);
}

/* W-C22: the reference waits for a listener for ever. */
static void test_w_c22_ends_with_its_child_without_a_listener(void **state)
{
	(void)state;
	assert_int_equal(wait_exit(start_relay("echo x; exit 3")), 3);
	assert_int_equal(wait_exit(start_relay("kill -9 $$")), 128 + 9);
	assert_int_equal(wait_exit(start_relay("exec /nonexistent")), 127);
}

/* W-C22: a grandchild keeps the pipe open. */
static void test_w_c22_ends_with_its_child_despite_a_grandchild(void **state)
{
	char pid_file[64], script[256];
	FILE *f;
	int grandchild = 0;

	(void)state;
	(void)snprintf(pid_file, sizeof(pid_file), "%s/pid", dir);
	(void)snprintf(script, sizeof(script), "sleep 60 & echo $! > %s",
		       pid_file);
	assert_int_equal(wait_exit(start_relay(script)), 0);
	f = fopen(pid_file, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &grandchild), 1);
	(void)fclose(f);
	assert_int_equal(kill(grandchild, SIGKILL), 0); /* it still ran */
	(void)unlink(pid_file);
}

/* W-C22: the reference blocks its child after 64 KiB without a listener. */
static void test_w_c22_a_child_never_waits_for_the_host(void **state)
{
	char script[256], done[64];
	pid_t pid;

	(void)state;
	(void)snprintf(done, sizeof(done), "%s/done", dir);
	(void)snprintf(script, sizeof(script),
		       "i=0; while [ $i -lt 20000 ]; do echo line $i of many, "
		       "many; i=$((i+1)); done; : >%s; exec sleep 60",
		       done);
	pid = start_relay(script);
	for (int i = 0; access(done, F_OK) < 0 && i < PATIENCE_MS / 10; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(unlink(done), 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_exit(pid), 128 + SIGTERM);
}

/* Runs the classic job: a connection that stands is handed to it. */
static pid_t start_classic(char *script, int listener, int *host)
{
	static char sh[] = "sh", c[] = "-c";
	char *const argv[] = { sh, c, script, NULL };
	struct relay_job job = { at, 1, true, false, -1, 1, argv };
	pid_t pid;

	assert_int_equal(transport_dial(&at, 1, &job.fd, NULL), 0);
	*host = host_accept(listener);
	pid = fork();
	if (pid == 0) {
		fd_close(host);
		_exit(relay_run(&job, NULL));
	}
	fd_close(&job.fd);
	return pid;
}

/* What was said long before anybody listened is there, from its beginning. */
static void test_a_late_listener_gets_what_was_said(void **state)
{
	int listener, host;
	char done[64], script[256];
	pid_t pid;

	(void)state;
	(void)snprintf(done, sizeof(done), "%s/done", dir);
	(void)snprintf(script, sizeof(script),
		       "echo one; echo two; : >%s; exec sleep 60", done);
	pid = start_relay(script);
	for (int i = 0; access(done, F_OK) < 0 && i < PATIENCE_MS / 10; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(unlink(done), 0);
	listener = host_listen(1);
	host = host_accept(listener);
	assert_string_equal(read_line(host), "one");
	assert_string_equal(read_line(host), "two");
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_exit(pid), 128 + SIGTERM);
	fd_close(&host);
	fd_close(&listener);
}

/* Classic mode begins with a host, and goes on when that one is lost. */
static void test_the_classic_job_calls_again(void **state)
{
	char script[] = "echo one; read x; echo two; exec sleep 60";
	int listener = host_listen(1), host, in[2], before;
	const char *line;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	before = dup(STDIN_FILENO);
	assert_int_equal(dup2(in[0], STDIN_FILENO), STDIN_FILENO);
	pid = start_classic(script, listener, &host);
	assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
	assert_string_equal(read_line(host), "one");
	fd_close(&host);
	assert_int_equal(write(in[1], "\n", 1), 1);
	host = host_accept(listener);
	line = read_line(host);
	if (strcmp(line, "one") == 0) /* again, if it was a moment ago */
		line = read_line(host);
	assert_string_equal(line, "two");
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_exit(pid), 128 + SIGTERM);
	fd_close(&host);
	fd_close(&listener);
	fd_close(&in[0]);
	fd_close(&in[1]);
	fd_close(&before);
}

/* W-C22: a new listener gets whole lines, and no line is lost. */
static void test_w_c22_a_lost_host_loses_no_line(void **state)
{
	int listener = host_listen(1), host;
	unsigned int expected = 0, got;
	const pid_t pid = start_relay(
		"i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); "
		"done; exec sleep 60");

	(void)state;
	for (unsigned int part = 1; part <= 3; part++) {
		host = host_accept(listener);
		while (expected < 100 * part) {
			assert_int_equal(
				sscanf(read_line(host), "line %u", &got), 1);
			assert_true(got <= expected); /* again is fine */
			expected = got + 1 > expected ? got + 1 : expected;
		}
		fd_close(&host);
	}
	host = host_accept(listener);
	assert_int_equal(expected, 300);
	assert_int_equal(kill(pid, SIGINT), 0);
	(void)wait_exit(pid);
	fd_close(&host);
	fd_close(&listener);
}

/* W-C23: the reference looks for a new host only when it has something to
 * say, and a resume waits for its call. */
static void test_w_c23_a_quiet_relay_calls_again(void **state)
{
	int listener = host_listen(1), host;
	const pid_t pid = start_relay("exec sleep 60");

	(void)state;
	for (int i = 0; i < 3; i++) {
		host = host_accept(listener);
		fd_close(&host);
	}
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_exit(pid), 128 + SIGTERM);
	fd_close(&listener);
}

/* W-C28: in the reference the child inherits the end that the relay reads. */
static void test_w_c28_a_child_inherits_no_end_of_the_pipe(void **state)
{
	int listener = host_listen(1), host;
	const pid_t pid = start_relay("exec ls /proc/self/fd");

	(void)state;
	host = host_accept(listener);
	for (int i = 0; i <= 3; i++) /* 3 is the folder itself */
		assert_int_equal(strtol(read_line(host), NULL, 10), i);
	assert_string_equal(read_line(host), "");
	assert_int_equal(wait_exit(pid), 0);
	fd_close(&host);
	fd_close(&listener);
}

static int lowest_free(void)
{
	const int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	assert_int_equal(close(fd), 0);
	return fd;
}

/* W-C28: the reference forgets the socket of a call that failed. */
static void test_w_c28_a_failed_call_leaves_no_socket(void **state)
{
	static const uint32_t ports[3] = { 1, 3, 0 };
	int listener = host_listen(1), before;

	(void)state;
	before = lowest_free();
	assert_true(streams_connect(&at, ports, NULL) < 0);
	assert_int_equal(lowest_free(), before);
	fd_close(&listener);
}

static void test_signals_go_on_to_the_child(void **state)
{
	int listener = host_listen(1), host;
	const pid_t pid =
		start_relay("trap 'echo got; exit 5' TERM; echo ready; "
			    "while :; do sleep 0.05; done");

	(void)state;
	host = host_accept(listener);
	assert_string_equal(read_line(host), "ready");
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_string_equal(read_line(host), "got");
	assert_int_equal(wait_exit(pid), 5);
	fd_close(&host);
	fd_close(&listener);
}

static void test_a_child_dies_with_its_relay(void **state)
{
	int listener = host_listen(1), host;
	const pid_t pid = start_relay("echo $$; exec sleep 60");
	pid_t child;
	int status;

	(void)state;
	host = host_accept(listener);
	child = (pid_t)strtol(read_line(host), NULL, 10);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; kill(child, 0) == 0 && i < PATIENCE_MS / 10; i++) {
		(void)waitpid(child, NULL, WNOHANG);
		(void)poll(NULL, 0, 10);
	}
	assert_int_equal(kill(child, 0), -1);
	fd_close(&host);
	fd_close(&listener);
}

/* Runs streams_connect() and then a script in its place. */
static pid_t start_plain(const uint32_t ports[3], const char *script)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	if (streams_connect(&at, ports, NULL) < 0)
		_exit(98);
	(void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(99);
}

static void test_streams_are_connected(void **state)
{
	static const uint32_t ports[3] = { 1, 1, 2 };
	int one = host_listen(1), two = host_listen(2), a, b;
	const pid_t pid =
		start_plain(ports, "read x; echo got $x; echo err >&2; "
				   "ls -l /proc/self/fd | grep -c socket");

	(void)state;
	a = host_accept(one); /* shared by 0 and 1 */
	b = host_accept(two);
	assert_int_equal(write(a, "hello\n", 6), 6);
	assert_string_equal(read_line(a), "got hello");
	assert_string_equal(read_line(b), "err");
	assert_int_equal(strtol(read_line(a), NULL, 10),
			 2); /* ls has 0 and 2; its 1 is a pipe */
	assert_int_equal(wait_exit(pid), 0);
	fd_close(&a);
	fd_close(&b);
	fd_close(&one);
	fd_close(&two);
}

static void test_no_listener_is_an_error_of_the_plain_job(void **state)
{
	static const uint32_t ports[3] = { 0, 0, 3 };

	(void)state;
	assert_int_equal(wait_exit(start_plain(ports, "exit 0")), 98);
}

static void test_a_connection_that_stands_is_used(void **state)
{
	char script[] = "echo hello; exit 6";
	int listener = host_listen(1), host;
	const pid_t pid = start_classic(script, listener, &host);

	(void)state;
	assert_string_equal(read_line(host), "hello");
	assert_int_equal(wait_exit(pid), 6);
	fd_close(&host);
	fd_close(&listener);
}

static int parse(const char *line, struct wrapargs *ret)
{
	static char text[256];
	static char *argv[32];
	int argc = 0;

	(void)snprintf(text, sizeof(text), "%s", line);
	for (char *w = strtok(text, " "); w && argc < 31; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	return wrapargs_parse(argc, argv, ret, NULL);
}

static void test_arguments(void **state)
{
	struct wrapargs a;

	(void)state;
	assert_int_equal(parse("vsockexec -e 109 /bin/gcs -v4 -e 1", &a), 0);
	assert_false(a.relay);
	assert_int_equal(a.ports[0], 0);
	assert_int_equal(a.ports[2], 109);
	assert_string_equal(a.command[0], "/bin/gcs");
	assert_string_equal(a.command[2], "-e");
	assert_int_equal(parse("vsockexec -r -o1 -i2 -- -x", &a), 0);
	assert_true(a.relay);
	assert_int_equal(wrapargs_relay_port(&a), 1);
	assert_string_equal(a.command[0], "-x");
	assert_int_equal(parse("vsockexec -e 1 p", &a), 0);
	assert_true(wrapargs_only_output(&a));
	assert_int_equal(parse("vsockexec -o 1 p", &a), 0);
	assert_true(wrapargs_only_output(&a));
	assert_int_equal(parse("vsockexec -o 2 -e 2 p", &a), 0);
	assert_true(wrapargs_only_output(&a));
	assert_int_equal(parse("vsockexec -o 1 -e 2 p", &a), 0);
	assert_false(wrapargs_only_output(&a));
	assert_int_equal(parse("vsockexec -i 1 -e 1 p", &a), 0);
	assert_false(wrapargs_only_output(&a));
	assert_int_equal(parse("vsockexec p", &a), 0);
	assert_false(wrapargs_only_output(&a));
	assert_int_equal(parse("vsockexec -re 4294967294 -o 7 p", &a), 0);
	assert_int_equal(wrapargs_relay_port(&a), 4294967294u);
}

/* W-C28: the reference takes any text for a port. */
static void test_w_c28_bad_ports_are_refused(void **state)
{
	static const char *const bad[] = {
		"vsockexec",
		"vsockexec -e",
		"vsockexec -e 1",
		"vsockexec -e 0 p",
		"vsockexec -e abc p",
		"vsockexec -e 1x p",
		"vsockexec -e -1 p",
		"vsockexec -e 4294967295 p",
		"vsockexec -x p",
		"vsockexec -r p",
		"vsockexec -r -i 1 p",
		"vsockexec -e 99999999999999999999 p",
		"vsockexec -e 1 -o 0 p",
		"vsockexec --",
	};
	struct wrapargs a = { .relay = true };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], &a), -EINVAL);
	assert_true(a.relay); /* left alone */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_output_and_status_pass),
		T(test_w_c22_ends_with_its_child_without_a_listener),
		T(test_w_c22_ends_with_its_child_despite_a_grandchild),
		T(test_w_c22_a_child_never_waits_for_the_host),
		T(test_a_late_listener_gets_what_was_said),
		T(test_the_classic_job_calls_again),
		T(test_w_c22_a_lost_host_loses_no_line),
		T(test_w_c23_a_quiet_relay_calls_again),
		T(test_w_c28_a_child_inherits_no_end_of_the_pipe),
		T(test_w_c28_a_failed_call_leaves_no_socket),
		T(test_a_connection_that_stands_is_used),
		T(test_signals_go_on_to_the_child),
		T(test_a_child_dies_with_its_relay),
		T(test_streams_are_connected),
		T(test_no_listener_is_an_error_of_the_plain_job),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_w_c28_bad_ports_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
