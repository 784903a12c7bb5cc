/*
 * Theory of operation, beside that of the header. One struct item for each
 * address that was ever used. Its step is the QMP command that is on its way,
 * or what it waits for; each answer leads to the next step by one function for
 * the step. @why keeps the first failure while what was done is undone.
 *
 * The guest's letting go (the event DEVICE_DELETED) may come before the answer
 * to the command that asked for it: it is noted, and looked at afterwards.
 */
#include "tools/qemu/plug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"
#include "tools/qemu/plug_args.h"

#define DISKS (QEMU_SCSI_MAX * QEMU_LUNS)
#define ITEMS (DISKS + QEMU_NICS_MAX)

enum step {
	STEP_GONE,
	STEP_PASS,	   /* adding: the descriptor goes to QEMU */
	STEP_ADD_BACKEND,  /* adding */
	STEP_ADD_DEVICE,   /* adding */
	STEP_UNDO_PASS,	   /* the backend was refused */
	STEP_UNDO_BACKEND, /* the device was refused */
	STEP_THERE,
	STEP_ASK,	  /* removing: device_del */
	STEP_WAIT,	  /* removing: for DEVICE_DELETED */
	STEP_DEL_BACKEND, /* removing, or late from STEP_STUCK */
	STEP_STUCK,	  /* asked to go and has not gone */
	STEP_LEFT,	  /* the device is gone, its backend is not */
};

struct item {
	struct plug *p;
	bool nic;
	struct plug_names names;
	enum step step;
	bool passed;	/* a descriptor went before the backend */
	bool deleted;	/* DEVICE_DELETED has come */
	bool undo_wait; /* the device goes because adding failed */
	plug_done_fn *done;
	void *ctx;
	struct err why;	     /* code 0: none */
	struct text backend; /* arguments of the commands that add */
	struct text device;
	struct loop_id timer;
	int64_t deadline_ms;
};

struct plug {
	struct loop *loop;
	struct qmp *qmp; /* NULL: the UVM is not there yet, or has ended */
	bool down;
	uint32_t scsi;
	uint32_t nics;
	struct item *item[ITEMS];
};

static void on_answer(void *ctx, int result, const struct qmp_data *data,
		      const struct err *e);

/* The operation is over; the item stays as @step says. */
static void finish(struct item *i, enum step step, const struct err *why)
{
	plug_done_fn *const done = i->done;
	void *const ctx = i->ctx;
	const struct err e = why ? *why : (struct err){ 0 };

	loop_cancel(i->p->loop, &i->timer);
	i->step = step;
	i->done = NULL;
	i->undo_wait = false;
	i->why = (struct err){ 0 };
	if (step == STEP_GONE) {
		text_done(&i->backend);
		text_done(&i->device);
	}
	if (done)
		done(ctx, -e.code, e.code ? &e : NULL);
}

/* --- commands ----------------------------------------------------------------- */

static int send_id(struct item *i, const char *command, const char *member,
		   const char *name, qmp_answer_fn *fn, struct err *e)
{
	char args[2 * PLUG_NAME_MAX + 16];

	(void)snprintf(args, sizeof(args), "{\"%s\":\"%s\"}", member, name);
	return qmp_send(i->p->qmp, command, args, PLUG_STEP_MS, fn, i, e);
}

static int send_step(struct item *i, enum step step, struct err *e)
{
	switch (step) {
	case STEP_ADD_BACKEND:
		return qmp_send(
			i->p->qmp, i->nic ? "netdev_add" : "blockdev-add",
			text_str(&i->backend), PLUG_STEP_MS, on_answer, i, e);
	case STEP_ADD_DEVICE:
		return qmp_send(i->p->qmp, "device_add", text_str(&i->device),
				PLUG_STEP_MS, on_answer, i, e);
	case STEP_UNDO_PASS:
		return send_id(i, "closefd", "fdname", i->names.fd, on_answer,
			       e);
	case STEP_ASK:
		return send_id(i, "device_del", "id", i->names.device,
			       on_answer, e);
	case STEP_UNDO_BACKEND:
	case STEP_DEL_BACKEND:
		return send_id(i, i->nic ? "netdev_del" : "blockdev-del",
			       i->nic ? "id" : "node-name", i->names.backend,
			       on_answer, e);
	case STEP_GONE:
	case STEP_PASS:
	case STEP_THERE:
	case STEP_WAIT:
	case STEP_STUCK:
	case STEP_LEFT:
		break;
	}
	return err_set(e, EINVAL, "no command for step %d", (int)step);
}

