#include "config/migratable.h"

#include <string.h>

#include "config/annotation_lock.h"
#include "config/annotations.h"
#include "config/numa.h"
#include "config/text.h"
#include "config/util.h"

#define KEY "io.microsoft.migration.support-enabled"
#define OLD_KEY "io.microsoft.migration.allowed"
#define MAPPED_KEY                                                             \
	"io.microsoft.virtualmachine.computetopology.numa.mapped-physical-nodes"

#define CONSOLE_KEY "io.microsoft.virtualmachine.console.pipe"

/* How much of a name an error shows. */
#define SHOWN_MAX 40
#define SHOWN_SIZE (4 * SHOWN_MAX + 4)

const struct migratable_row migratable_rules[] = {
	[MIGRATABLE_DEVICE] = { "an assigned device",
				"it has no state to transfer" },
	[MIGRATABLE_HARDWARE_POLICY] = { "a security policy with hardware",
					 "its memory cannot be transferred" },
	[MIGRATABLE_CLASSIC] = { "the classic forwarder",
				 "its log connection dies with the source "
				 "host" },
	[MIGRATABLE_SHARE] = { "a directory of the host",
			       "file sharing ends with the source host" },
	[MIGRATABLE_PHYSICAL_DISK] = { "a physical disk",
				       "it belongs to the source host" },
	[MIGRATABLE_LOG_PORT] = { "an option -e or -o with another port than "
				  "109 for the agent",
				  "no other port is opened again" },
};
static_assert(ARRAY_LEN(migratable_rules) == MIGRATABLE_RULES,
	      "a rule has no row");

/* "a migratable sandbox cannot have WHAT <name>: WHY" */
static int refuse(enum migratable_rule rule, const char *name, struct err *e)
{
	char buf[SHOWN_SIZE];
	struct text t;

	text_fixed(&t, buf, sizeof(buf));
	text_quote(&t, name, SHOWN_MAX);
	return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
			 "a migratable sandbox cannot have %s%s%s: %s",
			 migratable_rules[rule].what, *name ? " " : "", buf,
			 migratable_rules[rule].why);
}

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
		return refuse(MIGRATABLE_CLASSIC, "", e);
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
		return refuse(MIGRATABLE_DEVICE, r->devices[0].id, e);
	if (o->hardware_confidential)
		return refuse(MIGRATABLE_HARDWARE_POLICY, "", e);

	for (size_t i = 0; i < annotation_rows_n && rc == 0; i++) {
		const struct annotation_row *row = &annotation_rows[i];

		if (row->not_migratable &&
		    !(r->console_may_stay &&
		      strcmp(row->key, CONSOLE_KEY) == 0))
			rc = check_row(o, a, row, e);
	}
	return rc;
}

enum mount_origin migratable_mount_origin(const char *type, const char *source)
{
	static const char *const guest[] = { "sandbox://", "sandbox-tmp://",
					     "hugepages://", "uvm://" };
	static const char *const disks[] = { "virtual-disk",
					     "extensible-virtual-disk" };

	if (strcmp(type, "physical-disk") == 0)
		return MOUNT_PHYSICAL_DISK;
	for (size_t i = 0; i < ARRAY_LEN(disks); i++)
		if (strcmp(type, disks[i]) == 0)
			return MOUNT_DISK;
	if (strcmp(type, "bind") != 0)
		return MOUNT_GUEST;
	for (size_t i = 0; i < ARRAY_LEN(guest); i++)
		if (strncmp(source, guest[i], strlen(guest[i])) == 0)
			return MOUNT_GUEST;
	return MOUNT_SHARE;
}

static int check_mount(const struct container_mount *m, struct err *e)
{
	switch (m->origin) {
	case MOUNT_GUEST:
	case MOUNT_DISK:
		return 0;
	case MOUNT_SHARE:
		return refuse(MIGRATABLE_SHARE, m->destination, e);
	case MOUNT_PHYSICAL_DISK:
		break;
	}
	return refuse(MIGRATABLE_PHYSICAL_DISK, m->destination, e);
}

/* Annotations of the container itself; those of the UVM are the lock's. */
static int check_text(const struct annotation *a, struct err *e)
{
	const struct annotation_row *row = annotation_find(a->key);

	if (!row || !row->not_migratable || row->use != USE_GUEST ||
	    *a->value == '\0')
		return 0;
	return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
			 "a container of a migratable sandbox cannot have "
			 "%.100s: %s",
			 a->key, row->not_migratable);
}

int migratable_check_container(const struct annotation_map *lock,
			       const struct migratable_container *c,
			       struct err *e)
{
	int rc = annotations_refuse(c->annotations, e);

	for (size_t i = 0; i < c->annotations->n && rc == 0; i++)
		rc = check_text(&c->annotations->item[i], e);
	if (rc == 0 && lock)
		rc = annotation_lock_check(lock, c->annotations, e);
	for (size_t i = 0; i < c->n_mounts && rc == 0; i++)
		rc = check_mount(&c->mounts[i], e);
	if (rc == 0 && c->n_devices)
		rc = refuse(MIGRATABLE_DEVICE, c->devices[0].id, e);
	return rc;
}
