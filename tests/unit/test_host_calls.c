/* bridge/host/calls and settings: the bytes that the reference host sends */
#include "tests/unit/host_fixture.h"

#include <fcntl.h>

#include "bridge/host/settings.h"
#include "bridge/hresult.h"
#include "bridge/msg_metrics.h"

#define POD "5a1b0c7de2f34a6b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d"
#define CTR "c0ffee00112233445566778899aabbccddeeff00112233445566778899aabbcc"
#define VECTORS "tests/golden/bridge/"

/* The payload of a vector, as a string on the heap. */
static char *payload_of(const char *name)
{
	static const char key[] = "\"payload\": ";
	char path[256];
	char *text = calloc(1, 65536);
	char *from;
	FILE *f;

	(void)snprintf(path, sizeof(path), VECTORS "%s.json", name);
	f = fopen(path, "re");
	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	(void)fclose(f);
	from = strstr(text, key);
	assert_non_null(from);
	memmove(text, from + sizeof(key) - 1, strlen(from) + 1);
	*strrchr(text, '}') = '\0';
	return text;
}

/* The host's next frame is that of the vector. It is answered with success. */
static void expect(struct fixture *x, uint32_t type, const char *vector)
{
	char *want = payload_of(vector);
	const struct fake_request r = fake_expect(&x->fake, type);

	assert_string_equal(r.body, want);
	free(want);
	fake_answer(&x->fake, &r, "{\"Result\":0}");
}

/* Starts a call whose answer is remembered in @o. */
#define CALL(x, o, fn, ...)                                                    \
	do {                                                                   \
		const struct host_done done_ = { on_plain, (o), 0 };           \
		struct err e_ = { 0 };                                         \
		*(o) = (struct outcome){ 0 };                                  \
		if (fn((x)->client, __VA_ARGS__, &done_, NULL, &e_) < 0)       \
			fail_msg("%s", e_.text);                               \
	} while (0)

#define EXPECT(x, o, type, vector)                                             \
	do {                                                                   \
		expect((x), (type), (vector));                                 \
		FAKE_UNTIL(&(x)->fake, (o)->times);                            \
		assert_true((o)->ok);                                          \
	} while (0)

static void test_lifecycle_calls(void **state)
{
	struct fixture *x = *state;
	struct outcome o;

	CALL(x, &o, host_start, CTR);
	EXPECT(x, &o, WIRE_START, "start-request");
	CALL(x, &o, host_delete_container_state, CTR);
	EXPECT(x, &o, WIRE_DELETE_CONTAINER_STATE,
	       "delete-container-state-request");
	CALL(x, &o, host_shutdown, CTR, false);
	EXPECT(x, &o, WIRE_SHUTDOWN_GRACEFUL, "shutdown-graceful-request");
	CALL(x, &o, host_shutdown, CTR, true);
	EXPECT(x, &o, WIRE_SHUTDOWN_FORCED, "shutdown-forced-request");
	CALL(x, &o, host_get_properties, CTR, HOST_PROCESS_LIST);
	EXPECT(x, &o, WIRE_GET_PROPERTIES,
	       "get-properties-process-list-request");
	CALL(x, &o, host_get_properties, CTR, HOST_STATISTICS);
	EXPECT(x, &o, WIRE_GET_PROPERTIES, "get-properties-statistics-request");
}

