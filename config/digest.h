/*
 * config/digest.h - SHA-256 and HMAC-SHA256; pure, no heap
 *
 * The agent proves with them who it is, and files of saved state carry them.
 * Here and not in a library because the guest has none: these hundred lines
 * are the whole need. Source: FIPS 180-4, RFC 2104.
 */
#ifndef FERRY_CONFIG_DIGEST_H
#define FERRY_CONFIG_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32u
#define DIGEST_BLOCK 64u

/**
 * struct digest - a sum in progress
 * @h:		intermediate value
 * @bytes:	taken so far
 * @block:	the last @bytes % DIGEST_BLOCK of them
 */
struct digest {
	uint32_t h[8];
	uint64_t bytes;
	uint8_t block[DIGEST_BLOCK];
};

/** digest_init() - begin */
void digest_init(struct digest *d);

/** digest_add() - take @len bytes; NULL is fine for none */
void digest_add(struct digest *d, const void *data, size_t len);

/** digest_done() - the sum; @d has to begin again */
void digest_done(struct digest *d, uint8_t sum[DIGEST_BYTES]);

/**
 * struct digest_mac - a keyed sum in progress
 * @inner:	sum of the padded key and the text
 * @outer:	sum of the other padded key
 */
struct digest_mac {
	struct digest inner;
	struct digest outer;
};

/** digest_mac_init() - begin; the key may have any length */
void digest_mac_init(struct digest_mac *m, const void *key, size_t len);

/** digest_mac_add() - as digest_add() */
void digest_mac_add(struct digest_mac *m, const void *data, size_t len);

/** digest_mac_done() - the keyed sum */
void digest_mac_done(struct digest_mac *m, uint8_t sum[DIGEST_BYTES]);

/** digest_equal() - compare in a time that does not tell where they differ */
bool digest_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES]);

#endif
