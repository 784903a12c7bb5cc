#include "init/entropy.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

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
