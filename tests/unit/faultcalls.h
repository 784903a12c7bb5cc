/*
 * tests/unit/faultcalls.h - the calls that can be made to fail
 *
 * Whoever includes this has defined FAULT_FN and fault_now() before, which
 * decides, and is linked so that each call of FAULTS (Makefile) comes here.
 */
#ifndef FERRY_TESTS_UNIT_FAULTCALLS_H
#define FERRY_TESTS_UNIT_FAULTCALLS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FAULT_FROM __builtin_return_address(0)

#define FAULT(type, name, params, args, value, error)                          \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	FAULT_FN type __wrap_##name params                                     \
	{                                                                      \
		if (fault_now(#name, FAULT_FROM)) {                            \
			errno = error;                                         \
			return value;                                          \
		}                                                              \
		return __real_##name args;                                     \
	}

/* clang-format off */
FAULT(void *, malloc, (size_t n), (n), NULL, ENOMEM)
FAULT(void *, calloc, (size_t n, size_t size), (n, size), NULL, ENOMEM)
FAULT(void *, realloc, (void *p, size_t n), (p, n), NULL, ENOMEM)
FAULT(char *, strdup, (const char *p), (p), NULL, ENOMEM)
FAULT(void *, mmap64, (void *p, size_t n, int a, int b, int fd, off64_t o),
      (p, n, a, b, fd, o), MAP_FAILED, ENOMEM)
FAULT(int, open64, (const char *p, int f, mode_t m), (p, f, m), -1, EMFILE)
FAULT(int, openat64, (int d, const char *p, int f, mode_t m), (d, p, f, m),
      -1, EMFILE)
FAULT(DIR *, opendir, (const char *p), (p), NULL, EMFILE)
FAULT(DIR *, fdopendir, (int fd), (fd), NULL, ENOMEM)
FAULT(ssize_t, readlink, (const char *p, char *b, size_t n), (p, b, n), -1,
      EIO)
FAULT(ssize_t, readlinkat, (int d, const char *p, char *b, size_t n),
      (d, p, b, n), -1, EIO)
FAULT(ssize_t, pread64, (int fd, void *b, size_t n, off64_t o), (fd, b, n, o),
      -1, EIO)
FAULT(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o),
      (fd, b, n, o), -1, ENOSPC)
FAULT(int, ftruncate64, (int fd, off64_t n), (fd, n), -1, ENOSPC)
FAULT(int, fallocate64, (int fd, int m, off64_t o, off64_t n), (fd, m, o, n),
      -1, ENOSPC)
FAULT(ssize_t, sendfile64, (int a, int b, off64_t *o, size_t n), (a, b, o, n),
      -1, EIO)
FAULT(ssize_t, sendto,
      (int fd, const void *b, size_t n, int f, const struct sockaddr *a,
       socklen_t l),
      (fd, b, n, f, a, l), -1, ENOBUFS)
FAULT(int, epoll_create1, (int f), (f), -1, EMFILE)
FAULT(int, eventfd, (unsigned int n, int f), (n, f), -1, EMFILE)
FAULT(int, signalfd, (int fd, const sigset_t *s, int f), (fd, s, f), -1,
      EMFILE)
FAULT(int, listen, (int fd, int n), (fd, n), -1, EADDRINUSE)
FAULT(int, accept4, (int fd, struct sockaddr *a, socklen_t *l, int f),
      (fd, a, l, f), -1, EMFILE)
FAULT(int, setns, (int fd, int f), (fd, f), -1, EINVAL)
FAULT(int, execve, (const char *p, char *const *a, char *const *e), (p, a, e),
      -1, ENOMEM)
FAULT(int, mkdir, (const char *p, mode_t m), (p, m), -1, ENOSPC)
FAULT(int, unlinkat, (int d, const char *p, int f), (d, p, f), -1, EIO)
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

/* What is watched already is changed and removed without memory. */
int __real_epoll_ctl(int a, int op, int fd, struct epoll_event *d);
int __wrap_epoll_ctl(int a, int op, int fd, struct epoll_event *d);
FAULT_FN int __wrap_epoll_ctl(int a, int op, int fd, struct epoll_event *d)
{
	if (op == EPOLL_CTL_ADD && fault_now("epoll_ctl", FAULT_FROM)) {
		errno = ENOMEM;
		return -1;
	}
	return __real_epoll_ctl(a, op, fd, d);
}

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
		if (fails[i].number == n &&
		    fault_now(fails[i].name, FAULT_FROM)) {
			errno = fails[i].error;
			return -1;
		}
	}
	return __real_syscall(n, a, b, c, d, e, f);
}

#endif
