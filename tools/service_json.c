#include "tools/service_json.h"

#include <json-c/json.h>
#include <string.h>
#include <strings.h>

#include "config/util.h"

#define DEPTH_MAX 16

static bool good_member(const char *name, json_object *value)
{
	static const struct {
		const char *name;
		json_type type;
	} members[] = {
		{ "BindSecurityDescriptor", json_type_string },
		{ "ConnectSecurityDescriptor", json_type_string },
		{ "AllowWildcardBinds", json_type_boolean },
		{ "Disabled", json_type_boolean },
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (strcasecmp(name, members[i].name) == 0)
			return !value ||
			       json_object_is_type(value, members[i].type);
	return true;
}

static bool good_object(json_object *o)
{
	struct json_object_iterator it = json_object_iter_begin(o);
	const struct json_object_iterator end = json_object_iter_end(o);

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
		if (!good_member(json_object_iter_peek_name(&it),
				 json_object_iter_peek_value(&it)))
			return false;
	return true;
}

bool service_json(const char *text)
{
	json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
	json_object *o;
	bool good;

	if (!t)
		return false;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT |
					  JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, text, (int)strlen(text) + 1);
	good = json_tokener_get_error(t) == json_tokener_success &&
	       (!o ||
		(json_object_is_type(o, json_type_object) && good_object(o)));
	json_object_put(o);
	json_tokener_free(t);
	return good;
}
