#include "bridge/guest/dm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/dm-ioctl.h>
#include <linux/ioctl.h>

#include "bridge/io/fd.h"

/* Of the kernel's numbers: the lower 8 bits of a minor, and what is above. */
#define MINOR_OF(dev) ((uint32_t)(((dev)&0xff) | (((dev) >> 12) & 0xfff00)))
#define PARAMETERS_MAX 128

/* One command with room for one target. */
struct command {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[PARAMETERS_MAX];
};

static void command_init(struct command *c, const char *name, uint32_t flags)
{
	memset(c, 0, sizeof(*c));
	c->head.version[0] = 4; /* the interface's, for 20 years */
	c->head.data_size = sizeof(*c);
	c->head.data_start = offsetof(struct command, target);
	c->head.flags = flags;
	(void)snprintf(c->head.name, sizeof(c->head.name), "%s", name);
}

/* The C libraries do not agree on the type of a request. */
static int command(int fd, unsigned long request, struct command *c)
{
	return (int)syscall(SYS_ioctl, fd, request, c);
}

static int open_control(const char *control, struct err *e)
{
	const int fd = open(control, O_RDWR | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "device mapper: %s", control) : fd;
}

int dm_linear(const char *control, const char *name, const char *device,
	      uint64_t start, uint64_t count, uint32_t *ret_minor,
	      struct err *e)
{
	struct command c;
	cleanup_fd fd = open_control(control, e);
	int r;

	if (fd < 0)
		return fd;
	command_init(&c, name, DM_READONLY_FLAG);
	if (command(fd, DM_DEV_CREATE, &c) < 0)
		return err_sys(e, "device mapper: create %s", name);
	*ret_minor = MINOR_OF(c.head.dev);
	command_init(&c, name, DM_READONLY_FLAG);
	c.head.target_count = 1;
	c.target.length = count;
	c.target.next = sizeof(c.target) + sizeof(c.parameters);
	(void)snprintf(c.target.target_type, sizeof(c.target.target_type),
		       "linear");
	(void)snprintf(c.parameters, sizeof(c.parameters), "%s %" PRIu64,
		       device, start);
	r = command(fd, DM_TABLE_LOAD, &c);
	command_init(&c, name, 0); /* without a flag: go on */
	if (r < 0 || command(fd, DM_DEV_SUSPEND, &c) < 0) {
		r = err_sys(e, "device mapper: load %s", name);
		(void)dm_remove(control, name, NULL);
		return r;
	}
	return 0;
}

int dm_remove(const char *control, const char *name, struct err *e)
{
	struct command c;
	cleanup_fd fd = open_control(control, e);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	command_init(&c, name, 0);
	if (command(fd, DM_DEV_REMOVE, &c) < 0 && errno != ENXIO)
		return err_sys(e, "device mapper: remove %s", name);
	return 0;
}
