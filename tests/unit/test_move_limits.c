/*
 * What a state names more of than a sandbox can have is refused by the import,
 * before anything is made of it: arrays further on have these sizes.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/saved.h"
#include "migration/status.h"
#include "tests/unit/fake_move.h"

#define MANY 1100u

/* The state of a source, to be changed and handed to a destination. */
struct changed {
	struct move m;
	struct arena a;
	struct saved s;
};

static char guid[MANY][NAMES_GUID_SIZE];
static char name[MANY][16];

static struct saved_text text_of(const char *s)
{
	return saved_text_of(s);
}

static void begin(struct changed *x)
{
	struct err e;

	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(guid[i], sizeof(guid[i]),
			       "%08x-0000-4000-8000-0000000000ff", i);
		(void)snprintf(name[i], sizeof(name[i]), "n%u", i);
	}
	move_init(&x->m);
	move_reach_source(&x->m, SESSION_SOURCE_EXPORTED);
	arena_init(&x->a, (size_t)64 << 20);
	assert_int_equal(saved_decode(x->m.src.session.exported.buf,
				      x->m.src.session.exported.len, NULL,
				      &x->a, &x->s, NULL, &e),
			 0);
	assert_true(x->s.n_pods == 1 && x->s.pods[0].n_containers == 2);
}

/* What the destination says to it; it is as before then. */
static int import(struct changed *x)
{
	struct text out;
	struct err e;
	int r;

	text_heap(&out, SAVED_BYTES_MAX + 1);
	assert_int_equal(saved_encode(&x->s, &out, &e), 0);
	r = session_ctl_import(&x->m.dst.session, MOVE_ID, "new", out.buf,
			       out.len, &x->m.e);
	text_done(&out);
	if (r == 0) {
		assert_int_equal(move_cancel(&x->m, &x->m.dst), 0);
		assert_int_equal(move_cleanup(&x->m, &x->m.dst), 0);
	} else {
		assert_int_equal(x->m.dst.session.state, SESSION_IDLE);
		assert_int_equal(x->m.dst.s.vm.state, VM_NOT_CREATED);
		assert_null(x->m.dst.s.pods);
	}
	arena_done(&x->a);
	move_done(&x->m);
	return r;
}

static int with_cards(unsigned n)
{
	static struct saved_endpoint cards[MANY];
	struct changed x;

	begin(&x);
	for (unsigned i = 0; i < n; i++)
		cards[i] = (struct saved_endpoint){
			.nic_id = text_of(guid[i]),
			.endpoint_id = text_of(name[i]),
			.mac = text_of("00-15-5D-00-00-01"),
			.name = text_of("eth0"),
		};
	x.s.pods[0].network.namespace_id = text_of("ns");
	x.s.pods[0].network.endpoints = cards;
	x.s.pods[0].network.n_endpoints = n;
	return import(&x);
}

/* @n more that hold what the first one holds. */
static struct saved_reservation *hold(struct changed *x, unsigned n)
{
	struct saved_scsi *scsi = &x->s.vm.scsi;
	const struct saved_reservation first = scsi->reservations[0];
	struct saved_reservation *all =
		arena_array(&x->a, scsi->n_reservations + n,
			    sizeof(struct saved_reservation));

	assert_non_null(all);
	for (unsigned i = 0; i < n; i++)
		all[i] = (struct saved_reservation){
			.id = text_of(guid[i]),
			.slot = first.slot,
			.partition = first.partition,
		};
	memcpy(all + n, scsi->reservations,
	       scsi->n_reservations * sizeof(*all));
	scsi->reservations = all;
	scsi->n_reservations += n;
	for (size_t i = 0; i < scsi->n_disks; i++)
		for (size_t j = 0; j < scsi->disks[i].n_mounts; j++)
			if (scsi->disks[i].slot == first.slot &&
			    scsi->disks[i].mounts[j].partition ==
				    first.partition)
				scsi->disks[i].mounts[j].ref_count += n;
	return all;
}

static int with_layers(unsigned n)
{
	static struct saved_layer layers[MANY];
	struct changed x;
	struct saved_container *c;

	begin(&x);
	c = &x.s.pods[0].containers[0];
	assert_true(c->has_layers && c->n_ro_layers <= n);
	n -= (unsigned)c->n_ro_layers;
	(void)hold(&x, n);
	for (unsigned i = 0; i < n; i++)
		layers[i] = (struct saved_layer){ text_of(guid[i]),
						  text_of("/layer") };
	memcpy(layers + n, c->ro_layers, c->n_ro_layers * sizeof(*layers));
	c->ro_layers = layers;
	c->n_ro_layers += n;
	return import(&x);
}

static int with_disks(unsigned n)
{
	static struct saved_text disks[MANY];
	struct changed x;

	begin(&x);
	(void)hold(&x, n);
	for (unsigned i = 0; i < n; i++)
		disks[i] = text_of(guid[i]);
	assert_int_equal(x.s.pods[0].containers[0].n_reservations, 0);
	x.s.pods[0].containers[0].reservations = disks;
	x.s.pods[0].containers[0].n_reservations = n;
	return import(&x);
}

static int with_containers(unsigned n)
{
	static struct saved_container containers[MANY];
	static struct saved_process init[MANY];
	struct changed x;

	begin(&x);
	x.s.vm.next_id = 1000000;
	containers[0] = x.s.pods[0].containers[0];
	containers[1] = x.s.pods[0].containers[1];
	for (unsigned i = 2; i < n; i++) {
		init[i] = (struct saved_process){
			.version = 1,
			.pid = (int32_t)i,
			.wait_id = 100000 + i,
		};
		containers[i] = (struct saved_container){
			.version = 1,
			.id = text_of(name[i]),
			.gcs_id = text_of(name[i]),
			.processes = &init[i],
			.n_processes = 1,
		};
	}
	x.s.pods[0].containers = containers;
	x.s.pods[0].n_containers = n;
	return import(&x);
}

static void test_cards(void **state UNUSED)
{
	assert_int_equal(with_cards(NETWORK_ENDPOINTS_MAX), 0);
	assert_int_equal(with_cards(NETWORK_ENDPOINTS_MAX + 1), -EEXHAUSTED);
	/* So many that those of all pods would not hold them. */
	assert_int_equal(with_cards(MANY), -EEXHAUSTED);
}

static void test_layers(void **state UNUSED)
{
	assert_int_equal(with_layers(CONTAINER_LAYERS_MAX), 0);
	assert_int_equal(with_layers(CONTAINER_LAYERS_MAX + 1), -EEXHAUSTED);
}

static void test_disks(void **state UNUSED)
{
	assert_int_equal(with_disks(CONTAINER_DISKS_MAX), 0);
	assert_int_equal(with_disks(CONTAINER_DISKS_MAX + 1), -EEXHAUSTED);
}

static void test_containers(void **state UNUSED)
{
	assert_int_equal(with_containers(POD_CONTAINERS_MAX), 0);
	assert_int_equal(with_containers(POD_CONTAINERS_MAX + 1), -EEXHAUSTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cards),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_containers),
	};

	return cmocka_run_group_tests_name("move_limits", tests, NULL, NULL);
}
