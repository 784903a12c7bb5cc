/*
 * tests/unit/test_guest_faults.c - each call of the agent that can fail does,
 * once: allocations, opens, reads, writes, dials, forks, mounts
 *
 * In make check only every FAULT_STRIDE-th call fails, with FERRY_SOAK=1 each.
 */
#include "tests/unit/fault_peer.h"
#include "tests/unit/guest_tree.h"
#include "tests/unit/netns_fixture.h"

static struct tree tree;

/* --- what is asked --------------------------------------------------------- */

static uint32_t modify_of(const char *container, const char *type,
			  const char *resource, const char *settings)
{
	struct peer_frame f;
	char body[2048];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE ",\"Request\":{\"RequestType\":\"%s\","
		       "\"ResourceType\":\"%s\",\"Settings\":%s}}",
		       container, type, resource, settings);
	return call(WIRE_MODIFY_SETTINGS, body, &f);
}

static uint32_t modify(const char *type, const char *resource,
		       const char *settings)
{
	return modify_of(WIRE_NULL_ID, type, resource, settings);
}

static uint32_t wait_for(const char *container, uint32_t pid)
{
	struct peer_frame f;

	return call(WIRE_WAIT_FOR_PROCESS,
		    container_process_body(container, pid,
					   ",\"TimeoutInMs\":4294967295"),
		    &f);
}

static uint32_t end_process(const char *container, uint32_t pid)
{
	struct peer_frame f;
	uint32_t r = call(WIRE_SIGNAL_PROCESS,
			  container_process_body(container, pid,
						 ",\"Options\":{\"Signal\":9}"),
			  &f);

	return r == HR_OK ? wait_for(container, pid) : r;
}

/* One whose input may have been lost on its way does not end by itself. */
static uint32_t wait_or_end(const char *container, uint32_t pid)
{
	struct peer_frame f;
	uint32_t r = call(
		WIRE_WAIT_FOR_PROCESS,
		container_process_body(container, pid, ",\"TimeoutInMs\":1000"),
		&f);

	if (r != HR_OK)
		(void)end_process(container, pid);
	return r;
}

static void exec_end(struct peer_exec *x)
{
	for (int i = 0; i < 3; i++) {
		if (x->port[i] == 0) /* not wanted, or never asked for */
			continue;
		fd_close(&x->fd[i]);
		fd_close(&x->listener[i]);
		transport_unlink(&peer.transport, x->port[i]);
	}
}

static uint32_t create(const struct wish *w)
{
	struct peer_frame f;

	container_make_root(w->id);
	return call(WIRE_CREATE, container_create_body(w), &f);
}

/* Starts it and takes its streams. */
static uint32_t run(struct run *r)
{
	struct peer_frame f;
	const uint32_t code = call(WIRE_EXECUTE_PROCESS,
				   container_execute_body(&peer, r), &f);

	if (code != HR_OK)
		return code;
	r->x.pid = (uint32_t)peer_number(&f, "ProcessId");
	peer_exec_streams(&peer, &r->x);
	return code;
}

static uint32_t delete (const char *container)
{
	struct peer_frame f;

	return call(WIRE_DELETE_CONTAINER_STATE, peer_base(container), &f);
}

/* What a fault has left half done is taken away by the usual requests. */
static void clear_container(const char *id)
{
	struct peer_frame f;
	uint32_t r = LOST;

	for (int i = 0; i < 500; i++) {
		(void)call(WIRE_SHUTDOWN_FORCED, peer_base(id), &f);
		r = delete (id);
		if (r == HR_OK || r == HR_SYSTEM_NOT_FOUND)
			return;
		(void)usleep(20000);
	}
	fail_msg("the container stays: %s", f.body);
}

/* --- a volume, a process of the UVM, a container --------------------------- */

#define VOLUME                                                                 \
	"{\"ContainerRootPath\":\"/run/gcs/c/v/rootfs\",\"Layers\":"           \
	"[{\"Path\":\"/run/mounts/scsi/a\"},{\"Path\":\"/run/mounts/scsi/"     \
	"b\"}],\"ScratchPath\":\"/run/mounts/scsi/s/scratch/v\"}"

/* A process of the UVM whose output goes to the host. */
static uint32_t process(void)
{
	struct peer_exec x = { .line = "echo out", .want = { false, true } };
	struct peer_frame f;
	uint32_t r = call(WIRE_EXECUTE_PROCESS, peer_exec_body(&peer, &x), &f);

	if (r == HR_OK) {
		const uint32_t pid = (uint32_t)peer_number(&f, "ProcessId");

		r = wait_for(WIRE_NULL_ID, pid);
	}
	exec_end(&x);
	return r;
}

