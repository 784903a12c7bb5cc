#include "bridge/guest/scsi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/num.h"
#include "config/util.h"

/* Hosts of one driver that are looked at. */
#define HOSTS_MAX 64u
#define SYS_PATH_MAX 512
#define DRIVER "virtio_scsi"

/* Shared specification bridge.md 3.11.1. */
static const char *const vmbus_ids[] = {
	"df6d0690-79e5-55b6-a5ec-c1e2f77f580a",
	"0110f83b-de10-5172-a266-78bca56bf50a",
	"b5d2d8d4-3a75-51bf-945b-3444dc6b8579",
	"305891a9-b251-5dfe-91a2-c25d9212275b",
};
static_assert(ARRAY_LEN(vmbus_ids) == SCSI_CONTROLLERS, "one id each");

/**
 * struct host - a SCSI host
 * @where:	its place among the devices
 * @number:	N of hostN
 */
struct host {
	char where[SYS_PATH_MAX];
	uint32_t number;
};

/* The directory that holds exactly one name beginning with @prefix gives it. */
static int only_entry(const char *dir, const char *prefix, char *name,
		      size_t size)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	int n = 0;

	if (!d)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
		    strlen(entry->d_name) >= size)
			continue;
		memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
		n++;
	}
	(void)closedir(d);
	return n == 1;
}

static int host_number(const char *name, uint32_t *ret)
{
	return strncmp(name, "host", 4) == 0 &&
	       num_u32(name + 4, 0, UINT32_MAX, ret, NULL) == 0;
}

static int vmbus_host(const struct volume_env *env, uint32_t controller,
		      uint32_t *ret)
{
	char dir[SYS_PATH_MAX], name[VOLUME_NAME_MAX];

	(void)snprintf(dir, sizeof(dir), "%s/bus/vmbus/devices/%s", env->sys,
		       vmbus_ids[controller]);
	return only_entry(dir, "host", name, sizeof(name)) &&
	       host_number(name, ret);
}

/* Reads a file of one line. Return: its length without the end, 0: none */
static size_t read_line(const char *path, char *buf, size_t size)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? 0 : fd_read_full(fd, buf, size - 1);
	size_t len = n > 0 ? (size_t)n : 0;

	while (len > 0 && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return len;
}

static bool is_ours(const struct volume_env *env, const char *name,
		    struct host *h)
{
	char path[SYS_PATH_MAX], driver[VOLUME_NAME_MAX];
	ssize_t n;

	if (!host_number(name, &h->number))
		return false;
	(void)snprintf(path, sizeof(path), "%s/class/scsi_host/%.32s/proc_name",
		       env->sys, name);
	(void)read_line(path, driver, sizeof(driver));
	if (strcmp(driver, DRIVER) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s/class/scsi_host/%.32s", env->sys,
		       name);
	n = readlink(path, h->where, sizeof(h->where) - 1);
	h->where[n > 0 ? n : 0] = '\0';
	return true;
}

static int by_place(const void *a, const void *b)
{
	const struct host *x = a;
	const struct host *y = b;
	const int order = strcmp(x->where, y->where);

	if (order != 0)
		return order;
	return (x->number > y->number) - (x->number < y->number);
}

static int virtio_host(const struct volume_env *env, uint32_t controller,
		       uint32_t *ret)
{
	char path[SYS_PATH_MAX];
	struct host *hosts;
	const struct dirent *entry;
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/class/scsi_host", env->sys);
	d = opendir(path);
	if (!d)
		return 0;
	hosts = calloc(HOSTS_MAX, sizeof(*hosts));
	while (hosts && n < HOSTS_MAX && (entry = readdir(d)) != NULL) {
		if (is_ours(env, entry->d_name, &hosts[n]))
			n++;
	}
	(void)closedir(d);
	if (hosts && n > controller) {
		qsort(hosts, n, sizeof(*hosts), by_place);
		*ret = hosts[controller].number;
	}
	free(hosts);
	return n > controller;
}

