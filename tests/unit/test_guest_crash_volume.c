/*
 * tests/unit/test_guest_crash_volume.c - the agent is killed, and what is mounted
 * in the UVM is neither lost nor left over
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/crash_fixture.h"

#include "bridge/guest/agent.h"
#include "bridge/guest/keep.h"

#define LAYER "/run/mounts/scsi/l"
#define BUNDLE "/run/gcs/c/v"
#define ROOTFS BUNDLE "/rootfs"

static struct peer peer;

/* When the agent dies of itself. */
enum dies {
	DIES_NOT,
	DIES_BEFORE, /* the job that makes a volume has begun */
	DIES_BEHIND, /* it, before the answer */
};

static enum dies *dies; /* shared */

static void dies_of_it(void *ctx, struct volume *v, bool forgotten)
{
	enum dies now = v->there ? DIES_BEHIND : DIES_BEFORE;

	keep_volume(ctx, v, forgotten);
	if (*dies != now)
		return;
	*dies = DIES_NOT;
	(void)kill(getpid(), SIGKILL);
}

static void tune(struct agent *a)
{
	a->modify.volumes.on_kept = dies_of_it;
}

static int set_up(void **state UNUSED)
{
	dies = mmap(NULL, sizeof(*dies), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(dies, MAP_FAILED);
	container_tune = tune;
	container_begin = crash_begin;
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	crash_done(&peer);
	(void)munmap(dies, sizeof(*dies));
	while (umount2(ROOTFS, MNT_DETACH) == 0 ||
	       umount2(BUNDLE, MNT_DETACH) == 0)
		;
	return 0;
}

static void kill_agent(void)
{
	crash_again(&peer);
}

#define VOLUME                                                                 \
	"{\"ContainerRootPath\":\"" ROOTFS "\",\"Layers\":[{\"Path\":\"" LAYER \
	"\"}]}"

static const char *modify_body(const char *verb, const char *type,
			       const char *settings)
{
	static char body[1024];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE ",\"Request\":{\"RequestType\":\"%s\","
		       "\"ResourceType\":\"%s\",\"Settings\":%s}}",
		       WIRE_NULL_ID, verb, type, settings);
	return body;
}

static uint32_t modify(const char *verb, const char *type, const char *settings)
{
	struct peer_frame f;

	return peer_call(&peer, WIRE_MODIFY_SETTINGS,
			 modify_body(verb, type, settings), &f);
}

static bool dump_has(const char *what)
{
	struct peer_frame f;

	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	return strstr(f.body, what) != NULL;
}

static void make_layer(void)
{
	char command[] = "mkdir -p " LAYER "; echo text >" LAYER "/file";

	assert_int_equal(system(command), 0); /* NOLINT: our own */
}

static void test_a_volume_and_the_policy_go_on(void **state UNUSED)
{
	make_layer();
	assert_int_equal(modify("Add", "CombinedLayers", VOLUME), HR_OK);
	assert_int_equal(modify("Add", "SecurityPolicy", "{}"), HR_OK);
	kill_agent();
	assert_true(dump_has("volumes 1"));
	assert_int_equal(access(ROOTFS "/file", F_OK), 0);
	assert_int_equal(modify("Add", "SecurityPolicy", "{}"), HR_FAIL);
	assert_int_equal(modify("Remove", "CombinedLayers", VOLUME), HR_OK);
	assert_true(dump_has("volumes 0"));
	assert_int_not_equal(access(ROOTFS "/file", F_OK), 0);
	(void)umount2("/run/gcs/c/v", MNT_DETACH);
}

/* What is not mounted any more is no volume. */
static void test_a_volume_that_went_is_not_taken_over(void **state UNUSED)
{
	make_layer();
	assert_int_equal(modify("Add", "CombinedLayers", VOLUME), HR_OK);
	assert_int_equal(umount2(ROOTFS, 0), 0);
	kill_agent();
	assert_true(dump_has("volumes 0"));
	(void)umount2("/run/gcs/c/v", MNT_DETACH);
}

