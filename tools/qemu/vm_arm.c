/* tools/qemu/vm_arm.c - capabilities and parameters of a migration */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"
#include "migration/status.h"
#include "tools/qemu/vm_move_own.h"

#define ARGS_MAX 1024
/* The first major version whose TCG watches what it must. */
#define TCG_COPIES_LIVE 9

static void parameters(const struct vmm_options *o, struct text *t)
{
	text_addf(t, "{\"max-bandwidth\":%" PRId64, VM_MOVE_BANDWIDTH);
	if (o->throttle_increment)
		text_addf(t, ",\"cpu-throttle-increment\":%" PRIu32,
			  o->throttle_increment);
	if (o->throttle_initial)
		text_addf(t, ",\"cpu-throttle-initial\":%" PRIu32,
			  o->throttle_initial);
	if (o->downtime_ms)
		text_addf(t, ",\"downtime-limit\":%" PRIu32, o->downtime_ms);
	if (o->compress_threads)
		text_addf(t,
			  ",\"compress-threads\":%" PRIu32
			  ",\"decompress-threads\":%" PRIu32,
			  o->compress_threads, o->compress_threads);
	text_addc(t, '}');
}

static void on_capable(void *ctx, int result,
		       const struct qmp_data *data UNUSED, const struct err *e)
{
	struct vm_move *m = ctx;
	char args[ARGS_MAX];
	struct text t;

	if (vm_move_lost(m, result))
		return;
	if (result < 0) {
		vm_move_end(&m->op, result, e);
		return;
	}
	text_fixed(&t, args, sizeof(args));
	parameters(&m->o, &t);
	vm_move_ask(m, &m->op, "migrate-set-parameters", text_str(&t),
		    vm_move_on_op);
}

static void capabilities(const struct vm_move *m, struct text *t)
{
	static const char *const always[] = { "events",
					      "pause-before-switchover",
					      "late-block-activate" };

	text_add(t, "{\"capabilities\":[");
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		text_addf(t, "{\"capability\":\"%s\",\"state\":true},",
			  always[i]);
	text_addf(t, "{\"capability\":\"return-path\",\"state\":%s},",
		  m->o.to_file ? "false" : "true");
	text_addf(t, "{\"capability\":\"auto-converge\",\"state\":%s},",
		  m->o.skip_throttling ? "false" : "true");
	text_addf(t, "{\"capability\":\"compress\",\"state\":%s}]}",
		  m->o.compress_threads ? "true" : "false");
}

static void set_capabilities(struct vm_move *m)
{
	char args[ARGS_MAX];
	struct text t;

	text_fixed(&t, args, sizeof(args));
	capabilities(m, &t);
	vm_move_ask(m, &m->op, "migrate-set-capabilities", text_str(&t),
		    on_capable);
}

static void on_version(void *ctx, int result, const struct qmp_data *data,
		       const struct err *e)
{
	struct vm_move *m = ctx;
	int64_t major = 0;

	if (vm_move_lost(m, result))
		return;
	if (result < 0) {
		vm_move_end(&m->op, result, e);
		return;
	}
	(void)qmp_data_int(data, "qemu.major", &major);
	m->stands = major < TCG_COPIES_LIVE;
	set_capabilities(m);
}

static void on_kvm(void *ctx, int result, const struct qmp_data *data,
		   const struct err *e)
{
	struct vm_move *m = ctx;

	if (vm_move_lost(m, result))
		return;
	if (result < 0)
		vm_move_end(&m->op, result, e);
	else if (qmp_data_bool(data, "enabled"))
		set_capabilities(m);
	else
		vm_move_ask(m, &m->op, "query-version", NULL, on_version);
}

static void on_blockers(void *ctx, int result, const struct qmp_data *data,
			const struct err *e)
{
	struct vm_move *m = ctx;
	const char *reason = qmp_data_item(data, "blocked-reasons", 0);
	struct err why;

	if (vm_move_lost(m, result))
		return;
	if (result < 0) {
		vm_move_end(&m->op, result, e);
		return;
	}
	if (reason) {
		(void)err_set(&why, EPRECONDITION,
			      "QEMU cannot migrate: %.160s", reason);
		vm_move_end(&m->op, -EPRECONDITION, &why);
		return;
	}
	if (m->side == VM_MOVE_SOURCE)
		vm_move_ask(m, &m->op, "query-kvm", NULL, on_kvm);
	else
		set_capabilities(m);
}

int vm_move_arm(struct vm_move *m, enum vm_move_side side,
		const struct vmm_options *o, vm_move_done_fn *done, void *ctx,
		struct err *e)
{
	const int r = vm_move_begin(m, &m->op, done, ctx, e);

	if (r < 0)
		return r;
	m->side = side;
	m->o = o ? *o : (struct vmm_options){ 0 };
	m->continued = m->patient = false;
	m->stands = false;
	vm_move_ask(m, &m->op, "query-migrate", NULL, on_blockers);
	return 0;
}
