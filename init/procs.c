#include "init/procs.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"
#include "init/slots.h"

#define CHAINS 4096u

static_assert(CONTROL_PIDS_MAX < UINT16_MAX, "a row fits the index");

static struct proc table[CONTROL_PIDS_MAX];
static uint16_t pid_heads[CHAINS], ticket_heads[CHAINS];
static uint16_t pid_next[CONTROL_PIDS_MAX], ticket_next[CONTROL_PIDS_MAX];
static struct slots by_pid = { pid_heads, pid_next, CHAINS };
static struct slots by_ticket = { ticket_heads, ticket_next, CHAINS };
static struct rows rows = { .max = CONTROL_PIDS_MAX, .next = pid_next };

/* Rows in state PROC_ALIVE, and rows that wait to be told. */
static uint32_t n_alive, n_untold;

/* No row before this one waits to be told. */
static uint32_t untold_from;

static uint32_t row_of(const struct proc *p)
{
	return (uint32_t)(p - table);
}

/* Leaves PROC_ALIVE: the number may be another process's soon. */
static void settle(struct proc *p, enum proc_state state, int status)
{
	slots_drop(&by_pid, (uint64_t)p->pid, row_of(p));
	fd_close(&p->pidfd);
	n_alive--;
	p->state = state;
	p->status = status;
	if (state != PROC_ENDED)
		return;
	n_untold++;
	if (row_of(p) < untold_from)
		untold_from = row_of(p);
}

int procs_add(uint64_t ticket, uint64_t object, pid_t pid, int pidfd,
	      int status)
{
	struct proc *p;
	uint32_t i;

	if (procs_find(ticket))
		return -EEXIST;
	i = rows_take(&rows);
	if (i == SLOTS_NONE)
		return -ENOSPC;
	p = &table[i];
	*p =
		(struct proc){ ticket, object,	   pid, status,
			       pidfd,  PROC_ENDED, true };
	slots_add(&by_ticket, ticket, i);
	if (pidfd >= 0) {
		p->state = PROC_ALIVE;
		p->told = false;
		n_alive++;
		slots_add(&by_pid, (uint64_t)pid, i);
	}
	return 0;
}

struct proc *procs_find(uint64_t ticket)
{
	uint32_t i = slots_first(&by_ticket, ticket);

	while (i != SLOTS_NONE && table[i].ticket != ticket)
		i = slots_next(&by_ticket, i);
	return i == SLOTS_NONE ? NULL : &table[i];
}

void procs_drop(struct proc *p)
{
	const uint32_t i = row_of(p);

	if (p->state == PROC_ALIVE)
		settle(p, PROC_GONE, 0);
	else if (p->state == PROC_ENDED && !p->told)
		n_untold--;
	p->state = PROC_FREE;
	slots_drop(&by_ticket, p->ticket, i);
	rows_give(&rows, i);
}

bool procs_any(void)
{
	return n_alive > 0;
}

/* Does the process of this row still have its number (zombies have)? */
static bool is_there(const struct proc *p)
{
	return syscall(SYS_pidfd_send_signal, p->pidfd, 0, NULL, 0) == 0 ||
	       errno != ESRCH;
}

bool procs_ended(pid_t pid, int status)
{
	uint32_t i = slots_first(&by_pid, (uint64_t)pid), next;
	bool known = false, this_one;

	for (; i != SLOTS_NONE; i = next) {
		next = slots_next(&by_pid, i);
		if (table[i].pid != pid)
			continue;
		this_one = is_there(&table[i]);
		settle(&table[i], this_one ? PROC_ENDED : PROC_GONE, status);
		known |= this_one;
	}
	return known;
}

struct proc *procs_untold(void)
{
	if (n_untold == 0)
		return NULL;
	while (table[untold_from].state != PROC_ENDED ||
	       table[untold_from].told)
		untold_from++;
	return &table[untold_from];
}

void procs_tell_again(void)
{
	n_untold = 0;
	untold_from = 0;
	for (uint32_t i = 0; i < rows.fresh; i++) {
		table[i].told = false;
		n_untold += table[i].state == PROC_ENDED;
	}
}

void procs_told(struct proc *p)
{
	p->told = true;
	n_untold--;
}

struct proc *procs_list(uint64_t *cursor)
{
	for (uint64_t i = *cursor; i < rows.fresh; i++) {
		if (table[i].state == PROC_FREE)
			continue;
		if (table[i].state == PROC_ALIVE && !is_there(&table[i]))
			settle(&table[i], PROC_GONE, 0);
		*cursor = i + 1;
		return &table[i];
	}
	return NULL;
}