#define PROPERTIES                                                             \
	"{" PEER_BASE ",\"Query\":\"{\\\"PropertyTypes\\\":[\\\"%s\\\"]}\"}"

/* One more process with input and output; what runs, and what it uses. */
static uint32_t more_in_container(void)
{
	struct run r = { .container = "f",
			 .line = "cat",
			 .x.want = { true, true, false } };
	char body[512];
	struct peer_frame f;
	uint32_t code, told;

	/* The runtime here makes no cgroup, so there are no statistics. */
	(void)snprintf(body, sizeof(body), PROPERTIES, "f", "Statistics");
	(void)call(WIRE_GET_PROPERTIES, body, &f);
	refused[0] = '\0';
	(void)snprintf(body, sizeof(body), PROPERTIES, "f", "ProcessList");
	told = call(WIRE_GET_PROPERTIES, body, &f);
	code = run(&r);
	if (code == HR_OK) {
		(void)fd_write_full(r.x.fd[0], "word\n", 5);
		fd_close(&r.x.fd[0]);
		code = wait_for("f", r.x.pid);
	}
	exec_end(&r.x);
	return told == HR_OK ? code : told;
}

static uint32_t container(void)
{
	const struct wish w = { .id = "f", .line = "exec sleep 1000" };
	struct run init = { .container = "f" };
	uint32_t r, more;

	r = create(&w);
	if (r == HR_OK)
		r = run(&init);
	if (r != HR_OK)
		return r;
	more = more_in_container();
	r = end_process("f", init.x.pid);
	return r == HR_OK ? more : r;
}

static bool container_life(void)
{
	struct peer_frame f;
	bool good = modify("Add", "CombinedLayers", VOLUME) == HR_OK;

	good = process() == HR_OK && good;
	good = container() == HR_OK && good;
	good = call(WIRE_DUMP_STACKS, peer_base(WIRE_NULL_ID), &f) == HR_OK &&
	       good;
	good = delete ("f") == HR_OK && good;
	good = modify("Remove", "CombinedLayers", VOLUME) == HR_OK && good;
	return good;
}

static void container_clear(void)
{
	clear_container("f");
	if (modify("Remove", "CombinedLayers", VOLUME) != HR_OK)
		fail_msg("the volume stays");
}

static void test_every_call_for_a_container_fails_once(void **state UNUSED)
{
	every_call_fails_once(
		&(struct scene){ container_life, container_clear });
}

/* --- terminals ------------------------------------------------------------- */

static uint32_t terminals(void)
{
	const struct wish w = {
		.id = "t",
		.line = "read x; echo $x; exec sleep 1000",
		.terminal = true,
		.annotations =
			"\"io.kubernetes.cri.container-type\":\"sandbox\","
			"\"io.kubernetes.cri.sandbox-id\":\"t\","
			"\"io.microsoft.container.lcow.tee-log-path\":"
			"\"a/b.log\"",
	};
	struct run init = { .container = "t", .x.want = { true, true, false } };
	struct run r = { .container = "t",
			 .line = "read x; exit 3",
			 .terminal = true,
			 .x.want = { true, true, false } };
	struct peer_frame f;
	uint32_t code = create(&w), more;

	if (code == HR_OK)
		code = run(&init);
	if (code == HR_OK) {
		code = call(
			WIRE_RESIZE_CONSOLE,
			container_process_body("t", init.x.pid,
					       ",\"Height\":33,\"Width\":77"),
			&f);
		(void)fd_write_full(init.x.fd[0], "typed\n", 6);
		more = run(&r);
		if (more == HR_OK) {
			(void)fd_write_full(r.x.fd[0], "\n", 1);
			more = wait_or_end("t", r.x.pid);
		}
		exec_end(&r.x);
		if (code == HR_OK)
			code = more;
		more = end_process("t", init.x.pid);
		if (code == HR_OK)
			code = more;
	}
	exec_end(&init.x);
	return code;
}

static bool terminal_life(void)
{
	const bool good = terminals() == HR_OK;

	return delete ("t") == HR_OK && good;
}

static void terminal_clear(void)
{
	clear_container("t");
}

static void test_every_call_for_a_terminal_fails_once(void **state UNUSED)
{
	every_call_fails_once(&(struct scene){ terminal_life, terminal_clear });
}

/* --- a bundle on the scratch's disk ----------------------------------------- */

