/*
 * tests/unit/test_guest_network.c - namespaces and adapters: what the host
 * says, and what the kernel has of it afterwards
 */
#include "tests/unit/network_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "bridge/guest/network.h"
#include "bridge/guest/network_object.h"
#include "config/util.h"

/* --- what the host says ---------------------------------------------------- */

static void test_facts_are_checked(void **state)
{
	struct msg_ip_config ip = { "10.0.0.2", 24 };
	struct msg_route route = { "10.0.0.1", "0.0.0.0/0", 0 };
	struct network_facts facts;
	struct msg_network m;
	struct err e = { 0 };

#define REFUSED(change, part)                                                  \
	do {                                                                   \
		m = adapter(NIC_A, MAC_A);                                     \
		ip = (struct msg_ip_config){ "10.0.0.2", 24 };                 \
		route = (struct msg_route){ "10.0.0.1", "0.0.0.0/0", 0 };      \
		m.ip_config = &ip;                                             \
		m.n_ip_configs = 1;                                            \
		m.route = &route;                                              \
		m.n_routes = 1;                                                \
		assert_int_equal(network_facts_read(&m, &facts, &e), 0);       \
		change;                                                        \
		assert_true(network_facts_read(&m, &facts, &e) < 0);           \
		if (!strstr(e.text, part))                                     \
			fail_msg("no %s in %s", part, e.text);                 \
	} while (0)

	(void)state;
	REFUSED(m.id = "", "$.ID");
	REFUSED(m.id = "../../../etc", "$.ID");
	REFUSED(m.mac_address = "00-15", "$.MacAddress");
	REFUSED(ip.address = "10.0.0.256", "$.IPConfigs[0]");
	REFUSED(ip.prefix_length = 33, "$.IPConfigs[0].PrefixLength");
	REFUSED(m.n_ip_configs = 1000, "$.IPConfigs");
	REFUSED(route.next_hop = "gateway", "$.Routes[0]: NextHop");
	REFUSED(route.next_hop = "fe80::1", "$.Routes[0]: NextHop");
	REFUSED(route.destination_prefix = "", "$.Routes[0]: Destination");
	REFUSED(route.destination_prefix = "10.0.0.0/33", "$.Routes[0]");
	REFUSED(route.destination_prefix = "10.0.0.0", "$.Routes[0]");
	REFUSED(m.n_routes = 1000, "$.Routes");
	REFUSED(m.dns_server_list = "1.1.1.1\nnameserver 6.6.6.6",
		"$.DNSServerList");
	REFUSED(m.dns_suffix = "a\tb", "$.DNSSuffix");
}

static void test_routes_that_mean_nothing_are_left_out(void **state)
{
	struct msg_route route[] = {
		{ "0.0.0.0", "0.0.0.0/0", 0 }, { "::", "::/0", 0 },
		{ "", "0.0.0.0/0", 0 },	       { "0.0.0.0", "10.1.2.3/16", 3 },
		{ "fd00::1", "::/0", 4 },
	};
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct network_facts facts;
	struct err e = { 0 };

	(void)state;
	m.route = route;
	m.n_routes = ARRAY_LEN(route);
	assert_int_equal(network_facts_read(&m, &facts, &e), 0);
	assert_int_equal(facts.n_routes, 2);
	assert_int_equal(facts.route[0].gateway.family, 0);
	assert_int_equal(facts.route[0].destination.address.bytes[2], 0);
	assert_int_equal(facts.route[0].metric, 3);
	assert_int_equal(facts.route[1].metric, 4);
	assert_string_equal(facts.id, "aaaa1a3c-0000-4000-8000-000000000001");
}

/* --- adapters -------------------------------------------------------------- */

