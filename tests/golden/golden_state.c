/*
 * tests/golden/golden_state.c - golden-state [FILE]...
 *
 * A file index.json lists vectors of saved states with the verdict of each; a
 * file *.bin is one of them, whose index.json lies beside it. A vector is
 * decoded and checked as an import on amd64 does. What is refused has to be
 * refused with the declared code and rule; what is accepted is encoded again,
 * and that has to decode to the same content, give the same bytes a second
 * time, and say what the vector's own JSON says, where it has one. A vector
 * with the member same_bytes was written by ferry and has to come back byte by
 * byte, from every later ferry that reads its version.
 *
 * Without arguments: the files of this checkout, and the shared ones where
 * they are present.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"
#include "migration/saved.h"
#include "migration/saved_json.h"
#include "migration/status.h"

#define FILE_MAX ((size_t)16 * 1024 * 1024)
#define PATH_SIZE 4096
#define JSON_MAX ((size_t)64 * 1024 * 1024)

static unsigned int passed, failed;

static bool read_file(const char *path, struct text *ret)
{
	char buf[65536];
	FILE *f = fopen(path, "rbe");
	size_t n;

	if (!f)
		return false;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		text_addn(ret, buf, n);
	n = (size_t)ferror(f);
	(void)fclose(f);
	return n == 0 && !ret->full;
}

static bool fail(const char *name, const char *what, const char *more)
{
	printf("FAIL %s: %s%s%s\n", name, what, more[0] ? ": " : "", more);
	return false;
}

static const char *string_of(json_object *o, const char *key)
{
	json_object *v = NULL;

	if (!json_object_object_get_ex(o, key, &v) || !v)
		return "";
	return json_object_get_string(v);
}

/* --- verdicts --- */

