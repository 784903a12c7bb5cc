/* Paths below a directory, against links, races, mounts and depth. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/guestpath.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define RACES 2500 /* rounds of five calls each, in two ways */
#define DEPTH 300  /* deeper than one walk of beneath_remove() goes */

/* A folder "root" with something beside it that nobody may touch. */
struct place {
	char path[64];
	int top;
	int root;
};

static void put(int dir, const char *name, const char *text)
{
	cleanup_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static int set_up(void **state)
{
	static struct place p;

	(void)snprintf(p.path, sizeof(p.path), "/tmp/ferry-beneath-XXXXXX");
	assert_non_null(mkdtemp(p.path));
	p.top = open(p.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(p.top, "root", 0755), 0);
	assert_int_equal(mkdirat(p.top, "outside", 0755), 0);
	put(p.top, "outside/kept", "kept");
	p.root = openat(p.top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(p.top >= 0 && p.root >= 0);
	*state = &p;
	return 0;
}

static void is_kept(const struct place *p)
{
	struct stat st;

	assert_int_equal(fstatat(p->top, "outside/kept", &st, 0), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_not_equal(
		faccessat(p->top, "outside/new", F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

static int tear_down(void **state)
{
	struct place *p = *state;
	struct err e = { 0 };
	cleanup_fd tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	is_kept(p);
	fd_close(&p->top);
	fd_close(&p->root);
	assert_int_equal(beneath_remove(tmp, p->path + 5, BENEATH_STRICT, &e),
			 0);
	return 0;
}

static bool there(int dir, const char *path)
{
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Each link that leads out, and what each way to resolve makes of it. */
static void test_links_do_not_lead_out(void **state)
{
	static const struct {
		const char *target;
		int strict, inside, rootfs; /* 0: opens, else the errno */
	} rows[] = {
		{ "../outside", ELOOP, EXDEV, ENOENT },
		{ "/outside", ELOOP, EXDEV, ENOENT },
		{ "/etc", ELOOP, EXDEV, 0 },
		{ "etc", ELOOP, 0, 0 },
		{ "../../../etc", ELOOP, EXDEV, 0 },
		{ "/proc/self/root/etc", ELOOP, EXDEV, ENOENT },
		{ "link", ELOOP, ELOOP, ELOOP },
	};
	const struct place *p = *state;

	assert_int_equal(mkdirat(p->root, "etc", 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const int want[] = { [BENEATH_STRICT] = rows[i].strict,
				     [BENEATH_INSIDE] = rows[i].inside,
				     [BENEATH_ROOTFS] = rows[i].rootfs };

		(void)unlinkat(p->root, "link", 0);
		assert_int_equal(symlinkat(rows[i].target, p->root, "link"), 0);
		for (size_t how = 0; how < ARRAY_LEN(want); how++) {
			struct err e = { 0 };
			cleanup_fd fd =
				beneath_open(p->root, "/link",
					     (enum beneath)how, O_PATH, 0, &e);

			if (want[how] == 0)
				assert_true(fd >= 0);
			else
				assert_int_equal(fd, -want[how]);
		}
	}
}

static void test_dots_and_magic_links(void **state)
{
	const struct place *p = *state;
	struct err e = { 0 };
	cleanup_fd proc = open("/proc/self", O_PATH | O_CLOEXEC);
	cleanup_fd same =
		beneath_open(p->root, "", BENEATH_STRICT, O_PATH, 0, &e);

	assert_true(same >= 0);
	assert_int_equal(beneath_open(p->root, "../outside", BENEATH_STRICT,
				      O_PATH, 0, &e),
			 -EXDEV);
	assert_int_equal(
		beneath_open(proc, "root", BENEATH_INSIDE, O_PATH, 0, &e),
		-ELOOP);
	assert_int_equal(
		beneath_open(proc, "exe", BENEATH_ROOTFS, O_RDONLY, 0, &e),
		-ELOOP);
	assert_true(fcntl(same, F_GETFD) & FD_CLOEXEC);
}

static void test_mkdirs(void **state)
{
	const struct place *p = *state;
	struct err e = { 0 };
	struct stat st;
	cleanup_fd fd = -1;

	(void)umask(077);
	fd = beneath_mkdirs(p->root, "//a/b//c/", BENEATH_STRICT, 0777, &e);
	(void)umask(022);
	assert_true(fd >= 0);
	assert_int_equal(fstatat(p->root, "a/b", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0777);
	fd_close(&fd);
	/* what exists keeps its mode */
	assert_int_equal(fchmodat(p->root, "a/b", 0700, 0), 0);
	fd = beneath_mkdirs(p->root, "a/b/d", BENEATH_STRICT, 0755, &e);
	assert_true(fd >= 0);
	assert_int_equal(fstatat(p->root, "a/b", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);

	assert_int_equal(
		beneath_mkdirs(p->root, "a/../b", BENEATH_ROOTFS, 0755, &e),
		-EINVAL);
	assert_int_equal(symlinkat("../outside", p->root, "out"), 0);
	assert_int_equal(
		beneath_mkdirs(p->root, "out/new", BENEATH_STRICT, 0755, &e),
		-ELOOP);
	assert_int_equal(
		beneath_mkdirs(p->root, "out/new", BENEATH_ROOTFS, 0755, &e),
		-ENOENT);
	assert_int_equal(symlinkat("/a", p->root, "in"), 0);
	fd_close(&fd);
	fd = beneath_mkdirs(p->root, "in/e", BENEATH_ROOTFS, 0755, &e);
	assert_true(fd >= 0 && there(p->root, "a/e"));
	put(p->root, "file", "");
	assert_int_equal(
		beneath_mkdirs(p->root, "file/x", BENEATH_STRICT, 0755, &e),
		-ENOTDIR);
}

static void test_write_and_read(void **state)
{
	const struct place *p = *state;
	struct err e = { 0 };
	struct text t;
	struct stat st;

	text_heap(&t, 64);
	assert_int_equal(symlinkat("../outside/kept", p->root, "config.json"),
			 0);
	assert_int_equal(beneath_write(p->root, "config.json", BENEATH_STRICT,
				       "12345678", 8, 0600, &e),
			 0);
	assert_int_equal(
		fstatat(p->root, "config.json", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600);
	assert_int_equal(
		beneath_read(p->root, "config.json", BENEATH_STRICT, 8, &t, &e),
		0);
	assert_string_equal(text_str(&t), "12345678");
	assert_int_equal(
		beneath_read(p->root, "config.json", BENEATH_STRICT, 7, &t, &e),
		-EFBIG);
	assert_int_equal(mkfifoat(p->root, "fifo", 0600), 0);
	assert_int_equal(
		beneath_read(p->root, "fifo", BENEATH_STRICT, 7, &t, &e),
		-EINVAL);
	assert_int_equal(
		beneath_write(p->root, "no/x", BENEATH_STRICT, "", 0, 0600, &e),
		-ENOENT);
	assert_int_equal(
		beneath_write(p->root, "..", BENEATH_ROOTFS, "", 0, 0600, &e),
		-EINVAL);
	text_done(&t);
}

static void test_symlink_and_unlink(void **state)
{
	const struct place *p = *state;
	struct err e = { 0 };

	for (int i = 0; i < 2; i++)
		assert_int_equal(beneath_symlink(p->root, "dev", BENEATH_STRICT,
						 "/dev/sda", &e),
				 0);
	assert_int_equal(
		beneath_symlink(p->root, "dev", BENEATH_STRICT, "/dev/sdb", &e),
		-EEXIST);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			beneath_unlink(p->root, "dev", BENEATH_STRICT, 0, &e),
			0);
	assert_int_equal(
		beneath_unlink(p->root, "no/dev", BENEATH_STRICT, 0, &e), 0);
	assert_int_equal(symlinkat("../outside", p->root, "out"), 0);
	assert_int_equal(
		beneath_unlink(p->root, "out/kept", BENEATH_STRICT, 0, &e),
		-ELOOP);
}

static void test_remove_does_not_follow(void **state)
{
	const struct place *p = *state;
	struct err e = { 0 };
	int fd = beneath_mkdirs(p->root, "t/u/v", BENEATH_STRICT, 0755, &e);

	assert_true(fd >= 0);
	fd_close(&fd);
	put(p->root, "t/u/file", "x");
	assert_int_equal(symlinkat("../../outside", p->root, "t/link"), 0);
	assert_int_equal(symlinkat("../outside", p->root, "top"), 0);
	assert_int_equal(beneath_remove(p->root, "t", BENEATH_STRICT, &e), 0);
	assert_false(there(p->root, "t"));
	assert_int_equal(beneath_remove(p->root, "top", BENEATH_STRICT, &e), 0);
	assert_false(there(p->root, "top"));
	assert_int_equal(beneath_remove(p->root, "t", BENEATH_STRICT, &e), 0);
	assert_int_equal(beneath_remove(p->root, ".", BENEATH_STRICT, &e),
			 -EINVAL);
	assert_int_equal(beneath_remove(p->root, "t/..", BENEATH_ROOTFS, &e),
			 -EINVAL);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_remove_any_depth(void **state)
{
	const struct place *p = *state;
	const int before = count_fds();
	struct rlimit few, all;
	struct err e = { 0 };
	int at = openat(p->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(mkdirat(p->root, "deep", 0755), 0);
	for (int i = 0; i < DEPTH; i++) {
		const int next =
			openat(at, i ? "d" : "deep", O_PATH | O_CLOEXEC);

		assert_true(next >= 0);
		put(next, "f", "x");
		assert_int_equal(mkdirat(next, "d", 0755), 0);
		fd_close(&at);
		at = next;
	}
	fd_close(&at);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(beneath_remove(p->root, "deep", BENEATH_STRICT, &e),
			 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_false(there(p->root, "deep"));
	assert_int_equal(count_fds(), before);
}

/* In a child with a mount namespace of its own; @return its exit code. */
static int with_mounts(int (*body)(const struct place *), const struct place *p)
{
	struct place here = *p;
	int status;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(geteuid() == 0 ? CLONE_NEWNS
					   : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(77);
		/* descriptors of the old namespace are no place to mount */
		here.top = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		here.root = openat(here.top, "root", O_PATH | O_CLOEXEC);
		_exit(body(&here));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	return WEXITSTATUS(status);
}

#define WANT(condition)                                                        \
	do {                                                                   \
		if (!(condition))                                              \
			return __LINE__ % 70 + 1;                              \
	} while (0)

static int remove_around_a_mount(const struct place *p)
{
	struct err e = { 0 };
	char to[BENEATH_PROC_MAX], from[BENEATH_PROC_MAX];
	cleanup_fd target =
		beneath_target(p->root, "t/m", BENEATH_STRICT, true, 0755, &e);
	cleanup_fd outside = openat(p->top, "outside", O_PATH | O_CLOEXEC);

	put(p->root, "t/file", "x");
	WANT(target >= 0);
	WANT(outside >= 0);
	WANT(mount(beneath_proc(outside, from), beneath_proc(target, to), NULL,
		   MS_BIND, NULL) == 0);
	fd_close(&target);
	WANT(there(p->root, "t/m/kept"));
	WANT(beneath_remove(p->root, "t", BENEATH_STRICT, &e) == -EBUSY);
	WANT(there(p->root, "t/m/kept") && !there(p->root, "t/file"));
	WANT(beneath_remove(p->root, "t/m", BENEATH_STRICT, &e) == -EBUSY);
	WANT(there(p->root, "t/m/kept"));
	WANT(beneath_unmount(p->root, "t/m", BENEATH_STRICT, 0, &e) == 0);
	WANT(!there(p->root, "t/m/kept"));
	WANT(beneath_unmount(p->root, "t/m", BENEATH_STRICT, 0, &e) == -EINVAL);
	WANT(beneath_remove(p->root, "t", BENEATH_STRICT, &e) == 0);
	return 0;
}

static void test_remove_leaves_mounts(void **state)
{
	assert_int_equal(with_mounts(remove_around_a_mount, *state), 0);
}

/* The container replaced its mount point by a link to a mount of the guest. */
static int unmount_through_a_link(const struct place *p)
{
	struct err e = { 0 };
	char to[BENEATH_PROC_MAX];
	cleanup_fd outside = openat(p->top, "outside", O_PATH | O_CLOEXEC);

	WANT(mount(beneath_proc(outside, to), to, NULL, MS_BIND, NULL) == 0);
	WANT(symlinkat("../outside", p->root, "m") == 0);
	WANT(beneath_unmount(p->root, "m", BENEATH_INSIDE, MNT_DETACH, &e) < 0);
	WANT(beneath_unmount(p->root, "m/.", BENEATH_INSIDE, 0, &e) == -EINVAL);
	/* the parent of the last component may not lead out either */
	WANT(symlinkat("..", p->root, "up") == 0);
	WANT(beneath_unmount(p->root, "up/outside", BENEATH_INSIDE, MNT_DETACH,
			     &e) == -EXDEV);
	fd_close(&outside);
	WANT(beneath_unmount(p->top, "outside", BENEATH_STRICT, 0, &e) == 0);
	return 0;
}

static void test_unmount_does_not_follow(void **state)
{
	assert_int_equal(with_mounts(unmount_through_a_link, *state), 0);
}

static void test_targets(void **state)
{
	const struct place *p = *state;
	struct err e = { 0 };
	struct stat st;
	cleanup_fd fd = -1;
	cleanup_fd dir = -1;

	fd = beneath_target(p->root, "etc/hosts", BENEATH_ROOTFS, false, 0644,
			    &e);
	assert_true(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0644);
	dir = beneath_target(p->root, "etc/d", BENEATH_ROOTFS, true, 0755, &e);
	assert_true(dir >= 0);
	assert_int_equal(beneath_target(p->root, "etc/hosts", BENEATH_ROOTFS,
					true, 0755, &e),
			 -ENOTDIR);
	assert_int_equal(beneath_target(p->root, "etc/d", BENEATH_ROOTFS, false,
					0644, &e),
			 -EISDIR);
	/* a link to a file that shall be made elsewhere */
	assert_int_equal(symlinkat("/../../outside/new", p->root, "etc/l"), 0);
	assert_int_equal(beneath_target(p->root, "etc/l", BENEATH_ROOTFS, false,
					0644, &e),
			 -ENOENT);
}

/* --- races -------------------------------------------------------------- */

struct racer {
	int root;
	atomic_bool stop;
};

/* "d" is a directory, then a link to what lies outside, then ... */
static void *exchange(void *arg)
{
	struct racer *r = arg;

	while (!atomic_load(&r->stop))
		(void)syscall(SYS_renameat2, r->root, "d", r->root, "l",
			      RENAME_EXCHANGE);
	return NULL;
}

static bool is_inside(const struct place *p, int fd)
{
	char name[64], at[512], root[128];
	ssize_t n;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, at, sizeof(at) - 1);
	if (n < 0)
		return false;
	at[n] = '\0';
	(void)snprintf(root, sizeof(root), "%s/root", p->path);
	return strncmp(at, root, strlen(root)) == 0;
}

/* One round of everything that goes through "d". */
static void race_once(const struct place *p, enum beneath how)
{
	struct err e = { 0 };
	int fd = beneath_open(p->root, "d/x", how, O_PATH, 0, &e);

	if (fd >= 0)
		assert_true(is_inside(p, fd));
	fd_close(&fd);
	fd = beneath_mkdirs(p->root, "d/new", how, 0755, &e);
	if (fd >= 0)
		assert_true(is_inside(p, fd));
	fd_close(&fd);
	fd = beneath_target(p->root, "d/kept", how, false, 0644, &e);
	if (fd >= 0)
		assert_true(is_inside(p, fd));
	fd_close(&fd);
	(void)beneath_write(p->root, "d/kept", how, "overwritten", 11, 0644,
			    &e);
	(void)beneath_unlink(p->root, "d/kept", how, 0, &e);
}

static void race(const struct place *p, enum beneath how, const char *link)
{
	struct racer r = { .root = p->root };
	pthread_t thread;

	assert_int_equal(mkdirat(p->root, "d", 0755), 0);
	assert_int_equal(mkdirat(p->root, "d/x", 0755), 0);
	assert_int_equal(symlinkat(link, p->root, "l"), 0);
	assert_int_equal(pthread_create(&thread, NULL, exchange, &r), 0);
	for (int i = 0; i < RACES; i++) {
		race_once(p, how);
		if (i % 100 == 0)
			is_kept(p);
	}
	atomic_store(&r.stop, true);
	(void)pthread_join(thread, NULL);
	is_kept(p);
}

static void test_races_in_a_rootfs(void **state)
{
	race(*state, BENEATH_ROOTFS, "../outside");
}

static void test_races_in_a_bundle(void **state)
{
	race(*state, BENEATH_STRICT, "../outside");
}

/* A tree that is removed while its folders turn into links. */
static void test_races_with_remove(void **state)
{
	const struct place *p = *state;
	struct racer r = { .root = p->root };
	struct err e = { 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, exchange, &r), 0);
	for (int i = 0; i < RACES; i++) {
		int fd = beneath_mkdirs(p->root, "d/a/b", BENEATH_STRICT, 0755,
					&e);

		fd_close(&fd);
		if (symlinkat("../outside", p->root, "l") < 0)
			assert_int_equal(errno, EEXIST);
		(void)beneath_remove(p->root, i % 2 ? "d" : "d/a",
				     BENEATH_STRICT, &e);
		(void)beneath_remove(p->root, i % 3 ? "l" : "l/a",
				     BENEATH_STRICT, &e);
	}
	atomic_store(&r.stop, true);
	(void)pthread_join(thread, NULL);
	is_kept(p);
}

static void test_base_of_a_path(void **state)
{
	const struct place *p = *state;
	struct err e = { 0 };
	struct guestpath g;
	cleanup_fd fd = -1;

	assert_int_equal(
		guestpath_check("/run/gcs/c/1", GUESTPATH_BUNDLE, "", &g, &e),
		0);
	fd = guestpath_base(p->root, &g, &e);
	assert_true(fd >= 0 && there(p->root, "run/gcs/c"));
	fd_close(&fd);
	fd = guestpath_base(p->root, &g, &e);
	assert_true(fd >= 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_links_do_not_lead_out),
		T(test_dots_and_magic_links),
		T(test_mkdirs),
		T(test_write_and_read),
		T(test_symlink_and_unlink),
		T(test_remove_does_not_follow),
		T(test_remove_any_depth),
		T(test_remove_leaves_mounts),
		T(test_unmount_does_not_follow),
		T(test_targets),
		T(test_races_in_a_rootfs),
		T(test_races_in_a_bundle),
		T(test_races_with_remove),
		T(test_base_of_a_path),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
