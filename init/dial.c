#include "init/dial.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "bridge/io/fd.h"
#include "init/clock.h"

int dial_wait_for(int fd, short events, int64_t end_ms, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do {
		const int64_t left = end_ms - clock_ms();

		r = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, "poll");
	if (r == 0)
		return err_set(e, ETIMEDOUT, "the host says nothing");
	return 0;
}

int dial(const struct transport *t, uint32_t port, int64_t end_ms, int *ret_fd,
	 struct err *e)
{
	cleanup_fd fd = -1;
	int r = transport_dial(t, port, &fd, e);

	if (r < 0)
		return r;
	r = dial_wait_for(fd, POLLOUT, end_ms, e);
	if (r < 0)
		return r;
	r = transport_dial_result(fd);
	if (r < 0)
		return err_set(e, -r, "connect to host port %u: %s", port,
			       strerror(-r));
	*ret_fd = fd_take(&fd);
	return 0;
}
