/* tests/unit/test_modules.c - modules.dep and the order of loading */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"
#include "initramfs/modules.h"

/* The virtio part of Debian's cloud kernel, as depmod wrote it. */
static const char dep[] =
	"kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko\n"
	"kernel/drivers/virtio/virtio_ring.ko:\n"
	"kernel/drivers/virtio/virtio_pci_modern_dev.ko:\n"
	"kernel/drivers/virtio/virtio_pci_legacy_dev.ko:\n"
	"kernel/drivers/virtio/virtio_pci.ko: "
	"kernel/drivers/virtio/virtio_pci_legacy_dev.ko "
	"kernel/drivers/virtio/virtio_pci_modern_dev.ko "
	"kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko\n"
	"kernel/net/vsock.ko:\n"
	"kernel/net/common.ko: kernel/net/vsock.ko\n"
	"kernel/net/virtio-transport.ko: kernel/net/common.ko "
	"kernel/net/vsock.ko kernel/drivers/virtio/virtio.ko "
	"kernel/drivers/virtio/virtio_ring.ko\n";
static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/net/vsock.ko\n";

/* Names in load order, parted by blanks, or the error's text. */
static int order(const char *text, const char *const *names, size_t n,
		 char *out, size_t size, struct err *e)
{
	const struct module **list;
	struct modules m;
	struct text t;
	size_t count = 0;
	int r = modules_parse(&m, text, strlen(text), builtin, strlen(builtin),
			      e);

	text_fixed(&t, out, size);
	assert_int_equal(r, 0);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
	list = calloc(m.count + 1, sizeof(*list));
	assert_non_null(list);
	r = modules_closure(&m, names, n, list, &count, e);
	for (size_t i = 0; i < count; i++)
		text_addf(&t, "%s%s", i ? " " : "", list[i]->name);
	assert_false(t.full);
	free(list);
	modules_done(&m);
	return r;
}

static void test_order_is_the_specifications(void **state)
{
	const char *const names[] = { "virtio_pci", "virtio_transport" };
	char out[256] = "";

	(void)state;
	assert_int_equal(order(dep, names, 2, out, sizeof(out), NULL), 0);
	assert_string_equal(out,
			    "virtio_ring virtio virtio_pci_modern_dev "
			    "virtio_pci_legacy_dev virtio_pci vsock common "
			    "virtio_transport");
}

