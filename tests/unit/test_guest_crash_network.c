/*
 * tests/unit/test_guest_crash_network.c - the agent is killed, and the next one
 * knows the namespaces of the pods and their adapters
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/crash_fixture.h"
#include "tests/unit/netns_fixture.h"

#define NS "4f0e1a3c-0000-4000-8000-00000000000a"
#define MAC_A "02-15-5D-00-00-0A"
#define MAC_B "02-15-5D-00-00-0B"

static struct peer peer;
static struct rtnl n;

static int set_up(void **state UNUSED)
{
	struct err e = { 0 };

	if (!netns_enter() || !netns_tools())
		return -1;
	assert_int_equal(rtnl_open(&n, &e), 0);
	container_begin = crash_begin;
	container_start_agent(&peer);
	container_steer(&peer, "netns", "");
	return 0;
}

static int tear_down(void **state UNUSED)
{
	crash_done(&peer);
	for (int i = 0; i < 4; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "eth%d", i);
		netns_remove(&n, name);
	}
	rtnl_close(&n);
	return 0;
}

/* An adapter of the pod: 10.4.@net.2/24, with a route of its own. */
static const char *adapter_body(const char *verb, unsigned int net,
				const char *mac)
{
	static char body[1024];

	(void)snprintf(
		body, sizeof(body),
		"{" PEER_BASE ",\"Request\":{\"RequestType\":\"%s\","
		"\"ResourceType\":\"Network\",\"Settings\":{"
		"\"NamespaceID\":\"" NS "\",\"ID\":\"adapter-%u\","
		"\"MacAddress\":\"%s\",\"EncapOverhead\":50,"
		"\"DNSSuffix\":\"net%u.test\",\"DNSServerList\":\"10.4.%u.9\","
		"\"IPConfigs\":[{\"IPAddress\":\"10.4.%u.2\","
		"\"PrefixLength\":24}],\"Routes\":[{\"NextHop\":\"10.4.%u.1\","
		"\"DestinationPrefix\":\"10.9.%u.0/24\"}]}}}",
		WIRE_NULL_ID, verb, net, mac, net, net, net, net, net);
	return body;
}

static void change(const char *verb, unsigned int net, const char *mac)
{
	struct peer_frame f;

	if (peer_call(&peer, WIRE_MODIFY_SETTINGS, adapter_body(verb, net, mac),
		      &f) != HR_OK)
		fail_msg("%s of adapter %u: %s", verb, net, f.body);
}

static const struct wish wish = {
	.id = "pod",
	.line = "sleep 1000",
	.network = NS,
	.annotations = "\"io.kubernetes.cri.container-type\":\"sandbox\","
		       "\"io.kubernetes.cri.sandbox-id\":\"pod\"",
};

/* Return: the pid of its init process */
static pid_t start_pod(void)
{
	struct run r = { .container = "pod" };

	container_create(&peer, &wish);
	container_run(&peer, &r);
	return (pid_t)r.x.pid;
}

static void end_pod(pid_t pid)
{
	assert_int_equal(container_signal(&peer, "pod", (uint32_t)pid, SIGKILL),
			 HR_OK);
	(void)peer_notice(&peer, "pod");
	container_delete(&peer, "pod");
	peer_n_notices = 0;
}

static bool dump_has(const char *what)
{
	struct peer_frame f;

	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	return strstr(f.body, what) != NULL;
}

static void want_adapter(pid_t pid, unsigned int net)
{
	char line[64], part[64];

	(void)snprintf(line, sizeof(line), "ip addr show eth%u", net);
	(void)snprintf(part, sizeof(part), "inet 10.4.%u.2/24", net);
	netns_want(pid, line, part);
	netns_want(pid, line, "mtu 1450");
	netns_want(pid, line, ",UP");
	(void)snprintf(part, sizeof(part), "10.9.%u.0/24 via 10.4.%u.1", net,
		       net);
	netns_want(pid, "ip route", part);
}

static void test_a_pod_gets_a_further_adapter(void **state UNUSED)
{
	pid_t pod;

	(void)netns_link(&n, "eth0", MAC_A);
	change("Add", 0, MAC_A);
	pod = start_pod();
	crash_again(&peer);
	assert_true(dump_has("network " NS " assigned=1 adapters=1"));
	(void)netns_link(&n, "eth0", MAC_B);
	change("Add", 1, MAC_B);
	want_adapter(pod, 0);
	want_adapter(pod, 1);
	crash_again(&peer);
	change("Remove", 0, MAC_A);
	crash_again(&peer);
	assert_true(dump_has("network " NS " assigned=1 adapters=1"));
	end_pod(pod);
	assert_true(dump_has("networks n=0"));
	crash_again(&peer);
	assert_true(dump_has("networks n=0"));
	assert_int_equal(crash->stored, 1); /* the state */
}

/* Before there is a pod: it gets its adapters, in order, and their DNS. */
static void test_adapters_wait_for_their_pod(void **state UNUSED)
{
	char path[] = "/run/gcs/c/pod/resolv.conf", *text;
	pid_t pod;

	(void)netns_link(&n, "eth0", MAC_B);
	(void)netns_link(&n, "eth1", MAC_A);
	change("Add", 0, MAC_A);
	crash_again(&peer);
	change("Add", 1, MAC_B);
	crash_again(&peer);
	pod = start_pod();
	want_adapter(pod, 0);
	want_adapter(pod, 1);
	text = fake_text(path);
	if (!text)
		text = fake_text("/run/gcs/c/pod/sandboxMounts/resolv.conf");
	if (text)
		assert_non_null(strstr(text, "net0.test net1.test"));
	end_pod(pod);
}

