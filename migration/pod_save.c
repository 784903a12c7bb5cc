/* hcsshim.controller.pod.save.v1 */
#include <stdlib.h>

#include "build/proto/state_pod.pb-c.h"
#include "migration/saved_codec.h"

static int by_id(const void *a, const void *b)
{
	const struct saved_container *x = a, *y = b;

	return saved_compare(x->id, y->id);
}

int pod_save_get(struct saved_reader *r, const struct saved_any *any,
		 struct saved_pod *ret)
{
	const StatePod *m = saved_open(r, any, "pod", &state_pod__descriptor);
	struct saved_any inner;
	size_t i;
	int ok;

	if (!m)
		return err_code(r->e);
	*ret = (struct saved_pod){ .version = m->schema_version };
	if (saved_take_text(r, "pod_id", m->pod_id, &ret->id) < 0 ||
	    saved_take_text(r, "gcs_pod_id", m->gcs_pod_id, &ret->gcs_id) < 0)
		return err_code(r->e);
	if (!m->network)
		return saved_refuse(r, "S30", EINVAL, "pod without a network");
	inner = (struct saved_any){ saved_bytes(m->network->type_url),
				    saved_bytes(m->network->value) };
	ok = network_save_get(r, &inner, &ret->network);
	if (ok < 0)
		return err_wrap(r->e, "network");
	ret->containers =
		saved_many(r, m->n_containers, sizeof(*ret->containers));
	if (!ret->containers)
		return -EEXHAUSTED;
	for (i = 0; i < m->n_containers; i++) {
		inner = (struct saved_any){
			saved_bytes(m->containers[i]->type_url),
			saved_bytes(m->containers[i]->value)
		};
		ok = container_save_get(r, &inner,
					&ret->containers[ret->n_containers++]);
		if (ok < 0)
			return err_wrap(r->e, "containers[%zu]", i);
	}
	qsort(ret->containers, ret->n_containers, sizeof(*ret->containers),
	      by_id);
	return 0;
}

void pod_save_put(struct saved_writer *w, const struct saved_pod *p,
		  struct saved_any *ret)
{
	StatePod m = STATE_POD__INIT;
	StateAny network = STATE_ANY__INIT;
	StateAny *containers =
		saved_put_many(w, p->n_containers, sizeof(*containers));
	struct saved_any any;
	size_t i;

	m.schema_version = p->version;
	m.pod_id = saved_put_text(p->id);
	m.gcs_pod_id = saved_put_text(p->gcs_id);
	network_save_put(w, &p->network, &any);
	network.type_url = saved_put_text(any.type);
	network.value = saved_put_text(any.value);
	m.network = &network;
	m.containers = saved_put_row(w, p->n_containers);
	for (i = 0; containers && m.containers && i < p->n_containers; i++) {
		container_save_put(w, &p->containers[i], &any);
		state_any__init(&containers[i]);
		containers[i].type_url = saved_put_text(any.type);
		containers[i].value = saved_put_text(any.value);
		m.containers[m.n_containers++] = &containers[i];
	}
	saved_put_any(w, "pod", &m.base, ret);
}
