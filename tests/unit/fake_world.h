/*
 * tests/unit/fake_world.h - one host and one guest for the controllers
 *
 * Every operation waits in a queue until the test lets it happen; then what it
 * says is applied to a small truth of its own (disks, mounts, containers), and
 * an operation that is illegal there ends the test: a mount of a disk that is
 * not attached, a second container of one id. One operation can be told to
 * fail, by its number, in one of three ways.
 */
#ifndef FERRY_TESTS_UNIT_FAKE_WORLD_H
#define FERRY_TESTS_UNIT_FAKE_WORLD_H

#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"
#include "migration/sandbox.h"
#include "migration/session.h"
#include "migration/status.h"

/* gcc 12 does not follow operations through the queue. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value"
#endif

#define WORLD_QUEUE 64
#define WORLD_NAMES 64

enum world_kind {
	W_CREATE,
	W_START,
	W_STOP,
	W_DISK_ADD,
	W_DISK_REMOVE,
	W_NIC_ADD,
	W_NIC_REMOVE,
	W_LISTEN,
	W_CONNECT,
	W_MOUNT,
	W_UNMOUNT,
	W_EJECT,
	W_COMBINE,
	W_UNCOMBINE,
	W_GUEST_NIC_ADD,
	W_GUEST_NIC_REMOVE,
	W_CONTAINER_CREATE,
	W_CONTAINER_DELETE,
	W_CONTAINER_OPEN,
	W_PROCESS_START,
	W_PROCESS_SIGNAL,
	W_PROCESS_ATTACH,
	W_PROCESS_OPEN,
	W_ADOPT,
	W_TRANSFER,
	W_CANCEL,
	W_FINALIZE_STOP,
	W_FINALIZE_RESUME,
	W_SOURCE_INIT,
	W_COMPAT,
	W_SOURCE_START,
	W_GRANT,
	W_DESTINATION_CREATE,
	W_DESTINATION_START,
	W_RECONNECT,
	W_KINDS,
};

static const char *const world_names[W_KINDS] = {
	"create",
	"start",
	"stop",
	"disk_add",
	"disk_remove",
	"nic_add",
	"nic_remove",
	"listen",
	"connect",
	"mount",
	"unmount",
	"eject",
	"combine",
	"uncombine",
	"guest_nic_add",
	"guest_nic_remove",
	"container_create",
	"container_delete",
	"container_open",
	"process_start",
	"process_signal",
	"process_attach",
	"process_open",
	"adopt",
	"transfer",
	"cancel",
	"finalize_stop",
	"finalize_resume",
	"source_init",
	"compat",
	"source_start",
	"grant",
	"destination_create",
	"destination_start",
	"reconnect",
};

enum world_fault {
	WORLD_FAIL_LATER, /* done() with an error */
	WORLD_FAIL_NOW,	  /* the starter refuses */
	WORLD_VM_DIES,	  /* the VM ends instead */
	WORLD_FAULTS,
};

struct world_op {
	enum world_kind kind;
	struct op *op;
	char arg[160];
	char arg2[64];
	struct world *world;
};

/* A set of names: what exists. */
struct world_set {
	char name[WORLD_NAMES][160];
	size_t n;
};

/* The record of one machine; both hosts see it. */
struct world_lease {
	bool there;
	const struct world *holder; /* who has its lock */
	uint64_t epoch;
};

struct world {
	struct sandbox_ctl s;
	struct seams seams;
	struct world_op queue[WORLD_QUEUE];
	size_t n_queue;
	unsigned n_ops;	  /* started so far */
	unsigned fail_at; /* number of the one that fails, 0: none */
	enum world_fault fault;
	bool at_once; /* operations end within their start */
	/* the truth */
	bool vm_exists;
	bool vm_runs;
	bool bridge; /* the guest is connected */
	bool migrating;
	bool listens;
	bool arrived;	    /* destination: the memory is here */
	bool left;	    /* source: the memory is there */
	struct world *peer; /* the other host, for what the guest brings */
	struct world_lease own_lease;
	struct world_lease *lease; /* the one that counts, NULL: none */
	struct lease_claim claim;  /* of the finalize that is under way */
	bool claims;
	bool has_run; /* since the last state was handed out */
	struct session_ctl session;
	struct op held; /* of a call that a test leaves on its way */
	struct world_set disks, nics, mounts, overlays, guest_nics;
	struct world_set containers, processes;
	uint32_t next_pid;
	uint32_t port;
	uint64_t id;
	uint64_t clock;
	/* what containerd heard */
	struct text heard;
	/* the last op of the test */
	int result;
	struct err err;
	bool over;
};

