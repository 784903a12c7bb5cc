/* hcsshim.controller.migration.save.v1 */
#include <stdlib.h>

#include "migration/saved_codec.h"
#include "build/proto/state_migration.pb-c.h"

static int by_id(const void *a, const void *b)
{
	const struct saved_pod *x = a, *y = b;

	return saved_compare(x->id, y->id);
}

int migration_save_get(struct saved_reader *r, const struct saved_any *any,
		       struct saved *ret)
{
	const StateMigration *m =
		saved_open(r, any, "migration", &state_migration__descriptor);
	size_t i;
	int ok;

	if (!m)
		return err_code(r->e);
	*ret = (struct saved){ .version = m->schema_version };
	if (m->n_pods > SAVED_PODS_MAX)
		return saved_refuse(r, "S1", EEXHAUSTED, "more than %u pods",
				    SAVED_PODS_MAX);
	if (!m->vm)
		return saved_refuse(r, "S13", EINVAL, "no VM");
	ok = vm_save_get(r,
			 &(struct saved_any){ saved_bytes(m->vm->type_url),
					      saved_bytes(m->vm->value) },
			 &ret->vm);
	if (ok < 0)
		return err_wrap(r->e, "vm");
	ret->pods = saved_many(r, m->n_pods, sizeof(*ret->pods));
	if (!ret->pods)
		return -EEXHAUSTED;
	for (i = 0; i < m->n_pods; i++) {
		const StateAny *p = m->pods[i];

		ok = pod_save_get(r,
				  &(struct saved_any){ saved_bytes(p->type_url),
						       saved_bytes(p->value) },
				  &ret->pods[ret->n_pods++]);
		if (ok < 0)
			return err_wrap(r->e, "pods[%zu]", i);
	}
	qsort(ret->pods, ret->n_pods, sizeof(*ret->pods), by_id);
	return 0;
}

void migration_save_put(struct saved_writer *w, const struct saved *s,
			struct saved_any *ret)
{
	StateMigration m = STATE_MIGRATION__INIT;
	StateAny vm = STATE_ANY__INIT;
	StateAny *pods = saved_put_many(w, s->n_pods, sizeof(*pods));
	struct saved_any any;
	size_t i;

	m.schema_version = s->version;
	vm_save_put(w, &s->vm, &any);
	vm.type_url = saved_put_text(any.type);
	vm.value = saved_put_text(any.value);
	m.vm = &vm;
	m.pods = saved_put_row(w, s->n_pods);
	for (i = 0; pods && m.pods && i < s->n_pods; i++) {
		pod_save_put(w, &s->pods[i], &any);
		state_any__init(&pods[i]);
		pods[i].type_url = saved_put_text(any.type);
		pods[i].value = saved_put_text(any.value);
		m.pods[m.n_pods++] = &pods[i];
	}
	saved_put_any(w, "migration", &m.base, ret);
}
