/*
 * config/boot.h - which kernel and root file system a sandbox boots; pure.
 * Source: shared specification cmdline.md 4.5.
 */
#ifndef FERRY_CONFIG_BOOT_H
#define FERRY_CONFIG_BOOT_H

#include "config/err.h"
#include "config/options.h"

/**
 * boot_choose() - fill @o->kernel_direct, @o->kernel and @o->rootfs
 * @o:		options whose annotations have been read
 * @r:		what the caller asks for and which files exist
 * @e:		boot-path-missing, kernel-missing, rootfs-type-invalid,
 *		rootfs-missing, in this order
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int boot_choose(struct sandbox_options *o, const struct runtime_options *r,
		struct err *e);

#endif
