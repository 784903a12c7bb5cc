#include "migration/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/lists.h"
#include "migration/status.h"

static const struct {
	const char *what;
	const char *why;
} kinds[DEVICE_KINDS] = {
	[DEVICE_VPCI] = { "assigned device",
			  "the guest drives hardware of this host" },
	[DEVICE_PLAN9] = { "shared directory",
			   "its files are reached through this host" },
};

void devices_done(struct devices *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		free(d->device[i].host);
	free(d->device);
	*d = (struct devices){ 0 };
}

static struct device *find(const struct devices *d, enum device_kind kind,
			   const char *id)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->device[i].kind == kind &&
		    strcasecmp(d->device[i].id, id) == 0)
			return &d->device[i];
	return NULL;
}

int devices_hold(struct devices *d, enum device_kind kind, const char *id,
		 const char *host, struct err *e)
{
	struct device *known = find(d, kind, id), *grown;
	char *copy = NULL;

	if (known) {
		known->holders++;
		return 0;
	}
	if (!id[0] || strlen(id) >= NAMES_GUID_SIZE)
		return err_set(e, EINVAL, "%s: bad id", kinds[kind].what);
	if (d->n >= DEVICES_MAX)
		return err_set(e, EEXHAUSTED, "more than %u devices",
			       DEVICES_MAX);
	grown = realloc(d->device, (d->n + 1) * sizeof(*grown));
	if (!grown)
		return err_set(e, ENOMEM, "device: no memory");
	d->device = grown;
	if (names_copy(host, &copy, e) < 0)
		return -ENOMEM;
	grown[d->n] =
		(struct device){ .kind = kind, .host = copy, .holders = 1 };
	(void)snprintf(grown[d->n].id, sizeof(grown[d->n].id), "%s", id);
	d->n++;
	return 0;
}

int devices_drop(struct devices *d, enum device_kind kind, const char *id,
		 struct err *e)
{
	struct device *known = find(d, kind, id);

	if (!known)
		return err_set(e, ENOENT, "%s %s: nobody holds it",
			       kinds[kind].what, id);
	if (--known->holders > 0)
		return 0;
	free(known->host);
	*known = d->device[--d->n];
	return 0;
}

int devices_check_save(const struct devices *d, struct err *e)
{
	if (d->n == 0)
		return 0;
	return err_set(e, EPRECONDITION, "%s %s (%s) cannot move: %s",
		       kinds[d->device[0].kind].what, d->device[0].id,
		       d->device[0].host, kinds[d->device[0].kind].why);
}