static inline bool set_has(const struct world_set *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->name[i], name) == 0)
			return true;
	return false;
}

static inline void set_add(struct world_set *s, const char *name)
{
	assert_false(set_has(s, name));
	assert_true(s->n < WORLD_NAMES);
	(void)snprintf(s->name[s->n++], sizeof(s->name[0]), "%s", name);
}

static inline void set_drop(struct world_set *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->name[i], name) == 0) {
			memmove(s->name[i], s->name[--s->n],
				sizeof(s->name[0]));
			return;
		}
}

static inline void world_vm_ends(struct world *w)
{
	w->vm_exists = false;
	w->vm_runs = false;
	w->bridge = false;
	w->disks.n = w->nics.n = w->mounts.n = w->overlays.n = 0;
	w->guest_nics.n = w->containers.n = w->processes.n = 0;
	w->arrived = false;
	if (w->lease && w->lease->holder == w)
		w->lease->holder = NULL;
	sandbox_ctl_vm_exited(&w->s);
}

/* Needs a VM, and for what the guest does a bridge. */
static inline bool world_possible(const struct world *w, enum world_kind k)
{
	if (k == W_CREATE || k == W_DESTINATION_CREATE || k == W_LISTEN ||
	    k == W_ADOPT || k == W_STOP || k == W_PROCESS_ATTACH ||
	    k == W_FINALIZE_STOP)
		return true;
	return w->vm_exists;
}

static inline void world_apply_guest(struct world *w, struct world_op *o)
{
	switch ((int)o->kind) {
	case W_MOUNT:
		assert_true(set_has(&w->disks, o->arg2));
		set_add(&w->mounts, o->arg);
		break;
	case W_UNMOUNT:
		assert_true(set_has(&w->disks, o->arg2));
		set_drop(&w->mounts, o->arg);
		break;
	case W_EJECT:
		assert_true(set_has(&w->disks, o->arg));
		break;
	case W_COMBINE:
		set_add(&w->overlays, o->arg);
		break;
	case W_UNCOMBINE:
		set_drop(&w->overlays, o->arg);
		break;
	case W_GUEST_NIC_ADD:
		set_add(&w->guest_nics, o->arg);
		break;
	case W_GUEST_NIC_REMOVE:
		set_drop(&w->guest_nics, o->arg);
		break;
	case W_CONTAINER_CREATE:
		set_add(&w->containers, o->arg);
		break;
	case W_CONTAINER_DELETE:
		set_drop(&w->containers, o->arg);
		break;
	case W_PROCESS_START:
		assert_true(set_has(&w->containers, o->arg2));
		set_add(&w->processes, o->arg);
		o->op->value = ++w->next_pid;
		break;
	case W_PROCESS_SIGNAL:
		o->op->value = set_has(&w->processes, o->arg);
		break;
	default:
		break;
	}
}

/* The guest comes along with all that is in it; the disks have to be there. */
static inline void world_arrive(struct world *w)
{
	const struct world *p = w->peer;
	size_t i;

	w->arrived = true;
	if (!p)
		return;
	for (i = 0; i < p->disks.n; i++)
		assert_true(set_has(&w->disks, p->disks.name[i]));
	w->mounts = p->mounts;
	w->overlays = p->overlays;
	w->guest_nics = p->guest_nics;
	w->containers = p->containers;
	w->processes = p->processes;
	w->next_pid = p->next_pid;
}

static inline void world_transferred(struct world *w)
{
	if (w->s.vm.is_destination) {
		world_arrive(w);
		return;
	}
	w->left = true;
	w->vm_runs = false;
	w->bridge = false;
	if (w->lease)
		w->lease->holder = NULL;
}

