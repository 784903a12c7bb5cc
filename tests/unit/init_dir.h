/* tests/unit/init_dir.h - a folder for each test of init */
#ifndef FERRY_TESTS_UNIT_INIT_DIR_H
#define FERRY_TESTS_UNIT_INIT_DIR_H

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bridge/io/fd.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/ferry-init-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command); /* NOLINT: our own folder */
}

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned int turn;
	char *p = path[turn++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void make_file(const char *name, const void *data, size_t len,
		      mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, data, len), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	fd_close(&fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
