/*
 * Import, patch and prepare. Import is sync and all or nothing. A patch opens
 * the upstream ends first, the one thing that can take long and fail, and then
 * changes everything at once, the new id last (F5, W6): a refused patch can be
 * repeated with a corrected request.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/annotated.h"
#include "migration/container_life.h"
#include "migration/lists.h"
#include "migration/move.h"
#include "migration/saved.h"
#include "migration/session_life.h"
#include "migration/status.h"

/* It is opened now: its holder may be gone when it is to be taken. */
static int open_lease(struct session_ctl *s, const struct saved_vm *v,
		      struct err *e)
{
	const struct seams *seams = &s->sandbox->seams;
	char machine[LEASE_MACHINE_SIZE];
	char path[LEASE_PATH_MAX + 1];
	const struct lease_claim claim = {
		.machine = machine,
		.from = v->epoch - 1,
		.epoch = v->epoch,
	};

	if (v->lease.n == 0)
		return 0;
	(void)snprintf(machine, sizeof(machine), "%.*s", (int)v->machine.n,
		       v->machine.p);
	(void)snprintf(path, sizeof(path), "%.*s", (int)v->lease.n, v->lease.p);
	return seams->vmm->lease_open(seams->vmm_ctx, path, &claim, e);
}

int session_ctl_import(struct session_ctl *s, const char *id,
		       const char *sandbox_id, const void *state, size_t size,
		       struct err *e)
{
	struct saved saved;
	char *name = NULL, *old = s->sandbox->id;
	struct arena a;
	int r = session_begin(s, id, SESSION_EV_IMPORT, NULL, e);

	if (r < 0)
		return r;
	r = names_check_id("sandbox id", sandbox_id, e);
	if (r == 0)
		r = vm_ctl_check(&s->sandbox->vm, VM_EV_IMPORT, e);
	if (r == 0)
		r = names_copy(sandbox_id, &name, e);
	if (r < 0)
		return r;
	saved_arena_init(&a, size);
	r = saved_decode(state, size, s->architecture, &a, &saved, NULL, e);
	if (r == 0)
		r = annotated_check(saved.vm.annotation_lock.p,
				    saved.vm.annotation_lock.n, s->annotations,
				    e);
	if (r == 0 && !s->from_file && saved.vm.n_vpci + saved.vm.n_shares)
		r = err_set(e, EPRECONDITION,
			    "the state was saved to a file and has %zu devices "
			    "and %zu shares of its host: they cannot move",
			    saved.vm.n_vpci, saved.vm.n_shares);
	if (r == 0)
		r = open_lease(s, &saved.vm, e);
	if (r == 0) {
		s->sandbox->id = name;
		r = move_give(s->sandbox, &saved, e);
	}
	if (r == 0)
		(void)snprintf(s->written_by, sizeof(s->written_by), "%.*s",
			       (int)saved.vm.producer.n, saved.vm.producer.p);
	arena_done(&a);
	if (r < 0) {
		s->sandbox->id = old;
		free(name);
		return r;
	}
	free(old);
	session_open(s, id, SESSION_DESTINATION, SESSION_DESTINATION_IMPORTED);
	return 0;
}

/* --- patch --- */

/* Everything that a patch changes, made before anything is changed. */
struct patching {
	struct session_ctl *s;
	struct container_ctl *c;
	struct op op; /* of the guest: upstream ends */
	struct op *caller;
	char *id;
	char *pod_id; /* sandbox container only */
	char *bundle;
	char *stdio[GUEST_STREAMS];
	bool terminal;
	char **paths; /* of scratch, layers, disks; NULL: unchanged */
	size_t n_paths;
	struct network_plan network;
	bool has_network;
};

static void patching_free(struct patching *p)
{
	size_t i;

	free(p->id);
	free(p->pod_id);
	free(p->bundle);
	for (i = 0; i < GUEST_STREAMS; i++)
		free(p->stdio[i]);
	for (i = 0; p->paths && i < p->n_paths; i++)
		free(p->paths[i]);
	free(p->paths);
	network_plan_done(&p->network);
	free(p);
}

