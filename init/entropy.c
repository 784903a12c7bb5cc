#include "init/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/random.h>

#include "bridge/io/fd.h"
#include "init/clock.h"
#include "init/dial.h"

int entropy_read(const struct transport *t, uint32_t port,
		 unsigned char buf[ENTROPY_MAX], int deadline_ms,
		 size_t *ret_len, struct err *e)
{
	const int64_t end_ms = clock_ms() + deadline_ms;
	cleanup_fd fd = -1;
	ssize_t n;
	int r;

	*ret_len = 0;
	r = dial(t, port, end_ms, &fd, e);
	while (r == 0 && *ret_len < ENTROPY_MAX) {
		r = dial_wait_for(fd, POLLIN, end_ms, e);
		if (r < 0)
			break;
		n = read(fd, buf + *ret_len, ENTROPY_MAX - *ret_len);
		if (n == 0)
			break;
		if (n > 0)
			*ret_len += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			r = err_sys(e, "read from host port %u", port);
	}
	return r;
}

int entropy_credit(const unsigned char *buf, size_t len, struct err *e)
{
	cleanup_fd fd = open("/dev/random", O_WRONLY | O_CLOEXEC);
	union {
		struct rand_pool_info info;
		unsigned char room[sizeof(struct rand_pool_info) + ENTROPY_MAX];
	} pool;

	if (fd < 0)
		return err_sys(e, "open /dev/random");
	if (len > ENTROPY_MAX)
		return err_set(e, EINVAL, "%zu bytes of entropy", len);
	pool.info.entropy_count = (int)len * 8;
	pool.info.buf_size = (int)len;
	memcpy(pool.room + sizeof(pool.info), buf, len);
	if (ioctl(fd, RNDADDENTROPY, &pool) < 0)
		return err_sys(e, "RNDADDENTROPY");
	return 0;
}
