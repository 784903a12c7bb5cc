/* tests/unit/test_tty.c - the terminal is given back on every way out */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/tty.h"

static int master;
static int slave;

static int set_up(void **state UNUSED)
{
	char name[64];

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	fd_close(&slave);
	fd_close(&master);
	return 0;
}

static bool is_raw(void)
{
	struct termios t;

	assert_int_equal(tcgetattr(slave, &t), 0);
	return !(t.c_lflag & (tcflag_t)(ICANON | ECHO | ISIG));
}

static void raw_and_back(void **state UNUSED)
{
	struct err e;

	assert_false(is_raw());
	assert_int_equal(tty_raw(slave, &e), 0);
	assert_true(is_raw());
	assert_int_equal(tty_raw(slave, &e), 0);
	tty_restore();
	assert_false(is_raw());
	tty_restore();
	assert_false(is_raw());
}

static void what_is_no_terminal_is_left_alone(void **state UNUSED)
{
	cleanup_fd fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint16_t height = 7;
	uint16_t width = 8;
	struct err e;

	assert_true(tty_raw(fd, &e) < 0);
	assert_false(tty_size(fd, &height, &width));
	assert_int_equal(height, 7);
	assert_int_equal(width, 8);
}

static void size_of_a_terminal(void **state UNUSED)
{
	struct winsize w = { .ws_row = 33, .ws_col = 101 };
	uint16_t height = 0;
	uint16_t width = 0;

	/* A new terminal does not know its size. */
	assert_false(tty_size(slave, &height, &width));
	assert_int_equal(ioctl(master, TIOCSWINSZ, &w), 0);
	assert_true(tty_size(slave, &height, &width));
	assert_int_equal(height, 33);
	assert_int_equal(width, 101);
}

/* A child makes it raw and leaves by @how; returns its wait status. */
static int leave(void (*how)(void))
{
	int status = 0;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { 0 };
		struct err e;

		(void)setrlimit(RLIMIT_CORE, &none); /* no litter */
		if (tty_raw(slave, &e) < 0 || !is_raw())
			_exit(9);
		how();
		_exit(8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void by_exit(void)
{
	exit(3);
}

static void by_abort(void)
{
	(void)raise(SIGABRT);
}

static void by_fault(void)
{
	(void)raise(SIGSEGV);
}

static void restored_at_exit(void **state UNUSED)
{
	const int status = leave(by_exit);

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_false(is_raw());
}

static void restored_by_fatal_signals(void **state UNUSED)
{
	int status = leave(by_abort);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_false(is_raw());
	status = leave(by_fault);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_false(is_raw());
}

#define TTY_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TTY_TEST(raw_and_back),
		TTY_TEST(what_is_no_terminal_is_left_alone),
		TTY_TEST(size_of_a_terminal),
		TTY_TEST(restored_at_exit),
		TTY_TEST(restored_by_fatal_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