static inline int world_claim(struct world *w)
{
	struct world_lease *l = w->lease;

	if (!w->claims || !l)
		return 0;
	if (l->holder == w && l->epoch == w->claim.epoch)
		return 0;
	if ((l->holder && l->holder != w) || l->epoch != w->claim.from)
		return -ESTALE;
	l->holder = w;
	l->epoch = w->claim.epoch;
	return 0;
}

static inline void world_runs(struct world *w)
{
	if (w->s.vm.is_destination)
		assert_true(w->arrived);
	assert_false(w->peer && w->peer->vm_runs); /* never two owners */
	/* Nor one whose disks the other one has written to. */
	assert_false(w->peer && w->peer->has_run);
	w->has_run = w->s.vm.is_destination;
	w->vm_runs = true;
}

static inline void world_apply_move(struct world *w, struct world_op *o)
{
	switch ((int)o->kind) {
	case W_DESTINATION_CREATE:
		assert_false(w->vm_exists);
		w->vm_exists = true;
		break;
	case W_LISTEN:
		w->listens = true;
		break;
	case W_DESTINATION_START:
		assert_true(w->listens);
		break;
	case W_SOURCE_START:
		assert_true(w->migrating);
		break;
	case W_TRANSFER:
		world_transferred(w);
		break;
	case W_FINALIZE_RESUME:
		world_runs(w);
		break;
	case W_FINALIZE_STOP:
		if (w->vm_exists)
			world_vm_ends(w);
		break;
	case W_RECONNECT:
		assert_true(w->vm_runs);
		w->bridge = true;
		break;
	case W_CONTAINER_OPEN:
		assert_true(set_has(&w->containers, o->arg));
		break;
	case W_PROCESS_OPEN:
		o->op->value = set_has(&w->processes, o->arg);
		break;
	default:
		break;
	}
}

static inline void world_cancel_transfer(struct world *w);

static inline void world_apply(struct world *w, struct world_op *o)
{
	world_apply_move(w, o);
	if (o->kind == W_CANCEL)
		world_cancel_transfer(w);

	switch ((int)o->kind) {
	case W_CREATE:
		assert_false(w->vm_exists);
		w->vm_exists = true;
		break;
	case W_START:
		w->vm_runs = true;
		break;
	case W_CONNECT:
		assert_true(w->vm_runs);
		w->bridge = true;
		break;
	case W_STOP:
		if (w->vm_exists)
			world_vm_ends(w);
		break;
	case W_DISK_ADD:
		set_add(&w->disks, o->arg);
		break;
	case W_DISK_REMOVE:
		set_drop(&w->disks, o->arg);
		break;
	case W_NIC_ADD:
		if (!set_has(&w->nics, o->arg))
			set_add(&w->nics, o->arg);
		break;
	case W_NIC_REMOVE:
		set_drop(&w->nics, o->arg);
		break;
	default:
		world_apply_guest(w, o);
	}
}

static inline void world_finish(struct world *w, struct world_op *o, int r)
{
	struct err e = { 0 };

	if (r == 0 && !world_possible(w, o->kind))
		r = -ESHUTDOWN;
	if (r == 0 && o->kind == W_FINALIZE_RESUME)
		r = world_claim(w);
	if (r == 0)
		world_apply(w, o);
	else
		(void)err_set(&e, -r, "%s failed", world_names[o->kind]);
	op_end(o->op, r, &e);
}

/* Lets the operation at @i of the queue happen, or fail with @r. */
static inline void world_let(struct world *w, size_t i, int r)
{
	struct world_op o = w->queue[i];

	memmove(&w->queue[i], &w->queue[i + 1],
		(w->n_queue - i - 1) * sizeof(o));
	w->n_queue--;
	world_finish(w, &o, r);
}

static inline void world_cancel(struct op *op)
{
	struct world *w = op->impl;
	size_t i;

	for (i = 0; i < w->n_queue; i++)
		if (w->queue[i].op == op) {
			world_let(w, i, -ECANCELED);
			return;
		}
}

/* A cancel of the platform: what transfers ends first. */
static inline void world_cancel_transfer(struct world *w)
{
	size_t i;

	for (i = 0; i < w->n_queue; i++)
		if ((w->queue[i].kind & 0xff) == W_TRANSFER) {
			w->queue[i].kind = W_TRANSFER;
			world_let(w, i, -ECANCELED);
			return;
		}
}

