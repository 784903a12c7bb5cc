#include "config/boot.h"

#include <errno.h>
#include <string.h>

/* Whether a file exists; @unknown is the answer when nobody can tell. */
static bool exists(const struct sandbox_options *o,
		   const struct runtime_options *r, const char *name,
		   bool unknown)
{
	if (!r->boot_file)
		return unknown;
	return r->boot_file(r->boot_ctx, o->boot_files_root, name);
}

static int choose_kernel(struct sandbox_options *o,
			 const struct runtime_options *r, struct err *e)
{
	o->kernel = "kernel";
	if (o->kernel_direct && exists(o, r, "vmlinux", true))
		o->kernel = "vmlinux";
	else if (!exists(o, r, "kernel", true))
		return err_class(e, ERR_KERNEL_MISSING,
				 "the boot directory has no kernel to boot %s",
				 o->kernel_direct ? "directly" : "with UEFI");
	return 0;
}

static int choose_rootfs(struct sandbox_options *o,
			 const struct runtime_options *r, struct err *e)
{
	if (r->rootfs) {
		o->rootfs = arena_strn(&o->arena, r->rootfs, strlen(r->rootfs));
		return o->rootfs ? 0 : err_set(e, ENOMEM, "no memory");
	}
	if (*o->rootfs_type == '\0') {
		/* The reference does not look whether initrd.img exists. */
		o->rootfs = exists(o, r, ROOTFS_VHD, false) ? ROOTFS_VHD
							    : ROOTFS_INITRD;
		if (o->strictness == COMPAT)
			return 0;
	} else if (strcmp(o->rootfs_type, "initrd") == 0) {
		o->rootfs = ROOTFS_INITRD;
	} else if (strcmp(o->rootfs_type, "vhd") == 0) {
		o->rootfs = ROOTFS_VHD;
	} else {
		return err_class(e, ERR_ROOTFS_TYPE_INVALID,
				 "the preferred root file system type is "
				 "neither initrd nor vhd");
	}

	if (!exists(o, r, o->rootfs, true))
		return err_class(e, ERR_ROOTFS_MISSING,
				 "the boot directory has no %s", o->rootfs);
	return 0;
}

int boot_choose(struct sandbox_options *o, const struct runtime_options *r,
		struct err *e)
{
	int rc;

	if (!exists(o, r, NULL, true))
		return err_class(e, ERR_BOOT_PATH_MISSING,
				 "the directory of the boot files is missing");

	o->kernel_direct = r->kernel_direct == TRI_UNSET
				   ? o->kernel_direct_text
				   : r->kernel_direct == TRI_TRUE;
	if (o->kernel_direct && o->strictness == STRICT &&
	    o->profile == PROFILE_HYPERV &&
	    strcmp(o->architecture, "arm64") == 0)
		return err_class(e, ERR_KERNEL_DIRECT_UNSUPPORTED,
				 "a kernel for arm64 is started through UEFI");
	rc = choose_kernel(o, r, e);
	return rc < 0 ? rc : choose_rootfs(o, r, e);
}