static void test_an_adapter_comes_into_the_pod(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip[] = { { "10.4.0.2", 24 }, { "fd04::2", 64 } };
	struct msg_route route[] = { { "10.4.0.1", "0.0.0.0/0", 0 },
				     { "10.4.0.9", "192.168.0.0/16", 7 },
				     { "169.254.9.9", "172.16.0.0/12", 0 },
				     { "fd04::1", "::/0", 0 } };
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct err e = { 0 };

	m.ip_config = ip;
	m.n_ip_configs = ARRAY_LEN(ip);
	m.route = route;
	m.n_routes = ARRAY_LEN(route);
	m.encap_overhead = 50;
	comes(f, "eth0", &m);
	assert_true(network_exists(&f->all, NS));
	netns_want(0, "ip link show eth0", "mtu 1500");
	if (assign(f, &e) < 0)
		fail_msg("%s", e.text);
	netns_want(0, "ip link show eth0", "not exist");
	netns_want(f->other, "ip link show eth0", "mtu 1450");
	netns_want(f->other, "ip link show eth0", ",UP");
	netns_want(f->other, "ip link show lo", ",UP");
	netns_want(f->other, "ip addr show eth0", "inet 10.4.0.2/24");
	netns_want(f->other, "ip addr show eth0", "inet6 fd04::2/64");
	netns_want(f->other, "ip route", "default via 10.4.0.1 dev eth0");
	netns_want(f->other, "ip route",
		   "192.168.0.0/16 via 10.4.0.9 dev eth0 metric 7");
	netns_want(f->other, "ip route", "172.16.0.0/12 via 169.254.9.9");
	netns_want(f->other, "ip -6 route", "default via fd04::1 dev eth0");
	netns_want_not(f->other, "ip rule", "101");
}

/* The reference looks for the first adapter where it no longer is. */
static void test_w_g20_each_adapter_is_moved_once(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip_a = { "10.4.0.2", 24 };
	struct msg_ip_config ip_b = { "10.5.0.2", 24 };
	struct msg_route route_b = { "10.5.0.1", "0.0.0.0/0", 0 };
	struct msg_network a = adapter_at(NIC_A, MAC_A, &ip_a);
	struct msg_network b = adapter_at(NIC_B, MAC_B, &ip_b);
	struct err e = { 0 };

	b.route = &route_b;
	b.n_routes = 1;
	b.policy_based_routing = true;
	comes(f, "eth0", &a);
	assert_int_equal(assign(f, &e), 0);

	/* The kernel calls the next one eth0 too. */
	comes(f, "eth0", &b);
	netns_want(f->other, "ip addr show eth0", "inet 10.4.0.2/24");
	netns_want(f->other, "ip addr show eth1", "inet 10.5.0.2/24");
	netns_want(f->other, "ip route show table 101",
		   "default via 10.5.0.1 dev eth1 metric 500");
	netns_want(f->other, "ip rule", "5:\tfrom 10.5.0.2 lookup 101");
	assert_int_equal(add(f, &a, &e), -EEXIST);
}

static void test_w_g19_records_go_by_guid(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip = { "10.4.0.2", 24 };
	struct msg_network m = adapter_at(NIC_A, MAC_A, &ip);
	struct err e = { 0 };

	comes(f, "eth0", &m);
	assert_int_equal(assign(f, &e), 0);
	assert_int_equal(assign(f, &e), -EBUSY);
	network_forget(&f->all, "4f0e1a3c-0000-4000-8000-00000000000a");
	assert_false(network_exists(&f->all, NS));
	assert_int_equal(assign(f, &e), -ENOENT);

	/* A second sandbox on the same namespace. */
	netns_other_end(f->other);
	f->other = netns_other();
	comes(f, "eth0", &m);
	assert_int_equal(assign(f, &e), 0);
	netns_want(f->other, "ip addr show eth0", "inet 10.4.0.2/24");
}

/* As at the end of a move: the same card, other settings. */
static void test_an_adapter_comes_again_with_other_settings(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip_a = { "10.4.0.2", 24 };
	struct msg_ip_config ip_b = { "10.5.0.2", 24 };
	struct msg_ip_config new_ip = { "10.6.0.2", 24 };
	struct msg_network a = adapter_at(NIC_A, MAC_A, &ip_a);
	struct msg_network b = adapter_at(NIC_B, MAC_B, &ip_b);
	struct err e = { 0 };

	a.encap_overhead = 50;
	comes(f, "eth0", &a);
	comes(f, "eth1", &b);
	assert_int_equal(assign(f, &e), 0);

	if (modify(f, "Remove", &a, &e) < 0)
		fail_msg("%s", e.text);
	netns_want(0, "ip link show eth0", "mtu 1500");
	netns_want_not(0, "ip link show eth0", ",UP");
	netns_want_not(f->other, "ip -br link", "eth0");

	a.id = "aaaa1a3c-0000-4000-8000-000000000003";
	a.ip_config = &new_ip;
	if (add(f, &a, &e) < 0)
		fail_msg("%s", e.text);
	netns_want(f->other, "ip addr show eth0", "inet 10.6.0.2/24");
	netns_want(f->other, "ip link show eth0", "mtu 1450");
	netns_want_not(f->other, "ip addr", "10.4.0.2");
	netns_want(f->other, "ip addr show eth1", "inet 10.5.0.2/24");

	/* A name of its own there: the kernel moves first, and renames then. */
	assert_int_equal(modify(f, "Remove", &b, &e), 0);
	b.id = "bbbb1a3c-0000-4000-8000-000000000004";
	if (add(f, &b, &e) < 0)
		fail_msg("%s", e.text);
	netns_want(f->other, "ip addr show eth1", "inet 10.5.0.2/24");
}

