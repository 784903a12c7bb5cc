/*
 * bridge/guest/pack.h - bodies of records: members one after the other, little
 * endian; pure
 *
 * A writer that runs out of room and a reader that runs out of bytes, or meets
 * what cannot be, only remember it: look at @bad at the end. A reader that is
 * bad gives zeros and "".
 */
#ifndef FERRY_BRIDGE_GUEST_PACK_H
#define FERRY_BRIDGE_GUEST_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct pack - a cursor
 * @at:		bytes written or read so far
 */
struct pack {
	uint8_t *buf;
	size_t size;
	size_t at;
	bool bad;
};

/** pack_write() - write to @buf from its beginning */
struct pack pack_write(void *buf, size_t size);
/** pack_read() - read @size bytes */
struct pack pack_read(const void *buf, size_t size);

/** pack_put() - @bytes of a number, 1 to 8 */
void pack_put(struct pack *p, uint64_t value, unsigned int bytes);
/** pack_bytes() - @len bytes as they are */
void pack_bytes(struct pack *p, const void *from, size_t len);
/** pack_text() - a text of up to UINT32_MAX bytes; NULL is kept apart from "" */
void pack_text(struct pack *p, const char *text);

/** unpack() - a number of @bytes */
uint64_t unpack(struct pack *p, unsigned int bytes);
/** unpack_u32() - a number of 4 bytes */
uint32_t unpack_u32(struct pack *p);
/** unpack_bool() - a number of 1 byte; above 1 is bad */
bool unpack_bool(struct pack *p);
/** unpack_bytes() - @len bytes as they are */
void unpack_bytes(struct pack *p, void *to, size_t len);
/** unpack_text() - a text in the buffer, or NULL if NULL was written */
const char *unpack_text(struct pack *p);
/** unpack_name() - a text into an array of @size bytes; a longer one is bad */
void unpack_name(struct pack *p, char *to, size_t size);

#endif
