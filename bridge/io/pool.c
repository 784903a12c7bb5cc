#include "bridge/io/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/random.h>

#include "bridge/io/fd.h"

int pool_credit(const void *buf, size_t len, struct err *e)
{
	cleanup_fd fd = open("/dev/random", O_WRONLY | O_CLOEXEC);
	union {
		struct rand_pool_info info;
		unsigned char
			room[sizeof(struct rand_pool_info) + POOL_CREDIT_MAX];
	} pool;

	if (fd < 0)
		return err_sys(e, "open /dev/random");
	if (len > POOL_CREDIT_MAX)
		return err_set(e, EINVAL, "%zu bytes of entropy", len);
	pool.info.entropy_count = (int)len * 8;
	pool.info.buf_size = (int)len;
	memcpy(pool.room + sizeof(pool.info), buf, len);
	if (ioctl(fd, RNDADDENTROPY, &pool) < 0)
		return err_sys(e, "RNDADDENTROPY");
	return 0;
}

int pool_reseed(struct err *e)
{
	cleanup_fd fd = open("/dev/random", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open /dev/random");
	if (ioctl(fd, RNDRESEEDCRNG) < 0)
		return err_sys(e, "RNDRESEEDCRNG");
	return 0;
}
