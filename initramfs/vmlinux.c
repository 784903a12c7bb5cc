#include "initramfs/vmlinux.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <lzma.h>

#include "config/num.h"

/* Offsets of the setup header's fields, and what they must hold. */
#define SETUP_SECTS 0x1f1
#define BOOT_FLAG 0x1fe
#define MAGIC 0x202
#define VERSION 0x206
#define PAYLOAD_AT 0x248
#define PAYLOAD_LEN 0x24c
#define HEADER_END 0x250
#define SECTOR 512
/* 0 in SETUP_SECTS stands for this, from the days of floppy disks. */
#define SETUP_SECTS_DEFAULT 4
/* The first protocol version that has the payload's fields. */
#define VERSION_MIN 0x0208

/* One block of an LZ4 legacy frame unpacks to this at most. */
#define LZ4_BLOCK_MAX ((size_t)8 * 1024 * 1024)
/* Memory that the xz decoder may take; the kernel's dictionary is 32 MiB. */
#define XZ_MEMORY_MAX ((size_t)256 * 1024 * 1024)

static const uint8_t lz4_magic[] = { 0x02, 0x21, 0x4c, 0x18 };
static const uint8_t xz_magic[] = { 0xfd, '7', 'z', 'X', 'Z', 0 };

int vmlinux_find(const void *image, size_t len, struct vmlinux_payload *ret,
		 struct err *e)
{
	const uint8_t *p = image;
	size_t sects;
	size_t at;
	size_t n;

	if (len > VMLINUX_PACKED_MAX)
		return err_set(e, E2BIG, "more than %zu MiB",
			       VMLINUX_PACKED_MAX / 1024 / 1024);
	if (len < HEADER_END || le16_get(p + BOOT_FLAG) != 0xaa55 ||
	    memcmp(p + MAGIC, "HdrS", 4) != 0)
		return err_set(e, EINVAL, "not a Linux bzImage");
	if (le16_get(p + VERSION) < VERSION_MIN)
		return err_set(e, EINVAL, "a bzImage too old for its payload");

	sects = p[SETUP_SECTS] ? p[SETUP_SECTS] : SETUP_SECTS_DEFAULT;
	at = (sects + 1) * SECTOR + (size_t)le32_get(p + PAYLOAD_AT);
	n = le32_get(p + PAYLOAD_LEN);
	if (n <= 4 || at > len || n > len - at)
		return err_set(e, EINVAL, "payload outside of the bzImage");

	ret->at = at;
	ret->len = n - 4;
	ret->unpacked = le32_get(p + at + n - 4);
	return 0;
}

/* Blocks of a 32-bit packed size and that many bytes, to the end. */
static int unpack_lz4(const uint8_t *p, size_t len, uint8_t *out, size_t size,
		      struct err *e)
{
	size_t done = 0;

	p += sizeof(lz4_magic);
	len -= sizeof(lz4_magic);
	while (len >= 4) {
		const size_t n = le32_get(p);
		const size_t room = size - done;
		int r;

		p += 4;
		len -= 4;
		if (n > len || n == 0)
			return err_set(e, EINVAL, "lz4 block past the end");
		r = LZ4_decompress_safe(
			(const char *)p, (char *)out + done, (int)n,
			(int)(room < LZ4_BLOCK_MAX ? room : LZ4_BLOCK_MAX));
		if (r < 0)
			return err_set(e, EINVAL, "damaged lz4 payload");
		done += (size_t)r;
		p += n;
		len -= n;
	}
	if (done != size)
		return err_set(e, EINVAL, "lz4 payload of the wrong size");
	return 0;
}

static int unpack_xz(const uint8_t *p, size_t len, uint8_t *out, size_t size,
		     struct err *e)
{
	uint64_t memory = XZ_MEMORY_MAX;
	size_t in_pos = 0;
	size_t out_pos = 0;
	const lzma_ret r = lzma_stream_buffer_decode(
		&memory, 0, NULL, p, &in_pos, len, out, &out_pos, size);

	if (r == LZMA_MEM_ERROR || r == LZMA_MEMLIMIT_ERROR)
		return err_set(e, ENOMEM, "no memory for the xz payload");
	if (r != LZMA_OK || out_pos != size)
		return err_set(e, EINVAL, "damaged xz payload");
	return 0;
}

static int unpack(const uint8_t *p, size_t len, uint8_t *out, size_t size,
		  struct err *e)
{
	if (len >= sizeof(lz4_magic) &&
	    memcmp(p, lz4_magic, sizeof(lz4_magic)) == 0)
		return unpack_lz4(p, len, out, size, e);
	if (len >= sizeof(xz_magic) &&
	    memcmp(p, xz_magic, sizeof(xz_magic)) == 0)
		return unpack_xz(p, len, out, size, e);
	return err_set(e, ENOTSUP, "payload neither lz4 nor xz");
}

/* Of what a payload says that it unpacks to. */
static int size_check(size_t size, struct err *e)
{
	if (size > VMLINUX_MAX)
		return err_set(e, E2BIG, "unpacks to more than %zu MiB",
			       VMLINUX_MAX / 1024 / 1024);
	if (size < sizeof(Elf64_Ehdr))
		return err_set(e, EINVAL, "too small a payload");
	return 0;
}

int vmlinux_unpack(const void *image, size_t len, void **ret, size_t *ret_len,
		   struct err *e)
{
	struct vmlinux_payload payload;
	uint8_t *out;
	int r = vmlinux_find(image, len, &payload, e);

	if (r == 0)
		r = size_check(payload.unpacked, e);
	if (r < 0)
		return r;
	out = malloc(payload.unpacked);
	if (!out)
		return err_set(e, ENOMEM, "no memory for the kernel");
	r = unpack((const uint8_t *)image + payload.at, payload.len, out,
		   payload.unpacked, e);
	if (r == 0 && memcmp(out, ELFMAG, SELFMAG) != 0)
		r = err_set(e, EINVAL, "the payload is no ELF file");
	if (r < 0) {
		free(out);
		return r;
	}
	*ret = out;
	*ret_len = payload.unpacked;
	return 0;
}
