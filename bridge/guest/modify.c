#include "bridge/guest/modify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/dispatch.h"
#include "bridge/guest/job.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/layers.h"
#include "bridge/guest/modifyop.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/takeover.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

/* How often something that is busy is undone once more, and the child for that is
 * started. */
#define UNDO_TRIES 50
#define UNDO_JOBS 5
#define UNDO_AGAIN_MS 100L

static const char *const verb_names[] = {
	[MODIFY_ADD] = "Add",
	[MODIFY_REMOVE] = "Remove",
	[MODIFY_UPDATE] = "Update",
};
static_assert(ARRAY_LEN(verb_names) == MODIFY_VERBS, "a verb has no name");

/* --- the end of an operation ----------------------------------------------- */

static void begin_ready(struct modify *all);

static void modop_free(struct modify_op *op)
{
	list_remove(&op->node);
	arena_done(&op->arena);
	free(op);
}

static void modop_answer(struct modify_op *op, const struct err *e)
{
	struct agent *a = op->all->agent;
	struct request *r = op->request;

	if (e)
		log_warn("%s %s failed: %s", op->resource->name,
			 verb_names[op->verb], e->text);
	if (!r)
		return;
	if (e)
		(void)reply_error(a, &r->to, HR_FAIL, "%s: %s",
				  op->resource->name, e->text);
	else
		(void)reply_ok(a, &r->to);
	request_free(&a->requests, r);
}

/* Answers, and lets those begin that have waited for it. */
static void modop_end(struct modify_op *op, const struct err *e)
{
	struct modify *all = op->all;

	if (e)
		volumes_drop(&all->volumes, op->volume);
	modop_answer(op, e);
	modop_free(op);
	all->n--;
	begin_ready(all);
}

/* --- jobs ------------------------------------------------------------------ */

/* In a child: what it found out goes back as the facts. */
static int run_op(void *arg, struct text *out, struct err *e)
{
	struct modify_op *op = arg;
	const struct volume_env *env = &op->all->env;
	const bool by_facts = op->resource->volume && op->verb == MODIFY_REMOVE;
	const int r = by_facts ? volume_remove(env, &op->facts, e)
			       : op->resource->run(env, op, e);

	text_addn(out, &op->facts, sizeof(op->facts));
	return r < 0 ? r : 0;
}

static int submit(struct modify_op *op, job_fn *fn, int64_t deadline_ms,
		  job_done_fn *done, struct err *e)
{
	const struct job_call c = {
		.name = op->resource->name,
		.fn = fn,
		.arg = op,
		.deadline_ms = deadline_ms,
		.class = JOB_WAIT,
		.keep = &op->all->env.root,
		.n_keep = 1,
		.done = done,
		.ctx = op,
	};

	return job_call(&op->all->agent->jobs, &c, NULL, e);
}

static int run_undo(void *arg, struct text *out, struct err *e)
{
	const struct timespec again = { .tv_nsec = UNDO_AGAIN_MS * 1000000L };
	const struct modify_op *op = arg;
	const struct volume_env *env = &op->all->env;
	int r = volume_remove(env, &op->facts, e);

	text_addc(out, '.'); /* it has tried, for as long as it may */
	/* Of what was killed the last bit may still be there, and memory may come. */
	for (int i = 0; r < 0 && i < UNDO_TRIES; i++) {
		(void)nanosleep(&again, NULL);
		r = volume_remove(env, &op->facts, e);
	}
	return r < 0 ? r : 0;
}

static void on_undone(void *ctx, const struct job_result *r)
{
	struct modify_op *op = ctx;

	if (r->result < 0 && r->result != -ETIMEDOUT && r->out_len == 0 &&
	    op->undone++ < UNDO_JOBS &&
	    submit(op, run_undo, MODIFY_UNDO_MS, on_undone, NULL) == 0)
		return;
	if (r->result < 0)
		log_warn("%s could not be undone: %s", op->resource->name,
			 r->err.text);
	modop_end(op, &op->why);
}