/* Where an item is left when the command of a step cannot even be sent. */
static enum step left_at(enum step step)
{
	switch (step) {
	case STEP_ASK:
		return STEP_THERE;
	case STEP_UNDO_BACKEND:
	case STEP_DEL_BACKEND:
	case STEP_ADD_DEVICE:
		return STEP_LEFT;
	case STEP_GONE:
	case STEP_PASS:
	case STEP_ADD_BACKEND:
	case STEP_UNDO_PASS:
	case STEP_THERE:
	case STEP_WAIT:
	case STEP_STUCK:
	case STEP_LEFT:
		break;
	}
	return STEP_GONE;
}

static void go(struct item *i, enum step step)
{
	struct err e = { 0 };

	i->step = step;
	if (send_step(i, step, &e) < 0)
		finish(i, left_at(step), i->why.code ? &i->why : &e);
}

/* --- removing -------------------------------------------------------------------- */

static void on_leave(void *ctx);

static void wait_more(struct item *i)
{
	const int64_t now = loop_now_ms(i->p->loop);
	int64_t next = now + PLUG_AGAIN_MS;
	struct err e;

	if (next > i->deadline_ms)
		next = i->deadline_ms;
	if (loop_at(i->p->loop, next, on_leave, i, &i->timer, &e) < 0)
		finish(i, STEP_STUCK, &e);
}

/* Once more, for a guest that was not listening; what QEMU says is old news. */
static void on_leave(void *ctx)
{
	struct item *i = ctx;
	struct err e;

	if (loop_now_ms(i->p->loop) >= i->deadline_ms) {
		(void)err_set(&e, ETIMEDOUT,
			      "the guest does not let %s go within %d s",
			      i->names.device, PLUG_LEAVE_MS / 1000);
		finish(i, STEP_STUCK, i->why.code ? &i->why : &e);
		return;
	}
	(void)send_id(i, "device_del", "id", i->names.device, NULL, &e);
	wait_more(i);
}

static void wait_deleted(struct item *i)
{
	i->step = STEP_WAIT;
	i->deadline_ms = loop_now_ms(i->p->loop) + PLUG_LEAVE_MS;
	wait_more(i);
}

static void asked(struct item *i, int result, const struct err *e)
{
	/* It is on its way out already, or was never there. */
	const bool going = result < 0 && strstr(e->text, "unplug");
	const bool absent = result < 0 && strstr(e->text, "not found");

	if (i->deleted || absent)
		go(i, STEP_DEL_BACKEND);
	else if (result == 0 || going || i->undo_wait)
		wait_deleted(i);
	else
		finish(i, STEP_THERE, e);
}

/* --- adding ---------------------------------------------------------------------- */

static void added(struct item *i, int result, const struct err *e)
{
	if (result == 0) {
		finish(i, STEP_THERE, NULL);
		return;
	}
	i->why = *e;
	/* Without an answer nobody knows whether it is there. */
	i->undo_wait = result == -ETIMEDOUT;
	i->deleted = false;
	go(i, i->undo_wait ? STEP_ASK : STEP_UNDO_BACKEND);
}

static void backed(struct item *i, int result, const struct err *e)
{
	if (result == 0) {
		go(i, STEP_ADD_DEVICE);
		return;
	}
	i->why = *e;
	if (result == -ETIMEDOUT)
		go(i, STEP_UNDO_BACKEND);
	else if (i->passed)
		go(i, STEP_UNDO_PASS);
	else
		finish(i, STEP_GONE, e);
}

/* What was begun is undone, or the removal is over. */
static void cleared(struct item *i, int result, const struct err *e)
{
	const struct err why = i->why;
	const bool gone = result == 0 || strstr(e->text, "not found") ||
			  strstr(e->text, "Failed to find");

	if (why.code)
		finish(i, gone ? STEP_GONE : STEP_LEFT, &why);
	else
		finish(i, gone ? STEP_GONE : STEP_LEFT, gone ? NULL : e);
}

static void on_answer(void *ctx, int result, const struct qmp_data *data UNUSED,
		      const struct err *e)
{
	struct item *i = ctx;

	if (!i->p->qmp)
		return; /* plug_down() has told it */
	if (result < 0 && result != -EREMOTEIO && result != -ETIMEDOUT) {
		plug_down(i->p); /* the monitor is gone, the UVM will be */
		return;
	}
	switch (i->step) {
	case STEP_PASS:
		if (result == 0)
			go(i, STEP_ADD_BACKEND);
		else
			finish(i, STEP_GONE, e);
		break;
	case STEP_ADD_BACKEND:
		backed(i, result, e);
		break;
	case STEP_ADD_DEVICE:
		added(i, result, e);
		break;
	case STEP_UNDO_PASS:
	case STEP_UNDO_BACKEND:
	case STEP_DEL_BACKEND:
		cleared(i, result, e);
		break;
	case STEP_ASK:
		asked(i, result, e);
		break;
	case STEP_GONE:
	case STEP_THERE:
	case STEP_WAIT:
	case STEP_STUCK:
	case STEP_LEFT:
		break;
	}
}

