/*
 * tests/fuzz/fuzz_msg.c - every message codec over any bytes
 *
 * The first byte chooses the schema. What decodes must encode to strict JSON,
 * which decodes and encodes to the same bytes again; an answer keeps to the
 * frame limit; and the short way of decoding agrees with the long one.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "bridge/json_check.h"
#include "bridge/json_encode.h"
#include "bridge/msg.h"
#include "bridge/msg_base.h"
#include "bridge/msg_container.h"
#include "bridge/msg_ferry.h"
#include "bridge/msg_metrics.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"
#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"

#define ARENA_MAX 0x4000000u
#define TEXT_MAX 0x1000000u
#define STRUCT_MAX 1024

const char *const fuzz_folders[] = { "tests/golden/bridge", NULL };

/* Answers first: they also go through msg_encode_result(). */
static const struct schema *const schemas[] = {
	&msg_result_schema,
	&msg_negotiate_result_schema,
	&msg_execute_process_result_schema,
	&msg_wait_for_process_result_schema,
	&msg_dump_stacks_result_schema,
	&msg_create_result_schema,
	&msg_get_properties_result_schema,
	&msg_ferry_read_log_result_schema,
#define ANSWERS 8
	&msg_base_schema,
	&msg_negotiate_schema,
	&msg_execute_process_schema,
	&msg_process_parameters_schema,
	&msg_wait_for_process_schema,
	&msg_signal_process_schema,
	&msg_resize_console_schema,
	&msg_notification_schema,
	&msg_create_schema,
	&msg_container_config_schema,
	&msg_get_properties_schema,
	&msg_property_query_schema,
	&msg_properties_schema,
	&msg_metrics_schema,
	&msg_modify_settings_schema,
	&msg_mapped_virtual_disk_schema,
	&msg_scsi_device_schema,
	&msg_combined_layers_schema,
	&msg_mapped_directory_schema,
	&msg_vpmem_device_schema,
	&msg_vpci_device_schema,
	&msg_network_schema,
	&msg_container_constraints_schema,
	&msg_security_policy_schema,
	&msg_security_policy_fragment_schema,
	&msg_ferry_received_schema,
	&msg_ferry_stream_end_schema,
	&msg_ferry_out_of_memory_schema,
	&msg_ferry_unwanted_schema,
	&msg_ferry_read_log_schema,
	&msg_ferry_hello_schema,
	&msg_ferry_welcome_schema,
	&msg_error_record_schema,
	&msg_schema_version_schema,
};

/* Decodes and encodes; false when the text is refused. */
static bool through(const struct schema *schema, const char *text, size_t len,
		    struct arena *a, void *msg, struct text *out)
{
	struct err e = { 0 };

	if (msg_decode(schema, text, len, a, msg, &e) < 0) {
		FUZZ_CHECK(e.text[0] != '\0' && e.code != 0);
		return false;
	}
	msg_encode(schema, msg, out);
	FUZZ_CHECK(!out->full);
	FUZZ_CHECK(json_check(text_str(out), out->len, NULL) == 0);
	return true;
}

/* An unknown member at the front sends the text the long way. */
static void try_long_way(const struct schema *schema, const char *text,
			 size_t len, const struct text *want)
{
	const char *brace = memchr(text, '{', len);
	char msg[STRUCT_MAX] __attribute__((aligned(16)));
	struct text longer, out;
	const char *p = brace + 1;
	struct arena a;

	while (strchr(" \t\r\n", *p))
		p++;
	text_heap(&longer, TEXT_MAX);
	text_heap(&out, TEXT_MAX);
	arena_init(&a, ARENA_MAX);
	text_add(&longer, *p == '}' ? "{\"~\":0" : "{\"~\":0,");
	text_addn(&longer, p, len - (size_t)(p - text));
	/* One value or one level more may be one too many. */
	if (json_check(text_str(&longer), longer.len, NULL) == 0) {
		FUZZ_CHECK(through(schema, text_str(&longer), longer.len, &a,
				   msg, &out));
		FUZZ_CHECK(strcmp(text_str(&out), text_str(want)) == 0);
	}
	arena_done(&a);
	text_done(&out);
	text_done(&longer);
}

static void try_answer(const struct schema *schema, const void *msg)
{
	struct text out;

	text_heap(&out, WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE + 1);
	FUZZ_CHECK(msg_encode_result(schema, msg, &out) == 0);
	FUZZ_CHECK(out.len <= WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE);
	FUZZ_CHECK(json_check(text_str(&out), out.len, NULL) == 0);
	text_done(&out);
}

static void try_schema(size_t which, const char *text, size_t len)
{
	const struct schema *schema = schemas[which];
	char msg[STRUCT_MAX] __attribute__((aligned(16)));
	struct text once, twice;
	struct arena a;

	FUZZ_CHECK(schema->size <= sizeof(msg));
	arena_init(&a, ARENA_MAX);
	text_heap(&once, TEXT_MAX);
	text_heap(&twice, TEXT_MAX);
	if (through(schema, text, len, &a, msg, &once)) {
		if (which < ANSWERS)
			try_answer(schema, msg);
		FUZZ_CHECK(through(schema, text_str(&once), once.len, &a, msg,
				   &twice));
		FUZZ_CHECK(strcmp(text_str(&once), text_str(&twice)) == 0);
		try_long_way(schema, text, len, &once);
	}
	arena_done(&a);
	text_done(&once);
	text_done(&twice);
}

/* A vector file begins with '{' and is wrapped: take its payload. */
static void unwrap(const char **text, size_t *len)
{
	static const char name[] = "\"payload\": ";
	const char *at = memmem(*text, *len, name, sizeof(name) - 1);
	const char *end = memrchr(*text, '}', *len);

	if (!at || !end || end < at)
		return;
	at += sizeof(name) - 1;
	*len = end > at ? (size_t)(end - at) : 0;
	*text = at;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	if (size < 1)
		return 0;
	if (data[0] == '{') {
		unwrap(&text, &size);
		for (size_t i = 0; i < ARRAY_LEN(schemas); i++)
			try_schema(i, text, size);
		return 0;
	}
	try_schema(data[0] % ARRAY_LEN(schemas), text + 1, size - 1);
	return 0;
}
