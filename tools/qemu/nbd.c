#include "tools/qemu/nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/num.h"

#define SUFFIX ".nbd"
#define SCHEME "nbd://"

bool nbd_is(const char *path)
{
	const size_t n = strlen(path);
	const size_t n_end = strlen(SUFFIX);

	return n > n_end && strcmp(path + n - n_end, SUFFIX) == 0;
}

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || *s == '"' || *s == '\\')
			return false;
	return true;
}

static int wrong(const char *line, struct err *e)
{
	return err_set(e, EINVAL, "'%.80s' is not nbd://HOST:PORT/EXPORT",
		       is_plain(line) ? line : "?");
}

/* Without its brackets, which an IPv6 address has to have. */
static bool take_host(const char *from, size_t n, char *ret)
{
	const bool six = n > 2 && from[0] == '[' && from[n - 1] == ']';

	if (six) {
		from++;
		n -= 2;
	}
	if (n == 0 || n >= NBD_HOST_MAX ||
	    (!six && (memchr(from, ':', n) || memchr(from, '[', n))))
		return false;
	memcpy(ret, from, n);
	ret[n] = '\0';
	return true;
}

int nbd_parse(const char *line, struct nbd *ret, struct err *e)
{
	const char *host = line + strlen(SCHEME);
	const char *slash;
	const char *colon;
	struct nbd n;
	uint32_t port;

	if (!is_plain(line) || strncmp(line, SCHEME, strlen(SCHEME)) != 0)
		return wrong(line, e);
	slash = strchr(host, '/');
	colon = slash ? memrchr(host, ':', (size_t)(slash - host)) : NULL;
	if (!colon || slash - colon > (ptrdiff_t)sizeof(n.port) ||
	    strlen(slash + 1) >= sizeof(n.name) ||
	    !take_host(host, (size_t)(colon - host), n.host))
		return wrong(line, e);
	(void)snprintf(n.port, sizeof(n.port), "%.*s", (int)(slash - colon - 1),
		       colon + 1);
	memcpy(n.name, slash + 1, strlen(slash + 1) + 1);
	if (num_u32(n.port, 1, UINT16_MAX, &port, e) < 0)
		return err_wrap(e, "port of an NBD disk");
	*ret = n;
	return 0;
}

int nbd_read(const char *path, char *ret, struct err *e)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct nbd n;
	ssize_t len;
	int r;

	if (fd < 0)
		return err_sys(e, "%s", path);
	len = fd_read_full(fd, ret, NBD_LINE_MAX - 1);
	if (len < 0)
		return err_sys(e, "%s", path);
	if (len > 0 && ret[len - 1] == '\n')
		len--;
	ret[len] = '\0';
	r = nbd_parse(ret, &n, e);
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}
