#include "config/annotations.h"

#include <string.h>

#include "config/options.h"
#include "config/util.h"

#define VM "io.microsoft.virtualmachine."
#define LCOW VM "lcow."
#define TOPOLOGY VM "computetopology."
#define CRI "io.kubernetes.cri."

#define SETS(m) .use = USE_MEMBER, .member = offsetof(struct sandbox_options, m)
/* Shapes the UVM, as against what a host has its own of, or may change. */
#define IS(m) SETS(m), .locked = true
#define LATER(m) SETS(m)
#define GUEST .use = USE_GUEST, .member = ANNOTATION_NO_MEMBER
#define BY(u) .use = (u), .member = ANNOTATION_NO_MEMBER

/* Each row is set out by hand: key and kind, member, the rest. */
/* clang-format off */
const struct annotation_row annotation_rows[] = {
	/* Processor. */
	{ TOPOLOGY "processor.count", VALUE_INT32, IS(count_text),
	  .deflt_note = "runtime option vm_processor_count, else 2",
	  .min = 1, .max = INT32_MAX,
	  .summary = "number of virtual processors, lowered to those of the host" },
	{ TOPOLOGY "processor.limit", VALUE_INT32, LATER(processor_limit),
	  .max = 100000,
	  .summary = "processor time limit, 100000 is all of it, 0 none" },
	{ TOPOLOGY "processor.weight", VALUE_INT32, LATER(processor_weight),
	  .max = 10000,
	  .summary = "processor scheduling weight, 100 is usual, 0 the default" },
	{ VM "cpugroup.id", VALUE_STRING, LATER(cpu_group), .deflt = "",
	  .not_migratable = "it is an id of the source host",
	  .summary = "processor group of the host that the sandbox runs in" },
	{ VM "resource-partition-id", VALUE_STRING, IS(resource_partition),
	  .deflt = "",
	  .not_migratable = "it is an id of the source host",
	  .summary = "resource partition of the host, a GUID" },

	/* Memory. */
	{ TOPOLOGY "memory.sizeinmb", VALUE_UINT64, IS(memory_text),
	  .deflt_note = "runtime option vm_memory_size_in_mb, else 1024",
	  .min = 64, .max = 1u << 24,
	  .summary = "memory in MiB, rounded up to an even number" },
	{ TOPOLOGY "memory.lowmmiogapinmb", VALUE_UINT64, IS(low_mmio_gap_mib),
	  .summary = "size of the MMIO gap below 4 GiB, MiB, 0 is the default" },
	{ TOPOLOGY "memory.highmmiobaseinmb", VALUE_UINT64,
	  IS(high_mmio_base_mib),
	  .summary = "start of the MMIO gap above 4 GiB, MiB, 0 is the default" },
	{ TOPOLOGY "memory.highmmiogapinmb", VALUE_UINT64,
	  IS(high_mmio_gap_mib),
	  .summary = "size of the MMIO gap above 4 GiB, MiB, 0 is the default" },
	{ TOPOLOGY "memory.allowovercommit", VALUE_BOOL, IS(allow_overcommit),
	  .deflt = "true",
	  .summary = "false: all memory is physically backed from the start" },
	{ VM "fullyphysicallybacked", VALUE_BOOL, IS(fully_physically_backed),
	  .summary = "physical backing for all memory, later devices included" },
	{ TOPOLOGY "memory.enabledeferredcommit", VALUE_BOOL,
	  IS(deferred_commit),
	  .summary = "commit memory when it is first touched" },
	{ TOPOLOGY "memory.enablecolddiscardhint", VALUE_BOOL,
	  IS(cold_discard_hint),
	  .summary = "let the host trim memory that the guest says is cold" },

	/* NUMA. */
	{ TOPOLOGY "processor.numa.max-processors-per-node", VALUE_UINT32,
	  IS(numa_max_processors),
	  .summary = "implicit NUMA: most processors in a virtual node" },
	{ TOPOLOGY "processor.numa.max-size-per-node", VALUE_UINT64,
	  IS(numa_max_size_mib),
	  .summary = "implicit NUMA: most memory in a virtual node, MiB" },
	{ TOPOLOGY "numa.preferred-physical-nodes", VALUE_UINT32_LIST,
	  IS(numa_preferred),
	  .not_migratable = "it names nodes of the source host",
	  .summary = "implicit NUMA: nodes of the host to prefer" },
	{ TOPOLOGY "numa.mapped-physical-nodes", VALUE_UINT32_LIST,
	  IS(numa_mapped),
	  .not_migratable = "it names nodes of the source host",
	  .summary = "explicit NUMA: node of the host for each virtual node, 255 is any" },
	{ TOPOLOGY "numa.count-of-processors", VALUE_UINT32_LIST,
	  IS(numa_processors),
	  .summary = "explicit NUMA: processors of each virtual node" },
	{ TOPOLOGY "numa.count-of-memory-blocks", VALUE_UINT64_LIST,
	  IS(numa_memory_blocks),
	  .summary = "explicit NUMA: memory of each virtual node, MiB" },

	/* Storage. */
	{ VM "storageqos.iopsmaximum", VALUE_INT32, LATER(iops_maximum),
	  .max = INT32_MAX,
	  .summary = "most input and output operations a second, 0 no limit" },
	{ VM "storageqos.bandwidthmaximum", VALUE_INT32, LATER(bandwidth_maximum),
	  .max = INT32_MAX,
	  .summary = "most bytes a second to and from disks, 0 no limit" },

	/* Boot. */
	{ VM "bootfilesrootpath", VALUE_STRING, LATER(boot_files_root),
	  .deflt = "", .deflt_note = "runtime option boot_files_root_path",
	  .summary = "directory of kernel and root file systems" },
	{ LCOW "kerneldirectboot", VALUE_BOOL, IS(kernel_direct_text),
	  .deflt = "true",
	  .summary = "boot the kernel directly; false: through UEFI" },
	{ LCOW "preferredrootfstype", VALUE_STRING, IS(rootfs_type),
	  .deflt = "",
	  .summary = "initrd or vhd; empty: rootfs.vhd if it exists, else initrd.img" },
	{ LCOW "kernelbootoptions", VALUE_STRING, IS(kernel_boot_options),
	  .deflt = "",
	  .summary = "further words for the kernel" },
	{ LCOW "dmverity-mode", VALUE_BOOL, IS(dmverity),
	  .summary = "protect rootfs.vhd by dm-verity" },
	{ LCOW "dmverity-create-args", VALUE_STRING, IS(dmverity_args),
	  .deflt = "",
	  .summary = "device-mapper table for dmverity-mode" },
	{ LCOW "vpcienabled", VALUE_BOOL, IS(vpci),
	  .not_migratable = "assigned devices have no state to transfer",
	  .summary = "leave out pci=off, for assigned devices" },
	{ LCOW "writable-overlay-directories", VALUE_BOOL,
	  IS(writable_overlay),
	  .summary = "writable overlays on /etc and /var of rootfs.vhd" },
	{ LCOW "timesync.disable", VALUE_BOOL, IS(no_time_sync),
	  .summary = "the agent does not follow the clock of the host" },
	{ "io.microsoft.container.processdumplocation", VALUE_STRING,
	  .scope = SCOPE_BOTH, IS(dump_location), .deflt = "",
	  .summary = "where core dumps go in the guest, an absolute path" },
	{ LCOW "extra-exec-command-args", VALUE_STRING, IS(agent_args),
	  .deflt = "",
	  .summary = "further flags for the agent; not those that say where "
		     "its log and its bridge go" },

	/* Flags. */
	{ LCOW "network.policybasedrouting", VALUE_BOOL,
	  IS(policy_based_routing),
	  .summary = "route by policy in the guest" },
	{ VM "fileshares.disablewritable", VALUE_BOOL,
	  IS(no_writable_file_shares),
	  .summary = "refuse shares of the host that are writable" },
	{ LCOW "securitypolicy", VALUE_STRING, .scope = SCOPE_BOTH,
	  IS(security_policy), .deflt = "",
	  .summary = "base64 of the policy of a confidential sandbox" },
	{ VM "storage.scratch.encrypted", VALUE_BOOL, IS(scratch_encryption),
	  .deflt_note = "true with a security policy, else false",
	  .summary = "encrypt scratch disks" },
	{ "io.microsoft.migration.support-enabled", VALUE_BOOL,
	  IS(migration_support),
	  .summary = "the sandbox may migrate to another host" },
	{ "io.microsoft.migration.allowed", VALUE_BOOL, IS(migration_allowed),
	  .summary = "older name of io.microsoft.migration.support-enabled" },

	/* Confidential. */
	{ LCOW "enforcer", VALUE_STRING, IS(enforcer), .deflt = "rego",
	  .summary = "what enforces the security policy" },
	{ LCOW "uvm-reference-info-file", VALUE_STRING, IS(reference_info),
	  .deflt = "reference_info.cose",
	  .summary = "signed measurements of the guest" },
	{ VM "uvm-hash-envelope-reference-info-file", VALUE_STRING,
	  IS(hash_envelope), .deflt = "reference_info_hash_envelope.cose",
	  .summary = "signed measurements of the guest, as a hash envelope" },
	{ VM "no_security_hardware", VALUE_BOOL, IS(no_security_hardware),
	  .summary = "keep the security policy, boot without the hardware" },
	{ LCOW "gueststatefile", VALUE_STRING, IS(guest_state),
	  .deflt = "kernel.vmgs",
	  .summary = "guest state file of a confidential sandbox" },
	{ LCOW "dmverity-rootfs-vhd", VALUE_STRING, IS(dmverity_vhd),
	  .deflt = "rootfs.vhd",
	  .summary = "root file system of a confidential sandbox" },
	{ LCOW "hcl-enabled", VALUE_NULLABLE_BOOL, IS(hcl),
	  .summary = "run the host compatibility layer" },
	{ LCOW "extra-vsock-ports", VALUE_UINT32_LIST, IS(extra_vsock_ports),
	  .min = 1, .max = 0xfffffffe,
	  .not_migratable = "the destination does not know the ports",
	  .summary = "further ports from guest to host, confidential only" },

	/* Devices, sockets, console. */
	{ VM "devices.virtualpmem.maximumcount", VALUE_UINT32,
	  IS(vpmem_count),
	  .not_migratable = "vPMem is not supported",
	  .summary = "number of vPMem devices; they are not supported" },
	{ VM "devices.virtualpmem.maximumsizebytes", VALUE_UINT64,
	  BY(USE_UNREAD), .summary = "size of vPMem devices; not read" },
	{ VM "hv-socket.service-table.", VALUE_STRING, BY(USE_PREFIX),
	  .locked = true,
	  .not_migratable = "the destination does not know the service",
	  .summary = "followed by a GUID: JSON settings of one socket service" },
	{ VM "console.pipe", VALUE_STRING, IS(console_pipe), .deflt = "",
	  .not_migratable = "the pipe is local to the source host",
	  .summary = "named pipe of the serial console" },

	/* Refused, unread, expanding. */
	{ "io.microsoft.network.ncproxy", VALUE_STRING, BY(USE_REFUSED),
	  .summary = "network proxy; not supported" },
	{ LCOW "vpmem.nomultimapping", VALUE_STRING, BY(USE_REFUSED),
	  .summary = "vPMem; not supported" },
	{ VM "kerneldrivers", VALUE_STRING, .scope = SCOPE_BOTH,
	  BY(USE_REFUSED), .summary = "kernel drivers; not supported" },
	{ VM "dump-directory-path", VALUE_STRING, BY(USE_UNREAD),
	  .summary = "not read" },
	{ LCOW "amd-certificate", VALUE_STRING, BY(USE_UNREAD),
	  .summary = "not read" },
	{ "io.microsoft.cri.tenant-sandbox-id", VALUE_STRING, BY(USE_UNREAD),
	  .summary = "not read" },
	{ "io.microsoft.lcow.gpuvhdpath", VALUE_STRING, BY(USE_UNREAD),
	  .summary = "not read" },
	{ "io.microsoft.disable-unsafe-operations", VALUE_BOOL,
	  BY(USE_EXPANDS), .scope = SCOPE_BOTH,
	  .summary = "writes its own text to four annotations" },
	{ "io.microsoft.container.wcow.gmsa.disable", VALUE_BOOL, GUEST,
	  .scope = SCOPE_BOTH, .summary = "Windows only" },
	{ VM "wcow.virtualSMB.nodirectmap", VALUE_BOOL, GUEST,
	  .scope = SCOPE_BOTH, .summary = "Windows only" },
	{ "microsoft.com/disable-hostprocess-container", VALUE_BOOL, GUEST,
	  .scope = SCOPE_BOTH, .summary = "Windows only" },
	{ "microsoft.com/hostprocess-container", VALUE_BOOL, GUEST,
	  .scope = SCOPE_BOTH, .summary = "Windows only" },

	/* Container. */
	{ CRI "container-type", VALUE_STRING, GUEST, .scope = SCOPE_BOTH,
	  .summary = "sandbox or container" },
	{ CRI "sandbox-id", VALUE_STRING, GUEST, .scope = SCOPE_BOTH,
	  .summary = "id of the sandbox, required with container-type" },
	{ "io.microsoft.cri.virtual-pod-id", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER, .summary = "pod within the sandbox" },
	{ "io.microsoft.cri.skip-pod-networking", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER,
	  .summary = "true in any case: no network set-up for the pod" },
	{ "io.microsoft.lcow.rlimitcore", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER,
	  .summary = "soft;hard limit of core dumps, bytes" },
	{ "io.microsoft.lcow.shm.size-kb", VALUE_UINT64, GUEST,
	  .scope = SCOPE_CONTAINER, .min = 1, .max = UINT64_MAX,
	  .summary = "size of /dev/shm, KiB" },
	{ LCOW "privileged", VALUE_BOOL, GUEST, .scope = SCOPE_CONTAINER,
	  .summary = "privileged container" },
	{ LCOW "hostnetwork", VALUE_BOOL, GUEST, .scope = SCOPE_CONTAINER,
	  .summary = "the network namespace of the guest itself" },
	{ "io.ferry.vsock", VALUE_BOOL, GUEST, .scope = SCOPE_CONTAINER,
	  .summary = "the container may use AF_VSOCK" },
	{ "io.ferry.network.adapters", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER,
	  .summary = "network cards of the pod that the container begins, JSON" },
	{ LCOW "securitypolicy.env", VALUE_BOOL, GUEST,
	  .scope = SCOPE_CONTAINER, .deflt = "true",
	  .summary = "tell the container the security policy" },
	{ "io.microsoft.container.lcow.tee-log-path", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER,
	  .summary = "file that also receives the container's output" },
	{ "io.microsoft.container.lcow.tee-log-dir-mount", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER,
	  .summary = "where the log directory appears in the container" },
	{ "io.microsoft.container.gpu.capabilities", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER,
	  .not_migratable = "a GPU has no state to transfer",
	  .summary = "capabilities of the GPU" },
	{ "io.microsoft.migration.source-container-id", VALUE_STRING, GUEST,
	  .scope = SCOPE_CONTAINER,
	  .summary = "the container arrives from another host" },
};
/* clang-format on */

