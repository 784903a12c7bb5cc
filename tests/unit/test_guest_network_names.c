/*
 * tests/unit/test_guest_network_names.c - resolvers and leases of a namespace,
 * and what its neighbours are told
 */
#include "tests/unit/network_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "bridge/guest/announce.h"
#include "bridge/guest/network.h"
#include "bridge/guest/network_object.h"
#include "config/util.h"

/* --- DNS ------------------------------------------------------------------- */

static void test_resolv_conf_of_all_adapters(void **state)
{
	struct fixture *f = ready(state);
	struct msg_network a = adapter(NIC_A, MAC_A);
	struct msg_network b = adapter(NIC_B, MAC_B);
	struct text out;
	struct err e = { 0 };

	text_heap(&out, 4096);
	(void)netns_link(&f->n, "d0", MAC_A);
	(void)netns_link(&f->n, "d1", MAC_B);
	a.dns_suffix = "Example.COM, b.test ,,";
	a.dns_server_list = "10.0.0.10,fd00::10";
	b.dns_suffix = "b.test,c.test";
	b.dns_server_list = "10.0.0.11, 10.0.0.10";
	assert_int_equal(network_resolv_conf(&f->all, NS, &out, &e), 0);
	assert_string_equal(text_str(&out), "");
	assert_int_equal(add(f, &a, &e), 0);
	assert_int_equal(add(f, &b, &e), 0);
	assert_int_equal(network_resolv_conf(&f->all, NS, &out, &e), 0);
	assert_string_equal(text_str(&out),
			    "search example.com b.test c.test\n"
			    "nameserver 10.0.0.10\nnameserver fd00::10\n"
			    "nameserver 10.0.0.11\n");
	text_done(&out);
}

static void test_more_than_six_search_domains(void **state)
{
	struct fixture *f = ready(state);
	struct msg_network a = adapter(NIC_A, MAC_A);
	struct text out;
	struct err e = { 0 };

	text_heap(&out, 4096);
	(void)netns_link(&f->n, "d0", MAC_A);
	a.dns_suffix = "a,b,c,d,e,f,g";
	assert_int_equal(add(f, &a, &e), 0);
	assert_int_equal(network_resolv_conf(&f->all, NS, &out, &e), -E2BIG);
	text_done(&out);
}

/* --- DHCP ------------------------------------------------------------------ */

static void client(struct fixture *f, const char *body)
{
	static char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/client", f->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	(void)fprintf(file, "#!/bin/sh\n%s\n", body);
	(void)fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
	f->all.dhcp_client = path;
}

static void test_a_lease_is_configured(void **state)
{
	struct fixture *f = ready(state);
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct err e = { 0 };

	client(f, "[ \"$*\" = \"-q -i eth0 -s /sbin/udhcpc_config.script\" ] "
		  "|| exit 9\n"
		  "echo noise\n"
		  "echo ferry-lease ip=10.6.0.7 mask=24 router=10.6.0.1 "
		  "router=10.6.0.2 mtu=x");
	comes(f, "eth0", &m);
	if (assign(f, &e) < 0)
		fail_msg("%s", e.text);
	netns_want(f->other, "ip addr show eth0", "inet 10.6.0.7/24");
	netns_want(f->other, "ip route", "default via 10.6.0.1 dev eth0");
	netns_want(f->other, "ip route",
		   "default via 10.6.0.2 dev eth0 metric 1");
}

/* The limit counts from the start of the client, which is killed. */
static void test_w_g26_dhcp_has_a_real_limit(void **state)
{
	struct fixture *f = ready(state);
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct err e = { 0 };
	char line[128];

	f->all.dhcp_ms = 100;
	client(f, "echo $$ >${0%/*}/pid; exec sleep 1000");
	comes(f, "eth0", &m);
	assert_int_equal(assign(f, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "DHCP"));
	netns_want(0, "ip -br link show eth0", "DOWN");
	(void)snprintf(line, sizeof(line),
		       "kill -0 $(cat %s/pid) && echo alive || echo ended",
		       f->dir);
	netns_want(0, line, "ended");
}

