/*
 * Theory of operation: a source is a running sandbox whose QEMU is armed, given
 * a socket, and sends. A destination is made when the controllers create it:
 * QEMU waits, every disk and card is plugged at its address, then it is armed
 * as well. Both say the session's number on the socket before QEMU gets it.
 *
 * QEMU cannot call off a destination, so a cancel ends it. Who may run the guest
 * is decided by its lease (tools/lease.h), whatever we think: it is held while
 * the guest may run here, from the export on, and let go when its memory is over
 * or QEMU has ended. QEMU's own locks on writable disks are there besides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "migration/status.h"
#include "tools/handoff.h"
#include "tools/ops_own.h"

/* The guest's agent calls every 10 ms at first, then every 100 ms. */
#define REACH_MS 120000
/*
 * Requests of a destination begin here, until those of the source are known:
 * no wait that the guest has not answered yet can have this number.
 */
#define FIRST_ID ((uint64_t)1 << 32)

static struct vm_move *machine(const struct ops *o, struct err *e)
{
	struct vm_move *m =
		o->ended || !o->c.sandbox ? NULL : sandbox_move(o->c.sandbox);

	if (!m)
		(void)err_set(e, ESHUTDOWN, "the sandbox has ended");
	return m;
}

static void on_op(void *ctx, int result, const struct err *e)
{
	op_end(ctx, result, e);
}

/* --- the socket ------------------------------------------------------------------- */

static void drop_handoff(struct ops *o)
{
	handoff_free(o->move.handoff);
	o->move.handoff = NULL;
}

static void on_taken(void *ctx, int result, int fd, const struct err *e)
{
	struct ops *o = ctx;
	struct op *op = o->move.op;

	o->move.op = NULL;
	fd_close(&o->move.socket);
	o->move.socket = fd;
	op_end(op, result, e);
}

int ops_move_adopt(void *ctx, const void *info, size_t len, struct op *op,
		   struct err *e)
{
	struct ops *o = ctx;
	int r;

	if (o->move.op)
		return err_set(e, EBUSY, "a migration step is under way");
	drop_handoff(o);
	r = handoff_take(o->c.loop, info, len, on_taken, o, &o->move.handoff,
			 e);
	if (r == 0)
		o->move.op = op;
	return r;
}

void ops_move_close(void *ctx)
{
	struct ops *o = ctx;

	if (!o->move.op)
		drop_handoff(o);
	fd_close(&o->move.socket);
}

static void on_given(void *ctx, int result, const struct err *e)
{
	struct ops *o = ctx;
	struct op *op = o->move.op;

	o->move.op = NULL;
	fd_close(&o->move.socket); /* QEMU has it */
	op_end(op, result, e);
}

static void on_agreed(void *ctx, int result, int fd UNUSED, const struct err *e)
{
	struct ops *o = ctx;
	struct op *op = o->move.op;
	struct vm_move *m;
	struct err why = e ? *e : (struct err){ 0 };

	if (result == 0) {
		m = machine(o, &why);
		result = m ? vm_move_give(m, o->move.socket, on_given, o, &why)
			   : -why.code;
	}
	if (result == 0)
		return;
	o->move.op = NULL;
	op_end(op, result, &why);
}

int ops_move_start(void *ctx, uint32_t number, struct op *op, struct err *e)
{
	struct ops *o = ctx;
	int r;

	if (o->move.op)
		return err_set(e, EBUSY, "a migration step is under way");
	if (!machine(o, e))
		return -e->code;
	if (o->move.socket < 0)
		return err_set(e, EPRECONDITION, "there is no transport");
	drop_handoff(o);
	r = fd_nonblock(o->move.socket, false); /* QEMU writes as it likes */
	if (r == 0)
		r = handoff_agree(o->c.loop, o->move.socket, number, on_agreed,
				  o, &o->move.handoff, e);
	if (r == 0)
		o->move.op = op;
	return r;
}

/* --- the source ------------------------------------------------------------------- */

int ops_move_init(void *ctx, const struct vmm_options *options, struct op *op,
		  struct err *e)
{
	struct ops *o = ctx;
	struct vm_move *m = machine(o, e);

	if (!m)
		return -e->code;
	o->move.destination = false; /* it may have been one before */
	o->move.transferred = false;
	return vm_move_arm(m, VM_MOVE_SOURCE, options, on_op, op, e);
}

int ops_move_compat(void *ctx, const void **ret, size_t *ret_len, struct op *op,
		    struct err *e)
{
	const struct ops *o = ctx;
	int r = o->c.compat ? o->c.compat(o->c.ctx, ret, ret_len, e)
			    : err_set(e, ENOTSUP, "it cannot be moved");

	if (r == 0)
		op_end(op, 0, NULL);
	return r;
}

/* --- the destination ---------------------------------------------------------------- */