#define BOUND                                                                  \
	"{\"ContainerRootPath\":\"/run/gcs/c/bound/rootfs\",\"Layers\":"       \
	"[{\"Path\":\"/run/mounts/scsi/a\"},{\"Path\":\"/run/mounts/scsi/"     \
	"b\"}],\"ScratchPath\":\"/run/mounts/scsi/s/scratch/bound\"}"

/* The layers go first: then the bundle is left to the delete. */
static bool bound_life(void)
{
	const struct wish w = { .id = "bound", .line = "exec sleep 1000" };
	bool good = modify("Add", "CombinedLayers", BOUND) == HR_OK &&
		    create(&w) == HR_OK;

	good = modify("Remove", "CombinedLayers", BOUND) == HR_OK && good;
	return delete ("bound") == HR_OK && good;
}

static void bound_clear(void)
{
	(void)modify("Remove", "CombinedLayers", BOUND);
	clear_container("bound");
	(void)modify("Remove", "CombinedLayers", BOUND);
}

static void test_every_call_for_a_bundle_fails_once(void **state UNUSED)
{
	every_call_fails_once(&(struct scene){ bound_life, bound_clear });
}

/* --- a pod ----------------------------------------------------------------- */

#define TYPE(t) "\"io.kubernetes.cri.container-type\":\"" t "\","
#define IN_POD "\"io.kubernetes.cri.sandbox-id\":\"pod\""
#define LIMITS "{\"Windows\":{},\"Linux\":{\"pids\":{\"limit\":9}}}"

static bool pod_life(void)
{
	const struct wish pod = { .id = "pod",
				  .line = "exec sleep 1000",
				  .annotations = TYPE("sandbox") IN_POD };
	const struct wish w = { .id = "work",
				.line = "trap 'exit 4' TERM; echo up; "
					"while :; do sleep 0.01; done",
				.annotations = TYPE("container") IN_POD };
	struct run init = { .container = "pod" };
	struct run r = { .container = "work", .x.want = { false, true, true } };
	struct peer_frame f;
	bool good = create(&pod) == HR_OK && run(&init) == HR_OK &&
		    create(&w) == HR_OK;

	if (good) {
		good = run(&r) == HR_OK &&
		       modify_of("work", "Update", "ContainerConstraints",
				 LIMITS) == HR_OK &&
		       call(WIRE_SHUTDOWN_FORCED, peer_base("work"), &f) ==
			       HR_OK &&
		       wait_for("work", r.x.pid) == HR_OK;
		exec_end(&r.x);
	}
	good = delete ("work") == HR_OK && good;
	good = call(WIRE_SHUTDOWN_FORCED, peer_base("pod"), &f) == HR_OK &&
	       good;
	if (good)
		good = wait_for("pod", init.x.pid) == HR_OK;
	return delete ("pod") == HR_OK && good;
}

static void pod_clear(void)
{
	clear_container("work");
	clear_container("pod");
}

static void test_every_call_for_a_pod_fails_once(void **state UNUSED)
{
	every_call_fails_once(&(struct scene){ pod_life, pod_clear });
}

/* --- devices --------------------------------------------------------------- */

#define DISK                                                                   \
	"{\"Lun\":3,\"BlockDev\":true,\"MountPath\":\"/run/mounts/scsi/d\"}"
#define NO_DISK "{\"Lun\":4,\"MountPath\":\"/run/mounts/scsi/e\"}"
#define SHARE                                                                  \
	"{\"MountPath\":\"/run/mounts/share\",\"Port\":4242,\"ShareName\":"    \
	"\"s\",\"ReadOnly\":true}"
#define NIC                                                                    \
	"{\"NamespaceID\":\"3f2504e0-4f89-11d3-9a0c-0305e82c3301\",\"ID\":"    \
	"\"8c7f5a1e-2b3c-4d5e-8f90-a1b2c3d4e5f6\",\"MacAddress\":"             \
	"\"00-15-5D-0A-0B-0C\",\"DNSSuffix\":\"a.example\",\"DNSServerList\":" \
	"\"10.96.0.10\",\"IPConfigs\":[{\"IPAddress\":\"10.1.2.3\","           \
	"\"PrefixLength\":24}],\"Routes\":[{\"NextHop\":\"10.1.2.1\","         \
	"\"DestinationPrefix\":\"0.0.0.0/0\"}]}"

