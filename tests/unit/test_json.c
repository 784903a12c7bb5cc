/* tests/unit/test_json.c - JSON objects and structs, both ways */
#include "tests/unit/unit.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/json_check.h"
#include "bridge/json_decode.h"
#include "bridge/json_encode.h"
#include "bridge/schema.h"
#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"

#define ARENA_MAX 0x1000000u

struct small {
	uint8_t u8;
	const char *s;
};

/* One member of each kind. */
struct all {
	bool b;
	int32_t i32;
	int64_t i64;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	uint16_t pair[2];
	const char *s;
	const char *guid;
	const char *json;
	const char *raw;
	struct msg_strings strings;
	struct msg_numbers numbers;
	struct msg_pairs pairs;
	struct small object;
	struct small inner;
	struct small *pointer;
	struct small *array;
	size_t n_array;
	uint32_t level_number;
};

static const struct schema_member small_members[] = {
	SCHEMA_U8(struct small, u8, "U8", SCHEMA_OPTIONAL),
	SCHEMA_STRING(struct small, s, "S", SCHEMA_OPTIONAL),
};
static const struct schema small_schema = SCHEMA(struct small, small_members);

static const struct schema_member level_members[] = {
	SCHEMA_U32(struct all, level_number, "Number", SCHEMA_OPTIONAL),
};
static const struct schema level_schema = SCHEMA(struct all, level_members);

/* clang-format off */
static const struct schema_member all_members[] = {
#define T struct all
#define OPT SCHEMA_OPTIONAL
	SCHEMA_BOOL(T, b, "B", OPT),
	SCHEMA_I32(T, i32, "I32", OPT),
	SCHEMA_I64(T, i64, "I64", OPT),
	SCHEMA_U8(T, u8, "U8", OPT),
	SCHEMA_U16(T, u16, "U16", OPT),
	SCHEMA_U32(T, u32, "U32", OPT),
	SCHEMA_U64(T, u64, "U64", OPT),
	SCHEMA_U16_PAIR(T, pair, "Pair", OPT),
	SCHEMA_STRING(T, s, "S", OPT),
	SCHEMA_GUID(T, guid, "Guid", OPT),
	SCHEMA_JSON(T, json, "Json", OPT),
	SCHEMA_RAW(T, raw, "Raw", OPT),
	SCHEMA_STRINGS(T, strings, "Strings", OPT),
	SCHEMA_NUMBERS(T, numbers, "Numbers", OPT),
	SCHEMA_PAIRS(T, pairs, "Pairs", OPT),
	SCHEMA_OBJECT(struct small, T, object, "Object", OPT, small_schema),
	SCHEMA_INNER(struct small, T, inner, "Inner", OPT, small_schema),
	SCHEMA_POINTER(struct small, T, pointer, "Pointer", OPT, small_schema),
	SCHEMA_ARRAY(struct small, T, array, n_array, "Array", OPT,
		     small_schema),
	SCHEMA_LEVEL("Level", OPT, level_schema),
#undef T
};
/* clang-format on */
static const struct schema all_schema = SCHEMA(struct all, all_members);

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_MAX);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_done(&arena);
	json_decode_done();
	return 0;
}

static int decode(const char *text, struct all *ret, struct err *e)
{
	return json_decode(&all_schema, text, strlen(text), &arena, ret, e);
}

