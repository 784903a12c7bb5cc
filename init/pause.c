/*
 * init/pause.c - the process of a pod's sandbox container: it holds the pod's
 * namespaces and waits
 *
 * As process 1 of its namespace it collects what is left to it, and ends with
 * SIGTERM or SIGINT, which a process 1 would not take by itself.
 */
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Containers of a pod talk to each other here. */
static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return; /* a pod of another network */
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	(void)ioctl(fd, SIOCSIFFLAGS, &r);
	(void)close(fd);
}

int main(void)
{
	sigset_t set;
	int number = 0;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	loopback_up();
	for (;;) {
		if (sigwait(&set, &number) != 0)
			continue;
		if (number != SIGCHLD)
			return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