static bool rule_fits(json_object *c, const char *rule)
{
	json_object *also = NULL;
	size_t i;

	if (strcmp(string_of(c, "rule"), rule) == 0)
		return true;
	if (!json_object_object_get_ex(c, "also", &also) ||
	    !json_object_is_type(also, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(also); i++)
		if (strcmp(json_object_get_string(
				   json_object_array_get_idx(also, i)),
			   rule) == 0)
			return true;
	return false;
}

static bool check_refusal(const char *name, json_object *c, int r,
			  const struct saved_fault *fault, const struct err *e)
{
	char found[ERR_TEXT_MAX + 64];

	(void)snprintf(found, sizeof(found), "%s %s: %s",
		       status_name(status_of(r)), fault->rule, e->text);
	if (strcmp(string_of(c, "verdict"), "reject") != 0)
		return fail(name, "refused", found);
	if (strcmp(string_of(c, "code"), status_name(status_of(r))) != 0)
		return fail(name, "refused with another code", found);
	if (!rule_fits(c, fault->rule))
		return fail(name, "refused by another rule", found);
	return true;
}

/* --- content --- */

static int by_id(const void *a, const void *b)
{
	json_object *x = *(json_object *const *)a;
	json_object *y = *(json_object *const *)b;

	for (size_t i = 0; i < 2; i++) {
		const char *key = i == 0 ? "podId" : "containerId";
		const int r = strcmp(string_of(x, key), string_of(y, key));

		if (r != 0)
			return r;
	}
	return 0;
}

/* Pods and containers have no order of their own. */
static void sort_members(json_object *o)
{
	json_object *pods = NULL, *containers = NULL;

	if (!json_object_object_get_ex(o, "pods", &pods))
		return;
	for (size_t i = 0; i < json_object_array_length(pods); i++)
		if (json_object_object_get_ex(
			    json_object_array_get_idx(pods, i), "containers",
			    &containers))
			json_object_array_sort(containers, by_id);
	json_object_array_sort(pods, by_id);
}

static bool check_json(const char *name, const char *path, const char *mine)
{
	struct text theirs;
	json_object *a, *b;
	bool ok;

	text_heap(&theirs, JSON_MAX);
	if (!read_file(path, &theirs)) {
		text_done(&theirs);
		return fail(name, "cannot read", path);
	}
	a = json_tokener_parse(text_str(&theirs));
	b = json_tokener_parse(mine);
	ok = a && b;
	if (ok) {
		sort_members(a);
		sort_members(b);
		ok = json_object_equal(a, b) == 1;
	}
	if (!ok)
		(void)fail(name, "says something else than its JSON", mine);
	json_object_put(a);
	json_object_put(b);
	text_done(&theirs);
	return ok;
}

struct round {
	struct text bytes;
	struct text json;
};

static void round_done(struct round *r)
{
	text_done(&r->bytes);
	text_done(&r->json);
}

/* Decodes, and encodes and prints what came out. */
static int round_of(const void *data, size_t size, struct round *ret,
		    struct saved_fault *fault, struct err *e)
{
	struct saved s;
	struct arena a;
	int r;

	text_heap(&ret->bytes, FILE_MAX);
	text_heap(&ret->json, JSON_MAX);
	saved_arena_init(&a, size);
	r = saved_decode(data, size, "amd64", &a, &s, fault, e);
	if (r == 0) {
		r = saved_encode(&s, &ret->bytes, e);
		saved_json(&s, &ret->json);
	}
	arena_done(&a);
	return r;
}

static bool check_content(const char *name, const char *json_path,
			  const struct round *first)
{
	struct round second;
	struct saved_fault fault;
	struct err e = { 0 };
	bool ok = true;

	if (round_of(first->bytes.buf, first->bytes.len, &second, &fault, &e) <
	    0)
		ok = fail(name, "what was encoded is refused", e.text);
	else if (strcmp(text_str(&first->json), text_str(&second.json)) != 0)
		ok = fail(name, "encoded to other content",
			  text_str(&second.json));
	else if (first->bytes.len != second.bytes.len ||
		 memcmp(first->bytes.buf, second.bytes.buf, first->bytes.len) !=
			 0)
		ok = fail(name, "equal content, other bytes", "");
	else if (json_path)
		ok = check_json(name, json_path, text_str(&first->json));
	round_done(&second);
	return ok;
}

/* --- vectors --- */

static bool run_bytes(const char *name, const char *folder, json_object *c,
		      const struct text *data)
{
	const char *json = string_of(c, "json");
	char path[PATH_SIZE];
	struct saved_fault fault;
	struct err e = { 0 };
	struct round first;
	bool ok;
	int r = round_of(data->buf, data->len, &first, &fault, &e);

	(void)snprintf(path, sizeof(path), "%s/%s", folder, json);
	if (r < 0)
		ok = check_refusal(name, c, r, &fault, &e);
	else if (strcmp(string_of(c, "verdict"), "accept") != 0)
		ok = fail(name, "accepted, expected", string_of(c, "rule"));
	else
		ok = check_content(name, json[0] ? path : NULL, &first);
	if (ok && r == 0 && json_object_object_get_ex(c, "same_bytes", NULL) &&
	    (first.bytes.len != data->len ||
	     memcmp(first.bytes.buf, data->buf, data->len) != 0))
		ok = fail(name, "ferry wrote it, and now writes other bytes",
			  "");
	round_done(&first);
	return ok;
}

static void run_case(const char *folder, json_object *c)
{
	const char *name = string_of(c, "name");
	char path[PATH_SIZE];
	struct text data;
	bool ok;

	(void)snprintf(path, sizeof(path), "%s/%s", folder,
		       string_of(c, "bin"));
	text_heap(&data, FILE_MAX);
	if (!string_of(c, "verdict")[0] || !string_of(c, "bin")[0])
		ok = fail(name, "the index says too little", "");
	else if (!read_file(path, &data))
		ok = fail(name, "cannot read", path);
	else
		ok = run_bytes(name, folder, c, &data);
	text_done(&data);
	passed += ok;
	failed += !ok;
}

/* @only: base name of a vector, NULL: all */
static void run_index(const char *path, const char *folder, const char *only)
{
	json_object *index = json_object_from_file(path), *cases = NULL;
	bool found = false;

	if (!index || !json_object_object_get_ex(index, "cases", &cases) ||
	    !json_object_is_type(cases, json_type_array)) {
		failed++;
		(void)fail(path, "no index of vectors", "");
		json_object_put(index);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		json_object *c = json_object_array_get_idx(cases, i);

		if (only && strcmp(string_of(c, "bin"), only) != 0)
			continue;
		found = true;
		run_case(folder, c);
	}
	if (!found) {
		failed++;
		(void)fail(only ? only : path, "not in the index", "");
	}
	json_object_put(index);
}

static void run_path(const char *path)
{
	char folder[PATH_SIZE], base[PATH_SIZE], index[PATH_SIZE + 16];
	const size_t n = strlen(path);

	(void)snprintf(folder, sizeof(folder), "%s", path);
	(void)snprintf(base, sizeof(base), "%s", path);
	if (n >= 5 && strcmp(path + n - 5, ".json") == 0) {
		run_index(path, dirname(folder), NULL);
	} else if (n >= 4 && strcmp(path + n - 4, ".bin") == 0) {
		char *f = dirname(folder);

		(void)snprintf(index, sizeof(index), "%s/index.json", f);
		run_index(index, f, basename(base));
	} else {
		(void)snprintf(index, sizeof(index), "%s/index.json", path);
		run_index(index, path, NULL);
	}
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {
		"tests/golden/state/index.json",
		"../shared/vectors/state/index.json",
	};

	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	for (size_t i = 0; argc < 2 && i < ARRAY_LEN(usual); i++)
		if (access(usual[i], R_OK) == 0)
			run_path(usual[i]);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0 || passed == 0;
}
