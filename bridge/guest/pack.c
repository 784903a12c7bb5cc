#include "bridge/guest/pack.h"

#include <string.h>

/* Length of a text that is NULL. */
#define NO_TEXT UINT32_MAX

struct pack pack_write(void *buf, size_t size)
{
	return (struct pack){ .buf = buf, .size = size };
}

struct pack pack_read(const void *buf, size_t size)
{
	union {
		const void *from;
		uint8_t *buf; /* nothing is written through it */
	} u = { .from = buf };

	return (struct pack){ .buf = u.buf, .size = size };
}

static uint8_t *place(struct pack *p, size_t len)
{
	uint8_t *at = p->buf + p->at;

	if (p->bad || len > p->size - p->at) {
		p->bad = true;
		return NULL;
	}
	p->at += len;
	return at;
}

void pack_bytes(struct pack *p, const void *from, size_t len)
{
	uint8_t *at = place(p, len);

	if (at && len > 0)
		memcpy(at, from, len);
}

void pack_put(struct pack *p, uint64_t value, unsigned int bytes)
{
	uint8_t *at = place(p, bytes);

	for (unsigned int i = 0; at && i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

void pack_text(struct pack *p, const char *text)
{
	const size_t len = text ? strlen(text) : 0;

	pack_put(p, text ? len : NO_TEXT, 4);
	if (text)
		pack_bytes(p, text, len + 1);
}

void unpack_bytes(struct pack *p, void *to, size_t len)
{
	const uint8_t *at = place(p, len);

	if (at)
		memcpy(to, at, len);
	else
		memset(to, 0, len);
}

uint64_t unpack(struct pack *p, unsigned int bytes)
{
	const uint8_t *at = place(p, bytes);
	uint64_t value = 0;

	for (unsigned int i = 0; at && i < bytes; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

uint32_t unpack_u32(struct pack *p)
{
	return (uint32_t)unpack(p, 4);
}

bool unpack_bool(struct pack *p)
{
	const uint64_t value = unpack(p, 1);

	if (value > 1)
		p->bad = true;
	return value == 1;
}

const char *unpack_text(struct pack *p)
{
	const uint32_t len = unpack_u32(p);
	const uint8_t *at;

	if (p->bad || len == NO_TEXT)
		return p->bad ? "" : NULL;
	at = place(p, (size_t)len + 1);
	if (at && at[len] == '\0' && strlen((const char *)at) == len)
		return (const char *)at;
	p->bad = true;
	return "";
}

void unpack_name(struct pack *p, char *to, size_t size)
{
	const char *text = unpack_text(p);
	const size_t len = text ? strlen(text) : 0;

	memset(to, 0, size);
	if (len >= size)
		p->bad = true;
	else if (text)
		memcpy(to, text, len + 1);
}
