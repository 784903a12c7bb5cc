/* tests/unit/test_disk.c - disks made of folders, by the real programs */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/digest.h"
#include "config/util.h"
#include "tools/disk/disk.h"
#include "tools/disk/mkfs.h"
#include "tools/disk/tree.h"

#define LIMIT_MS 60000

struct fixture {
	struct loop *loop;
	char dir[64];
	struct disk_job *job;
	struct disk disk;
	int done;
	int result;
	char why[ERR_TEXT_MAX];
};

static void on_done(void *ctx, int result, struct disk *d, const struct err *e)
{
	struct fixture *f = ctx;

	f->done++;
	f->result = result;
	if (d)
		f->disk = *d;
	(void)snprintf(f->why, sizeof(f->why), "%s", e ? e->text : "");
	disk_job_free(f->job);
	f->job = NULL;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	assert_non_null(f);
	f->disk.fd = -1;
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/ferry-disk-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(loop_new(&f->loop, &e), 0);
	*state = f;
	return 0;
}

static void sh(const struct fixture *f, const char *command)
{
	char buf[1024];

	(void)snprintf(buf, sizeof(buf), "cd '%s' && { %s; }", f->dir, command);
	assert_int_equal(system(buf), 0); /* NOLINT(cert-env33-c) */
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sh(f, "cd / && rm -rf \"$OLDPWD\"");
	disk_done(&f->disk);
	disk_job_free(f->job);
	loop_free(f->loop);
	free(f);
	return 0;
}

static const char *in_dir(const struct fixture *f, const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

/* Makes a disk to its end; the result of disk_start() or of the job. */
static int make(struct fixture *f, const struct disk_wish *w)
{
	const struct disk_handler h = { .done = on_done, .ctx = f };
	struct err e = { 0 };
	int r = disk_start(f->loop, w, &h, &f->job, &e);

	disk_done(&f->disk);
	if (r < 0) {
		(void)snprintf(f->why, sizeof(f->why), "%s", e.text);
		return r;
	}
	f->done = 0;
	for (int i = 0; i < LIMIT_MS / 10 && !f->done; i++)
		assert_true(loop_turn(f->loop, 10, &e) >= 0);
	assert_int_equal(f->done, 1);
	return f->result;
}

static bool have(const char *program)
{
	char buf[256];

	(void)snprintf(buf, sizeof(buf),
		       "PATH=$PATH:/sbin:/usr/sbin "
		       "command -v %s >/dev/null",
		       program);
	return system(buf) == 0; /* NOLINT(cert-env33-c) */
}

static void fill(const struct fixture *f)
{
	sh(f, "mkdir -p r/bin r/etc; echo hello >r/etc/motd; "
	      "ln r/etc/motd r/etc/same; ln -s motd r/etc/link; "
	      "head -c 3000000 /dev/zero | tr '\\0' x >r/bin/big; "
	      "mkfifo r/fifo; chmod 4711 r/bin/big");
}

static void hash(int fd, uint8_t out[DIGEST_BYTES])
{
	static unsigned char buf[65536];
	struct digest s;
	ssize_t n;
	off_t at = 0;

	digest_init(&s);
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		digest_add(&s, buf, (size_t)n);
		at += n;
	}
	digest_done(&s, out);
}

static void a_folder_is_measured(void **state)
{
	const struct fixture *f = *state;
	struct tree_sum sum;
	struct err e;

	fill(f);
	sh(f, "touch -d @1600000000 r/etc/motd; touch -d @1700000000 r/fifo; "
	      "touch -h -d @1500000000 r/etc/link; touch -d @1500000000 r "
	      "r/bin r/etc r/bin/big");
	assert_int_equal(tree_measure(in_dir(f, "r"), &sum, &e), 0);
	assert_int_equal(sum.files, 8);
	assert_int_equal(sum.bytes, 3000000 + 6);
	assert_int_equal(sum.newest_s, 1700000000);
	assert_true(sum.blocks >= 733 + 2);
	assert_int_equal(tree_measure(in_dir(f, "gone"), &sum, &e), -ENOENT);
	assert_int_equal(tree_measure(in_dir(f, "r/etc/motd"), &sum, &e),
			 -ENOTDIR);
}

