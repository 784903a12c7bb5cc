#include "init/serve.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "init/journal.h"
#include "init/procs.h"
#include "init/store.h"

/* One request: what came, and the answer in the making. */
struct request {
	struct serve *s;
	const struct control_msg *q;
	int *fds;
	struct control_msg *a;
	int *a_fd;
};

static int hello(const struct request *r)
{
	r->a->status = (int32_t)CONTROL_VERSION;
	if (r->q->arg != CONTROL_VERSION)
		return -EPROTONOSUPPORT;
	r->s->hello = true;
	r->a->arg = r->s->incarnation;
	r->a->flags = r->s->poisoned ? CONTROL_FLAG_POISONED : 0;
	if (r->s->migratable)
		r->a->flags |= CONTROL_FLAG_MIGRATABLE;
	*r->a_fd = r->s->ring_fd;
	procs_tell_again();
	return 0;
}

static int deposit(const struct request *r)
{
	int result;

	if (r->fds[0] < 0 || r->fds[1] >= 0 || r->q->role == CONTROL_ROLE_ALL)
		return -EINVAL;
	result = store_put(r->q->object, r->q->role, r->fds[0]);
	if (result == 0)
		r->fds[0] = -1; /* the store's now */
	return result;
}

static int withdraw(const struct request *r)
{
	return store_drop(r->q->object, r->q->role);
}

static int fetch(const struct request *r)
{
	struct store_item item;
	int result;

	r->a->arg = r->q->arg;
	result = store_list(&r->a->arg, &item);
	if (result < 0)
		return result;
	r->a->object = item.object;
	r->a->role = item.role;
	*r->a_fd = item.fd;
	return 0;
}

static int ticket_open(const struct request *r)
{
	if (procs_find(r->q->ticket))
		return -EEXIST;
	return journal_open(r->q->ticket);
}

static int ticket_close(const struct request *r)
{
	return journal_close(r->q->ticket);
}

static int tickets(const struct request *r)
{
	r->a->arg = r->q->arg;
	return journal_list(&r->a->arg, &r->a->ticket);
}

/* The process lives, or waits to be reaped. */
static int register_alive(const struct request *r)
{
	cleanup_fd fd = (int)syscall(SYS_pidfd_open, r->q->pid, 0);
	int result;

	if (fd < 0)
		return -errno;
	result = procs_add(r->q->ticket, r->q->object, r->q->pid, fd, 0);
	if (result < 0)
		return result;
	*r->a_fd = fd_take(&fd);
	return 0;
}

static int register_process(const struct request *r)
{
	const struct control_msg *q = r->q;
	int result;

	if (!journal_is_open(q->ticket))
		return -ENOENT;
	if (q->pid <= 1)
		return -EINVAL;
	if (journal_claim(q->ticket, q->pid, &r->a->status) == 0) {
		r->a->flags = CONTROL_FLAG_EXITED;
		result = procs_add(q->ticket, q->object, q->pid, -1,
				   r->a->status);
		if (result < 0) /* it can be asked again */
			journal_record(q->pid, r->a->status);
	} else {
		result = register_alive(r);
	}
	if (result == 0)
		(void)journal_close(q->ticket); /* it is open, see above */
	return result;
}

static int exit_ack(const struct request *r)
{
	struct proc *p = procs_find(r->q->ticket);

	if (!p || p->state != PROC_ENDED)
		return -ENOENT;
	procs_drop(p);
	return 0;
}

static int reaped(const struct request *r)
{
	struct proc *p = procs_find(r->q->ticket);

	if (!p)
		return -ENOENT;
	procs_drop(p);
	return 0;
}

static int processes(const struct request *r)
{
	const struct proc *p;

	r->a->arg = r->q->arg;
	p = procs_list(&r->a->arg);
	if (!p)
		return -ENOENT;
	r->a->ticket = p->ticket;
	r->a->object = p->object;
	r->a->pid = p->pid;
	r->a->status = p->status;
	r->a->flags = p->state == PROC_ENDED  ? CONTROL_FLAG_EXITED
		      : p->state == PROC_GONE ? CONTROL_FLAG_GONE
					      : 0;
	*r->a_fd = p->pidfd;
	return 0;
}

static int stable(const struct request *r)
{
	r->s->stable = true;
	return 0;
}

static int power_off(const struct request *r)
{
	r->s->power_off = true;
	r->s->end = r->q->arg == CONTROL_END_ORDERLY ? CONTROL_END_ORDERLY
						     : CONTROL_END_FAILED;
	return 0;
}

static int (*const handlers[])(const struct request *r) = {
	[CONTROL_OP_HELLO] = hello,
	[CONTROL_OP_DEPOSIT] = deposit,
	[CONTROL_OP_WITHDRAW] = withdraw,
	[CONTROL_OP_FETCH] = fetch,
	[CONTROL_OP_TICKET_OPEN] = ticket_open,
	[CONTROL_OP_TICKET_CLOSE] = ticket_close,
	[CONTROL_OP_REGISTER] = register_process,
	[CONTROL_OP_EXIT_ACK] = exit_ack,
	[CONTROL_OP_REAPED] = reaped,
	[CONTROL_OP_PROCESSES] = processes,
	[CONTROL_OP_STABLE] = stable,
	[CONTROL_OP_POWEROFF] = power_off,
	[CONTROL_OP_TICKETS] = tickets,
};

void serve_begin(struct serve *s, bool poisoned)
{
	s->incarnation++;
	s->poisoned = poisoned;
	s->hello = false;
	s->stable = false;
}

bool serve_packet(struct serve *s, const struct control_msg *q,
		  int fds[CONTROL_FDS_MAX], struct control_msg *a, int *a_fd)
{
	const struct request r = { s, q, fds, a, a_fd };

	*a_fd = -1;
	*a = (struct control_msg){ .op = q->op,
				   .tag = q->tag,
				   .object = q->object,
				   .ticket = q->ticket,
				   .role = q->role,
				   .pid = q->pid };
	if (q->op >= ARRAY_LEN(handlers) || !handlers[q->op])
		a->result = -EOPNOTSUPP;
	else if (!s->hello && q->op != CONTROL_OP_HELLO)
		a->result = -EPROTO;
	else
		a->result = handlers[q->op](&r);
	return q->op != CONTROL_OP_POWEROFF || a->result < 0;
}
