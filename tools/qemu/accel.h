/* tools/qemu/accel.h - what runs the guest's instructions: KVM or TCG */
#ifndef FERRY_TOOLS_QEMU_ACCEL_H
#define FERRY_TOOLS_QEMU_ACCEL_H

#include "config/err.h"

enum accel {
	ACCEL_AUTO, /* KVM when it works, TCG otherwise */
	ACCEL_TCG,
	ACCEL_KVM,
};

/**
 * accel_parse() - "auto", "tcg" or "kvm"
 *
 * Return: 0, or -EINVAL with the words that are known
 */
int accel_parse(const char *text, enum accel *ret, struct err *e);

/** accel_name() - the word of accel_parse() for it */
const char *accel_name(enum accel a);

/**
 * accel_option() - what QEMU's -accel takes for ACCEL_TCG or ACCEL_KVM
 *
 * The processors of a TCG guest share one thread. With a thread for each, QEMU
 * before 8.1 can keep a translation of code that another processor changes in
 * that moment: a guest whose kernel patches itself (static keys: at boot, at the
 * first cgroup with memory, by many a sysctl) then runs into the breakpoint of a
 * patch that is long over, again and again, and is silent for ever.
 */
const char *accel_option(enum accel a);

/**
 * accel_kvm_probe() - does KVM really work at @device?
 * @device:	"/dev/kvm"; another path in tests
 * @e:		the step that failed
 *
 * Opening the device proves little: in containers and nested machines a VM or
 * a processor often cannot be made, or runs far slower than without. So the
 * processor must have the means, and a guest of three instructions is run.
 * Return: 0 or -errno
 */
int accel_kvm_probe(const char *device, struct err *e);

/**
 * accel_choose() - settle ACCEL_AUTO, and refuse KVM that does not work
 * @wanted:	what the user asked for
 * @ret:	ACCEL_TCG or ACCEL_KVM
 * @e:		why KVM does not work, when it was asked for by name
 *
 * Return: 0 or -errno
 */
int accel_choose(enum accel wanted, enum accel *ret, struct err *e);

#endif
