/*
 * config/options.h - everything that shapes one utility VM, typed and checked
 *
 * Annotations and runtime options go in, struct sandbox_options comes out. It
 * is what the line builder, the VMM driver and `ferry run` work from; nobody
 * behind this header reads an annotation text.
 *
 *	struct sandbox_options o;
 *	sandbox_options_init(&o);
 *	r = sandbox_options_build(&o, &annotations, &runtime, e);
 *	r = cmdline_build(&o, line, sizeof(line), e);	(cmdline/build.h)
 *	... o.processor_count, o.memory_mib ...
 *	sandbox_options_done(&o);
 *
 * Source: shared specification cmdline.md 3 to 5, 11, 12.
 */
#ifndef FERRY_CONFIG_OPTIONS_H
#define FERRY_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/annotation_map.h"
#include "config/arena.h"
#include "config/err.h"
#include "config/notes.h"
#include "config/value.h"

/* The root file systems that the builder knows by name. */
#define ROOTFS_INITRD "initrd.img"
#define ROOTFS_VHD "rootfs.vhd"

enum line_profile {
	PROFILE_QEMU = 0, /* cmdline.md 13 */
	PROFILE_HYPERV,	  /* cmdline.md 6, byte for byte */
};

enum strictness {
	STRICT = 0, /* cmdline.md 12: whatever is doubtful is an error */
	COMPAT,	    /* the reference, its leniency and silence included */
};

/* How the log output of the agent leaves the guest (cmdline.md 6.3). */
enum log_forwarder {
	FORWARDER_CLASSIC = 0, /* vsockexec dials port 109 once */
	FORWARDER_MIGRATABLE,  /* no wrapper; PID 1 keeps the log */
	FORWARDER_RELAY,       /* vsockexec -r, redials */
	FORWARDERS,	       /* number of modes; as a request: not asked */
};

enum numa_kind {
	NUMA_NONE = 0,
	NUMA_IMPLICIT, /* limits of a node, the platform divides */
	NUMA_EXPLICIT, /* node i: numa_mapped, numa_processors, ... item i */
};

/* One assigned device of the host. */
struct sandbox_device {
	const char *id; /* "<instance path>" or "<path>/<function>" */
	const char *type;
};

/*
 * Does the boot directory @root hold a file @name? A NULL @name asks for the
 * directory itself; an empty @root is the built-in directory.
 */
typedef bool boot_file_fn(void *ctx, const char *root, const char *name);

/*
 * Are these good settings of a socket service (a JSON object)? A caller that
 * reads JSON provides it; this room does not.
 */
typedef bool service_json_fn(const char *text);

/**
 * struct runtime_options - what the caller knows besides the annotations
 * @platform:	"linux/amd64" or "linux/arm64", any case; NULL: linux/amd64
 * @log_level:	of the agent; NULL or "": unset (info)
 * @scrub_logs:	TRI_UNSET leaves the agent's default
 * @processor_count: default for the annotation, 0: unset
 * @memory_mib:	default for the annotation, 0: unset
 * @host_processors: upper limit of processors, 0: unknown, no limit
 * @defaults:	annotations that hold where the sandbox has none; NULL: none
 * @profile:	whose words
 * @strictness:	how doubtful input is met
 * @forwarder:	asked for, FORWARDERS: let the migration annotation decide
 * @console:	serial console asked for (`--console`)
 * @console_may_stay: a migratable sandbox may have a console pipe all the
 *		same; it ends on the source host
 * @unknown_is_error: strict: a key with a known prefix that is not in the
 *		catalogue is an error and not a warning
 * @kernel_direct: TRI_UNSET: annotation or platform decide
 * @rootfs:	base name, NULL: annotation or files decide
 * @boot_file:	tells whether a boot file exists; NULL: not known, then
 *		nothing is checked for existence
 * @boot_ctx:	passed to @boot_file
 * @service_json: judges the settings of a socket service, NULL: nobody does
 * @devices:	assigned devices
 * @n_devices:	entries of @devices
 */
struct runtime_options {
	const char *platform;
	const char *log_level;
	enum tristate scrub_logs;
	int32_t processor_count;
	int32_t memory_mib;
	uint32_t host_processors;
	const struct annotation_map *defaults;
	enum line_profile profile;
	enum strictness strictness;
	enum log_forwarder forwarder;
	bool console;
	bool console_may_stay;
	bool unknown_is_error;
	enum tristate kernel_direct;
	const char *rootfs;
	boot_file_fn *boot_file;
	void *boot_ctx;
	service_json_fn *service_json;
	const struct sandbox_device *devices;
	size_t n_devices;
};

/* Runtime options of a caller that has nothing to say. */
#define RUNTIME_OPTIONS_DEFAULT                                                \
	{                                                                      \
		.forwarder = FORWARDERS                                        \
	}