static inline int world_start(struct world *w, enum world_kind kind,
			      const char *arg, const char *arg2, struct op *op,
			      struct err *e)
{
	struct world_op o = { .kind = kind, .op = op, .world = w };
	const bool fails = ++w->n_ops == w->fail_at;

	(void)snprintf(o.arg, sizeof(o.arg), "%s", arg);
	(void)snprintf(o.arg2, sizeof(o.arg2), "%s", arg2);
	if (fails && w->fault == WORLD_FAIL_NOW)
		return err_set(e, EIO, "%s refused", world_names[kind]);
	if (fails && w->fault == WORLD_VM_DIES && w->vm_exists)
		world_vm_ends(w);
	if (!world_possible(w, kind))
		return err_set(e, ESHUTDOWN, "no VM");
	op->impl = w;
	op->cancel = world_cancel;
	if (w->at_once) {
		world_finish(w, &o,
			     fails && w->fault == WORLD_FAIL_LATER ? -EIO : 0);
		return 0;
	}
	assert_true(w->n_queue < WORLD_QUEUE);
	o.arg[sizeof(o.arg) - 1] = '\0';
	w->queue[w->n_queue++] = o;
	if (fails && w->fault == WORLD_FAIL_LATER)
		w->queue[w->n_queue - 1].kind |= 0x100; /* marked */
	return 0;
}

/* What happens next: a cancel before what it ends, memory after it was sent. */
static inline size_t world_next(const struct world *w)
{
	size_t i;

	for (i = 0; i < w->n_queue; i++)
		if ((w->queue[i].kind & 0xff) == W_CANCEL)
			return i;
	for (i = 0; i < w->n_queue; i++)
		if ((w->queue[i].kind & 0xff) != W_TRANSFER ||
		    !w->s.vm.is_destination || !w->peer || w->peer->left)
			break;
	return i;
}

/* Everything that waits happens, until nothing waits that can. */
static inline void world_run(struct world *w)
{
	size_t i;

	while ((i = world_next(w)) < w->n_queue) {
		const bool fails = w->queue[i].kind & 0x100;

		w->queue[i].kind &= 0xff;
		world_let(w, i, fails ? -EIO : 0);
	}
}

#include "tests/unit/fake_world_ops.h"

static inline void world_over(struct op *op, int result, const struct err *e)
{
	struct world *w = op->ctx;

	assert_false(w->over);
	w->over = true;
	w->result = result;
	w->err = e ? *e : (struct err){ 0 };
}

static inline struct op *world_op(struct world *w, struct op *op)
{
	*op = (struct op){ .done = world_over, .ctx = w };
	w->over = false;
	w->result = 1;
	return op;
}

/* @r: what the starter said. The result, when everything has come to rest. */
static inline int world_wait(struct world *w, int r)
{
	if (r < 0)
		return r;
	world_run(w);
	assert_true(w->over);
	return w->result;
}

static inline void world_init(struct world *w, const char *id)
{
	memset(w, 0, sizeof(*w));
	text_heap(&w->heard, 65536);
	w->clock = 1000;
	w->port = 0x40000001;
	w->seams = (struct seams){
		.vmm = &world_vmm,
		.vmm_ctx = w,
		.guest = &world_guest,
		.guest_ctx = w,
		.events = &world_events,
		.events_ctx = w,
		.now_ns = world_now,
		.now_ctx = w,
		.seed = { 1, 2, 3 },
	};
	assert_int_equal(sandbox_ctl_init(&w->s, id, &w->seams, NULL), 0);
	session_ctl_init(&w->session, &w->s);
}

static inline void world_done(struct world *w)
{
	assert_int_equal(w->n_queue, 0);
	session_ctl_done(&w->session);
	sandbox_ctl_done(&w->s);
	text_done(&w->heard);
}

static inline unsigned world_count(const struct world *w, const char *what)
{
	const char *p = text_str(&w->heard);
	unsigned n = 0;

	while ((p = strstr(p, what))) {
		n++;
		p++;
	}
	return n;
}

#endif
