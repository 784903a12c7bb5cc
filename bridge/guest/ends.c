#include "bridge/guest/ends.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "bridge/guest/carry.h"
#include "bridge/guest/container.h"
#include "bridge/guest/pty.h"
#include "bridge/io/fd.h"
#include "bridge/msg_ferry.h"

void ends_init(struct ends *d)
{
	*d = (struct ends){
		.child = { -1, -1, -1 },
		.ours = { -1, -1, -1 },
		.terminal = -1,
		.slave = -1,
	};
}

void ends_close_child(struct ends *d)
{
	for (int i = 0; i < MSG_STDIO; i++) {
		if (d->child[i] == d->slave)
			d->child[i] = -1;
		fd_close(&d->child[i]);
	}
	fd_close(&d->slave);
}

void ends_close(struct ends *d)
{
	ends_close_child(d);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&d->ours[i]);
	fd_close(&d->terminal);
}

static int make_pipe(struct ends *d, int i, struct err *e)
{
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	d->child[i] = i == MSG_STDIN ? p[0] : p[1];
	d->ours[i] = i == MSG_STDIN ? p[1] : p[0];
	r = fd_nonblock(d->ours[i], true);
	return r < 0 ? err_set(e, -r, "pipe: %s", strerror(-r)) : 0;
}

int ends_pipes(struct ends *d, const bool wanted[MSG_STDIO], struct err *e)
{
	int r = 0;

	for (int i = 0; i < MSG_STDIO && r == 0; i++) {
		if (wanted[i])
			r = make_pipe(d, i, e);
	}
	return r;
}

/* Only stdin and stdout are used with a terminal. */
static int share_master(struct ends *d, const bool wanted[MSG_STDIO],
			struct err *e)
{
	for (int i = 0; i < MSG_STDERR; i++) {
		if (!wanted[i] || d->ours[i] >= 0)
			continue;
		d->ours[i] = fcntl(d->terminal, F_DUPFD_CLOEXEC, 3);
		if (d->ours[i] < 0)
			return err_sys(e, "terminal");
	}
	return 0;
}

int ends_terminal(struct ends *d, const bool wanted[MSG_STDIO], uint16_t height,
		  uint16_t width, struct err *e)
{
	if (pty_open(height, width, &d->terminal, &d->slave, e) < 0)
		return err_code(e);
	for (int i = 0; i < MSG_STDIO; i++)
		d->child[i] = d->slave;
	return share_master(d, wanted, e);
}

int ends_master(struct ends *d, const bool wanted[MSG_STDIO], int master,
		struct err *e)
{
	int r;

	d->terminal = master;
	r = fd_nonblock(master, true);
	if (r < 0)
		return err_set(e, -r, "terminal: %s", strerror(-r));
	return share_master(d, wanted, e);
}

uint64_t ends_deposit(const struct ends *d, struct pid1 *pid1)
{
	uint64_t number = 0;

	if (d->terminal >= 0) {
		number = pid1_number(pid1);
		pid1_deposit(pid1, number, PROCESS_TERMINAL, d->terminal);
		return number;
	}
	for (uint32_t i = 0; i < MSG_STDIO; i++) {
		if (d->ours[i] >= 0 && number == 0)
			number = pid1_number(pid1);
		if (d->ours[i] >= 0)
			pid1_deposit(pid1, number, i, d->ours[i]);
	}
	return number;
}

void ends_deposit_master(const struct ends *d, struct pid1 *pid1,
			 uint64_t number)
{
	pid1_deposit(pid1, number, PROCESS_TERMINAL, d->terminal);
	pid1_withdraw(pid1, number, PROCESS_CONSOLE);
}

static void on_stream_change(void *ctx)
{
	process_check(ctx);
}

/* What is ours of it closes, and PID 1's copy. */
static void not_wanted(struct ends *d, const struct streams *all,
		       const struct process *p, int i)
{
	if (!p->console && all->on_end)
		all->on_end(all->ctx, p->number, (uint32_t)i);
	fd_close(&d->ours[i]);
}

