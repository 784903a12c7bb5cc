#include "config/digest.h"

#include <string.h>

/* Fractions of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
static const uint32_t round_constant[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t be32_get(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static void be32_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint32_t rotate(uint32_t v, unsigned int n)
{
	return v >> n | v << (32 - n);
}

static void take_block(struct digest *d, const uint8_t *block)
{
	uint32_t w[64];
	uint32_t v[8];

	for (unsigned int i = 0; i < 16; i++)
		w[i] = be32_get(block + (size_t)4 * i);
	for (unsigned int i = 16; i < 64; i++) {
		const uint32_t a = w[i - 15];
		const uint32_t b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] +
		       (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
	memcpy(v, d->h, sizeof(v));
	for (unsigned int i = 0; i < 64; i++) {
		const uint32_t e = v[4];
		const uint32_t a = v[0];
		const uint32_t t1 =
			v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
			((e & v[5]) ^ (~e & v[6])) + round_constant[i] + w[i];
		const uint32_t t2 =
			(rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
			((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (unsigned int i = 0; i < 8; i++)
		d->h[i] += v[i];
}

void digest_init(struct digest *d)
{
	/* Fractions of the square roots of the first 8 primes (5.3.3). */
	*d = (struct digest){ .h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372,
				     0xa54ff53a, 0x510e527f, 0x9b05688c,
				     0x1f83d9ab, 0x5be0cd19 } };
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		const size_t at = d->bytes % DIGEST_BLOCK;
		const size_t n =
			len < DIGEST_BLOCK - at ? len : DIGEST_BLOCK - at;

		memcpy(d->block + at, p, n);
		d->bytes += n;
		p += n;
		len -= n;
		if (at + n == DIGEST_BLOCK)
			take_block(d, d->block);
	}
}

void digest_done(struct digest *d, uint8_t sum[DIGEST_BYTES])
{
	const uint64_t bits = d->bytes * 8;
	static const uint8_t padding[DIGEST_BLOCK] = { 0x80 };
	const size_t at = d->bytes % DIGEST_BLOCK;
	uint8_t length[8];

	be32_put(length, (uint32_t)(bits >> 32));
	be32_put(length + 4, (uint32_t)bits);
	digest_add(d, padding, (at < 56 ? 56 : 120) - at);
	digest_add(d, length, sizeof(length));
	for (unsigned int i = 0; i < 8; i++)
		be32_put(sum + (size_t)4 * i, d->h[i]);
}

void digest_mac_init(struct digest_mac *m, const void *key, size_t len)
{
	uint8_t pad[DIGEST_BLOCK] = { 0 };

	if (len > sizeof(pad)) {
		digest_init(&m->inner);
		digest_add(&m->inner, key, len);
		digest_done(&m->inner, pad);
	} else if (len > 0) {
		memcpy(pad, key, len);
	}
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	digest_init(&m->inner);
	digest_add(&m->inner, pad, sizeof(pad));
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	digest_init(&m->outer);
	digest_add(&m->outer, pad, sizeof(pad));
}

void digest_mac_add(struct digest_mac *m, const void *data, size_t len)
{
	digest_add(&m->inner, data, len);
}

void digest_mac_done(struct digest_mac *m, uint8_t sum[DIGEST_BYTES])
{
	uint8_t inner[DIGEST_BYTES];

	digest_done(&m->inner, inner);
	digest_add(&m->outer, inner, sizeof(inner));
	digest_done(&m->outer, sum);
}

bool digest_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES])
{
	unsigned int differ = 0;

	for (size_t i = 0; i < DIGEST_BYTES; i++)
		differ |= (unsigned int)(a[i] ^ b[i]);
	return differ == 0;
}
