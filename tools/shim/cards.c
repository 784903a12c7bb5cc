#include "tools/shim/cards.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

/* What an annotation may decode to. */
#define CARDS_BYTES_MAX ((size_t)1024 * 1024)
#define NAME_MAX_BYTES 24

/* The controllers copy endpoints, and do not write to them. */
static char *lent(const char *s)
{
	return (char *)(uintptr_t)s;
}

static int fill(struct cards *c, size_t i, const struct pod_adapter *a,
		struct err *e)
{
	char *name = arena_alloc(&c->arena, NAME_MAX_BYTES);

	if (!name)
		return err_set(e, ENOMEM, "no memory for adapters");
	(void)snprintf(name, NAME_MAX_BYTES, "eth%zu", i);
	c->endpoint[i] = (struct network_endpoint){
		.endpoint_id = lent(a->endpoint),
		.mac = lent(a->mac),
		.name = name,
		.settings = lent(a->settings ? a->settings : "{}"),
	};
	return 0;
}

int cards_read(const struct oci_facts *f, struct cards *ret, struct err *e)
{
	const char *text =
		annotation_map_get(&f->annotations, CARDS_ANNOTATION);
	struct pod_adapter *adapters = NULL;
	unsigned char seed[16];
	int r;

	*ret = (struct cards){ 0 };
	arena_init(&ret->arena, CARDS_BYTES_MAX);
	if (!text || f->kind == OCI_CONTAINER)
		return 0;
	r = pod_adapters_parse(text, &ret->arena, &adapters, &ret->n, e);
	for (size_t i = 0; i < ret->n && r == 0; i++)
		r = fill(ret, i, &adapters[i], e);
	if (r < 0)
		return err_wrap(e, CARDS_ANNOTATION);
	if (ret->n == 0)
		return 0;
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return err_sys(e, "random bytes");
	names_guid_make(seed, 0, ret->namespace_id);
	return 0;
}

void cards_done(struct cards *c)
{
	arena_done(&c->arena);
}

int cards_pod(const struct oci_facts *f, struct sandbox_ctl *s, const char *id,
	      struct pod_ctl **ret, struct err *e)
{
	struct cards c;
	int r = cards_read(f, &c, e);

	if (r == 0)
		r = sandbox_ctl_pod_new(s, id, c.namespace_id, ret, e);
	for (size_t i = 0; i < c.n && r == 0; i++)
		r = network_ctl_add(&(*ret)->network, &c.endpoint[i], e);
	cards_done(&c);
	return r;
}