static void test_create_carries_the_document_as_it_is(void **state)
{
	static const struct msg_container_config document = {
		.oci_bundle_path = "/run/gcs/c/x",
		.oci_specification = "{\"ociVersion\":\"1.2.0\","
				     "\"hostname\":\"a<b\"}",
		.scratch_dir_path = "/run/gcs/c/x/scratch",
	};
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome o;

	CALL(x, &o, host_create, "x", &document);
	r = fake_expect(&x->fake, WIRE_CREATE);
	assert_non_null(strstr(r.body, "\"ContainerId\":\"x\""));
	assert_non_null(strstr(r.body, "\\\"Major\\\":2,\\\"Minor\\\":1"));
	assert_non_null(strstr(r.body, "\\\"OciBundlePath\\\":"
				       "\\\"/run/gcs/c/x\\\""));
	assert_non_null(strstr(r.body, "\\\"ociVersion\\\":\\\"1.2.0\\\""));
	assert_non_null(strstr(r.body, "\\\"ScratchDirPath\\\":"));
	fake_answer(&x->fake, &r, "{\"Result\":-1070137073}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_false(o.ok);
	assert_int_equal(o.failure.hresult, HR_SYSTEM_ALREADY_EXISTS);
}

static void test_disks_and_layers(void **state)
{
	static const char *ro[] = { "ro" };
	struct fixture *x = *state;
	struct outcome o;
	struct msg_mapped_virtual_disk disk = {
		.mount_path = "/run/mounts/scsi/m0",
		.lun = 1,
		.read_only = true,
		.options = { ro, 1 },
	};
	const struct msg_mapped_virtual_disk scratch = {
		.mount_path = "/run/gcs/c/" POD,
		.lun = 2,
		.ensure_filesystem = true,
		.filesystem = "ext4",
	};
	struct msg_layer layer[] = { { .path = "/run/mounts/scsi/m0" },
				     { .path = "/run/mounts/scsi/m1" } };
	struct msg_combined_layers layers = {
		.container_id = POD,
		.container_root_path = "/run/gcs/c/" POD "/rootfs",
		.layer = layer,
		.n_layers = 2,
		.scratch_path = "/run/gcs/c/" POD "/scratch/" POD,
	};

	CALL(x, &o, host_modify_disk, HOST_ADD, &disk);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-scsi-layer-add-request");
	CALL(x, &o, host_modify_disk, HOST_ADD, &scratch);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-scsi-scratch-add-request");
	disk.options = (struct msg_strings){ 0 };
	CALL(x, &o, host_modify_disk, HOST_REMOVE, &disk);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-scsi-layer-remove-request");
	CALL(x, &o, host_unplug_disk, &(struct msg_scsi_device){ .lun = 1 });
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-scsi-unplug-request");
	CALL(x, &o, host_modify_layers, HOST_ADD, &layers);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS,
	       "modify-combined-layers-add-request");
	layers = (struct msg_combined_layers){
		.container_root_path = layers.container_root_path,
	};
	CALL(x, &o, host_modify_layers, HOST_REMOVE, &layers);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS,
	       "modify-combined-layers-remove-request");
}

static void test_other_devices(void **state)
{
	struct fixture *x = *state;
	struct outcome o;
	struct msg_mapped_directory share = {
		.mount_path = "/run/mounts/plan9/0",
		.port = 564,
		.share_name = "0",
		.read_only = true,
	};
	struct msg_vpmem_mapping mapping = { 2097152, 1048576 };
	const struct msg_vpmem_device vpmem = {
		.device_number = 1,
		.mount_path = "/run/layers/p1-2097152-1048576",
		.mapping = &mapping,
	};
	const struct msg_vpci_device vpci = {
		"1b2c3d4e-5f60-4718-a2b3-c4d5e6f70819"
	};

	CALL(x, &o, host_modify_directory, HOST_ADD, &share);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS,
	       "modify-mapped-directory-add-request");
	share.read_only = false;
	CALL(x, &o, host_modify_directory, HOST_REMOVE, &share);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS,
	       "modify-mapped-directory-remove-request");
	CALL(x, &o, host_modify_vpmem, HOST_ADD, &vpmem);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-vpmem-mapped-add-request");
	CALL(x, &o, host_add_vpci, &vpci);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-vpci-add-request");
}

