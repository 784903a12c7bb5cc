#include "tools/vsock/dirtylog.h"

#include <stddef.h>

#define PAGE_SHIFT 12

void dirtylog_mark(const struct dirtylog *l, uint64_t guest, uint64_t len)
{
	uint64_t last;

	if (l->bits == NULL || l->pages == 0 || len == 0)
		return;
	if (__builtin_add_overflow(guest, len - 1, &last))
		last = UINT64_MAX;

	last >>= PAGE_SHIFT;
	if (last >= l->pages)
		last = l->pages - 1;
	for (uint64_t page = guest >> PAGE_SHIFT; page <= last; page++)
		(void)__atomic_fetch_or(&l->bits[page / 8],
					(uint8_t)(1u << page % 8),
					__ATOMIC_SEQ_CST);
}
