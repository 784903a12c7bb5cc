/*
 * Theory of operation: Create, then Start, are one operation of the
 * controllers. The bridge tracks the container until it ends; who asks for the
 * exit is its init process (ops_process.c), so the notice of the end only
 * forgets it.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/calls.h"
#include "bridge/host/container.h"
#include "bridge/hresult.h"
#include "config/num.h"
#include "config/util.h"
#include "tools/ops_own.h"

/* A mount of the document with this source, and a number, is a disk. */
#define DISK_SOURCE "disk://"

/* --- the table --------------------------------------------------------------------- */

static struct ops_container *find(const struct ops *o, const char *id)
{
	struct ops_container *c = o->containers;

	while (c && strcmp(c->id, id) != 0)
		c = c->next;
	return c;
}

static void forget(struct ops_container *c)
{
	struct ops_container **at = &c->ops->containers;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->starting)
		host_client_cancel(c->ops->client, c->start);
	host_container_free(c->container);
	free(c);
}

static int add(struct ops *o, const char *id, struct ops_container **ret,
	       struct err *e)
{
	const size_t n = strlen(id) + 1;
	struct ops_container *c;

	if (find(o, id))
		return err_set(e, EEXIST, "container %s is there already", id);
	c = calloc(1, sizeof(*c) + n);
	if (!c)
		return err_set(e, ENOMEM, "no memory for a container");
	memcpy(c->id, id, n);
	c->ops = o;
	c->next = o->containers;
	o->containers = c;
	*ret = c;
	return 0;
}

void ops_containers_done(struct ops *o, const struct err *why)
{
	while (o->containers) {
		struct op *op = o->containers->op;

		forget(o->containers);
		if (op)
			op_end(op, -why->code, why);
	}
}

/* --- the document ------------------------------------------------------------------- */

static int put_disk(struct json_object *mount, const struct guest_container *c,
		    struct err *e)
{
	struct json_object *source = NULL;
	const char *text;
	uint32_t n = 0;

	if (!json_object_object_get_ex(mount, "source", &source))
		return 0;
	text = json_object_get_string(source);
	if (!text || strncmp(text, DISK_SOURCE, strlen(DISK_SOURCE)) != 0)
		return 0;
	if (num_u32(text + strlen(DISK_SOURCE), 0, UINT32_MAX, &n, e) < 0 ||
	    n >= c->n_disks)
		return err_set(e, EINVAL, "mount of %.60s: there is no such",
			       text);
	(void)json_object_object_add(mount, "source",
				     json_object_new_string(c->disks[n]));
	(void)json_object_object_add(mount, "type",
				     json_object_new_string("bind"));
	return 0;
}

/* The document with the places of its disks; NULL with @e: none can be made. */
static char *with_disks(const struct guest_container *c, struct err *e)
{
	struct json_object *root = json_tokener_parse(c->document);
	struct json_object *mounts = NULL;
	char *text = NULL;
	int r = 0;
	size_t n = 0;

	if (json_object_is_type(root, json_type_object) &&
	    json_object_object_get_ex(root, "mounts", &mounts) &&
	    json_object_is_type(mounts, json_type_array))
		n = json_object_array_length(mounts);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_disk(json_object_array_get_idx(mounts, i), c, e);
	if (r == 0)
		text = strdup(json_object_to_json_string_ext(
			root, JSON_C_TO_STRING_PLAIN));
	if (r == 0 && !text)
		(void)err_set(e, ENOMEM, "no memory for a container");
	json_object_put(root);
	return text;
}

/* --- creation ------------------------------------------------------------------------ */

static void on_ended(void *ctx, enum host_container_how how UNUSED,
		     const struct err *why UNUSED)
{
	struct ops_container *c = ctx;

	if (!c->op)
		forget(c);
}

static void over(struct ops_container *c, const struct host_failure *f)
{
	struct op *op = c->op;
	const struct ops *o = c->ops;
	struct err e;
	int r = 0;

	c->op = NULL;
	if (f)
		r = ops_fail(o, f, &e);
	if (f || !host_container_live(c->container))
		forget(c);
	op_end(op, r, r < 0 ? &e : NULL);
}

static void on_started(void *ctx, const void *result UNUSED,
		       const struct host_failure *f)
{
	((struct ops_container *)ctx)->starting = false;
	over(ctx, f);
}

static void on_created(void *ctx, const void *result UNUSED,
		       const struct host_failure *f)
{
	struct ops_container *c = ctx;
	const struct host_done done = { .fn = on_started, .ctx = c };
	struct host_failure local = { .kind = HOST_FAIL_LOCAL };
	struct host_client *client;

	if (f) {
		over(c, f);
		return;
	}
	client = ops_client(c->ops, &local.err);
	if (!client || host_start(client, c->id, &done, NULL, &local.err) < 0)
		over(c, &local);
}

static int create(struct ops *o, const struct guest_container *spec,
		  const char *document, struct op *op, struct err *e)
{
	const struct msg_container_config config = {
		.oci_bundle_path = spec->bundle,
		.oci_specification = document,
		.scratch_dir_path = spec->scratch,
		.system_type = "",
	};
	struct ops_container *c = NULL;
	int r = add(o, spec->id, &c, e);

	if (r < 0)
		return r;
	c->op = op;
	r = host_container_create(
		o->client, spec->id, &config,
		&(struct host_done){ .fn = on_created, .ctx = c }, on_ended, c,
		&c->container, e);
	if (r < 0)
		forget(c);
	return r;
}

int ops_container_create(void *ctx, const struct guest_container *spec,
			 struct op *op, struct err *e)
{
	struct ops *o = ctx;
	char *document;
	int r;

	if (!ops_client(o, e))
		return -e->code;
	if (spec->n_disks == 0)
		return create(o, spec, spec->document, op, e);
	document = with_disks(spec, e);
	if (!document)
		return -e->code;
	r = create(o, spec, document, op, e);
	free(document);
	return r;
}

int ops_container_open(void *ctx, const char *id, struct op *op, struct err *e)
{
	struct ops *o = ctx;
	struct host_client *client = ops_client(o, e);
	struct ops_container *c = NULL;
	int r;

	if (!client)
		return -e->code;
	if (find(o, id)) { /* known already: the source of a move */
		op_end(op, 0, NULL);
		return 0;
	}
	r = add(o, id, &c, e);
	if (r == 0)
		r = host_container_open(client, id, on_ended, c, &c->container,
					e);
	if (r < 0 && c)
		forget(c);
	if (r == 0)
		op_end(op, 0, NULL);
	return r;
}

/* --- deletion -------------------------------------------------------------------------- */

static void on_deleted(void *ctx, const void *result UNUSED,
		       const struct host_failure *f)
{
	struct op *op = ctx;
	struct err e;
	int r = 0;

	if (f && !(f->kind == HOST_FAIL_REFUSED &&
		   f->hresult == HR_SYSTEM_NOT_FOUND))
		r = ops_fail(op->impl, f, &e);
	op_end(op, r, r < 0 ? &e : NULL);
}

int ops_container_delete(void *ctx, const char *id, struct op *op,
			 struct err *e)
{
	struct ops *o = ctx;
	const struct host_done done = { .fn = on_deleted, .ctx = op };
	struct host_client *client = ops_client(o, e);
	struct ops_container *c = find(o, id);

	if (!client)
		return -e->code;
	if (c && c->op)
		return err_set(e, EBUSY, "container %s is being created", id);
	if (c)
		forget(c);
	op->impl = o;
	return host_delete_container_state(client, id, &done, NULL, e);
}