static const char *reservation_at(const struct container_ctl *c, size_t i)
{
	if (i == 0)
		return c->scratch.reservation;
	if (i <= c->n_layers)
		return c->layers[i - 1].reservation;
	return c->disks[i - 1 - c->n_layers].reservation;
}

static int plan_path(struct patching *p, size_t i, const char *path,
		     struct err *e)
{
	const struct scsi_ctl *scsi = &p->s->sandbox->vm.scsi;
	int r = scsi_ctl_check_repath(scsi, reservation_at(p->c, i), path, e);

	return r < 0 ? r : names_copy(path, &p->paths[i], e);
}

static int plan_disks(struct patching *p, const struct session_patch *req,
		      struct err *e)
{
	const struct container_ctl *c = p->c;
	size_t i;
	int r = 0;

	if (req->n_layers != c->n_layers)
		return err_set(e, EINVAL, "%zu layers, the source had %zu",
			       req->n_layers, c->n_layers);
	if (!req->scratch != !c->has_scratch)
		return err_set(e, EINVAL, "scratch: the source had %s",
			       c->has_scratch ? "one" : "none");
	if (req->n_disks != 0 && req->n_disks != c->n_disks)
		return err_set(e, EINVAL, "%zu disks, the source had %zu",
			       req->n_disks, c->n_disks);
	p->n_paths = 1 + c->n_layers + c->n_disks;
	p->paths = calloc(p->n_paths, sizeof(char *));
	if (!p->paths)
		return err_set(e, ENOMEM, "patch: no memory");
	if (req->scratch)
		r = plan_path(p, 0, req->scratch, e);
	for (i = 0; i < req->n_layers && r == 0; i++)
		r = plan_path(p, 1 + i, req->layers[i], e);
	for (i = 0; i < req->n_disks && r == 0; i++)
		r = plan_path(p, 1 + c->n_layers + i, req->disks[i], e);
	return r;
}

static int plan_rest(struct patching *p, const struct session_patch *req,
		     struct err *e)
{
	size_t i;

	if (names_copy(req->id, &p->id, e) < 0 ||
	    names_copy(req->bundle, &p->bundle, e) < 0)
		return -ENOMEM;
	for (i = 0; i < GUEST_STREAMS; i++)
		if (names_copy(req->init.stdio[i], &p->stdio[i], e) < 0)
			return -ENOMEM;
	p->terminal = req->init.terminal;
	if (!container_ctl_is_sandbox(p->c))
		return 0;
	p->has_network = true;
	if (names_copy(req->id, &p->pod_id, e) < 0)
		return -ENOMEM;
	return network_ctl_plan(&p->c->pod->network, req->namespace_id,
				req->endpoints, req->n_endpoints, &p->network,
				e);
}

/* Step 2 of migration.md 5: the kind of container has to agree. */
static int check_kind(const struct container_ctl *c, const char *type,
		      struct err *e)
{
	const bool is_sandbox = container_ctl_is_sandbox(c);

	if (!type || !type[0])
		return 0;
	if (strcmp(type, is_sandbox ? "sandbox" : "container") == 0)
		return 0;
	return err_set(e, EINVAL, "container type is '%s', on the source %s",
		       type, is_sandbox ? "a sandbox" : "a container");
}

static int check_patch(const struct session_ctl *s,
		       const struct session_patch *req,
		       struct container_ctl **ret, struct err *e)
{
	const char *stderr_path = req->init.stdio[GUEST_STDERR];
	struct container_ctl *c, *other;
	int r = names_check_id("container id", req->id, e);

