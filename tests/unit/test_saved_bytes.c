/*
 * tests/unit/test_saved_bytes.c - the rules of the saved state about what cannot be
 * said as structs: raw bytes, bounds, and what is equal
 */
#include "tests/unit/saved_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/saved.h"
#include "migration/saved_json.h"

static const char *raw_verdict(const void *p, size_t n)
{
	static struct saved_fault fault;
	struct err e = { 0 };
	struct saved s;
	struct arena a;

	saved_arena_init(&a, n);
	(void)saved_decode(p, n, "amd64", &a, &s, &fault, &e);
	arena_done(&a);
	return fault.rule;
}

#define RAW(rule, bytes)                                                       \
	assert_string_equal(raw_verdict(bytes, sizeof(bytes) - 1), rule)

static void test_s3_malformed_bytes(void **state UNUSED)
{
	RAW("S2", "");
	RAW("S3", "\x0a"); /* no length */
	RAW("S3", "\x0a\x05"
		  "ab"); /* cut */
	RAW("S3", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
	RAW("S3", "\x02\x00"); /* field number 0 */
	RAW("S3", "\x0b\x0c"); /* groups */
	RAW("S3", "\x0e\x00"); /* reserved wire types */
	RAW("S3", "\x0f\x00");
	RAW("S3", "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
	RAW("S3", "\x19\x01"); /* fixed64, cut */
	RAW("S3", "\x1d\x01"); /* fixed32, cut */
	RAW("S3", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00");
	RAW("S2",
	    "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* 10 bytes */
	RAW("S2", "\x0a\x01x");
}

static void wrap_long(struct text *out, const char *controller,
		      const char *value, size_t n)
{
	char type[128];
	size_t len;

	(void)snprintf(
		type, sizeof(type),
		"type.microsoft.com/hcsshim.controller.%s.save.v1.Payload",
		controller);
	len = strlen(type);
	text_addc(out, 0x0a);
	text_addc(out, (char)len);
	text_addn(out, type, len);
	text_addc(out, 0x12);
	for (len = n; len >= 128; len >>= 7)
		text_addc(out, (char)(len | 128));
	text_addc(out, (char)len);
	text_addn(out, value, n);
}

static void wrap(struct text *out, const char *controller, const char *value,
		 size_t n)
{
	assert_true(n < 128);
	wrap_long(out, controller, value, n);
}

static void test_s2_s13_what_is_missing(void **state UNUSED)
{
	struct text t;

	text_heap(&t, 4096);
	wrap(&t, "migration", "\x08\x01", 2);
	assert_string_equal(raw_verdict(t.buf, t.len), "S13");
	text_reset(&t);
	wrap(&t, "migration", "\x08\x01\x12\x00", 4);
	assert_string_equal(raw_verdict(t.buf, t.len), "S2");
	text_reset(&t);
	wrap(&t, "vm", "\x08\x01", 2);
	assert_string_equal(raw_verdict(t.buf, t.len), "S2");
	text_reset(&t); /* the type URL of other pack helpers */
	text_addn(&t, "\x0a\x0etype.googleapi", 16);
	assert_string_equal(raw_verdict(t.buf, t.len), "S2");
	text_done(&t);
}

/* A pod of a version, its ids, and no network. */
static void test_s30_a_pod_has_a_network(void **state UNUSED)
{
	struct text pod, outer, vm;

	text_heap(&pod, 4096);
	text_heap(&vm, 4096);
	text_heap(&outer, 4096);
	wrap(&vm, "vm", "\x08\x01\x12\x01v\x3a\x02{}", 9);
	wrap(&pod, "pod", "\x08\x01\x12\x01p\x1a\x01p", 8);
	text_addn(&outer, "\x08\x01\x12", 3);
	text_addc(&outer, (char)vm.len);
	text_addn(&outer, vm.buf, vm.len);
	text_addc(&outer, 0x1a);
	text_addc(&outer, (char)pod.len);
	text_addn(&outer, pod.buf, pod.len);
	text_reset(&vm);
	wrap_long(&vm, "migration", outer.buf, outer.len);
	assert_string_equal(raw_verdict(vm.buf, vm.len), "S30");
	text_done(&pod);
	text_done(&vm);
	text_done(&outer);
}

static void test_s1_the_whole_is_bounded(void **state UNUSED)
{
	char *big = calloc(1, SAVED_BYTES_MAX + 1);
	struct saved_pod *many = calloc(65, sizeof(*many));
	struct model m;
	int code = 0;
	int i;

	assert_non_null(big);
	assert_non_null(many);
	assert_string_equal(raw_verdict(big, SAVED_BYTES_MAX + 1), "S1");
	assert_string_equal(raw_verdict(big, SAVED_BYTES_MAX), "S3");
	model_init(&m);
	for (i = 0; i < 65; i++)
		many[i] = m.pods[1];
	m.s.pods = many;
	m.s.n_pods = 65;
	assert_string_equal(verdict(&m, &code), "S1");
	assert_int_equal(code, EEXHAUSTED);
	m.s.n_pods = 64; /* as many as may be; but they are all one pod */
	assert_string_equal(verdict(&m, &code), "S31");
	/* W26: what would not fit a frame is not even written. */
	model_init(&m);
	m.s.vm.compat = (struct saved_text){ big, SAVED_BYTES_MAX };
	assert_string_equal(verdict(&m, &code), "encode");
	assert_int_equal(code, EEXHAUSTED);
	free(big);
	free(many);
}

/* Two bytes of the peer must not become a hundred of ours without an end. */
static void test_s1_memory_is_a_small_multiple_of_the_input(void **state UNUSED)
{
	const size_t n = 1000000;
	struct text inner, outer;
	size_t i;

	text_heap(&inner, 4 * n);
	text_heap(&outer, 4 * n);
	text_addn(&inner, "\x08\x01", 2);
	for (i = 0; i < n; i++)
		text_addn(&inner, "\x1a\x00", 2); /* pods: empty Any */
	text_addn(&outer, "\x0a\x42", 2);
	text_add(&outer,
		 "type.microsoft.com/hcsshim.controller.migration.save.v1."
		 "Payload");
	outer.buf[1] = (char)(outer.len - 2);
	text_addc(&outer, 0x12);
	for (i = inner.len; i >= 128; i >>= 7)
		text_addc(&outer, (char)(i | 128));
	text_addc(&outer, (char)i);
	text_addn(&outer, inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "S1");
	text_done(&inner);
	text_done(&outer);
}

/* What comes last counts, a zero and an empty text too, and however often. */
static void test_s7_fields_that_occur_again(void **state UNUSED)
{
	static const char empty_type[] = "\x12\x02\x0a";
	const size_t n = 1000000;
	struct text inner, outer, vm;

	text_heap(&inner, 4 * n);
	text_heap(&outer, 4 * n);
	text_heap(&vm, 4096);
	wrap(&vm, "vm", "\x08\x01\x12\x01v\x3a\x02{}", 9);
	text_addn(&inner, "\x08\x01\x12", 3);
	text_addc(&inner, (char)vm.len);
	text_addn(&inner, vm.buf, vm.len);
	text_addn(&inner, "\x12\x00", 2);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "");
	for (size_t i = 0; i < n; i++)
		text_addn(&inner, "\x08\x01", 2);
	text_reset(&outer);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "");
	text_addn(&inner, "\x08\x00", 2); /* no version after all */
	text_reset(&outer);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "S4");
	inner.len -= 2;
	text_addn(&inner, empty_type, sizeof(empty_type)); /* nor a type */
	text_reset(&outer);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "S2");
	text_done(&inner);
	text_done(&outer);
	text_done(&vm);
}

