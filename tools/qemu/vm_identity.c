#include "tools/qemu/vm_identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"

/* QEMU answers at once, unless the host is very busy. */
#define IDENTITY_MS 30000
#define SUFFIX "-machine"

struct asker {
	vm_identity_fn *done;
	void *ctx;
	struct qmp *qmp;
	struct vm_identity id;
};

static void finish(struct asker *a)
{
	a->done(a->ctx, &a->id);
	free(a);
}

static void on_type(void *ctx, int result UNUSED, const struct qmp_data *data,
		    const struct err *e UNUSED)
{
	struct asker *a = ctx;
	const char *type = qmp_data_text(data, "");
	size_t n = type ? strlen(type) : 0;

	if (n > strlen(SUFFIX) &&
	    strcmp(type + n - strlen(SUFFIX), SUFFIX) == 0)
		n -= strlen(SUFFIX);
	if (n > 0 && n < sizeof(a->id.machine))
		memcpy(a->id.machine, type, n); /* zeros behind it */
	finish(a);
}

static void on_version(void *ctx, int result, const struct qmp_data *data,
		       const struct err *e UNUSED)
{
	static const char *const parts[] = { "qemu.major", "qemu.minor",
					     "qemu.micro" };
	struct asker *a = ctx;
	struct err ignored;
	int64_t n;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (qmp_data_int(data, parts[i], &n) && n >= 0 && n < 100000)
			a->id.version[i] = (uint32_t)n;
	if (result < 0 ||
	    qmp_send(a->qmp, "qom-get",
		     "{\"path\":\"/machine\",\"property\":\"type\"}",
		     IDENTITY_MS, on_type, a, &ignored) < 0)
		finish(a);
}

int vm_identity_ask(struct qmp *q, vm_identity_fn *done, void *ctx,
		    struct err *e)
{
	struct asker *a;
	int r;

	if (!q)
		return err_set(e, ENOTCONN, "QEMU's monitor is not there");
	a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(e, ENOMEM, "QEMU's identity");
	a->done = done;
	a->ctx = ctx;
	a->qmp = q;
	r = qmp_send(q, "query-version", NULL, IDENTITY_MS, on_version, a, e);
	if (r < 0)
		free(a);
	return r;
}

bool vm_identity_newer(const uint32_t a[3], const uint32_t b[3])
{
	for (size_t i = 0; i < 3; i++)
		if (a[i] != b[i])
			return a[i] > b[i];
	return false;
}
