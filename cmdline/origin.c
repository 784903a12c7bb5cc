#include "cmdline/origin.h"

#define VM "io.microsoft.virtualmachine."
#define KEY(k) .key = (k)
#define OPTION(o) .option = (o)

/* clang-format off */
const struct cmdline_origin cmdline_origins[] = {
	[FROM_ROOT] = { "root file system", KEY(VM "lcow.preferredrootfstype"),
			OPTION("--rootfs") },
	[FROM_TABLE] = { "dm-verity table",
			 KEY(VM "lcow.dmverity-create-args") },
	[FROM_PLATFORM] = { "hv_sock owns AF_VSOCK", OPTION("--profile") },
	[FROM_CONSOLE] = { "serial console", KEY(VM "console.pipe"),
			   OPTION("--console") },
	[FROM_PANIC] = { "the VM ends after a panic", KEY(VM "console.pipe"),
			 OPTION("--console") },
	[FROM_QUIET] = { "nobody reads messages", KEY(VM "console.pipe"),
			 OPTION("--console") },
	[FROM_BOOT_OPTIONS] = { "boot options", KEY(BOOT_OPTIONS_KEY) },
	[FROM_LEAK] = { "forget nokaslr before init", KEY(BOOT_OPTIONS_KEY) },
	[FROM_PCI] = { "no PCI devices", KEY(VM "lcow.vpcienabled"),
		       OPTION("--profile") },
	[FROM_PROCESSORS] = { "processors",
			      KEY(VM "computetopology.processor.count"),
			      OPTION("--processors") },
	[FROM_KERNEL] = { .rule = "no ram disks, no ACPI timer" },
	[FROM_SEPARATOR] = { .rule = "init's arguments follow" },
	[FROM_ENTROPY] = { .rule = "entropy from vsock port 1" },
	[FROM_OVERLAY] = { "writable /etc and /var",
			   KEY(VM "lcow.writable-overlay-directories") },
	[FROM_FORWARDER] = { "log forwarder",
			     KEY("io.microsoft.migration.support-enabled"),
			     .older_key = "io.microsoft.migration.allowed",
			     OPTION("--forwarder") },
	[FROM_AGENT] = { .rule = "agent" },
	[FROM_LOG_LEVEL] = { "log level", OPTION("--log-level") },
	[FROM_TIME_SYNC] = { "no time sync", KEY(VM "lcow.timesync.disable") },
	[FROM_SCRUB] = { "secrets in the log", OPTION("--scrub-logs") },
	[FROM_DUMP] = { "core dumps",
			KEY("io.microsoft.container.processdumplocation") },
	[FROM_AGENT_ARGS] = { "further agent arguments", KEY(AGENT_ARGS_KEY) },
};
/* clang-format on */