static int make_stream(struct ends *d, struct streams *all, struct process *p,
		       int i, int *sock, struct err *e)
{
	enum stream_kind kind = i == MSG_STDIN ? STREAM_IN : STREAM_OUT;

	if (*sock < 0) {
		not_wanted(d, all, p, i);
		return 0;
	}
	if (p->console && i == MSG_STDERR)
		kind = STREAM_IDLE;
	if (stream_new(all, kind, fd_take(sock), fd_take(&d->ours[i]),
		       p->console, on_stream_change, p, &p->stream[i], e) < 0)
		return err_code(e);
	if (!p->console)
		stream_deposited(p->stream[i], p->number, (uint32_t)i);
	return 0;
}

int ends_restore(struct ends *d, struct streams *all, struct process *p,
		 const uint32_t port[MSG_STDIO], struct err *e)
{
	int r = 0;

	/* A socket that is gone ends the input, unless it is dialled again. */
	if (port[MSG_STDIN] == 0 && !p->stream[MSG_STDIN])
		not_wanted(d, all, p, MSG_STDIN);
	for (int i = 0; i < MSG_STDIO && r == 0; i++) {
		if (d->ours[i] < 0)
			continue;
		r = stream_new(all, i == MSG_STDIN ? STREAM_IN : STREAM_OUT, -1,
			       fd_take(&d->ours[i]), p->console,
			       on_stream_change, p, &p->stream[i], e);
		if (r == 0 && !p->console)
			stream_deposited(p->stream[i], p->number, (uint32_t)i);
		if (r == 0)
			stream_redial(p->stream[i], port[i]);
	}
	if (d->terminal >= 0)
		p->terminal = fd_take(&d->terminal);
	return r;
}

static int make_carried(struct ends *d, struct streams *all, struct process *p,
			int i, uint32_t port, struct err *e)
{
	struct carry_new n;

	if (p->stream[i]) {
		/* An earlier agent got as far as that; it is a terminal. */
		fd_close(&d->ours[i]);
		return 0;
	}
	if (port == 0) {
		not_wanted(d, all, p, i);
		return 0;
	}
	if (p->console && i == MSG_STDERR) {
		all->tell(all->tell_ctx, WIRE_FERRY_STREAM_END, port, 0);
		return 0;
	}
	n = (struct carry_new){
		.kind = i == MSG_STDIN ? STREAM_IN : STREAM_OUT,
		.tty = p->console,
		.port = port,
		.number = p->number,
		.role = (uint32_t)i,
		.serial = p->container ? p->container->facts.serial : 0,
		.pid = (uint32_t)p->pid,
		.end = fd_take(&d->ours[i]),
		.file = -1,
		.mid = -1,
	};
	return stream_new_carried(all, &n, on_stream_change, p, &p->stream[i],
				  e);
}

int ends_carry_on(struct streams *all, struct process *p,
		  const struct carry_new *n, struct err *e)
{
	struct stream *s = NULL;
	const int r = stream_new_carried(all, n, on_stream_change, p, &s, e);

	if (r == 0 && p)
		p->stream[n->role] = s;
	else if (r == 0)
		stream_forget(s);
	return r;
}

int ends_connect(struct ends *d, struct streams *all, struct process *p,
		 int sock[MSG_STDIO], const uint32_t *port, struct err *e)
{
	int r = 0;

	p->console = d->terminal >= 0;
	p->terminal = fd_take(&d->terminal);
	for (int i = 0; i < MSG_STDIO; i++) {
		if (r == 0)
			r = port ? make_carried(d, all, p, i, port[i], e)
				 : make_stream(d, all, p, i, &sock[i], e);
		fd_close(&sock[i]);
	}
	if (port && r == 0) {
		p->carried = true;
		process_keep(p);
	}
	return r;
}