const size_t annotation_rows_n = ARRAY_LEN(annotation_rows);

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

const struct annotation_row *annotation_find(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(annotation_rows); i++) {
		const struct annotation_row *row = &annotation_rows[i];

		if (row->use == USE_PREFIX ? begins(key, row->key)
					   : strcmp(key, row->key) == 0)
			return row;
	}
	return NULL;
}

bool annotation_is_ours(const char *key)
{
	static const char *const prefixes[] = { VM,
						"io.microsoft.container.",
						"io.microsoft.cri.",
						"io.microsoft.lcow.",
						"io.microsoft.migration.",
						"io.microsoft.network.",
						"io.microsoft.disable-" };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (begins(key, prefixes[i]))
			return true;
	return false;
}

int annotations_merge(struct annotation_map *m,
		      const struct annotation_map *defaults, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < defaults->n && r == 0; i++)
		if (!annotation_map_get(m, defaults->item[i].key))
			r = annotation_map_set(m, defaults->item[i].key,
					       defaults->item[i].value, e);
	return r;
}

#define UNSAFE "io.microsoft.disable-unsafe-operations"
#define NO_HOST_PROCESS "microsoft.com/disable-hostprocess-container"
#define HOST_PROCESS "microsoft.com/hostprocess-container"

/* The bool of a text; return: false when it is none. */
static bool read_bool(const char *text, bool *ret)
{
	struct arena none;

	arena_init(&none, 0); /* a bool allocates nothing */
	return value_parse(VALUE_BOOL, text, &none, ret) == 0;
}

