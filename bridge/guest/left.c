#include "bridge/guest/left.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

/* Tables grow by this much. */
#define LEFT_STEP 64u

/* Room for one more of @size bytes. Return: the table, or NULL */
static void *grown(void *table, size_t n, size_t size)
{
	return n % LEFT_STEP == 0 ? realloc(table, (n + LEFT_STEP) * size)
				  : table;
}

static int keep_fd(struct left *l, const struct control_msg *m, int *fd)
{
	struct left_fd *table = grown(l->fd, l->n_fds, sizeof(*table));

	if (!table)
		return -ENOMEM;
	l->fd = table;
	table[l->n_fds++] = (struct left_fd){ m->object, m->role, fd_take(fd) };
	return 0;
}

static int keep_process(struct left *l, const struct control_msg *m, int *fd)
{
	struct left_process *table =
		grown(l->process, l->n_processes, sizeof(*table));

	if (!table)
		return -ENOMEM;
	l->process = table;
	table[l->n_processes++] = (struct left_process){
		.ticket = m->ticket,
		.pid = m->pid,
		.pidfd = fd_take(fd),
		.gone = (m->flags & CONTROL_FLAG_GONE) != 0,
	};
	return 0;
}

static int keep_ticket(struct left *l, const struct control_msg *m, int *fd)
{
	(void)fd;
	if (l->n_tickets < CONTROL_TICKETS_MAX)
		l->ticket[l->n_tickets++] = m->ticket;
	return 0;
}

/* One of PID 1's lists, from its beginning. */
static int read_list(struct left *l, struct pid1 *p, enum control_op op,
		     int (*keep)(struct left *l, const struct control_msg *m,
				 int *fd),
		     struct err *e)
{
	int fds[CONTROL_FDS_MAX];
	uint64_t cursor = 0;

	for (;;) {
		struct control_msg m = { .op = op, .arg = cursor };
		int r = pid1_ask(p, &m, fds, e);

		if (r < 0)
			return r;
		if (m.result == 0)
			r = keep(l, &m, &fds[0]);
		for (unsigned int i = 0; i < CONTROL_FDS_MAX; i++)
			fd_close(&fds[i]);
		if (r < 0)
			return err_set(e, -r, "no memory for what is left");
		if (m.result < 0)
			return 0;
		cursor = m.arg;
	}
}

int left_read(struct left *l, struct pid1 *p, struct err *e)
{
	int r;

	memset(l, 0, sizeof(*l));
	r = read_list(l, p, CONTROL_OP_FETCH, keep_fd, e);
	if (r == 0)
		r = read_list(l, p, CONTROL_OP_TICKETS, keep_ticket, e);
	if (r == 0)
		r = read_list(l, p, CONTROL_OP_PROCESSES, keep_process, e);
	return r;
}

int left_take_fd(struct left *l, uint64_t object, uint32_t role)
{
	for (size_t i = 0; i < l->n_fds; i++) {
		if (l->fd[i].object == object && l->fd[i].role == role)
			return fd_take(&l->fd[i].fd);
	}
	return -1;
}

struct left_process *left_take_process(struct left *l, uint64_t ticket)
{
	for (size_t i = 0; ticket != 0 && i < l->n_processes; i++) {
		if (l->process[i].ticket != ticket)
			continue;
		l->process[i].taken = true;
		return &l->process[i];
	}
	return NULL;
}

bool left_take_ticket(struct left *l, uint64_t ticket)
{
	for (size_t i = 0; ticket != 0 && i < l->n_tickets; i++) {
		if (l->ticket[i] != ticket)
			continue;
		l->ticket[i] = 0;
		return true;
	}
	return false;
}

void left_give_back(struct left *l, struct pid1 *p, bool end)
{
	for (size_t i = 0; i < l->n_fds; i++) {
		if (l->fd[i].fd >= 0)
			pid1_withdraw(p, l->fd[i].object, l->fd[i].role);
	}
	for (size_t i = 0; i < l->n_tickets; i++)
		pid1_ticket_close(p, l->ticket[i]);
	for (size_t i = 0; i < l->n_processes; i++) {
		const struct left_process *x = &l->process[i];

		if (!x->taken && x->gone)
			pid1_reaped(p, x->ticket);
		else if (!x->taken && end)
			(void)syscall(SYS_pidfd_send_signal, x->pidfd, SIGKILL,
				      NULL, 0);
	}
}

void left_done(struct left *l)
{
	for (size_t i = 0; i < l->n_fds; i++)
		fd_close(&l->fd[i].fd);
	for (size_t i = 0; i < l->n_processes; i++)
		fd_close(&l->process[i].pidfd);
	free(mem_take(&l->fd));
	free(mem_take(&l->process));
	l->n_fds = 0;
	l->n_processes = 0;
}
