#include "init/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"
#include "init/procs.h"

int link_open(struct link *l, int *ret_child, struct err *e)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(e, "control socket");
	l->fd = ends[0];
	l->waiting = false;
	l->crowded = false;
	*ret_child = ends[1];
	return 0;
}

short link_events(const struct link *l)
{
	if (l->waiting)
		return POLLOUT;
	return l->crowded ? POLLIN | POLLOUT : POLLIN;
}

/* Return: 1 taken and answered, 0 nothing to take, or -errno. */
static int take_one(struct link *l, struct err *e)
{
	struct control_msg q;
	int fds[CONTROL_FDS_MAX];
	const int r = control_recv(l->fd, &q, fds, e);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		return err_set(e, EPIPE, "control: closed by the agent");
	if (r < 0)
		return r;
	l->waiting = serve_packet(l->serve, &q, fds, &l->answer, &l->answer_fd);
	for (unsigned int i = 0; i < CONTROL_FDS_MAX; i++)
		fd_close(&fds[i]);
	return 1;
}

/* The agent is gone, but what it has asked for before that counts: it is read
 * to its end. */
static bool is_gone(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

/* Return: 0 (sent, or still waiting), or -errno. */
static int send_answer(struct link *l, struct err *e)
{
	const int r = control_send(l->fd, &l->answer, &l->answer_fd,
				   l->answer_fd >= 0 ? 1 : 0, e);

	l->waiting = r == -EAGAIN;
	return r == -EAGAIN || is_gone(r) ? 0 : r;
}

/* Only after HELLO: before it the agent does not know what they mean. */
static int tell_exits(struct link *l, struct err *e)
{
	struct proc *p;

	l->crowded = false;
	while (l->serve->hello && (p = procs_untold())) {
		const struct control_msg m = { .op = CONTROL_OP_EXIT,
					       .flags = CONTROL_FLAG_EXITED,
					       .ticket = p->ticket,
					       .object = p->object,
					       .pid = p->pid,
					       .status = p->status };
		const int r = control_send(l->fd, &m, NULL, 0, e);

		if (r == -EAGAIN) {
			l->crowded = true;
			return 0;
		}
		if (r < 0)
			return is_gone(r) ? 0 : r;
		procs_told(p);
	}
	return 0;
}

static int turn(struct link *l, struct err *e)
{
	int r = l->waiting ? send_answer(l, e) : 0;

	for (unsigned int n = 0; r == 0 && !l->waiting && n < LINK_TURN_MAX;
	     n++) {
		r = take_one(l, e);
		if (r <= 0)
			break;
		r = l->waiting ? send_answer(l, e) : 0;
	}
	return r < 0 ? r : tell_exits(l, e);
}

int link_turn(struct link *l, struct err *e)
{
	int r;

	if (l->fd < 0)
		return 0;
	r = turn(l, e);
	if (r < 0)
		fd_close(&l->fd);
	return r;
}

void link_finish(struct link *l)
{
	for (unsigned int n = 0; l->fd >= 0 && n < LINK_DRAIN_MAX; n++)
		if (take_one(l, NULL) <= 0) /* nobody reads the answers */
			break;
	l->waiting = false;
	l->crowded = false;
	fd_close(&l->fd);
}
