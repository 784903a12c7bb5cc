#include "tools/qemu/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

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

const char *accel_option(enum accel a)
{
	return a == ACCEL_TCG ? "tcg,thread=single" : names[a];
}

#if defined(__x86_64__)

/* Bits of CPUID that say that the processor itself can run guests. */
#define CPUID_1_ECX_VMX (1u << 5)
#define CPUID_80000001_ECX_SVM (1u << 2)

/*
 * There are KVMs without help of the processor. They run the few instructions
 * below, and a kernel a hundred times slower than TCG does.
 */
static int hardware(struct err *e)
{
	unsigned int eax = 0;
	unsigned int ebx = 0;
	unsigned int ecx = 0;
	unsigned int edx = 0;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_1_ECX_VMX))
		return 0;
	if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) &&
	    (ecx & CPUID_80000001_ECX_SVM))
		return 0;
	return err_set(e, ENOTSUP,
		       "the processor does not help virtual machines");
}

#define PROBE_AT 0x1000
#define PROBE_PORT 0x10

/* mov $42, %al; out %al, $PROBE_PORT; hlt */
static const uint8_t program[] = { 0xb0, 0x2a, 0xe6, PROBE_PORT, 0xf4 };

static int enter(int cpu, const struct kvm_run *run, struct err *e)
{
	struct kvm_sregs sregs;
	const struct kvm_regs regs = { .rip = PROBE_AT, .rflags = 2 };

	if (ioctl(cpu, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(e, "KVM: read registers");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 ||
	    ioctl(cpu, KVM_SET_REGS, &regs) < 0)
		return err_sys(e, "KVM: write registers");
	if (ioctl(cpu, KVM_RUN, 0) < 0)
		return err_sys(e, "KVM: run");
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PROBE_PORT)
		return err_set(e, EIO, "KVM: the guest ended with %u",
			       run->exit_reason);
	return 0;
}

/* Three instructions in a page of memory. */
static int run_guest(int kvm, int vm, int cpu, struct err *e)
{
	const long page = sysconf(_SC_PAGESIZE);
	const int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = PROBE_AT,
		.memory_size = (uint64_t)page,
	};
	void *run;
	void *memory;
	int r;

	if (size < (int)sizeof(struct kvm_run))
		return err_set(e, EIO, "KVM: size of a processor");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu,
		   0);
	memory = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED || memory == MAP_FAILED) {
		r = err_sys(e, "KVM: memory");
	} else {
		memcpy(memory, program, sizeof(program));
		region.userspace_addr = (uintptr_t)memory;
		r = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0
			    ? err_sys(e, "KVM: give memory")
			    : enter(cpu, run, e);
	}
	if (run != MAP_FAILED)
		(void)munmap(run, (size_t)size); /* only a mapping */
	if (memory != MAP_FAILED)
		(void)munmap(memory, (size_t)page); /* only a mapping */
	return r;
}

#else

/* Elsewhere a processor that could be made is proof enough. */
static int hardware(struct err *e UNUSED)
{
	return 0;
}

static int run_guest(int kvm UNUSED, int vm UNUSED, int cpu UNUSED,
		     struct err *e UNUSED)
{
	return 0;
}

#endif

int accel_kvm_probe(const char *device, struct err *e)
{
	cleanup_fd kvm = open(device, O_RDWR | O_CLOEXEC);
	cleanup_fd vm = -1;
	cleanup_fd cpu = -1;
	int version;
	int r;

	if (kvm < 0)
		return err_sys(e, "open %s", device);
	version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return err_sys(e, "%s: ask for the version", device);
	if (version != KVM_API_VERSION)
		return err_set(e, ENOTSUP, "%s: version %d is not %d", device,
			       version, KVM_API_VERSION);
	r = hardware(e);
	if (r < 0)
		return r;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return err_sys(e, "%s: make a machine", device);
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0)
		return err_sys(e, "%s: make a processor", device);
	return run_guest(kvm, vm, cpu, e);
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
