#include "bridge/session.h"

#include <string.h>

#include "config/num.h"

#define PROOF_AGENT "ferry-agent"
#define PROOF_STREAM "ferry-stream"

static const uint8_t hello_magic[8] = {
	'F', 'E', 'R', 'R', 'Y', 'S', 'T', '1'
};

_Static_assert(sizeof(hello_magic) + DIGEST_BYTES == STREAM_HELLO_BYTES,
	       "the hello is the magic and a proof");

void session_proof(const struct session_id *s,
		   const uint8_t nonce[SESSION_NONCE_BYTES],
		   uint8_t proof[DIGEST_BYTES])
{
	struct digest_mac m;

	digest_mac_init(&m, s->key, sizeof(s->key));
	digest_mac_add(&m, PROOF_AGENT, strlen(PROOF_AGENT));
	digest_mac_add(&m, s->id, sizeof(s->id));
	digest_mac_add(&m, nonce, SESSION_NONCE_BYTES);
	digest_mac_done(&m, proof);
}

void stream_hello_put(const struct session_id *s,
		      const uint8_t nonce[SESSION_NONCE_BYTES], uint32_t port,
		      uint8_t hello[STREAM_HELLO_BYTES])
{
	struct digest_mac m;
	uint8_t number[4];

	le32_put(number, port);
	digest_mac_init(&m, s->key, sizeof(s->key));
	digest_mac_add(&m, PROOF_STREAM, strlen(PROOF_STREAM));
	digest_mac_add(&m, nonce, SESSION_NONCE_BYTES);
	digest_mac_add(&m, number, sizeof(number));
	memcpy(hello, hello_magic, sizeof(hello_magic));
	digest_mac_done(&m, hello + sizeof(hello_magic));
}

bool stream_hello_check(const struct session_id *s,
			const uint8_t nonce[SESSION_NONCE_BYTES], uint32_t port,
			const uint8_t hello[STREAM_HELLO_BYTES])
{
	const size_t magic = sizeof(hello_magic);
	uint8_t want[STREAM_HELLO_BYTES];

	stream_hello_put(s, nonce, port, want);
	return memcmp(hello, want, magic) == 0 &&
	       digest_equal(hello + magic, want + magic);
}

void session_hex(const uint8_t *bytes, size_t len, char *text)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digit[bytes[i] >> 4];
		text[2 * i + 1] = digit[bytes[i] & 15];
	}
	text[2 * len] = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool session_unhex(const char *text, uint8_t *bytes, size_t len)
{
	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		const int high = digit_value(text[2 * i]);
		const int low = digit_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void session_in_took(struct session_in *in, size_t bytes)
{
	in->taken++;
	in->bytes += bytes;
}

bool session_in_due(const struct session_in *in)
{
	return in->taken - in->told >= SESSION_ACK_FRAMES ||
	       in->bytes >= SESSION_ACK_BYTES;
}

void session_in_told(struct session_in *in)
{
	in->told = in->taken;
	in->bytes = 0;
}
