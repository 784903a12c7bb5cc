#include "init/store.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"
#include "init/slots.h"

#define CHAINS 4096u

static_assert(CONTROL_STORE_MAX < UINT16_MAX, "a row fits the index");

/* @used tells a row in use from one that was never written. */
struct row {
	uint64_t object;
	uint32_t role;
	int fd;
	bool used;
};

static struct row table[CONTROL_STORE_MAX];
static uint16_t heads[CHAINS];
static uint16_t next[CONTROL_STORE_MAX];
static struct slots by_object = { heads, next, CHAINS };
static struct rows rows = { .max = CONTROL_STORE_MAX, .next = next };

static uint32_t find(uint64_t object, uint32_t role)
{
	uint32_t i = slots_first(&by_object, object);

	while (i != SLOTS_NONE &&
	       (table[i].object != object ||
		(role != CONTROL_ROLE_ALL && table[i].role != role)))
		i = slots_next(&by_object, i);
	return i;
}

int store_put(uint64_t object, uint32_t role, int fd)
{
	uint32_t i = find(object, role);

	if (i != SLOTS_NONE) {
		fd_close(&table[i].fd);
		table[i].fd = fd;
		return 0;
	}
	i = rows_take(&rows);
	if (i == SLOTS_NONE)
		return -ENOSPC;
	table[i] = (struct row){ object, role, fd, true };
	slots_add(&by_object, object, i);
	return 0;
}

int store_drop(uint64_t object, uint32_t role)
{
	int result = -ENOENT;
	uint32_t i;

	while ((i = find(object, role)) != SLOTS_NONE) {
		fd_close(&table[i].fd);
		table[i].used = false;
		slots_drop(&by_object, object, i);
		rows_give(&rows, i);
		result = 0;
	}
	return result;
}

int store_list(uint64_t *cursor, struct store_item *ret)
{
	for (uint64_t i = *cursor; i < rows.fresh; i++) {
		if (!table[i].used)
			continue;
		*ret = (struct store_item){ table[i].object, table[i].role,
					    table[i].fd };
		*cursor = i + 1;
		return 0;
	}
	return -ENOENT;
}
