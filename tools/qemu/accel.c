#include "tools/qemu/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bridge/io/fd.h"
#include "config/util.h"

#define KVM_DEVICE "/dev/kvm"

static const char *const names[] = {
	[ACCEL_AUTO] = "auto",
	[ACCEL_TCG] = "tcg",
	[ACCEL_KVM] = "kvm",
};

int accel_parse(const char *text, enum accel *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum accel)i;
			return 0;
		}
	}
	return err_set(e, EINVAL, "accelerator '%s' is not auto, tcg or kvm",
		       text);
}

const char *accel_name(enum accel a)
{
	return names[a];
}

int accel_kvm_probe(const char *device, struct err *e)
{
	cleanup_fd kvm = open(device, O_RDWR | O_CLOEXEC);
	cleanup_fd vm = -1;
	cleanup_fd cpu = -1;
	int version;

	if (kvm < 0)
		return err_sys(e, "open %s", device);
	version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return err_sys(e, "%s: ask for the version", device);
	if (version != KVM_API_VERSION)
		return err_set(e, ENOTSUP, "%s: version %d is not %d", device,
			       version, KVM_API_VERSION);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return err_sys(e, "%s: make a machine", device);
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0)
		return err_sys(e, "%s: make a processor", device);
	return 0;
}

int accel_choose(enum accel wanted, enum accel *ret, struct err *e)
{
	struct err why = { 0 };
	const int r =
		wanted == ACCEL_TCG ? -1 : accel_kvm_probe(KVM_DEVICE, &why);

	if (wanted == ACCEL_KVM && r < 0) {
		*e = why;
		return err_wrap(e, "KVM does not work here");
	}
	*ret = r == 0 ? ACCEL_KVM : ACCEL_TCG;
	return 0;
}
