/*
 * Every state of both sides x every event x the failure of every operation
 * that the event starts, in each way in which it can fail, and a cancel at each
 * of them. After each: nothing hangs, cancel works, there is a way out to idle,
 * and at its end there is one owner, or none and everybody was told.
 */
#include "tests/unit/fake_move.h"

enum every_fault {
	EVERY_NONE,
	EVERY_FAIL_LATER,
	EVERY_FAIL_NOW,
	EVERY_VM_DIES,
	EVERY_CANCELLED, /* a cancel while the operation runs */
	EVERY_FAULTS,
};

enum every_event {
	EVERY_EXPORT,
	EVERY_IMPORT,
	EVERY_PATCH,
	EVERY_PREPARE,
	EVERY_SOCKET,
	EVERY_TRANSFER,
	EVERY_CANCEL,
	EVERY_STOP,
	EVERY_RESUME,
	EVERY_CLEANUP,
	EVERY_SOCKET_LATE,
	EVERY_IDLE,
	EVERY_VM_EXIT,
	EVERY_PROCESS_EXIT,
	EVERY_EVENTS,
};

static unsigned long explored, refused;
static bool reached[2][SESSION_STATES];

/* --- reaching a state --- */

static bool reach(struct move *m, bool src, enum session_state state)
{
	struct world *w = src ? &m->src : &m->dst;

	move_init(m);
	switch ((int)state) {
	case SESSION_IDLE:
		if (!src)
			move_reach_source(m, SESSION_SOURCE_EXPORTED);
		return true;
	case SESSION_SOURCE_PREPARED:
		if (!src)
			return false;
		(void)session_ctl_export(&w->session, MOVE_ID, NULL,
					 world_op(w, &w->held), &m->e);
		return true;
	case SESSION_CANCELLING:
	case SESSION_CANCELLED:
	case SESSION_FINALIZED:
	case SESSION_FAILED:
		break;
	default:
		if (src ? state == SESSION_DESTINATION_IMPORTED ||
				    state == SESSION_DESTINATION_PREPARED
			: state == SESSION_SOURCE_EXPORTED)
			return false;
		if (src) {
			move_reach_source(m, state);
			return true;
		}
		move_reach_source(m, state == SESSION_TRANSFER_COMPLETED
					     ? state
					     : SESSION_SOURCE_EXPORTED);
		move_reach_destination(m, state);
		return true;
	}
	/* The last four are reached from a running transfer. */
	if (src) {
		move_reach_source(m, SESSION_TRANSFERRING);
	} else {
		move_reach_source(m, SESSION_SOURCE_EXPORTED);
		move_reach_destination(m, SESSION_TRANSFERRING);
	}
	if (state == SESSION_FAILED) {
		world_let(w, 0, -EIO);
		return true;
	}
	if (state == SESSION_CANCELLING) {
		(void)session_ctl_cancel(&w->session, MOVE_ID,
					 world_op(w, &w->held), &m->e);
		return true;
	}
	assert_int_equal(move_cancel(m, w), 0);
	if (state == SESSION_FINALIZED)
		assert_int_equal(
			move_finalize(m, w, src ? VMM_RESUME : VMM_STOP), 0);
	return true;
}

/* --- one event --- */

static int apply(struct move *m, struct world *w, enum every_event event,
		 struct op *op)
{
	struct session_ctl *s = &w->session;
	const char *id = s->id[0] ? s->id : MOVE_ID;
	static const char *const layers[] = { "/there/base", "/there/app" };
	const struct session_patch patch = {
		.source_id = "c",
		.id = "c9",
		.bundle = "/b",
		.layers = layers,
		.n_layers = 2,
		.scratch = "/there/s9",
	};

	switch (event) {
	case EVERY_EXPORT:
		return session_ctl_export(s, id, NULL, op, &m->e);
	case EVERY_IMPORT:
		return session_ctl_import(s, id, "n",
					  m->src.session.exported.buf,
					  m->src.session.exported.len, &m->e);
	case EVERY_PATCH:
		return session_ctl_patch(s, &patch, op, &m->e);
	case EVERY_PREPARE:
		return session_ctl_prepare(s, id, NULL, op, &m->e);
	case EVERY_SOCKET:
		return session_ctl_socket(s, id, "x", 1, op, &m->e);
	case EVERY_TRANSFER:
		return session_ctl_transfer(s, id, &m->e);
	case EVERY_CANCEL:
		return session_ctl_cancel(s, s->id, op, &m->e);
	case EVERY_STOP:
		return session_ctl_finalize(s, s->id, VMM_STOP, op, &m->e);
	case EVERY_RESUME:
		return session_ctl_finalize(s, s->id, VMM_RESUME, op, &m->e);
	case EVERY_CLEANUP:
		return session_ctl_cleanup(s, s->id, op, &m->e);
	case EVERY_SOCKET_LATE:
		session_ctl_socket_late(s);
		return 0;
	case EVERY_IDLE:
		(void)session_ctl_idle(s);
		return 0;
	case EVERY_VM_EXIT:
		if (w->vm_exists)
			world_vm_ends(w);
		return 0;
	case EVERY_PROCESS_EXIT:
		world_exit(w, "c", "", 3);
		return 0;
	case EVERY_EVENTS:
		break;
	}
	return 0;
}