	if (r == 0)
		r = names_check_path("bundle", req->bundle, e);
	if (r < 0)
		return r;
	if (!req->source_id || !req->source_id[0])
		return err_set(e, EINVAL, "no source container id"); /* W23 */
	c = sandbox_ctl_container(s->sandbox, req->source_id);
	if (!c || c->patched)
		return err_set(e, ENOENT, "no container %s waits for a patch",
			       req->source_id);
	r = check_kind(c, req->type, e);
	if (r < 0)
		return r;
	other = sandbox_ctl_container(s->sandbox, req->id);
	if (other && other != c)
		return err_set(e, EEXIST, "container id %s is taken", req->id);
	if (container_ctl_is_sandbox(c)) {
		const struct pod_ctl *pod =
			sandbox_ctl_pod(s->sandbox, req->id);

		if (pod && pod != c->pod)
			return err_set(e, EEXIST, "pod id %s is taken",
				       req->id);
	}
	r = annotated_check(s->sandbox->vm.annotation_lock,
			    s->sandbox->vm.annotation_lock_len,
			    req->annotations, e);
	if (r < 0)
		return r;
	if (req->init.terminal && stderr_path && stderr_path[0])
		return err_set(e, EPRECONDITION, "a terminal has no stderr");
	*ret = c;
	return container_ctl_check(c, CONTAINER_EV_PATCH, e);
}

static void swap(char **a, char **b)
{
	char *t = *a;

	*a = *b;
	*b = t;
}

/* Nothing here can fail but the memory for a path, which is copied first. */
static int apply(struct patching *p, struct err *e)
{
	struct scsi_ctl *scsi = &p->s->sandbox->vm.scsi;
	struct container_ctl *c = p->c;
	struct pod_ctl *pod = c->pod;
	size_t i;

	for (i = 0; i < p->n_paths; i++)
		if (p->paths[i]) {
			int r = scsi_ctl_check_repath(
				scsi, reservation_at(c, i), p->paths[i], e);

			if (r < 0)
				return r; /* another patch came first (W18) */
		}
	for (i = 0; i < p->n_paths; i++)
		if (p->paths[i])
			scsi_ctl_repath_take(scsi, reservation_at(c, i),
					     &p->paths[i]);
	for (i = 0; i < GUEST_STREAMS; i++)
		swap(&c->init->stdio[i], &p->stdio[i]);
	c->init->terminal = p->terminal;
	swap(&c->bundle, &p->bundle);
	if (p->has_network)
		network_ctl_patch(&pod->network, &p->network);
	if (p->pod_id) {
		sandbox_ctl_remove(p->s->sandbox, pod);
		swap(&pod->id, &p->pod_id);
		sandbox_ctl_insert(p->s->sandbox, pod);
	}
	pod_ctl_remove(pod, c);
	swap(&c->id, &p->id);
	pod_ctl_insert(pod, c);
	c->patched = true;
	return 0;
}

static void attached(struct op *op, int result, const struct err *e)
{
	struct patching *p = op->ctx;
	struct session_ctl *s = p->s;
	struct err why = e && result < 0 ? *e : (struct err){ 0 };

	if (result == 0 && s->state != SESSION_DESTINATION_IMPORTED)
		result = err_set(&why, ECANCELED, "the session was cancelled");
	if (result == 0)
		result = apply(p, &why);
	if (result == 0)
		p->caller->value = p->c->init->pid;
	patching_free(p);
	session_ended(s, result, &why);
}

int session_ctl_patch(struct session_ctl *s, const struct session_patch *req,
		      struct op *op, struct err *e)
{
	const struct seams *seams = &s->sandbox->seams;
	struct guest_process words;
	struct container_ctl *c = NULL;
	struct patching *p;
	size_t i;
	int r = session_begin(s, s->id, SESSION_EV_PATCH, op, e);

	if (r != 0)
		return r < 0 ? r : 0;
	r = check_patch(s, req, &c, e);
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, ENOMEM, "patch: no memory");
	*p = (struct patching){ .s = s, .c = c, .caller = op };
	r = plan_disks(p, req, e);
	if (r == 0)
		r = plan_rest(p, req, e);
	if (r < 0) {
		patching_free(p);
		return r;
	}
	process_ctl_words(c->init, &words);
	for (i = 0; i < GUEST_STREAMS; i++)
		words.stdio[i] = p->stdio[i];
	words.terminal = p->terminal;
	s->doing = SESSION_EV_PATCH;
	s->op = op;
	s->patch_op = &p->op;
	p->op = (struct op){ .done = attached, .ctx = p };
	r = seams->guest->process_attach(seams->guest_ctx, &words, &p->op, e);
	if (r < 0) {
		s->op = NULL;
		patching_free(p);
	}
	return r;
}

