/*
 * tools/qemu/argv.h - one UVM as QEMU's command line; pure
 *
 * The machine is the one that was measured: q35 started by qboot straight into
 * an uncompressed kernel, no default devices. Devices that are plugged in
 * while the UVM runs have fixed slots, so that a migration destination can be
 * given the same machine.
 */
#ifndef FERRY_TOOLS_QEMU_ARGV_H
#define FERRY_TOOLS_QEMU_ARGV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/err.h"
#include "tools/qemu/accel.h"

/*
 * PCI slots on the root bus; never renumbered, a migration depends on them. The
 * second to fourth SCSI controller follow each other from QEMU_SLOT_SCSI_1 on,
 * the second and further root ports, each for one virtio NIC, from
 * QEMU_SLOT_NIC_1 on.
 */
enum qemu_slot {
	QEMU_SLOT_VSOCK = 2,
	QEMU_SLOT_SCSI = 3,
	QEMU_SLOT_NIC = 4,
	QEMU_SLOT_SCSI_1 = 5,
	QEMU_SLOT_NIC_1 = 8,
};

/* SCSI controllers, disks of one, and network cards of a UVM. */
#define QEMU_SCSI_MAX 4u
#define QEMU_LUNS 64u
#define QEMU_NICS_MAX 8u

/* Most arguments that qemu_argv() makes, the NULL behind them included. */
#define QEMU_ARGV_MAX 96u
/* Bytes for all of them; the kernel's command line is the largest. */
#define QEMU_ARGV_BYTES ((size_t)32 * 1024)

/* Guest CIDs that may be given away: 0 to 2 and the last one have a meaning. */
#define QEMU_CID_MIN 3u
#define QEMU_CID_MAX 0xfffffffeu

/**
 * struct qemu_options - what the machine is made of; all strings are borrowed
 * @binary:	program, "qemu-system-x86_64" or a path
 * @machine:	versioned name of a q35 machine; NULL: QEMU's own, "q35"
 * @accel:	ACCEL_TCG or ACCEL_KVM
 * @memory_mib:	memory of the guest
 * @processors:	virtual processors
 * @kernel:	path of a vmlinux or bzImage
 * @initrd:	path of the image
 * @append:	kernel command line, passed on as it is
 * @qmp:	path of a unix socket on which the caller listens
 * @console:	path of a unix socket on which the caller listens for the
 *		first serial port; NULL: the machine has none
 * @cid:	vsock address of the guest
 * @scsi:	SCSI controllers for disks to come, at most QEMU_SCSI_MAX;
 *		controller N is the bus "scsiN.0"
 * @nics:	root ports for NICs to come, at most QEMU_NICS_MAX; port N is
 *		the bus "nicN"
 * @only_migratable: refuse to start with a device that cannot move
 * @incoming:	migration source to wait for, NULL: start now
 * @paused:	the guest does not run until it is told to
 */
struct qemu_options {
	const char *binary;
	const char *machine;
	enum accel accel;
	uint64_t memory_mib;
	uint32_t processors;
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *qmp;
	const char *console;
	uint32_t cid;
	uint32_t scsi;
	uint32_t nics;
	bool only_migratable;
	const char *incoming;
	bool paused;
};

/**
 * qemu_argv() - render the argument vector
 * @o:		options; @o->binary, @kernel, @initrd, @append, @qmp are set
 * @a:		receives the vector and its strings
 * @ret:	NULL-terminated vector, lives as long as @a
 * @e:		names the option that is out of range, or a lack of room
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int qemu_argv(const struct qemu_options *o, struct arena *a, char ***ret,
	      struct err *e);

#endif
