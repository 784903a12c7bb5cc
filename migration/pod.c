#include "migration/pod.h"

#include <string.h>

#include "migration/container_life.h"
#include "migration/lists.h"
#include "migration/sandbox.h"
#include "migration/status.h"

void pod_ctl_insert(struct pod_ctl *p, struct container_ctl *c)
{
	struct container_ctl *before = NULL, *behind = p->containers;

	for (; behind && strcmp(behind->id, c->id) < 0; behind = behind->next)
		before = behind;
	c->next = behind;
	if (before)
		before->next = c;
	else
		p->containers = c;
	p->n_containers++;
}

void pod_ctl_remove(struct pod_ctl *p, struct container_ctl *c)
{
	struct container_ctl *before = NULL, *i = p->containers;

	for (; i && i != c; i = i->next)
		before = i;
	if (!i)
		return;
	if (before)
		before->next = c->next;
	else
		p->containers = c->next;
	p->n_containers--;
	if (p->resuming == c)
		p->resuming = NULL;
}

struct container_ctl *pod_ctl_container(const struct pod_ctl *p, const char *id)
{
	struct container_ctl *c;

	for (c = p->containers; c; c = c->next)
		if (strcmp(c->id, id) == 0)
			return c;
	return NULL;
}

struct container_ctl *pod_ctl_guest_container(const struct pod_ctl *p,
					      const char *gcs_id)
{
	struct container_ctl *c;

	for (c = p->containers; c; c = c->next)
		if (strcmp(c->gcs_id, gcs_id) == 0)
			return c;
	return NULL;
}

static int check_spec(const struct container_spec *spec, struct err *e)
{
	int r = names_check_id("container id", spec->id, e);

	if (r < 0)
		return r;
	if (!spec->document)
		return err_set(e, EINVAL, "container without a document");
	if (spec->n_layers > CONTAINER_LAYERS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u layers",
			       CONTAINER_LAYERS_MAX);
	if (spec->n_disks > CONTAINER_DISKS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u disks",
			       CONTAINER_DISKS_MAX);
	return names_check_path("bundle", spec->bundle, e);
}

/* Both ids are unique over all pods: that is what a destination demands. */
static bool id_taken(const struct sandbox_ctl *s, const char *id)
{
	const struct pod_ctl *p;

	for (p = s->pods; p; p = p->next)
		if (pod_ctl_container(p, id) || pod_ctl_guest_container(p, id))
			return true;
	return false;
}

static int check_place(const struct pod_ctl *p, const char *id, struct err *e)
{
	const struct container_ctl *pause = pod_ctl_container(p, p->id);

	if (p->migrating)
		return err_set(e, EPRECONDITION, "pod %s is migrating", p->id);
	if (id_taken(p->sandbox, id))
		return err_set(e, EEXIST, "container %s is there already", id);
	if (p->n_containers >= POD_CONTAINERS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u containers",
			       POD_CONTAINERS_MAX);
	if (strcmp(id, p->id) != 0 &&
	    (!pause || (pause->state != CONTAINER_CREATED &&
			pause->state != CONTAINER_RUNNING)))
		return err_set(e, EPRECONDITION,
			       "pod %s has no sandbox container", p->id);
	return vm_ctl_check(&p->sandbox->vm, VM_EV_USE, e);
}

int pod_ctl_container_new(struct pod_ctl *p, const struct container_spec *spec,
			  struct container_ctl **ret, struct op *op,
			  struct err *e)
{
	struct container_ctl *c;
	int r = check_spec(spec, e);

	if (r < 0)
		return r;
	r = check_place(p, spec->id, e);
	if (r < 0)
		return r;
	c = container_ctl_new(p, spec, e);
	if (!c)
		return err_code(e);
	pod_ctl_insert(p, c);
	*ret = c;
	return container_ctl_create(c, spec, op, e);
}
