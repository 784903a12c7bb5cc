/*
 * tests/unit/test_slot_bodies.c - what the records of the agent hold, of this
 * version and as the ones before wrote them; bridge/guest/pack.h, keep.h
 */
#include "tests/unit/slot_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/network_object.h"
#include "bridge/guest/pack.h"
#include "bridge/guest/slot.h"

static void test_numbers_and_texts(void **state)
{
	uint8_t buf[64];
	char name[8];
	struct pack w = pack_write(buf, sizeof(buf)), r;

	(void)state;
	pack_put(&w, 0x1122334455667788, 8);
	pack_put(&w, 1, 1);
	pack_text(&w, NULL);
	pack_text(&w, "");
	pack_text(&w, "name");
	assert_false(w.bad);
	r = pack_read(buf, w.at);
	assert_true(unpack(&r, 8) == 0x1122334455667788);
	assert_true(unpack_bool(&r));
	assert_null(unpack_text(&r));
	assert_string_equal(unpack_text(&r), "");
	unpack_name(&r, name, sizeof(name));
	assert_string_equal(name, "name");
	assert_false(r.bad);
	assert_int_equal(unpack_u32(&r), 0);
	assert_true(r.bad);
	r = pack_read(buf, w.at);
	r.at = w.at - 9;
	unpack_name(&r, name, 4);
	assert_true(r.bad);
	w = pack_write(buf, 3);
	pack_put(&w, 1, 4);
	assert_true(w.bad);
}

/* What an agent of version 1 has written; of another: it is in @name. */
static struct slot_view golden(const char *name, enum slot_kind kind)
{
	static uint8_t bytes[4096];
	char path[128];
	FILE *f;
	struct slot_view v = { .kind = kind, .version = 1, .body = bytes };

	(void)snprintf(path, sizeof(path), "tests/golden/slot/%s%s", name,
		       strchr(name, '.') ? "" : ".1");
	f = fopen(path, "re");
	assert_non_null(f);
	v.len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return v;
}

static void test_golden_version_1(void **state)
{
	struct slot_view v = golden("agent", SLOT_AGENT);
	struct keep_agent a;
	struct keep_process p;

	(void)state;
	assert_true(keep_agent_read(&v, &a));
	assert_int_equal(a.number, 0x01020304);
	assert_int_equal(a.epoch, 5);
	assert_true(a.serial == 0x1112131415161718);
	v = golden("process", SLOT_PROCESS);
	assert_true(keep_process_read(&v, &p));
	assert_true(p.ticket == 0x0000000300000001);
	assert_true(p.number == 0x0000000300000002);
	assert_true(p.request == 17);
	assert_true(p.serial == 4);
	assert_int_equal(p.pid, 4242);
	assert_int_equal(p.exit_code, 137);
	assert_int_equal(p.told_on, 6);
	assert_int_equal(p.state, PROCESS_OVER);
	assert_true(p.init && !p.console);
	v.len--;
	assert_false(keep_process_read(&v, &p));
}

static void test_golden_wait_of_version_1(void **state)
{
	struct slot_view v = golden("wait", SLOT_REQUEST);
	struct keep_request w;

	(void)state;
	assert_true(keep_request_read(&v, &w));
	assert_true(w.to.id == 77 && w.to.keep == 9 && w.serial == 4);
	assert_int_equal(w.to.type, 0x10100601);
	assert_int_equal(w.to.conn, 3);
	assert_string_equal(w.to.activity,
			    "11111111-2222-3333-4444-555555555555");
	assert_int_equal(w.pid, 4242);
	v.len--;
	assert_false(keep_request_read(&v, &w));
}