/* --- prepare --- */

static int go_create(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	struct vm_ctl *v = &s->sandbox->vm;
	struct vmm_disk disks[SCSI_SLOTS_MAX];
	struct vmm_nic nics[SANDBOX_PODS_MAX * NETWORK_ENDPOINTS_MAX];
	const struct pod_ctl *p;
	struct vmm_config config = {
		.id = v->id,
		.document = v->document,
		.document_len = v->document_len,
		.disks = disks,
		.n_disks = vm_ctl_disks(v, false, disks),
		.nics = nics,
		.compat = v->compat,
		.compat_len = v->compat_len,
		.session = v->session,
		.session_len = v->session_len,
		.options = &s->options,
	};
	int r = vm_ctl_check(v, VM_EV_CREATE_DESTINATION, e);

	if (r < 0)
		return r;
	for (p = s->sandbox->pods; p; p = p->next)
		config.n_nics +=
			network_ctl_nics(&p->network, nics + config.n_nics);
	r = v->seams->vmm->create(v->seams->vmm_ctx, &config, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_create(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;

	if (result < 0)
		return result;
	if (s->sandbox->vm.state != VM_DESTINATION_IMPORTED)
		return -ESHUTDOWN;
	s->sandbox->vm.state = VM_DESTINATION_CREATED;
	s->granted = 0;
	return SEQ_NEXT;
}

static int go_grant(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	struct vm_ctl *v = &s->sandbox->vm;
	struct vmm_disk disks[SCSI_SLOTS_MAX];
	const size_t n = vm_ctl_disks(v, false, disks);
	int r = vm_ctl_check(v, VM_EV_GRANT, e);

	if (r < 0)
		return r;
	if (s->granted >= n) {
		v->state = VM_DESTINATION_PATCHED;
		return SEQ_NEXT;
	}
	r = v->seams->vmm->disk_grant(v->seams->vmm_ctx, &disks[s->granted], op,
				      e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_grant(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;

	if (result < 0)
		return result;
	s->granted++;
	return SEQ_AGAIN;
}

static const struct seq_step prepare_steps[] = {
	{ "create VM", go_create, landed_create, false },
	{ "access to disks", go_grant, landed_grant, false },
};

static void prepared(void *obj, int result, const struct err *e)
{
	struct session_ctl *s = obj;
	const enum vm_state vm = s->sandbox->vm.state;

	if (result == 0 && s->state == SESSION_DESTINATION_IMPORTED)
		s->state = SESSION_DESTINATION_PREPARED;
	else if (result < 0 && vm != VM_DESTINATION_IMPORTED)
		session_fail(s); /* F7; before, it can be tried again (F6) */
	session_ended(s, result, e);
}

static int check_patched(const struct session_ctl *s, struct err *e)
{
	const struct container_ctl *c;
	const struct pod_ctl *p;
	struct text names;
	char buf[160];

	text_fixed(&names, buf, sizeof(buf));
	for (p = s->sandbox->pods; p; p = p->next)
		for (c = p->containers; c; c = c->next)
			if (!c->patched)
				text_addf(&names, " %s", c->id);
	if (names.len == 0 && !names.full)
		return 0;
	return err_set(e, EPRECONDITION, "containers wait for their patch:%s",
		       text_str(&names));
}

int session_ctl_prepare(struct session_ctl *s, const char *id,
			const struct vmm_options *options, struct op *op,
			struct err *e)
{
	int r = session_options_check(options, e);

	if (r < 0)
		return r;
	r = session_begin(s, id, SESSION_EV_PREPARE, op, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = check_patched(s, e);
	if (r < 0)
		return r;
	s->options = options ? *options : (struct vmm_options){ 0 };
	session_run(s, SESSION_EV_PREPARE, prepare_steps,
		    ARRAY_LEN(prepare_steps), false, op, prepared);
	return 0;
}
