#include "config/effect.h"

#include <stddef.h>
#include <string.h>

#include "config/annotations.h"
#include "config/util.h"

typedef bool idle_fn(const struct sandbox_options *o,
		     const struct runtime_options *r);

static bool has_hardware(const struct sandbox_options *o,
			 const struct runtime_options *r UNUSED)
{
	return o->hardware_confidential;
}

static bool no_hardware(const struct sandbox_options *o,
			const struct runtime_options *r UNUSED)
{
	return !o->hardware_confidential;
}

static bool no_policy(const struct sandbox_options *o,
		      const struct runtime_options *r UNUSED)
{
	return *o->security_policy == '\0';
}

static bool no_disk(const struct sandbox_options *o,
		    const struct runtime_options *r UNUSED)
{
	return strcmp(o->rootfs, ROOTFS_VHD) != 0;
}

static bool no_verity(const struct sandbox_options *o,
		      const struct runtime_options *r UNUSED)
{
	return !o->dmverity;
}

static bool boot_given(const struct sandbox_options *o UNUSED,
		       const struct runtime_options *r)
{
	return r->kernel_direct != TRI_UNSET;
}

static bool rootfs_given(const struct sandbox_options *o UNUSED,
			 const struct runtime_options *r)
{
	return r->rootfs != NULL;
}

static bool is_implicit(const struct sandbox_options *o,
			const struct runtime_options *r UNUSED)
{
	return o->numa == NUMA_IMPLICIT;
}

static bool is_explicit(const struct sandbox_options *o,
			const struct runtime_options *r UNUSED)
{
	return o->numa == NUMA_EXPLICIT;
}

static bool all_backed(const struct sandbox_options *o,
		       const struct runtime_options *r UNUSED)
{
	return o->fully_physically_backed;
}

static bool on_qemu(const struct sandbox_options *o,
		    const struct runtime_options *r UNUSED)
{
	return o->profile == PROFILE_QEMU && o->pci_bus;
}

static bool is_compat(const struct sandbox_options *o,
		      const struct runtime_options *r UNUSED)
{
	return o->strictness == COMPAT;
}

#define AT(m) offsetof(struct sandbox_options, m)
#define HARDWARE has_hardware, "a confidential sandbox boots its measured image"
#define NO_POLICY no_policy, "there is no security policy"
#define NO_HARDWARE                                                            \
	no_hardware, "only a confidential sandbox with hardware has it"
#define NO_DISK no_disk, "the root file system is not rootfs.vhd"
#define IMPLICIT                                                               \
	is_implicit, "max-processors-per-node decides, so NUMA is implicit"

/* The first reason that holds is told. */
/* clang-format off */
static const struct {
	size_t member;
	idle_fn *idle;
	const char *why;
} rows[] = {
	{ AT(numa_max_processors), HARDWARE },
	{ AT(numa_max_size_mib), HARDWARE },
	{ AT(numa_preferred), HARDWARE },
	{ AT(numa_mapped), HARDWARE },
	{ AT(numa_processors), HARDWARE },
	{ AT(numa_memory_blocks), HARDWARE },
	{ AT(allow_overcommit), HARDWARE },
	{ AT(kernel_direct_text), HARDWARE },
	{ AT(rootfs_type), HARDWARE },
	{ AT(kernel_boot_options), HARDWARE },
	{ AT(dmverity), HARDWARE },
	{ AT(dmverity_args), HARDWARE },
	{ AT(vpci), HARDWARE },
	{ AT(writable_overlay), HARDWARE },
	{ AT(no_time_sync), HARDWARE },
	{ AT(dump_location), HARDWARE },
	{ AT(agent_args), HARDWARE },
	{ AT(console_pipe), HARDWARE },

	{ AT(enforcer), NO_POLICY },
	{ AT(reference_info), NO_POLICY },
	{ AT(hash_envelope), NO_POLICY },
	{ AT(no_security_hardware), NO_POLICY },
	{ AT(guest_state), NO_HARDWARE },
	{ AT(dmverity_vhd), NO_HARDWARE },
	{ AT(hcl), NO_HARDWARE },
	{ AT(extra_vsock_ports), NO_HARDWARE },

	{ AT(dmverity), NO_DISK },
	{ AT(dmverity_args), NO_DISK },
	{ AT(writable_overlay), NO_DISK },
	{ AT(dmverity_args), no_verity, "dmverity-mode is not on" },
	{ AT(kernel_direct_text), boot_given,
	  "the option for the boot mode decides" },
	{ AT(rootfs_type), rootfs_given,
	  "the option for the root file system decides" },
	{ AT(vpci), on_qemu, "under QEMU there is no pci=off to leave out" },
	{ AT(allow_overcommit), all_backed, "fullyphysicallybacked decides" },
	{ AT(numa_mapped), IMPLICIT },
	{ AT(numa_processors), IMPLICIT },
	{ AT(numa_memory_blocks), IMPLICIT },
	{ AT(numa_preferred), is_explicit,
	  "mapped-physical-nodes decides, so NUMA is explicit" },
	{ AT(numa_max_size_mib), is_explicit,
	  "mapped-physical-nodes decides, so NUMA is explicit" },
	{ AT(migration_allowed), is_compat,
	  "compat mode knows only the newer name" },
};
/* clang-format on */

static const char *reason(const struct sandbox_options *o,
			  const struct runtime_options *r, size_t member)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].member == member && rows[i].idle(o, r))
			return rows[i].why;
	return NULL;
}

void effect_note(struct sandbox_options *o, const struct annotation_map *a,
		 const struct runtime_options *r)
{
	for (size_t i = 0; i < annotation_rows_n; i++) {
		const struct annotation_row *row = &annotation_rows[i];
		const char *why;

		if (row->use != USE_MEMBER || !annotation_map_get(a, row->key))
			continue;
		why = reason(o, r, row->member);
		if (why)
			notes_add(&o->notes, &o->arena, NOTE_IGNORED, ERR_NONE,
				  row->key, "no effect: %s", why);
	}
}
