/*
 * tests/golden/golden_bridge.c - golden-bridge [FILE|FOLDER]...
 *
 * A file *.json is one message as the README of the bridge vectors says; a
 * file *.bin is one or more whole frames. Each message is decoded with the
 * schema of its type word, encoded again, and compared: as a JSON value for a
 * vector, byte by byte for a frame. What the specification calls ignored need
 * not come back. Anything that is not understood is a failure.
 *
 * Without arguments: the files of this checkout, and the shared ones where
 * they are present.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "bridge/frame.h"
#include "bridge/json_check.h"
#include "bridge/msg.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"
#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"

#define FILE_MAX ((size_t)2 * WIRE_HOST_FRAME_MAX)
#define ARENA_MAX ((size_t)4 * WIRE_HOST_FRAME_MAX)
#define MESSAGE_SIZE_MAX 1024 /* of the struct of any schema */
#define PATH_SIZE 1024

static unsigned int passed, failed;

/* One message to try, and what came of it. */
struct message {
	uint32_t type;
	const char *body;
	size_t len;
	struct text again; /* encoded from what was decoded */
};

/* --- comparing ------------------------------------------------------------- */

/*
 * Members that a Linux guest decodes and does not use (bridge.md 2.2, 3.1 to
 * 3.11), by the end of their path; ferry's codec skips them.
 */
static const char *const ignored[] = {
	".ocsc",
	".SupportedVersions",
	".Settings.StdioRelaySettings",
	".ProcessParameters.ApplicationName",
	".ProcessParameters.User",
	".ProcessParameters.RestrictedToken",
	".ProcessParameters.UseExistingLogin",
	".ProcessParameters.UseLegacyConsole",
	".ProcessParameters.OciSpecification",
	".ContainerConfig.TimeZoneInformation",
	".Capabilities.SendLifecycleNotifications",
	".Capabilities.ModifyServiceSettingsSupported",
	".Request.Settings.VerityInfo",
	".LCOWMetrics.network",
};

static bool is_ignored(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++) {
		const size_t a = strlen(path), b = strlen(ignored[i]);

		if (a >= b && strcmp(path + a - b, ignored[i]) == 0)
			return true;
	}
	return false;
}

/* What only a refusing answer needs to know: its base (bridge.md 3.15). */
static bool is_refused(uint32_t type)
{
	return type == WIRE_UPDATE_CONTAINER ||
	       type == WIRE_LIFECYCLE_NOTIFICATION ||
	       type == WIRE_MODIFY_SERVICE_SETTINGS;
}

static json_object *parse(const char *text, size_t len)
{
	json_tokener *t;
	json_object *v;

	if (json_check(text, len, NULL) < 0)
		return NULL;
	t = json_tokener_new_ex(2 * JSON_DEPTH_MAX);
	if (!t)
		abort();
	v = json_tokener_parse_ex(t, text, (int)len);
	json_tokener_free(t);
	return v;
}

static bool same(json_object *a, json_object *b, const char *path, bool base);

static bool differ(const char *path, json_object *a, json_object *b)
{
	printf("  differs at $%s\n    expected %s\n    actual   %s\n", path,
	       a ? json_object_to_json_string(a) : "null or nothing",
	       b ? json_object_to_json_string(b) : "null or nothing");
	return false;
}

/* Members of @a that are not in @b, and with @deep what both have. */
static bool same_members(json_object *a, json_object *b, const char *path,
			 bool base, bool deep)
{
	struct lh_entry *entry;
	char inner[PATH_SIZE];

	lh_foreach(json_object_get_object(a), entry)
	{
		const char *name = lh_entry_k(entry);
		json_object *x = lh_entry_v(entry), *y = NULL;
		const bool there = json_object_object_get_ex(b, name, &y);

		(void)snprintf(inner, sizeof(inner), "%s.%s", path, name);
		if (is_ignored(inner) || (base && !there))
			continue;
		if (!there && x)
			return deep ? differ(inner, x, NULL)
				    : differ(inner, NULL, x);
		if (deep && there && !same(x, y, inner, false))
			return false;
	}
	return true;
}

