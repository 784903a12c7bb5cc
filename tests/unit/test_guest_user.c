/* User strings against a rootfs: forms, numbers, hostile files and links. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/user.h"
#include "bridge/io/fd.h"
#include "config/util.h"

struct rootfs {
	char path[64];
	int fd;
};

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# a comment: with: colons: 1:2\n"
			     "\n"
			     ":x:7:7::/:/bin/sh\n"
			     "short:x:8\n"
			     "bad:x:0x9:9::/:\n"
			     "worse:x:-1:9::/:\n"
			     "none:x:4294967295:1::/:\n"
			     "most:x:4294967294:4294967294::/:\n"
			     "web:x:33:34:www:/var/www:/bin/false\n"
			     "web:x:99:99:second:/:/bin/false\n"
			     "same:x:33:77::/:\n"
			     "1000:x:5:6:a number for a name:/:\n"
			     "last:x:12:13::/:";
static const char group[] = "root:x:0:\n"
			    "web:x:35:root,web\n"
			    "bad:x:y:\n"
			    "1000:x:5:\n"
			    "end:x:4294967294:";

static void put(int dir, const char *name, const char *text, size_t len)
{
	struct err e = { 0 };

	assert_int_equal(
		beneath_write(dir, name, BENEATH_STRICT, text, len, 0644, &e),
		0);
}

static int set_up(void **state)
{
	static struct rootfs r;

	(void)snprintf(r.path, sizeof(r.path), "/tmp/ferry-user-XXXXXX");
	assert_non_null(mkdtemp(r.path));
	r.fd = open(r.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(r.fd >= 0);
	assert_int_equal(mkdirat(r.fd, "etc", 0755), 0);
	put(r.fd, "etc/passwd", passwd, sizeof(passwd) - 1);
	put(r.fd, "etc/group", group, sizeof(group) - 1);
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	struct rootfs *r = *state;
	cleanup_fd tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	fd_close(&r->fd);
	return beneath_remove(tmp, r->path + 5, BENEATH_STRICT, NULL);
}

static void expect(const struct rootfs *r, const char *text, int want,
		   uint32_t uid, uint32_t gid)
{
	struct user_ids ids = { .uid = 123, .gid = 456 };
	struct err e = { 0 };

	assert_int_equal(user_resolve(r->fd, text, &ids, &e), want);
	assert_int_equal(ids.uid, want == 0 ? uid : 123);
	assert_int_equal(ids.gid, want == 0 ? gid : 456);
	if (want < 0)
		assert_true(strncmp(e.text, "user", 4) == 0);
}

static void test_forms(void **state)
{
	static const struct {
		const char *text;
		int want;
		uint32_t uid, gid;
	} rows[] = {
		{ "root", 0, 0, 0 },
		{ "web", 0, 33, 34 },  /* the first of two */
		{ "last", 0, 12, 13 }, /* no newline behind it */
		{ "33", 0, 33, 34 },
		{ "0", 0, 0, 0 },
		{ "034", 0, 34, 0 },
		{ "4711", 0, 4711, 0 }, /* unknown: as it is, group 0 */
		{ "1000", 0, 1000, 0 }, /* a number, whoever is called so */
		{ "web:web", 0, 33, 35 },
		{ "web:34", 0, 33, 34 },
		{ "33:web", 0, 33, 35 },
		{ "33:99", 0, 33, 99 },
		{ "4711:4712", 0, 4711, 4712 },
		{ "1000:1000", 0, 1000, 1000 },
		{ "4294967294", 0, 4294967294u, 4294967294u },
		{ "0:4294967294", 0, 0, 4294967294u },
		{ "root:end", 0, 0, 4294967294u },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(*state, rows[i].text, rows[i].want, rows[i].uid,
		       rows[i].gid);
}

