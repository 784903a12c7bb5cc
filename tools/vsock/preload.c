/*
 * The library that is preloaded into QEMU. It has the C library's names for
 * opening a file and for ioctl(): /dev/vhost-vsock, and requests on what its
 * opening returned, are ferry's; all else goes to the kernel as it came.
 *
 * Nothing happens in a process that does not open the device or where the base
 * path is not set, so children that inherit the preload are not disturbed.
 */
#include <errno.h>
#include <linux/fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/vsock/ioctls.h"
#include "tools/vsock/worker.h"

#define EXPORT __attribute__((visibility("default")))
#define DEVICE "/dev/vhost-vsock"

/*
 * Declared here and not by <fcntl.h>, which in a program with 64-bit offsets
 * makes open() another name of open64(): both are wanted.
 */
EXPORT int open(const char *path, int flags, ...);
EXPORT int open64(const char *path, int flags, ...);
EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int ioctl(int fd, unsigned long request, ...);

static int open_any(const char *path, int flags, unsigned int mode)
{
	const char *base = NULL;
	int ret;

	if (path != NULL && strcmp(path, DEVICE) == 0)
		base = getenv(WORKER_BASE_ENV);
	if (base == NULL)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);

	ret = worker_open(base, (flags & O_CLOEXEC) != 0);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

static bool has_mode(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int open(const char *path, int flags, ...)
{
	unsigned int mode = 0;

	if (has_mode(flags)) { /* only then is there an argument */
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, unsigned int);
		va_end(ap);
	}
	return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	unsigned int mode = 0;

	if (has_mode(flags)) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, unsigned int);
		va_end(ap);
	}
	return open_any(path, flags | O_LARGEFILE, mode);
}

int __open_2(const char *path, int flags)
{
	return open_any(path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return open_any(path, flags | O_LARGEFILE, 0);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!ioctls_is_vhost(request) || !worker_owns(fd))
		return (int)syscall(SYS_ioctl, fd, request, arg);

	ret = worker_ioctl(request, arg);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}
