/*
 * tests/fuzz/fuzz_state.c - the saved state over any bytes
 *
 * What is accepted encodes, decodes again to the same content, and encodes to
 * the same bytes. Each input is tried as an envelope, and as the payload of
 * each controller in an envelope that is right, so that all seven readers see
 * it from their first byte.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"
#include "migration/saved.h"
#include "migration/saved_json.h"

#define OUT_MAX ((size_t)64 * 1024 * 1024)

const char *const fuzz_folders[] = { "tests/golden/state", NULL };

static int decode(const void *data, size_t size, struct text *bytes,
		  struct text *json)
{
	struct saved_fault fault;
	struct err e = { 0 };
	struct saved s;
	struct arena a;
	int r;

	saved_arena_init(&a, size);
	r = saved_decode(data, size, "amd64", &a, &s, &fault, &e);
	FUZZ_CHECK(r == 0 || (fault.rule[0] == 'S' && e.text[0]));
	if (r == 0) {
		FUZZ_CHECK(saved_encode(&s, bytes, &e) == 0);
		saved_json(&s, json);
	}
	arena_done(&a);
	return r;
}

static void try(const void *data, size_t size)
{
	struct text a, b, ja, jb;

	text_heap(&a, OUT_MAX);
	text_heap(&b, OUT_MAX);
	text_heap(&ja, OUT_MAX);
	text_heap(&jb, OUT_MAX);
	if (decode(data, size, &a, &ja) == 0) {
		FUZZ_CHECK(decode(a.buf, a.len, &b, &jb) == 0);
		FUZZ_CHECK(a.len == b.len && memcmp(a.buf, b.buf, a.len) == 0);
		FUZZ_CHECK(strcmp(text_str(&ja), text_str(&jb)) == 0);
	}
	text_done(&a);
	text_done(&b);
	text_done(&ja);
	text_done(&jb);
}

static void put_length(struct text *t, size_t n)
{
	for (; n >= 128; n >>= 7)
		text_addc(t, (char)(n | 128));
	text_addc(t, (char)n);
}

static void put_field(struct text *t, char tag, const void *p, size_t n)
{
	text_addc(t, tag);
	put_length(t, n);
	text_addn(t, p, n);
}

static void put_any(struct text *t, const char *controller, const void *p,
		    size_t n)
{
	char type[128];

	(void)snprintf(
		type, sizeof(type),
		"type.microsoft.com/hcsshim.controller.%s.save.v1.Payload",
		controller);
	put_field(t, 0x0a, type, strlen(type));
	put_field(t, 0x12, p, n);
}

/* Where each payload stands in its parent; the version comes before it. */
static const struct {
	const char *controller;
	const char *parent;
	char tag;
	const char *head;
} places[] = {
	{ "vm", "migration", 0x12, "\x08\x01" },
	{ "scsi", "vm", 0x22, "\x08\x01" },
	{ "pod", "migration", 0x1a, "\x08\x01" },
	{ "network", "pod", 0x22, "\x08\x01" },
	{ "linuxcontainer", "pod", 0x2a, "\x08\x01" },
	{ "process", "linuxcontainer", 0x3a, "\x08\x01" },
};

static void try_as(size_t place, const uint8_t *data, size_t size)
{
	const char *controller = places[place].controller;
	struct text inner, any, outer;
	size_t i;

	text_heap(&inner, OUT_MAX);
	text_heap(&any, OUT_MAX);
	text_heap(&outer, OUT_MAX);
	text_addn(&inner, data, size);
	while (strcmp(controller, "migration") != 0) {
		for (i = 0; strcmp(places[i].controller, controller) != 0;)
			i++;
		put_any(&any, controller, inner.buf, inner.len);
		text_reset(&inner);
		text_addn(&inner, places[i].head, 2);
		if (places[i].tag == 0x3a) { /* a map entry around it */
			text_reset(&outer);
			put_field(&outer, 0x12, any.buf, any.len);
			put_field(&inner, 0x3a, outer.buf, outer.len);
		} else {
			put_field(&inner, places[i].tag, any.buf, any.len);
		}
		text_reset(&any);
		controller = places[i].parent;
	}
	text_reset(&outer);
	put_any(&outer, "migration", inner.buf, inner.len);
	try(outer.buf, outer.len);
	text_done(&inner);
	text_done(&any);
	text_done(&outer);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	size_t i;

	try(data, size);
	for (i = 0; i < ARRAY_LEN(places); i++)
		try_as(i, data, size);
	return 0;
}
