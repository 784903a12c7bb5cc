#include "bridge/guest/oci_doc.h"

#include <stdio.h>
#include <string.h>

#include "bridge/json_check.h"
#include "bridge/json_tree.h"
#include "config/value.h"

static const char *type_name(json_type type)
{
	switch (type) {
	case json_type_object:
		return "object";
	case json_type_array:
		return "array";
	case json_type_string:
		return "string";
	case json_type_boolean:
		return "true or false";
	case json_type_int:
		return "integer";
	case json_type_null:
	case json_type_double:
		break;
	}
	return "something else";
}

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "no memory for a document");
}

int doc_parse(const char *text, const char *what, json_object **ret,
	      struct err *e)
{
	const size_t len = strlen(text);
	json_tokener *t;
	json_object *v;

	if (len > OCI_TEXT_MAX)
		return err_set(e, EINVAL, "%s: over %zu bytes", what,
			       OCI_TEXT_MAX);
	if (json_check(text, len, e) < 0)
		return err_wrap(e, "%s", what);
	t = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!t)
		return no_memory(e);
	/* with its NUL, or a number at the end would be waited for */
	v = json_tokener_parse_ex(t, text, (int)len + 1);
	json_tokener_free(t);
	if (json_tree_lost()) {
		json_object_put(v);
		return no_memory(e);
	}
	if (!v)
		return err_set(e, EINVAL, "%s: not understood", what);
	if (!json_object_is_type(v, json_type_object)) {
		json_object_put(v);
		return err_set(e, EINVAL, "%s: want object", what);
	}
	*ret = v;
	return 0;
}

int doc_member(json_object *in, const char *at, const char *name,
	       json_type type, json_object **ret, struct err *e)
{
	json_object *v = NULL;

	(void)json_object_object_get_ex(in, name, &v);
	if (v && !json_object_is_type(v, type))
		return err_set(e, EINVAL, "%s.%s: want %s", at, name,
			       type_name(type));
	*ret = v;
	return 0;
}

int doc_need(json_object *in, const char *at, const char *name, json_type type,
	     json_object **ret, struct err *e)
{
	const int r = doc_member(in, at, name, type, ret, e);

	if (r == 0 && !*ret)
		return err_set(e, EINVAL, "%s.%s: missing", at, name);
	return r;
}

static int plain(json_object *v, const char *at, const char *name,
		 const char **ret, struct err *e)
{
	const char *s = json_object_get_string(v);

	if (strlen(s) != (size_t)json_object_get_string_len(v))
		return err_set(e, EINVAL, "%s.%s: a NUL in a string", at, name);
	*ret = s;
	return 0;
}

int doc_string(json_object *in, const char *at, const char *name,
	       const char **ret, struct err *e)
{
	json_object *v;
	const int r = doc_member(in, at, name, json_type_string, &v, e);

	if (r < 0)
		return r;
	if (v)
		return plain(v, at, name, ret, e);
	*ret = "";
	return 0;
}

int doc_bool(json_object *in, const char *at, const char *name, bool *ret,
	     struct err *e)
{
	json_object *v;
	const int r = doc_member(in, at, name, json_type_boolean, &v, e);

	if (r == 0)
		*ret = v && json_object_get_boolean(v);
	return r;
}

int doc_element(json_object *array, const char *at, size_t i, json_type type,
		char place[DOC_PLACE_MAX], json_object **ret, struct err *e)
{
	json_object *v = json_object_array_get_idx(array, i);

	(void)snprintf(place, DOC_PLACE_MAX, "%s[%zu]", at, i);
	if (!v || !json_object_is_type(v, type))
		return err_set(e, EINVAL, "%s: want %s", place,
			       type_name(type));
	*ret = v;
	return 0;
}

int doc_set(json_object *in, const char *name, json_object *v, struct err *e)
{
	if (v && json_object_object_add(in, name, v) == 0)
		return 0;
	json_object_put(v);
	return no_memory(e);
}

int doc_append(json_object *array, json_object *v, struct err *e)
{
	if (v && json_object_array_add(array, v) == 0)
		return 0;
	json_object_put(v);
	return no_memory(e);
}

int doc_make(json_object *in, const char *at, const char *name, json_type type,
	     json_object **ret, struct err *e)
{
	int r = doc_member(in, at, name, type, ret, e);

	if (r < 0 || *ret)
		return r;
	*ret = type == json_type_array ? json_object_new_array()
				       : json_object_new_object();
	return doc_set(in, name, *ret, e);
}

json_object *doc_strings(const char *const *item)
{
	json_object *array = json_object_new_array();

	for (; array && *item; item++) {
		if (doc_append(array, json_object_new_string(*item), NULL) <
		    0) {
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

int doc_text(json_object *v, struct text *out, struct err *e)
{
	size_t len;
	const char *s = json_object_to_json_string_length(
		v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
		&len);

	if (!s || json_tree_lost())
		return no_memory(e);
	if (len > OCI_TEXT_MAX)
		return err_set(e, EFBIG, "document: over %zu bytes",
			       OCI_TEXT_MAX);
	text_addn(out, s, len);
	return out->full ? no_memory(e) : 0;
}

int doc_annotation(json_object *doc, const char *key, const char **ret,
		   struct err *e)
{
	json_object *all;
	const int r =
		doc_member(doc, "$", "annotations", json_type_object, &all, e);

	*ret = "";
	if (r < 0 || !all)
		return r;
	return doc_string(all, "$.annotations", key, ret, e);
}

int doc_flag(json_object *doc, const char *key, bool deflt, bool *ret,
	     struct err *e)
{
	const char *text;
	const int r = doc_annotation(doc, key, &text, e);

	if (r < 0)
		return r;
	*ret = deflt;
	if (*text != '\0' && value_parse(VALUE_BOOL, text, NULL, ret) < 0)
		return err_set(e, EINVAL,
			       "$.annotations.%s: '%.32s' is no boolean", key,
			       text);
	return 0;
}