static const char *const kinds[VOLUME_KINDS] = {
	[VOLUME_DISK] = "MappedVirtualDisk",
	[VOLUME_LINK] = "MappedVirtualDisk",
	[VOLUME_LAYERS] = "CombinedLayers",
	[VOLUME_PLAN9] = "MappedDirectory",
	[VOLUME_PMEM] = "VPMemDevice",
};

/* The child of an Add was killed: whatever it has done is undone. */
static void modop_undo(struct modify_op *op, const struct err *why)
{
	const bool alone =
		volumes_count(&op->all->volumes, op->facts.path) == 1;

	op->why = *why;
	/* Nobody says how far it got; what another one has put there stays. */
	op->facts.bound = alone;
	if (alone) {
		if (submit(op, run_undo, MODIFY_UNDO_MS, on_undone, NULL) == 0)
			return;
		takeover_rather(op->all->agent, op->facts.path);
	}
	modop_end(op, &op->why);
}

void modify_undo(struct modify *all, struct volume *v)
{
	struct modify_op *op = calloc(1, sizeof(*op));
	struct err why = { .code = EIO, .text = "the agent was restarted" };

	if (!op) {
		takeover_rather(all->agent, v->facts.path);
		log_err("%s stays half made: no memory", v->facts.path);
		return;
	}
	op->all = all;
	op->resource = modify_resource(kinds[v->facts.kind]);
	op->facts = v->facts;
	op->volume = v;
	op->disk = MODIFY_NO_DISK;
	op->begun = true;
	arena_init(&op->arena, MODIFY_MEMORY_MAX);
	op->key = arena_array(&op->arena, 1, sizeof(*op->key));
	if (op->key)
		op->key[op->n_keys++] =
			(struct modify_key){ op->facts.path, true };
	list_push(&all->ops, &op->node);
	all->n++;
	modop_undo(op, &why);
}

static void on_done(void *ctx, const struct job_result *r)
{
	struct modify_op *op = ctx;
	struct modify *all = op->all;

	/* What does not tell how it is was killed, and be it right at its start. */
	if (r->result < 0 && r->out_len == 0 && op->volume) {
		modop_undo(op, &r->err);
		return;
	}
	if (r->result < 0) {
		modop_end(op, &r->err);
		return;
	}
	if (op->volume && r->out_len == sizeof(op->facts)) {
		memcpy(&op->facts, r->out, sizeof(op->facts));
		volumes_there(&all->volumes, op->volume, &op->facts);
	} else if (op->resource->volume)
		volumes_forget(&all->volumes, op->facts.path);
	modop_end(op, NULL);
}

/* --- order ----------------------------------------------------------------- */

static bool must_wait(const struct modify_op *op)
{
	const struct list *head = &op->all->ops;

	for (const struct list *l = head->next; l != &op->node; l = l->next) {
		const struct modify_op *earlier =
			(const struct modify_op
				 *)(const void *)((const char *)l -
						  offsetof(struct modify_op,
							   node));

		if (modify_conflict(op, earlier))
			return true;
	}
	return false;
}

static bool bundle_is_used(const struct agent *a, const struct volume_facts *f)
{
	const struct list *all = &a->containers.all;
	char bundle[VOLUME_PATH_MAX];

	layers_bundle(f, bundle, sizeof(bundle));
	for (struct list *l = all->next; l != all; l = l->next)
		if (strcmp(LIST_ITEM(l, struct container, node)->facts.bundle,
			   bundle) == 0)
			return true;
	return false;
}

void modify_gone(struct modify *all, struct volume *v)
{
	log_warn("volume %s is not mounted any more", v->facts.path);
	/* Of layers that were taken away, the bundle may be left. */
	if (v->facts.bound && !bundle_is_used(all->agent, &v->facts))
		modify_undo(all, v);
	else
		volumes_drop(&all->volumes, v);
}

