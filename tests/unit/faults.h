/*
 * tests/unit/faults.h - the n-th call of what can fail does fail
 *
 * A program that includes this is linked with --wrap for each function below
 * (Makefile, FAULTS). Count and verdict are in memory that the agent and its
 * forked children share with the test; the test's own calls are not counted.
 */
#ifndef FERRY_TESTS_UNIT_FAULTS_H
#define FERRY_TESTS_UNIT_FAULTS_H

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/**
 * struct faults - shared
 * @tester:	whose calls are not counted
 * @left:	calls until one fails; 0: none does
 * @name:	the function that failed, "": none has
 */
struct faults {
	pid_t tester;
	int64_t left;
	char name[32];
};

static struct faults *faults;

/* Nothing that a start's child, in the agent's memory, must not call. */
#define FAULT_FN __attribute__((no_sanitize("address", "undefined")))

FAULT_FN static bool fault_now(const char *name)
{
	if (!faults || faults->left <= 0 || faults->tester == getpid())
		return false;
	if (__atomic_sub_fetch(&faults->left, 1, __ATOMIC_SEQ_CST) != 0)
		return false;
	for (size_t i = 0; i + 1 < sizeof(faults->name) && name[i]; i++)
		faults->name[i] = name[i];
	return true;
}

static void faults_init(void)
{
	void *p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	faults = p;
	faults->tester = getpid();
}

/* The @n-th call from now on fails; 0: none does. */
static void faults_arm(int64_t n)
{
	memset(faults->name, 0, sizeof(faults->name));
	__atomic_store_n(&faults->left, n, __ATOMIC_SEQ_CST);
}

#define FAULT(type, name, params, args, value, error)                          \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	FAULT_FN type __wrap_##name params                                     \
	{                                                                      \
		if (fault_now(#name)) {                                        \
			errno = error;                                         \
			return value;                                          \
		}                                                              \
		return __real_##name args;                                     \
	}

/* clang-format off */
FAULT(void *, malloc, (size_t n), (n), NULL, ENOMEM)
FAULT(void *, calloc, (size_t n, size_t size), (n, size), NULL, ENOMEM)
FAULT(void *, realloc, (void *p, size_t n), (p, n), NULL, ENOMEM)
FAULT(int, open64, (const char *p, int f, mode_t m), (p, f, m), -1, EMFILE)
FAULT(int, openat64, (int d, const char *p, int f, mode_t m), (d, p, f, m),
      -1, EMFILE)
FAULT(DIR *, opendir, (const char *p), (p), NULL, EMFILE)
FAULT(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n), -1, EIO)
FAULT(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), -1,
      EIO)
FAULT(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), -1,
      ENOSPC)
FAULT(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), -1,
      EPIPE)
FAULT(ssize_t, send, (int fd, const void *b, size_t n, int f), (fd, b, n, f),
      -1, EPIPE)
FAULT(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f),
      -1, EPIPE)
FAULT(ssize_t, recv, (int fd, void *b, size_t n, int f), (fd, b, n, f), -1,
      ECONNRESET)
FAULT(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f), -1,
      ECONNRESET)
FAULT(ssize_t, splice,
      (int a, off64_t *o, int b, off64_t *p, size_t n, unsigned int f),
      (a, o, b, p, n, f), -1, ENOMEM)
FAULT(int, socket, (int d, int t, int p), (d, t, p), -1, EMFILE)
FAULT(int, connect, (int fd, const struct sockaddr *a, socklen_t n),
      (fd, a, n), -1, ECONNREFUSED)
FAULT(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n),
      -1, EADDRINUSE)
FAULT(int, pipe2, (int *p, int f), (p, f), -1, EMFILE)
FAULT(int, dup2, (int a, int b), (a, b), -1, EMFILE)
FAULT(int, memfd_create, (const char *p, unsigned int f), (p, f), -1, EMFILE)
FAULT(pid_t, fork, (void), (), -1, EAGAIN)
FAULT(int, clone,
      (int (*fn)(void *), void *s, int f, void *a, void *b, void *c, void *d),
      (fn, s, f, a, b, c, d), -1, EAGAIN)
FAULT(int, mount,
      (const char *a, const char *b, const char *c, unsigned long f,
       const void *d),
      (a, b, c, f, d), -1, ENOMEM)
FAULT(int, umount2, (const char *a, int f), (a, f), -1, EBUSY)
FAULT(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m), -1, ENOSPC)
FAULT(int, renameat, (int d, const char *p, int e, const char *q),
      (d, p, e, q), -1, ENOSPC)
FAULT(int, symlinkat, (const char *p, int d, const char *q), (p, d, q), -1,
      ENOSPC)
/* clang-format on */

/* Of the system calls without a function, those that take or make something. */
long __real_syscall(long n, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long n, long a, long b, long c, long d, long e, long f);
FAULT_FN long __wrap_syscall(long n, long a, long b, long c, long d, long e,
			     long f)
{
	static const struct {
		long number;
		int error;
		const char *name;
	} fails[] = {
		{ SYS_openat2, EMFILE, "openat2" },
		{ SYS_pidfd_open, EMFILE, "pidfd_open" },
		{ SYS_fsopen, EMFILE, "fsopen" },
		{ SYS_fsconfig, ENOMEM, "fsconfig" },
		{ SYS_fsmount, ENOMEM, "fsmount" },
		{ SYS_move_mount, ENOMEM, "move_mount" },
		{ SYS_open_tree, EMFILE, "open_tree" },
	};

	for (size_t i = 0; i < sizeof(fails) / sizeof(fails[0]); i++) {
		if (fails[i].number == n && fault_now(fails[i].name)) {
			errno = fails[i].error;
			return -1;
		}
	}
	return __real_syscall(n, a, b, c, d, e, f);
}

#endif
