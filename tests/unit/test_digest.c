/* Examples of FIPS 180-4 and RFC 4231. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "config/digest.h"
#include "config/util.h"

static void hex(const uint8_t sum[DIGEST_BYTES], char out[65])
{
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static void expect_sum(const char *text, size_t len, const char *want)
{
	uint8_t sum[DIGEST_BYTES];
	struct digest d;
	char got[65];

	digest_init(&d);
	digest_add(&d, text, len);
	digest_done(&d, sum);
	hex(sum, got);
	assert_string_equal(got, want);
}

static void test_sums(void **state UNUSED)
{
	static const char two_blocks[] =
		"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

	expect_sum(NULL, 0,
		   "e3b0c44298fc1c149afbf4c8996fb924"
		   "27ae41e4649b934ca495991b7852b855");
	expect_sum("abc", 3,
		   "ba7816bf8f01cfea414140de5dae2223"
		   "b00361a396177a9cb410ff61f20015ad");
	expect_sum(two_blocks, strlen(two_blocks),
		   "248d6a61d20638b8e5c026930c3e6039"
		   "a33ce45964ff2167f6ecedd419db06c1");
}

static void test_a_million_bytes_in_any_pieces(void **state UNUSED)
{
	static char text[1000000];
	static const size_t piece[] = { 1, 55, 56, 63, 64, 65, 999983 };
	char got[65];

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(piece); i++) {
		uint8_t sum[DIGEST_BYTES];
		struct digest d;
		size_t at = 0;

		digest_init(&d);
		while (at < sizeof(text)) {
			const size_t left = sizeof(text) - at;
			const size_t n = piece[i] < left ? piece[i] : left;

			digest_add(&d, text + at, n);
			at += n;
		}
		digest_done(&d, sum);
		hex(sum, got);
		assert_string_equal(got, "cdc76e5c9914fb9281a1c7e284d73e67"
					 "f1809a48a497200e046d39ccc7112cd0");
	}
}

static void expect_mac(const void *key, size_t key_len, const char *text,
		       const char *want)
{
	uint8_t sum[DIGEST_BYTES];
	struct digest_mac m;
	char got[65];

	digest_mac_init(&m, key, key_len);
	digest_mac_add(&m, text, strlen(text));
	digest_mac_done(&m, sum);
	hex(sum, got);
	assert_string_equal(got, want);
}

static void test_keyed_sums(void **state UNUSED)
{
	uint8_t key[131];

	memset(key, 0x0b, 20);
	expect_mac(key, 20, "Hi There",
		   "b0344c61d8db38535ca8afceaf0bf12b"
		   "881dc200c9833da726e9376c2e32cff7");
	expect_mac("Jefe", 4, "what do ya want for nothing?",
		   "5bdcc146bf60754e6a042426089575c7"
		   "5a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	expect_mac(key, sizeof(key),
		   "Test Using Larger Than Block-Size Key - Hash Key First",
		   "60e431591ee0b67f0d8a26aacbf5b77f"
		   "8e0bc6213728c5140546040f0ee37f54");
}

static void test_equal_looks_at_every_byte(void **state UNUSED)
{
	uint8_t a[DIGEST_BYTES] = { 0 };
	uint8_t b[DIGEST_BYTES] = { 0 };

	assert_true(digest_equal(a, b));
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		b[i] = 0x80;
		assert_false(digest_equal(a, b));
		b[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_a_million_bytes_in_any_pieces),
		cmocka_unit_test(test_keyed_sums),
		cmocka_unit_test(test_equal_looks_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