static void test_a_lease_that_makes_no_sense(void **state)
{
	static const char *const bodies[] = {
		"echo ferry-lease ip=fd00::1 mask=24",
		"echo ferry-lease mask=24",
		"echo ferry-lease ip=10.0.0.1 mask=33",
		"echo ferry-lease ip=0.0.0.0 mask=8",
		"echo ferry-lease ip=10.0.0.1 router=evil",
		"exit 1",
	};
	struct fixture *f = ready(state);
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct err e = { 0 };

	comes(f, "eth0", &m);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		client(f, bodies[i]);
		assert_true(assign(f, &e) < 0);
	}
	f->all.dhcp_client = "no-such-client-of-dhcp";
	assert_int_equal(assign(f, &e), -ENOENT);
	client(f, "exit 0"); /* a script that did it by itself */
	assert_int_equal(assign(f, &e), 0);
}

/* --- announcements --------------------------------------------------------- */

static void test_announcements_look_like_this(void **state)
{
	static const uint8_t mac[RTNL_MAC_SIZE] = { 2, 1, 2, 3, 4, 5 };
	static const uint8_t want_arp[ANNOUNCE_ARP_SIZE] = {
		0,  1, 8, 0, 6, 4, 0, 1, 2, 1, 2,  3, 4, 5,
		10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9,
	};
	struct rtnl_address a;
	uint8_t arp[ANNOUNCE_ARP_SIZE];
	uint8_t na[ANNOUNCE_NA_SIZE];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(rtnl_parse_address("10.0.0.9", &a, &e), 0);
	announce_arp(&a, mac, arp);
	assert_memory_equal(arp, want_arp, sizeof(arp));
	assert_int_equal(rtnl_parse_address("fd00::9", &a, &e), 0);
	announce_na(&a, mac, na);
	assert_int_equal(na[0], 136);
	assert_int_equal(na[4], 0x20);
	assert_memory_equal(na + 8, a.bytes, 16);
	assert_memory_equal(na + 26, mac, 6);
}

/* The name of the newest link's peer, for a shell. */
#define PEER                                                                   \
	"d=$(ip -br link | sed -n \"s/^\\(veth[0-9]*\\)@.*/\\1/p\" | tail -1); "

/* The neighbour at the other end of the link has learnt the address. */
static void test_addresses_are_announced(void **state)
{
	struct fixture *f = ready(state);
	struct msg_ip_config ip[] = { { "10.4.0.2", 24 }, { "fd04::2", 64 } };
	struct msg_network m = adapter(NIC_A, MAC_A);
	struct answer a = { 0 };
	struct err e = { 0 };

	m.ip_config = ip;
	m.n_ip_configs = 2;
	(void)netns_link(&f->n, "eth0", MAC_A);
	(void)netns_run(0, PEER "ip link set $d name peer0; "
				"ip addr add 10.4.0.1/24 dev peer0; "
				"ip addr add fd04::1/64 dev peer0 nodad; "
				"ip link set peer0 up");
	assert_int_equal(add(f, &m, &e), 0);
	assert_int_equal(assign(f, &e), 0);
	(void)netns_run(0, "ip neigh replace 10.4.0.2 nud stale "
			   "lladdr 02:00:00:00:00:99 dev peer0; "
			   "ip neigh replace fd04::2 nud stale "
			   "lladdr 02:00:00:00:00:99 dev peer0");
	assert_int_equal(network_announce(&f->all, on_done, &a, &e), 0);
	until(f, &a);
	assert_int_equal(a.result, 2);
	netns_want(0, "ip neigh show 10.4.0.2", "lladdr 02:15:5d:00:00:0a");
	netns_want(0, "ip neigh show fd04::2", "lladdr 02:15:5d:00:00:0a");
}

static void test_nothing_to_announce(void **state)
{
	struct fixture *f = *state;
	struct answer a = { 0 };
	struct err e = { 0 };

	assert_int_equal(network_announce(&f->all, on_done, &a, &e), 0);
	assert_int_equal(a.calls, 0);
	until(f, &a);
	assert_int_equal(a.result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_resolv_conf_of_all_adapters),
		TEST(test_more_than_six_search_domains),
		TEST(test_a_lease_is_configured),
		TEST(test_w_g26_dhcp_has_a_real_limit),
		TEST(test_a_lease_that_makes_no_sense),
		cmocka_unit_test(test_announcements_look_like_this),
		TEST(test_addresses_are_announced),
		TEST(test_nothing_to_announce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
