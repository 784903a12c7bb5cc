/* tests/unit/test_vmlinux.c - the kernel inside a bzImage */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <lzma.h>

#include "config/num.h"
#include "config/util.h"
#include "initramfs/vmlinux.h"

#define KERNEL_LEN 20000
#define IMAGE_MAX 65536
/* Two sectors of set-up code, then this much more. */
#define SETUP_SECTS 2
#define PAYLOAD_AT 100

static const uint8_t elf_magic[] = { 0x7f, 'E', 'L', 'F' };
static const uint8_t header_magic[] = { 'H', 'd', 'r', 'S' };
static const uint8_t lz4_magic[] = { 0x02, 0x21, 0x4c, 0x18 };

static uint8_t kernel[KERNEL_LEN];
static uint8_t image[IMAGE_MAX];
static size_t image_len;

static void make_kernel(void)
{
	for (size_t i = 0; i < sizeof(kernel); i++)
		kernel[i] = (uint8_t)(i / 7);
	memcpy(kernel, elf_magic, sizeof(elf_magic));
}

/* A bzImage around @n bytes of payload that unpack to @unpacked bytes. */
static void make_image(const void *payload, size_t n, uint32_t unpacked)
{
	const size_t at = (SETUP_SECTS + 1) * 512 + PAYLOAD_AT;

	memset(image, 0, sizeof(image));
	image[0x1f1] = SETUP_SECTS;
	le16_put(image + 0x1fe, 0xaa55);
	memcpy(image + 0x202, header_magic, sizeof(header_magic));
	le16_put(image + 0x206, 0x020f);
	le32_put(image + 0x248, PAYLOAD_AT);
	le32_put(image + 0x24c, (uint32_t)n + 4);
	memcpy(image + at, payload, n);
	le32_put(image + at + n, unpacked);
	image_len = at + n + 4;
}

static size_t pack_lz4(uint8_t *out, size_t size)
{
	int n = LZ4_compress_default((const char *)kernel, (char *)out + 8,
				     KERNEL_LEN, (int)size - 8);

	assert_true(n > 0);
	memcpy(out, lz4_magic, sizeof(lz4_magic));
	le32_put(out + 4, (uint32_t)n);
	return (size_t)n + 8;
}

static size_t pack_xz(uint8_t *out, size_t size)
{
	size_t n = 0;

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL,
						 kernel, KERNEL_LEN, out, &n,
						 size),
			 LZMA_OK);
	return n;
}

/* A copy of exact size, so that AddressSanitizer sees a byte too much. */
static int unpack(struct err *e)
{
	uint8_t *exact = malloc(image_len);
	void *out = NULL;
	size_t len = 0;
	int r;

	assert_non_null(exact);
	memcpy(exact, image, image_len);
	r = vmlinux_unpack(exact, image_len, &out, &len, e);
	if (r == 0) {
		assert_int_equal(len, KERNEL_LEN);
		assert_memory_equal(out, kernel, KERNEL_LEN);
	} else {
		assert_null(out);
	}
	free(out);
	free(exact);
	return r;
}

static void test_both_packings_give_the_kernel(void **state)
{
	static uint8_t packed[IMAGE_MAX / 2];

	(void)state;
	make_kernel();
	make_image(packed, pack_lz4(packed, sizeof(packed)), KERNEL_LEN);
	assert_int_equal(unpack(NULL), 0);
	make_image(packed, pack_xz(packed, sizeof(packed)), KERNEL_LEN);
	assert_int_equal(unpack(NULL), 0);
}

static void test_other_packing_is_named(void **state)
{
	struct err e = { 0 };

	(void)state;
	make_image("\x1f\x8b gzip here", 12, KERNEL_LEN);
	assert_int_equal(unpack(&e), -ENOTSUP);
	assert_string_equal(e.text, "payload neither lz4 nor xz");
}

static void test_payload_that_is_no_elf_is_refused(void **state)
{
	static uint8_t packed[IMAGE_MAX / 2];
	struct err e = { 0 };

	(void)state;
	make_kernel();
	kernel[0] = 'x';
	make_image(packed, pack_lz4(packed, sizeof(packed)), KERNEL_LEN);
	assert_int_equal(unpack(&e), -EINVAL);
	assert_string_equal(e.text, "the payload is no ELF file");
}

static void test_false_size_is_refused(void **state)
{
	static const struct {
		uint32_t size;
		int code;
	} cases[] = {
		{ KERNEL_LEN - 1, EINVAL },
		{ KERNEL_LEN + 1, EINVAL },
		{ 0, EINVAL },
		{ 63, EINVAL },
		{ 0xffffffff, E2BIG },
	};
	static uint8_t packed[IMAGE_MAX / 2];

	(void)state;
	make_kernel();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_image(packed, pack_lz4(packed, sizeof(packed)),
			   cases[i].size);
		assert_int_equal(unpack(NULL), -cases[i].code);
		make_image(packed, pack_xz(packed, sizeof(packed)),
			   cases[i].size);
		assert_int_equal(unpack(NULL), -cases[i].code);
	}
}

static void test_image_cut_anywhere_is_refused(void **state)
{
	static uint8_t packed[IMAGE_MAX / 2];
	size_t whole;

	(void)state;
	make_kernel();
	make_image(packed, pack_lz4(packed, sizeof(packed)), KERNEL_LEN);
	whole = image_len;
	for (image_len = 1; image_len < whole; image_len += 7)
		assert_int_equal(unpack(NULL), -EINVAL);
}

static void test_header_that_points_outside_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} cases
		[] = {
			{ 0x248, 0xffffffff }, /* payload's place */
			{ 0x248, IMAGE_MAX },
			{ 0x24c, 0xffffffff }, /* payload's size */
			{ 0x24c, IMAGE_MAX },
			{ 0x24c, 4 },
			{ 0x24c, 0 },
			{ 0x202, 0 }, /* "HdrS" */
		};
	static uint8_t packed[IMAGE_MAX / 2];

	(void)state;
	make_kernel();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_image(packed, pack_lz4(packed, sizeof(packed)),
			   KERNEL_LEN);
		le32_put(image + cases[i].at, cases[i].value);
		assert_int_equal(unpack(NULL), -EINVAL);
	}
}

static void test_damaged_lz4_block_is_refused(void **state)
{
	const size_t at = (SETUP_SECTS + 1) * 512 + PAYLOAD_AT;
	static const uint32_t sizes[] = { 0, 1, 0x7fffffff, 0xffffffff };
	static uint8_t packed[IMAGE_MAX / 2];

	(void)state;
	make_kernel();
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		make_image(packed, pack_lz4(packed, sizeof(packed)),
			   KERNEL_LEN);
		le32_put(image + at + 4, sizes[i]);
		assert_int_equal(unpack(NULL), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_packings_give_the_kernel),
		cmocka_unit_test(test_other_packing_is_named),
		cmocka_unit_test(test_payload_that_is_no_elf_is_refused),
		cmocka_unit_test(test_false_size_is_refused),
		cmocka_unit_test(test_image_cut_anywhere_is_refused),
		cmocka_unit_test(test_header_that_points_outside_is_refused),
		cmocka_unit_test(test_damaged_lz4_block_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
