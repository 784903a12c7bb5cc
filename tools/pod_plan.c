#include "tools/pod_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bridge/msg.h"
#include "config/util.h"
#include "tools/image_file.h"

/* What a file's text may decode to. */
#define PLAN_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* The file as it stands. */
struct pod_file {
	const char *network;
	struct pod_adapter *adapter;
	size_t n_adapters;
	struct pod_container *container;
	size_t n;
};

#define OPT SCHEMA_OPTIONAL
#define T struct pod_container
static const struct schema_member container_members[] = {
	SCHEMA_STRING(T, name, "name", SCHEMA_REQUIRED),
	SCHEMA_STRING(T, bundle, "bundle", SCHEMA_REQUIRED),
	SCHEMA_STRINGS(T, args, "args", OPT),
	SCHEMA_PAIRS(T, env, "env", OPT),
	SCHEMA_STRING(T, cwd, "cwd", OPT),
	SCHEMA_STRING(T, output, "output", OPT),
	SCHEMA_BOOL(T, main, "main", OPT),
	SCHEMA_U32(T, scratch_mib, "scratch_mib", OPT),
};
static const struct schema container_schema = SCHEMA(T, container_members);
#undef T

static const struct schema_member adapter_members[] = {
	SCHEMA_STRING(struct pod_adapter, endpoint, "endpoint",
		      SCHEMA_REQUIRED),
	SCHEMA_STRING(struct pod_adapter, mac, "mac", SCHEMA_REQUIRED),
	SCHEMA_RAW(struct pod_adapter, settings, "settings", OPT),
};
static const struct schema adapter_schema =
	SCHEMA(struct pod_adapter, adapter_members);

static const struct schema_member file_members[] = {
	SCHEMA_STRING(struct pod_file, network, "network", OPT),
	SCHEMA_ARRAY(struct pod_adapter, struct pod_file, adapter, n_adapters,
		     "adapters", OPT, adapter_schema),
	SCHEMA_ARRAY(struct pod_container, struct pod_file, container, n,
		     "containers", SCHEMA_REQUIRED, container_schema),
};
static const struct schema file_schema = SCHEMA(struct pod_file, file_members);

int pod_network_parse(const char *text, enum pod_network *ret, struct err *e)
{
	if (strcmp(text, "none") == 0 || !*text)
		*ret = POD_NETWORK_NONE;
	else if (strcmp(text, "user") == 0)
		*ret = POD_NETWORK_USER;
	else
		return err_set(e, EINVAL, "network '%.40s' is not none or user",
			       text);
	return 0;
}

int pod_adapters_parse(const char *text, struct arena *a,
		       struct pod_adapter **ret, size_t *ret_n, struct err *e)
{
	static const struct schema_member members[] = {
		SCHEMA_ARRAY(struct pod_adapter, struct pod_file, adapter,
			     n_adapters, "adapters", SCHEMA_REQUIRED,
			     adapter_schema),
	};
	static const struct schema schema = SCHEMA(struct pod_file, members);
	const size_t size = strlen(text) + sizeof("{\"adapters\":}");
	char *whole = arena_alloc(a, size);
	struct pod_file f = { 0 };
	int r;

	if (!whole)
		return err_set(e, ENOMEM, "no memory for adapters");
	(void)snprintf(whole, size, "{\"adapters\":%s}", text);
	r = msg_decode(&schema, whole, strlen(whole), a, &f, e);
	if (r < 0)
		return r;
	if (f.n_adapters > POD_ADAPTERS_MAX)
		return err_set(e, EINVAL, "adapters: want %u at most",
			       POD_ADAPTERS_MAX);
	*ret = f.adapter;
	*ret_n = f.n_adapters;
	return 0;
}

static bool name_ok(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	const size_t n = strlen(name);

	return n > 0 && n <= POD_NAME_MAX && strspn(name, letters) == n &&
	       name[0] != '.';
}

