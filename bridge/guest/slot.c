#include "bridge/guest/slot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* Version of the bodies that this agent writes, of every kind. */
#define VERSION 2u

void slots_init(struct slots *s)
{
	*s = (struct slots){ .fd = -1 };
}

void slots_done(struct slots *s)
{
	if (s->head)
		(void)munmap(s->head, SLOT_FILE_BYTES);
	free(s->used);
	fd_close(&s->fd);
	slots_init(s);
}

/* --- cells ------------------------------------------------------------------ */

/* Bits that are looked at together. */
#define BITS 64u

static bool bit_is_set(const uint8_t *map, uint32_t i)
{
	return (map[i / 8] >> (i % 8) & 1) != 0;
}

static void bit_set(uint8_t *map, uint32_t i, bool value)
{
	const uint8_t bit = (uint8_t)(1u << (i % 8));

	map[i / 8] = (uint8_t)(value ? map[i / 8] | bit : map[i / 8] & ~bit);
}

/* Are this bit, which begins a word, and all others of the word set? */
static bool is_full(const uint8_t *map, uint32_t i)
{
	uint64_t word;

	memcpy(&word, map + i / 8, sizeof(word));
	return word == UINT64_MAX;
}

/* Return: the first of @n clear bits in a row from @i on, or @end */
static uint32_t find_run(const uint8_t *map, uint32_t i, uint32_t end,
			 uint32_t n)
{
	uint32_t run = 0;

	for (; i < end; i++) {
		if (i % BITS == 0 && is_full(map, i)) {
			run = 0;
			i += BITS - 1;
			continue;
		}
		run = bit_is_set(map, i) ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return end;
}

static void cells_mark(struct slots *s, uint32_t at, uint32_t n, bool used)
{
	for (uint32_t i = at; i < at + n; i++)
		bit_set(s->used, i, used);
	if (used || n == 0)
		return;
	/* A run may begin before them and end in them. */
	for (uint32_t k = 1; k < SLOT_RUNS; k++) {
		const uint32_t first = at < k ? 0 : at + 1 - k;

		if (first < s->next_cell[k])
			s->next_cell[k] = first;
	}
}

static uint32_t cells_of(size_t len)
{
	return (uint32_t)((len + SLOT_CELL - 1) / SLOT_CELL);
}

/* Return: the first of @n free cells in a row, or SLOT_CELLS */
static uint32_t cells_find(struct slots *s, uint32_t n)
{
	uint32_t *next = &s->next_cell[n < SLOT_RUNS ? n : SLOT_RUNS - 1];
	uint32_t at;

	if (n == 0)
		return 0;
	at = find_run(s->used, *next, SLOT_CELLS, n);
	if (n < SLOT_RUNS)
		*next = at;
	return at;
}

/* --- copies ----------------------------------------------------------------- */

/* FNV-1a */
static uint32_t sum_add(uint32_t h, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ at[i]) * 16777619u;
	return h;
}

static uint32_t sum_of(const struct slots *s, const struct slot *slot,
		       const struct slot_copy *c, uint32_t generation)
{
	uint32_t h = sum_add(2166136261u, &generation, sizeof(generation));

	h = sum_add(h, &c->cell, sizeof(c->cell));
	h = sum_add(h, &c->len, sizeof(c->len));
	h = sum_add(h, &slot->kind, sizeof(slot->kind));
	h = sum_add(h, &c->version, sizeof(c->version));
	return sum_add(h, s->cell + (size_t)c->cell * SLOT_CELL, c->len);
}

/* What becomes true for who comes after a kill, at once. */
static void commit(uint32_t *generation, uint32_t value)
{
	__atomic_store_n(generation, value, __ATOMIC_RELEASE);
}

/* The copy that counts, or NULL: the slot is free. */
static struct slot_copy *current(struct slot *slot)
{
	struct slot_copy *c = slot->copy;

	if (c[1].generation > c[0].generation)
		c++;
	return c->generation != 0 ? c : NULL;
}

static struct slot_copy *other(struct slot *slot)
{
	return current(slot) == &slot->copy[0] ? &slot->copy[1]
					       : &slot->copy[0];
}

static bool copy_ok(const struct slots *s, const struct slot *slot,
		    const struct slot_copy *c)
{
	return c->len <= SLOT_BODY_MAX && c->cell < SLOT_CELLS &&
	       cells_of(c->len) <= SLOT_CELLS - c->cell &&
	       c->sum == sum_of(s, slot, c, c->generation);
}

/* --- the file --------------------------------------------------------------- */

