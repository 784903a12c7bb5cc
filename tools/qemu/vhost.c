#include "tools/qemu/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/argv.h"

#define VHOST_DEVICE "/dev/vhost-vsock"
/* Random addresses of 32 bits: more misses mean that something else is wrong.*/
#define CID_TRIES 16

static const char *const names[] = {
	[VHOST_AUTO] = "auto",
	[VHOST_KERNEL] = "kernel",
	[VHOST_USER] = "user",
};

int vhost_parse(const char *text, enum vhost_backend *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum vhost_backend)i;
			return 0;
		}
	}
	return err_set(e, EINVAL,
		       "vsock backend '%s' is not auto, kernel or user", text);
}

int vhost_kernel_probe(const char *device, struct err *e)
{
	cleanup_fd fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", device);
	if (ioctl(fd, VHOST_SET_OWNER, 0) < 0)
		return err_sys(e, "%s: take it", device);
	return 0;
}

int vhost_choose(enum vhost_backend wanted, enum vhost_backend *ret,
		 struct err *e)
{
	struct err why = { 0 };
	const int r = wanted == VHOST_USER
			      ? -1
			      : vhost_kernel_probe(VHOST_DEVICE, &why);

	if (wanted == VHOST_KERNEL && r < 0) {
		*e = why;
		return err_wrap(e, "the kernel's vsock device cannot be used");
	}
	*ret = r == 0 ? VHOST_KERNEL : VHOST_USER;
	return 0;
}

static int cid_random(uint32_t *ret, struct err *e)
{
	uint32_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		return err_sys(e, "random bytes");
	*ret = QEMU_CID_MIN + n % (QEMU_CID_MAX - QEMU_CID_MIN + 1);
	return 0;
}

int vhost_cid_find(uint32_t *ret, struct err *e)
{
	for (int i = 0; i < CID_TRIES; i++) {
		cleanup_fd fd = open(VHOST_DEVICE, O_RDWR | O_CLOEXEC);
		uint32_t cid = 0;
		uint64_t wide;
		const int r = cid_random(&cid, e);

		if (r < 0)
			return r;
		if (fd < 0)
			return err_sys(e, "open %s", VHOST_DEVICE);
		wide = cid;
		if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &wide) == 0) {
			*ret = cid;
			return 0;
		}
		if (errno != EADDRINUSE)
			return err_sys(e, "%s: set a guest CID", VHOST_DEVICE);
	}
	return err_set(e, EADDRINUSE, "no free guest CID after %d tries",
		       CID_TRIES);
}

bool vhost_cid_taken(const char *qemu_stderr)
{
	return strstr(qemu_stderr, "guest cid") &&
	       strstr(qemu_stderr, strerror(EADDRINUSE));
}
