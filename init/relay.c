#include "init/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"
#include "init/clock.h"
#include "init/relaybuf.h"

/* Read from the pipe at once, and in one turn. */
#define CHUNK 65536u

enum place {
	PLACE_SIGNAL,
	PLACE_PIPE,
	PLACE_HOST,
	PLACES, /* number of places */
};

/*
 * @fd:		the connection or the attempt at one, -1: none
 * @up:		it stands
 * @dial_ms:	when to dial, or when to give an attempt up
 */
static struct {
	const struct relay_job *job;
	struct relaybuf buf;
	int signal_fd;
	int pipe_fd;
	int fd;
	bool up;
	int64_t dial_ms;
	pid_t child;
	bool ended;
	int status;
} self;

static void run_child(const struct relay_job *job, int pipe_fd, pid_t parent,
		      const sigset_t *mask)
{
	static const char failed[] = "vsockexec: cannot execute the program\n";

	/* Without its relay it would write into a pipe that nobody reads. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail */
	if (getppid() != parent)
		_exit(job->cannot_run);
	if (job->out)
		(void)dup2(pipe_fd, STDOUT_FILENO);
	if (job->err)
		(void)dup2(pipe_fd, STDERR_FILENO); /* both are open */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execvp(job->command[0], job->command);
	(void)fd_write_full(STDERR_FILENO, failed, sizeof(failed) - 1);
	_exit(job->cannot_run);
}

static int start(const struct relay_job *job, struct err *e)
{
	const pid_t parent = getpid();
	cleanup_fd reader = -1, writer = -1;
	sigset_t mine, before;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	reader = ends[0];
	writer = ends[1];
	if (fd_nonblock(reader, true) < 0)
		return err_set(e, EIO, "pipe");
	(void)sigemptyset(&mine);
	(void)sigaddset(&mine, SIGCHLD);
	(void)sigaddset(&mine, SIGTERM);
	(void)sigaddset(&mine, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &mine, &before); /* none can fail */
	self.signal_fd = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
	if (self.signal_fd < 0)
		return err_sys(e, "signalfd");
	self.child = fork();
	if (self.child < 0)
		return err_sys(e, "fork");
	if (self.child == 0)
		run_child(job, writer, parent, &before);
	self.pipe_fd = fd_take(&reader);
	return 0;
}

static void down(int64_t now_ms)
{
	if (self.up)
		relaybuf_down(&self.buf, now_ms);
	fd_close(&self.fd);
	self.up = false;
	self.dial_ms = now_ms + RELAY_RETRY_MS;
}

/* The time of @dial_ms has come: for a new attempt, or to give one up. */
static void redial(int64_t now_ms)
{
	if (self.fd < 0 &&
	    transport_dial(&self.job->t, self.job->port, &self.fd, NULL) == 0)
		self.dial_ms = now_ms + RELAY_DIAL_MS;
	else
		down(now_ms);
}

/* Sends until the kernel takes no more; return: does the connection stand? */
static bool send_all(int64_t now_ms)
{
	const char *data;
	size_t len;

	while ((len = relaybuf_next(&self.buf, &data)) > 0) {
		const ssize_t n = send(self.fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return errno == EAGAIN;
		if (n > 0)
			relaybuf_sent(&self.buf, (size_t)n, now_ms);
	}
	return true;
}

/* The host has nothing to say; return: is it still there? */
static bool listen_to_host(void)
{
	char ignored[256];
	const ssize_t n = recv(self.fd, ignored, sizeof(ignored), 0);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void serve_host(short revents, int64_t now_ms)
{
	if (!self.up) {
		if (transport_dial_result(self.fd) < 0) {
			down(now_ms);
			return;
		}
		self.up = true;
	}
	if (((revents & ~POLLOUT) && !listen_to_host()) || !send_all(now_ms))
		down(now_ms);
}

/* Return: was there something to read? */
static bool serve_pipe(void)
{
	static char chunk[CHUNK];
	const ssize_t n = read(self.pipe_fd, chunk, sizeof(chunk));

	if (n > 0)
		relaybuf_put(&self.buf, chunk, (size_t)n);
	else if (n == 0) /* everybody has closed it; the child may live on */
		fd_close(&self.pipe_fd);
	return n > 0;
}

static void serve_signals(void)
{
	struct signalfd_siginfo s;

	while (read(self.signal_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGINT)
			(void)kill(self.child, (int)s.ssi_signo);
	}
	if (!self.ended && waitpid(self.child, &self.status, WNOHANG) > 0)
		self.ended = true;
}

static short host_events(void)
{
	const char *data;

	if (!self.up)
		return POLLOUT;
	return relaybuf_next(&self.buf, &data) > 0
		       ? POLLIN | POLLRDHUP | POLLOUT
		       : POLLIN | POLLRDHUP;
}

static int until(int64_t at_ms, int64_t now_ms)
{
	return at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
}

/* One turn; it waits no longer than @max_ms (-1: no limit). */
static void turn(int max_ms)
{
	struct pollfd table[PLACES] = {
		[PLACE_SIGNAL] = { self.signal_fd, POLLIN, 0 },
		[PLACE_PIPE] = { self.pipe_fd, POLLIN, 0 },
		[PLACE_HOST] = { self.fd, self.fd < 0 ? 0 : host_events(), 0 },
	};
	int64_t now_ms = clock_ms();
	int wait_ms = self.up ? -1 : until(self.dial_ms, now_ms);

	if (max_ms >= 0 && (wait_ms < 0 || wait_ms > max_ms))
		wait_ms = max_ms;
	if (poll(table, PLACES, wait_ms) < 0)
		return; /* no memory for a moment: the next turn tries again */
	now_ms = clock_ms();
	if (table[PLACE_SIGNAL].revents)
		serve_signals();
	if (table[PLACE_PIPE].revents)
		(void)serve_pipe();
	if (table[PLACE_HOST].revents)
		serve_host(table[PLACE_HOST].revents, now_ms);
	if (!self.up && now_ms >= self.dial_ms)
		redial(now_ms);
}

/* What the child left in the pipe, then what can be sent in the time left. */
static void last_words(void)
{
	const int64_t end_ms = clock_ms() + RELAY_LAST_MS;
	const char *data;

	for (unsigned int n = 0; n < RELAYBUF_SIZE / CHUNK; n++)
		if (self.pipe_fd < 0 || !serve_pipe())
			break;
	fd_close(&self.pipe_fd);
	if (self.fd < 0)
		self.dial_ms = 0; /* one attempt, at once */
	while (relaybuf_next(&self.buf, &data) > 0 && clock_ms() < end_ms)
		turn(until(end_ms, clock_ms()));
}

int relay_run(const struct relay_job *job, struct err *e)
{
	int control = CONTROL_FD;
	int r;

	self.job = job;
	self.fd = job->fd;
	self.up = job->fd >= 0;
	self.pipe_fd = -1;
	r = start(job, e);
	if (r < 0)
		return r;
	if (getenv(CONTROL_ENV))
		fd_close(&control); /* the child's alone */
	while (!self.ended)
		turn(-1);
	last_words();
	fd_close(&self.fd);
	fd_close(&self.signal_fd);
	return WIFSIGNALED(self.status) ? 128 + WTERMSIG(self.status)
					: WEXITSTATUS(self.status);
}
