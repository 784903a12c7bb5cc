/*
 * golden-cmdline FILE... - run command line vectors (JSON lines)
 *
 * The format of a line is known by its members; a line of no known format is a
 * failure. A runner makes the actual result as JSON, and that must be equal to
 * the member "expect". Without arguments it runs tests/golden/cmdline/ and the
 * files of the same names in the shared folder, if that is there.
 */
#include <errno.h>
#include <glob.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/annotations.h"
#include "config/options.h"
#include "config/util.h"
#include "config/value.h"
#include "cmdline/build.h"
#include "cmdline/distribute.h"
#include "tools/cmdline_json.h"
#include "tools/service_json.h"

#define OWN_FOLDER "tests/golden/cmdline/"
#define SHARED_FOLDER "../shared/vectors/cmdline/"

/* More devices than a line of the vectors has. */
#define DEVICES_MAX 64

struct count {
	unsigned long passed;
	unsigned long failed;
};

static json_object *member(json_object *o, const char *name)
{
	json_object *found = NULL;

	(void)json_object_object_get_ex(o, name, &found);
	return found;
}

static bool has(json_object *o, const char *name)
{
	return json_object_object_get_ex(o, name, NULL);
}

/* A member's text; NULL: absent or null. */
static const char *text_of(json_object *o, const char *name)
{
	json_object *found = member(o, name);

	return found ? json_object_get_string(found) : NULL;
}

static json_object *error_result(const struct err *e)
{
	json_object *o = json_object_new_object();

	(void)json_object_object_add(
		o, "error", json_object_new_string(err_class_name(e->class)));
	if (e->class == ERR_NONE)
		(void)json_object_object_add(o, "text",
					     json_object_new_string(e->text));
	return o;
}

static json_object *u64_text(uint64_t value)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%llu", (unsigned long long)value);
	return json_object_new_string(buf);
}

static enum tristate tristate_of(json_object *o, const char *name)
{
	json_object *found = member(o, name);

	if (!found)
		return TRI_UNSET;
	return json_object_get_boolean(found) ? TRI_TRUE : TRI_FALSE;
}

static int fill_map(struct annotation_map *m, json_object *from, struct err *e)
{
	int r = 0;

	if (!from)
		return 0;
	json_object_object_foreach(from, key, value)
	{
		if (r == 0)
			r = annotation_map_set(
				m, key, json_object_get_string(value), e);
	}
	return r;
}

/* golden.jsonl: annotations and options to the kernel argument string. */
static int render(json_object *v, char *line, struct err *e)
{
	json_object *options = member(v, "options");
	const char *level = text_of(options, "loglevel");
	struct sandbox_options o;
	struct annotation_map m;
	int r;

	annotation_map_init(&m);
	sandbox_options_init(&o);
	o.profile = PROFILE_HYPERV;
	o.strictness = COMPAT;
	o.log_level = level ? level : "";
	o.scrub_logs = tristate_of(options, "scrub_logs");
	o.processor_count = (uint32_t)json_object_get_uint64(
		member(options, "processor_count"));
	o.kernel_direct =
		json_object_get_boolean(member(options, "kernel_direct"));
	o.console = json_object_get_boolean(member(options, "console"));
	o.rootfs = text_of(options, "rootfs");
	o.forwarder = log_forwarder_find(text_of(options, "mode"));

	r = fill_map(&m, member(v, "annotations"), e);
	if (r == 0)
		r = sandbox_options_read(&o, &m, e);
	if (r == 0)
		r = cmdline_build(&o, line, CMDLINE_COMPAT_SIZE, e);
	sandbox_options_done(&o);
	annotation_map_done(&m);
	return r;
}

static json_object *run_golden(json_object *v)
{
	static char line[CMDLINE_COMPAT_SIZE];
	struct err e = { 0 };
	json_object *result;

	if (render(v, line, &e) < 0)
		return error_result(&e);
	result = json_object_new_object();
	(void)json_object_object_add(result, "args",
				     json_object_new_string(line));
	return result;
}