/* None of them may come out as user 0 (CVE-2026-30892 and kin). */
static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{ "", -EINVAL },
		{ ":", -EINVAL },
		{ ":web", -EINVAL },
		{ "web:", -EINVAL },
		{ "0:", -EINVAL },
		{ "a:b:c", -EINVAL },
		{ "0:0:0", -EINVAL },
		{ "0x0", -ENOENT },
		{ "+0", -ENOENT },
		{ "-0", -ENOENT },
		{ "-1", -ENOENT },
		{ " 0", -ENOENT },
		{ "0 ", -ENOENT },
		{ "0\n", -ENOENT },
		{ "1e1", -ENOENT },
		{ "nobody", -ENOENT },
		{ "Root", -ENOENT },
		{ "short", -ENOENT },
		{ "bad", -ENOENT },
		{ "worse", -ENOENT },
		{ "none", -ENOENT },
		{ "# a comment", -ENOENT },
		{ "web:nobody", -ENOENT },
		{ "web:+0", -ENOENT },
		{ "web:bad", -ENOENT },
		{ "nobody:0", -ENOENT },
		{ "4294967295", -ERANGE },
		{ "4294967296", -ERANGE },
		{ "18446744073709551616", -ERANGE },
		{ "99999999999999999999999999", -ERANGE },
		{ "0:4294967295", -ERANGE },
		{ "0:4294967296", -ERANGE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(*state, rows[i].text, rows[i].want, 0, 0);
}

static void test_length_of_the_string(void **state)
{
	char text[USER_TEXT_MAX + 1];

	memset(text, 'a', sizeof(text));
	text[USER_TEXT_MAX] = '\0';
	expect(*state, text, -EINVAL, 0, 0);
	text[USER_TEXT_MAX - 1] = '\0';
	expect(*state, text, -ENOENT, 0, 0);
}

static void test_missing_files(void **state)
{
	const struct rootfs *r = *state;

	assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
	assert_int_equal(unlinkat(r->fd, "etc/group", 0), 0);
	expect(r, "33", 0, 33, 0);
	expect(r, "33:34", 0, 33, 34);
	expect(r, "root", -ENOENT, 0, 0);
	expect(r, "0:root", -ENOENT, 0, 0);
}

/* The files are the container's: it can make anything of them. */
static void test_hostile_files(void **state)
{
	const struct rootfs *r = *state;

	assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
	assert_int_equal(
		symlinkat("/proc/self/root/etc/passwd", r->fd, "etc/passwd"),
		0);
	expect(r, "root", -ENOENT, 0, 0);
	assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
	assert_int_equal(
		symlinkat("../../../../etc/passwd", r->fd, "etc/passwd"), 0);
	expect(r, "root", -ELOOP, 0, 0); /* it is itself, inside */
	assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
	assert_int_equal(mkfifoat(r->fd, "etc/passwd", 0644), 0);
	expect(r, "root", -EINVAL, 0, 0);
	expect(r, "0", -EINVAL, 0, 0);
	assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
	assert_int_equal(mkdirat(r->fd, "etc/passwd", 0755), 0);
	expect(r, "root", -EINVAL, 0, 0);
}

static void test_lines_at_the_limit(void **state)
{
	const struct rootfs *r = *state;
	char text[2 * USER_LINE_MAX];
	int n;

	/* a comment field that makes the line as long as it may be, or longer */
	for (size_t len = USER_LINE_MAX - 1; len <= USER_LINE_MAX; len++) {
		n = snprintf(text, sizeof(text), "long:x:1:2:");
		memset(text + n, 'c', len - (size_t)n);
		(void)snprintf(text + len, sizeof(text) - len,
			       "\nnext:x:3:4::/:\n");
		put(r->fd, "etc/passwd", text, strlen(text));
		expect(r, "long", len < USER_LINE_MAX ? 0 : -ENOENT, 1, 2);
		expect(r, "next", 0, 3, 4);
	}
	/* a NUL hides nothing behind it */
	put(r->fd, "etc/passwd", "x\0root:x:0:0::/:\nroot:x:5:5::/:\n", 32);
	expect(r, "root", 0, 5, 5);
}

static void test_size_of_a_file(void **state)
{
	const struct rootfs *r = *state;
	cleanup_fd fd = openat(r->fd, "etc/passwd", O_WRONLY | O_CLOEXEC);

	assert_int_equal(
		pwrite(fd, "\nfar:x:1:2::/:\n", 15, USER_FILE_MAX - 15), 15);
	expect(r, "far", 0, 1, 2);
	assert_int_equal(pwrite(fd, "\n", 1, USER_FILE_MAX), 1);
	expect(r, "nobody", -EFBIG, 0, 0);
	expect(r, "4711", -EFBIG, 0, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_forms),
		T(test_refused),
		T(test_length_of_the_string),
		T(test_missing_files),
		T(test_hostile_files),
		T(test_lines_at_the_limit),
		T(test_size_of_a_file),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