static void the_same_folder_gives_the_same_bytes(void **state)
{
	struct fixture *f = *state;
	struct disk_wish w = { .fs = DISK_FS_EROFS };
	uint8_t first[DIGEST_BYTES];
	uint8_t second[DIGEST_BYTES];
	char source[128];

	if (!have("mkfs.erofs"))
		skip();
	fill(f);
	(void)snprintf(source, sizeof(source), "%s", in_dir(f, "r"));
	w.source = source;
	w.where = f->dir;
	assert_int_equal(make(f, &w), 0);
	assert_int_equal(f->disk.fs, DISK_FS_EROFS);
	assert_true(f->disk.size >= 3000000 && f->disk.size % 512 == 0);
	hash(f->disk.fd, first);
	assert_int_equal(make(f, &w), 0);
	hash(f->disk.fd, second);
	assert_memory_equal(first, second, DIGEST_BYTES);
	sh(f, "test \"$(ls)\" = r"); /* no file stays */
}

static void ext4_takes_the_same_folder(void **state)
{
	struct fixture *f = *state;
	struct disk_wish w = { .fs = DISK_FS_EXT4 };
	char source[128];
	char command[512];

	fill(f);
	(void)snprintf(source, sizeof(source), "%s", in_dir(f, "r"));
	w.source = source;
	w.where = f->dir;
	assert_int_equal(make(f, &w), 0);
	assert_int_equal(f->disk.fs, DISK_FS_EXT4);
	(void)snprintf(command, sizeof(command),
		       "PATH=$PATH:/sbin:/usr/sbin; "
		       "e2fsck -fn %s >out 2>&1 || { cat out; exit 1; }; "
		       "debugfs -R 'cat /etc/same' %s 2>/dev/null "
		       "| grep -q hello",
		       f->disk.path, f->disk.path);
	sh(f, command);
}

static void an_empty_disk_is_sparse(void **state)
{
	struct fixture *f = *state;
	struct disk_wish w = { .size = DISK_SCRATCH_DEFAULT };
	struct stat st;

	w.where = f->dir;
	assert_int_equal(make(f, &w), 0);
	assert_int_equal(f->disk.size, DISK_SCRATCH_DEFAULT);
	assert_int_equal(fstat(f->disk.fd, &st), 0);
	assert_true(st.st_blocks < 131072);
	w.size = DISK_SCRATCH_MIN - 1;
	assert_int_equal(make(f, &w), -ERANGE);
}

static void what_cannot_be_made_says_why(void **state)
{
	struct fixture *f = *state;
	struct disk_wish w = { 0 };
	char source[128];

	w.where = f->dir;
	w.source = "/nonexistent";
	assert_int_equal(make(f, &w), -ENOENT);
	assert_non_null(strstr(f->why, "/nonexistent"));
	sh(f, "mkdir r; echo x >r/file; rm -rf empty; mkdir empty");
	(void)snprintf(source, sizeof(source), "%s", in_dir(f, "r/file"));
	w.source = source;
	assert_int_equal(make(f, &w), -ENOTDIR);
	(void)snprintf(source, sizeof(source), "%s", in_dir(f, "r"));
	w.where = "/nonexistent";
	assert_int_equal(make(f, &w), -ENOENT);
}

static void without_its_program_there_is_another_or_an_error(void **state)
{
	struct fixture *f = *state;
	struct disk_wish w = { .fs = DISK_FS_EROFS };
	const char *path = mkfs_path();

	/* The folders of system tools are always looked into. */
	assert_non_null(strstr(path, "/sbin"));
	sh(f, "mkdir r");
	w.where = f->dir;
	w.source = in_dir(f, "r");
	if (have("mkfs.erofs"))
		assert_int_equal(make(f, &w), 0);
	else
		assert_int_equal(make(f, &w), -ENOENT);
}

static void a_job_can_be_dropped(void **state)
{
	struct fixture *f = *state;
	const struct disk_handler h = { .done = on_done, .ctx = f };
	struct disk_wish w = { .source = "/usr/share" };
	struct err e;

	w.where = f->dir;
	assert_int_equal(disk_start(f->loop, &w, &h, &f->job, &e), 0);
	for (int i = 0; i < 20; i++)
		assert_true(loop_turn(f->loop, 10, &e) >= 0);
	disk_job_free(f->job);
	f->job = NULL;
	assert_int_equal(f->done, 0);
	sh(f, "test -z \"$(ls)\"");
}

#define DISK_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(a_folder_is_measured),
		DISK_TEST(the_same_folder_gives_the_same_bytes),
		DISK_TEST(ext4_takes_the_same_folder),
		DISK_TEST(an_empty_disk_is_sparse),
		DISK_TEST(what_cannot_be_made_says_why),
		DISK_TEST(without_its_program_there_is_another_or_an_error),
		DISK_TEST(a_job_can_be_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