/* kernel_argv.jsonl: a command line to init's argv and envp. */
/* Bytes of the UTF-8 character at @p, 0: it is none. */
static size_t utf8_char(const unsigned char *p)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max;
		size_t len;
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = 2;

		if (p[0] < rows[i].first_min || p[0] > rows[i].first_max)
			continue;
		if (p[1] < rows[i].second_min || p[1] > rows[i].second_max)
			return 0;
		while (n < rows[i].len && (p[n] & 0xc0) == 0x80)
			n++;
		return n == rows[i].len ? n : 0;
	}
	return 0;
}

static bool is_utf8(const char *s)
{
	size_t n;

	for (; *s != '\0'; s += n) {
		n = utf8_char((const unsigned char *)s);
		if (n == 0)
			return false;
	}
	return true;
}

static json_object *strings(char *const *v, bool hex)
{
	json_object *list = json_object_new_array();

	for (; *v; v++) {
		static char buf[2 * CMDLINE_SIZE + 1];
		size_t n = 0;

		buf[0] = '\0';
		for (const char *p = *v; hex && *p != '\0'; p++, n += 2)
			(void)snprintf(buf + n, 3, "%02x", (unsigned char)*p);
		(void)json_object_array_add(
			list, json_object_new_string(hex ? buf : *v));
	}
	return list;
}

static bool all_utf8(char *const *v)
{
	for (; *v; v++)
		if (!is_utf8(*v))
			return false;
	return true;
}

static void add_strings(json_object *to, const char *name, char *const *v)
{
	const bool hex = !all_utf8(v);
	char full[16];

	(void)snprintf(full, sizeof(full), hex ? "%s_hex" : "%s", name);
	(void)json_object_object_add(to, full, strings(v, hex));
}

/* "append", or "append_hex" where the line itself is not UTF-8. */
static char *line_of(json_object *v)
{
	const char *hex = text_of(v, "append_hex");
	size_t n;
	char *line;

	if (!hex)
		return strdup(text_of(v, "append"));
	n = strlen(hex) / 2;
	line = calloc(n + 1, 1);
	for (size_t i = 0; line && i < n; i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		line[i] = (char)strtoul(pair, NULL, 16);
	}
	return line;
}

static json_object *run_argv(json_object *v)
{
	cleanup_free char *line = line_of(v);
	struct distribution d;
	struct err e = { 0 };
	json_object *result;

	if (distribute(line, true, &d, &e) < 0)
		return error_result(&e);
	result = json_object_new_object();
	add_strings(result, "argv", d.argv);
	add_strings(result, "envp", d.envp);
	return result;
}

/* parse.jsonl: one value of one kind. */
union any_value {
	bool boolean;
	enum tristate nullable;
	int32_t i32;
	uint32_t u32;
	uint64_t u64;
	struct u32_list u32s;
	struct u64_list u64s;
	const char *string;
	struct string_list strings;
};

static json_object *u32s_json(const struct u32_list *l)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < l->n; i++)
		(void)json_object_array_add(list,
					    json_object_new_int64(l->item[i]));
	return list;
}

static json_object *u64s_json(const struct u64_list *l)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < l->n; i++)
		(void)json_object_array_add(list, u64_text(l->item[i]));
	return list;
}

static json_object *strings_json(const struct string_list *l)
{
	json_object *list;

	if (!l->item)
		return NULL;
	list = json_object_new_array();
	for (size_t i = 0; i < l->n; i++)
		(void)json_object_array_add(list,
					    json_object_new_string(l->item[i]));
	return list;
}

static json_object *value_json(enum value_kind kind, const union any_value *v)
{
	switch (kind) {
	case VALUE_BOOL:
		return json_object_new_boolean(v->boolean);
	case VALUE_NULLABLE_BOOL:
		return json_object_new_boolean(v->nullable == TRI_TRUE);
	case VALUE_INT32:
		return json_object_new_int(v->i32);
	case VALUE_UINT32:
		return json_object_new_int64(v->u32);
	case VALUE_UINT64:
		return u64_text(v->u64);
	case VALUE_UINT32_LIST:
		return u32s_json(&v->u32s);
	case VALUE_UINT64_LIST:
		return u64s_json(&v->u64s);
	case VALUE_STRING:
	case VALUE_GUID:
		return json_object_new_string(v->string);
	case VALUE_STRING_LIST:
		return strings_json(&v->strings);
	case VALUE_KINDS:
		break;
	}
	return NULL;
}