static void test_golden_container_of_version_1(void **state)
{
	struct slot_view v = golden("container", SLOT_CONTAINER);
	struct agent *a = calloc(1, sizeof(*a));
	const struct container_facts *f;
	struct container *c;

	(void)state;
	assert_non_null(a);
	pid1_init(&a->pid1);
	slots_init(&a->slots);
	containers_init(&a->containers, a);
	v.handle = 8;
	c = keep_container_read(a, &v);
	assert_non_null(c);
	f = &c->facts;
	assert_string_equal(f->id, "one");
	assert_true(f->serial == 4 && f->number == 12 && c->slot == 8);
	assert_int_equal(f->state, 3);
	assert_int_equal(f->exit, 1);
	assert_int_equal(f->oci.kind, 2);
	assert_int_equal(f->uid, 1000);
	assert_int_equal(f->gid, 100);
	assert_int_equal(f->told_epoch, 6);
	assert_int_equal(f->init_pid, 4242);
	assert_int_equal(f->port[2], 0x40000006);
	assert_true(f->has_user && f->told && f->oci.terminal && f->oci.vsock);
	assert_false(f->host_network || f->deleting || f->oci.by_name);
	assert_string_equal(f->bundle, "/run/gcs/c/one");
	assert_string_equal(f->oci.cgroup, "/pods/pod/one");
	assert_string_equal(f->oci.rlimits, "[]");
	assert_true(a->containers.serial == 4);
	container_free(c);
	v.len--;
	assert_null(keep_container_read(a, &v));
	containers_done(&a->containers);
	free(a);
}

/* What this version writes of a namespace is what the next one will find. */
static void test_golden_network_of_version_2(void **state)
{
	static const char guid[] = "4f0e1a3c-0000-4000-8000-00000000000a";
	struct agent *a = calloc(1, sizeof(*a));
	struct network_facts f = { .id = "adapter",
				   .name = "eth1",
				   .mac = { 2, 0x15, 0x5d, 0, 0, 10 },
				   .encap = 50,
				   .mtu = 1500,
				   .low_metric = true,
				   .n_addresses = 1,
				   .n_routes = 1,
				   .search = "a.test",
				   .servers = "10.4.0.9" };
	struct network_record *r;
	struct network_adapter *n;
	struct slot_view v = golden("network.2", SLOT_NETWORK), w;

	(void)state;
	assert_non_null(a);
	f.address[0].address = (struct rtnl_address){ 2, { 10, 4, 0, 2 } };
	f.address[0].prefix = 24;
	f.route[0].gateway = (struct rtnl_address){ 2, { 10, 4, 0, 1 } };
	f.route[0].metric = 7;
	pid1_init(&a->pid1);
	networks_init(&a->networks, NULL, NULL);
	a->slots = slots;
	r = network_record_get(&a->networks, guid, NULL);
	assert_non_null(r);
	n = network_adapter_new(r, &f, NULL);
	assert_non_null(n);
	r->assigned = true;
	n->state = NETWORK_UP;
	n->request = 77;
	n->conn = 3;
	keep_network(a, r, false);
	assert_true(slot_next(&a->slots, SLOT_NETWORK, 0, &w));
	assert_int_equal(w.version, 2);
	assert_int_equal(w.len, v.len);
	assert_memory_equal(w.body, v.body, v.len);
	networks_done(&a->networks);

	v.version = 2;
	v.handle = w.handle;
	r = keep_network_read(a, &v);
	assert_non_null(r);
	assert_string_equal(r->guid, guid);
	assert_true(r->assigned && r->slot == w.handle);
	n = NETWORK_ADAPTER(r->adapters.next);
	assert_int_equal(n->state, NETWORK_UP);
	assert_true(n->request == 77 && n->conn == 3);
	assert_memory_equal(&n->facts, &f, sizeof(f));
	networks_done(&a->networks);
	v.len--;
	assert_null(keep_network_read(a, &v));
	networks_done(&a->networks);
	slots = a->slots;
	free(a);
}

/* --- what this version writes, and the next one will find ------------------------ */

static const char hash_text[] = "aGFzaA==";

/* Two agents would not agree on a byte that nobody wrote. */
static void volume_of(struct volume *v)
{
	memset(v, 0, sizeof(*v));
	v->facts.kind = VOLUME_LAYERS;
	(void)snprintf(v->facts.path, sizeof(v->facts.path),
		       "/run/gcs/c/one/rootfs");
	(void)snprintf(v->facts.scratch, sizeof(v->facts.scratch),
		       "/run/scratch");
	(void)snprintf(v->facts.device, sizeof(v->facts.device), "sdc");
	(void)snprintf(v->facts.filesystem, sizeof(v->facts.filesystem),
		       "ext4");
	v->facts.partition = 2;
	v->facts.offset_bytes = 4096;
	v->facts.size_bytes = 8192;
	v->facts.pmem = 7;
	v->facts.n_layers = 3;
	v->facts.controller = 1;
	v->facts.lun = 9;
	v->facts.read_only = true;
	v->facts.bound = true;
	v->there = true;
}