static int map(struct slots *s, struct err *e)
{
	void *at = mmap(NULL, SLOT_FILE_BYTES, PROT_READ | PROT_WRITE,
			MAP_SHARED, s->fd, 0);

	if (at == MAP_FAILED)
		return err_sys(e, "map the state");
	s->head = at;
	s->slot = (struct slot *)(void *)((uint8_t *)at + SLOT_HEAD_BYTES);
	s->cell = (uint8_t *)(s->slot + SLOTS_MAX);
	s->used = calloc(1, SLOT_CELLS / 8 + SLOTS_MAX / 8);
	if (!s->used)
		return err_set(e, ENOMEM, "no memory for the state");
	s->taken = s->used + SLOT_CELLS / 8;
	return 0;
}

int slots_create(struct slots *s, struct err *e)
{
	int r;

	s->fd = memfd_create("ferry-state", MFD_CLOEXEC);
	if (s->fd < 0)
		return err_sys(e, "memfd of the state");
	if (ftruncate(s->fd, (off_t)SLOT_FILE_BYTES) < 0)
		r = err_sys(e, "size of the state");
	else
		r = map(s, e);
	if (r < 0) {
		slots_done(s);
		return r;
	}
	s->head->slots = SLOTS_MAX;
	s->head->cells = SLOT_CELLS;
	__atomic_store_n(&s->head->magic, SLOT_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

/* Slots of one page. */
#define SLOT_PAGE (4096u / (uint32_t)sizeof(struct slot))

/*
 * The first slot from @i on, which begins a page, that is in memory which was
 * ever written: to look at other memory would make it, 4 MiB for the whole table.
 */
static uint32_t next_written(const struct slots *s, uint32_t i)
{
	const off_t table = SLOT_HEAD_BYTES;
	const off_t at = table + (off_t)i * (off_t)sizeof(struct slot);
	const off_t data = lseek(s->fd, at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? SLOTS_MAX : i;
	return (uint32_t)((data - table) / (off_t)sizeof(struct slot));
}

/* Which cells and slots are in use. What cannot be trusted keeps its slot. */
static void look_through(struct slots *s)
{
	for (uint32_t i = 0; i < SLOTS_MAX; i++) {
		struct slot *slot;
		const struct slot_copy *c;

		if (i % SLOT_PAGE == 0)
			i = next_written(s, i);
		if (i >= SLOTS_MAX)
			break;
		slot = &s->slot[i];
		c = current(slot);
		if (!c)
			continue;
		s->high = i + 1;
		bit_set(s->taken, i, true);
		if (!copy_ok(s, slot, c))
			s->damaged++;
		else
			cells_mark(s, c->cell, cells_of(c->len), true);
	}
}

static void look_for_poison(struct slots *s)
{
	const uint32_t i = s->head->suspect;

	if (i == 0 || i > SLOTS_MAX)
		return;
	s->slot[i - 1].deaths++;
	s->head->suspect = 0;
	log_err("an agent died of record=%u kind=%u deaths=%u", i,
		s->slot[i - 1].kind, s->slot[i - 1].deaths);
}

int slots_open(struct slots *s, int fd, struct err *e)
{
	struct stat st;
	int r = 0;

	s->fd = fd;
	if (fstat(fd, &st) < 0)
		r = err_sys(e, "the state");
	else if ((size_t)st.st_size != SLOT_FILE_BYTES)
		r = err_set(e, EPROTO, "the state has another size");
	if (r == 0)
		r = map(s, e);
	if (r == 0 &&
	    (s->head->magic != SLOT_MAGIC || s->head->slots != SLOTS_MAX ||
	     s->head->cells != SLOT_CELLS))
		r = err_set(e, EPROTO, "the state is of another kind");
	if (r < 0) {
		slots_done(s);
		return r;
	}
	look_through(s);
	look_for_poison(s);
	return 0;
}

/* --- records ---------------------------------------------------------------- */

static struct slot *slot_of(const struct slots *s, uint32_t handle)
{
	return s->head && handle != 0 && handle <= SLOTS_MAX
		       ? &s->slot[handle - 1]
		       : NULL;
}

static uint32_t slot_claim(struct slots *s, enum slot_kind kind)
{
	const uint32_t i = find_run(s->taken, s->next_slot, SLOTS_MAX, 1);

	s->next_slot = i;
	if (i == SLOTS_MAX)
		return 0;
	bit_set(s->taken, i, true);
	if (i >= s->high)
		s->high = i + 1;
	s->slot[i].kind = (uint16_t)kind;
	s->slot[i].deaths = 0;
	s->slot[i].word = 0;
	return i + 1;
}

static void write_copy(struct slots *s, struct slot *slot, uint32_t cell,
		       const void *body, size_t len)
{
	struct slot_copy *old = current(slot);
	struct slot_copy *c = other(slot);
	const uint32_t generation = old ? old->generation + 1 : 1;

	commit(&c->generation, 0);
	if (len > 0)
		memcpy(s->cell + (size_t)cell * SLOT_CELL, body, len);
	c->cell = cell;
	c->len = (uint32_t)len;
	c->version = VERSION;
	c->sum = sum_of(s, slot, c, generation);
	cells_mark(s, cell, cells_of(len), true);
	commit(&c->generation, generation);
	if (old)
		cells_mark(s, old->cell, cells_of(old->len), false);
}

int slot_put(struct slots *s, uint32_t *handle, enum slot_kind kind,
	     const void *body, size_t len)
{
	uint32_t cell, mine = *handle;

	if (!s->head)
		return 0;
	if (len > SLOT_BODY_MAX)
		return -E2BIG;
	cell = cells_find(s, cells_of(len));
	if (cell < SLOT_CELLS && mine == 0)
		mine = slot_claim(s, kind);
	if (cell == SLOT_CELLS || mine == 0)
		return -ENOSPC;
	write_copy(s, &s->slot[mine - 1], cell, body, len);
	*handle = mine;
	return 0;
}

void slot_drop(struct slots *s, uint32_t *handle)
{
	struct slot *slot = slot_of(s, *handle);
	struct slot_copy *c = slot ? current(slot) : NULL;

	if (c) {
		commit(&other(slot)->generation, 0);
		cells_mark(s, c->cell, cells_of(c->len), false);
		commit(&c->generation, 0);
		bit_set(s->taken, *handle - 1, false);
		if (*handle - 1 < s->next_slot)
			s->next_slot = *handle - 1;
	}
	*handle = 0;
}

uint64_t *slot_word(const struct slots *s, uint32_t handle)
{
	struct slot *slot = slot_of(s, handle);

	return slot ? &slot->word : NULL;
}

/* Makes it the suspect. */
static void view(struct slots *s, uint32_t i, const struct slot_copy *c,
		 struct slot_view *ret)
{
	*ret = (struct slot_view){
		.handle = i + 1,
		.kind = (enum slot_kind)s->slot[i].kind,
		.version = c->version,
		.word = s->slot[i].word,
		.body = s->cell + (size_t)c->cell * SLOT_CELL,
		.len = c->len,
	};
	__atomic_store_n(&s->head->suspect, i + 1, __ATOMIC_RELEASE);
}

static bool is_readable(const struct slot_copy *c)
{
	return c->version <= VERSION && c->version + 1u >= VERSION;
}

bool slot_next_aside(struct slots *s, enum slot_kind kind, uint32_t after,
		     struct slot_view *ret)
{
	for (uint32_t i = after; s->head && i < s->high; i++) {
		struct slot *slot = &s->slot[i];
		const struct slot_copy *c = current(slot);

		if (!c || slot->kind != kind ||
		    slot->deaths != SLOT_DEATHS_MAX || !copy_ok(s, slot, c) ||
		    !is_readable(c))
			continue;
		view(s, i, c, ret);
		return true;
	}
	return false;
}

void slot_left(struct slots *s)
{
	__atomic_store_n(&s->head->suspect, 0, __ATOMIC_RELEASE);
}

void slot_settled(struct slots *s)
{
	s->slot[s->head->suspect - 1].deaths++;
	slot_left(s);
}

void slots_dump(const struct slots *s, struct text *out)
{
	unsigned int n = 0;

	text_addf(out, "records damaged=%u\n", s->damaged);
	for (uint32_t i = 0; s->head && i < s->high; i++) {
		const struct slot *slot = &s->slot[i];

		if (slot->deaths >= SLOT_DEATHS_MAX &&
		    (slot->copy[0].generation | slot->copy[1].generation) !=
			    0 &&
		    n++ < SLOTS_DUMPED_MAX)
			text_addf(out, "record=%u kind=%u deaths=%u given up\n",
				  i + 1, slot->kind, slot->deaths);
	}
}

bool slot_next(struct slots *s, enum slot_kind kind, uint32_t after,
	       struct slot_view *ret)
{
	for (uint32_t i = after; s->head && i < s->high; i++) {
		struct slot *slot = &s->slot[i];
		const struct slot_copy *c = current(slot);

		if (!c || slot->kind != kind || !copy_ok(s, slot, c))
			continue;
		if (slot->deaths >= SLOT_DEATHS_MAX || !is_readable(c)) {
			s->aside++;
			log_err("record=%u kind=%u version=%u is set aside",
				i + 1, slot->kind, c->version);
			continue;
		}
		view(s, i, c, ret);
		return true;
	}
	return false;
}

void slot_survived(struct slots *s)
{
	uint32_t i;

	if (!s->head)
		return;
	i = s->head->suspect;
	if (i != 0 && i <= SLOTS_MAX)
		s->slot[i - 1].deaths = 0; /* two in a row are meant */
	__atomic_store_n(&s->head->suspect, 0, __ATOMIC_RELEASE);
}
