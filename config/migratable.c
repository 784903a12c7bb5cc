#include "config/migratable.h"

#include <string.h>

#include "config/annotations.h"
#include "config/numa.h"

#define KEY "io.microsoft.migration.support-enabled"
#define OLD_KEY "io.microsoft.migration.allowed"
#define MAPPED_KEY                                                             \
	"io.microsoft.virtualmachine.computetopology.numa.mapped-physical-nodes"

int migratable_choose(struct sandbox_options *o, const struct annotation_map *a,
		      const struct runtime_options *r, struct err *e)
{
	const bool compat = o->strictness == COMPAT;

	if (!compat && annotation_map_get(a, KEY) &&
	    annotation_map_get(a, OLD_KEY) &&
	    o->migration_support != o->migration_allowed)
		return err_class(e, ERR_ANNOTATION_CONFLICT,
				 KEY " and its older name " OLD_KEY
				     " say different things");

	o->migratable =
		o->migration_support || (!compat && o->migration_allowed);
	o->forwarder = r->forwarder;
	if (r->forwarder == FORWARDERS && !o->migratable)
		o->forwarder = FORWARDER_CLASSIC;
	else if (r->forwarder == FORWARDERS)
		o->forwarder = compat ? FORWARDER_RELAY : FORWARDER_MIGRATABLE;

	if (o->migratable && o->forwarder == FORWARDER_CLASSIC)
		return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
				 "the classic forwarder loses its log "
				 "connection when the sandbox migrates");
	return 0;
}

/* Is the member of a row something else than the zero value? */
static bool is_set(const struct sandbox_options *o,
		   const struct annotation_row *row)
{
	const void *p = (const char *)o + row->member;

	switch (row->kind) {
	case VALUE_BOOL:
		return *(const bool *)p;
	case VALUE_NULLABLE_BOOL:
		return *(const enum tristate *)p == TRI_TRUE;
	case VALUE_INT32:
		return *(const int32_t *)p != 0;
	case VALUE_UINT32:
		return *(const uint32_t *)p != 0;
	case VALUE_UINT64:
		return *(const uint64_t *)p != 0;
	case VALUE_UINT32_LIST:
		return ((const struct u32_list *)p)->n != 0;
	case VALUE_UINT64_LIST:
		return ((const struct u64_list *)p)->n != 0;
	case VALUE_STRING_LIST:
		return ((const struct string_list *)p)->n != 0;
	case VALUE_STRING:
	case VALUE_GUID:
		return **(const char *const *)p != '\0';
	case VALUE_KINDS:
		break;
	}
	return false;
}

/* A mapping in which every node is any node names nothing of the host. */
static bool any_node(const struct u32_list *mapped)
{
	for (size_t i = 0; i < mapped->n; i++)
		if (mapped->item[i] != NUMA_ANY_NODE)
			return false;
	return true;
}

static int check_row(const struct sandbox_options *o,
		     const struct annotation_map *a,
		     const struct annotation_row *row, struct err *e)
{
	const char *key = row->key;

	if (row->use == USE_PREFIX) {
		key = NULL;
		for (size_t i = 0; i < a->n && !key; i++)
			if (strncmp(a->item[i].key, row->key,
				    strlen(row->key)) == 0)
				key = a->item[i].key;
		if (!key)
			return 0;
	} else if (row->member == ANNOTATION_NO_MEMBER || !is_set(o, row) ||
		   (strcmp(key, MAPPED_KEY) == 0 &&
		    any_node(&o->numa_mapped))) {
		return 0;
	}
	return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
			 "a migratable sandbox cannot have %.100s: %s", key,
			 row->not_migratable);
}

int migratable_check(const struct sandbox_options *o,
		     const struct annotation_map *a,
		     const struct runtime_options *r, struct err *e)
{
	int rc = 0;

	if (!o->migratable || o->strictness == COMPAT)
		return 0;
	if (r->n_devices)
		return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
				 "a migratable sandbox cannot have assigned "
				 "devices: they have no state to transfer");
	if (o->hardware_confidential)
		return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
				 "a migratable sandbox cannot have a security "
				 "policy with hardware: its memory stays");

	for (size_t i = 0; i < annotation_rows_n && rc == 0; i++)
		if (annotation_rows[i].not_migratable)
			rc = check_row(o, a, &annotation_rows[i], e);
	return rc;
}