static void test_one_that_was_unplugged_can_be_removed(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip = { "10.4.0.2", 24 };
	struct msg_network m = adapter_at(NIC_A, MAC_A, &ip);
	struct err e = { 0 };

	comes(f, "eth0", &m);
	assert_int_equal(assign(f, &e), 0);
	(void)netns_run(f->other, "ip link del eth0");
	assert_int_equal(modify(f, "Remove", &m, &e), 0);
}

/* Whatever the kernel made of the order in which they came. */
static void test_the_first_adapter_is_eth0(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip_a = { "10.4.0.2", 24 };
	struct msg_ip_config ip_b = { "10.5.0.2", 24 };
	struct msg_network a = adapter_at(NIC_A, MAC_A, &ip_a);
	struct msg_network b = adapter_at(NIC_B, MAC_B, &ip_b);
	struct err e = { 0 };

	comes(f, "eth1", &a);
	comes(f, "eth0", &b);
	assert_int_equal(assign(f, &e), 0);
	netns_want(f->other, "ip addr show eth0", "inet 10.4.0.2/24");
	netns_want(f->other, "ip addr show eth1", "inet 10.5.0.2/24");
}

/* The link may come after the request, and is seen when it comes. */
static void test_an_adapter_is_waited_for(void **state)
{
	struct fixture *f = ready(state);
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct answer a = { 0 };
	struct err e = { 0 };

	assert_int_equal(network_modify(&f->all, "", &m, NULL, on_done, &a, &e),
			 0);
	for (int i = 0; i < 3; i++)
		(void)loop_turn(f->loop, 10, &e);
	assert_int_equal(a.calls, 0);
	assert_true(f->all.monitor >= 0);
	(void)netns_link(&f->n, "eth0", MAC_A);
	until(f, &a);
	assert_int_equal(a.result, 0);
	assert_int_equal(f->all.monitor, -1); /* nobody waits any more */
}

static void test_the_wait_has_an_end(void **state)
{
	struct fixture *f = ready(state);
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct err e = { 0 };

	f->all.wait_ms = 20;
	assert_int_equal(add(f, &m, &e), -ENODEV);
	assert_non_null(strstr(e.text, "aaaa1a3c"));
	/* It is not there: the same may be added again. */
	comes(f, "eth0", &m);
}

/* The second adapter cannot be configured: the first comes back as well. */
static void test_a_failed_assignment_changes_nothing(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip_a = { "10.4.0.2", 24 };
	struct msg_ip_config ip_b = { "10.5.0.2", 24 };
	struct msg_route clash[] = { { "10.5.0.1", "10.9.0.0/16", 5 },
				     { "10.5.0.3", "10.9.0.0/16", 5 } };
	struct msg_network a = adapter_at(NIC_A, MAC_A, &ip_a);
	struct msg_network b = adapter_at(NIC_B, MAC_B, &ip_b);
	struct err e = { 0 };

	a.encap_overhead = 100;
	b.route = clash;
	b.n_routes = 2;
	comes(f, "d0", &a);
	comes(f, "d1", &b);
	assert_int_equal(assign(f, &e), -EEXIST);
	assert_non_null(strstr(e.text, "adapter bbbb1a3c"));
	netns_want(0, "ip link show d0", "mtu 1500");
	netns_want(0, "ip link show d1", "mtu 1500");
	netns_want_not(f->other, "ip -br link", "d0");

	assert_int_equal(modify(f, "Remove", &b, &e), 0);
	assert_int_equal(assign(f, &e), 0);
	netns_want(f->other, "ip link show d0", "mtu 1400");
}

static void test_a_host_network_is_configured_in_place(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip = { "10.4.0.2", 24 };
	struct msg_network m = adapter_at(NIC_A, MAC_A, &ip);
	struct answer a = { 0 };
	struct err e = { 0 };

	comes(f, "eth0", &m);
	assert_int_equal(network_host(&f->all, NS, on_done, &a, &e), 0);
	until(f, &a);
	assert_int_equal(a.result, 0);
	netns_want(0, "ip addr show eth0", "inet 10.4.0.2/24");
}