static bool same_arrays(json_object *a, json_object *b, const char *path)
{
	const size_t n = json_object_array_length(a);
	char inner[PATH_SIZE];

	if (n != json_object_array_length(b))
		return differ(path, a, b);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(inner, sizeof(inner), "%s[%zu]", path, i);
		if (!same(json_object_array_get_idx(a, i),
			  json_object_array_get_idx(b, i), inner, false))
			return false;
	}
	return true;
}

/* Equal, or both the text of an object and these are the same. */
static bool same_strings(json_object *a, json_object *b, const char *path)
{
	json_object *x, *y;
	bool ok;

	if (json_object_equal(a, b))
		return true;
	x = parse(json_object_get_string(a),
		  (size_t)json_object_get_string_len(a));
	y = parse(json_object_get_string(b),
		  (size_t)json_object_get_string_len(b));
	ok = x && y && json_object_is_type(x, json_type_object)
		     ? same(x, y, path, false)
		     : differ(path, a, b);
	json_object_put(x);
	json_object_put(y);
	return ok;
}

/* @base: members that @b has not are passed over. */
static bool same(json_object *a, json_object *b, const char *path, bool base)
{
	if (json_object_get_type(a) != json_object_get_type(b))
		return differ(path, a, b);
	switch (json_object_get_type(a)) {
	case json_type_object:
		return same_members(a, b, path, base, true) &&
		       same_members(b, a, path, false, false);
	case json_type_array:
		return same_arrays(a, b, path);
	case json_type_string:
		return same_strings(a, b, path);
	case json_type_null:
	case json_type_boolean:
	case json_type_double:
	case json_type_int:
		break;
	}
	return json_object_equal(a, b) || differ(path, a, b);
}

/* --- one message ----------------------------------------------------------- */

static bool complain(const char *what, const struct err *e)
{
	printf("  %s: %s\n", what, e->text);
	return false;
}

/* The settings of a resource, decoded and encoded by their own table. */
static bool settings_again(struct msg_modify_settings *m, struct arena *a,
			   struct text *ret)
{
	const struct schema *schema =
		msg_settings_schema(m->request.resource_type);
	char buf[MESSAGE_SIZE_MAX] __attribute__((aligned(16)));
	struct err e = { 0 };

	if (!m->request.settings)
		return true;
	if (!schema || schema->size > sizeof(buf)) {
		printf("  no codec for the settings of '%s'\n",
		       m->request.resource_type);
		return false;
	}
	if (msg_decode(schema, m->request.settings, strlen(m->request.settings),
		       a, buf, &e) < 0)
		return complain("$.Request.Settings", &e);
	msg_encode(schema, buf, ret);
	m->request.settings = text_str(ret);
	return true;
}

/* Decodes @m->body and encodes it into @m->again. */
static bool through(struct message *m, struct arena *a)
{
	const struct schema *schema = msg_schema(m->type);
	char buf[MESSAGE_SIZE_MAX] __attribute__((aligned(16)));
	struct text settings;
	struct err e = { 0 };
	bool ok = true;

	if (!schema || schema->size > sizeof(buf)) {
		printf("  no codec for type word 0x%08x\n", m->type);
		return false;
	}
	if (msg_decode(schema, m->body, m->len, a, buf, &e) < 0)
		return complain("refused", &e);

	text_heap(&settings, WIRE_HOST_FRAME_MAX);
	if (schema == &msg_modify_settings_schema)
		ok = settings_again((void *)buf, a, &settings);
	if (ok && wire_kind(m->type) == WIRE_RESPONSE)
		ok = msg_encode_result(schema, buf, &m->again) == 0;
	else if (ok)
		msg_encode(schema, buf, &m->again);
	text_done(&settings);
	if (ok && m->again.full)
		return complain("encoding does not fit", &e);
	return ok;
}

/* What was encoded decodes and encodes to the same bytes. */
static bool settled(const struct message *m, struct arena *a)
{
	struct message twice = { .type = m->type,
				 .body = text_str(&m->again),
				 .len = m->again.len };
	bool ok;

	text_heap(&twice.again, m->again.max);
	ok = through(&twice, a);
	if (ok && strcmp(text_str(&m->again), text_str(&twice.again)) != 0) {
		printf("  the second encoding differs\n    first  %s\n"
		       "    second %s\n",
		       text_str(&m->again), text_str(&twice.again));
		ok = false;
	}
	text_done(&twice.again);
	return ok;
}

