#include "bridge/io/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bridge/io/fd.h"

/* Ancillary data, aligned as the kernel wants it. */
union ancillary {
	struct cmsghdr head;
	char room[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
};

int control_send(int fd, const struct control_msg *m, const int *fds,
		 size_t n_fds, struct err *e)
{
	struct control_msg copy = *m; /* an iovec is not const */
	struct iovec iov = { .iov_base = &copy, .iov_len = sizeof(copy) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	union ancillary a;
	ssize_t n;

	if (n_fds > CONTROL_FDS_MAX)
		return err_set(e, EINVAL, "control: %zu descriptors", n_fds);
	if (n_fds > 0) {
		memset(&a, 0, sizeof(a));
		h.msg_control = &a;
		h.msg_controllen = (socklen_t)CMSG_SPACE(n_fds * sizeof(int));
		a.head.cmsg_level = SOL_SOCKET;
		a.head.cmsg_type = SCM_RIGHTS;
		a.head.cmsg_len = (socklen_t)CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&a.head), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(e, "control: send") : 0;
}

/* Takes what SCM_RIGHTS brought; the kernel cut it to CONTROL_FDS_MAX. */
static void take_fds(struct msghdr *h, int fds[CONTROL_FDS_MAX])
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(h);
	size_t n;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len < CMSG_LEN(0))
		return;

	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > CONTROL_FDS_MAX)
		n = CONTROL_FDS_MAX;
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
}

int control_recv(int fd, struct control_msg *m, int fds[CONTROL_FDS_MAX],
		 struct err *e)
{
	struct control_msg got = { 0 };
	struct iovec iov = { .iov_base = &got, .iov_len = sizeof(got) };
	union ancillary a;
	struct msghdr h = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &a,
		.msg_controllen = sizeof(a),
	};
	int reset = 0;
	ssize_t n;

	for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
		fds[i] = -1;
	/* A peer that is gone and had not read everything is told once, before
	 * what it had sent. */
	do {
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		reset += n < 0 && errno == ECONNRESET;
	} while (n < 0 &&
		 (errno == EINTR || (errno == ECONNRESET && reset == 1)));
	if (n < 0)
		return err_sys(e, "control: receive");

	take_fds(&h, fds);
	if (n == (ssize_t)sizeof(got) &&
	    !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		*m = got;
		return 1;
	}
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
		fd_close(&fds[i]);
	if (n == 0)
		return 0;
	return err_set(e, EPROTO, "control: malformed packet of %zd bytes", n);
}