static void test_dash_and_underscore_are_one(void **state)
{
	static const char *const spellings[] = {
		"virtio-transport",
		"virtio_transport",
		"virtio-transport.ko",
		"kernel/net/virtio_transport.ko",
	};
	struct modules m;

	(void)state;
	assert_int_equal(modules_parse(&m, dep, strlen(dep), NULL, 0, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		const struct module *mod = modules_find(&m, spellings[i]);

		assert_non_null(mod);
		assert_string_equal(mod->path,
				    "kernel/net/virtio-transport.ko");
	}
	assert_null(modules_find(&m, "virtio_transpor"));
	assert_null(modules_find(&m, "virtio_transports"));
	assert_null(modules_find(&m, ""));
	modules_done(&m);
}

static void test_module_asked_for_twice_is_loaded_once(void **state)
{
	const char *const names[] = { "virtio", "virtio-ring", "virtio" };
	char out[256] = "";

	(void)state;
	assert_int_equal(order(dep, names, 3, out, sizeof(out), NULL), 0);
	assert_string_equal(out, "virtio_ring virtio");
}

static void test_built_in_needs_no_file_but_a_file_goes_first(void **state)
{
	const char *const names[] = { "ext4", "vsock" };
	char out[256] = "";

	(void)state;
	assert_int_equal(order(dep, names, 2, out, sizeof(out), NULL), 0);
	assert_string_equal(out, "vsock");
}

static void test_absent_module_is_named(void **state)
{
	const char *const names[] = { "virtio", "hv_\033sock" };
	char out[256] = "";
	struct err e = { 0 };

	(void)state;
	assert_int_equal(order(dep, names, 2, out, sizeof(out), &e), -ENOENT);
	assert_string_equal(e.text, "module hv_\\x1bsock: the kernel has none");
}

static void test_dependency_that_is_absent_is_named(void **state)
{
	const char *const names[] = { "a" };
	char out[256] = "";
	struct err e = { 0 };

	(void)state;
	assert_int_equal(
		order("k/a.ko: k/gone.ko\n", names, 1, out, sizeof(out), &e),
		-ENOENT);
	assert_non_null(strstr(e.text, "gone"));
}

static void test_circle_is_refused(void **state)
{
	const char *const names[] = { "a" };
	char out[256] = "";
	struct err e = { 0 };

	(void)state;
	assert_int_equal(order("k/a.ko: k/b.ko\nk/b.ko: k/a.ko\n", names, 1,
			       out, sizeof(out), &e),
			 -ELOOP);
	assert_non_null(strstr(e.text, "depends on itself"));
}

static void test_chain_is_bounded(void **state)
{
	const char *const names[] = { "m0" };
	char text[MODULES_DEPTH_MAX * 32];
	char out[MODULES_DEPTH_MAX * 8] = "";
	struct text t;

	(void)state;
	for (size_t n = MODULES_DEPTH_MAX; n <= MODULES_DEPTH_MAX + 1; n++) {
		text_fixed(&t, text, sizeof(text));
		for (size_t i = 0; i + 1 < n; i++)
			text_addf(&t, "m%zu.ko: m%zu.ko\n", i, i + 1);
		text_addf(&t, "m%zu.ko:\n", n - 1);
		assert_false(t.full);
		assert_int_equal(order(text, names, 1, out, sizeof(out), NULL),
				 n > MODULES_DEPTH_MAX ? -E2BIG : 0);
	}
}

static void test_bad_lines_are_named(void **state)
{
	static const struct {
		const char *text;
		const char *say;
	} cases[] = {
		{ "a.ko\n", "modules.dep line 1: no ':'" },
		{ "a.ko:\n\n:\n", "modules.dep line 3: not a module's path" },
		{ "/a.ko:\n", "line 1: not a module's path before" },
		{ "../a.ko:\n", "line 1: not a module's path before" },
		{ "k/.ko:\n", "line 1: not a module's path before" },
		{ "a.ko: k/../../b.ko\n", "line 1: not a module's path" },
		{ "a.ko: b\001.ko\n", "line 1: not a module's path" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct modules m;
		struct err e = { 0 };

		assert_int_equal(modules_parse(&m, cases[i].text,
					       strlen(cases[i].text), NULL, 0,
					       &e),
				 -EINVAL);
		if (!strstr(e.text, cases[i].say))
			fail_msg("%zu: '%s' lacks '%s'", i, e.text,
				 cases[i].say);
		modules_done(&m);
	}
}

static void test_number_of_modules_is_bounded(void **state)
{
	struct modules m;
	struct text t;

	(void)state;
	text_heap(&t, (size_t)MODULES_MAX * 16);
	for (int i = 0; i <= MODULES_MAX; i++)
		text_addf(&t, "m%d.ko:\n", i);
	assert_false(t.full);
	assert_int_equal(modules_parse(&m, t.buf, t.len, NULL, 0, NULL),
			 -E2BIG);
	modules_done(&m);
	text_done(&t);
}

static void test_release_is_read_from_a_module(void **state)
{
	static const char good[] = "\177ELF\0vermagic=6.1.0-9-x SMP\0";
	static const char *const bad[] = { "vermagic=", "vermagic=../x SMP",
					   "vermagic=6.1", "nothing" };
	char out[16] = "kept";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(modules_release(bad[i], strlen(bad[i]), out,
						 sizeof(out)),
				 -ENOENT);
	assert_int_equal(modules_release(good, sizeof(good), out, 9), -ENOENT);
	assert_string_equal(out, "kept");
	assert_int_equal(modules_release(good, sizeof(good), out, sizeof(out)),
			 0);
	assert_string_equal(out, "6.1.0-9-x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_is_the_specifications),
		cmocka_unit_test(test_dash_and_underscore_are_one),
		cmocka_unit_test(test_module_asked_for_twice_is_loaded_once),
		cmocka_unit_test(
			test_built_in_needs_no_file_but_a_file_goes_first),
		cmocka_unit_test(test_absent_module_is_named),
		cmocka_unit_test(test_dependency_that_is_absent_is_named),
		cmocka_unit_test(test_circle_is_refused),
		cmocka_unit_test(test_chain_is_bounded),
		cmocka_unit_test(test_bad_lines_are_named),
		cmocka_unit_test(test_number_of_modules_is_bounded),
		cmocka_unit_test(test_release_is_read_from_a_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
