/* The security policy: set once, and never more than ferry can keep. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/policy.h"
#include "config/util.h"

static struct msg_security_policy empty(void)
{
	return (struct msg_security_policy){ .enforcer_type = "",
					     .policy = "",
					     .uvm_reference = "",
					     .uvm_hash_envelope_reference =
						     "" };
}

static void test_an_open_door_is_set_once(void **state)
{
	struct msg_security_policy m = empty();
	struct policy p;
	struct err e = { 0 };

	(void)state;
	policy_init(&p, true);
	assert_true(p.deny);
	m.uvm_reference = "cmVm";
	assert_int_equal(policy_set(&p, &m, &e), 0);
	assert_false(p.deny);
	assert_string_equal(p.reference, "cmVm");
	assert_null(p.hash_envelope);
	m.uvm_reference = "b3RoZXI=";
	assert_int_equal(policy_set(&p, &m, &e), -EEXIST);
	assert_string_equal(p.reference, "cmVm");
	policy_done(&p);

	policy_init(&p, false);
	m.enforcer_type = "open_door";
	m.uvm_hash_envelope_reference = "aGFzaA==";
	assert_int_equal(policy_set(&p, &m, &e), 0);
	assert_string_equal(p.hash_envelope, "aGFzaA==");
	policy_done(&p);
}

/* A refusal opens nothing and does not use up the one time. */
static void test_what_cannot_be_kept_is_refused(void **state)
{
	static const struct {
		const char *type;
		const char *policy;
		const char *reference;
		int code;
	} rows[] = {
		{ "", "cG9saWN5", "", -EOPNOTSUPP },
		{ "rego", "cG9saWN5", "", -EOPNOTSUPP },
		{ "rego", "", "", -EOPNOTSUPP },
		{ "standard", "cG9saWN5", "", -EOPNOTSUPP },
		{ "open_door", "cG9saWN5", "", -EINVAL },
		{ "OPEN_DOOR", "", "", -EINVAL },
		{ "none", "", "", -EINVAL },
		{ "", "not base64!", "", -EINVAL },
		{ "", "cG9=aWN5", "", -EINVAL },
		{ "", "c===", "", -EINVAL },
		{ "", "", "abc", -EINVAL },
	};
	struct policy p;

	(void)state;
	policy_init(&p, true);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct msg_security_policy m = empty();
		struct err e = { 0 };

		m.enforcer_type = rows[i].type;
		m.policy = rows[i].policy;
		m.uvm_reference = rows[i].reference;
		assert_int_equal(policy_set(&p, &m, &e), rows[i].code);
		assert_string_not_equal(e.text, "");
		assert_true(p.deny);
		assert_false(p.set);
	}
	policy_done(&p);
}

static void test_references_are_bounded(void **state)
{
	struct msg_security_policy m = empty();
	char *text = calloc(1, POLICY_TEXT_MAX + 1);
	struct policy p;
	struct err e = { 0 };

	(void)state;
	assert_non_null(text);
	memset(text, 'A', POLICY_TEXT_MAX);
	m.uvm_reference = text;
	policy_init(&p, false);
	assert_int_equal(policy_set(&p, &m, &e), -EINVAL);
	text[POLICY_TEXT_MAX - 4] = '\0';
	assert_int_equal(policy_set(&p, &m, &e), 0);
	policy_done(&p);
	free(text);
}

static void test_fragments_are_refused(void **state)
{
	struct msg_security_policy_fragment m = { .fragment = "ZnJhZw==",
						  .media_type = "" };
	struct policy p;
	struct err e = { 0 };

	(void)state;
	policy_init(&p, false);
	assert_int_equal(policy_fragment(&p, &m, &e), -EOPNOTSUPP);
	m.media_type = "application/cose-x509+rego";
	assert_int_equal(policy_fragment(&p, &m, &e), -EOPNOTSUPP);
	m.media_type = "text/plain";
	assert_int_equal(policy_fragment(&p, &m, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_open_door_is_set_once),
		cmocka_unit_test(test_what_cannot_be_kept_is_refused),
		cmocka_unit_test(test_references_are_bounded),
		cmocka_unit_test(test_fragments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