static bool try_message(struct message *m)
{
	struct arena a;
	bool ok;

	arena_init(&a, ARENA_MAX);
	ok = through(m, &a) && settled(m, &a);
	arena_done(&a);
	return ok;
}

static size_t body_max(uint32_t type)
{
	const uint32_t max = wire_kind(type) == WIRE_REQUEST
				     ? WIRE_HOST_FRAME_MAX
				     : WIRE_GUEST_FRAME_MAX;

	return max - WIRE_HEADER_SIZE + 1;
}

/* --- files ----------------------------------------------------------------- */

/* The bytes of the payload member, which is the last of the file. */
static bool find_payload(const char *text, size_t len, struct message *m)
{
	static const char name[] = "\"payload\":";
	const char *from = memmem(text, len, name, sizeof(name) - 1);
	const char *to = memrchr(text, '}', len);

	if (!from || !to)
		return false;
	from += sizeof(name) - 1;
	while (from < to && *from == ' ')
		from++;
	m->body = from;
	m->len = (size_t)(to - from);
	return from < to;
}

static bool compare_vector(const struct message *m, json_object *payload)
{
	json_object *again = parse(text_str(&m->again), m->again.len);
	bool ok = again != NULL;

	if (!ok)
		printf("  what was encoded is not JSON: %s\n",
		       text_str(&m->again));
	else
		ok = same(payload, again, "", is_refused(m->type));
	json_object_put(again);
	return ok;
}

static bool fits_direction(uint32_t type, const char *direction)
{
	if (strcmp(direction, "host-to-guest") == 0)
		return wire_kind(type) == WIRE_REQUEST;
	return strcmp(direction, "guest-to-host") == 0 &&
	       (wire_kind(type) == WIRE_RESPONSE ||
		wire_kind(type) == WIRE_NOTIFICATION);
}

static bool try_vector(const char *text, size_t len)
{
	json_object *file = parse(text, len), *type = NULL, *id = NULL,
		    *direction = NULL, *payload = NULL;
	struct message m = { 0 };
	bool ok = false;

	if (!json_object_object_get_ex(file, "type", &type) ||
	    !json_object_is_type(type, json_type_int) ||
	    !json_object_object_get_ex(file, "id", &id) ||
	    !json_object_is_type(id, json_type_int) ||
	    !json_object_object_get_ex(file, "direction", &direction) ||
	    !json_object_object_get_ex(file, "payload", &payload) ||
	    !find_payload(text, len, &m)) {
		printf("  not a vector: want type, id, direction, payload\n");
	} else if (!fits_direction((uint32_t)json_object_get_int64(type),
				   json_object_get_string(direction))) {
		printf("  type word and direction do not fit together\n");
	} else {
		m.type = (uint32_t)json_object_get_int64(type);
		text_heap(&m.again, body_max(m.type));
		ok = try_message(&m) && compare_vector(&m, payload);
		text_done(&m.again);
	}
	json_object_put(file);
	return ok;
}

static void print_bytes(const char *label, const void *data, size_t n)
{
	struct text t;

	text_heap(&t, 5 * n + 64);
	for (size_t i = 0; i < n; i++) {
		const char one[2] = { ((const char *)data)[i], '\0' };

		if (one[0] == '\0')
			text_add(&t, "\\x00");
		else
			text_quote(&t, one, 1);
	}
	printf("    %s %s\n", label, text_str(&t));
	text_done(&t);
}

/* @m->again holds a header's room and the body made of what was decoded. */
static bool compare_frame(const struct frame *f, struct text *again)
{
	struct wire_header h = f->header;
	const size_t size = WIRE_HEADER_SIZE + f->len;

	if (f->len > 0 && f->body[f->len - 1] == '\n')
		text_addc(again, '\n'); /* the reference host ends with one */
	h.size = (uint32_t)again->len;
	wire_header_put(again->buf, &h);
	if (again->len == size &&
	    memcmp(again->buf, f->body - WIRE_HEADER_SIZE, size) == 0)
		return true;
	printf("  the frame made again differs\n");
	print_bytes("expected", f->body - WIRE_HEADER_SIZE, size);
	print_bytes("actual  ", again->buf, again->len);
	return false;
}

