/*
 * tests/e2e/vsock_peer.c - the host's services of the vsock test
 *
 * vsock_peer BASE listens on the unix sockets of the ports in vsock_ports.h,
 * prints "ready", and serves each connection in a child until it is killed.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "tests/e2e/vsock_ports.h"

static uint8_t data[65536];
static uint8_t wanted[sizeof(data)];

static void echo(int fd)
{
	ssize_t n;

	do
		n = read(fd, data, sizeof(data));
	while (n > 0 && fd_write_full(fd, data, (size_t)n) == 0);
}

static void sink(int fd)
{
	uint64_t count = 0;

	for (;;) {
		const ssize_t n = fd_read_full(fd, data, sizeof(data));

		if (n <= 0)
			break;
		vsock_pattern(wanted, count, sizeof(wanted));
		if (memcmp(data, wanted, (size_t)n) != 0)
			break;
		count += (uint64_t)n;
	}
	(void)fd_write_full(fd, &count, sizeof(count));
}

static void source(int fd)
{
	uint32_t total;

	if (fd_read_full(fd, &total, sizeof(total)) != sizeof(total))
		return;
	for (uint32_t at = 0; at < total; at += sizeof(data)) {
		vsock_pattern(data, at, sizeof(data));
		if (fd_write_full(fd, data, sizeof(data)) < 0)
			return;
	}
}

static void hold(int fd)
{
	struct pollfd p = { .fd = fd };

	(void)poll(&p, 1, -1); /* until the guest's end is gone */
}

static const struct {
	unsigned int port;
	void (*serve)(int fd);
} services[] = {
	{ VSOCK_PORT_ECHO, echo },
	{ VSOCK_PORT_SINK, sink },
	{ VSOCK_PORT_SOURCE, source },
	{ VSOCK_PORT_HOLD, hold },
};

#define SERVICES (sizeof(services) / sizeof(services[0]))

static int listen_on(const char *base, unsigned int port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", base, port);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 128) < 0) {
		perror(a.sun_path);
		exit(1);
	}
	return fd;
}

static void serve_one(int listener, void (*serve)(int fd))
{
	const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd);
		_exit(0);
	}
	(void)close(fd);
}

int main(int argc, char **argv)
{
	struct pollfd p[SERVICES];

	if (argc != 2)
		return 2;
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SERVICES; i++) {
		p[i].fd = listen_on(argv[1], services[i].port);
		p[i].events = POLLIN;
	}
	printf("ready\n");
	(void)fflush(stdout);
	while (poll(p, SERVICES, -1) > 0)
		for (size_t i = 0; i < SERVICES; i++)
			if (p[i].revents != 0)
				serve_one(p[i].fd, services[i].serve);
	return 1;
}
