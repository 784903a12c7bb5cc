#include "tools/annotations_file.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <json-c/json_visit.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/text.h"
#include "config/util.h"

#define READ_CHUNK 65536

static int add_pairs(struct json_object *o, struct annotation_map *m,
		     struct err *e)
{
	struct json_object_iterator it = json_object_iter_begin(o);
	const struct json_object_iterator end = json_object_iter_end(o);

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *key = json_object_iter_peek_name(&it);
		struct json_object *value = json_object_iter_peek_value(&it);
		int r;

		if (!json_object_is_type(value, json_type_string))
			return err_set(e, EINVAL,
				       "annotation %.200s is not a string",
				       key);
		if (strlen(json_object_get_string(value)) !=
		    (size_t)json_object_get_string_len(value))
			return err_set(e, EINVAL,
				       "annotation %.200s holds a NUL", key);
		r = annotation_map_set(m, key, json_object_get_string(value),
				       e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_document(struct json_object *o, struct annotation_map *m,
			struct err *e)
{
	struct json_object *inner = NULL;

	if (!json_object_is_type(o, json_type_object))
		return err_set(e, EINVAL, "not a JSON object");
	(void)json_object_object_get_ex(o, "annotations", &inner);
	if (json_object_is_type(inner, json_type_object))
		return add_pairs(inner, m, e);
	if (!json_object_object_get_ex(o, "ociVersion", NULL))
		return add_pairs(o, m, e);
	if (inner)
		return err_set(e, EINVAL, "\"annotations\" is not an object");
	return 0;
}

/* Members of all objects in a text that has been checked: its colons. */
static size_t count_written(const char *text, size_t len)
{
	bool inside = false;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (inside && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			inside = !inside;
		else if (!inside && text[i] == ':')
			n++;
	}
	return n;
}

static int count_one(json_object *o, int flags, json_object *parent UNUSED,
		     const char *key UNUSED, size_t *index UNUSED, void *n)
{
	if (!(flags & JSON_C_VISIT_SECOND) &&
	    json_object_is_type(o, json_type_object))
		*(size_t *)n += (size_t)json_object_object_length(o);
	return JSON_C_VISIT_RETURN_CONTINUE;
}

/* The reader keeps the last of equal names, so that fewer are left. */
static int check_names(json_object *o, const char *text, size_t len,
		       struct err *e)
{
	size_t kept = 0;

	(void)json_c_visit(o, 0, count_one,
			   &kept); /* the callback never fails */
	if (kept != count_written(text, len))
		return err_set(e, EINVAL,
			       "a name occurs twice in one JSON object");
	return 0;
}

int annotations_parse(const char *text, size_t len, struct annotation_map *m,
		      struct err *e)
{
	struct json_tokener *t;
	struct json_object *o;
	enum json_tokener_error why;
	int r;

	r = json_check(text, len, e);
	if (r < 0)
		return r;
	t = json_tokener_new_ex(ANNOTATIONS_JSON_DEPTH);
	if (!t)
		return err_set(e, ENOMEM, "JSON reader");
	/* json_check() was the stricter reader; this one builds the tree. */
	o = json_tokener_parse_ex(t, text, (int)len);
	why = json_tokener_get_error(t);
	json_tokener_free(t);
	if (why != json_tokener_success)
		r = err_set(e, EINVAL, "not a JSON object");
	else
		r = check_names(o, text, len, e);
	if (r == 0)
		r = add_document(o, m, e);
	json_object_put(o);
	return r;
}

static int read_all(int fd, struct text *t, struct err *e)
{
	char buf[READ_CHUNK];
	ssize_t n;

	while ((n = fd_read_full(fd, buf, sizeof(buf))) > 0)
		text_addn(t, buf, (size_t)n);
	if (n < 0)
		return err_set(e, (int)-n, "%s", strerror((int)-n));
	return t->full ? err_set(e, E2BIG, "too long") : 0;
}

int annotations_file_read(const char *path, struct annotation_map *m,
			  struct err *e)
{
	const bool standard = strcmp(path, "-") == 0;
	cleanup_fd fd = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	struct text t;
	int r;

	if (!standard && fd < 0)
		return err_sys(e, "%s", path);
	text_heap(&t, (size_t)ANNOTATIONS_BYTES_MAX);
	r = read_all(standard ? STDIN_FILENO : fd, &t, e);
	if (r == 0)
		r = annotations_parse(text_str(&t), t.len, m, e);
	text_done(&t);
	return r < 0 ? err_wrap(e, "%s", standard ? "standard input" : path)
		     : 0;
}

int annotations_argument(const char *word, struct annotation_map *m,
			 struct err *e)
{
	char key[ANNOTATION_KEY_MAX + 1];
	const char *equals = strchr(word, '=');
	const size_t len = equals ? (size_t)(equals - word) : 0;

	if (len == 0)
		return err_set(e, EINVAL, "'%.100s' is not KEY=VALUE", word);
	if (len >= sizeof(key))
		return err_set(e, EINVAL, "'%.100s...': the key is too long",
			       word);
	memcpy(key, word, len);
	key[len] = '\0';
	return annotation_map_set(m, key, equals + 1, e);
}