static void test_requests_about_nothing(void **state)
{
	struct fixture *f = *state;
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct answer a = { 0 };
	struct err e = { 0 };

	assert_int_equal(
		network_modify(&f->all, "Update", &m, NULL, on_done, &a, &e),
		-EOPNOTSUPP);
	m.namespace_id = "";
	assert_int_equal(
		network_modify(&f->all, "Add", &m, NULL, on_done, &a, &e),
		-EINVAL);
	m.namespace_id = "never-heard-of";
	assert_int_equal(
		network_modify(&f->all, "Remove", &m, NULL, on_done, &a, &e),
		0);
	assert_int_equal(a.calls, 0);
	until(f, &a);
	assert_int_equal(a.result, 0);
	network_forget(&f->all, "never-heard-of");
	assert_false(network_exists(&f->all, "never-heard-of"));
	assert_int_equal(network_create(&f->all, NS, &e), 0);
	assert_int_equal(network_create(&f->all, NS, &e), 0);
	assert_int_equal(f->all.n, 1);
}

static void test_who_waits_hears_that_it_is_gone(void **state)
{
	struct fixture *f = ready(state);
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct answer a = { 0 };
	struct answer b = { 0 };
	struct err e = { 0 };

	assert_int_equal(
		network_modify(&f->all, "Add", &m, NULL, on_done, &a, &e), 0);
	network_forget(&f->all, NS);
	until(f, &a);
	assert_int_equal(a.result, -ECANCELED);

	assert_int_equal(network_create(&f->all, NS, &e), 0);
	assert_int_equal(network_assign(&f->all, NS, f->other, on_done, &b, &e),
			 0);
	network_forget(&f->all, NS); /* its child is at work */
	until(f, &b);
	assert_int_equal(b.result, -ECANCELED);
	for (int i = 0; i < 5; i++)
		(void)loop_turn(f->loop, 20, &e);
}

/* --- Hyper-V --------------------------------------------------------------- */

static void make_dir(const struct fixture *f, const char *path)
{
	char command[512];

	(void)snprintf(command, sizeof(command), "mkdir -p %s/%s", f->dir,
		       path);
	assert_int_equal(system(command), 0);
}

static void test_vmbus_names_the_link(void **state)
{
	struct fixture *f = *state;
	struct network_facts facts = {
		.id = "aaaa1a3c-0000-4000-8000-000000000001"
	};
	struct rtnl none = { .fd = -1 };
	char name[IF_NAMESIZE] = "";
	struct err e = { 0 };

	make_dir(f, "bus/vmbus/devices");
	assert_int_equal(network_find(f->dir, &none, &facts, name, &e),
			 -ENODEV);
	make_dir(f, "bus/vmbus/devices/aaaa1a3c-0000-4000-8000-000000000001/"
		    "net/eth7");
	assert_int_equal(network_find(f->dir, &none, &facts, name, &e), 0);
	assert_string_equal(name, "eth7");
	make_dir(f, "bus/vmbus/devices/aaaa1a3c-0000-4000-8000-000000000001/"
		    "net/eth8");
	assert_int_equal(network_find(f->dir, &none, &facts, name, &e),
			 -ENOTUNIQ);
	facts.vpci = true;
	assert_int_equal(network_find(f->dir, &none, &facts, name, &e),
			 -ENODEV);
	make_dir(f, "bus/vmbus/devices/aaaa1a3c-0000-4000-8000-000000000001/"
		    "pci0001:00/0001:00:02.0/net/enP1");
	assert_int_equal(network_find(f->dir, &none, &facts, name, &e), 0);
	assert_string_equal(name, "enP1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts_are_checked),
		cmocka_unit_test(test_routes_that_mean_nothing_are_left_out),
		TEST(test_an_adapter_comes_into_the_pod),
		TEST(test_w_g20_each_adapter_is_moved_once),
		TEST(test_w_g19_records_go_by_guid),
		TEST(test_an_adapter_comes_again_with_other_settings),
		TEST(test_one_that_was_unplugged_can_be_removed),
		TEST(test_the_first_adapter_is_eth0),
		TEST(test_an_adapter_is_waited_for),
		TEST(test_the_wait_has_an_end),
		TEST(test_a_failed_assignment_changes_nothing),
		TEST(test_a_host_network_is_configured_in_place),
		TEST(test_requests_about_nothing),
		TEST(test_who_waits_hears_that_it_is_gone),
		TEST(test_vmbus_names_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
