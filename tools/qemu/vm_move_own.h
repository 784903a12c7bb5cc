/* tools/qemu/vm_move_own.h - what the files of vm_move.h share */
#ifndef FERRY_TOOLS_QEMU_VM_MOVE_OWN_H
#define FERRY_TOOLS_QEMU_VM_MOVE_OWN_H

#include "tools/qemu/vm_move.h"

struct waiter {
	vm_move_done_fn *done;
	void *ctx;
	bool active;
};

struct vm_move {
	struct loop *loop;
	struct qmp *qmp;
	bool down;
	enum vm_move_side side;
	struct vmm_options o;
	struct waiter op;
	struct waiter transfer;
	struct waiter cancel;
	bool continued; /* it was told to go on behind pre-switchover */
	bool told;	/* to run the guest */
	bool patient;	/* it may stand still for long */
	bool stands;	/* it is to be stopped before it is copied */
	bool stopped;	/* by us, and not continued */
	struct loop_id poll;
	struct loop_id progress;
	int64_t cancel_until_ms;
	struct loop_id limit;
	int64_t stopped_ms; /* -1: it runs */
	vm_move_note_fn *note;
	void *note_ctx;
};

/** vm_move_end() - who waits hears of it, once */
void vm_move_end(struct waiter *w, int result, const struct err *e);

/** vm_move_lost() - true when QEMU is gone, and everybody has been told */
bool vm_move_lost(struct vm_move *m, int result);

/** vm_move_begin() - return: 0, -EBUSY, -ENOTCONN, -ESHUTDOWN */
int vm_move_begin(struct vm_move *m, struct waiter *w, vm_move_done_fn *done,
		  void *ctx, struct err *e);

/** vm_move_ask() - one command of an operation, which ends if it is not sent */
void vm_move_ask(struct vm_move *m, struct waiter *w, const char *command,
		 const char *arguments, qmp_answer_fn *fn);

/** vm_move_on_op() - the answer that ends @ctx's operation */
void vm_move_on_op(void *ctx, int result, const struct qmp_data *data,
		   const struct err *e);

#endif