static void ignore(struct op *op UNUSED, int result UNUSED,
		   const struct err *e UNUSED)
{
}

/* --- what has to hold --- */

static void assert_at_rest(const struct world *w)
{
	size_t i;

	assert_null(w->session.op);
	assert_false(w->session.seq.busy);
	assert_false(w->session.cancelling.busy);
	assert_null(w->session.wait_op);
	for (i = 0; i < w->n_queue; i++) /* memory that nobody sends */
		assert_int_equal(w->queue[i].kind & 0xff, W_TRANSFER);
}

static unsigned told(const struct world *w, const char *what)
{
	return world_count(w, what);
}

/* The VM runs here and everything is thawed, or it ended and all was told. */
static void assert_settled(const struct world *w, bool src)
{
	const struct container_ctl *c;
	const struct pod_ctl *p;

	assert_int_equal(w->session.state, SESSION_IDLE);
	if (w->s.vm.state == VM_RUNNING) {
		assert_true(w->vm_runs);
		assert_true(w->bridge);
		assert_false(w->migrating);
		assert_int_equal(w->s.vm.scsi.state, SCSI_READY);
	} else {
		assert_true(w->s.vm.state == VM_TERMINATED ||
			    w->s.vm.state == VM_NOT_CREATED);
		assert_false(w->vm_exists);
	}
	for (p = w->s.pods; p; p = p->next) {
		assert_false(p->migrating);
		for (c = p->containers; c; c = c->next) {
			if (w->s.vm.state != VM_RUNNING)
				assert_int_equal(c->state, CONTAINER_STOPPED);
			else
				assert_true(c->state == CONTAINER_RUNNING ||
					    c->state == CONTAINER_STOPPED);
			if (c->state == CONTAINER_STOPPED) {
				char exit[64];

				(void)snprintf(exit, sizeof(exit),
					       "exit %s=", c->id);
				assert_int_equal(told(w, exit), 1);
			}
		}
	}
	if (src && w->s.vm.state != VM_RUNNING)
		assert_int_equal(told(w, "exit"), 2);
}

/*
 * What an orchestrator does that only knows that something went wrong: cancel,
 * then resume a source unless the destination runs, else stop, then clean up.
 */
static void leave(struct move *m, struct world *w, bool src)
{
	int r;

	w->fail_at = 0;
	world_run(w);
	if (w->session.state == SESSION_IDLE)
		return;
	assert_int_equal(move_cancel(m, w), 0);
	r = -1;
	if (src && !m->dst.vm_runs)
		r = move_finalize(m, w, VMM_RESUME);
	if (r < 0)
		r = move_finalize(m, w, VMM_STOP);
	if (r < 0) /* a destination that had been let run */
		r = move_finalize(m, w, VMM_RESUME);
	assert_int_equal(r, 0);
	assert_int_equal(move_cleanup(m, w), 0);
}

/* Cancel after @n operations of the event have happened. */
static void cancel_behind(struct move *m, struct world *w, unsigned n)
{
	struct op op = { .done = ignore };
	unsigned i;
	size_t at;

	for (i = 1; i < n && (at = world_next(w)) < w->n_queue; i++)
		world_let(w, at, 0);
	(void)session_ctl_cancel(&w->session, w->session.id, &op, &m->e);
	world_run(w);
}

/* Return: the fault came to pass, so there may be a later operation. */
static bool explore(bool src, enum session_state state, enum every_event event,
		    enum every_fault fault, unsigned n)
{
	struct op op = { .done = ignore };
	unsigned before;
	struct world *w;
	struct move m;
	bool hit;
	int r;