/**
 * struct sandbox_options - the result; strings live until
 * sandbox_options_done(), none is NULL unless said
 *
 * The first part is what most callers want. The second part has one member for
 * each annotation of the catalogue (config/annotations.h), as it was written;
 * where a rule makes another value of it, that value is in the first part.
 */
struct sandbox_options {
	enum line_profile profile;
	enum strictness strictness;
	enum log_forwarder forwarder;
	bool migratable;

	uint32_t processor_count; /* -smp and nr_cpus= */
	uint64_t memory_mib;	  /* aligned to 2 MiB */
	bool overcommit;	  /* memory is not physically backed */
	const char *architecture; /* "amd64" or "arm64" */
	enum numa_kind numa;
	struct string_list assigned; /* "path#function", sorted */
	struct string_list services; /* GUIDs of socket services, sorted */
	bool hardware_confidential;  /* the line is inside the measured image */

	bool kernel_direct;    /* false: UEFI */
	const char *kernel;    /* file name in the boot directory, "" none */
	const char *rootfs;    /* base name, for example "initrd.img" */
	bool console;	       /* serial console and a shell on it */
	const char *log_level; /* "" unset */
	enum tristate scrub_logs;

	/* Profile qemu only; sandbox_options_init() sets them. */
	const char *root_device;    /* "/dev/sda"; virtio-blk: "/dev/vda" */
	const char *console_device; /* "ttyS0,115200" or "hvc0" */
	bool pci_bus;		    /* false: microvm, where pci=off is fine */

	/* Processor, 4.1. */
	int32_t count_text; /* annotation or runtime option, before the rules */
	int32_t processor_limit;
	int32_t processor_weight;
	const char *cpu_group;
	const char *resource_partition;

	/* Memory, 4.2, MiB. */
	uint64_t memory_text;
	uint64_t low_mmio_gap_mib;
	uint64_t high_mmio_base_mib;
	uint64_t high_mmio_gap_mib;
	bool allow_overcommit;
	bool fully_physically_backed;
	bool deferred_commit;
	bool cold_discard_hint;

	/* NUMA, 4.3. */
	uint32_t numa_max_processors;
	uint64_t numa_max_size_mib;
	struct u32_list numa_preferred;
	struct u32_list numa_mapped;
	struct u32_list numa_processors;
	struct u64_list numa_memory_blocks;

	/* Storage, 4.4. */
	int32_t iops_maximum;
	int32_t bandwidth_maximum;

	/* Boot, 4.5. */
	const char *boot_files_root;
	bool kernel_direct_text;
	const char *rootfs_type;
	const char *kernel_boot_options;
	bool dmverity;
	const char *dmverity_args;
	bool vpci;
	bool writable_overlay;
	bool no_time_sync;
	const char *dump_location;
	const char *agent_args;

	/* Sandbox flags, 4.6. */
	bool policy_based_routing;
	bool no_writable_file_shares;
	bool scratch_encryption;
	bool migration_support;
	bool migration_allowed;

	/* Confidential, 4.7. */
	const char *security_policy;
	const char *enforcer;
	const char *reference_info;
	const char *hash_envelope;
	bool no_security_hardware;
	const char *guest_state;
	const char *dmverity_vhd;
	enum tristate hcl;
	struct u32_list extra_vsock_ports;

	/* Devices and sockets, 4.8, 4.9. */
	uint32_t vpmem_count;
	const char *console_pipe;

	struct notes notes;
	struct arena arena;
};

/** sandbox_options_init() - every default of the catalogue, no annotation */
void sandbox_options_init(struct sandbox_options *o);

/** sandbox_options_done() - release what it owns; usable again after init */
void sandbox_options_done(struct sandbox_options *o);

/**
 * sandbox_options_build() - annotations and runtime options into @o
 * @o:		initialised; on failure only @o->notes is of use
 * @a:		annotations of the sandbox; borrowed for the call
 * @r:		runtime options; borrowed for the call
 * @e:		first error in the order of cmdline.md 3, with its class
 *
 * Return: 0, -EINVAL (input; the class tells), -ENOMEM
 */
int sandbox_options_build(struct sandbox_options *o,
			  const struct annotation_map *a,
			  const struct runtime_options *r, struct err *e);

/**
 * sandbox_options_read() - only the catalogue's rows: each annotation into its
 * member, no rule that looks at two of them. For callers that set the first
 * part of @o themselves.
 * @o:		initialised, with @o->strictness set
 * @a:		annotations; borrowed for the call
 * @e:		strict mode: annotation-malformed, annotation-range
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int sandbox_options_read(struct sandbox_options *o,
			 const struct annotation_map *a, struct err *e);

/** log_forwarder_name() - "classic", "migratable", "relay" */
const char *log_forwarder_name(enum log_forwarder f);

/**
 * log_forwarder_find() - the mode of a printed name
 *
 * Return: the mode, FORWARDERS when there is none of that name
 */
enum log_forwarder log_forwarder_find(const char *name);

#endif
