/*
 * tests/unit/guest_tree.h - a guest's /sys, /dev and / in a folder of its own,
 * in a mount namespace of its own
 */
#ifndef FERRY_TESTS_UNIT_GUEST_TREE_H
#define FERRY_TESTS_UNIT_GUEST_TREE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/volume.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define TREE_WAIT_MS 60

/**
 * struct tree - one guest
 * @mounts:	it may mount
 */
struct tree {
	char dir[128];
	char sys[160];
	char dev[160];
	char programs[160];
	bool mounts;
	struct volume_env env;
};

UNUSED __attribute__((format(printf, 2, 3))) static const char *
tree_path(const struct tree *t, const char *fmt, ...)
{
	static char path[4][1024];
	static unsigned int turn;
	char *p = path[turn++ % 4];
	size_t n = (size_t)snprintf(p, sizeof(path[0]), "%s/", t->dir);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(p + n, sizeof(path[0]) - n, fmt, args);
	va_end(args);
	return p;
}

UNUSED static void tree_dirs(const char *path)
{
	char copy[1024];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(copy, 0755);
		*p = '/';
	}
	(void)mkdir(copy, 0755);
}

UNUSED static void tree_write(const char *path, const void *bytes, size_t len,
			      mode_t mode)
{
	char dir[1024];
	int fd;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	tree_dirs(dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, bytes, len), 0);
	close(fd);
}

UNUSED static void tree_text(const char *path, const char *text)
{
	tree_write(path, text, strlen(text), 0644);
}

UNUSED static void tree_script(const struct tree *t, const char *name,
			       const char *text)
{
	const char *path = tree_path(t, "programs/%s", name);

	tree_write(path, text, strlen(text), 0755);
}

UNUSED static bool tree_has(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

UNUSED static void tree_read(const char *path, char *buf, size_t size)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? 0 : fd_read_full(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
}

/* A disk of QEMU: SCSI host @host, @lun, called @name, with these bytes. */
UNUSED static void tree_disk(const struct tree *t, unsigned int host,
			     unsigned int lun, const char *name,
			     const void *bytes, size_t len)
{
	tree_dirs(tree_path(t, "sys/bus/scsi/devices/%u:0:0:%u/block/%s", host,
			    lun, name));
	tree_text(tree_path(t, "sys/bus/scsi/devices/%u:0:0:%u/delete", host,
			    lun),
		  "");
	tree_write(tree_path(t, "dev/%s", name), bytes, len, 0600);
}

/* SCSI host N of a driver, at a place among the devices. */
UNUSED static void tree_host(const struct tree *t, unsigned int number,
			     const char *driver, const char *place)
{
	char target[256];
	const char *at = tree_path(t, "sys/devices/%s/host%u", place, number);

	tree_dirs(at);
	tree_text(
		tree_path(t, "sys/devices/%s/host%u/proc_name", place, number),
		driver);
	tree_dirs(tree_path(t, "sys/class/scsi_host"));
	(void)snprintf(target, sizeof(target), "../../devices/%s/host%u", place,
		       number);
	assert_int_equal(symlink(target, tree_path(t,
						   "sys/class/scsi_host/"
						   "host%u",
						   number)),
			 0);
}

/* Root of a user namespace, if there is no other way to mount. */
UNUSED static bool tree_namespace(void)
{
	static int state; /* 0: not tried */

	if (state == 0) {
		state = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER |
							     CLONE_NEWNS) == 0
				? 1
				: -1;
		if (state > 0 &&
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			state = -1;
	}
	return state > 0;
}

UNUSED static void tree_init(struct tree *t)
{
	*t = (struct tree){ .mounts = tree_namespace() };
	(void)snprintf(t->dir, sizeof(t->dir), "/tmp/ferry-tree-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	if (t->mounts && mount("tree", t->dir, "tmpfs", 0, NULL) < 0)
		t->mounts = false;
	(void)snprintf(t->sys, sizeof(t->sys), "%s/sys", t->dir);
	(void)snprintf(t->dev, sizeof(t->dev), "%s/dev", t->dir);
	(void)snprintf(t->programs, sizeof(t->programs), "%s/programs", t->dir);
	tree_dirs(t->dev);
	tree_dirs(t->programs);
	tree_dirs(tree_path(t, "sys/class"));
	tree_dirs(tree_path(t, "run"));
	t->env = (struct volume_env){
		.root = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.sys = t->sys,
		.dev = t->dev,
		.programs = t->programs,
		.wait_ms = TREE_WAIT_MS,
	};
	assert_true(t->env.root >= 0);
}

UNUSED static void tree_done(struct tree *t)
{
	char line[256];

	fd_close(&t->env.root);
	if (t->mounts)
		(void)umount2(t->dir, MNT_DETACH);
	(void)snprintf(line, sizeof(line), "rm -rf %s", t->dir);
	assert_int_equal(system(line), 0); /* a name that we have made */
}

#endif