/* --- events ----------------------------------------------------------------------- */

static void on_deleted(struct item *i)
{
	i->deleted = true;
	if (i->step != STEP_WAIT && i->step != STEP_STUCK)
		return;
	loop_cancel(i->p->loop, &i->timer);
	go(i, STEP_DEL_BACKEND);
}

static void on_refused(struct item *i)
{
	struct err e;

	if (i->step != STEP_WAIT)
		return;
	(void)err_set(&e, EBUSY, "the guest keeps %s", i->names.device);
	finish(i, STEP_THERE, &e);
}

void plug_event(struct plug *p, const char *name, const struct qmp_data *data)
{
	const bool deleted = strcmp(name, "DEVICE_DELETED") == 0;
	const bool refused = strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR") == 0;
	const char *device = qmp_data_text(data, "device");

	if (!p->qmp || !device || (!deleted && !refused))
		return;
	for (size_t n = 0; n < ITEMS; n++) {
		struct item *i = p->item[n];

		if (!i || strcmp(i->names.device, device) != 0)
			continue;
		if (deleted)
			on_deleted(i);
		else
			on_refused(i);
		return;
	}
}

/* --- the table ---------------------------------------------------------------------- */

static int address(const struct plug *p, bool nic, uint32_t a, uint32_t b,
		   size_t *ret, struct err *e)
{
	if (nic && a >= p->nics)
		return err_set(e, EINVAL, "no port %u for a card: there are %u",
			       a, p->nics);
	if (!nic && (a >= p->scsi || b >= QEMU_LUNS))
		return err_set(
			e, EINVAL,
			"no disk at controller %u, LUN %u: there are %u controllers with %u LUNs",
			a, b, p->scsi, QEMU_LUNS);
	*ret = nic ? DISKS + a : a * QEMU_LUNS + b;
	return 0;
}

static int item_at(struct plug *p, bool nic, uint32_t a, uint32_t b,
		   struct item **ret, struct err *e)
{
	size_t n = 0;
	const int r = address(p, nic, a, b, &n, e);

	if (r < 0)
		return r;
	if (!p->item[n]) {
		struct item *i = calloc(1, sizeof(*i));

		if (!i)
			return err_set(e, ENOMEM, "no memory for a device");
		i->p = p;
		i->nic = nic;
		if (nic)
			plug_nic_names(a, &i->names);
		else
			plug_disk_names(a, b, &i->names);
		p->item[n] = i;
	}
	*ret = p->item[n];
	return 0;
}

static int ready(const struct plug *p, struct err *e)
{
	if (p->down)
		return err_set(e, ESHUTDOWN, "the UVM has ended");
	if (!p->qmp)
		return err_set(e, ENOTCONN, "QEMU's monitor is not there yet");
	return 0;
}

/* The item at an address that is free to be used for something new. */
static int vacant(struct plug *p, bool nic, uint32_t a, uint32_t b,
		  struct item **ret, struct err *e)
{
	struct item *i = NULL;
	int r = ready(p, e);

	if (r == 0)
		r = item_at(p, nic, a, b, &i, e);
	if (r < 0)
		return r;
	if (i->step == STEP_THERE)
		return err_set(e, EEXIST, "%s is there already",
			       i->names.device);
	if (i->step != STEP_GONE)
		return err_set(e, EBUSY, "%s is on its way", i->names.device);
	text_heap(&i->backend, PLUG_ARGS_MAX);
	text_heap(&i->device, PLUG_ARGS_MAX);
	*ret = i;
	return 0;
}

/* The first command of adding; @i has its texts, or they are freed. */
static int begin(struct item *i, int fd, plug_done_fn *done, void *ctx,
		 struct err *e)
{
	char args[2 * PLUG_NAME_MAX + 16];
	int r;

	i->step = fd >= 0 ? STEP_PASS : STEP_ADD_BACKEND;
	i->passed = fd >= 0;
	i->deleted = false;
	if (fd >= 0) {
		(void)snprintf(args, sizeof(args), "{\"fdname\":\"%s\"}",
			       i->names.fd);
		r = qmp_send_fd(i->p->qmp, "getfd", args, fd, PLUG_STEP_MS,
				on_answer, i, e);
	} else {
		r = send_step(i, i->step, e);
	}
	if (r < 0) {
		i->done = NULL;
		finish(i, STEP_GONE, NULL);
		return r;
	}
	i->done = done;
	i->ctx = ctx;
	return 0;
}

