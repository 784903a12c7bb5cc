#include "tools/arrival.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "tools/launch.h"
#include "tools/shim/shim.h"

#define READY "ready"

/* In a child of its own, which has none of the caller's connections. */
static _Noreturn void start_in_child(const struct arrival *a, int fd)
{
	const struct shim_birth birth = { .name = a->name,
					  .listen_fd = -1,
					  .incoming = true };
	static struct launch l;
	char name[RUNDIR_NAME_MAX];
	struct err e = { 0 };
	const char *words = READY;
	int n;

	for (size_t i = 0; i < a->n_close; i++)
		(void)close(a->close[i]);
	launch_init(&l);
	annotation_map_init(&l.args.annotations);
	l.args.forwarder = FORWARDERS;
	l.args.accel = ACCEL_AUTO;
	l.args.vsock = VHOST_AUTO;
	l.args.kernel = a->kernel;
	l.args.image = a->image;
	n = launch_files(&l, &e);
	if (n == 0)
		n = shim_start(&l, &birth, name, &e);
	if (n < 0)
		words = e.text;
	(void)fd_write_full(fd, words, strlen(words));
	_exit(n < 0);
}

/* One write; the shim itself has the other end too, so no end comes. */
static int verdict(int fd, struct err *e)
{
	char words[ERR_TEXT_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int r;

	do
		r = poll(&p, 1, ARRIVAL_START_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return err_set(e, ETIMEDOUT, "the shim did not start in time");
	n = r < 0 ? r : read(fd, words, sizeof(words) - 1);
	words[n > 0 ? n : 0] = '\0';
	if (strcmp(words, READY) == 0)
		return 0;
	return err_set(e, EIO, "%s", *words ? words : "the shim did not start");
}

int arrival_start(const struct arrival *a, struct err *e)
{
	cleanup_fd from = -1;
	int fd[2];
	pid_t pid;
	int r;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	from = fd[0];
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		start_in_child(a, fd[1]);
	(void)close(fd[1]);
	if (pid < 0)
		return err_sys(e, "fork");
	r = verdict(from, e);
	if (r == -ETIMEDOUT)
		(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return r;
}
