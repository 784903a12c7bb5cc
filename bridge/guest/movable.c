#include "bridge/guest/movable.h"

#include <string.h>

#include "bridge/msg.h"
#include "bridge/schema.h"
#include "config/annotation_map.h"
#include "config/migratable.h"

struct movable_mount {
	const char *destination;
	const char *type;
	const char *source;
};

struct movable_device {
	const char *id;
	const char *type;
};

/* What of an OCI document tells whether it can move. */
struct movable {
	struct msg_pairs annotations;
	struct movable_mount *mount;
	size_t n_mounts;
	struct movable_device *device;
	size_t n_devices;
};

static const struct schema_member mount_members[] = {
#define T struct movable_mount
	SCHEMA_STRING(T, destination, "destination", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, type, "type", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, source, "source", SCHEMA_OPTIONAL),
#undef T
};
static const struct schema mount_schema =
	SCHEMA(struct movable_mount, mount_members);

static const struct schema_member device_members[] = {
#define T struct movable_device
	SCHEMA_STRING(T, id, "id", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, type, "idType", SCHEMA_OPTIONAL),
#undef T
};
static const struct schema device_schema =
	SCHEMA(struct movable_device, device_members);

static const struct schema_member windows_members[] = {
	SCHEMA_ARRAY(struct movable_device, struct movable, device, n_devices,
		     "devices", SCHEMA_OPTIONAL, device_schema),
};
static const struct schema windows_schema =
	SCHEMA(struct movable, windows_members);

static const struct schema_member movable_members[] = {
	SCHEMA_PAIRS(struct movable, annotations, "annotations",
		     SCHEMA_OPTIONAL),
	SCHEMA_ARRAY(struct movable_mount, struct movable, mount, n_mounts,
		     "mounts", SCHEMA_OPTIONAL, mount_schema),
	SCHEMA_LEVEL("windows", SCHEMA_OPTIONAL, windows_schema),
};
static const struct schema movable_schema =
	SCHEMA(struct movable, movable_members);

/* Is @path at or below @top? */
static bool is_below(const char *path, const char *top)
{
	const size_t n = strlen(top);

	return strncmp(path, top, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/');
}

static enum mount_origin origin_of(const struct movable_mount *m,
				   const struct volumes *volumes)
{
	for (struct list *l = volumes->all.next; l != &volumes->all;
	     l = l->next) {
		const struct volume *v = LIST_ITEM(l, struct volume, node);

		if (v->facts.kind == VOLUME_PLAN9 &&
		    is_below(m->source, v->facts.path))
			return MOUNT_SHARE;
	}
	return strcmp(m->type, "9p") == 0 ? MOUNT_SHARE : MOUNT_GUEST;
}

static int check(const struct movable *m, const struct volumes *volumes,
		 struct annotation_map *notes, struct arena *a, struct err *e)
{
	struct container_mount *mounts =
		arena_array(a, m->n_mounts + 1, sizeof(*mounts));
	struct sandbox_device *devices =
		arena_array(a, m->n_devices + 1, sizeof(*devices));
	const struct migratable_container c = {
		.annotations = notes,
		.mounts = mounts,
		.n_mounts = m->n_mounts,
		.devices = devices,
		.n_devices = m->n_devices,
	};

	if (!mounts || !devices)
		return err_set(e, ENOMEM, "no memory for mounts");
	for (size_t i = 0; i < m->n_mounts; i++) {
		mounts[i].destination = m->mount[i].destination;
		mounts[i].origin = origin_of(&m->mount[i], volumes);
	}
	for (size_t i = 0; i < m->n_devices; i++) {
		devices[i].id = m->device[i].id;
		devices[i].type = m->device[i].type;
	}
	return migratable_check_container(NULL, &c, e); /* the host has it */
}

int movable_check(const char *document, const struct volumes *volumes,
		  struct arena *a, struct err *e)
{
	struct annotation_map notes;
	struct movable m;
	int r = msg_decode(&movable_schema, document, strlen(document), a, &m,
			   e);

	annotation_map_init(&notes);
	for (size_t i = 0; i < m.annotations.n && r == 0; i++)
		r = annotation_map_set(&notes, m.annotations.item[i].name,
				       m.annotations.item[i].value, e);
	if (r == 0)
		r = check(&m, volumes, &notes, a, e);
	annotation_map_done(&notes);
	return r;
}