static bool is_true(const struct annotation_map *m, const char *key)
{
	const char *text = annotation_map_get(m, key);
	bool value = false;

	return text && read_bool(text, &value) && value;
}

static bool same_meaning(const char *a, const char *b)
{
	bool one, other;

	return read_bool(a, &one) && read_bool(b, &other) && one == other;
}

/* Writes one target; *@conflict is set to a target that says otherwise. */
static int expand_to(struct annotation_map *m, const char *target,
		     const char *value, bool by_meaning, struct notes *notes,
		     struct arena *a, const char **conflict, struct err *e)
{
	const char *old = annotation_map_get(m, target);

	if (old) {
		if (strcmp(old, value) != 0 &&
		    !(by_meaning && same_meaning(old, value)) && !*conflict)
			*conflict = target;
		return 0;
	}
	if (notes)
		notes_add(notes, a, NOTE_EXPANDED, ERR_NONE, target,
			  "written by %s", UNSAFE);
	return annotation_map_set(m, target, value, e);
}

int annotations_expand(struct annotation_map *m, bool by_meaning,
		       struct notes *notes, struct arena *a, struct err *e)
{
	static const char *const targets[] = {
		"io.microsoft.container.wcow.gmsa.disable",
		VM "fileshares.disablewritable",
		VM "wcow.virtualSMB.nodirectmap",
		NO_HOST_PROCESS,
	};
	const char *value = annotation_map_get(m, UNSAFE);
	const char *conflict = NULL;
	int r;

	for (size_t i = 0; value && i < ARRAY_LEN(targets); i++) {
		r = expand_to(m, targets[i], value, by_meaning, notes, a,
			      &conflict, e);
		if (r < 0)
			return r;
	}
	if (conflict)
		return err_class(e, ERR_ANNOTATION_CONFLICT,
				 "%s is written by " UNSAFE
				 " and has another value of its own",
				 conflict);
	if (is_true(m, NO_HOST_PROCESS) && is_true(m, HOST_PROCESS))
		return err_class(e, ERR_ANNOTATION_CONFLICT,
				 HOST_PROCESS " and " NO_HOST_PROCESS
					      " are both true");
	return 0;
}

int annotations_refuse(const struct annotation_map *m, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(annotation_rows); i++) {
		const struct annotation_row *row = &annotation_rows[i];
		const char *value;

		if (row->use != USE_REFUSED)
			continue;
		value = annotation_map_get(m, row->key);
		if (value && *value != '\0')
			return err_class(e, ERR_ANNOTATION_UNSUPPORTED,
					 "%s is not supported any more",
					 row->key);
	}
	return 0;
}
