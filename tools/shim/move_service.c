#include "tools/shim/move_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "config/arena.h"
#include "config/util.h"
#include "migration/machine.h"
#include "migration/status.h"
#include "tools/image_file.h"
#include "tools/lease.h"
#include "tools/qemu/vm_progress.h"
#include "tools/shim/ask.h"
#include "tools/shim/debug.h"
#include "tools/shim/shim.h"
#include "tools/ttrpc/pb.h"

/* All documents of a sandbox in one answer. */
#define CONTAINERS_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define DOCUMENT_MAX ((size_t)4 * 1024 * 1024)

/* --- the source's containers --------------------------------------------------------- */

static int document(const char *dir, struct arena *a, ProtobufCBinaryData *ret,
		    struct err *e)
{
	char path[PATH_MAX];
	cleanup_free void *bytes = NULL;
	size_t n = 0;
	char *copy;
	int r;

	if (snprintf(path, sizeof(path), "%s/config.json", dir) >=
	    (int)sizeof(path))
		return err_set(e, ENAMETOOLONG, "%.80s", dir);
	r = image_file_read(path, DOCUMENT_MAX, &bytes, &n, e);
	if (r < 0)
		return r;
	copy = arena_array(a, n + 1, 1);
	if (!copy)
		return err_set(e, ENOMEM, "no memory for documents");
	memcpy(copy, bytes, n);
	*ret = (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)copy };
	return 0;
}

static int describe(const struct shim_task *t, struct arena *a,
		    FerryContainer *c, struct err *e)
{
	ferry_container__init(c);
	c->id = pb_text(t->id);
	c->bundle = pb_text(t->dir);
	c->stdin = pb_text(t->stdio[0]);
	c->stdout = pb_text(t->stdio[1]);
	c->stderr = pb_text(t->stdio[2]);
	c->terminal = t->terminal;
	return document(t->dir, a, &c->config, e);
}

void move_on_containers(void *ctx, struct ttrpc_call *call,
			const ProtobufCMessage *m UNUSED)
{
	const struct shim *s = ctx;
	FerryContainersResponse a = FERRY_CONTAINERS_RESPONSE__INIT;
	FerryContainer *c;
	struct arena arena;
	struct err e;
	int r = 0;

	arena_init(&arena, CONTAINERS_BYTES_MAX);
	c = arena_array(&arena, s->tasks.n + 1, sizeof(*c));
	a.containers =
		arena_array(&arena, s->tasks.n + 1, sizeof(FerryContainer *));
	if (!c || !a.containers)
		r = err_set(&e, ENOMEM, "no memory for containers");
	for (const struct shim_task *t = s->tasks.first; t && r == 0;
	     t = t->next) {
		r = describe(t, &arena, &c[a.n_containers], &e);
		a.containers[a.n_containers] = &c[a.n_containers];
		a.n_containers++;
	}
	if (r < 0)
		ttrpc_fail(call, ask_code(r), "%s", e.text);
	else
		ttrpc_reply(call, &a.base);
	arena_done(&arena);
}

/* --- the destination's --------------------------------------------------------------------- */

/* A bundle of our own, when that of the source is not to be had here. */
static int make_bundle(const struct shim *s, const FerryContainer *c,
		       char path[TASK_BUNDLE_MAX], struct err *e)
{
	char file[TASK_BUNDLE_MAX + 16];
	cleanup_fd fd = -1;

	if (strchr(c->id, '/') || *c->id == '.' || *c->id == '\0')
		return err_set(e, EINVAL, "'%.60s' is no container id", c->id);
	task_bundle_path(s, c->id, path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", path);
	(void)snprintf(file, sizeof(file), "%s/config.json", path);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_full(fd, c->config.data, c->config.len) < 0)
		return err_sys(e, "%s", file);
	return 0;
}

static void reply_adopted(struct ask *a)
{
	ttrpc_reply(a->call, NULL);
}