static void test_network_limits_and_policy(void **state)
{
	struct fixture *x = *state;
	struct outcome o;
	struct msg_ip_config ip = { "10.1.2.3", 24 };
	struct msg_route route = { .next_hop = "10.1.2.1",
				   .destination_prefix = "0.0.0.0/0" };
	struct msg_network nic = {
		.namespace_id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
		.id = "8c7f5a1e-2b3c-4d5e-8f90-a1b2c3d4e5f6",
		.mac_address = "00-15-5D-0A-0B-0C",
		.dns_suffix = "svc.cluster.example,cluster.example",
		.dns_server_list = "10.96.0.10",
		.ip_config = &ip,
		.n_ip_configs = 1,
		.route = &route,
		.n_routes = 1,
	};
	const struct msg_container_constraints limits = {
		.windows = "{}",
		.linux_resources = "{\"memory\":{\"limit\":536870912},"
				   "\"cpu\":{\"shares\":1024,\"quota\":-1,"
				   "\"period\":100000}}",
	};
	const struct msg_security_policy policy = { .enforcer_type =
							    "open_door" };
	const struct msg_security_policy_fragment fragment = {
		.fragment = "0oRYHqM="
	};

	CALL(x, &o, host_modify_network, HOST_ADD, &nic);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-network-add-request");
	nic = (struct msg_network){ .namespace_id = nic.namespace_id,
				    .id = nic.id };
	CALL(x, &o, host_modify_network, HOST_REMOVE, &nic);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-network-remove-request");
	CALL(x, &o, host_modify_constraints, CTR, &limits);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS,
	       "modify-container-constraints-request");
	o = (struct outcome){ 0 };
	assert_int_equal(
		host_refresh_pod_memory(x->client,
					&(struct host_done){ on_plain, &o, 0 },
					NULL, NULL),
		0);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS,
	       "modify-pod-cgroup-memory-limit-request");
	CALL(x, &o, host_set_policy, &policy);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-security-policy-request");
	CALL(x, &o, host_add_policy_fragment, &fragment);
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-policy-fragment-request");
}

static void test_no_network_for_a_guest_without(void **state)
{
	const struct msg_network nic = { .id = "x" };
	struct fixture *x = *state;
	struct fake_request r;

	make_client(x, (struct host_client_config){ 0 });
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	r = fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	fake_answer(&x->fake, &r,
		    "{\"Result\":0,\"Version\":4,\"Capabilities\":"
		    "{\"GuestDefinedCapabilities\":{}}}");
	FAKE_UNTIL(&x->fake, x->ready == 1);
	assert_int_equal(host_modify_network(x->client, HOST_ADD, &nic, NULL,
					     NULL, NULL),
			 -EOPNOTSUPP);
}

/* --- typed answers --------------------------------------------------------- */

struct properties {
	int times;
	size_t n;
	uint32_t first;
	bool has_metrics;
	uint64_t memory;
	struct host_failure f;
};

static void on_properties(void *ctx, const void *result,
			  const struct host_failure *f)
{
	const struct msg_get_properties_result *r = result;
	struct properties *p = ctx;

	p->times++;
	if (f) {
		p->f = *f;
		return;
	}
	p->n = r->properties.n_processes;
	if (p->n)
		p->first = r->properties.process[0].process_id;
	p->has_metrics = r->properties.metrics != NULL;
	if (p->has_metrics && r->properties.metrics->memory &&
	    r->properties.metrics->memory->usage)
		p->memory = r->properties.metrics->memory->usage->usage;
}

static void properties(struct fixture *x, unsigned int what, const char *answer,
		       struct properties *p)
{
	const struct host_done done = { on_properties, p, 0 };
	struct fake_request r;

	memset(p, 0, sizeof(*p));
	assert_int_equal(
		host_get_properties(x->client, CTR, what, &done, NULL, NULL),
		0);
	r = fake_expect(&x->fake, WIRE_GET_PROPERTIES);
	fake_answer(&x->fake, &r, answer);
	FAKE_UNTIL(&x->fake, p->times);
}

static void test_properties_are_typed(void **state)
{
	struct fixture *x = *state;
	char *text = payload_of("get-properties-process-list-response");
	struct properties p;

	properties(x, HOST_PROCESS_LIST, text, &p);
	assert_true(p.n > 0);
	assert_true(p.first > 0);
	assert_false(p.has_metrics);
	free(text);
	text = payload_of("get-properties-statistics-response");
	properties(x, HOST_STATISTICS, text, &p);
	assert_true(p.has_metrics);
	assert_true(p.memory > 0);
	free(text);
	text = payload_of("get-properties-empty-response");
	properties(x, 0, text, &p);
	assert_int_equal(p.n, 0);
	assert_false(p.has_metrics);
	free(text);
}