static const struct keep_process process_2 = {
	.ticket = 0x0000000300000001,
	.number = 0x0000000300000002,
	.request = 17,
	.serial = 4,
	.exit_code = 137,
	.told_on = 6,
	.state = PROCESS_LIVE,
	.console = true,
	.carried = true,
	.port = { 0x40000001, 0x40000002, 0 },
	.call = 5,
};

static const struct keep_request request_2 = {
	.to = { .id = 77,
		.type = 0x10100601,
		.conn = 3,
		.keep = 9,
		.activity = "11111111-2222-3333-4444-555555555555" },
	.frame = 12,
	.pid = 4242,
	.serial = 4,
	.until_ms = 123456789,
	.container = "one",
};

static const struct carry_new stream_2 = {
	.kind = STREAM_OUT,
	.tty = true,
	.port = 0x40000002,
	.number = 0x0000000300000002,
	.role = 1,
	.serial = 4,
	.pid = 4242,
	.end = -1,
	.file = -1,
	.mid = -1,
};

static void put_all(struct agent *a)
{
	struct carry carry = { .mid = -1 };
	struct stream stream = { .carry = &carry, .end = -1 };
	struct slot_view v = golden("container", SLOT_CONTAINER);
	struct container *c = keep_container_read(a, &v);
	static struct volume volume;
	uint32_t slot = 0;

	assert_non_null(c);
	c->slot = 0;
	c->facts.told_frame = 11;
	keep_container(c);
	a->conn.number = 0x01020304;
	a->epoch = 5;
	keep_agent(a);
	keep_process_put(a, &slot, &process_2);
	slot = 0;
	keep_request(a, &slot, &request_2);
	for (unsigned int i = 0; i < SESSION_KEY_BYTES; i++) {
		a->resume.session.key[i] = (uint8_t)(0x80 + i);
		if (i < SESSION_ID_BYTES)
			a->resume.session.id[i] = (uint8_t)(0x10 + i);
	}
	keep_session(a);
	keep_stream(a, &stream, &stream_2);
	volume_of(&volume);
	keep_volume(a, &volume, false);
	a->policy.reference = strdup(hash_text);
	keep_policy(a);
	policy_done(&a->policy);
	memset(&a->policy, 0, sizeof(a->policy));
}

/* Each record is what the file has, to the byte. */
static void test_what_is_written_is_the_golden_version_2(void **state)
{
	static const struct {
		const char *name;
		enum slot_kind kind;
	} all[] = {
		{ "agent.2", SLOT_AGENT },
		{ "process.2", SLOT_PROCESS },
		{ "request.2", SLOT_REQUEST },
		{ "session.2", SLOT_SESSION },
		{ "stream.2", SLOT_STREAM },
		{ "volume.2", SLOT_VOLUME },
		{ "container.2", SLOT_CONTAINER },
		{ "policy.2", SLOT_POLICY },
	};
	struct agent *a = calloc(1, sizeof(*a));

	(void)state;
	assert_non_null(a);
	pid1_init(&a->pid1);
	containers_init(&a->containers, a);
	a->slots = slots;
	put_all(a);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct slot_view v, w;

		assert_true(slot_next(&a->slots, all[i].kind, 0, &w));
		v = golden(all[i].name, all[i].kind);
		if (w.version != 2 || w.len != v.len ||
		    memcmp(w.body, v.body, v.len) != 0)
			fail_msg("%s is written in another way: a new version",
				 all[i].name);
	}
	slots = a->slots;
	containers_done(&a->containers);
	free(a);
}

static struct slot_view golden_2(const char *name, enum slot_kind kind)
{
	struct slot_view v = golden(name, kind);

	v.version = 2;
	return v;
}

