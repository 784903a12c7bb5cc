/*
 * bridge/guest/policy.h - the security policy of the UVM: an open door, or shut
 *
 * ferry evaluates no policy language. A policy that asks for one is refused,
 * and nothing is opened or shut by it. Source: shared specification bridge.md
 * 3.11.10.
 */
#ifndef FERRY_BRIDGE_GUEST_POLICY_H
#define FERRY_BRIDGE_GUEST_POLICY_H

#include <stdbool.h>

#include "bridge/msg_settings.h"
#include "config/err.h"

/* Bytes of a reference, base64, with NUL. */
#define POLICY_TEXT_MAX 65536

/**
 * struct policy - what was set
 * @deny:	nothing may run (-initial-policy-stance deny, until a policy is
 *		set)
 * @set:	a host has set it; it cannot again
 * @reference, @hash_envelope: base64, owned, NULL: not given. Shown to
 *		containers
 */
struct policy {
	bool deny;
	bool set;
	char *reference;
	char *hash_envelope;
};

/** policy_init() - the initial stance */
void policy_init(struct policy *p, bool deny);
void policy_done(struct policy *p);

/**
 * policy_set() - SecurityPolicy
 *
 * Return: 0, -EEXIST (set before), -EOPNOTSUPP (needs evaluation), -EINVAL (no
 *         such enforcer, a policy where there must be none, no base64),
 *         -ENOMEM
 */
int policy_set(struct policy *p, const struct msg_security_policy *m,
	       struct err *e);

/**
 * policy_fragment() - SecurityPolicyFragment: always refused, with the reason
 *
 * Return: -EINVAL (media type), -EOPNOTSUPP
 */
int policy_fragment(const struct policy *p,
		    const struct msg_security_policy_fragment *m,
		    struct err *e);

#endif