static json_object *run_parse(json_object *v)
{
	const char *text = text_of(v, "value");
	json_object *result, *value;
	union any_value parsed;
	enum value_kind kind;
	struct arena a;
	struct err e;
	int r = -ENOENT;

	if (!value_kind_find(text_of(v, "kind"), &kind))
		return NULL;
	arena_init(&a, ANNOTATIONS_BYTES_MAX);
	if (text)
		r = value_parse(kind, text, &a, &parsed);
	if (r == -EINVAL && kind == VALUE_GUID) {
		(void)err_class(&e, ERR_GUID_INVALID, "not a GUID");
		arena_done(&a);
		return error_result(&e);
	}

	result = json_object_new_object();
	value = r == 0 ? value_json(kind, &parsed)
		       : json_object_get(member(v, "default"));
	(void)json_object_object_add(result, "value", value);
	(void)json_object_object_add(
		result, "warned",
		json_object_new_boolean(r == -EINVAL &&
					value_warns(kind, text)));
	arena_done(&a);
	return result;
}

/* expand.jsonl: a map in, the expanded map out. */
static json_object *run_expand(json_object *v)
{
	json_object *result, *map;
	struct err e = { 0 };
	struct annotation_map m;
	struct arena a;
	int r;

	annotation_map_init(&m);
	arena_init(&a, 0);
	r = fill_map(&m, member(v, "annotations"), &e);
	if (r == 0)
		r = annotations_expand(&m, false, NULL, &a, &e);
	if (r < 0) {
		result = error_result(&e);
	} else {
		result = json_object_new_object();
		map = json_object_new_object();
		for (size_t i = 0; i < m.n; i++)
			(void)json_object_object_add(
				map, m.item[i].key,
				json_object_new_string(m.item[i].value));
		(void)json_object_object_add(result, "annotations", map);
	}
	annotation_map_done(&m);
	return result;
}

/* sandbox.jsonl: the whole builder. */
static bool has_boot_file(void *ctx, const char *root UNUSED, const char *name)
{
	json_object *files = ctx;

	for (size_t i = 0; name && i < json_object_array_length(files); i++)
		if (strcmp(name,
			   json_object_get_string(
				   json_object_array_get_idx(files, i))) == 0)
			return true;
	return !name;
}

static int32_t number_of(json_object *o, const char *name)
{
	return json_object_get_int(member(o, name));
}

static void fill_devices(struct sandbox_device *to, json_object *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_object *device = json_object_array_get_idx(from, i);

		to[i].id = text_of(device, "id");
		to[i].type = text_of(device, "type");
	}
}

static json_object *sandbox_result(const struct annotation_map *m,
				   const struct runtime_options *r)
{
	static char line[CMDLINE_COMPAT_SIZE];
	struct sandbox_options o;
	struct err e = { 0 };
	json_object *result;
	int rc;

	sandbox_options_init(&o);
	rc = sandbox_options_build(&o, m, r, &e);
	if (rc == 0)
		rc = cmdline_build(&o, line, sizeof(line), &e);
	result = rc < 0 ? error_result(&e) : cmdline_json(&o, line);
	sandbox_options_done(&o);
	return result;
}

