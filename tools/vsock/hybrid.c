#include "tools/vsock/hybrid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/num.h"

#define GREETING "CONNECT "
#define BACKLOG 128

static int unix_socket(int *ret_fd)
{
	*ret_fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return *ret_fd < 0 ? -errno : 0;
}

int hybrid_dial(const char *base, uint32_t port, int *ret_fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd fd = -1;
	const int n =
		snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", base, port);

	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	if (unix_socket(&fd) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}

/* Is the socket file a leftover, that is: refuses connections? */
static bool nobody_listens(const struct sockaddr_un *a)
{
	cleanup_fd fd = -1;

	if (unix_socket(&fd) < 0)
		return false;
	return connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 &&
	       errno == ECONNREFUSED;
}

int hybrid_listen(const char *base, int *ret_fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd fd = -1;
	const int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s", base);
	int ret;

	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	if (unix_socket(&fd) < 0)
		return -errno;
	ret = bind(fd, (const struct sockaddr *)&a, sizeof(a));
	if (ret < 0 && errno == EADDRINUSE && nobody_listens(&a)) {
		(void)unlink(a.sun_path); /* bind() says if it is still there */
		ret = bind(fd, (const struct sockaddr *)&a, sizeof(a));
	}
	if (ret < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}

int hybrid_greeting(int fd, uint32_t *ret_port)
{
	char line[HYBRID_LINE_MAX + 1];
	const size_t word = strlen(GREETING);
	const ssize_t n = recv(fd, line, HYBRID_LINE_MAX, MSG_PEEK);
	char *end;
	size_t len;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPROTO;
	end = memchr(line, '\n', (size_t)n);
	if (end == NULL)
		return n == 0 || n == HYBRID_LINE_MAX ? -EPROTO : -EAGAIN;

	len = (size_t)(end - line) + 1;
	if (recv(fd, line, len, 0) != (ssize_t)len)
		return -EPROTO;
	*end = '\0';
	if (len <= word || memcmp(line, GREETING, word) != 0 ||
	    num_u32(line + word, 0, UINT32_MAX, ret_port, NULL) < 0)
		return -EPROTO;
	return 0;
}

int hybrid_accepted(int fd, uint32_t host_port)
{
	char line[HYBRID_LINE_MAX];
	const int n = snprintf(line, sizeof(line), "OK %u\n", host_port);

	/* The first bytes on a fresh socket always fit. */
	return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EIO;
}