	if (!reach(&m, src, state)) {
		move_done(&m);
		return false;
	}
	w = src ? &m.src : &m.dst;
	assert_int_equal(w->session.state, state);
	reached[!src][state] = true;
	before = w->n_ops;
	if (fault != EVERY_NONE && fault != EVERY_CANCELLED) {
		w->fail_at = before + n;
		w->fault = fault == EVERY_FAIL_LATER ? WORLD_FAIL_LATER
			   : fault == EVERY_FAIL_NOW ? WORLD_FAIL_NOW
						     : WORLD_VM_DIES;
	}
	r = apply(&m, w, event, &op);
	refused += r < 0;
	if (fault == EVERY_CANCELLED)
		cancel_behind(&m, w, n);
	world_run(w);
	hit = w->n_ops >= before + n;
	assert_at_rest(w);
	explored++;
	leave(&m, w, src);
	assert_settled(w, src);
	if (src)
		m.dst.n_queue = 0;
	leave(&m, src ? &m.dst : &m.src, !src);
	/* Never two, and none only where the VM died or was given up. */
	assert_false(m.src.vm_runs && m.dst.vm_runs);
	m.src.n_queue = m.dst.n_queue = 0;
	m.src.session.transfer.busy = m.dst.session.transfer.busy = false;
	move_done(&m);
	return hit && n < 40;
}

static void explore_side(bool src)
{
	unsigned state, event, fault, n;

	for (state = 0; state < SESSION_STATES; state++)
		for (event = 0; event < EVERY_EVENTS; event++)
			for (fault = 0; fault < EVERY_FAULTS; fault++)
				for (n = 1;
				     explore(src, (enum session_state)state,
					     (enum every_event)event,
					     (enum every_fault)fault, n) &&
				     fault != EVERY_NONE;
				     n++)
					;
}

static void test_every_state_event_and_failure(void **state UNUSED)
{
	unsigned i;

	explore_side(true);
	explore_side(false);
	for (i = 0; i < SESSION_STATES; i++) {
		const bool only_dst = i == SESSION_DESTINATION_IMPORTED ||
				      i == SESSION_DESTINATION_PREPARED;
		const bool only_src = i == SESSION_SOURCE_PREPARED ||
				      i == SESSION_SOURCE_EXPORTED;

		assert_int_equal(reached[0][i], !only_dst);
		assert_int_equal(reached[1][i], !only_src);
	}
	print_message("explored %lu cases, %lu calls refused\n", explored,
		      refused);
	assert_true(explored > 1000);
}

/* --- both sides, one fault anywhere, an orchestrator that rolls back --- */

/* Return: 0 moved, -1 rolled back */
static int whole(struct move *m)
{
	if (move_export(m) < 0 || move_import(m) < 0 || move_patch(m) < 0 ||
	    move_prepare(m) < 0 || move_socket(m, &m->src) < 0 ||
	    move_socket(m, &m->dst) < 0 || move_transfer(m, &m->src) < 0 ||
	    move_transfer(m, &m->dst) < 0)
		return -1;
	world_run(&m->src);
	world_run(&m->dst);
	if (m->src.session.state != SESSION_TRANSFER_COMPLETED ||
	    m->dst.session.state != SESSION_TRANSFER_COMPLETED)
		return -1;
	/* Given up here first, and for sure, before it runs there. */
	if (move_finalize(m, &m->src, VMM_STOP) < 0 &&
	    move_finalize(m, &m->src, VMM_STOP) < 0)
		return -1;
	if (move_finalize(m, &m->dst, VMM_RESUME) < 0 &&
	    move_finalize(m, &m->dst, VMM_RESUME) < 0)
		return -1;
	(void)move_cleanup(m, &m->src);
	(void)move_cleanup(m, &m->dst);
	return 0;
}

static void roll_back(struct move *m)
{
	m->src.fail_at = m->dst.fail_at = 0;
	if (m->dst.session.state != SESSION_IDLE) {
		assert_int_equal(move_cancel(m, &m->dst), 0);
		if (move_finalize(m, &m->dst, VMM_STOP) < 0)
			assert_int_equal(move_finalize(m, &m->dst, VMM_RESUME),
					 0);
		assert_int_equal(move_cleanup(m, &m->dst), 0);
	}
	leave(m, &m->src, true);
}

