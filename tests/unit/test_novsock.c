/* A process without AF_VSOCK: what the filter refuses, and what it leaves. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/novsock.h"
#include "bridge/io/spawn.h"
#include "config/util.h"

#define NOT_PERMITTED 77 /* exit code: no filter can be set here */

/* In a child under the filter; @return its exit code. */
static int filtered(int (*body)(void))
{
	int status;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() != 0)
			(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(novsock() < 0 ? NOT_PERMITTED : body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	if (WEXITSTATUS(status) == NOT_PERMITTED)
		skip();
	return WEXITSTATUS(status);
}

static bool refused(long r, int error)
{
	return r == -1 && errno == error;
}

static int sockets(void)
{
	if (!refused(socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT))
		return 1;
	if (!refused(socket(AF_VSOCK, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		     EAFNOSUPPORT))
		return 2;
	/* the kernel looks at 32 bits, and so must the filter */
	if (!refused(syscall(SYS_socket, 0x100000000L + AF_VSOCK, SOCK_STREAM,
			     0),
		     EAFNOSUPPORT))
		return 3;
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		return 4;
	if (syscall(SYS_socket, 0x100000000L + AF_UNIX, SOCK_STREAM, 0) < 0)
		return 5;
	if (socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == ENOSYS)
		return 6;
	return 0;
}

static void test_no_vsock_sockets(void **state)
{
	(void)state;
	assert_int_equal(filtered(sockets), 0);
}

static int rings(void)
{
	char params[256] = { 0 };

	return refused(syscall(SYS_io_uring_setup, 1, params), ENOSYS) ? 0 : 1;
}

static void test_no_rings(void **state)
{
	(void)state;
	assert_int_equal(filtered(rings), 0);
}

#ifdef __x86_64__
/* A system call of the 32-bit table, as a 32-bit program makes it. */
static int call32(int nr, int a, int b, int c)
{
	int r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(nr), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}

static int calls32(void)
{
	(void)signal(SIGSEGV, SIG_DFL);
	if (call32(20, 0, 0, 0) != getpid())
		return NOT_PERMITTED; /* a kernel without them */
	if (call32(359, AF_VSOCK, SOCK_STREAM, 0) != -EAFNOSUPPORT)
		return 1;
	if (call32(359, AF_UNIX, SOCK_STREAM, 0) < 0)
		return 2;
	if (call32(102, 1, 0, 0) != -ENOSYS)
		return 3;
	if (call32(102, 2, 0, 0) == -ENOSYS)
		return 4;
	if (call32(425, 1, 0, 0) != -ENOSYS)
		return 5;
	return 0;
}

/* The x32 table: most kernels have none, and say ENOSYS themselves. */
static int calls_x32(void)
{
	const long r =
		syscall(0x40000000L + SYS_socket, AF_VSOCK, SOCK_STREAM, 0);

	return refused(r, EAFNOSUPPORT) ? 0 : 1;
}

static void test_no_vsock_in_other_tables(void **state)
{
	(void)state;
	assert_int_equal(filtered(calls32), 0);
	assert_int_equal(filtered(calls_x32), 0);
}
#endif

/* What a process starts has the filter too. */
static void test_a_spawned_program_inherits_it(void **state)
{
	char *argv[] = { (char[]){ "grep" }, (char[]){ "-q" },
			 (char[]){ "^Seccomp:.*2$" },
			 (char[]){ "/proc/self/status" }, NULL };
	char *envp[] = { NULL };
	struct spawn s = { .argv = argv,
			   .envp = envp,
			   .path = "/bin:/usr/bin",
			   .stdio = { -1, -1, -1 },
			   .no_vsock = true };
	struct err e = { 0 };
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(prctl(PR_GET_SECCOMP), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_vsock_sockets),
		cmocka_unit_test(test_no_rings),
#ifdef __x86_64__
		cmocka_unit_test(test_no_vsock_in_other_tables),
#endif
		cmocka_unit_test(test_a_spawned_program_inherits_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
