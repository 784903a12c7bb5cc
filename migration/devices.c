#include "migration/devices.h"

#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/lists.h"
#include "migration/status.h"

static const struct {
	const char *what;
	const char *why;
	enum device_stage last;
} kinds[DEVICE_KINDS] = {
	[DEVICE_VPCI] = { "assigned device",
			  "the guest drives hardware of this host",
			  DEVICE_ATTACHED },
	[DEVICE_PLAN9] = { "shared directory",
			   "its files are reached through this host",
			   DEVICE_MOUNTED },
};

static void device_done(struct device *x)
{
	size_t i;

	for (i = 0; i < x->n_holders; i++)
		free(x->holder[i]);
	free(x->holder);
	free(x->host);
	free(x->name);
	free(x->guest_path);
	*x = (struct device){ 0 };
}

void devices_done(struct devices *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		device_done(&d->device[i]);
	free(d->device);
	*d = (struct devices){ 0 };
}

struct device *devices_find(const struct devices *d, enum device_kind kind,
			    const char *id)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->device[i].kind == kind &&
		    strcasecmp(d->device[i].id, id) == 0)
			return &d->device[i];
	return NULL;
}

static int not_known(enum device_kind kind, const char *id, struct err *e)
{
	return err_set(e, ENOENT, "%s %s: nobody holds it", kinds[kind].what,
		       id);
}

static int check_spec(const struct device_spec *s, struct err *e)
{
	if (!names_guid_ok(s->id, strlen(s->id)))
		return err_set(e, EINVAL, "%s '%.40s': want a GUID",
			       kinds[s->kind].what, s->id);
	if (s->kind == DEVICE_VPCI)
		return names_check_id("PCI address", s->host, e);
	if (names_check_path("shared directory", s->host, e) < 0 ||
	    names_check_id("name of a share", s->name, e) < 0)
		return -e->code;
	return names_check_path("path of a share", s->guest_path, e);
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b ? b : "") == 0;
}

static bool is_like(const struct device *x, const struct device_spec *s)
{
	return same(x->host, s->host) && same(x->name, s->name) &&
	       same(x->guest_path, s->guest_path) &&
	       x->read_only == s->read_only;
}

static int add_holder(struct device *x, const char *container, struct err *e)
{
	char **grown = realloc(x->holder, (x->n_holders + 1) * sizeof(*grown));
	char *copy = NULL;
	size_t i;

	if (!grown)
		return err_set(e, ENOMEM, "device: no memory");
	x->holder = grown;
	if (names_copy(container, &copy, e) < 0)
		return -ENOMEM;
	for (i = x->n_holders; i > 0 && strcmp(grown[i - 1], copy) > 0; i--)
		grown[i] = grown[i - 1];
	grown[i] = copy;
	x->n_holders++;
	return 0;
}

static int compare(const struct device *a, const struct device *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->id, b->id);
}

static int make(struct devices *d, const struct device_spec *s,
		const char *container, struct err *e)
{
	struct device made = { .kind = s->kind, .read_only = s->read_only };
	struct device *grown;
	size_t i;

	if (d->n >= DEVICES_MAX)
		return err_set(e, EEXHAUSTED, "more than %u devices",
			       DEVICES_MAX);
	grown = realloc(d->device, (d->n + 1) * sizeof(*grown));
	if (!grown)
		return err_set(e, ENOMEM, "device: no memory");
	d->device = grown;
	names_guid_lower(s->id, made.id);
	if (names_copy(s->host, &made.host, e) < 0 ||
	    names_copy(s->name, &made.name, e) < 0 ||
	    names_copy(s->guest_path, &made.guest_path, e) < 0 ||
	    add_holder(&made, container, e) < 0) {
		device_done(&made);
		return -ENOMEM;
	}
	for (i = d->n; i > 0 && compare(&grown[i - 1], &made) > 0; i--)
		grown[i] = grown[i - 1];
	grown[i] = made;
	d->n++;
	return 0;
}

static size_t holder_at(const struct device *x, const char *container)
{
	size_t i = 0;

	while (i < x->n_holders && strcmp(x->holder[i], container) != 0)
		i++;
	return i;
}

int devices_hold(struct devices *d, const struct device_spec *spec,
		 const char *container, struct err *e)
{
	struct device *known;
	int r = check_spec(spec, e);

	if (r == 0)
		r = names_check_id("container id", container, e);
	if (r < 0)
		return r;
	known = devices_find(d, spec->kind, spec->id);
	if (!known)
		return make(d, spec, container, e);
	if (!is_like(known, spec))
		return err_set(e, EEXIST, "%s %s is known otherwise",
			       kinds[spec->kind].what, spec->id);
	if (holder_at(known, container) < known->n_holders)
		return err_set(e, EEXIST, "%s %s: container %s has it",
			       kinds[spec->kind].what, spec->id, container);
	return add_holder(known, container, e);
}

int devices_drop(struct devices *d, enum device_kind kind, const char *id,
		 const char *container, struct err *e)
{
	struct device *x = devices_find(d, kind, id);
	const size_t at = x ? holder_at(x, container) : 0;

	if (!x || at == x->n_holders)
		return not_known(kind, id, e);
	free(x->holder[at]);
	memmove(&x->holder[at], &x->holder[at + 1],
		(--x->n_holders - at) * sizeof(char *));
	if (x->n_holders > 0)
		return 0;
	device_done(x);
	memmove(x, x + 1,
		(size_t)(d->device + --d->n - x) * sizeof(struct device));
	return 0;
}

int devices_stage(struct devices *d, enum device_kind kind, const char *id,
		  enum device_stage stage, struct err *e)
{
	struct device *x = devices_find(d, kind, id);
	int step;

	if (!x)
		return not_known(kind, id, e);
	step = (int)stage - (int)x->stage;
	if (x->detached) /* on its way back to where it was */
		step = stage <= x->stage ? 1 : 2;
	if (step < -1 || step > 1 || stage > kinds[kind].last)
		return err_set(e, EPRECONDITION, "%s %s: not in this order",
			       kinds[kind].what, id);
	if (!x->detached || stage == x->stage) {
		x->stage = stage;
		x->detached = false;
	}
	return 0;
}

int devices_detached(struct devices *d, enum device_kind kind, const char *id,
		     struct err *e)
{
	struct device *x = devices_find(d, kind, id);

	if (!x)
		return not_known(kind, id, e);
	x->detached = true;
	return 0;
}

struct device *devices_waiting(const struct devices *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->device[i].detached &&
		    d->device[i].stage != DEVICE_RESERVED)
			return &d->device[i];
	return NULL;
}

int devices_check_save(const struct devices *d, struct err *e)
{
	if (d->n == 0)
		return 0;
	return err_set(e, EPRECONDITION, "%s %s (%s) cannot move: %s",
		       kinds[d->device[0].kind].what, d->device[0].id,
		       d->device[0].host, kinds[d->device[0].kind].why);
}

int devices_check_file(const struct devices *d, struct err *e)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (!d->device[i].detached &&
		    d->device[i].stage != DEVICE_RESERVED)
			return err_set(e, EPRECONDITION,
				       "%s %s (%s) has to be detached first",
				       kinds[d->device[i].kind].what,
				       d->device[i].id, d->device[i].host);
	return 0;
}
