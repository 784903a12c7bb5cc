/*
 * The two chains of a container: create, and release, which is both the way
 * back from a failed create and the work of delete.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/container_life.h"
#include "migration/lists.h"
#include "migration/sandbox.h"
#include "migration/status.h"

/* All reservations in the order of release: scratch, layers, disks. */
static size_t n_held(const struct container_ctl *c)
{
	return 1 + c->n_layers + c->n_disks;
}

static struct container_layer *held(struct container_ctl *c, size_t i)
{
	if (i == 0)
		return &c->scratch;
	if (i <= c->n_layers)
		return &c->layers[i - 1];
	return &c->disks[i - 1 - c->n_layers];
}

/* The next one that is really there, from c->at; NULL: none is left. */
static struct container_layer *next_held(struct container_ctl *c)
{
	while (c->at < n_held(c) && !held(c, c->at)->reservation[0])
		c->at++;
	return c->at < n_held(c) ? held(c, c->at) : NULL;
}

static struct scsi_ctl *scsi(const struct container_ctl *c)
{
	return &c->pod->sandbox->vm.scsi;
}

static bool vm_gone(const struct container_ctl *c)
{
	return scsi(c)->vm_gone;
}

static bool released(const struct container_ctl *c, int result)
{
	return result == 0 || result == -ESHUTDOWN || vm_gone(c);
}

/* --- create --- */

