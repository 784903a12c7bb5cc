/*
 * tests/unit/test_guest_faults.c - each call of the agent that can fail does,
 * once: allocations, opens, reads, writes, dials, forks, mounts
 *
 * One life of volumes, processes and a container is asked for, again and
 * again, each time with the next call failing. Each request must be answered,
 * or its connection must end; afterwards the agent serves as before, and has
 * as many descriptors as before. In make check only every FAULT_STRIDE-th call
 * fails, with FERRY_SOAK=1 each.
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/faults.h"

#include <dirent.h>

#define FAULT_STRIDE 17
#define FAULT_MOST 20000
#define SETTLE_TRIES 500
#define LOST 1u /* a result that no agent gives */

static struct peer peer;
static int64_t at; /* the call that fails */
static unsigned int lost;
static char failed[sizeof(faults->name)]; /* the function that did */
static char refused[256]; /* the first answer that was no success */

/* --- a host that lives with lost connections ------------------------------- */

static void again(void)
{
	lost++;
	fd_close(&peer.fd);
	peer_accept(&peer);
	peer_negotiate(&peer);
}

static bool send_frame(uint32_t type, uint64_t id, const char *body)
{
	static uint8_t frame[65536];
	const size_t n = peer_frame_put(frame, type, id, body);

	peer_waiting[id] = true;
	return fd_write_full(peer.fd, frame, n) == 0;
}

/* Return: the result, LOST: the connection ended before the answer */
static uint32_t call(uint32_t type, const char *body, struct peer_frame *f)
{
	const uint64_t id = peer.next_id++;

	if (!send_frame(type, id, body)) {
		(void)snprintf(refused, sizeof(refused), "0x%x not sent", type);
		again();
		return LOST;
	}
	while (peer_recv_any(&peer, f)) {
		if (f->type >> 28 == WIRE_NOTIFICATION)
			continue;
		if (f->id != id)
			continue;
		if (peer_result(f) != HR_OK && refused[0] == '\0')
			(void)snprintf(refused, sizeof(refused), "0x%x: %.200s",
				       type, f->body);
		return peer_result(f);
	}
	(void)snprintf(refused, sizeof(refused), "0x%x: lost", type);
	again();
	return LOST;
}

/* --- the life -------------------------------------------------------------- */

#define VOLUME                                                                 \
	"{\"ContainerRootPath\":\"/run/gcs/c/v/rootfs\",\"Layers\":"           \
	"[{\"Path\":\"/run/mounts/scsi/a\"},{\"Path\":\"/run/mounts/scsi/"     \
	"b\"}],\"ScratchPath\":\"/run/mounts/scsi/s/scratch/v\"}"

static uint32_t modify(const char *type)
{
	struct peer_frame f;
	char body[1024];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE ",\"Request\":{\"RequestType\":\"%s\","
		       "\"ResourceType\":\"CombinedLayers\","
		       "\"Settings\":" VOLUME "}}",
		       WIRE_NULL_ID, type);
	return call(WIRE_MODIFY_SETTINGS, body, &f);
}

static uint32_t wait_for(const char *container, uint32_t pid)
{
	struct peer_frame f;

	return call(WIRE_WAIT_FOR_PROCESS,
		    container_process_body(container, pid,
					   ",\"TimeoutInMs\":4294967295"),
		    &f);
}

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
	fd_close(&x.listener[1]);
	transport_unlink(&peer.transport, x.port[1]);
	return r;
}

#define PROPERTIES                                                             \
	"{" PEER_BASE ",\"Query\":\"{\\\"PropertyTypes\\\":[\\\"%s\\\"]}\"}"

/* One more process with input and output; what runs, and what it uses. */
static uint32_t more_in_container(void)
{
	struct run run = { .container = "f",
			   .line = "cat",
			   .x.want = { true, true, false } };
	char body[512];
	struct peer_frame f;
	uint32_t r, told;

	/* The runtime here makes no cgroup, so there are no statistics. */
	(void)snprintf(body, sizeof(body), PROPERTIES, "f", "Statistics");
	(void)call(WIRE_GET_PROPERTIES, body, &f);
	refused[0] = '\0';
	(void)snprintf(body, sizeof(body), PROPERTIES, "f", "ProcessList");
	told = call(WIRE_GET_PROPERTIES, body, &f);
	r = call(WIRE_EXECUTE_PROCESS, container_execute_body(&peer, &run), &f);
	if (r == HR_OK) {
		const uint32_t pid = (uint32_t)peer_number(&f, "ProcessId");

		peer_exec_streams(&peer, &run.x);
		(void)fd_write_full(run.x.fd[0], "word\n", 5);
		fd_close(&run.x.fd[0]);
		r = wait_for("f", pid);
	}
	for (int i = 0; i < 2; i++) {
		fd_close(&run.x.fd[i]);
		fd_close(&run.x.listener[i]);
		transport_unlink(&peer.transport, run.x.port[i]);
	}
	return told == HR_OK ? r : told;
}

