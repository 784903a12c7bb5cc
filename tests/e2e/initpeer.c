/*
 * tests/e2e/initpeer.c - the host's end of one port, with one habit
 *
 * usage: initpeer SOCKET silent		accept, say nothing, hold
 *	  initpeer SOCKET flood		accept, send random bytes for ever
 *	  initpeer SOCKET log [SECONDS]	write what comes to stdout; every
 *					SECONDS (if given) hang up, listen anew
 * It ends when it is killed, or after 120 seconds.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LIFE_S 120

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 8) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* Copies until the peer ends or @limit_ms have passed (-1: no limit). */
static void copy_out(int fd, int limit_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char buf[4096];
	ssize_t n;

	while (poll(&p, 1, limit_ms) == 1) {
		n = read(fd, buf, sizeof(buf));
		if (n <= 0 || write(STDOUT_FILENO, buf, (size_t)n) != n)
			return;
	}
}

int main(int argc, char **argv)
{
	static const char junk[4096] = "these bytes are not random at all";
	const char *habit = argc > 2 ? argv[2] : "";
	const long limit_s = argc > 3 ? strtol(argv[3], NULL, 10) : -1;
	int listener, fd;

	if (argc < 3)
		return 2;
	(void)alarm(LIFE_S);
	(void)signal(SIGPIPE, SIG_IGN);
	listener = listen_at(argv[1]);
	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (strcmp(habit, "silent") == 0)
			(void)pause();
		while (strcmp(habit, "flood") == 0 &&
		       write(fd, junk, sizeof(junk)) > 0)
			;
		if (strcmp(habit, "log") == 0)
			copy_out(fd, limit_s < 0 ? -1 : (int)limit_s * 1000);
		(void)close(fd);
	}
}