/* What was put there knows more than the request that takes it away. */
static void use_known_facts(struct modify_op *op)
{
	const struct volume_facts *known =
		volumes_find(&op->all->volumes, op->facts.path);
	const bool disk =
		op->facts.kind == VOLUME_DISK || op->facts.kind == VOLUME_LINK;

	if (!known || op->verb != MODIFY_REMOVE)
		return;
	if (known->kind == op->facts.kind ||
	    (disk &&
	     (known->kind == VOLUME_DISK || known->kind == VOLUME_LINK)))
		op->facts = *known;
	/* The delete of a container whose bundle it is takes it from there. */
	if (op->facts.bound && bundle_is_used(op->all->agent, &op->facts))
		op->facts.bound = false;
}

/* Which request made a volume: the word of its record. Numbers of requests begin
 * anew with an epoch. */
static uint64_t word_of(const struct agent *a, const struct request *r)
{
	return (uint64_t)a->epoch << 32 | (uint32_t)(r->to.id + 1);
}

static void keep_request_of(const struct modify_op *op)
{
	const struct agent *a = op->all->agent;
	uint64_t *word = slot_word(&a->slots, op->volume->slot);

	if (word && op->request)
		*word = word_of(a, op->request);
}

bool modify_volume_asked(struct modify *all, struct request *r)
{
	struct agent *a = all->agent;

	for (struct list *l = all->volumes.all.next; l != &all->volumes.all;
	     l = l->next) {
		const struct volume *v = LIST_ITEM(l, struct volume, node);
		const uint64_t *word = slot_word(&a->slots, v->slot);

		if (!v->there || !word || *word != word_of(a, r))
			continue;
		(void)reply_ok(a, &r->to);
		request_free(&a->requests, r);
		return true;
	}
	return false;
}

static int modop_begin(struct modify_op *op, struct err *e)
{
	struct modify *all = op->all;
	int r = 0;

	op->begun = true;
	if (op->resource->volume && op->verb == MODIFY_ADD)
		r = volumes_add(&all->volumes, &op->facts, &op->volume, e);
	else if (op->resource->volume)
		use_known_facts(op);
	if (r < 0)
		return r;
	if (op->volume)
		keep_request_of(op);
	return submit(op, run_op, all->mount_ms + op->wait_ms + op->make_ms,
		      on_done, e);
}

static struct modify_op *next_ready(const struct modify *all)
{
	for (struct list *l = all->ops.next; l != &all->ops; l = l->next) {
		struct modify_op *op = LIST_ITEM(l, struct modify_op, node);

		if (!op->begun && !must_wait(op))
			return op;
	}
	return NULL;
}

static void begin_ready(struct modify *all)
{
	struct modify_op *op;

	while ((op = next_ready(all)) != NULL) {
		struct err e = { 0 };

		if (modop_begin(op, &e) == 0)
			continue;
		/* Not modmodop_end(): it would come back here. */
		volumes_drop(&all->volumes, op->volume);
		modop_answer(op, &e);
		modop_free(op);
		all->n--;
	}
}

/* --- requests -------------------------------------------------------------- */

/* Return: the verb, MODIFY_VERBS: none that is known */
static enum modify_verb verb_of(const char *name)
{
	if (name[0] == '\0')
		return MODIFY_ADD;
	for (int v = 0; v < MODIFY_VERBS; v++) {
		if (strcmp(verb_names[v], name) == 0)
			return (enum modify_verb)v;
	}
	return MODIFY_VERBS;
}

static void on_drop(struct request *r)
{
	struct modify_op *op = r->ctx;

	op->request = NULL; /* it goes on, unanswered */
}

static struct modify_op *modop_new(struct call *c,
				   const struct modify_resource *resource,
				   enum modify_verb verb)
{
	struct modify *all = &c->agent->modify;
	struct modify_op *op;

	if (all->n >= MODIFY_OPS_MAX)
		return NULL;
	op = calloc(1, sizeof(*op));
	if (!op)
		return NULL;
	list_init(&op->node);
	op->all = all;
	op->resource = resource;
	op->verb = verb;
	op->disk = MODIFY_NO_DISK;
	arena_init(&op->arena, MODIFY_MEMORY_MAX);
	return op;
}