/* One that has ended while there was no agent releases them. */
static void test_a_pod_that_went_meanwhile(void **state UNUSED)
{
	pid_t pod;

	(void)netns_link(&n, "eth0", MAC_A);
	change("Add", 0, MAC_A);
	pod = start_pod();
	(void)kill(crash->agent, SIGSTOP);
	assert_int_equal(kill(pod, SIGKILL), 0);
	crash_again(&peer);
	(void)peer_notice(&peer, "pod");
	container_delete(&peer, "pod");
	assert_true(dump_has("networks n=0"));
	assert_int_equal(crash->stored, 1);
}

/* The agent is killed behind its n-th system call of a request, and the next one
 * has a host. Return: false: it had nothing to do any more */
static bool kill_in(uint32_t type, const char *body, unsigned int at,
		    uint64_t *id)
{
	unsigned int next = crash->started + 1;
	bool more;

	peer.older = true;
	crash_trace();
	*id = peer_send(&peer, type, body);
	more = crash_after(at);
	crash_until(crash_is_started, &next);
	fd_close(&peer.fd);
	peer_accept(&peer);
	peer_negotiate(&peer);
	return more;
}

/* It is where it belongs, perhaps after a second time of asking. */
static void test_an_add_is_killed_at_every_system_call(void **state UNUSED)
{
	const unsigned int step = getenv("FERRY_SOAK") ? 1 : 7;
	unsigned int kills = 0, again = 0, lost = 0;
	bool more = true;
	pid_t pod;

	(void)netns_link(&n, "eth0", MAC_A);
	change("Add", 0, MAC_A);
	pod = start_pod();
	for (unsigned int at = 1; more; at += step, kills++) {
		uint64_t id;

		(void)netns_link(&n, "eth0", MAC_B);
		more = kill_in(WIRE_MODIFY_SETTINGS,
			       adapter_body("Add", 1, MAC_B), at, &id);
		/* What the last agent was asked is done, or not known. */
		if (!dump_has("adapters=2")) {
			again++;
			change("Add", 1, MAC_B);
		}
		for (int i = 0; i < 500 && !dump_has("link=eth1 state=up"); i++)
			(void)usleep(10000);
		want_adapter(pod, 0);
		want_adapter(pod, 1);
		change("Remove", 1, MAC_B);
		netns_want(0, "ip link show eth1", "mtu 1500");
		netns_remove(&n, "eth1");
		netns_want_not(0, "ip -br link", "\neth0");
		lost += peer_waiting[id];
	}
	print_message("# %u kills, %u were asked again, %u answers lost\n",
		      kills, again, lost);
	assert_in_range(again, 0, kills / 2);
	end_pod(pod);
}

/* Its link is back, perhaps after a second time of asking. */
static void test_a_remove_is_killed_at_every_system_call(void **state UNUSED)
{
	const unsigned int step = getenv("FERRY_SOAK") ? 1 : 7;
	unsigned int kills = 0;
	bool more = true;
	pid_t pod;

	(void)netns_link(&n, "eth0", MAC_A);
	change("Add", 0, MAC_A);
	pod = start_pod();
	for (unsigned int at = 1; more; at += step, kills++) {
		uint64_t id;

		more = kill_in(WIRE_MODIFY_SETTINGS,
			       adapter_body("Remove", 0, MAC_A), at, &id);
		change("Remove", 0, MAC_A);
		assert_true(dump_has("assigned=1 adapters=0"));
		netns_want(0, "ip link show eth0", "mtu 1500");
		netns_want_not(pod, "ip -br link", "\neth0");
		change("Add", 0, MAC_A);
		want_adapter(pod, 0);
	}
	print_message("# %u kills\n", kills);
	end_pod(pod);
}

/* It is there with its adapter, or can be made with it. */
static void test_a_pod_is_killed_at_every_system_call(void **state UNUSED)
{
	const unsigned int step = getenv("FERRY_SOAK") ? 1 : 31;
	unsigned int kills = 0;
	bool more = true;

	for (unsigned int at = 1; more; at += step, kills++) {
		struct run r = { .container = "pod" };
		struct peer_frame f;
		uint32_t code = HR_FAIL;
		uint64_t id;

		(void)netns_link(&n, "eth0", MAC_A);
		change("Add", 0, MAC_A);
		container_make_root("pod");
		more = kill_in(WIRE_CREATE, container_create_body(&wish), at,
			       &id);
		for (int i = 0; i < 500 && code != HR_OK; i++) {
			container_make_root("pod");
			code = peer_call(&peer, WIRE_CREATE,
					 container_create_body(&wish), &f);
			if (code == HR_SYSTEM_ALREADY_EXISTS &&
			    dump_has("container id=pod state=created"))
				break;
			if (code != HR_OK)
				(void)usleep(10000);
		}
		if (code != HR_OK && code != HR_SYSTEM_ALREADY_EXISTS)
			fail_msg("after %u calls: %s", at, f.body);
		container_run(&peer, &r);
		want_adapter((pid_t)r.x.pid, 0);
		end_pod((pid_t)r.x.pid);
		assert_true(dump_has("networks n=0"));
		netns_remove(&n, "eth0");
	}
	print_message("# %u kills\n", kills);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_pod_gets_a_further_adapter),
		TEST(test_adapters_wait_for_their_pod),
		TEST(test_a_pod_that_went_meanwhile),
		TEST(test_an_add_is_killed_at_every_system_call),
		TEST(test_a_remove_is_killed_at_every_system_call),
		TEST(test_a_pod_is_killed_at_every_system_call),
	};

	if (container_is_runtime(argv[0]))
		return fake_runtime_main(argc, argv);
	if (!container_private_run() || !netns_enter() || !netns_tools()) {
		print_message("skipped: no namespaces to be had\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