static void forget_plan(struct ops_move *m)
{
	for (size_t i = 0; i < m->n_disks; i++)
		free((char *)(uintptr_t)m->disk[i].path);
	for (size_t i = 0; i < m->n_nics; i++) {
		free((char *)(uintptr_t)m->nic[i].id);
		free((char *)(uintptr_t)m->nic[i].endpoint);
		free((char *)(uintptr_t)m->nic[i].mac);
	}
	free(m->disk);
	free(m->nic);
	m->disk = NULL;
	m->nic = NULL;
	m->n_disks = m->n_nics = 0;
}

static int plan(struct ops_move *m, const struct vmm_config *c, struct err *e)
{
	bool full = false;

	forget_plan(m);
	m->disk = calloc(c->n_disks + 1, sizeof(*m->disk));
	m->nic = calloc(c->n_nics + 1, sizeof(*m->nic));
	full = !m->disk || !m->nic;
	for (size_t i = 0; i < c->n_disks && !full; i++) {
		m->disk[i] = c->disks[i];
		m->disk[i].path = strdup(c->disks[i].path);
		m->n_disks++;
		full = !m->disk[i].path;
	}
	for (size_t i = 0; i < c->n_nics && !full; i++) {
		m->nic[i].id = strdup(c->nics[i].id);
		m->nic[i].endpoint = strdup(c->nics[i].endpoint);
		m->nic[i].mac = strdup(c->nics[i].mac);
		m->n_nics++;
		full = !m->nic[i].id || !m->nic[i].endpoint || !m->nic[i].mac;
	}
	m->at = 0;
	m->options = c->options ? *c->options : (struct vmm_options){ 0 };
	return full ? err_set(e, ENOMEM, "no memory for a migration") : 0;
}

/* What was begun is of no use without the rest. */
static void give_up(struct ops *o, int result, const struct err *e)
{
	struct op *op = o->move.op;
	const struct err why = *e;

	o->move.op = NULL;
	o->move.making = false;
	if (!o->ended)
		sandbox_kill(o->c.sandbox);
	op_end(op, result, &why);
}

static void on_armed(void *ctx, int result, const struct err *e)
{
	struct ops *o = ctx;
	struct op *op = o->move.op;

	if (result < 0) {
		give_up(o, result, e);
		return;
	}
	o->move.op = NULL;
	o->move.making = false;
	forget_plan(&o->move);
	op_end(op, 0, NULL);
}

static void go_on(struct ops *o);

static void on_plugged(struct op *op, int result, const struct err *e)
{
	struct ops *o = op->ctx;

	if (result < 0)
		give_up(o, result, e);
	else
		go_on(o);
}

/* Disks, cards, then the parameters; one after the other. */
static void go_on(struct ops *o)
{
	struct ops_move *m = &o->move;
	struct op *step = &m->step;
	const size_t at = m->at++;
	struct vm_move *vm;
	struct err e;
	int r;

	*step = (struct op){ .done = on_plugged, .ctx = o };
	if (at < m->n_disks) {
		r = ops_disk_add(o, &m->disk[at], step, &e);
	} else if (at < m->n_disks + m->n_nics) {
		r = ops_nic_add(o, &m->nic[at - m->n_disks], step, &e);
	} else {
		vm = machine(o, &e);
		r = vm ? vm_move_arm(vm, VM_MOVE_DESTINATION, &m->options,
				     on_armed, o, &e)
		       : -e.code;
	}
	if (r < 0)
		give_up(o, r, &e);
}

void ops_waiting(struct ops *o, const struct err *why)
{
	if (!o->move.op || !o->move.making)
		return;
	if (why)
		give_up(o, -why->code, why);
	else
		go_on(o);
}

int ops_move_create(struct ops *o, const struct vmm_config *c, struct op *op,
		    struct err *e)
{
	int r;

	if (o->c.sandbox || !o->c.make)
		return err_set(e, EPRECONDITION, "there is a VM already");
	r = plan(&o->move, c, e);
	if (r == 0)
		r = o->c.make(o->c.ctx, c, &o->c.sandbox, e);
	if (r < 0)
		return r;
	o->client = sandbox_client(o->c.sandbox);
	host_client_observe(o->client, &o->observer);
	host_client_raise_id(o->client, FIRST_ID);
	o->move.destination = true;
	o->move.making = true;
	o->move.op = op;
	return 0;
}

/* It is plugged already; whoever may not open it has failed there. */
int ops_move_grant(void *ctx, const struct vmm_disk *d UNUSED, struct op *op,
		   struct err *e)
{
	if (!machine(ctx, e))
		return -e->code;
	op_end(op, 0, NULL);
	return 0;
}

/* --- both ------------------------------------------------------------------------------ */

