/*
 * tests/fuzz/fuzz_cpio.c - an initramfs image of any bytes
 *
 * Every entry must lie inside of the image, the reader must come to an end,
 * and what `ferry image list` and `check` do with it must be harmless.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

#include "initramfs/cpio.h"
#include "tools/image_check.h"

static void inside(const uint8_t *data, size_t size, const void *p, size_t n)
{
	const uint8_t *at = p;

	FUZZ_CHECK(at >= data && n <= size);
	FUZZ_CHECK((size_t)(at - data) <= size - n);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static FILE *null;
	struct image_summary s;
	struct cpio_reader r;
	struct cpio_entry n;
	size_t last = 0;

	if (!null)
		null = fopen("/dev/null", "we");
	FUZZ_CHECK(null);
	cpio_reader_init(&r, data, size);
	while (cpio_next(&r, &n, NULL) > 0) {
		inside(data, size, n.name, strlen(n.name) + 1);
		inside(data, size, n.data, n.size);
		FUZZ_CHECK(r.pos > last && r.pos <= size);
		last = r.pos;
	}
	(void)image_list(data, size, (size & 1) != 0, null, NULL);
	(void)image_check(data, size, null, &s, NULL);
	return 0;
}