static json_object *run_sandbox(json_object *v)
{
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	json_object *options = member(v, "options");
	json_object *devices = member(options, "devices");
	struct sandbox_device list[DEVICES_MAX];
	struct annotation_map m, defaults;
	struct err e = { 0 };
	json_object *result;

	r.platform = text_of(options, "platform");
	r.log_level = text_of(options, "loglevel");
	r.scrub_logs = tristate_of(options, "scrub_logs");
	r.processor_count = number_of(options, "vm_processor_count");
	r.memory_mib = number_of(options, "vm_memory_size_mb");
	r.host_processors = (uint32_t)number_of(options, "host_processors");
	r.profile = PROFILE_HYPERV;
	r.strictness = COMPAT;
	r.boot_file = has_boot_file;
	r.boot_ctx = member(options, "boot_files");
	r.service_json = service_json;
	r.n_devices = devices ? json_object_array_length(devices) : 0;
	if (r.n_devices > DEVICES_MAX)
		return NULL;

	annotation_map_init(&m);
	annotation_map_init(&defaults);
	fill_devices(list, devices, r.n_devices);
	r.devices = list;
	r.defaults = &defaults;
	if (fill_map(&m, member(v, "annotations"), &e) < 0 ||
	    fill_map(&defaults, member(options, "default_annotations"), &e) < 0)
		result = error_result(&e);
	else
		result = sandbox_result(&m, &r);
	annotation_map_done(&m);
	annotation_map_done(&defaults);
	return result;
}

/* The result as JSON, or NULL for a line of no known format. */
static json_object *run_line(json_object *v)
{
	json_object *options = member(v, "options");

	if (has(v, "append") || has(v, "append_hex"))
		return run_argv(v);
	if (has(v, "kind") && has(v, "value"))
		return run_parse(v);
	if (!has(v, "annotations"))
		return NULL;
	if (!options)
		return run_expand(v);
	if (has(options, "boot_files"))
		return run_sandbox(v);
	if (has(options, "processor_count") && text_of(options, "rootfs") &&
	    text_of(options, "mode"))
		return run_golden(v);
	return NULL;
}

static const char *json_text(json_object *o)
{
	return json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static bool check_line(const char *file, size_t number, const char *line)
{
	json_object *v = json_tokener_parse(line);
	const char *name = v ? text_of(v, "name") : NULL;
	json_object *expect = v ? member(v, "expect") : NULL;
	json_object *actual = expect ? run_line(v) : NULL;
	bool good;

	/* Told for information, not to be compared. */
	if (json_object_is_type(expect, json_type_object))
		json_object_object_del(expect, "info_warned_keys");
	good = actual && json_object_equal(expect, actual);
	if (!actual)
		(void)printf("FAIL %s:%zu: a line of no known format\n", file,
			     number);
	else if (!good)
		(void)printf("FAIL %s:%zu: %s\nexpected: %s\nactual:   %s\n",
			     file, number, name ? name : "(no name)",
			     json_text(expect), json_text(actual));
	json_object_put(actual);
	json_object_put(v);
	return good;
}

static void run_file(const char *path, struct count *c)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0, number = 0;
	ssize_t n;

	if (!f) {
		(void)printf("FAIL %s: %s\n", path, strerror(errno));
		c->failed++;
		return;
	}
	while ((n = getline(&line, &size, f)) >= 0) {
		number++;
		if (n == 1 && line[0] == '\n')
			continue;
		if (check_line(path, number, line))
			c->passed++;
		else
			c->failed++;
	}
	if (ferror(f) || number == 0) {
		(void)printf("FAIL %s: no lines could be read\n", path);
		c->failed++;
	}
	free(line);
	(void)fclose(f); /* it was only read */
}

static void run_own(struct count *c)
{
	glob_t found;
	char path[256];

	if (glob(OWN_FOLDER "*.jsonl", 0, NULL, &found) != 0) {
		(void)printf("FAIL no files in " OWN_FOLDER "\n");
		c->failed++;
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		run_file(found.gl_pathv[i], c);
		(void)snprintf(path, sizeof(path), SHARED_FOLDER "%s",
			       found.gl_pathv[i] + strlen(OWN_FOLDER));
		if (access(path, R_OK) == 0)
			run_file(path, c);
	}
	globfree(&found);
}

int main(int argc, char **argv)
{
	struct count c = { 0 };

	if (argc < 2)
		run_own(&c);
	for (int i = 1; i < argc; i++)
		run_file(argv[i], &c);

	(void)printf("%lu passed, %lu failed\n", c.passed, c.failed);
	return c.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
