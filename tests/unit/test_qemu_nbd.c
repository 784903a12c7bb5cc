/* tools/qemu/nbd: disks of another machine; their place in plug_args */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/nbd.h"
#include "tools/qemu/plug_args.h"

static void test_lines(void **state UNUSED)
{
	static const struct {
		const char *line;
		const char *host;
		const char *port;
		const char *name;
	} cases[] = {
		{ "nbd://store:10809/a", "store", "10809", "a" },
		{ "nbd://10.0.2.2:1/a/b", "10.0.2.2", "1", "a/b" },
		{ "nbd://[fe80::1]:65535/", "fe80::1", "65535", "" },
		{ "nbd://store/a", NULL, NULL, NULL },
		{ "nbd://store:0/a", NULL, NULL, NULL },
		{ "nbd://store:65536/a", NULL, NULL, NULL },
		{ "nbd://store:/a", NULL, NULL, NULL },
		{ "nbd://store:10809", NULL, NULL, NULL },
		{ "nbd://:10809/a", NULL, NULL, NULL },
		{ "nbd://fe80::1:10809/a", NULL, NULL, NULL },
		{ "nbd://[]:10809/a", NULL, NULL, NULL },
		{ "nbd://store:10809/a b", NULL, NULL, NULL },
		{ "nbd://store:10809/a\"", NULL, NULL, NULL },
		{ "nbd://st\\ore:10809/a", NULL, NULL, NULL },
		{ "http://store:10809/a", NULL, NULL, NULL },
		{ "", NULL, NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nbd n = { .host = "untouched" };
		struct err e = { 0 };
		const int r = nbd_parse(cases[i].line, &n, &e);

		if (!cases[i].host) {
			assert_true(r < 0);
			assert_string_equal(n.host, "untouched");
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(n.host, cases[i].host);
		assert_string_equal(n.port, cases[i].port);
		assert_string_equal(n.name, cases[i].name);
	}
}

static void test_too_long_a_line(void **state UNUSED)
{
	char line[2 * NBD_LINE_MAX];
	struct nbd n;
	struct err e;

	memset(line, 'x', sizeof(line));
	memcpy(line, "nbd://", 6);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(nbd_parse(line, &n, &e), -EINVAL);
	memcpy(line + 20, ":1/", 3);
	assert_int_equal(nbd_parse(line, &n, &e), -EINVAL);
	memcpy(line + 20, "xxx", 3);
	memcpy(line + NBD_HOST_MAX + 6, ":1/x", 5);
	assert_int_equal(nbd_parse(line, &n, &e), -EINVAL);
}

static void test_files(void **state UNUSED)
{
	char path[] = "/tmp/test-nbd-XXXXXX";
	char line[NBD_LINE_MAX];
	const int fd = mkstemp(path);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(nbd_read(path, line, &e), -EINVAL);
	assert_int_equal(fd_write_full(fd, "nbd://a:1/b\n", 12), 0);
	assert_int_equal(nbd_read(path, line, &e), 0);
	assert_string_equal(line, "nbd://a:1/b");
	assert_int_equal(fd_write_full(fd, "nbd://a:1/c\n", 12), 0);
	assert_int_equal(nbd_read(path, line, &e), -EINVAL);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(nbd_read(path, line, &e), -ENOENT);
}

static void test_names(void **state UNUSED)
{
	assert_true(nbd_is("/disks/a.nbd"));
	assert_false(nbd_is("/disks/a.nbd.img"));
	assert_false(nbd_is(".nbd"));
}

static void test_backend(void **state UNUSED)
{
	const struct plug_disk d = {
		.controller = 1,
		.lun = 2,
		.path = "nbd://10.0.2.2:10809/scratch",
		.image = PLUG_NBD,
	};
	struct plug_disk bad = d;
	struct text out;
	struct err e;

	text_heap(&out, PLUG_ARGS_MAX);
	assert_int_equal(plug_disk_backend(&d, &out, &e), 0);
	assert_string_equal(
		text_str(&out),
		"{\"driver\":\"raw\",\"node-name\":\"node-1-2\","
		"\"read-only\":false,\"discard\":\"unmap\",\"file\":{"
		"\"driver\":\"nbd\",\"read-only\":false,"
		"\"discard\":\"unmap\",\"server\":{\"type\":\"inet\","
		"\"host\":\"10.0.2.2\",\"port\":\"10809\"},"
		"\"export\":\"scratch\"}}");
	text_done(&out);
	bad.path = "/disks/a.nbd";
	text_heap(&out, PLUG_ARGS_MAX);
	assert_int_equal(plug_disk_backend(&bad, &out, &e), -EINVAL);
	text_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_too_long_a_line),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