static uint32_t container(void)
{
	const struct wish w = { .id = "f", .line = "exec sleep 1000" };
	struct run run = { .container = "f" };
	char path[64] = "/run/gcs/c/f/rootfs";
	struct peer_frame f;
	uint32_t r, more, pid;

	(void)mkdir("/run/gcs/c/f", 0755);
	(void)mkdir(path, 0755);
	r = call(WIRE_CREATE, container_create_body(&w), &f);
	if (r == HR_OK)
		r = call(WIRE_EXECUTE_PROCESS,
			 container_execute_body(&peer, &run), &f);
	if (r != HR_OK)
		return r;
	pid = (uint32_t)peer_number(&f, "ProcessId");
	more = more_in_container();
	r = call(
		WIRE_SIGNAL_PROCESS,
		container_process_body("f", pid, ",\"Options\":{\"Signal\":9}"),
		&f);
	if (r == HR_OK)
		r = wait_for("f", pid);
	return r == HR_OK ? more : r;
}

static uint32_t container_end(void)
{
	struct peer_frame f;

	return call(WIRE_DELETE_CONTAINER_STATE, peer_base("f"), &f);
}

/* All of it. Return: did everything succeed? */
static bool life(void)
{
	struct peer_frame f;
	bool good = modify("Add") == HR_OK;

	good = process() == HR_OK && good;
	good = container() == HR_OK && good;
	good = call(WIRE_DUMP_STACKS, peer_base(WIRE_NULL_ID), &f) == HR_OK &&
	       good;
	good = container_end() == HR_OK && good;
	return modify("Remove") == HR_OK && good;
}

/* --- afterwards ------------------------------------------------------------ */

static int descriptors(void)
{
	char path[64];
	DIR *d;
	int n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", peer.agent);
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		(void)closedir(d);
	return n;
}

/* What a fault has left half done is taken away by the usual requests. */
static void clear(void)
{
	struct peer_frame f;
	uint32_t r = LOST;

	for (int i = 0; i < 50; i++) {
		(void)call(WIRE_SHUTDOWN_FORCED, peer_base("f"), &f);
		r = container_end();
		if (r == HR_OK || r == HR_SYSTEM_NOT_FOUND)
			break;
		(void)usleep(20000);
	}
	if (r != HR_OK && r != HR_SYSTEM_NOT_FOUND)
		fail_msg("the container stays: %s", f.body);
	if (modify("Remove") != HR_OK)
		fail_msg("the volume stays");
	(void)umount2("/run/gcs/c/v", MNT_DETACH); /* the bundle's bind */
}

static void serves_as_before(int before)
{
	int now = 0;

	(void)snprintf(failed, sizeof(failed), "%s", faults->name);
	faults_arm(0);
	if (!peer_agent_lives(&peer))
		fail_msg("the agent is gone");
	clear();
	refused[0] = '\0';
	if (!life())
		fail_msg("it does not serve any more: %s", refused);
	(void)umount2("/run/gcs/c/v", MNT_DETACH);
	for (int i = 0; i < SETTLE_TRIES; i++) {
		now = descriptors();
		if (now <= before)
			return;
		(void)usleep(10000);
	}
	fail_msg("%d descriptors, before %d", now, before);
}

/* --- tests ----------------------------------------------------------------- */

static int set_up(void **state UNUSED)
{
	(void)mkdir("/run/mounts", 0755);
	(void)mkdir("/run/mounts/scsi", 0755);
	(void)mkdir("/run/mounts/scsi/a", 0755);
	(void)mkdir("/run/mounts/scsi/b", 0755);
	(void)mkdir("/run/gcs", 0755);
	(void)mkdir("/run/gcs/c", 0755);
	at = 0;
	faults_arm(0);
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	if (at > 0)
		print_message("call %lld, %s\n", (long long)at, failed);
	faults_arm(0);
	peer_done(&peer);
	return 0;
}

static void test_every_call_fails_once(void **state UNUSED)
{
	const char *soak = getenv("FERRY_SOAK");
	const char *from = getenv("FERRY_FAULT_FROM");
	const int stride = soak && strcmp(soak, "1") == 0 ? 1 : FAULT_STRIDE;
	unsigned int n = 0;
	int before;

	if (!life())
		skip(); /* no overlay in this namespace */
	(void)umount2("/run/gcs/c/v", MNT_DETACH);
	assert_true(life());
	(void)umount2("/run/gcs/c/v", MNT_DETACH);
	(void)usleep(300000);
	before = descriptors();
	for (at = from ? atoll(from) : 1; at < FAULT_MOST; at += stride) {
		bool good, hit;

		/* Ids are used once; a new host begins anew. */
		if (peer.next_id > PEER_IDS - 1000) {
			peer_drop(&peer, true);
			peer_accept(&peer);
			peer_negotiate(&peer);
		}
		faults_arm(at);
		good = life();
		hit = faults->name[0] != '\0';
		if (getenv("FERRY_FAULT_SHOW"))
			print_message("%lld %s %s\n", (long long)at,
				      faults->name, good ? "unseen" : "told");
		serves_as_before(before);
		if (!hit)
			break;
		n++;
	}
	print_message("%u calls failed, %u connections lost\n", n, lost);
	assert_true(at < FAULT_MOST);
	at = 0;
}

/* An agent that cannot start says so and ends; its PID 1 tries again. */
static void test_every_call_of_the_start_fails_once(void **state UNUSED)
{
	int64_t n;

	for (n = 1; n < 1000; n += 3) {
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
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_call_fails_once,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_every_call_of_the_start_fails_once, set_up,
			tear_down),
	};

	if (container_is_runtime(argv[0]))
		return fake_runtime_main(argc, argv);
	if (!container_private_run()) {
		print_message("skipped: no mount namespace to be had\n");
		return 0;
	}
	faults_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