/* Undoes what came before the first command. */
static int drop(struct item *i, int r)
{
	finish(i, STEP_GONE, NULL);
	return r;
}

int plug_disk_add(struct plug *p, const struct plug_disk *d, plug_done_fn *done,
		  void *ctx, struct err *e)
{
	struct item *i = NULL;
	int r = vacant(p, false, d->controller, d->lun, &i, e);

	if (r < 0)
		return r;
	r = plug_disk_backend(d, &i->backend, e);
	if (r < 0)
		return drop(i, r);
	plug_disk_device(d, &i->device);
	return begin(i, -1, done, ctx, e);
}

int plug_nic_add(struct plug *p, const struct plug_nic *n, plug_done_fn *done,
		 void *ctx, struct err *e)
{
	struct item *i = NULL;
	int r = vacant(p, true, n->port, 0, &i, e);

	if (r < 0)
		return r;
	r = plug_nic_device(n, &i->device, e);
	if (r == 0)
		r = plug_nic_backend(n, &i->backend, e);
	if (r < 0)
		return drop(i, r);
	return begin(i, n->net == PLUG_NET_TAP ? n->fd : -1, done, ctx, e);
}

static int remove_item(struct plug *p, bool nic, uint32_t a, uint32_t b,
		       plug_done_fn *done, void *ctx, struct err *e)
{
	size_t n = 0;
	struct item *i;
	enum step step;
	int r = ready(p, e);

	if (r == 0)
		r = address(p, nic, a, b, &n, e);
	if (r < 0)
		return r;
	i = p->item[n];
	if (!i || i->step == STEP_GONE)
		return err_set(e, ENOENT,
			       nic ? "no card in port %u" : "no disk at %u/%u",
			       a, b);
	if (i->step != STEP_THERE && i->step != STEP_STUCK &&
	    i->step != STEP_LEFT)
		return err_set(e, EBUSY, "%s is on its way", i->names.device);
	step = i->step == STEP_LEFT ? STEP_DEL_BACKEND : STEP_ASK;
	i->deleted = false;
	r = send_step(i, step, e);
	if (r < 0)
		return r;
	i->step = step;
	i->done = done;
	i->ctx = ctx;
	return 0;
}

int plug_disk_remove(struct plug *p, uint32_t controller, uint32_t lun,
		     plug_done_fn *done, void *ctx, struct err *e)
{
	return remove_item(p, false, controller, lun, done, ctx, e);
}

int plug_nic_remove(struct plug *p, uint32_t port, plug_done_fn *done,
		    void *ctx, struct err *e)
{
	return remove_item(p, true, port, 0, done, ctx, e);
}

static bool there(const struct plug *p, bool nic, uint32_t a, uint32_t b)
{
	size_t n = 0;

	return address(p, nic, a, b, &n, NULL) == 0 && p->item[n] &&
	       p->item[n]->step == STEP_THERE;
}

bool plug_disk_there(const struct plug *p, uint32_t controller, uint32_t lun)
{
	return there(p, false, controller, lun);
}

bool plug_nic_there(const struct plug *p, uint32_t port)
{
	return there(p, true, port, 0);
}

/* --- life ------------------------------------------------------------------------------ */

int plug_new(struct plug **ret, struct loop *l, uint32_t scsi, uint32_t nics,
	     struct err *e)
{
	struct plug *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(e, ENOMEM, "no memory for devices");
	p->loop = l;
	p->scsi = scsi;
	p->nics = nics;
	*ret = p;
	return 0;
}

void plug_up(struct plug *p, struct qmp *q)
{
	p->qmp = q;
}

void plug_down(struct plug *p)
{
	struct err e;

	p->qmp = NULL;
	p->down = true;
	(void)err_set(&e, ESHUTDOWN, "the UVM has ended");
	for (size_t n = 0; n < ITEMS; n++)
		if (p->item[n])
			finish(p->item[n], STEP_GONE, &e);
}

void plug_free(struct plug *p)
{
	if (!p)
		return;
	for (size_t n = 0; n < ITEMS; n++) {
		struct item *i = p->item[n];

		if (!i)
			continue;
		loop_cancel(p->loop, &i->timer);
		text_done(&i->backend);
		text_done(&i->device);
		free(i);
	}
	free(p);
}
