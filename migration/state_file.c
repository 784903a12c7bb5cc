#include "migration/state_file.h"

#include <string.h>

#include "config/digest.h"
#include "migration/status.h"

#define FLAG_KEYED 1u

static const char magic[8] = { 'F', 'E', 'R', 'R', 'Y', 'S', 'T', '\n' };

static void put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static void put32(unsigned char *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static unsigned get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void sum_of(const void *data, size_t size, const struct state_key *key,
		   uint8_t sum[DIGEST_BYTES])
{
	struct digest_mac m;
	struct digest d;

	if (key) {
		digest_mac_init(&m, key->p, key->n);
		digest_mac_add(&m, data, size);
		digest_mac_done(&m, sum);
		return;
	}
	digest_init(&d);
	digest_add(&d, data, size);
	digest_done(&d, sum);
}

static int check_key(const struct state_key *key, struct err *e)
{
	if (!key ||
	    (key->n >= STATE_FILE_KEY_MIN && key->n <= STATE_FILE_KEY_MAX))
		return 0;
	return err_set(e, EINVAL, "key: want %u to %u bytes",
		       STATE_FILE_KEY_MIN, STATE_FILE_KEY_MAX);
}

int state_file_seal(const void *state, size_t size, const struct state_key *key,
		    struct text *out, struct err *e)
{
	unsigned char head[STATE_FILE_HEAD];
	uint8_t sum[DIGEST_BYTES];
	size_t begin = out->len;
	int r = check_key(key, e);

	if (r < 0)
		return r;
	if (size > SAVED_BYTES_MAX)
		return err_set(e, EEXHAUSTED, "state: %zu bytes, at most %zu",
			       size, SAVED_BYTES_MAX);
	memcpy(head, magic, sizeof(magic));
	put16(head + 8, STATE_FILE_VERSION);
	put16(head + 10, key ? FLAG_KEYED : 0);
	put32(head + 12, (uint32_t)size);
	text_addn(out, head, sizeof(head));
	text_addn(out, state, size);
	if (!out->full) {
		sum_of(out->buf + begin, out->len - begin, key, sum);
		text_addn(out, sum, sizeof(sum));
	}
	return out->full ? err_set(e, ENOMEM, "state: no memory") : 0;
}

bool state_file_is(const void *data, size_t size)
{
	return size >= sizeof(magic) && memcmp(data, magic, sizeof(magic)) == 0;
}

static int check_head(const unsigned char *p, size_t size,
		      const struct state_key *key, struct err *e)
{
	if (!state_file_is(p, size))
		return err_set(e, EINVAL, "not a file of saved state");
	if (size < STATE_FILE_HEAD)
		return err_set(e, EINVAL, "the file is cut");
	if (get16(p + 8) != STATE_FILE_VERSION)
		return err_set(e, EPROTO,
			       "the file has version %u, this ferry reads %u",
			       get16(p + 8), STATE_FILE_VERSION);
	if (get16(p + 10) & ~FLAG_KEYED)
		return err_set(e, EINVAL, "the file has unknown flags");
	if ((get16(p + 10) & FLAG_KEYED) && !key)
		return err_set(e, EINVAL, "the file was sealed with a key");
	if (!(get16(p + 10) & FLAG_KEYED) && key)
		return err_set(e, EINVAL, "the file was sealed without a key");
	if (get32(p + 12) > SAVED_BYTES_MAX)
		return err_set(e, EEXHAUSTED, "the file says %u bytes of state",
			       get32(p + 12));
	return 0;
}

int state_file_open(const void *data, size_t size, const struct state_key *key,
		    const void **ret, size_t *ret_size, struct err *e)
{
	const unsigned char *p = data;
	uint8_t sum[DIGEST_BYTES];
	size_t n;
	int r = check_key(key, e);

	if (r == 0)
		r = check_head(p, size, key, e);
	if (r < 0)
		return r;
	n = get32(p + 12);
	if (size != STATE_FILE_HEAD + n + STATE_FILE_SUM)
		return err_set(e, EINVAL, "the file is %s than it says",
			       size < STATE_FILE_HEAD + n + STATE_FILE_SUM
				       ? "shorter"
				       : "longer");
	sum_of(p, STATE_FILE_HEAD + n, key, sum);
	if (!digest_equal(sum, p + STATE_FILE_HEAD + n))
		return err_set(
			e, EINVAL,
			key ? "the seal is not of this key, or the file is damaged"
			    : "the file is damaged");
	*ret = p + STATE_FILE_HEAD;
	*ret_size = n;
	return 0;
}
