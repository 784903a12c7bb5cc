#include "migration/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/digest.h"
#include "config/num.h"
#include "config/text.h"
#include "migration/status.h"

#define FIRST "ferry-lease-v1"
#define LAST "end"

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool lease_machine_ok(const void *s, size_t len)
{
	const char *p = s;
	size_t i;

	for (i = 0; i < len && is_hex(p[i]); i++)
		;
	return i == len && len == LEASE_MACHINE_SIZE - 1;
}

void lease_machine_make(const unsigned char seed[16],
			char ret[LEASE_MACHINE_SIZE])
{
	uint8_t sum[DIGEST_BYTES];
	struct digest d;

	digest_init(&d);
	digest_add(&d, "machine", 7);
	digest_add(&d, seed, 16);
	digest_done(&d, sum);
	for (size_t i = 0; i < (LEASE_MACHINE_SIZE - 1) / 2; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

void lease_put(const struct lease_record *r, char out[LEASE_BYTES])
{
	struct text t;
	char buf[LEASE_BYTES];

	text_fixed(&t, buf, sizeof(buf));
	text_addf(&t, FIRST "\nmachine %s\nepoch %" PRIu64 "\nowner %s\n" LAST,
		  r->machine, r->epoch, r->owner);
	memset(out, '\n', LEASE_BYTES);
	memcpy(out, text_str(&t), t.len); /* all of it fits, always */
}

/* The rest of the line behind @word; *@p goes to the next one. */
static bool line(const char **p, const char *word, char *ret, size_t size)
{
	const size_t n = strlen(word);
	const char *end = strchr(*p, '\n');
	size_t len;

	if (!end || strncmp(*p, word, n) != 0 || (*p)[n] != ' ')
		return false;
	len = (size_t)(end - *p) - n - 1;
	if (len >= size)
		return false;
	memcpy(ret, *p + n + 1, len);
	ret[len] = '\0';
	*p = end + 1;
	return true;
}

int lease_get(const char *in, size_t n, struct lease_record *ret, struct err *e)
{
	char text[LEASE_BYTES + 1];
	char number[24];
	struct lease_record r;
	const char *p = text;
	struct err ignored;

	if (n != LEASE_BYTES)
		return err_set(e, EINVAL, "no record of a lease");
	memcpy(text, in, n);
	text[n] = '\0';
	if (strncmp(p, FIRST "\n", strlen(FIRST) + 1) != 0)
		return err_set(e, EINVAL, "no record of a lease");
	p += strlen(FIRST) + 1;
	if (!line(&p, "machine", r.machine, sizeof(r.machine)) ||
	    !line(&p, "epoch", number, sizeof(number)) ||
	    !line(&p, "owner", r.owner, sizeof(r.owner)) ||
	    strncmp(p, LAST "\n", strlen(LAST) + 1) != 0 ||
	    !lease_machine_ok(r.machine, strlen(r.machine)) ||
	    num_u64(number, 0, UINT64_MAX, &r.epoch, &ignored) < 0)
		return err_set(e, EINVAL, "the record of the lease is damaged");
	*ret = r;
	return 0;
}

int lease_may(const struct lease_record *r, const struct lease_claim *c,
	      struct err *e)
{
	if (strcmp(r->machine, c->machine) != 0)
		return err_set(e, EPRECONDITION,
			       "the lease is that of another machine");
	if (r->epoch == c->from)
		return 0;
	return err_set(e, ESTALE,
		       "the guest went on in epoch %" PRIu64
		       " at %.100s: this is epoch %" PRIu64,
		       r->epoch, r->owner, c->from);
}
