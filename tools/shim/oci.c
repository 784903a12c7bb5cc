#include "tools/shim/oci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bridge/msg.h"
#include "config/annotation_lock.h"
#include "config/arena.h"
#include "config/migratable.h"
#include "config/util.h"
#include "tools/image_file.h"

#define DOCUMENT_MAX ((size_t)4 * 1024 * 1024)

struct oci_mount {
	const char *destination;
	const char *type;
	const char *source;
};

/* A device that the host assigns has a type of its own in Windows' section. */
struct oci_assigned {
	const char *id;
	const char *id_type;
};

struct oci_windows {
	struct oci_assigned *device;
	size_t n_devices;
};

struct oci_document {
	struct msg_pairs annotations;
	struct oci_mount *mount;
	size_t n_mounts;
	struct oci_windows windows;
};

#define OPT SCHEMA_OPTIONAL
static const struct schema_member mount_members[] = {
	SCHEMA_STRING(struct oci_mount, destination, "destination", OPT),
	SCHEMA_STRING(struct oci_mount, type, "type", OPT),
	SCHEMA_STRING(struct oci_mount, source, "source", OPT),
};
static const struct schema mount_schema =
	SCHEMA(struct oci_mount, mount_members);

static const struct schema_member assigned_members[] = {
	SCHEMA_STRING(struct oci_assigned, id, "id", OPT),
	SCHEMA_STRING(struct oci_assigned, id_type, "idType", OPT),
};
static const struct schema assigned_schema =
	SCHEMA(struct oci_assigned, assigned_members);

static const struct schema_member windows_members[] = {
	SCHEMA_ARRAY(struct oci_assigned, struct oci_windows, device, n_devices,
		     "devices", OPT, assigned_schema),
};
static const struct schema windows_schema =
	SCHEMA(struct oci_windows, windows_members);

#define T struct oci_document
static const struct schema_member document_members[] = {
	SCHEMA_PAIRS(T, annotations, "annotations", OPT),
	SCHEMA_ARRAY(struct oci_mount, T, mount, n_mounts, "mounts", OPT,
		     mount_schema),
	SCHEMA_OBJECT(struct oci_windows, T, windows, "windows", OPT,
		      windows_schema),
};
static const struct schema document_schema = SCHEMA(T, document_members);
#undef T

void oci_facts_done(struct oci_facts *f)
{
	annotation_map_done(&f->annotations);
}

/* What the guest makes itself is no share, whatever its source says. */
static bool is_guests_own(const char *destination)
{
	static const char *const own[] = { "/etc/hosts", "/etc/hostname",
					   "/etc/resolv.conf", "/dev/shm" };

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcmp(destination, own[i]) == 0)
			return true;
	return false;
}

static int check_migratable(const struct oci_document *d,
			    const struct annotation_map *annotations,
			    const struct annotation_map *lock,
			    struct arena *arena, struct err *e)
{
	struct container_mount *mounts =
		arena_array(arena, d->n_mounts + 1, sizeof(*mounts));
	struct sandbox_device *devices =
		arena_array(arena, d->windows.n_devices + 1, sizeof(*devices));
	struct migratable_container c = {
		.annotations = annotations,
		.mounts = mounts,
		.devices = devices,
		.n_devices = d->windows.n_devices,
	};

	if (!mounts || !devices)
		return err_set(e, ENOMEM, "no memory for a container's mounts");
	for (size_t i = 0; i < d->n_mounts; i++) {
		const struct oci_mount *m = &d->mount[i];

		if (is_guests_own(m->destination))
			continue;
		mounts[c.n_mounts].destination = m->destination;
		mounts[c.n_mounts++].origin =
			migratable_mount_origin(m->type, m->source);
	}
	for (size_t i = 0; i < d->windows.n_devices; i++)
		devices[i] = (struct sandbox_device){
			.id = d->windows.device[i].id,
			.type = d->windows.device[i].id_type,
		};
	return migratable_check_container(lock, &c, e);
}

static int place(struct oci_facts *f, struct err *e)
{
	const char *type =
		annotation_map_get(&f->annotations, OCI_CONTAINER_TYPE);
	const char *pod = annotation_map_get(&f->annotations, OCI_SANDBOX_ID);

	if (!type || !*type)
		f->kind = OCI_ALONE;
	else if (strcmp(type, "sandbox") == 0)
		f->kind = OCI_SANDBOX;
	else if (strcmp(type, "container") == 0)
		f->kind = OCI_CONTAINER;
	else
		return err_set(e, EINVAL, "%s: '%.40s' is no kind of container",
			       OCI_CONTAINER_TYPE, type);
	if (f->kind != OCI_CONTAINER)
		return 0;
	if (!pod || !*pod || strlen(pod) >= sizeof(f->pod_id))
		return err_set(e, EINVAL, "%s: the id of a pod is wanted",
			       OCI_SANDBOX_ID);
	memcpy(f->pod_id, pod, strlen(pod) + 1);
	return 0;
}

int oci_facts_check(const char *text, size_t len,
		    const struct annotation_map *lock, struct oci_facts *ret,
		    struct err *e)
{
	struct oci_document d;
	struct arena arena;
	int r;

	*ret = (struct oci_facts){ 0 };
	annotation_map_init(&ret->annotations);
	arena_init(&arena, OCI_BYTES_MAX);
	r = msg_decode(&document_schema, text, len, &arena, &d, e);
	for (size_t i = 0; r == 0 && i < d.annotations.n; i++)
		r = annotation_map_set(&ret->annotations,
				       d.annotations.item[i].name,
				       d.annotations.item[i].value, e);
	if (r == 0)
		r = place(ret, e);
	if (r == 0 && lock)
		r = check_migratable(&d, &ret->annotations, lock, &arena, e);
	arena_done(&arena);
	return r;
}

int oci_facts_read(const char *dir, const struct annotation_map *lock,
		   struct oci_facts *ret, struct err *e)
{
	cleanup_free void *text = NULL;
	char path[4096];
	size_t len = 0;
	int r;

	*ret = (struct oci_facts){ 0 };
	annotation_map_init(&ret->annotations);
	if (snprintf(path, sizeof(path), "%s/config.json", dir) >=
	    (int)sizeof(path))
		return err_set(e, ENAMETOOLONG, "the bundle's path");
	r = image_file_read(path, DOCUMENT_MAX, &text, &len, e);
	return r < 0 ? r : oci_facts_check(text, len, lock, ret, e);
}
