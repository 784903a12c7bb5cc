#include "config/err.h"

#include <string.h>

#include "config/util.h"

static const char *const names[] = {
	[ERR_NONE] = "error",
	[ERR_NO_OPTIONS] = "no-options",
	[ERR_PLATFORM_UNSUPPORTED] = "platform-unsupported",
	[ERR_ANNOTATION_CONFLICT] = "annotation-conflict",
	[ERR_ANNOTATION_UNSUPPORTED] = "annotation-unsupported",
	[ERR_ANNOTATION_MALFORMED] = "annotation-malformed",
	[ERR_ANNOTATION_UNKNOWN] = "annotation-unknown",
	[ERR_ANNOTATION_RANGE] = "annotation-range",
	[ERR_BOOT_PATH_MISSING] = "boot-path-missing",
	[ERR_KERNEL_MISSING] = "kernel-missing",
	[ERR_ROOTFS_MISSING] = "rootfs-missing",
	[ERR_ROOTFS_TYPE_INVALID] = "rootfs-type-invalid",
	[ERR_KERNEL_DIRECT_UNSUPPORTED] = "kernel-direct-unsupported",
	[ERR_DMVERITY_ARGS_MISSING] = "dmverity-args-missing",
	[ERR_DMVERITY_VHD_MISSING] = "dmverity-vhd-missing",
	[ERR_GUEST_STATE_MISSING] = "guest-state-missing",
	[ERR_POLICY_ENCODING] = "policy-encoding",
	[ERR_CPU_GROUP_PARTITION_CONFLICT] = "cpu-group-partition-conflict",
	[ERR_RESOURCE_PARTITION_INVALID] = "resource-partition-invalid",
	[ERR_DEFERRED_COMMIT_PHYSICAL] = "deferred-commit-physical",
	[ERR_NUMA_IMPLICIT_INCOMPLETE] = "numa-implicit-incomplete",
	[ERR_NUMA_COUNT_MISMATCH] = "numa-count-mismatch",
	[ERR_NUMA_NODE_RANGE] = "numa-node-range",
	[ERR_NUMA_WILDCARD_MIX] = "numa-wildcard-mix",
	[ERR_NUMA_ZERO_MEMORY] = "numa-zero-memory",
	[ERR_NUMA_PARTIAL] = "numa-partial",
	[ERR_NUMA_NEEDS_PHYSICAL] = "numa-needs-physical",
	[ERR_NUMA_CPU_TOTAL] = "numa-cpu-total",
	[ERR_NUMA_MEMORY_TOTAL] = "numa-memory-total",
	[ERR_VPMEM_UNSUPPORTED] = "vpmem-unsupported",
	[ERR_VPCI_DUPLICATE] = "vpci-duplicate",
	[ERR_CONSOLE_INVALID] = "console-invalid",
	[ERR_GUID_INVALID] = "guid-invalid",
	[ERR_MIGRATION_INCOMPATIBLE] = "migration-incompatible",
	[ERR_TEXT_INVALID] = "text-invalid",
	[ERR_TEXT_QUOTE] = "text-quote",
	[ERR_TEXT_SEPARATOR] = "text-separator",
	[ERR_TEXT_RESERVED] = "text-reserved",
	[ERR_TEXT_STRAY_WORD] = "text-stray-word",
	[ERR_CMDLINE_TOO_LONG] = "cmdline-too-long",
	[ERR_CMDLINE_ROUNDTRIP] = "cmdline-roundtrip",
	[ERR_INIT_ARGS_OVERFLOW] = "init-args-overflow",
	[ERR_INIT_ENV_OVERFLOW] = "init-env-overflow",
};
static_assert(ARRAY_LEN(names) == ERR_CLASSES, "an error class has no name");

const char *err_class_name(enum err_class class)
{
	if ((size_t) class >= ARRAY_LEN(names))
		return names[ERR_NONE];
	return names[class];
}

enum err_class err_class_find(const char *name)
{
	for (size_t i = 1; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum err_class)i;
	return ERR_NONE;
}
