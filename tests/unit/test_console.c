/* tests/unit/test_console.c - from a socket that QEMU would connect to, on */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "tools/console.h"

#define TURNS 20

static char dir[32];
static char path[48];
static struct loop *loop;
static struct console c;
static int out[2];

static int set_up(void **state)
{
	struct err e;

	(void)state;
	memcpy(dir, "/tmp/ferry-console-XXXXXX", 26);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/c", dir);
	assert_int_equal(loop_new(&loop, &e), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(console_open(&c, loop, path, out[1], &e), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	console_close(&c);
	console_close(&c); /* harmless */
	loop_free(loop);
	fd_close(&out[0]);
	fd_close(&out[1]);
	(void)unlink(path);
	return rmdir(dir);
}

static void turns(void)
{
	struct err e;

	for (int i = 0; i < TURNS; i++)
		(void)loop_turn(loop, 0, &e);
}

/* As QEMU does. Return: its end, -1: refused */
static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static const char *heard(void)
{
	static char text[64];
	ssize_t n;

	turns();
	n = read(out[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_what_it_says_is_carried(void **state)
{
	int qemu = dial();

	(void)state;
	assert_int_equal(write(qemu, "Linux ", 6), 6);
	assert_string_equal(heard(), "Linux ");
	assert_int_equal(write(qemu, "version", 7), 7);
	assert_string_equal(heard(), "version");
	fd_close(&qemu);
	turns();
	assert_null(c.relay);
}

static void test_nobody_else_can_connect(void **state)
{
	int qemu = dial();

	(void)state;
	turns();
	assert_int_equal(c.listen, -1);
	assert_int_equal(dial(), -1);
	fd_close(&qemu);
	turns();
	assert_int_equal(dial(), -1); /* nor afterwards */
}

static void test_an_end_of_ours_ends_the_connection(void **state)
{
	int qemu = dial();
	char byte;

	(void)state;
	turns();
	console_close(&c);
	assert_int_equal(read(qemu, &byte, 1), 0);
	assert_true(fcntl(out[1], F_GETFD) >= 0); /* it was borrowed */
	fd_close(&qemu);
}

static void test_a_console_that_nobody_takes_ends(void **state)
{
	int qemu = dial();
	char byte;

	(void)state;
	turns();
	assert_non_null(c.relay);
	fd_close(&out[0]);
	assert_int_equal(write(qemu, "x", 1), 1);
	turns();
	assert_null(c.relay);
	assert_true(recv(qemu, &byte, 1, MSG_DONTWAIT) <= 0);
	fd_close(&qemu);
}

static void test_a_path_that_is_taken_is_an_error(void **state)
{
	struct console other;
	struct err e;

	(void)state;
	assert_true(console_open(&other, loop, path, out[1], &e) < 0);
	console_close(&other);
	assert_int_equal(other.listen, -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_it_says_is_carried),
		T(test_nobody_else_can_connect),
		T(test_an_end_of_ours_ends_the_connection),
		T(test_a_console_that_nobody_takes_ends),
		T(test_a_path_that_is_taken_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
