#include "bridge/guest/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAGMENT_MEDIA_TYPE "application/cose-x509+rego"
#define OPEN_DOOR "open_door"

void policy_init(struct policy *p, bool deny)
{
	*p = (struct policy){ .deny = deny };
}

void policy_done(struct policy *p)
{
	free(p->reference);
	free(p->hash_envelope);
	p->reference = NULL;
	p->hash_envelope = NULL;
}

static int check_base64(const char *member, const char *text, struct err *e)
{
	const size_t len = strlen(text);
	size_t n = 0;

	if (len >= POLICY_TEXT_MAX)
		return err_set(e, EINVAL, "$.%s: %zu bytes", member, len);
	while (isalnum((unsigned char)text[n]) || text[n] == '+' ||
	       text[n] == '/')
		n++;
	if (len % 4 != 0 || len - n > 2 || strspn(text + n, "=") != len - n)
		return err_set(e, EINVAL, "$.%s: no base64", member);
	return 0;
}

static int check_all(const struct msg_security_policy *m, struct err *e)
{
	if (check_base64("EncodedSecurityPolicy", m->policy, e) < 0 ||
	    check_base64("EncodedUVMReference", m->uvm_reference, e) < 0)
		return err_code(e);
	return check_base64("EncodedUVMHashEnvelopeReference",
			    m->uvm_hash_envelope_reference, e);
}

/* What ferry can do: no policy, and nobody to enforce one. */
static int check_enforcer(const struct msg_security_policy *m, struct err *e)
{
	const char *type = m->enforcer_type;
	const bool open = strcmp(type, OPEN_DOOR) == 0;

	if (open && m->policy[0] != '\0')
		return err_set(e, EINVAL,
			       "an open door goes with no security policy");
	if (type[0] != '\0' && !open && strcmp(type, "rego") != 0 &&
	    strcmp(type, "standard") != 0)
		return err_set(e, EINVAL, "'%.32s' is no policy enforcer",
			       type);
	if (m->policy[0] != '\0' || (type[0] != '\0' && !open))
		return err_set(e, EOPNOTSUPP,
			       "this agent evaluates no security policy");
	return 0;
}

static char *copy(const char *text)
{
	return text[0] == '\0' ? NULL : strdup(text);
}

int policy_set(struct policy *p, const struct msg_security_policy *m,
	       struct err *e)
{
	struct policy next = { .set = true };
	int r;

	if (p->set)
		return err_set(e, EEXIST, "the security policy is set already");
	r = check_all(m, e);
	if (r == 0)
		r = check_enforcer(m, e);
	if (r < 0)
		return r;
	next.reference = copy(m->uvm_reference);
	next.hash_envelope = copy(m->uvm_hash_envelope_reference);
	if ((m->uvm_reference[0] != '\0' && !next.reference) ||
	    (m->uvm_hash_envelope_reference[0] != '\0' &&
	     !next.hash_envelope)) {
		policy_done(&next);
		return err_set(e, ENOMEM, "no memory for the security policy");
	}
	*p = next;
	return 0;
}

int policy_fragment(const struct policy *p,
		    const struct msg_security_policy_fragment *m, struct err *e)
{
	(void)p;
	if (m->media_type[0] != '\0' &&
	    strcmp(m->media_type, FRAGMENT_MEDIA_TYPE) != 0)
		return err_set(e, EINVAL,
			       "$.MediaType: '%.64s' is no kind of fragment",
			       m->media_type);
	/* An open door needs none, and to say yes would be to have read it. */
	return err_set(e, EOPNOTSUPP,
		       "this agent evaluates no security policy fragment");
}
