/* hcsshim.controller.network.save.v1 */
#include <stdlib.h>

#include "build/proto/state_ext.pb-c.h"
#include "build/proto/state_network.pb-c.h"
#include "migration/saved_codec.h"

static int by_nic(const void *a, const void *b)
{
	const struct saved_endpoint *x = a, *y = b;

	return saved_compare_guid(x->nic_id, y->nic_id);
}

static int get_endpoint(struct saved_reader *r, const StateEndpointEntry *entry,
			struct saved_endpoint *ret)
{
	const StateEndpoint *x = entry->value;

	*ret = (struct saved_endpoint){ .settings = { "", 0 } };
	if (saved_take_text(r, "key", entry->key, &ret->nic_id) < 0)
		return err_code(r->e);
	if (!x)
		return 0;
	if (saved_take_text(r, "endpoint_id", x->endpoint_id,
			    &ret->endpoint_id) < 0 ||
	    saved_take_text(r, "mac_address", x->mac_address, &ret->mac) < 0)
		return err_code(r->e);
	return saved_take_text(r, "endpoint_name", x->endpoint_name,
			       &ret->name);
}

static int get_extension(struct saved_reader *r, const StateNetwork *m,
			 struct saved_network *ret)
{
	bool bad;
	const StateNetworkExt *x = saved_extension(
		r, m->extension, &state_network_ext__descriptor, &bad);
	size_t i;

	if (!x)
		return bad ? err_code(r->e) : 0;
	for (i = 0; i < x->n_endpoints && ret->n_endpoints > 0; i++) {
		struct saved_endpoint key = {
			.nic_id = saved_bytes(x->endpoints[i]->nic_id)
		};
		struct saved_endpoint *p =
			bsearch(&key, ret->endpoints, ret->n_endpoints,
				sizeof(key), by_nic);

		if (p &&
		    saved_take_text(r, "settings", x->endpoints[i]->settings,
				    &p->settings) < 0)
			return err_code(r->e);
	}
	return 0;
}

int network_save_get(struct saved_reader *r, const struct saved_any *any,
		     struct saved_network *ret)
{
	const StateNetwork *m =
		saved_open(r, any, "network", &state_network__descriptor);
	size_t i;

	if (!m)
		return err_code(r->e);
	*ret = (struct saved_network){
		.version = m->schema_version,
		.policy_based_routing = m->policy_based_routing,
		.guest_support = m->is_namespace_supported_by_guest,
	};
	if (saved_take_text(r, "namespace_id", m->namespace_id,
			    &ret->namespace_id) < 0)
		return err_code(r->e);
	ret->endpoints =
		saved_many(r, m->n_vm_endpoints, sizeof(*ret->endpoints));
	if (!ret->endpoints)
		return -EEXHAUSTED;
	for (i = 0; i < m->n_vm_endpoints; i++)
		if (get_endpoint(r, m->vm_endpoints[i],
				 &ret->endpoints[ret->n_endpoints++]) < 0)
			return err_wrap(r->e, "vm_endpoints[%zu]", i);
	qsort(ret->endpoints, ret->n_endpoints, sizeof(*ret->endpoints),
	      by_nic);
	return get_extension(r, m, ret);
}

static ProtobufCBinaryData put_extension(struct saved_writer *w,
					 const struct saved_network *n)
{
	StateNetworkExt x = STATE_NETWORK_EXT__INIT;
	StateEndpointExt *e = saved_put_many(w, n->n_endpoints, sizeof(*e));
	size_t i;

	x.magic = SAVED_MAGIC;
	x.endpoints = saved_put_row(w, n->n_endpoints);
	for (i = 0; e && x.endpoints && i < n->n_endpoints; i++) {
		if (n->endpoints[i].settings.n == 0)
			continue;
		state_endpoint_ext__init(&e[i]);
		e[i].nic_id = saved_put_text(n->endpoints[i].nic_id);
		e[i].settings = saved_put_text(n->endpoints[i].settings);
		x.endpoints[x.n_endpoints++] = &e[i];
	}
	if (x.n_endpoints == 0)
		return (ProtobufCBinaryData){ 0, NULL };
	return saved_put_text(saved_put_message(w, &x.base));
}

void network_save_put(struct saved_writer *w, const struct saved_network *n,
		      struct saved_any *ret)
{
	StateNetwork m = STATE_NETWORK__INIT;
	StateEndpointEntry *entries =
		saved_put_many(w, n->n_endpoints, sizeof(*entries));
	StateEndpoint *values =
		saved_put_many(w, n->n_endpoints, sizeof(*values));
	size_t i;

	m.schema_version = n->version;
	m.namespace_id = saved_put_text(n->namespace_id);
	m.policy_based_routing = n->policy_based_routing;
	m.is_namespace_supported_by_guest = n->guest_support;
	m.vm_endpoints = saved_put_row(w, n->n_endpoints);
	for (i = 0; entries && values && m.vm_endpoints && i < n->n_endpoints;
	     i++) {
		const struct saved_endpoint *x = &n->endpoints[i];

		state_endpoint_entry__init(&entries[i]);
		state_endpoint__init(&values[i]);
		entries[i].key = saved_put_text(x->nic_id);
		entries[i].value = &values[i];
		values[i].endpoint_id = saved_put_text(x->endpoint_id);
		values[i].mac_address = saved_put_text(x->mac);
		values[i].endpoint_name = saved_put_text(x->name);
		m.vm_endpoints[m.n_vm_endpoints++] = &entries[i];
	}
	m.extension = put_extension(w, n);
	saved_put_any(w, "network", &m.base, ret);
}
