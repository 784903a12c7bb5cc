/*
 * tests/fuzz/fuzz_state_file.c - the envelope of files over any bytes
 *
 * What opens is what sealing its content gives. And any content, sealed with
 * and without a key, opens again, and does not with one bit changed.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "migration/state_file.h"

#define KEY "0123456789abcdef"

static void try(const uint8_t *data, size_t size, const struct state_key *key)
{
	const void *p = NULL;
	size_t n = 0;
	struct text again;
	struct err e = { 0 };

	if (state_file_open(data, size, key, &p, &n, &e) < 0) {
		FUZZ_CHECK(e.text[0] != '\0');
		return;
	}
	text_heap(&again, STATE_FILE_MAX + 1);
	FUZZ_CHECK(state_file_seal(p, n, key, &again, &e) == 0);
	FUZZ_CHECK(again.len == size && memcmp(again.buf, data, size) == 0);
	text_done(&again);
}

static void round_trip(const uint8_t *data, size_t size,
		       const struct state_key *key)
{
	const void *p = NULL;
	size_t n = 0;
	struct text t;
	struct err e = { 0 };
	size_t at;

	text_heap(&t, STATE_FILE_MAX + 1);
	FUZZ_CHECK(state_file_seal(data, size, key, &t, &e) == 0);
	FUZZ_CHECK(state_file_open(t.buf, t.len, key, &p, &n, &e) == 0);
	FUZZ_CHECK(n == size && (n == 0 || memcmp(p, data, n) == 0));
	at = (size > 0 ? data[0] : 7) % t.len;
	t.buf[at] = (char)(t.buf[at] ^ (1 << (size % 8)));
	FUZZ_CHECK(state_file_open(t.buf, t.len, key, &p, &n, &e) < 0);
	text_done(&t);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	const struct state_key key = { KEY, sizeof(KEY) - 1 };

	if (size > 65536)
		return 0;
	try(data, size, NULL);
	try(data, size, &key);
	round_trip(data, size, NULL);
	round_trip(data, size, &key);
	return 0;
}
