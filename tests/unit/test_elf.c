/* tests/unit/test_elf.c - what a program asks the loader for */
#include "tests/unit/unit.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "initramfs/elf.h"
#include "tools/image_file.h"

#define IMAGE_MAX ((size_t)64 * 1024 * 1024)

static int read_file(const char *path, struct elf_needs *needs, void **bytes,
		     size_t *len)
{
	struct err e = { 0 };

	assert_int_equal(image_file_read(path, IMAGE_MAX, bytes, len, &e), 0);
	return elf_needs_read(*bytes, *len, needs, &e);
}

static bool names(const struct elf_needs *needs, const char *name)
{
	for (size_t i = 0; i < needs->count; i++)
		if (strcmp(needs->needed[i], name) == 0)
			return true;
	return false;
}

static void test_a_program_names_loader_and_libraries(void **state)
{
	cleanup_free void *bytes = NULL;
	struct elf_needs needs;
	size_t len;

	(void)state;
	assert_int_equal(read_file("/proc/self/exe", &needs, &bytes, &len), 0);
	assert_non_null(needs.interp);
	assert_int_equal(needs.interp[0], '/');
	assert_true(names(&needs, "libc.so.6"));
	assert_true(names(&needs, "libcmocka.so.0"));
}

static void test_a_static_program_names_none(void **state)
{
	cleanup_free void *bytes = NULL;
	struct elf_needs needs;
	size_t len;

	(void)state;
	assert_int_equal(
		read_file("build/guest/bin/init", &needs, &bytes, &len), 0);
	assert_null(needs.interp);
	assert_int_equal(needs.count, 0);
}

static void test_what_is_no_program_is_refused(void **state)
{
	static const char text[128] = "#!/bin/sh\n";
	struct elf_needs needs = { .count = 7 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(elf_needs_read(text, 3, &needs, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not an ELF file"));
	assert_int_equal(elf_needs_read(text, sizeof(text), &needs, &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, "not a 64-bit ELF file"));
	assert_int_equal(needs.count, 7);
}

/* Whatever is cut off or overwritten: an answer, and no access outside. */
static void test_damage_is_survived(void **state)
{
	cleanup_free void *bytes = NULL;
	struct elf_needs needs;
	struct err e;
	size_t len;
	size_t head;
	unsigned char *p;

	(void)state;
	assert_int_equal(read_file("/proc/self/exe", &needs, &bytes, &len), 0);
	for (size_t cut = 1; cut < len; cut *= 2) {
		cleanup_free void *part = malloc(cut);

		assert_non_null(part);
		(void)memcpy(part, bytes, cut);
		(void)elf_needs_read(part, cut, &needs, &e);
	}
	p = bytes;
	head = sizeof(Elf64_Ehdr) + 14 * sizeof(Elf64_Phdr);
	for (size_t i = 0; i < head; i++) {
		const unsigned char was = p[i];

		for (unsigned int bit = 0; bit < 8; bit++) {
			p[i] = (unsigned char)(was ^ (1u << bit));
			(void)elf_needs_read(bytes, len, &needs, &e);
		}
		p[i] = was;
	}
	assert_int_equal(elf_needs_read(bytes, len, &needs, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_names_loader_and_libraries),
		cmocka_unit_test(test_a_static_program_names_none),
		cmocka_unit_test(test_what_is_no_program_is_refused),
		cmocka_unit_test(test_damage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
