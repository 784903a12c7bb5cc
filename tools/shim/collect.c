/*
 * tools/shim/collect.c - the method Collect: what the shim knows, and what QEMU
 * and the guest say
 *
 * All are asked at once; the answer leaves when the last of them has spoken, or
 * has had its time.
 */
#include <stdlib.h>

#include "bridge/host/calls.h"
#include "build/proto/ferry.pb-c.h"
#include "config/util.h"
#include "tools/shim/debug.h"
#include "tools/shim/shim.h"

struct collect {
	struct ttrpc_call *call;
	struct debug_texts texts;
	unsigned int asked; /* who has not spoken yet, and collect itself */
};

static void reply(struct collect *c)
{
	FerryCollectResponse m = FERRY_COLLECT_RESPONSE__INIT;
	FerryCollectFile file[DEBUG_FILES];
	FerryCollectFile *files[DEBUG_FILES];

	m.files = files;
	for (int i = 0; i < DEBUG_FILES; i++) {
		struct text *t = &c->texts.file[i];

		if (t->len == 0)
			continue;
		ferry_collect_file__init(&file[i]);
		/* protobuf-c does not write to what it packs. */
		file[i].name =
			(char *)(uintptr_t)debug_file_name((enum debug_file)i);
		file[i].content.len = t->len;
		file[i].content.data = (uint8_t *)t->buf;
		files[m.n_files++] = &file[i];
	}
	ttrpc_reply(c->call, &m.base);
}

static void one_less(struct collect *c)
{
	if (--c->asked > 0)
		return;
	debug_mask(&c->texts);
	reply(c);
	debug_texts_done(&c->texts);
	free(c);
}

/* --- QEMU ----------------------------------------------------------------------- */

static void put(struct text *t, const char *name, const struct qmp_data *data,
		const char *path)
{
	const char *text = qmp_data_text(data, path);
	int64_t number = 0;

	if (text) {
		text_addf(t, " %s=", name);
		text_quote(t, text, 200);
	} else if (qmp_data_int(data, path, &number)) {
		text_addf(t, " %s=%lld", name, (long long)number);
	}
}

static void on_qmp(struct collect *c, const char *what, const char *const *path,
		   size_t n, const struct qmp_data *data, const struct err *e)
{
	struct text *t = &c->texts.file[DEBUG_QMP];

	text_addf(t, "%s", what);
	for (size_t i = 0; data && i < n; i++)
		put(t, path[i], data, path[i]);
	if (!data)
		text_addf(t, " %s", e->text);
	text_addc(t, '\n');
	one_less(c);
}

static void on_version(void *ctx, int result UNUSED,
		       const struct qmp_data *data, const struct err *e)
{
	static const char *const path[] = { "qemu.major", "qemu.minor",
					    "qemu.micro", "package" };

	on_qmp(ctx, "version", path, ARRAY_LEN(path), data, e);
}

static void on_status(void *ctx, int result UNUSED, const struct qmp_data *data,
		      const struct err *e)
{
	static const char *const path[] = { "status" };

	on_qmp(ctx, "machine", path, ARRAY_LEN(path), data, e);
}

static void on_migrate(void *ctx, int result UNUSED,
		       const struct qmp_data *data, const struct err *e)
{
	static const char *const path[] = {
		"status",    "error-desc",	     "total-time",
		"downtime",  "ram.transferred",	     "ram.remaining",
		"ram.total", "ram.dirty-pages-rate",
	};

	on_qmp(ctx, "migration", path, ARRAY_LEN(path), data, e);
}

static void ask_qemu(struct collect *c, const struct shim *s)
{
	static const struct {
		const char *command;
		qmp_answer_fn *fn;
	} asks[] = {
		{ "query-version", on_version },
		{ "query-status", on_status },
		{ "query-migrate", on_migrate },
	};
	struct qmp *q =
		s->sandbox && !s->ended ? vm_qmp(sandbox_vm(s->sandbox)) : NULL;
	struct text *t = &c->texts.file[DEBUG_QMP];
	struct err e;

	if (!q) {
		text_add(t, "QEMU cannot be asked\n");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		if (qmp_send(q, asks[i].command, NULL, DEBUG_ASK_MS, asks[i].fn,
			     c, &e) == 0)
			c->asked++;
		else
			text_addf(t, "%s: %s\n", asks[i].command, e.text);
}

/* --- the guest ------------------------------------------------------------------- */

static void on_dump(void *ctx, const void *result, const struct host_failure *f)
{
	const struct msg_dump_stacks_result *r = result;
	struct collect *c = ctx;
	struct text *t = &c->texts.file[DEBUG_GUEST];

	if (f)
		text_addf(t, "the guest said nothing: %s\n", f->err.text);
	else
		text_add(t, r->guest_stacks);
	one_less(c);
}

static void ask_guest(struct collect *c, const struct shim *s)
{
	const struct host_done done = {
		.fn = on_dump,
		.ctx = c,
		.timeout_ms = DEBUG_ASK_MS,
	};
	struct host_client *client =
		s->sandbox && !s->ended ? sandbox_client(s->sandbox) : NULL;
	struct text *t = &c->texts.file[DEBUG_GUEST];
	struct err e;

	if (!client)
		text_add(t, "the guest cannot be asked\n");
	else if (host_dump_stacks(client, &done, NULL, &e) < 0)
		text_addf(t, "the guest cannot be asked: %s\n", e.text);
	else
		c->asked++;
}

void debug_on_collect(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m UNUSED)
{
	struct shim *s = ctx;
	struct collect *c = calloc(1, sizeof(*c));

	if (!c) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	c->call = call;
	c->asked = 1;
	debug_gather(s, "somebody asked", &c->texts);
	ask_qemu(c, s);
	ask_guest(c, s);
	one_less(c);
}
