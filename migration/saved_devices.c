/*
 * Assigned devices and shares of a saved state, ferry's own (D14): the rules of
 * the other payloads hold for them under the same names. Lists are sorted here.
 */
#include <stdlib.h>

#include "migration/devices.h"
#include "migration/names.h"
#include "migration/saved_codec.h"

static int by_guid(const void *a, const void *b)
{
	return saved_compare_guid(*(const struct saved_text *)a,
				  *(const struct saved_text *)b);
}

/* Both structs begin with their GUID. */
static const struct saved_text *find(const void *list, size_t n, size_t size,
				     struct saved_text id)
{
	return n > 0 ? bsearch(&id, list, n, size, by_guid) : NULL;
}

static int check_key(struct saved_reader *r, const struct saved_text *id,
		     const struct saved_text *before)
{
	if (!names_guid_ok(id->p, id->n))
		return saved_refuse(r, "S11", EINVAL, "device without a GUID");
	if (before && saved_compare_guid(*before, *id) == 0)
		return saved_refuse(r, "S8", EINVAL, "device %.36s twice",
				    id->p);
	return 0;
}

static int check_vpci(struct saved_reader *r, const struct saved_vm *v,
		      size_t i)
{
	const struct saved_vpci *x = &v->vpci[i];

	if (check_key(r, &x->vmbus_guid, i ? &x[-1].vmbus_guid : NULL) < 0)
		return err_code(r->e);
	if (!names_id_ok(x->host_device.p, x->host_device.n))
		return saved_refuse(r, "S9", EINVAL, "address of a device");
	if (x->stage > SAVED_STAGE_ATTACHED)
		return saved_refuse(r, "S3", EINVAL, "stage of a device");
	return 0;
}

static int check_share(struct saved_reader *r, const struct saved_vm *v,
		       size_t i)
{
	const struct saved_share *x = &v->shares[i];

	if (check_key(r, &x->reservation, i ? &x[-1].reservation : NULL) < 0)
		return err_code(r->e);
	if (!names_id_ok(x->name.p, x->name.n))
		return saved_refuse(r, "S9", EINVAL, "name of a share");
	if (!names_path_ok(x->host_path.p, x->host_path.n) ||
	    !names_path_ok(x->guest_path.p, x->guest_path.n))
		return saved_refuse(r, "S10", EINVAL, "path of a share");
	if (x->stage > SAVED_STAGE_MOUNTED)
		return saved_refuse(r, "S3", EINVAL, "stage of a share");
	return 0;
}

/* The references of one container; @held counts for each of the list. */
static int check_references(struct saved_reader *r, struct saved_text *refs,
			    size_t n_refs, const void *list, size_t n,
			    size_t size, uint32_t *held)
{
	size_t i;

	if (n_refs > 0)
		qsort(refs, n_refs, sizeof(*refs), by_guid);
	for (i = 0; i < n_refs; i++) {
		const struct saved_text *x;

		if (!names_guid_ok(refs[i].p, refs[i].n))
			return saved_refuse(r, "S11", EINVAL,
					    "reference is no GUID");
		if (i > 0 && saved_compare_guid(refs[i - 1], refs[i]) == 0)
			return saved_refuse(r, "S52", EINVAL,
					    "device %.36s is used twice",
					    refs[i].p);
		x = find(list, n, size, refs[i]);
		if (!x)
			return saved_refuse(r, "S50", EINVAL, "no device %.36s",
					    refs[i].p);
		held[(size_t)((const char *)x - (const char *)list) / size]++;
	}
	return 0;
}

static int check_holders(struct saved_reader *r, const struct saved *s,
			 uint32_t *vpci_held, uint32_t *share_held)
{
	const struct saved_vm *v = &s->vm;
	size_t i, j;

	for (i = 0; i < s->n_pods; i++)
		for (j = 0; j < s->pods[i].n_containers; j++) {
			const struct saved_container *c =
				&s->pods[i].containers[j];

			if (check_references(r, c->vpci_guids, c->n_vpci_guids,
					     v->vpci, v->n_vpci,
					     sizeof(*v->vpci), vpci_held) < 0 ||
			    check_references(r, c->share_reservations,
					     c->n_share_reservations, v->shares,
					     v->n_shares, sizeof(*v->shares),
					     share_held) < 0)
				return err_wrap(r->e,
						"pods[%zu].containers[%zu]", i,
						j);
		}
	return 0;
}

int saved_check_devices(struct saved_reader *r, const struct saved *s)
{
	uint32_t vpci_held[DEVICES_MAX] = { 0 },
		 share_held[DEVICES_MAX] = { 0 };
	const struct saved_vm *v = &s->vm;
	size_t i;
	int ok = 0;

	if (v->n_vpci + v->n_shares > DEVICES_MAX)
		return saved_refuse(r, "S1", EEXHAUSTED, "too many devices");
	if (v->n_vpci > 0)
		qsort(v->vpci, v->n_vpci, sizeof(*v->vpci), by_guid);
	if (v->n_shares > 0)
		qsort(v->shares, v->n_shares, sizeof(*v->shares), by_guid);
	for (i = 0; i < v->n_vpci && ok == 0; i++)
		ok = check_vpci(r, v, i);
	for (i = 0; i < v->n_shares && ok == 0; i++)
		ok = check_share(r, v, i);
	if (ok == 0)
		ok = check_holders(r, s, vpci_held, share_held);
	for (i = 0; i < v->n_vpci && ok == 0; i++)
		if (vpci_held[i] == 0)
			ok = saved_refuse(r, "S26", EINVAL,
					  "nobody holds device %.36s",
					  v->vpci[i].vmbus_guid.p);
	for (i = 0; i < v->n_shares && ok == 0; i++)
		if (share_held[i] == 0 ||
		    share_held[i] != v->shares[i].ref_count)
			ok = saved_refuse(r, "S26", EINVAL,
					  "share %.36s: ref_count %u, held by "
					  "%u",
					  v->shares[i].reservation.p,
					  v->shares[i].ref_count,
					  share_held[i]);
	return ok;
}