static bool try_frame(const struct frame *f)
{
	const char room[WIRE_HEADER_SIZE] = { 0 };
	struct message m = { .type = f->header.type,
			     .body = f->body,
			     .len = f->len };
	struct text frame;
	bool ok = true;

	text_heap(&m.again, body_max(m.type));
	text_heap(&frame, (size_t)WIRE_HOST_FRAME_MAX + 2);
	text_addn(&frame, room, sizeof(room));
	if (!msg_schema(m.type)) {
		printf("  no codec for type word 0x%08x\n", m.type);
		ok = false;
	}
	if (ok && m.len > 0) { /* an empty body is one that nobody decodes */
		ok = try_message(&m);
		text_addn(&frame, text_str(&m.again), m.again.len);
	}
	ok = ok && compare_frame(f, &frame);
	text_done(&frame);
	text_done(&m.again);
	return ok;
}

/* A size field above what a guest may send is refused for its frames. */
static bool try_frames(const char *data, size_t len)
{
	struct frame_reader r;
	struct frame f;
	struct err e = { 0 };
	size_t frames = 0, room;
	bool ok = true;
	int n = 0;
	void *p;

	frame_init(&r, WIRE_HOST_FRAME_MAX);
	while (ok && len > 0 && (n = frame_room(&r, &p, &room, &e)) == 0) {
		const size_t take = room < len ? room : len;

		memcpy(p, data, take);
		frame_commit(&r, take);
		data += take;
		len -= take;
		while (ok && (n = frame_next(&r, &f, &e)) > 0) {
			frames++;
			ok = try_frame(&f);
		}
		ok = ok && n == 0;
	}
	if (n < 0)
		ok = complain("not a frame", &e);
	if (ok && (frames == 0 || frame_pending(&r) != 0)) {
		printf("  not whole frames: %zu bytes left\n",
		       frame_pending(&r));
		ok = false;
	}
	frame_done(&r);
	return ok;
}

static bool ends_with(const char *s, const char *end)
{
	const size_t a = strlen(s), b = strlen(end);

	return a >= b && strcmp(s + a - b, end) == 0;
}

static bool try_bytes(const char *path, const char *data, size_t len)
{
	if (ends_with(path, ".bin"))
		return try_frames(data, len);
	if (len > 0 && data[strspn(data, " \t\r\n")] == '{')
		return try_vector(data, len);
	printf("  neither a vector (*.json) nor frames (*.bin)\n");
	return false;
}

/* All bytes and a NUL; NULL when the file cannot be read whole. */
static char *read_file(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "rbe");
	char *data = f ? malloc(FILE_MAX + 1) : NULL;

	if (data) {
		*ret_len = fread(data, 1, FILE_MAX, f);
		data[*ret_len] = '\0';
		if (ferror(f)) {
			free(data);
			data = NULL;
		}
	}
	if (f)
		(void)fclose(f);
	return data;
}

static void try_file(const char *path)
{
	size_t len = 0;
	char *data = read_file(path, &len);
	bool ok = false;

	if (data)
		ok = try_bytes(path, data, len);
	else
		printf("  cannot read: %s\n", strerror(errno));
	free(data);
	printf("%s %s\n", ok ? "ok" : "FAILED", path);
	ok ? passed++ : failed++;
}

static int is_golden(const struct dirent *d)
{
	return ends_with(d->d_name, ".json") || ends_with(d->d_name, ".bin");
}

static void try_folder(const char *folder)
{
	struct dirent **list = NULL;
	const int n = scandir(folder, &list, is_golden, alphasort);

	for (int i = 0; i < n; i++) {
		char path[PATH_SIZE];

		(void)snprintf(path, sizeof(path), "%s/%s", folder,
			       list[i]->d_name);
		try_file(path);
		free(list[i]);
	}
	free(list);
	if (n <= 0) {
		printf("FAILED %s: no vectors in it\n", folder);
		failed++;
	}
}

static void try_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		try_folder(path);
	else
		try_file(path);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		try_path(argv[i]);
	if (argc == 1) {
		try_folder("tests/golden/bridge");
		try_folder("tests/golden/bridge/frames");
		if (access("../shared/vectors/bridge", R_OK) == 0) {
			try_folder("../shared/vectors/bridge");
			try_folder("../shared/vectors/bridge/frames");
		}
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}
