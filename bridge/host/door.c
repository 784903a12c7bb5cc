#include "bridge/host/door.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/host/acceptor.h"
#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"

/* Between two looks at an acceptor that is being started by somebody else. */
#define PAUSE_MS 2
#define SELF "/proc/self/exe"

static bool is_shared(const struct transport *t)
{
	return t->kind == TRANSPORT_VSOCK && t->base[0] != '\0';
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- an acceptor is there ------------------------------------------------------- */

/* It goes into the background by itself; its starter has ended then. */
static int start(const struct transport *t, struct err *e)
{
	char folder[TRANSPORT_BASE_MAX];
	char self[] = SELF;
	char command[] = ACCEPTOR_COMMAND;
	char *const argv[] = { self, command, folder, NULL };
	char *const envp[] = { NULL };
	const struct spawn s = {
		.argv = argv,
		.envp = envp,
		.cwd = "/",
		.stdio = { -1, -1, -1 },
		.setsid = true,
	};
	struct pollfd p = { .events = POLLIN };
	cleanup_fd pidfd = -1;
	siginfo_t end = { 0 };
	pid_t pid = -1;
	int r;

	memcpy(folder, t->base, sizeof(folder));
	r = spawn_start(&s, &pid, &pidfd, e);
	if (r < 0)
		return r;
	p.fd = pidfd;
	if (poll(&p, 1, HOST_DOOR_MS) != 1)
		(void)kill(pid, SIGKILL); /* its end is told below */
	if (waitid(P_PID, (id_t)pid, &end, WEXITED) < 0)
		return err_sys(e, "the starter of the acceptor");
	if (end.si_code != CLD_EXITED || end.si_status != 0)
		return err_set(e, EIO, "it could not be started");
	return 0;
}

static int dial(const struct transport *t, int *ret_fd, struct err *e)
{
	const struct timeval limit = { .tv_sec = HOST_DOOR_MS / 1000 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, "socket");
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", t->base,
		       ACCEPTOR_SOCKET); /* fits by TRANSPORT_BASE_MAX */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) <
		    0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) <
		    0 ||
	    connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, "%s", a.sun_path);
	*ret_fd = fd_take(&fd);
	return 0;
}

/* --- one pair of CID and port ------------------------------------------------------ */

/* 0: @ret_result is its answer; -ECONNRESET: it ended meanwhile. */
static int ask(int fd, const struct transport *t, uint32_t port,
	       int *ret_result, struct err *e)
{
	const struct acceptor_ask q = {
		.version = ACCEPTOR_VERSION,
		.cid = t->cid,
		.port = port,
	};
	struct acceptor_word a = { 0 };
	ssize_t n = send(fd, &q, sizeof(q), MSG_NOSIGNAL);

	if (n == (ssize_t)sizeof(q))
		n = recv(fd, &a, sizeof(a), 0);
	if (n < 0 && errno == EAGAIN)
		return err_set(e, ETIMEDOUT, "it does not answer");
	if (n <= 0)
		return err_set(e, ECONNRESET, "it has ended");
	if (n != (ssize_t)sizeof(a) || a.version != ACCEPTOR_VERSION)
		return err_set(e, EPROTO, "it is of another version of ferry");
	*ret_result = a.result;
	return 0;
}

static int try(const struct transport *t, uint32_t port, int *ret_fd,
	       int *ret_result, struct err *e)
{
	cleanup_fd fd = -1;
	int r = dial(t, &fd, e);

	if (r == 0)
		r = ask(fd, t, port, ret_result, e);
	if (r == 0)
		r = fd_nonblock(fd, true);
	if (r == 0)
		*ret_fd = fd_take(&fd);
	return r;
}

static bool is_absent(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -ECONNRESET;
}

static int listen_shared(const struct transport *t, uint32_t port, int *ret_fd,
			 struct err *e)
{
	const int64_t end = now_ms() + HOST_DOOR_MS;
	cleanup_fd fd = -1;
	int result = 0;
	int r = try(t, port, &fd, &result, e);

	while (is_absent(r) && now_ms() < end) {
		r = start(t, e);
		if (r < 0)
			break;
		r = try(t, port, &fd, &result, e);
		if (is_absent(r)) /* another one is about to listen */
			(void)poll(NULL, 0, PAUSE_MS);
	}
	if (r < 0)
		return err_wrap(e, "acceptor of vsock");
	if (result < 0)
		return err_set(e, -result, "listen on vsock port %u: %s", port,
			       strerror(-result));
	*ret_fd = fd_take(&fd);
	return 0;
}

int host_door_listen(const struct transport *t, uint32_t port, int backlog,
		     int *ret_fd, struct err *e)
{
	return is_shared(t) ? listen_shared(t, port, ret_fd, e)
			    : transport_listen(t, port, backlog, ret_fd, e);
}

static int take_fd(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static int accept_shared(int listen_fd, int *ret_fd, struct err *e)
{
	struct acceptor_word w;
	struct iovec io = { .iov_base = &w, .iov_len = sizeof(w) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const ssize_t n = recvmsg(listen_fd, &m, MSG_CMSG_CLOEXEC);
	cleanup_fd fd = -1;
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return err_set(e, EAGAIN, "nobody has dialled");
	if (n <= 0)
		return err_set(e, ECONNRESET, "the acceptor has ended");
	fd = take_fd(&m);
	if (fd < 0) /* no room for a descriptor here: the guest dials again */
		return err_set(e, EAGAIN, "a connection was lost");
	r = fd_nonblock(fd, true);
	if (r < 0)
		return err_set(e, -r, "a connection");
	*ret_fd = fd_take(&fd);
	return 0;
}

int host_door_accept(const struct transport *t, int listen_fd, int *ret_fd,
		     struct err *e)
{
	return is_shared(t) ? accept_shared(listen_fd, ret_fd, e)
			    : transport_accept(t, listen_fd, ret_fd, e);
}