static void test_equal_state_gives_equal_bytes(void **state UNUSED)
{
	struct text a, b;
	struct model m;
	struct saved s;
	struct arena arena;
	struct err e = { 0 };

	model_init(&m);
	m.s.vm.annotation_lock = T("lock\0bytes");
	m.s.vm.epoch = 7;
	m.s.vm.producer = T("ferry 0.1");
	add_devices(&m);
	m.disks[0].boot = true;
	m.disks[1].stage = SAVED_STAGE_RESERVED;
	m.mounts[1][0].stage = SAVED_STAGE_RESERVED;
	m.nics[1].settings = T("{}");
	m.containers[0].stage = SAVED_STAGE_STOPPED;
	m.containers[0].exit_status = 3;
	m.init[1].terminal = true;
	add_others(&m);
	text_heap(&a, SAVED_BYTES_MAX);
	text_heap(&b, SAVED_BYTES_MAX);
	assert_int_equal(saved_encode(&m.s, &a, &e), 0);
	saved_arena_init(&arena, a.len);
	assert_int_equal(
		saved_decode(a.buf, a.len, "amd64", &arena, &s, NULL, &e), 0);
	assert_int_equal(saved_encode(&s, &b, &e), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.buf, b.buf, a.len);
	assert_int_equal(s.vm.epoch, 7);
	assert_int_equal(s.vm.annotation_lock.n, 10);
	assert_true(s.vm.scsi.disks[0].boot);
	assert_int_equal(s.vm.scsi.disks[1].mounts[0].stage,
			 SAVED_STAGE_RESERVED);
	assert_int_equal(s.pods[0].containers[0].exit_status, 3);
	assert_true(s.pods[0].containers[0].processes[0].terminal);
	assert_int_equal(s.pods[0].network.endpoints[1].settings.n, 2);
	assert_int_equal(s.vm.session.n, 6);
	assert_int_equal(s.vm.processes[0].streams[0].unacknowledged.n, 6);
	assert_int_equal(s.vm.processes[1].exit_status, 4);
	assert_int_equal(s.pods[0].containers[0].execs[0].stdio[1].n, 5);
	assert_true(s.pods[0].containers[0].execs[0].streams[1].marked);
	arena_done(&arena);
	text_done(&a);
	text_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_s3_malformed_bytes),
		cmocka_unit_test(test_s2_s13_what_is_missing),
		cmocka_unit_test(test_s30_a_pod_has_a_network),
		cmocka_unit_test(test_s1_the_whole_is_bounded),
		cmocka_unit_test(
			test_s1_memory_is_a_small_multiple_of_the_input),
		cmocka_unit_test(test_s7_fields_that_occur_again),
		cmocka_unit_test(test_equal_state_gives_equal_bytes),
	};

	return cmocka_run_group_tests_name("saved_rules", tests, NULL, NULL);
}
