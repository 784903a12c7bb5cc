#include "tools/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

#define HOST_MAX 256u
#define MS_PER_S 1000
#define NS_PER_MS 1000000

static int unix_address(const char *path, struct sockaddr_un *ret,
			struct err *e)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return err_set(e, ENAMETOOLONG,
			       "%.60s...: too long for a socket", path);
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
	return 0;
}

/* "[::1]:7000" too. */
static int find_host(const char *where, bool passive, struct addrinfo **ret,
		     struct err *e)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = passive ? AI_PASSIVE : 0,
	};
	const char *colon = strrchr(where, ':');
	char host[HOST_MAX];
	size_t n = colon ? (size_t)(colon - where) : 0;
	int r;

	if (!colon || colon[1] == '\0' || n >= sizeof(host))
		return err_set(e, EINVAL,
			       "'%.60s': want a path with '/', or HOST:PORT",
			       where);
	if (n > 1 && where[0] == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	memcpy(host, where, n);
	host[n] = '\0';
	r = getaddrinfo(n ? host : NULL, colon + 1, &hints, ret);
	return r == 0 ? 0
		      : err_set(e, EHOSTUNREACH, "%.60s: %s", where,
				gai_strerror(r));
}

static int limit(int fd, int ms)
{
	const struct timeval t = { .tv_sec = ms / MS_PER_S };

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

void endpoint_limit(int fd, int ms)
{
	(void)limit(fd, ms);
}

int64_t endpoint_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * MS_PER_S + t.tv_nsec / NS_PER_MS;
}

static int dial_one(const struct sockaddr *to, socklen_t len, int family,
		    int *ret)
{
	const int on = 1;
	cleanup_fd fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* The limit of a send is that of a connect too. */
	if (fd < 0 || limit(fd, ENDPOINT_MS) < 0 || connect(fd, to, len) < 0)
		return -errno;
	(void)limit(fd, 0);
	if (family != AF_UNIX) /* a broken link shows in a minute */
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	*ret = fd_take(&fd);
	return 0;
}

int endpoint_dial(const char *where, int *ret, struct err *e)
{
	struct addrinfo *list = NULL;
	struct sockaddr_un path;
	int r;

	if (strchr(where, '/')) {
		r = unix_address(where, &path, e);
		if (r < 0)
			return r;
		r = dial_one((const struct sockaddr *)&path, sizeof(path),
			     AF_UNIX, ret);
	} else {
		r = find_host(where, false, &list, e);
		if (r < 0)
			return r;
		r = -EHOSTUNREACH;
		for (const struct addrinfo *a = list; a && r < 0;
		     a = a->ai_next)
			r = dial_one(a->ai_addr, a->ai_addrlen, a->ai_family,
				     ret);
		freeaddrinfo(list);
	}
	return r < 0 ? err_set(e, -r, "%.80s: %s", where, strerror(-r)) : 0;
}

static int listen_on(const struct sockaddr *at, socklen_t len, int family,
		     int *ret)
{
	const int on = 1;
	cleanup_fd fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, at, len) < 0 || listen(fd, ENDPOINT_BACKLOG) < 0)
		return -errno;
	*ret = fd_take(&fd);
	return 0;
}

static int listen_path(const char *where, int *ret, struct err *e)
{
	struct sockaddr_un path;
	mode_t mask;
	int other = -1;
	int r = unix_address(where, &path, e);

	if (r < 0)
		return r;
	r = dial_one((const struct sockaddr *)&path, sizeof(path), AF_UNIX,
		     &other);
	fd_close(&other);
	if (r == 0)
		return err_set(e, EADDRINUSE, "%s: somebody listens", where);
	if (r == -ECONNREFUSED)
		(void)unlink(where); /* its owner has died */
	mask = umask(0177);
	r = listen_on((const struct sockaddr *)&path, sizeof(path), AF_UNIX,
		      ret);
	(void)umask(mask);
	return r < 0 ? err_set(e, -r, "%s: %s", where, strerror(-r)) : 0;
}

int endpoint_listen(const char *where, int *ret, struct err *e)
{
	struct addrinfo *list = NULL;
	int r;

	if (strchr(where, '/'))
		return listen_path(where, ret, e);
	r = find_host(where, true, &list, e);
	if (r < 0)
		return r;
	r = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a && r < 0; a = a->ai_next)
		r = listen_on(a->ai_addr, a->ai_addrlen, a->ai_family, ret);
	freeaddrinfo(list);
	return r < 0 ? err_set(e, -r, "%.80s: %s", where, strerror(-r)) : 0;
}

int endpoint_say(int fd, const char *line, struct err *e)
{
	const size_t n = strlen(line);

	return send(fd, line, n, MSG_NOSIGNAL) == (ssize_t)n
		       ? 0
		       : err_set(e, ECONNRESET, "the other host has hung up");
}

int endpoint_hear_some(int fd, char line[ENDPOINT_LINE_MAX], size_t *n,
		       struct err *e)
{
	while (*n < ENDPOINT_LINE_MAX) {
		const ssize_t got = recv(fd, line + *n, 1, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got != 1)
			return err_set(e, ECONNRESET,
				       "the other host has hung up");
		if (line[*n] == '\n') {
			line[*n] = '\0';
			return 1;
		}
		(*n)++;
	}
	return err_set(e, EPROTO,
		       "the other host does not speak ferry's words");
}

int endpoint_hear(int fd, char line[ENDPOINT_LINE_MAX], struct err *e)
{
	const int64_t end = endpoint_now_ms() + ENDPOINT_MS;
	size_t n = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		const int64_t left = end - endpoint_now_ms();
		const int r = endpoint_hear_some(fd, line, &n, e);

		if (r != 0)
			return r < 0 ? r : 0;
		if (left <= 0)
			return err_set(e, ETIMEDOUT,
				       "the other host is silent");
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return err_sys(e, "poll");
	}
}
