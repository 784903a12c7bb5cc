/* bridge/host/local: what the caller gave is used and left as it was */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

#include "bridge/host/local.h"
#include "bridge/io/fd.h"

/* A terminal without echo and line editing; both ends. */
static void open_terminal(int *master, int *slave)
{
	struct termios raw;

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*master >= 0);
	assert_int_equal(grantpt(*master), 0);
	assert_int_equal(unlockpt(*master), 0);
	*slave = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*slave >= 0);
	assert_int_equal(tcgetattr(*slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(*slave, TCSANOW, &raw), 0);
}

static struct local open_local(int fd, bool writing)
{
	struct local l;
	struct err e = { 0 };

	if (local_open(fd, writing, &l, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(l.fd != fd);
	assert_true(fcntl(l.fd, F_GETFD) & FD_CLOEXEC);
	return l;
}

static bool blocks(int fd)
{
	return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void test_pipe(void **state)
{
	char buf[8];
	struct local in;
	struct local out;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	in = open_local(p[0], false);
	out = open_local(p[1], true);
	assert_true(in.pipe && out.pipe);
	assert_false(in.careful || out.careful);
	assert_int_equal(local_read(&in, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(local_write(&out, "abc", 3), 3);
	assert_int_equal(local_read(&in, buf, sizeof(buf)), 3);
	assert_true(blocks(p[0]) && blocks(p[1]));
	local_close(&in);
	fd_close(&p[0]);
	assert_int_equal(local_write(&out, "abc", 3), -EPIPE);
	local_close(&out);
	local_close(&out);
	fd_close(&p[1]);
}

static void test_terminal(void **state)
{
	char buf[8] = { 0 };
	struct pollfd ready;
	struct local in;
	int master;
	int slave;

	(void)state;
	open_terminal(&master, &slave);
	in = open_local(slave, false);
	assert_false(in.careful);
	assert_int_equal(local_read(&in, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(write(master, "key", 3), 3);
	ready = (struct pollfd){ .fd = in.fd, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_int_equal(local_read(&in, buf, sizeof(buf)), 3);
	assert_string_equal(buf, "key");
	assert_true(blocks(slave));
	local_close(&in);
	fd_close(&slave);
	fd_close(&master);
}

/* Opened again, it would be another terminal. */
static void test_terminal_master_is_used_with_care(void **state)
{
	static const char bytes[4096];
	char buf[8192];
	struct pollfd ready;
	struct local out;
	int master;
	int slave;

	(void)state;
	open_terminal(&master, &slave);
	out = open_local(master, true);
	assert_true(out.careful);
	assert_true(blocks(master));
	/* A part of it, so that it does not block. */
	assert_true(local_write(&out, bytes, sizeof(bytes)) <
		    (ssize_t)sizeof(bytes));
	ready = (struct pollfd){ .fd = slave, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_true(read(slave, buf, sizeof(buf)) > 0);
	local_close(&out);
	fd_close(&slave);
	fd_close(&master);
}

static void test_socket(void **state)
{
	char buf[8];
	struct local l;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd),
			 0);
	l = open_local(fd[0], true);
	assert_true(l.socket);
	assert_false(l.own);
	assert_int_equal(local_read(&l, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(local_write(&l, "abc", 3), 3);
	assert_true(blocks(fd[0]));
	fd_close(&fd[1]);
	assert_int_equal(local_write(&l, "abc", 3), -EPIPE);
	local_close(&l);
	fd_close(&fd[0]);
}

static void test_regular_file_shares_its_place(void **state)
{
	FILE *file = tmpfile();
	struct local l;

	(void)state;
	assert_non_null(file);
	assert_int_equal(write(fileno(file), "12", 2), 2);
	l = open_local(fileno(file), true);
	assert_false(l.careful);
	assert_int_equal(local_write(&l, "345", 3), 3);
	assert_int_equal(lseek(fileno(file), 0, SEEK_CUR), 5);
	local_close(&l);
	(void)fclose(file);
}

static void test_closed_descriptor_is_an_error(void **state)
{
	struct local l = { .fd = 77 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(local_open(-1, false, &l, &e), -EBADF);
	assert_int_equal(l.fd, 77); /* left alone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_terminal_master_is_used_with_care),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_regular_file_shares_its_place),
		cmocka_unit_test(test_closed_descriptor_is_an_error),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("host local", tests, NULL, NULL);
}