static void test_golden_processes_of_version_2(void **state)
{
	struct slot_view v = golden_2("process.2", SLOT_PROCESS);
	struct keep_process p;
	struct keep_request r;
	struct carry_new n;

	(void)state;
	v.word = 4242;
	assert_true(keep_process_read(&v, &p));
	assert_true(p.ticket == process_2.ticket &&
		    p.number == process_2.number && p.call == 5);
	assert_true(p.request == 17 && p.serial == 4 && p.pid == 0);
	assert_int_equal(p.runs, 4242);
	assert_int_equal(p.exit_code, 137);
	assert_int_equal(p.told_on, 6);
	assert_int_equal(p.state, PROCESS_LIVE);
	assert_true(p.console && p.carried && !p.init);
	assert_memory_equal(p.port, process_2.port, sizeof(p.port));
	v.len--;
	assert_false(keep_process_read(&v, &p));

	v = golden_2("request.2", SLOT_REQUEST);
	assert_true(keep_request_read(&v, &r));
	assert_true(r.to.id == 77 && r.to.keep == 9 && r.frame == 12);
	assert_true(r.serial == 4 && r.until_ms == 123456789);
	assert_int_equal(r.to.conn, 3);
	assert_int_equal(r.pid, 4242);
	assert_string_equal(r.to.activity, request_2.to.activity);
	assert_string_equal(r.container, "one");
	v.len--;
	assert_false(keep_request_read(&v, &r));

	v = golden_2("stream.2", SLOT_STREAM);
	v.handle = 6;
	assert_true(keep_stream_read(&v, &n));
	assert_true(n.kind == STREAM_OUT && n.tty && n.slot == 6);
	assert_true(n.number == stream_2.number && n.serial == 4);
	assert_int_equal(n.port, stream_2.port);
	assert_int_equal(n.role, 1);
	assert_int_equal(n.pid, 4242);
	v.len--;
	assert_false(keep_stream_read(&v, &n));
}

static void test_golden_rest_of_version_2(void **state)
{
	struct agent *a = calloc(1, sizeof(*a));
	struct slot_view v = golden_2("agent.2", SLOT_AGENT);
	struct volume_facts f;
	struct keep_agent k;
	struct session_id id;
	struct container *c;
	static struct volume volume;
	bool there;

	(void)state;
	assert_non_null(a);
	assert_true(keep_agent_read(&v, &k));
	assert_int_equal(k.number, 0x01020304);
	assert_int_equal(k.epoch, 5);
	assert_true(k.serial == 4);

	v = golden_2("session.2", SLOT_SESSION);
	assert_true(keep_session_read(&v, &id));
	assert_int_equal(id.id[15], 0x1f);
	assert_int_equal(id.key[31], 0x9f);
	v.len--;
	assert_false(keep_session_read(&v, &id));

	v = golden_2("volume.2", SLOT_VOLUME);
	assert_true(keep_volume_read(&v, &f, &there));
	volume_of(&volume);
	assert_true(there);
	assert_memory_equal(&f, &volume.facts, sizeof(f));
	v.len--;
	assert_false(keep_volume_read(&v, &f, &there));

	v = golden_2("policy.2", SLOT_POLICY);
	keep_policy_read(a, &v);
	assert_true(a->policy.set && !a->policy.hash_envelope);
	assert_string_equal(a->policy.reference, hash_text);
	policy_done(&a->policy);

	pid1_init(&a->pid1);
	slots_init(&a->slots);
	containers_init(&a->containers, a);
	v = golden_2("container.2", SLOT_CONTAINER);
	c = keep_container_read(a, &v);
	assert_non_null(c);
	assert_string_equal(c->facts.id, "one");
	assert_true(c->facts.told_frame == 11);
	assert_string_equal(c->facts.oci.rlimits, "[]");
	container_free(c);
	v.len--;
	assert_null(keep_container_read(a, &v));
	containers_done(&a->containers);
	free(a);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_and_texts),
		cmocka_unit_test(test_golden_version_1),
		cmocka_unit_test(test_golden_wait_of_version_1),
		cmocka_unit_test(test_golden_container_of_version_1),
		TEST(test_golden_network_of_version_2),
		TEST(test_what_is_written_is_the_golden_version_2),
		cmocka_unit_test(test_golden_processes_of_version_2),
		cmocka_unit_test(test_golden_rest_of_version_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