void move_on_adopt(void *ctx, struct ttrpc_call *call,
		   const ProtobufCMessage *m)
{
	const FerryAdoptRequest *q = (const void *)m;
	const FerryContainer *c = q->container;
	struct shim *s = ctx;
	char bundle[TASK_BUNDLE_MAX];
	struct task_wish wish = { .source_id = q->source_id, .dir = bundle };
	struct ask *a;
	struct err e;
	int r;

	if (!c || *q->source_id == '\0') {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no container");
		return;
	}
	/* Before a bundle is written: one of that name may be in use. */
	if (!s->migration.there ||
	    s->migration.session.state != SESSION_DESTINATION_IMPORTED) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "no state was imported, or it has been prepared");
		return;
	}
	if (shim_task_find(&s->tasks, c->id)) {
		ttrpc_fail(call, TTRPC_ALREADY_EXISTS,
			   "container %.64s was adopted before", c->id);
		return;
	}
	a = ask_new(s, call, reply_adopted);
	if (!a)
		return;
	wish.id = c->id;
	wish.stdio[0] = c->stdin;
	wish.stdio[1] = c->stdout;
	wish.stdio[2] = c->stderr;
	wish.terminal = c->terminal;
	r = make_bundle(s, c, bundle, &e);
	if (r == 0)
		r = shim_task_create(&s->tasks, &wish, &a->op, &e);
	if (r < 0)
		ask_refuse(a, &e);
}

/* --- how it goes ------------------------------------------------------------------------------ */

/* A question that QEMU is asked too. */
struct question {
	struct shim *shim;
	struct ttrpc_call *call;
};

static bool has_lease(const struct shim *s)
{
	char owner[LEASE_OWNER_SIZE];

	return lease_word(ops_lease(s->tasks.ops), 0, owner) != LEASE_WORD_NONE;
}

static void answer(void *ctx, const struct vm_progress *p)
{
	struct question *q = ctx;
	const struct shim_migration *m = &q->shim->migration;
	FerryMoveResponse a = FERRY_MOVE_RESPONSE__INIT;
	char reason[ERR_TEXT_MAX];
	char owner[LEASE_OWNER_SIZE] = "";

	if (m->there) {
		const struct session_ctl *c = &m->session;
		const struct vm_ctl *vm = &q->shim->tasks.ctl.vm;
		const uint64_t ran = vm->epoch - vm->is_destination;

		a.epoch = vm->epoch;
		a.lease = pb_text(lease_word_name(
			lease_word(ops_lease(q->shim->tasks.ops), ran, owner)));
		a.lease_owner = owner;

		a.session = pb_text(c->id);
		a.state = pb_text(
			machine_state_name(&session_source_machine, c->state));
		a.vm = pb_text(machine_state_name(&vm_machine,
						  q->shim->tasks.ctl.vm.state));
		shim_debug_refer(q->shim, c->transfer_err.text, reason,
				 sizeof(reason));
		if (c->transfer_result < 0)
			a.reason = reason;
		a.reconnect_ms = m->reconnect_ms;
		a.stopped_ns = m->stopped_ns;
		a.running_ns = m->running_ns;
	}
	a.now_ns = clock_wall_ns();
	a.transferred = p->transferred;
	a.remaining = p->remaining;
	a.total = p->total;
	a.dirty = p->dirty;
	a.rate = p->rate;
	ttrpc_reply(q->call, &a.base);
	free(q);
}

void move_on_ask(void *ctx, struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const FerryMoveRequest *words = (const void *)m;
	static const struct vm_progress none;
	struct shim *s = ctx;
	struct question *q = malloc(sizeof(*q));
	struct err e;

	if (!q) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	*q = (struct question){ .shim = s, .call = call };
	/* Another orchestrator does not keep alive what one left. */
	if (*words->session != '\0' && s->migration.there &&
	    strcmp(words->session, pb_text(s->migration.session.id)) == 0)
		shim_migration_asked(&s->migration, has_lease(s));
	if (words->force && s->sandbox && !s->ended)
		vm_move_force(sandbox_move(s->sandbox));
	if (s->ended || !s->sandbox ||
	    vm_progress_ask(vm_qmp(sandbox_vm(s->sandbox)), answer, q, &e) < 0)
		answer(q, &none);
}

bool move_is_ours(const struct shim *s)
{
	const struct session_ctl *c = &s->migration.session;
	const enum vm_state vm = s->tasks.ctl.vm.state;

	if (!s->migration.there || c->origin != SESSION_DESTINATION)
		return s->state == SHIM_READY;
	return vm == VM_RUNNING || vm == VM_MIGRATION_FINALIZED ||
	       (c->op && c->doing == SESSION_EV_FINALIZE_RESUME);
}

void move_on_abandon(void *ctx, struct ttrpc_call *call,
		     const ProtobufCMessage *m UNUSED)
{
	struct shim *s = ctx;

	if (move_is_ours(s)) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "the guest runs here");
		return;
	}
	ttrpc_reply(call, NULL);
	s->migration.seen = true;
	shim_stop(s, true);
}
