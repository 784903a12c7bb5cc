#include "bridge/guest/dhcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "config/num.h"

#define OUTPUT_MAX 4096

/* --- reading --------------------------------------------------------------- */

static int read_address(const char *text, struct rtnl_address *ret,
			struct err *e)
{
	if (rtnl_parse_address(text, ret, e) < 0)
		return err_code(e);
	if (ret->family != AF_INET || rtnl_address_any(ret))
		return err_set(e, EINVAL, "'%.40s' is no address for us", text);
	return 0;
}

/* One "name=value" of the line. */
static int read_word(const char *word, struct dhcp_lease *l, struct err *e)
{
	uint32_t bits;

	if (strncmp(word, "ip=", 3) == 0)
		return read_address(word + 3, &l->address, e);
	if (strncmp(word, "mask=", 5) == 0) {
		if (num_u32(word + 5, 1, 32, &bits, e) < 0)
			return err_code(e);
		l->prefix = (uint8_t)bits;
	} else if (strncmp(word, "router=", 7) == 0 && word[7] != '\0' &&
		   l->n_routers < DHCP_ROUTERS_MAX) {
		if (read_address(word + 7, &l->router[l->n_routers], e) < 0)
			return err_code(e);
		l->n_routers++;
	}
	return 0;
}

static int read_lease(char *line, struct dhcp_lease *ret, struct err *e)
{
	struct dhcp_lease l = { .told = true, .prefix = 32 };
	char *save = NULL;

	for (const char *word = strtok_r(line, " \t\r", &save); word;
	     word = strtok_r(NULL, " \t\r", &save)) {
		if (read_word(word, &l, e) < 0)
			return err_wrap(e, "DHCP lease");
	}
	if (l.address.family == 0)
		return err_set(e, EINVAL, "DHCP lease: no address");
	*ret = l;
	return 0;
}

int dhcp_read(char *text, struct dhcp_lease *ret, struct err *e)
{
	struct dhcp_lease lease = { 0 };
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, DHCP_LINE, strlen(DHCP_LINE)) == 0 &&
		    read_lease(line + strlen(DHCP_LINE), &lease, e) < 0)
			return err_code(e);
	}
	*ret = lease;
	return 0;
}

/* --- running --------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads until end of file or the deadline; what is too long is dropped.
 * Return: 0, -ETIMEDOUT */
static int collect(int fd, int pidfd, int64_t deadline, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (;;) {
		struct pollfd p[] = { { .fd = fd, .events = POLLIN },
				      { .fd = pidfd, .events = POLLIN } };
		const int64_t left = deadline - now_ms();
		char dropped[256];
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 2, (int)left) <= 0)
			continue; /* the deadline, or a signal */
		if (!p[0].revents)
			return 0; /* it has ended; somebody else has its pipe */
		n = len < size - 1 ? read(fd, text + len, size - 1 - len)
				   : read(fd, dropped, sizeof(dropped));
		if (n <= 0)
			return 0;
		if (len < size - 1)
			len += (size_t)n;
		text[len] = '\0';
	}
}

/* Waits for the end, or brings it about at the deadline. */
static int await_end(pid_t pid, int pidfd, int64_t deadline, int *status)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	const int64_t left = deadline - now_ms();
	const bool ended = poll(&p, 1, left > 0 ? (int)left : 0) > 0;

	if (!ended)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return ended ? 0 : -ETIMEDOUT;
}

int dhcp_run(const char *client, const char *script, const char *link,
	     int limit_ms, struct dhcp_lease *ret, struct err *e)
{
	char name[IF_NAMESIZE];
	char path[256];
	char argv0[256];
	char *argv[] = { argv0, (char[]){ "-q" }, (char[]){ "-i" },
			 name,	(char[]){ "-s" }, path,
			 NULL };
	char *envp[] = { (char[]){ "PATH=/sbin:/usr/sbin:/bin:/usr/bin" },
			 NULL };
	const int64_t deadline = now_ms() + limit_ms;
	char text[OUTPUT_MAX];
	int ends[2];
	cleanup_fd out = -1;
	cleanup_fd in = -1;
	cleanup_fd pidfd = -1;
	struct spawn s = { .argv = argv,
			   .envp = envp,
			   .path = "/sbin:/usr/sbin:/bin:/usr/bin",
			   .cwd = "/",
			   .stdio = { -1, -1, -1 },
			   .die_with_parent = true };
	int status = 0;
	pid_t pid;
	int r;

	(void)snprintf(argv0, sizeof(argv0), "%s", client);
	(void)snprintf(path, sizeof(path), "%s", script);
	(void)snprintf(name, sizeof(name), "%s", link);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "DHCP pipe");
	in = ends[0];
	out = ends[1];
	s.stdio[1] = out;
	r = spawn_start(&s, &pid, &pidfd, e);
	if (r < 0)
		return err_wrap(e, "DHCP client");
	fd_close(&out);
	r = collect(in, pidfd, deadline, text, sizeof(text));
	if (await_end(pid, pidfd, deadline, &status) < 0 || r < 0)
		return err_set(e, ETIMEDOUT, "DHCP on %s: no lease in %d ms",
			       link, limit_ms);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, EIO, "DHCP on %s: the client failed (%d)",
			       link, status);
	return dhcp_read(text, ret, e);
}