/* The host's folder for the scratch is elsewhere: the bundle is bound to it. */
#define BOUND                                                                  \
	"{\"ContainerRootPath\":\"" ROOTFS                                     \
	"\",\"ScratchPath\":\"/run/mounts/scsi/s/v\","                         \
	"\"Layers\":[{\"Path\":\"" LAYER "\"}]}"

static unsigned int mounts_at(const char *path)
{
	char line[512], want[128];
	unsigned int n = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	assert_non_null(f);
	(void)snprintf(want, sizeof(want), " %s ", path);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, want) != NULL;
	(void)fclose(f);
	return n;
}

static bool is_all_unmounted(const void *ctx UNUSED)
{
	return mounts_at(ROOTFS) == 0 && mounts_at(BUNDLE) == 0;
}

/* The child that took it away was killed between the two mounts. */
static void test_a_remove_that_was_half_done_is_finished(void **state UNUSED)
{
	make_layer();
	assert_int_equal(modify("Add", "CombinedLayers", BOUND), HR_OK);
	assert_int_equal(mounts_at(BUNDLE), 1);
	assert_int_equal(umount2(ROOTFS, 0), 0);
	kill_agent();
	/* As the host asks again, when the agent that died was asked. */
	assert_int_equal(modify("Remove", "CombinedLayers", BOUND), HR_OK);
	assert_true(dump_has("volumes 0"));
	assert_true(is_all_unmounted(NULL));
	/* And without being asked. */
	assert_int_equal(modify("Add", "CombinedLayers", BOUND), HR_OK);
	assert_int_equal(umount2(ROOTFS, 0), 0);
	kill_agent();
	crash_until(is_all_unmounted, NULL);
}

static bool is_idle(const void *ctx UNUSED)
{
	return dump_has("operations 0");
}

/* It is in use for a moment: somebody who was killed holds it. */
static void test_what_is_busy_is_undone_a_little_later(void **state UNUSED)
{
	cleanup_fd held = -1;

	make_layer();
	assert_int_equal(modify("Add", "CombinedLayers", BOUND), HR_OK);
	held = open(BUNDLE, O_PATH | O_CLOEXEC);
	assert_int_equal(umount2(ROOTFS, 0), 0);
	kill_agent();
	(void)usleep(50000); /* it is tried before, most likely */
	fd_close(&held);
	crash_until(is_all_unmounted, NULL);
}

/* --- kills ------------------------------------------------------------------- */

/* Asks for the volume; the agent dies @when. Return: the request */
static uint64_t add_and_die(enum dies when)
{
	unsigned int next = crash->started + 1;
	uint64_t id;

	*dies = when;
	id = peer_send(&peer, WIRE_MODIFY_SETTINGS,
		       modify_body("Add", "CombinedLayers", BOUND));
	crash_until(crash_is_started, &next);
	fd_close(&peer.fd);
	peer_accept(&peer);
	peer_negotiate(&peer);
	return id;
}

/* The last agent has made it, and died before it said so. */
static void test_an_add_that_is_done_is_answered_so(void **state UNUSED)
{
	struct peer_frame f;
	uint64_t id;

	make_layer();
	id = add_and_die(DIES_BEHIND);
	peer_answer(&peer, id, &f);
	assert_int_equal(peer_result(&f), HR_OK);
	assert_int_equal(*dies, DIES_NOT);
	assert_int_equal(modify("Remove", "CombinedLayers", BOUND), HR_OK);
	assert_true(is_all_unmounted(NULL));
}

#define LATE_MS 100

/* What a child of the first agent does in its last system call, which ends when
 * the next agent has long begun. */
static pid_t mount_late(void)
{
	const pid_t agent = crash->agent;
	const unsigned int next = crash->started + 1;
	struct flock f = { .l_type = F_RDLCK,
			   .l_whence = SEEK_SET,
			   .l_start = 1,
			   .l_len = 1 };
	int ends[2];
	char c, path[64];
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		assert_int_equal(read(ends[0], &c, 1), 1);
		(void)close(ends[0]);
		(void)close(ends[1]);
		return pid;
	}
	for (int i = 3; i < 64; i++) {
		char what[64] = { 0 };

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)agent,
			       i);
		if (readlink(path, what, sizeof(what) - 1) > 0 &&
		    strstr(what, "ferry-state"))
			break;
	}
	if (fcntl(open(path, O_RDWR | O_CLOEXEC), F_SETLK, &f) < 0 ||
	    write(ends[1], "", 1) != 1)
		_exit(1);
	while (!crash_is_started(&next))
		(void)usleep(1000);
	(void)usleep(LATE_MS * 1000);
	(void)mkdir(BUNDLE, 0755);
	(void)mkdir(ROOTFS, 0755);
	_exit(mount("late", ROOTFS, "tmpfs", 0, NULL) < 0 ? 2 : 0);
}