static bool device_life(void)
{
	struct peer_frame f;
	bool good = modify("Add", "MappedVirtualDisk", DISK) == HR_OK;

	/* A disk with no file system, and a share that nobody serves. */
	(void)modify("Add", "MappedVirtualDisk", NO_DISK);
	(void)modify("Add", "MappedDirectory", SHARE);
	(void)modify("Add", "Network", NIC);
	(void)modify("Remove", "Network", NIC);
	refused[0] = '\0';
	good = call(WIRE_DUMP_STACKS, peer_base(WIRE_NULL_ID), &f) == HR_OK &&
	       good;
	return modify("Remove", "MappedVirtualDisk", DISK) == HR_OK && good;
}

static void device_clear(void)
{
	(void)modify("Remove", "Network", NIC);
	(void)modify("Remove", "MappedVirtualDisk", DISK);
}

static void test_every_call_for_a_device_fails_once(void **state UNUSED)
{
	every_call_fails_once(&(struct scene){ device_life, device_clear });
}

static void tune(struct agent *a)
{
	struct volume_env *env = &a->modify.env;

	fd_close(&env->root);
	env->root = fcntl(tree.env.root, F_DUPFD_CLOEXEC, 3);
	env->sys = tree.sys;
	env->dev = tree.dev;
	env->programs = tree.programs;
	env->wait_ms = TREE_WAIT_MS;
	env->uevents = false;
}

static int set_up_devices(void **state UNUSED)
{
	static const char zeros[8192];
	struct rtnl n = { .fd = -1 };
	struct err e = { 0 };

	tree_init(&tree);
	tree_host(&tree, 0, "virtio_scsi\n", "pci0000:00/0000:00:03.0/virtio0");
	tree_disk(&tree, 0, 3, "sda", "", 0);
	tree_disk(&tree, 0, 4, "sdb", zeros, sizeof(zeros));
	nth = 0;
	if (netns_enter() && rtnl_open(&n, &e) == 0) {
		(void)netns_link(&n, "d0", "00:15:5d:0a:0b:0c");
		rtnl_close(&n);
	}
	faults_arm(0);
	container_tune = tune;
	container_start_agent(&peer);
	container_tune = NULL;
	return 0;
}

/* --- the start ------------------------------------------------------------- */

/* An agent that cannot start says so and ends; its PID 1 tries again. */
static void test_every_call_of_the_start_fails_once(void **state UNUSED)
{
	int64_t n;

	for (n = 1; n < 1000; n++) {
		int status = 0;
		struct err e = { 0 };
		struct agent *a = NULL;
		pid_t pid;

		faults_arm(0);
		pid = fork();
		if (pid == 0) {
			faults_arm(n);
			if (agent_new(&peer.flags, &a, &e) < 0)
				_exit(e.text[0] ? 1 : 2);
			n = faults->name[0] != '\0';
			agent_free(a);
			_exit(n ? 0 : 3);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) == 2)
			fail_msg("call %lld, %s: status 0x%x", (long long)n,
				 faults->name, (unsigned int)status);
		if (WEXITSTATUS(status) == 3)
			break;
	}
	assert_true(n < 1000);
	print_message("%lld calls failed\n", (long long)n - 1);
}

/* --- all of them ----------------------------------------------------------- */

static int set_up(void **state UNUSED)
{
	(void)mkdir("/run/mounts", 0755);
	(void)mkdir("/run/mounts/scsi", 0755);
	(void)mkdir("/run/mounts/scsi/a", 0755);
	(void)mkdir("/run/mounts/scsi/b", 0755);
	(void)mkdir("/run/gcs", 0755);
	(void)mkdir("/run/gcs/c", 0755);
	nth = 0;
	faults_arm(0);
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	if (nth > 0 && faults->where)
		told();
	if (nth > 0)
		print_message("call %lld, %s at 0x%zx\n", (long long)nth,
			      failed, failed_at);
	faults_arm(0);
	peer_done(&peer);
	return 0;
}

static int tear_down_devices(void **state)
{
	(void)tear_down(state);
	tree_done(&tree);
	return 0;
}

static int count(void **state UNUSED)
{
	faults_init();
	return 0;
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_every_call_for_a_container_fails_once),
		T(test_every_call_for_a_terminal_fails_once),
		T(test_every_call_for_a_bundle_fails_once),
		T(test_every_call_for_a_pod_fails_once),
		cmocka_unit_test_setup_teardown(
			test_every_call_for_a_device_fails_once, set_up_devices,
			tear_down_devices),
		T(test_every_call_of_the_start_fails_once),
	};
#undef T

	cmocka_set_test_filter(getenv("FERRY_FAULT_TEST"));
	return container_main(argc, argv, tests, ARRAY_LEN(tests), count);
}