/* Copies and checks what it says. Return: false: it was answered */
static bool modop_read(struct call *c, struct modify_op *op,
		       const char *settings)
{
	const struct modify_resource *res = op->resource;
	struct err e = { 0 };
	int r;

	if (!settings ||
	    msg_decode(msg_settings_schema(res->name), settings,
		       strlen(settings), &op->arena, &op->settings, &e) < 0) {
		(void)reply_error(c->agent, &c->to, HR_INVALID_JSON,
				  "%s: Settings: %s", res->name,
				  settings ? e.text : "missing");
		return false;
	}
	r = res->check(op, &e);
	if (r > 0) {
		(void)reply_ok(c->agent, &c->to);
		return false;
	}
	if (r < 0) {
		(void)reply_error(c->agent, &c->to, HR_FAIL, "%s: %s",
				  res->name, e.text);
		return false;
	}
	return true;
}

static void queue(struct call *c, const struct modify_resource *res,
		  enum modify_verb verb, const char *settings)
{
	struct modify_op *op = modop_new(c, res, verb);

	if (!op) {
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "%s: too many operations, or no memory",
				  res->name);
		return;
	}
	if (!modop_read(c, op, settings)) {
		modop_free(op);
		return;
	}
	op->request = request_new(&c->agent->requests, &c->to);
	if (!op->request) {
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "%s: too many requests", res->name);
		modop_free(op);
		return;
	}
	op->request->ctx = op;
	op->request->on_drop = on_drop;
	list_push(&op->all->ops, &op->node);
	op->all->n++;
	begin_ready(op->all);
}

static void direct(struct call *c, const struct modify_resource *res,
		   enum modify_verb verb, const char *settings)
{
	union modify_settings s = { 0 };
	struct err e = { 0 };

	if (!res->bare &&
	    (!settings ||
	     msg_decode(msg_settings_schema(res->name), settings,
			strlen(settings), &c->agent->arena, &s, &e) < 0)) {
		(void)reply_error(c->agent, &c->to, HR_INVALID_JSON,
				  "%s: Settings: %s", res->name,
				  settings ? e.text : "missing");
		return;
	}
	res->direct(c, verb, &s);
}

void modify_uvm(struct call *c, const struct msg_modify_settings *m)
{
	const struct msg_modify_request *r = &m->request;
	const struct modify_resource *res = modify_resource(r->resource_type);
	const enum modify_verb verb = verb_of(r->request_type);

	if (!res) {
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "ResourceType: '%.64s' is not supported",
				  r->resource_type);
		return;
	}
	if (res->verbs != 0 && (verb == MODIFY_VERBS ||
				!(res->verbs & 1u << (unsigned int)verb))) {
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "RequestType: '%.64s' is not supported for "
				  "%s",
				  r->request_type, res->name);
		return;
	}
	if (res->direct)
		direct(c, res, verb, r->settings);
	else
		queue(c, res, verb, r->settings);
}

/* --- all of them ----------------------------------------------------------- */

int modify_init(struct modify *all, struct agent *a, struct err *e)
{
	*all = (struct modify){
		.agent = a,
		.mount_ms = MODIFY_MOUNT_MS,
		.make_ms = MODIFY_MAKE_MS,
		.env = { .root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
			 .sys = "/sys",
			 .dev = "/dev",
			 .wait_ms = VOLUME_WAIT_MS,
			 .uevents = true,
			 .host = a->flags.transport },
	};
	list_init(&all->ops);
	volumes_init(&all->volumes);
	all->volumes.on_kept = keep_volume;
	all->volumes.ctx = a;
	return all->env.root < 0 ? err_sys(e, "open /") : 0;
}

void modify_done(struct modify *all)
{
	if (!all->agent)
		return;
	while (!list_empty(&all->ops)) {
		struct list *node = list_pop(&all->ops);

		modop_free(LIST_ITEM(node, struct modify_op, node));
	}
	volumes_done(&all->volumes);
	fd_close(&all->env.root);
}

void modify_dump(const struct modify *all, struct text *out)
{
	text_addf(out, "operations %zu\n", all->n);
	volumes_dump(&all->volumes, out);
}
