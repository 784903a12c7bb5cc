#include "tools/vsock/gmem.h"

#include <errno.h>
#include <string.h>

#define GMEM_PAGE 4096u

static bool region_valid(const struct gmem_region *r)
{
	uint64_t last;

	return r->size > 0 && r->host != NULL &&
	       !__builtin_add_overflow(r->guest, r->size - 1, &last) &&
	       !__builtin_add_overflow((uintptr_t)r->host, r->size - 1, &last);
}

int gmem_set(struct gmem *m, const struct gmem_region *region, size_t regions)
{
	if (regions > GMEM_REGIONS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < regions; i++)
		if (!region_valid(&region[i]))
			return -EINVAL;

	if (regions > 0)
		memcpy(m->region, region, regions * sizeof(*region));
	m->regions = regions;
	m->last = 0;
	return 0;
}

uint64_t gmem_pages(const struct gmem *m)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < m->regions; i++) {
		const struct gmem_region *r = &m->region[i];
		const uint64_t end = (r->guest + r->size - 1) / GMEM_PAGE + 1;

		if (end > pages)
			pages = end;
	}
	return pages;
}

static bool region_has(const struct gmem_region *r, uint64_t guest)
{
	return guest >= r->guest && guest - r->guest < r->size;
}

static const struct gmem_region *region_find(struct gmem *m, uint64_t guest)
{
	if (m->last < m->regions && region_has(&m->region[m->last], guest))
		return &m->region[m->last];

	for (size_t i = 0; i < m->regions; i++)
		if (region_has(&m->region[i], guest)) {
			m->last = i;
			return &m->region[i];
		}
	return NULL;
}

int gmem_map(struct gmem *m, uint64_t guest, uint64_t len,
	     struct gmem_piece *piece, size_t max)
{
	uint64_t last;
	size_t n = 0;

	if (len == 0)
		return 0;
	if (__builtin_add_overflow(guest, len - 1, &last))
		return -EFAULT;

	while (len > 0) {
		const struct gmem_region *r = region_find(m, guest);
		uint64_t offset, part;

		if (r == NULL)
			return -EFAULT;
		if (n == max)
			return -ENOBUFS;
		offset = guest - r->guest;
		part = r->size - offset < len ? r->size - offset : len;
		piece[n].here.iov_base = r->host + offset;
		piece[n].here.iov_len = part;
		piece[n].guest = guest;
		n++;
		guest += part;
		len -= part;
	}
	return (int)n;
}

int gmem_read(struct gmem *m, uint64_t guest, void *buf, size_t len)
{
	struct gmem_piece piece[GMEM_REGIONS_MAX];
	const int n = gmem_map(m, guest, len, piece, GMEM_REGIONS_MAX);
	uint8_t *to = buf;

	if (n < 0)
		return -EFAULT;
	for (int i = 0; i < n; i++) {
		const struct iovec *from = &piece[i].here;

		gmem_snapshot(to, from->iov_base, from->iov_len);
		to += from->iov_len;
	}
	return 0;
}

bool gmem_holds(const struct gmem *m, uint64_t host, uint64_t len)
{
	/* Regions may join in this process: go on where one of them ends. */
	for (size_t steps = 0; steps <= m->regions && len > 0; steps++) {
		uint64_t part = 0;

		for (size_t i = 0; i < m->regions && part == 0; i++) {
			const struct gmem_region *r = &m->region[i];
			const uint64_t start = (uintptr_t)r->host;

			if (host >= start && host - start < r->size)
				part = r->size - (host - start);
		}
		if (part == 0)
			return false;
		part = part < len ? part : len;
		host += part;
		len -= part;
	}
	return len == 0;
}

size_t gmem_gather(const struct gmem_piece *piece, size_t pieces, void *buf,
		   size_t len)
{
	uint8_t *to = buf;
	size_t done = 0;

	for (size_t i = 0; i < pieces && done < len; i++) {
		const struct iovec *here = &piece[i].here;
		const size_t part =
			here->iov_len < len - done ? here->iov_len : len - done;

		gmem_snapshot(to + done, here->iov_base, part);
		done += part;
	}
	return done;
}

void gmem_scatter(const struct gmem_piece *piece, size_t pieces,
		  const void *buf, size_t len)
{
	const uint8_t *from = buf;

	for (size_t i = 0; i < pieces && len > 0; i++) {
		const struct iovec *here = &piece[i].here;
		const size_t part = here->iov_len < len ? here->iov_len : len;

		memcpy(here->iov_base, from, part);
		from += part;
		len -= part;
	}
}

size_t gmem_slice(const struct gmem_piece *piece, size_t pieces, size_t skip,
		  uint64_t len, struct iovec *iov)
{
	size_t n = 0;

	for (size_t i = 0; i < pieces && len > 0; i++) {
		struct iovec part = piece[i].here;

		if (skip >= part.iov_len) {
			skip -= part.iov_len;
			continue;
		}
		part.iov_base = (uint8_t *)part.iov_base + skip;
		part.iov_len -= skip;
		skip = 0;
		if (part.iov_len > len)
			part.iov_len = len;
		len -= part.iov_len;
		iov[n++] = part;
	}
	return n;
}

void gmem_snapshot(void *copy, const void *source, size_t len)
{
	memcpy(copy, source, len);
	__asm__ volatile("" ::: "memory");
}