/* Each of these ended the bridge of the whole VM in the reference. */
static void test_w_h6_one_bad_answer_fails_one_call(void **state)
{
	static const char *const bad[] = {
		"{\"Result\":0,\"Properties\":{}}",
		"{\"Result\":0,\"Properties\":\"{\"}",
		"{\"Result\":2147500037}",
		"{\"Result\":0,\"Properties\":\"{\\\"ProcessList\\\":1}\"}",
		"[]",
		"",
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct properties p;

		properties(x, 0, bad[i], &p);
		assert_int_equal(p.f.kind, HOST_FAIL_GARBLED);
		assert_alive(x);
	}
	assert_int_equal(x->lost, 0);
}

/* A slow call is overtaken by any other, and its deadline is its own. */
static void test_w_h13_w_h14_a_slow_call_delays_nobody(void **state)
{
	const struct msg_vpci_device vpci = { "x" };
	struct fixture *x = *state;
	struct outcome slow = { 0 };
	const struct host_done done = { on_plain, &slow, 50 };
	struct fake_request r;

	assert_int_equal(host_add_vpci(x->client, &vpci, &done, NULL, NULL), 0);
	r = fake_expect(&x->fake, WIRE_MODIFY_SETTINGS);
	assert_alive(x);
	FAKE_UNTIL(&x->fake, slow.times);
	assert_int_equal(slow.failure.kind, HOST_FAIL_TIMEOUT);
	assert_alive(x);
	fake_answer(&x->fake, &r, "{\"Result\":0}"); /* too late: dropped */
	assert_alive(x);
	assert_int_equal(x->lost, 0);
}

#define RETRY "{\"Result\":-2147023659,\"ErrorMessage\":\"not now\"}"

/* What an agent that was restarted asks for again comes again, with a new id, and
 * ends once: not for ever, and not what may have been done. */
static void test_what_the_guest_asks_for_again_comes_again(void **state)
{
	static const struct msg_scsi_device lun = { .lun = 1 };
	struct fixture *x = *state;
	struct fake_request r = { 0 };
	struct outcome o;
	uint64_t id = 0;

	CALL(x, &o, host_unplug_disk, &lun);
	for (int i = 0; i < 2; i++) {
		r = fake_expect(&x->fake, WIRE_MODIFY_SETTINGS);
		assert_true(r.id > id);
		id = r.id;
		fake_answer(&x->fake, &r, RETRY);
	}
	EXPECT(x, &o, WIRE_MODIFY_SETTINGS, "modify-scsi-unplug-request");
	assert_int_equal(o.times, 1);

	CALL(x, &o, host_unplug_disk, &lun);
	for (unsigned int i = 0; i < 1 + HOST_AGAIN_MAX; i++) {
		r = fake_expect(&x->fake, WIRE_MODIFY_SETTINGS);
		assert_int_equal(o.times, 0);
		fake_answer(&x->fake, &r, RETRY);
	}
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(o.failure.kind, HOST_FAIL_REFUSED);
	assert_int_equal(o.failure.hresult, HR_RETRY);

	CALL(x, &o, host_start, CTR);
	r = fake_expect(&x->fake, WIRE_START);
	fake_answer(&x->fake, &r, RETRY);
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(o.failure.hresult, HR_RETRY);
	assert_alive(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lifecycle_calls),
		T(test_create_carries_the_document_as_it_is),
		T(test_disks_and_layers),
		T(test_other_devices),
		T(test_network_limits_and_policy),
		BARE(test_no_network_for_a_guest_without),
		T(test_properties_are_typed),
		T(test_w_h6_one_bad_answer_fails_one_call),
		T(test_w_h13_w_h14_a_slow_call_delays_nobody),
		T(test_what_the_guest_asks_for_again_comes_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
