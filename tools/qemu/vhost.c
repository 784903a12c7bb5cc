#include "tools/qemu/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bridge/io/fd.h"
#include "config/util.h"

#define VHOST_DEVICE "/dev/vhost-vsock"

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

int vhost_cid_probe(uint32_t number, struct err *e)
{
	cleanup_fd fd = open(VHOST_DEVICE, O_RDWR | O_CLOEXEC);
	uint64_t wide = number;

	if (fd < 0)
		return err_sys(e, "open %s", VHOST_DEVICE);
	if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &wide) < 0)
		return err_sys(e, "%s: guest CID %u", VHOST_DEVICE, number);
	return 0;
}

bool vhost_cid_taken(const char *qemu_stderr)
{
	return strstr(qemu_stderr, "guest cid") &&
	       strstr(qemu_stderr, strerror(EADDRINUSE));
}