static void test_what_is_mounted_late_is_undone(void **state UNUSED)
{
	int status = 0;
	pid_t late;

	make_layer();
	late = mount_late();
	(void)add_and_die(DIES_BEFORE);
	assert_int_equal(waitpid(late, &status, 0), late);
	assert_int_equal(status, 0);
	peer.older = true;
	crash_until(is_idle, NULL);
	assert_true(dump_has("volumes 0"));
	assert_true(is_all_unmounted(NULL));
}

/* Sends it, and kills the agent after @n system calls. Return: as crash_after().
 * *@done: it was answered, before or by the next agent, and is done */
static bool modify_killed(const char *verb, unsigned int n, bool *done)
{
	static struct peer_frame f;
	unsigned int next = crash->started + 1;
	uint64_t id, last;
	bool more;

	crash_trace();
	id = peer_send(&peer, WIRE_MODIFY_SETTINGS,
		       modify_body(verb, "CombinedLayers", BOUND));
	more = crash_after(n);
	crash_until(crash_is_started, &next);
	*done = false;
	while (peer_recv(&peer, &f))
		*done |= f.id == id && peer_result(&f) == HR_OK;
	fd_close(&peer.fd);
	peer_accept(&peer);
	peer_negotiate(&peer);
	last = peer_send(&peer, WIRE_DUMP_STACKS, "{}");
	do {
		assert_true(peer_recv(&peer, &f));
		*done |= f.id == id && peer_result(&f) == HR_OK;
	} while (f.id != last);
	return more;
}

/* What was not done is asked for again, and there is one of each, or none. */
static void killed_at_every_system_call(const char *verb)
{
	const unsigned int step = getenv("FERRY_SOAK") ? 1 : 7;
	const bool add = strcmp(verb, "Add") == 0;
	unsigned int kills = 0;
	bool more = true;

	make_layer();
	peer.older = true;
	for (unsigned int n = 1; more; n += step, kills++) {
		bool done;

		if (!add)
			assert_int_equal(modify("Add", "CombinedLayers", BOUND),
					 HR_OK);
		more = modify_killed(verb, n, &done);
		crash_until(is_idle, NULL);
		/* To a host without a session an answer is lost. */
		if (!done && mounts_at(ROOTFS) != add)
			assert_int_equal(modify(verb, "CombinedLayers", BOUND),
					 HR_OK);
		assert_int_equal(mounts_at(ROOTFS), add);
		assert_int_equal(mounts_at(BUNDLE), add);
		if (add)
			assert_int_equal(
				modify("Remove", "CombinedLayers", BOUND),
				HR_OK);
		assert_true(dump_has("volumes 0"));
		assert_true(is_all_unmounted(NULL));
	}
	print_message("# %u kills\n", kills);
}

static void test_an_add_is_killed_at_every_system_call(void **state UNUSED)
{
	killed_at_every_system_call("Add");
}

static void test_a_remove_is_killed_at_every_system_call(void **state UNUSED)
{
	killed_at_every_system_call("Remove");
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_volume_and_the_policy_go_on),
		TEST(test_a_volume_that_went_is_not_taken_over),
		TEST(test_a_remove_that_was_half_done_is_finished),
		TEST(test_what_is_busy_is_undone_a_little_later),
		TEST(test_an_add_that_is_done_is_answered_so),
		TEST(test_what_is_mounted_late_is_undone),
		TEST(test_an_add_is_killed_at_every_system_call),
		TEST(test_a_remove_is_killed_at_every_system_call),
	};

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
