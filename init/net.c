#include "init/net.h"

#include <errno.h>
#include <stddef.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"
#include "config/util.h"

static int up_over(int family, struct err *e)
{
	cleanup_fd fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo",
			    .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 && errno == EAFNOSUPPORT)
		return 0;
	if (fd < 0)
		return err_sys(e, "socket of family %d", family);
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return err_sys(e, "bring lo up");
	return 0;
}

int net_lo_up(struct err *e)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		r = up_over(families[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}