static void on_transferred(void *ctx, int result, const struct err *e)
{
	struct ops *o = ctx;
	struct op *op = o->move.transfer;

	o->move.transfer = NULL;
	o->move.transferred = result == 0;
	if (result == 0 && !o->move.destination)
		lease_yield(&o->move.lease); /* it stands still, for good */
	op_end(op, result, e);
}

int ops_move_transfer(void *ctx, struct op *op, struct err *e)
{
	struct ops *o = ctx;
	struct vm_move *m = machine(o, e);
	int r;

	if (!m)
		return -e->code;
	o->move.transfer = op;
	r = vm_move_transfer(m, on_transferred, o, e);
	if (r < 0)
		o->move.transfer = NULL;
	return r;
}

/* Ends when QEMU has; everything else that runs ends with it. */
static int kill_it(struct ops *o, struct op *op, struct err *e)
{
	if (o->stop)
		return err_set(e, EBUSY, "the VM is being stopped");
	o->stop = op;
	sandbox_kill(o->c.sandbox);
	return 0;
}

int ops_move_cancel(void *ctx, struct op *op, struct err *e)
{
	struct ops *o = ctx;
	struct vm_move *m = machine(o, e);

	if (!m)
		return -e->code;
	if (!o->move.destination)
		return vm_move_cancel(m, on_op, op, e);
	if (o->move.transfer)
		return kill_it(o, op, e);
	op_end(op, 0, NULL);
	return 0;
}

int ops_move_hold(void *ctx, const char *path, const char *machine_id,
		  uint64_t epoch, const char **ret, struct err *e)
{
	struct lease *l = &((struct ops *)ctx)->move.lease;
	const int r = lease_hold(l, path, machine_id, epoch, e);

	if (r == 0)
		*ret = l->path;
	return r;
}

int ops_move_open(void *ctx, const char *path, const struct lease_claim *claim,
		  struct err *e)
{
	return lease_open(&((struct ops *)ctx)->move.lease, path, claim, e);
}

/* Whether it ran is known unless QEMU was told and did not answer. */
static void on_resumed(void *ctx, int result, const struct err *e)
{
	struct ops *o = ctx;
	struct op *op = o->move.resume;
	const struct vm_move *m = sandbox_move(o->c.sandbox);

	o->move.resume = NULL;
	if (result < 0 && m && !vm_move_was_told(m))
		lease_undo(&o->move.lease);
	op_end(op, result, e);
}

static int resume(struct ops *o, struct vm_move *m,
		  const struct lease_claim *claim, struct op *op, struct err *e)
{
	int r = o->move.resume
			? err_set(e, EBUSY, "a migration step is under way")
			: 0;

	if (r == 0 && claim)
		r = lease_take(&o->move.lease, claim, e);
	if (r < 0)
		return r;
	o->move.resume = op;
	r = vm_move_resume(m, on_resumed, o, e);
	if (r < 0) {
		o->move.resume = NULL;
		lease_undo(&o->move.lease);
	}
	return r;
}

int ops_move_finalize(void *ctx, enum vmm_outcome outcome,
		      const struct lease_claim *claim, struct op *op,
		      struct err *e)
{
	struct ops *o = ctx;
	struct vm_move *m = machine(o, e);

	if (!m && outcome == VMM_STOP) {
		op_end(op, 0, NULL);
		return 0;
	}
	if (!m)
		return -e->code;
	return outcome == VMM_STOP ? kill_it(o, op, e)
				   : resume(o, m, claim, op, e);
}

const struct lease *ops_lease(const struct ops *o)
{
	return &o->move.lease;
}

static void on_reached(void *ctx, const struct err *why)
{
	struct ops *o = ctx;
	struct op *op = o->move.reach;

	o->move.reach = NULL;
	if (op) /* else the sandbox has ended */
		op_end(op, why ? -why->code : 0, why);
}

int ops_move_reach(struct ops *o, struct op *op, struct err *e)
{
	struct host_client *c = ops_client(o, e);
	int r;

	if (!c)
		return -e->code;
	o->move.reach = op;
	r = host_client_resume(c, REACH_MS, on_reached, o, e);
	if (r < 0)
		o->move.reach = NULL;
	return r;
}

/* --- its end ------------------------------------------------------------------------------ */

void ops_move_ended(struct ops *o, const struct err *why)
{
	struct op *op = o->move.op;
	struct op *reach = o->move.reach;

	drop_handoff(o);
	lease_yield(&o->move.lease);
	o->move.op = NULL;
	o->move.reach = NULL;
	if (op)
		op_end(op, -why->code, why);
	if (reach)
		op_end(reach, -why->code, why);
}

void ops_move_done(struct ops *o)
{
	drop_handoff(o);
	fd_close(&o->move.socket);
	lease_close(&o->move.lease);
	forget_plan(&o->move);
}