static int go_network(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	int r;

	if (!container_ctl_is_sandbox(c) || !c->pod->network.namespace_id[0])
		return SEQ_NEXT;
	c->network = true;
	r = network_ctl_configure(&c->pod->network, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int go_map(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	struct container_layer *layer = next_held(c);
	int r;

	if (!layer)
		return SEQ_NEXT;
	r = scsi_ctl_map(scsi(c), layer->reservation, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_map(void *obj, int result, const struct op *op UNUSED)
{
	struct container_ctl *c = obj;

	c->at++;
	return result < 0 ? result : SEQ_AGAIN;
}

static void layer_words(const struct container_ctl *c,
			const char *paths[CONTAINER_LAYERS_MAX],
			struct guest_layers *ret)
{
	size_t i;

	for (i = 0; i < c->n_layers; i++)
		paths[i] = c->layers[i].guest_path;
	*ret = (struct guest_layers){
		.container_id = c->gcs_id,
		.rootfs = c->rootfs,
		.scratch = c->has_scratch ? c->scratch.guest_path : "",
		.layers = paths,
		.n_layers = c->n_layers,
	};
}

static int go_combine(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	const struct seams *s = container_ctl_seams(c);
	const char *paths[CONTAINER_LAYERS_MAX];
	struct guest_layers words;
	int r;

	if (c->n_layers == 0)
		return SEQ_NEXT;
	layer_words(c, paths, &words);
	c->combined = true;
	r = s->guest->layers_combine(s->guest_ctx, &words, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int go_create(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	const struct seams *s = container_ctl_seams(c);
	const char *disks[CONTAINER_DISKS_MAX];
	const struct guest_container words = {
		.id = c->gcs_id,
		.bundle = c->guest_bundle,
		.scratch = c->has_scratch ? c->scratch.guest_path : "",
		.document = c->document,
		.disks = disks,
		.n_disks = c->n_disks,
	};
	size_t i;
	int r;

	for (i = 0; i < c->n_disks; i++)
		disks[i] = c->disks[i].guest_path;
	c->in_guest = true;
	r = s->guest->container_create(s->guest_ctx, &words, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static const struct seq_step create_steps[] = {
	{ "network", go_network, NULL, false },
	{ "map disks", go_map, landed_map, false },
	{ "combine layers", go_combine, NULL, false },
	{ "create in the guest", go_create, NULL, false },
};

/* --- release --- */

static int go_uncombine(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	const struct seams *s = container_ctl_seams(c);
	const char *paths[CONTAINER_LAYERS_MAX];
	struct guest_layers words;
	int r;

	c->at = 0; /* of the unmapping, two steps on */
	if (!c->combined)
		return SEQ_NEXT;
	if (vm_gone(c))
		return -ESHUTDOWN;
	layer_words(c, paths, &words);
	r = s->guest->layers_remove(s->guest_ctx, &words, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_uncombine(void *obj, int result, const struct op *op UNUSED)
{
	struct container_ctl *c = obj;

	if (!released(c, result))
		return result;
	c->combined = false;
	return SEQ_NEXT;
}

static int go_forget(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	const struct seams *s = container_ctl_seams(c);
	int r;

	if (!c->in_guest)
		return SEQ_NEXT;
	if (vm_gone(c))
		return -ESHUTDOWN;
	r = s->guest->container_delete(s->guest_ctx, c->gcs_id, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_forget(void *obj, int result, const struct op *op UNUSED)
{
	struct container_ctl *c = obj;

	if (!released(c, result))
		return result;
	c->in_guest = false;
	return SEQ_NEXT;
}

static int go_unmap(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	struct container_layer *layer = next_held(c);
	int r;

	/* A file system that is in use would be left without its disk. */
	if (!layer || (c->combined && !vm_gone(c)))
		return SEQ_NEXT;
	r = scsi_ctl_unmap(scsi(c), layer->reservation, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_unmap(void *obj, int result, const struct op *op UNUSED)
{
	struct container_ctl *c = obj;
	struct container_layer *layer = held(c, c->at++);

	if (result < 0 && result != -ENOENT)
		return result; /* kept: delete can be repeated */
	layer->reservation[0] = '\0';
	return SEQ_AGAIN;
}

static int go_unnetwork(void *obj, struct op *op, struct err *e)
{
	struct container_ctl *c = obj;
	int r;

	if (!c->network)
		return SEQ_NEXT;
	r = network_ctl_teardown(&c->pod->network, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_unnetwork(void *obj, int result, const struct op *op UNUSED)
{
	struct container_ctl *c = obj;

	if (result < 0)
		return result;
	c->network = false;
	return SEQ_NEXT;
}

static const struct seq_step release_steps[] = {
	{ "remove combined layers", go_uncombine, landed_uncombine, false },
	{ "delete in the guest", go_forget, landed_forget, false },
	{ "unmap disks", go_unmap, landed_unmap, true },
	{ "network", go_unnetwork, landed_unnetwork, false },
};

/* --- the ends --- */

static void uncreated(void *obj, int result, const struct err *e)
{
	struct container_ctl *c = obj;
	const struct err why = c->create_err;
	const int failed = c->create_result;
	struct op *op = c->op;

	c->op = NULL;
	if (result < 0) {
		err_append(&c->create_err, "and then");
		err_append(&c->create_err, e->text);
		c->state = CONTAINER_INVALID;
		op_end(op, failed, &c->create_err);
		return;
	}
	container_ctl_free(c);
	op_end(op, failed, &why);
}

static void created(void *obj, int result, const struct err *e)
{
	struct container_ctl *c = obj;
	const struct seams *s = container_ctl_seams(c);
	struct task_event event;
	struct op *op = c->op;

	if (result == 0 && vm_gone(c))
		result = err_set(&c->create_err, ESHUTDOWN,
				 "the VM ended meanwhile");
	else if (result < 0)
		c->create_err = *e;
	if (result < 0) {
		c->create_result = result;
		seq_start(&c->seq, release_steps, ARRAY_LEN(release_steps),
			  true, c, uncreated);
		return;
	}
	c->op = NULL;
	c->state = CONTAINER_CREATED;
	process_ctl_event(c->init, &event);
	s->events->created(s->events_ctx, &event);
	op_end(op, 0, NULL);
}

static int reserve(struct container_ctl *c, const struct container_disk *d,
		   struct container_layer *layer, const char *below,
		   struct err *e)
{
	const char *path;
	int r = scsi_ctl_reserve(scsi(c), &d->disk, d->partition, &d->mount,
				 layer->reservation, e);

	if (r < 0)
		return r;
	path = scsi_ctl_guest_path(scsi(c), layer->reservation);
	layer->guest_path = names_join("%s%s", path ? path : "", below);
	if (!layer->guest_path)
		return err_set(e, ENOMEM, "container: no memory");
	return 0;
}

static int reserve_all(struct container_ctl *c,
		       const struct container_spec *spec, struct err *e)
{
	cleanup_free char *below =
		names_join("/scratch/%s/%s", c->pod->gcs_id, c->gcs_id);
	size_t i;
	int r = 0;

	if (!below)
		return err_set(e, ENOMEM, "container: no memory");
	for (i = 0; i < spec->n_layers && r == 0; i++)
		r = reserve(c, &spec->layers[i], &c->layers[i], "", e);
	if (r == 0 && c->has_scratch)
		r = reserve(c, &spec->scratch, &c->scratch, below, e);
	for (i = 0; i < spec->n_disks && r == 0; i++)
		r = reserve(c, &spec->disks[i], &c->disks[i], "", e);
	return r;
}

int container_ctl_create(struct container_ctl *c,
			 const struct container_spec *spec, struct op *op,
			 struct err *e)
{
	int r = machine_check(&container_machine, c->state, CONTAINER_EV_CREATE,
			      e);

	if (r < 0)
		return r;
	c->op = op;
	r = reserve_all(c, spec, &c->create_err);
	if (r < 0) {
		/* Nothing was asked of anybody: the chain ends at once. */
		c->create_result = r;
		seq_start(&c->seq, release_steps, ARRAY_LEN(release_steps),
			  true, c, uncreated);
		return 0;
	}
	c->at = 0;
	seq_start(&c->seq, create_steps, ARRAY_LEN(create_steps), false, c,
		  created);
	return 0;
}

static void deleted(void *obj, int result, const struct err *e)
{
	struct container_ctl *c = obj;
	const struct seams *s = container_ctl_seams(c);
	struct task_event event;
	struct op *op = c->op;

	c->op = NULL;
	if (result < 0) {
		op_end(op, result, e); /* the state stays: to be repeated */
		return;
	}
	if (c->init) {
		process_ctl_event(c->init, &event);
		s->events->deleted(s->events_ctx, &event);
	}
	container_ctl_free(c);
	op_end(op, 0, NULL);
}

int container_ctl_delete(struct container_ctl *c, struct op *op, struct err *e)
{
	const struct seams *s = container_ctl_seams(c);
	struct process_ctl *p;
	int r = container_ctl_check(c, CONTAINER_EV_DELETE, e);

	if (r < 0)
		return r;
	if (c->seq.busy)
		return err_set(e, EBUSY, "container is busy: %s",
			       seq_at(&c->seq));
	for (p = c->processes; p; p = p->next)
		if (p->starting)
			return err_set(e, EBUSY, "process %s is being started",
				       p->exec_id);
	/* Execs that the guest has not told the end of end here. */
	container_ctl_end_all(c, TASK_EXIT_UNKNOWN, s->now_ns(s->now_ctx));
	for (p = c->processes; p; p = p->next)
		s->guest->process_close(s->guest_ctx, c->gcs_id, p->exec_id);
	c->op = op;
	seq_start(&c->seq, release_steps, ARRAY_LEN(release_steps), true, c,
		  deleted);
	return 0;
}
