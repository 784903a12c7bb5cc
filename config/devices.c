#include "config/devices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/num.h"
#include "config/text.h"
#include "config/util.h"

#define SERVICE_PREFIX "io.microsoft.virtualmachine.hv-socket.service-table."
#define SERVICE_SUFFIX "-facb-11e6-bd58-64006a7986d3"

/* Ports that a confidential guest may dial: entropy, log, agent, first stdio. */
static const uint32_t ports[] = { 1, 109, 0x40000000, 0x40000001 };

static int out_of_memory(struct err *e)
{
	return err_set(e, ENOMEM, "no memory for devices and services");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_assignable(const char *type)
{
	return strcmp(type, "vpci-instance-id") == 0 ||
	       strcmp(type, "vpci") == 0 || strcmp(type, "gpu") == 0;
}

/* "path#function" of a device's id, NULL: no memory. */
static const char *device_name(struct sandbox_options *o, const char *id)
{
	const char *slash = strrchr(id, '/');
	uint32_t function = 0;
	struct text t;
	size_t n = strlen(id);
	const char *name;

	if (slash && num_u32(slash + 1, 0, UINT16_MAX, &function, NULL) == 0)
		n = (size_t)(slash - id);
	text_heap(&t, n + 16);
	text_addn(&t, id, n);
	text_addf(&t, "#%" PRIu32, function);
	name = t.full ? NULL : arena_strn(&o->arena, text_str(&t), t.len);
	text_done(&t);
	return name;
}

static int check_vpmem(const struct sandbox_options *o, struct err *e)
{
	/* The reference looks at the machine it was built for: amd64. */
	const bool arm64 = o->strictness == STRICT &&
			   strcmp(o->architecture, "arm64") == 0;

	if (o->vpmem_count == 0 || o->fully_physically_backed ||
	    o->hardware_confidential || arm64)
		return 0;
	return err_class(e, ERR_VPMEM_UNSUPPORTED,
			 "vPMem devices are not supported");
}

int devices_check(struct sandbox_options *o, const struct runtime_options *r,
		  struct err *e)
{
	const char **name =
		arena_array(&o->arena, r->n_devices + 1, sizeof(*name));
	size_t n = 0;
	int rc = check_vpmem(o, e);

	if (rc < 0)
		return rc;
	if (!name)
		return out_of_memory(e);
	for (size_t i = 0; i < r->n_devices; i++) {
		if (!is_assignable(r->devices[i].type)) {
			notes_add(&o->notes, &o->arena, NOTE_WARNING, ERR_NONE,
				  "", "a device of another type is skipped");
			continue;
		}
		name[n] = device_name(o, r->devices[i].id);
		if (!name[n++])
			return out_of_memory(e);
	}

	qsort(name, n, sizeof(*name), compare);
	for (size_t i = 1; i < n; i++)
		if (strcmp(name[i - 1], name[i]) == 0)
			return err_class(e, ERR_VPCI_DUPLICATE,
					 "a device is assigned twice");
	/* A hardware-confidential sandbox has no PCI devices. */
	o->assigned = (struct string_list){ name, n };
	if (o->hardware_confidential)
		o->assigned.n = 0;
	return 0;
}

struct service_list {
	const char **item;
	size_t n;
};

/* Adds a copy unless it is there already. */
static int add_service(struct sandbox_options *o, struct service_list *l,
		       const char *guid)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->item[i], guid) == 0)
			return 0;
	l->item[l->n] = arena_strn(&o->arena, guid, strlen(guid));
	return l->item[l->n++] ? 0 : -ENOMEM;
}

static int add_port(struct sandbox_options *o, struct service_list *l,
		    uint32_t port)
{
	char guid[VALUE_GUID_SIZE];
	struct text t;

	text_fixed(&t, guid, sizeof(guid));
	text_addf(&t, "%08" PRIx32 SERVICE_SUFFIX, port);
	return add_service(o, l, guid);
}

static int add_table(struct sandbox_options *o, struct service_list *l,
		     const struct annotation *a,
		     const struct runtime_options *r)
{
	const char *guid;
	int rc = value_parse(VALUE_GUID, a->key + strlen(SERVICE_PREFIX),
			     &o->arena, &guid);

	if (rc == -EINVAL ||
	    (rc == 0 && r->service_json && !r->service_json(a->value))) {
		notes_add(&o->notes, &o->arena, NOTE_WARNING, ERR_GUID_INVALID,
			  a->key,
			  rc == 0 ? "the settings are not as they should be: "
				    "the service is skipped"
				  : "that is not a GUID: the service is "
				    "skipped");
		return 0;
	}
	return rc < 0 ? rc : add_service(o, l, guid);
}

int devices_services(struct sandbox_options *o, const struct annotation_map *a,
		     const struct runtime_options *r, struct err *e)
{
	struct service_list l = { 0 };
	int rc = 0;

	l.item = arena_array(&o->arena,
			     a->n + ARRAY_LEN(ports) + o->extra_vsock_ports.n,
			     sizeof(*l.item));
	if (!l.item)
		return out_of_memory(e);

	for (size_t i = 0; i < a->n && rc == 0; i++)
		if (strncmp(a->item[i].key, SERVICE_PREFIX,
			    strlen(SERVICE_PREFIX)) == 0)
			rc = add_table(o, &l, &a->item[i], r);
	if (o->hardware_confidential) {
		for (size_t i = 0; i < ARRAY_LEN(ports) && rc == 0; i++)
			rc = add_port(o, &l, ports[i]);
		for (size_t i = 0; i < o->extra_vsock_ports.n && rc == 0; i++)
			rc = add_port(o, &l, o->extra_vsock_ports.item[i]);
	}
	if (rc < 0)
		return out_of_memory(e);

	qsort(l.item, l.n, sizeof(*l.item), compare);
	o->services = (struct string_list){ l.item, l.n };
	return 0;
}