static int check(const struct pod_plan *p, struct err *e)
{
	size_t mains = 0;

	if (p->n == 0 || p->n > POD_PLAN_CONTAINERS_MAX)
		return err_set(e, EINVAL, "containers: want 1 to %u",
			       POD_PLAN_CONTAINERS_MAX);
	for (size_t i = 0; i < p->n; i++) {
		const struct pod_container *c = &p->container[i];

		if (!name_ok(c->name))
			return err_set(
				e, EINVAL,
				"containers[%zu].name: 1 to %u letters, digits, '-', '_', '.'",
				i, POD_NAME_MAX);
		if (!*c->bundle)
			return err_set(e, EINVAL,
				       "containers[%zu].bundle: empty", i);
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->container[k].name, c->name) == 0)
				return err_set(e, EINVAL,
					       "containers[%zu].name: %s twice",
					       i, c->name);
		mains += c->main;
	}
	if (mains > 1)
		return err_set(e, EINVAL, "containers: more than one is main");
	return 0;
}

/* @path from the folder of @file. */
static int locate(struct pod_plan *p, const char *file, const char **path,
		  struct err *e)
{
	const char *slash = strrchr(file, '/');
	const size_t dir = slash ? (size_t)(slash - file) + 1 : 0;
	const size_t size = dir + strlen(*path) + 1;
	char *joined;

	if (**path == '/' || **path == '\0' || dir == 0)
		return 0;
	joined = arena_alloc(&p->arena, size);
	if (!joined)
		return err_set(e, ENOMEM, "pod");
	(void)snprintf(joined, size, "%.*s%s", (int)dir, file, *path);
	*path = joined;
	return 0;
}

static int take_network(struct pod_plan *p, const struct pod_file *f,
			struct err *e)
{
	if (f->n_adapters == 0)
		return pod_network_parse(f->network, &p->network, e);
	if (*f->network)
		return err_set(e, EINVAL, "network or adapters, not both");
	if (f->n_adapters > POD_ADAPTERS_MAX)
		return err_set(e, EINVAL, "adapters: want 1 to %u",
			       POD_ADAPTERS_MAX);
	p->network = POD_NETWORK_ADAPTERS;
	p->adapter = f->adapter;
	p->n_adapters = f->n_adapters;
	return 0;
}

static int decode(struct pod_plan *p, const char *file, const char *text,
		  size_t len, struct err *e)
{
	struct pod_file f = { 0 };
	int r = msg_decode(&file_schema, text, len, &p->arena, &f, e);

	if (r == 0)
		r = take_network(p, &f, e);
	p->container = f.container;
	p->n = f.n;
	if (r == 0)
		r = check(p, e);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		r = locate(p, file, &p->container[i].bundle, e);
		if (r == 0)
			r = locate(p, file, &p->container[i].output, e);
	}
	return r;
}

int pod_plan_read(const char *file, struct pod_plan *p, struct err *e)
{
	cleanup_free void *text = NULL;
	size_t len;
	int r;

	*p = (struct pod_plan){ .shared = true };
	arena_init(&p->arena, PLAN_BYTES_MAX);
	r = image_file_read(file, POD_FILE_MAX, &text, &len, e);
	if (r < 0)
		return r;
	r = decode(p, file, text, len, e);
	return r < 0 ? err_wrap(e, "%s", file) : 0;
}

int pod_plan_one(const struct pod_container *c, enum pod_network network,
		 struct pod_plan *p, struct err *e)
{
	*p = (struct pod_plan){ .network = network };
	arena_init(&p->arena, PLAN_BYTES_MAX);
	p->container = arena_array(&p->arena, 1, sizeof(*p->container));
	if (!p->container)
		return err_set(e, ENOMEM, "container");
	p->container[0] = *c;
	p->container[0].main = true;
	p->n = 1;
	return check(p, e);
}

void pod_plan_done(struct pod_plan *p)
{
	arena_done(&p->arena);
}
