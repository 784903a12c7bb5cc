/* Streams of processes, for the controllers, and processes of the UVM itself. */
#include "config/util.h"
#include "tools/shim/shim.h"
#include "tools/shim/stdio.h"

static int streams_open(void *ctx, const char *const path[GUEST_STREAMS],
			void **ret, int guest_fd[GUEST_STREAMS], struct err *e)
{
	const struct shim_tasks *t = ctx;
	const char *all[GUEST_STREAMS];
	struct shim_stdio *io = NULL;
	int r;

	for (int i = 0; i < GUEST_STREAMS; i++)
		all[i] = path[i] ? path[i] : "";
	r = shim_stdio_new(t->shim->loop, all, &io, guest_fd, e);
	*ret = io;
	return r;
}

static int streams_attach(void *streams, const char *const path[GUEST_STREAMS],
			  struct err *e)
{
	return shim_stdio_attach(streams, path, e);
}

static void streams_close(void *streams)
{
	shim_stdio_free(streams);
}

static int streams_freeze(void *streams, bool frozen, struct err *e)
{
	return shim_stdio_freeze(streams, frozen, e);
}

static size_t streams_kept(const void *streams, enum msg_stdio which,
			   const uint8_t **ret)
{
	return shim_stdio_kept(streams, which, ret);
}

static int streams_give(void *streams, enum msg_stdio which, const void *bytes,
			size_t n, bool last, struct err *e)
{
	return shim_stdio_give(streams, which, bytes, n, last, e);
}

static int others_save(void *ctx, struct arena *a, struct saved_vm *ret,
		       struct err *e)
{
	const struct shim_tasks *t = ctx;

	return uvm_procs_save(&t->shim->procs, a, ret, e);
}

static int others_give(void *ctx, const struct saved_vm *saved, struct err *e)
{
	const struct shim_tasks *t = ctx;

	return uvm_procs_give(&t->shim->procs, saved, e);
}

static void others_thaw(void *ctx)
{
	const struct shim_tasks *t = ctx;

	uvm_procs_thaw(&t->shim->procs);
}

void task_streams(struct shim_tasks *t, struct ops_config *ret)
{
	ret->streams = (struct ops_streams){
		.open = streams_open,
		.attach = streams_attach,
		.close = streams_close,
		.freeze = streams_freeze,
		.kept = streams_kept,
		.give = streams_give,
		.ctx = t,
	};
	ret->others_save = others_save;
	ret->others_give = others_give;
	ret->others_thaw = others_thaw;
}
