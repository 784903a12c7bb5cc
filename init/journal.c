#include "init/journal.h"

#include <errno.h>
#include <stddef.h>

#include "bridge/io/control.h"

/* @number 0: the row is free. @since: exits from here on are its own. */
struct ticket {
	uint64_t number;
	uint64_t since;
};

/* @pid 0: claimed. */
struct gone {
	pid_t pid;
	int status;
};

static struct ticket tickets[CONTROL_TICKETS_MAX];
static uint32_t n_tickets;

/* Exit n is at n % CONTROL_JOURNAL_MAX; those from @tail up to @head exist. */
static struct gone gone[CONTROL_JOURNAL_MAX];
static uint64_t head, tail;

static struct ticket *find(uint64_t number)
{
	for (size_t i = 0; number && n_tickets && i < CONTROL_TICKETS_MAX; i++)
		if (tickets[i].number == number)
			return &tickets[i];
	return NULL;
}

int journal_open(uint64_t ticket)
{
	struct ticket *t = tickets;

	if (ticket == 0)
		return -EINVAL;
	if (find(ticket))
		return -EEXIST;
	if (n_tickets == CONTROL_TICKETS_MAX)
		return -ENOSPC;
	while (t->number)
		t++;
	*t = (struct ticket){ ticket, head };
	n_tickets++;
	return 0;
}

/* Forgets what is older than every open ticket. */
static void forget(void)
{
	uint64_t oldest = head;

	for (size_t i = 0; i < CONTROL_TICKETS_MAX; i++)
		if (tickets[i].number && tickets[i].since < oldest)
			oldest = tickets[i].since;
	tail = oldest;
}

int journal_close(uint64_t ticket)
{
	struct ticket *t = find(ticket);

	if (!t)
		return -ENOENT;
	t->number = 0;
	n_tickets--;
	forget();
	return 0;
}

bool journal_is_open(uint64_t ticket)
{
	return find(ticket) != NULL;
}

bool journal_idle(void)
{
	return n_tickets == 0;
}

bool journal_full(void)
{
	return head - tail == CONTROL_JOURNAL_MAX;
}

void journal_record(pid_t pid, int status)
{
	if (journal_idle() || journal_full())
		return;
	gone[head % CONTROL_JOURNAL_MAX] = (struct gone){ pid, status };
	head++;
}

int journal_claim(uint64_t ticket, pid_t pid, int *ret_status)
{
	const struct ticket *t = find(ticket);

	if (!t)
		return -ENOENT;
	for (uint64_t i = head; i > t->since; i--) {
		struct gone *g = &gone[(i - 1) % CONTROL_JOURNAL_MAX];

		if (g->pid != pid)
			continue;
		*ret_status = g->status;
		g->pid = 0;
		return 0;
	}
	return -ENOENT;
}

int journal_list(uint64_t *cursor, uint64_t *ret_ticket)
{
	for (uint64_t i = *cursor; i < CONTROL_TICKETS_MAX; i++) {
		if (!tickets[i].number)
			continue;
		*ret_ticket = tickets[i].number;
		*cursor = i + 1;
		return 0;
	}
	return -ENOENT;
}