/* Return: 1 and the number, 0: not there (yet) */
static int find_host(const struct volume_env *env, uint32_t controller,
		     uint32_t *ret)
{
	char path[SYS_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/bus/vmbus", env->sys);
	if (access(path, F_OK) == 0)
		return vmbus_host(env, controller, ret);
	return virtio_host(env, controller, ret);
}

static int check(uint32_t controller, struct err *e)
{
	if (controller >= SCSI_CONTROLLERS)
		return err_set(e, EINVAL, "Controller: %u, there are %u",
			       controller, SCSI_CONTROLLERS);
	return 0;
}

/* --- finding a disk -------------------------------------------------------- */

struct search {
	const struct volume_env *env;
	uint32_t controller;
	uint32_t lun;
	uint64_t partition;
	struct scsi_disk disk;
	const char *missing; /* what was not there at the last look */
};

/* Is the open node the device that sysfs has at @dir? */
static bool same_device(int fd, const char *dir)
{
	char path[SYS_PATH_MAX + 8], numbers[32], want[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/dev", dir);
	if (read_line(path, numbers, sizeof(numbers)) == 0)
		return true; /* a tree without numbers */
	if (fstat(fd, &st) < 0)
		return false;
	(void)snprintf(want, sizeof(want), "%u:%u", major(st.st_rdev),
		       minor(st.st_rdev));
	return strcmp(numbers, want) == 0;
}

/* Opens the node of what sysfs has at @dir. */
static int open_node(struct search *s, const char *dir, struct err *e)
{
	char path[SYS_PATH_MAX];
	int fd;

	s->missing = "its node";
	(void)snprintf(path, sizeof(path), "%s/%s", s->env->dev, s->disk.name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENXIO))
		return 0;
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (!same_device(fd, dir)) {
		fd_close(&fd);
		return 0;
	}
	s->disk.fd = fd;
	return 1;
}

static int look(void *ctx, struct err *e)
{
	struct search *s = ctx;
	char dir[SYS_PATH_MAX], disk[VOLUME_NAME_MAX / 2];
	uint32_t number;
	size_t len;

	s->missing = "its controller";
	if (!find_host(s->env, s->controller, &number))
		return 0;
	s->missing = "the disk";
	len = (size_t)snprintf(dir, sizeof(dir),
			       "%s/bus/scsi/devices/%u:0:0:%u/block",
			       s->env->sys, number, s->lun);
	if (!only_entry(dir, "", disk, sizeof(disk)))
		return 0;
	len += (size_t)snprintf(dir + len, sizeof(dir) - len, "/%s", disk);
	(void)snprintf(s->disk.name, sizeof(s->disk.name), "%s", disk);
	if (s->partition > 0) {
		s->missing = "the partition";
		(void)snprintf(s->disk.name, sizeof(s->disk.name), "%s%" PRIu64,
			       disk, s->partition);
		(void)snprintf(dir + len, sizeof(dir) - len, "/%s",
			       s->disk.name);
		if (access(dir, F_OK) < 0)
			return 0;
	}
	return open_node(s, dir, e);
}

int scsi_find(const struct volume_env *env, uint32_t controller, uint32_t lun,
	      uint64_t partition, struct scsi_disk *ret, struct err *e)
{
	struct search s = {
		.env = env,
		.controller = controller,
		.lun = lun,
		.partition = partition,
	};
	int r = check(controller, e);

	if (r < 0)
		return r;
	r = volume_wait(env, look, &s, e);
	if (r == 0)
		return err_set(
			e, ETIMEDOUT,
			"no disk at controller %u, LUN %u, partition "
			"%" PRIu64 " within %" PRId64 " ms: %s is missing",
			controller, lun, partition, env->wait_ms, s.missing);
	if (r < 0)
		return r;
	*ret = s.disk;
	return 0;
}

int scsi_unplug(const struct volume_env *env, uint32_t controller, uint32_t lun,
		struct err *e)
{
	char path[SYS_PATH_MAX];
	uint32_t number;
	cleanup_fd fd = -1;
	int r = check(controller, e);

	if (r < 0)
		return r;
	if (!find_host(env, controller, &number))
		return 0;
	(void)snprintf(path, sizeof(path),
		       "%s/bus/scsi/devices/%u:0:0:%u/delete", env->sys, number,
		       lun);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, "unplug %u:%u", controller, lun);
	r = fd_write_full(fd, "1\n", 2);
	if (r == -ENODEV || r == -ENOENT)
		return 0; /* it went by itself */
	return r < 0 ? err_set(e, -r, "unplug %u:%u: %s", controller, lun,
			       strerror(-r))
		     : 0;
}
