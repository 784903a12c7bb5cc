#include "bridge/json_tree.h"

#include <json-c/json.h>
#include <json-c/printbuf.h>

static bool lost;

int json_tree_add(json_object *in, const char *name, json_object *v)
{
	if (name) {
		json_object_object_del(in, name);
		if (json_object_object_add(in, name, v) == 0)
			return 0;
	}
	json_object_put(v);
	lost = true;
	return -1;
}

int json_tree_append(struct printbuf *p, const char *text, int n)
{
	const int r = printbuf_memappend(p, text, n);

	if (r < 0)
		lost = true;
	return r;
}

bool json_tree_lost(void)
{
	const bool r = lost;

	lost = false;
	return r;
}
