#include "bridge/guest/fsprobe.h"

#include <string.h>

#include "config/util.h"

static const struct row {
	const char *type;
	size_t offset;
	size_t len;
	uint8_t magic[4];
	bool noload;
	bool read_only;
} rows[] = {
	{ "ext4", 1024 + 56, 2, { 0x53, 0xef }, true, false },
	{ "xfs", 0, 4, { 'X', 'F', 'S', 'B' }, false, false },
	{ "erofs", 1024, 4, { 0xe2, 0xe1, 0xf5, 0xe0 }, false, true },
	{ "squashfs", 0, 4, { 'h', 's', 'q', 's' }, false, true },
};

const char *fsprobe(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		if (r->offset + r->len <= len &&
		    memcmp(head + r->offset, r->magic, r->len) == 0)
			return r->type;
	}
	return NULL;
}

static const struct row *find(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].type, type) == 0)
			return &rows[i];
	}
	return NULL;
}

bool fsprobe_has_noload(const char *type)
{
	const struct row *r = find(type);

	return r && r->noload;
}

bool fsprobe_read_only(const char *type)
{
	const struct row *r = find(type);

	return r && r->read_only;
}