/* Decodes, encodes and compares; @want NULL: as it came. */
static void check_through(const char *text, const char *want)
{
	struct err e = { 0 };
	struct text out;
	struct all m;

	if (decode(text, &m, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	text_heap(&out, JSON_TEXT_MAX);
	json_encode(&all_schema, &m, JSON_UNCUT, &out);
	assert_string_equal(text_str(&out), want ? want : text);
	text_done(&out);
}

static void test_json_every_kind_both_ways(void **state)
{
	(void)state;
	check_through("{}", NULL);
	check_through(
		"{\"B\":true,\"I32\":-2147483648,"
		"\"I64\":-9223372036854775808,\"U8\":255,\"U16\":65535,"
		"\"U32\":4294967295,\"U64\":18446744073709551615,"
		"\"Pair\":[24,80],\"S\":\"x\","
		"\"Guid\":\"9b2f6a50-7c1d-4e8b-9f3a-5d6c7b8a9012\","
		"\"Json\":\"[1]\",\"Raw\":{\"z\":[1.50,null],\"a\":{}},"
		"\"Strings\":[\"\",\"b\"],\"Numbers\":[0,9007199254740993],"
		"\"Pairs\":{\"A\":\"1\",\"B\":\"\"},\"Object\":{\"U8\":1},"
		"\"Inner\":\"{\\\"S\\\":\\\"\\\\u003c\\\\n\\\"}\","
		"\"Pointer\":{},\"Array\":[{},{\"S\":\"q\"}],"
		"\"Level\":{\"Number\":7}}",
		NULL);
}

static void test_json_names_match_without_case(void **state)
{
	(void)state;
	check_through("{\"b\":true,\"strings\":[\"x\"],\"lEvEl\":{"
		      "\"NUMBER\":3}}",
		      "{\"B\":true,\"Strings\":[\"x\"],\"Level\":{"
		      "\"Number\":3}}");
	check_through("{\"\\u0053\":\"x\"}", "{\"S\":\"x\"}");
	check_through("{\"SS\":\"x\",\"\":1,\"S\\\\\":2}", "{}");
}

static void test_json_last_of_equal_names_wins(void **state)
{
	(void)state;
	check_through("{\"U8\":1,\"U8\":2}", "{\"U8\":2}");
	check_through("{\"U8\":1,\"u8\":2}", "{\"U8\":2}");
	check_through("{\"Raw\":{},\"U8\":1,\"u8\":2,\"U8\":3}",
		      "{\"U8\":3,\"Raw\":{}}");
	check_through("{\"U8\":1,\"U8\":null}", "{}");
	check_through("{\"Strings\":[\"a\",\"b\"],\"strings\":null}", "{}");
	check_through("{\"Array\":[{},{}],\"array\":[]}", "{}");
	check_through("{\"Array\":[{},{}],\"array\":null}", "{}");
	check_through("{\"Pairs\":{\"a\":\"1\",\"a\":\"2\"}}",
		      "{\"Pairs\":{\"a\":\"2\"}}");
	check_through("{\"Pairs\":{\"a\":\"1\"},\"pairs\":null}", "{}");
	check_through("{\"Pointer\":{},\"pointer\":null}", "{}");
	check_through("{\"Raw\":{},\"raw\":null}", "{}");
	check_through("{\"Pair\":[1,2],\"pair\":null}", "{}");
}

/* With or without a member that only the tree can skip. */
static void test_json_short_and_long_way_agree(void **state)
{
	static const char *const members[] = {
		"\"U32\":1,\"u32\":2,\"U32\":3",
		"\"U32\":0,\"I32\":2147483647,\"U16\":65535,\"B\":false",
		"\"S\":\"a\\u0062\",\"s\":\"\"",
		" \"S\" : \"\" , \"B\" : true ",
		"\"\\u0053\":\"x\",\"S\":\"y\"",
		"\"S\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u003C\\u007f\"",
		"\"S\":\"\\u0080\"",
		"\"S\":\"\\ud83d\\ude00\"",
		"\"S\":\"x\\u00e9\",\"Guid\":\"\\u1041\"",
		"\"Strings\":[\"a\" , \"\\\"b\\\\\",\"\"] ",
		"\"Strings\":[],\"U32\":1",
		"\"Strings\":[\"a\",null],\"U32\":1",
		"\"Inner\":\"{\\\"S\\\":\\\"\\\\u003c\\\"}\"",
		"\"Inner\":\" {}\",\"B\":true",
		"\"Inner\":\"{\\\"S\\\":null}\"",
		"\"Pairs\":{}",
		"\"Pairs\":{ \"a\" : \"1\" , \"b\":\"\" } ",
		"\"Pairs\":{\"a\":\"1\",\"a\":\"2\"}",
		"\"Pairs\":{\"a\":\"1\",\"b\":null}",
		"\"Pairs\":{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":\"\",\"8\":\"\"}",
		"\"Pairs\":{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":\"\",\"8\":\"\",\"9\":\"\"}",
		"\"Level\":{\"Number\":4294967295},\"Object\":{\"S\":\"x\"}",
		"\"Level\":{},\"Object\":{ }",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		struct text in, want;
		struct all m;

		text_heap(&in, 1024);
		text_heap(&want, 1024);
		text_addf(&in, "{\"~\":[],%s}", members[i]);
		assert_int_equal(decode(text_str(&in), &m, NULL), 0);
		json_encode(&all_schema, &m, JSON_UNCUT, &want);
		text_reset(&in);
		text_addf(&in, "{%s}", members[i]);
		check_through(text_str(&in), text_str(&want));
		text_done(&in);
		text_done(&want);
	}
}

static void test_json_null_is_the_zero_value(void **state)
{
	(void)state;
	check_through("{\"B\":null,\"I32\":null,\"U8\":null,\"U16\":null,"
		      "\"U32\":null,\"U64\":null,\"Pair\":null,\"S\":null,"
		      "\"Guid\":null,\"Json\":null,\"Raw\":null,"
		      "\"Strings\":null,\"Numbers\":null,\"Pairs\":null,"
		      "\"Object\":null,\"Inner\":null,\"Pointer\":null,"
		      "\"Array\":null,\"Level\":null}",
		      "{}");
	check_through("{\"Strings\":[null],\"Numbers\":[null],\"Array\":[null],"
		      "\"Pairs\":{\"a\":null},\"Pair\":[null,1]}",
		      "{\"Pair\":[0,1],\"Strings\":[\"\"],\"Numbers\":[0],"
		      "\"Pairs\":{\"a\":\"\"},\"Array\":[{}]}");
}

static void test_json_absent_strings_are_empty(void **state)
{
	struct all m;

	(void)state;
	for (size_t i = 0; i < 2; i++) { /* the short way and the long one */
		assert_int_equal(decode(i ? "{\"~\":[]}" : "{}", &m, NULL), 0);
		assert_string_equal(m.s, "");
		assert_string_equal(m.guid, "");
		assert_string_equal(m.json, "");
		assert_null(m.raw);
		assert_string_equal(m.object.s, "");
		assert_string_equal(m.inner.s, "");
	}
}

static void test_json_refuses_with_the_path(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "[]", "$: want object" },
		{ "null", "$: want object" },
		{ "\"x\"", "$: want object" },
		{ "{\"B\":1}", "$.B: want true or false" },
		{ "{\"B\":\"true\"}", "$.B: want true or false" },
		{ "{\"I32\":2147483648}", "$.I32: number out of range" },
		{ "{\"I32\":-2147483649}", "$.I32: number out of range" },
		{ "{\"I32\":18446744073709551615}",
		  "$.I32: number out of range" },
		{ "{\"I32\":1.0}", "$.I32: want integer" },
		{ "{\"I32\":\"1\"}", "$.I32: want integer" },
		{ "{\"I64\":9223372036854775808}",
		  "$.I64: number out of range" },
		{ "{\"I64\":true}", "$.I64: want integer" },
		{ "{\"U8\":256}", "$.U8: number out of range" },
		{ "{\"U16\":65536}", "$.U16: number out of range" },
		{ "{\"U32\":4294967296}", "$.U32: number out of range" },
		{ "{\"U32\":-1}", "$.U32: number out of range" },
		{ "{\"U32\":1e3}", "$.U32: want integer" },
		{ "{\"U32\":true}", "$.U32: want integer" },
		{ "{\"U64\":-1}", "$.U64: number out of range" },
		{ "{\"U64\":18446744073709551616}",
		  "not JSON: an integer beyond 64 bits at byte 27" },
		{ "{\"Pair\":[1]}", "$.Pair: want array of two" },
		{ "{\"Pair\":[1,2,3]}", "$.Pair: want array of two" },
		{ "{\"Pair\":[1,65536]}", "$.Pair[1]: number out of range" },
		{ "{\"S\":1}", "$.S: want string" },
		{ "{\"S\":{}}", "$.S: want string" },
		{ "{\"S\":\"a\\u0000b\"}", "$.S: a NUL in a string" },
		{ "{\"Guid\":1}", "$.Guid: want string" },
		{ "{\"Json\":\"{\"}", "$.Json: not JSON: a member's name is "
				      "missing at byte 1" },
		{ "{\"Raw\":\"{}\"}", "$.Raw: want object" },
		{ "{\"Raw\":[]}", "$.Raw: want object" },
		{ "{\"Strings\":\"a\"}", "$.Strings: want array" },
		{ "{\"Strings\":[\"a\",1]}", "$.Strings[1]: want string" },
		{ "{\"Numbers\":[-1]}", "$.Numbers[0]: number out of range" },
		{ "{\"Pairs\":[]}", "$.Pairs: want object" },
		{ "{\"Pairs\":{\"a\":1}}", "$.Pairs.a: want string" },
		{ "{\"Pairs\":{\"a\\n\":\"\\u0000\"}}",
		  "$.Pairs.a\\x0a: a NUL in a string" },
		{ "{\"Object\":[]}", "$.Object: want object" },
		{ "{\"Object\":{\"U8\":-1}}",
		  "$.Object.U8: number out of range" },
		{ "{\"Inner\":{}}", "$.Inner: want string" },
		{ "{\"Inner\":\"\"}",
		  "$.Inner: not JSON: unexpected end at byte 0" },
		{ "{\"Inner\":\"{\\\"S\\\":1}\"}",
		  "$.Inner: $.S: want string" },
		{ "{\"Pointer\":1}", "$.Pointer: want object" },
		{ "{\"Array\":{}}", "$.Array: want array" },
		{ "{\"Array\":[{},{\"U8\":999}]}",
		  "$.Array[1].U8: number out of range" },
		{ "{\"Level\":{\"Number\":\"\"}}",
		  "$.Level.Number: want integer" },
		{ "{\"S\":\"\xff\"}", "not JSON: not UTF-8 at byte 6" },
		{ "{} {}", "not JSON: more than one value at byte 3" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		struct all m;

		assert_int_equal(decode(cases[i].text, &m, &e), -EINVAL);
		assert_string_equal(e.text, cases[i].want);
		assert_int_equal(decode(cases[i].text, &m, NULL), -EINVAL);
	}
}

static void test_json_unknown_members_are_skipped(void **state)
{
	(void)state;
	check_through(
		"{\"x\":[{\"S\":1}],\"U8\":3,\"y\":1.5,\"z\":\"\\u0000\"}",
		"{\"U8\":3}");
}

/* The text that json-c and the check accept at their common limit. */
static void test_json_depth_of_a_document(void **state)
{
	char text[3 * JSON_DEPTH_MAX + 64] = "{\"x\":";
	struct err e = { 0 };
	struct all m;

	(void)state;
	for (size_t levels = JSON_DEPTH_MAX - 1; levels <= JSON_DEPTH_MAX;
	     levels++) {
		memset(text + 5, '[', levels);
		memset(text + 5 + levels, ']', levels);
		text[5 + 2 * levels] = '}';
		text[6 + 2 * levels] = '\0';
		if (levels < JSON_DEPTH_MAX)
			assert_int_equal(decode(text, &m, &e), 0);
		else
			assert_int_equal(decode(text, &m, &e), -EINVAL);
	}
	assert_string_equal(e.text, "not JSON: too deep at byte 68");
}

static void test_json_arena_limit_is_an_error(void **state)
{
	static const char text[] = "{\"S\":\"0123456789\",\"Array\":[{},{}]}";
	struct err e = { 0 };
	struct arena a;
	struct all m;

	(void)state;
	for (size_t max = 0; max < 64; max++) {
		const size_t need = 11 + 2 * sizeof(struct small);
		int r;

		arena_init(&a, max);
		r = json_decode(&all_schema, text, strlen(text), &a, &m, &e);
		assert_int_equal(r, max < need ? -ENOMEM : 0);
		arena_done(&a);
	}
}

/* In use; 0 under ASan. */
static size_t heap_bytes(void)
{
	const struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void test_json_large_text_leaves_a_working_tokener(void **state)
{
	const size_t n = 1000000;
	struct text t;
	struct all m;

	(void)state;
	text_heap(&t, JSON_TEXT_MAX);
	text_add(&t, "{\"~\":0,\"S\":\"");
	for (size_t i = 0; i < n; i++)
		text_addc(&t, 's');
	text_add(&t, "\"}");
	for (size_t i = 0; i < 3; i++) {
		size_t before;

		check_through("{\"Strings\":[\"x\"]}", NULL);
		before = heap_bytes();
		assert_int_equal(decode(text_str(&t), &m, NULL), 0);
		assert_int_equal(strlen(m.s), n);
		arena_done(&arena);
		assert_true(heap_bytes() < before + 65536);
	}
	text_done(&t);
}

static void check_string(const char *s, size_t n, const char *want)
{
	struct text t;

	text_heap(&t, 4096);
	json_string(&t, s, n, JSON_UNCUT);
	assert_string_equal(text_str(&t), want);
	assert_int_equal(json_check(text_str(&t), t.len, NULL), 0);
	text_done(&t);
}

static void test_json_string_escapes_as_go(void **state)
{
	(void)state;
	check_string("plain ~ '/", 10, "\"plain ~ '/\"");
	check_string("\"\\\n\r\t", 5, "\"\\\"\\\\\\n\\r\\t\"");
	check_string("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
	check_string("<a>&", 4, "\"\\u003ca\\u003e\\u0026\"");
	check_string("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 9,
		     "\"\\u2028\\u2029\xe2\x80\xaa\"");
	check_string("\xc3\xa9\xf0\x9f\x98\x80", 6,
		     "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	check_string("a\xff", 2, "\"a\\ufffd\"");
	check_string("\xc0\xaf", 2, "\"\\ufffd\\ufffd\"");
	check_string("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
	check_string("\xe2\x80", 2, "\"\\ufffd\\ufffd\"");
	check_string("\xc3\xa9", 1, "\"\\ufffd\"");
}

static void test_json_string_is_cut_between_characters(void **state)
{
	static const char s[] = "ab<\xc3\xa9\xff.";
	static const char *const want[] = {
		"\"\"",
		"\"a\"",
		"\"ab\"",
		"\"ab\"",
		"\"ab\"",
		"\"ab\"",
		"\"ab\"",
		"\"ab\"",
		"\"ab\\u003c\"",
		"\"ab\\u003c\"",
		"\"ab\\u003c\xc3\xa9\"",
	};

	(void)state;
	for (size_t cut = 0; cut < ARRAY_LEN(want); cut++) {
		struct text t;

		text_heap(&t, 4096);
		json_string(&t, s, sizeof(s) - 1, cut);
		assert_string_equal(text_str(&t), want[cut]);
		text_done(&t);
	}
}

static void test_json_map_keys_in_byte_order(void **state)
{
	(void)state;
	check_through("{\"Pairs\":{\"b\":\"1\",\"B\":\"2\",\"a\":\"3\","
		      "\"\xc3\xa9\":\"4\",\"aa\":\"5\"}}",
		      "{\"Pairs\":{\"B\":\"2\",\"a\":\"3\",\"aa\":\"5\","
		      "\"b\":\"1\",\"\xc3\xa9\":\"4\"}}");
}

static void test_json_raw_text_is_escaped_and_checked(void **state)
{
	struct all m = { .raw = "{\"a\":\"<&\xe2\x80\xa8\"}", .json = "{]" };
	struct text t;

	(void)state;
	text_heap(&t, 4096);
	json_encode(&all_schema, &m, JSON_UNCUT, &t);
	assert_string_equal(text_str(&t),
			    "{\"Raw\":{\"a\":\"\\u003c\\u0026\\u2028\"}}");
	text_reset(&t);
	m.raw = "{\"a\":}";
	json_encode(&all_schema, &m, JSON_UNCUT, &t);
	assert_string_equal(text_str(&t), "{}");
	text_done(&t);
}

static void test_json_null_pointers_encode(void **state)
{
	const char *strings[] = { NULL, "x" };
	struct all m = { .strings = { strings, 2 } };
	struct text t;

	(void)state;
	text_heap(&t, 4096);
	json_encode(&all_schema, &m, JSON_UNCUT, &t);
	assert_string_equal(text_str(&t), "{\"Strings\":[\"\",\"x\"]}");
	text_done(&t);
}

static void test_json_full_text_is_told(void **state)
{
	const struct all m = { .s = "0123456789",
			       .inner = { .s = "0123456789" } };

	(void)state;
	for (size_t max = 1; max < 80; max++) {
		struct text t;

		text_heap(&t, max);
		json_encode(&all_schema, &m, JSON_UNCUT, &t);
		assert_true(t.len < max);
		assert_true(t.full == (max < 52));
		text_done(&t);
	}
}

/* A part of the inner text would fit, and be wrong. */
static void test_json_full_inner_text_is_told(void **state)
{
	char s[101];
	const struct all m = { .inner = { .s = s } };
	struct text t;

	(void)state;
	memset(s, 's', 100);
	s[100] = '\0';
	text_heap(&t, 64);
	json_encode(&all_schema, &m, JSON_UNCUT, &t);
	assert_true(t.full);
	text_done(&t);
}

int main(void)
{
#define UNIT(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		UNIT(test_json_every_kind_both_ways),
		UNIT(test_json_names_match_without_case),
		UNIT(test_json_last_of_equal_names_wins),
		UNIT(test_json_short_and_long_way_agree),
		UNIT(test_json_null_is_the_zero_value),
		UNIT(test_json_absent_strings_are_empty),
		UNIT(test_json_refuses_with_the_path),
		UNIT(test_json_unknown_members_are_skipped),
		UNIT(test_json_depth_of_a_document),
		UNIT(test_json_arena_limit_is_an_error),
		UNIT(test_json_large_text_leaves_a_working_tokener),
		UNIT(test_json_string_escapes_as_go),
		UNIT(test_json_string_is_cut_between_characters),
		UNIT(test_json_map_keys_in_byte_order),
		UNIT(test_json_raw_text_is_escaped_and_checked),
		UNIT(test_json_null_pointers_encode),
		UNIT(test_json_full_text_is_told),
		UNIT(test_json_full_inner_text_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