static void test_one_fault_anywhere_leaves_one_owner(void **state UNUSED)
{
	unsigned side, fault, n, moved = 0, back = 0, none = 0;

	for (side = 0; side < 2; side++)
		for (fault = 0; fault < WORLD_FAULTS; fault++)
			for (n = 1; n < 60; n++) {
				struct world *w;
				struct move m;
				bool hit;

				move_init(&m);
				w = side ? &m.dst : &m.src;
				w->fail_at = n;
				w->fault = fault;
				if (whole(&m) < 0) {
					roll_back(&m);
					back++;
				} else {
					moved++;
				}
				hit = w->n_ops >= n;
				assert_settled(&m.src, true);
				assert_settled(&m.dst, false);
				assert_false(m.src.vm_runs && m.dst.vm_runs);
				if (!m.src.vm_runs && !m.dst.vm_runs) {
					/* Only the death of the VM itself. */
					assert_int_equal(fault, WORLD_VM_DIES);
					none++;
				}
				explored++;
				move_done(&m);
				if (!hit)
					break;
			}
	print_message("%u moved, %u rolled back, %u of them to no VM\n", moved,
		      back, none);
}

/* --- an orchestrator that resumes and stops whatever it likes --- */

enum hostile {
	HOSTILE_RESUME_SRC,
	HOSTILE_RESUME_DST,
	HOSTILE_STOP_SRC,
	HOSTILE_STOP_DST,
	HOSTILE_CANCEL_SRC,
	HOSTILE_CANCEL_DST,
	HOSTILE_KILL_SRC,
	HOSTILE_KILL_DST,
	HOSTILES,
};

#define HOSTILE_STEPS 9u
#define HOSTILE_ACTS 3u

static void go_so_far(struct move *m, unsigned steps)
{
	unsigned at = 0;

	(void)(at++ < steps && move_export(m));
	(void)(at++ < steps && move_import(m));
	(void)(at++ < steps && move_patch(m));
	(void)(at++ < steps && move_prepare(m));
	(void)(at++ < steps && move_socket(m, &m->src));
	(void)(at++ < steps && move_socket(m, &m->dst));
	(void)(at++ < steps && move_transfer(m, &m->src));
	(void)(at++ < steps && move_transfer(m, &m->dst));
	if (at++ >= steps)
		return;
	world_run(&m->src);
	world_run(&m->dst);
}

/* The fakes end the test when two run, or one on disks that have gone on. */
static unsigned act(struct move *m, enum hostile what)
{
	switch (what) {
	case HOSTILE_RESUME_SRC:
		return move_finalize(m, &m->src, VMM_RESUME) == -ESTALE;
	case HOSTILE_RESUME_DST:
		return move_finalize(m, &m->dst, VMM_RESUME) == -ESTALE;
	case HOSTILE_STOP_SRC:
		(void)move_finalize(m, &m->src, VMM_STOP);
		break;
	case HOSTILE_STOP_DST:
		(void)move_finalize(m, &m->dst, VMM_STOP);
		break;
	case HOSTILE_CANCEL_SRC:
		(void)move_cancel(m, &m->src);
		break;
	case HOSTILE_CANCEL_DST:
		(void)move_cancel(m, &m->dst);
		break;
	case HOSTILE_KILL_SRC:
		if (m->src.vm_exists)
			world_vm_ends(&m->src);
		break;
	case HOSTILE_KILL_DST:
		if (m->dst.vm_exists)
			world_vm_ends(&m->dst);
		break;
	case HOSTILES:
		break;
	}
	return 0;
}

static void end_world(struct world *w)
{
	if (w->vm_exists)
		world_vm_ends(w);
	w->n_queue = 0;
	w->session.transfer.busy = w->session.seq.busy = false;
	w->session.cancelling.busy = false;
}

static void test_w20_whatever_is_resumed_one_runs_at_most(void **state UNUSED)
{
	unsigned steps, order, i, refusals = 0, cases = 0, orders = 1;

	for (i = 0; i < HOSTILE_ACTS; i++)
		orders *= HOSTILES;
	for (steps = 1; steps <= HOSTILE_STEPS; steps++)
		for (order = 0; order < orders; order++, cases++) {
			unsigned left = order;
			struct move m;

			move_init(&m);
			go_so_far(&m, steps);
			for (i = 0; i < HOSTILE_ACTS; i++, left /= HOSTILES) {
				refusals += act(
					&m, (enum hostile)(left % HOSTILES));
				assert_false(m.src.vm_runs && m.dst.vm_runs);
			}
			end_world(&m.src);
			end_world(&m.dst);
			move_done(&m);
		}
	print_message("%u orders of calls, %u resumes refused by the lease\n",
		      cases, refusals);
	assert_true(refusals > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_event_and_failure),
		cmocka_unit_test(test_one_fault_anywhere_leaves_one_owner),
		cmocka_unit_test(test_w20_whatever_is_resumed_one_runs_at_most),
	};

	return cmocka_run_group_tests_name("move_every", tests, NULL, NULL);
}
