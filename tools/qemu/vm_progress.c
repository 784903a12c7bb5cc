#include "tools/qemu/vm_progress.h"

#include <errno.h>
#include <stdlib.h>

#include "config/util.h"

/* QEMU answers at once, unless the host is very busy. */
#define PROGRESS_MS 30000

/* Who asked how far it is. */
struct asker {
	vm_progress_fn *done;
	void *ctx;
};

static uint64_t number(const struct qmp_data *data, const char *name)
{
	int64_t n = 0;

	(void)qmp_data_int(data, name, &n);
	return n > 0 ? (uint64_t)n : 0;
}

static void on_progress(void *ctx, int result UNUSED,
			const struct qmp_data *data, const struct err *e UNUSED)
{
	struct asker *a = ctx;
	const struct vm_progress p = {
		.transferred = number(data, "ram.transferred"),
		.remaining = number(data, "ram.remaining"),
		.total = number(data, "ram.total"),
		.dirty = number(data, "ram.dirty-pages-rate") *
			 number(data, "ram.page-size"),
		.rate = number(data, "ram.pages-per-second") *
			number(data, "ram.page-size"),
	};

	a->done(a->ctx, &p);
	free(a);
}

int vm_progress_ask(struct qmp *q, vm_progress_fn *done, void *ctx,
		    struct err *e)
{
	struct asker *a;
	int r;

	if (!q)
		return err_set(e, ENOTCONN, "QEMU's monitor is not there");
	a = malloc(sizeof(*a));
	if (!a)
		return err_set(e, ENOMEM, "progress");
	*a = (struct asker){ .done = done, .ctx = ctx };
	r = qmp_send(q, "query-migrate", NULL, PROGRESS_MS, on_progress, a, e);
	if (r < 0)
		free(a);
	return r;
}
