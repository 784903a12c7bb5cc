/*
 * initramfs/vmlinux.h - the uncompressed kernel inside a bzImage; pure
 *
 * A machine that enters vmlinux by its PVH note starts 0.25 s sooner than one
 * that unpacks the bzImage under emulation. Formats: Linux,
 * Documentation/arch/x86/boot.rst (setup header); LZ4 legacy frames; xz.
 */
#ifndef FERRY_INITRAMFS_VMLINUX_H
#define FERRY_INITRAMFS_VMLINUX_H

#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

/* Bytes of a bzImage, and of the kernel in it (Debian: 14 and 53 MB). */
#define VMLINUX_PACKED_MAX ((size_t)128 * 1024 * 1024)
#define VMLINUX_MAX ((size_t)512 * 1024 * 1024)

/**
 * struct vmlinux_payload - where the packed kernel lies
 * @at:		offset in the bzImage
 * @len:	bytes, without the size behind them
 * @unpacked:	the bytes that it unpacks to, from that size
 */
struct vmlinux_payload {
	size_t at;
	size_t len;
	size_t unpacked;
};

/**
 * vmlinux_find() - read a bzImage's header
 * @image:	@len bytes, borrowed
 * @ret:	written on success only
 * @e:		reason
 *
 * Return: 0, -EINVAL (no bzImage, or its header points outside of it), -E2BIG
 */
int vmlinux_find(const void *image, size_t len, struct vmlinux_payload *ret,
		 struct err *e);

/**
 * vmlinux_unpack() - the kernel in a bzImage
 * @image:	@len bytes, borrowed
 * @ret:	receives an ELF file on the heap, the caller's
 * @ret_len:	receives its size
 * @e:		reason
 *
 * Return: 0, -EINVAL (no bzImage, damaged), -ENOTSUP (a compression other than
 * lz4 and xz), -E2BIG, -ENOMEM
 */
int vmlinux_unpack(const void *image, size_t len, void **ret, size_t *ret_len,
		   struct err *e);

#endif
