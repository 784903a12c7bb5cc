#include "tools/qemu/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bridge/io/fd.h"

int listener_open(const char *path, int *ret_fd, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd fd = -1;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ENAMETOOLONG, "%s is too long for a socket",
			       path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "unix socket");
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 1) < 0)
		return err_sys(e, "listen on %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

int listener_accept(int fd, int *ret_fd, struct err *e)
{
	const int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (got < 0)
		return errno == EAGAIN ? -EAGAIN : err_sys(e, "accept");
	*ret_fd = got;
	return 0;
}
