/* rtnetlink: texts and messages, then the kernel's view of what was done */
#include "tests/unit/netns_fixture.h"

#include <arpa/inet.h>
#include <errno.h>

#include "config/util.h"

#define MAC_A "02-00-5E-00-00-0A"
#define MAC_B "02:00:5e:00:00:0b"

/* --- pure ------------------------------------------------------------------ */

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		uint8_t family;
	} rows[] = {
		{ "10.0.0.1", AF_INET }, { "fd00::1", AF_INET6 },
		{ "::", AF_INET6 },	 { "", 0 },
		{ "10.0.0", 0 },	 { "010.0.0.1", 0 },
		{ "localhost", 0 },	 { "fe80::1%eth0", 0 },
		{ "10.0.0.1/8", 0 },	 { " 10.0.0.1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rtnl_address a = { .family = 77 };
		struct err e = { 0 };
		const int r = rtnl_parse_address(rows[i].text, &a, &e);

		assert_int_equal(r, rows[i].family ? 0 : -EINVAL);
		assert_int_equal(a.family,
				 rows[i].family ? rows[i].family : 77);
	}
}

static void test_mac_addresses(void **state)
{
	static const uint8_t want[RTNL_MAC_SIZE] = { 0x00, 0x15, 0x5d,
						     0xab, 0xcd, 0xef };
	static const char *const bad[] = {
		"",
		"00-15-5D-AB-CD",
		"00-15-5D-AB-CD-EF-00",
		"00-15-5D-AB-CD-EG",
		"00.15.5D.AB.CD.EF",
		"00155DABCDEF",
		"00-15-5D-AB-CD-E",
		"0",
		"00",
		"00-",
	};
	uint8_t mac[RTNL_MAC_SIZE] = { 9 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(rtnl_parse_mac(bad[i], mac, &e), -EINVAL);
		assert_int_equal(mac[0], 9);
	}
	assert_int_equal(rtnl_parse_mac("00-15-5D-ab-CD-ef", mac, &e), 0);
	assert_memory_equal(mac, want, sizeof(want));
	assert_int_equal(rtnl_parse_mac("00:15:5d:ab:cd:ef", mac, &e), 0);
	assert_memory_equal(mac, want, sizeof(want));
}

static void test_a_message_keeps_to_its_buffer(void **state)
{
	const struct ifinfomsg info = { .ifi_index = 7 };
	const uint8_t data[100] = { 1 };
	struct rtnl_message m;
	struct rtnl n = { .fd = -1 };
	struct err e = { 0 };

	(void)state;
	rtnl_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	assert_int_equal(m.len, NLMSG_HDRLEN + sizeof(info));
	rtnl_put_u32(&m, IFLA_MTU, 1400);
	assert_int_equal(m.len, NLMSG_HDRLEN + sizeof(info) + 8);
	rtnl_put(&m, IFLA_IFNAME, "x", 2);
	assert_int_equal(m.len, NLMSG_HDRLEN + sizeof(info) + 16);
	assert_false(m.full);
	for (int i = 0; i < 20; i++)
		rtnl_put(&m, IFLA_ALT_IFNAME, data, sizeof(data));
	assert_true(m.full);
	assert_true(m.len <= sizeof(m.buf));
	assert_int_equal(rtnl_call(&n, &m, &e), -EMSGSIZE);
	rtnl_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	rtnl_put(&m, IFLA_IFNAME, data, SIZE_MAX - 2);
	assert_true(m.full);
}

/* Every prefix of a good message, and lengths that lie. */
static void test_links_are_read_within_their_bytes(void **state)
{
	const struct ifinfomsg info = { .ifi_index = 7, .ifi_flags = IFF_UP };
	const uint8_t mac[] = { 2, 0, 0, 0, 0, 1 };
	struct rtnl_link link = { 0 };
	struct rtnl_message m;
	struct nlmsghdr h;
	uint8_t *copy;

	(void)state;
	rtnl_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	rtnl_put(&m, IFLA_ADDRESS, mac, sizeof(mac));
	rtnl_put(&m, IFLA_IFNAME, "eth0", 5);
	memcpy(&h, m.buf, sizeof(h));
	h.nlmsg_len = (uint32_t)m.len;
	memcpy(m.buf, &h, sizeof(h));
	assert_int_equal(rtnl_link_read(m.buf, m.len, &link), 0);
	assert_int_equal(link.index, 7);
	assert_string_equal(link.name, "eth0");
	assert_memory_equal(link.mac, mac, sizeof(mac));

	for (size_t len = 0; len < m.len; len++) {
		copy = malloc(len + 1);
		assert_non_null(copy);
		memcpy(copy, m.buf, len);
		assert_int_equal(rtnl_link_read(copy, len, &link), -EBADMSG);
		if (len >= sizeof(h)) {
			h.nlmsg_len = (uint32_t)len;
			memcpy(copy, &h, sizeof(h));
			(void)rtnl_link_read(copy, len, &link);
		}
		free(copy);
	}
}

/* --- with the kernel ------------------------------------------------------- */

static int set_up(void **state)
{
	static struct rtnl n;
	struct err e = { 0 };

	*state = NULL;
	if (!netns_enter() || !netns_tools())
		return 0;
	if (rtnl_open(&n, &e) < 0)
		return -1;
	*state = &n;
	return 0;
}

static int tear_down(void **state)
{
	struct rtnl *n = *state;

	if (n) {
		netns_remove(n, "d0");
		netns_remove(n, "d1");
		rtnl_close(n);
	}
	return 0;
}

static struct rtnl *ready(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static struct rtnl_address address(const char *text)
{
	struct rtnl_address a = { 0 };
	struct err e = { 0 };

	assert_int_equal(rtnl_parse_address(text, &a, &e), 0);
	return a;
}

static void test_links_are_found_by_name_and_mac(void **state)
{
	struct rtnl *n = ready(state);
	struct rtnl_link link = { 0 };
	uint8_t mac[RTNL_MAC_SIZE];
	struct err e = { 0 };
	const int index = netns_link(n, "d0", MAC_A);

	assert_int_equal(rtnl_parse_mac(MAC_A, mac, &e), 0);
	assert_int_equal(rtnl_link_by_mac(n, mac, &link, &e), 0);
	assert_int_equal(link.index, index);
	assert_string_equal(link.name, "d0");
	assert_int_equal(link.mtu, 1500);
	assert_int_equal(rtnl_link_by_name(n, "nope", &link, &e), -ENODEV);
	assert_int_equal(link.index, index);
	mac[5]++;
	assert_int_equal(rtnl_link_by_mac(n, mac, &link, &e), -ENODEV);
	mac[5]--;
	(void)netns_link(n, "d1", MAC_A);
	assert_int_equal(rtnl_link_by_mac(n, mac, &link, &e), -ENOTUNIQ);
}

static void test_addresses_routes_and_rules_reach_the_kernel(void **state)
{
	struct rtnl *n = ready(state);
	const int index = netns_link(n, "d0", MAC_A);
	const struct rtnl_address v4 = address("10.1.2.3");
	const struct rtnl_address v6 = address("fd00:1::3");
	struct rtnl_route route = { .gateway = address("10.1.2.1"),
				    .index = index };
	struct err e = { 0 };

	assert_int_equal(rtnl_link_mtu(n, index, 1400, &e), 0);
	assert_int_equal(rtnl_link_up(n, index, true, &e), 0);
	assert_int_equal(rtnl_address_add(n, index, &v4, 24, &e), 0);
	assert_int_equal(rtnl_address_add(n, index, &v4, 24, &e), 0);
	assert_int_equal(rtnl_address_add(n, index, &v6, 64, &e), 0);
	netns_want(0, "ip link show d0", "mtu 1400");
	netns_want(0, "ip addr show d0", "inet 10.1.2.3/24 brd 10.1.2.255");
	netns_want(0, "ip addr show d0", "inet6 fd00:1::3/64");
	netns_want_not(0, "ip addr show d0", "tentative");

	assert_int_equal(rtnl_route_add(n, &route, &e), 0);
	netns_want(0, "ip route", "default via 10.1.2.1 dev d0");
	assert_int_equal(rtnl_route_add(n, &route, &e), -EEXIST);
	assert_non_null(strstr(e.text, "default route via 10.1.2.1"));
	route.table = RTNL_TABLE_SECOND;
	route.metric = RTNL_METRIC_SECOND;
	assert_int_equal(rtnl_route_add(n, &route, &e), 0);
	netns_want(0, "ip route show table 101",
		   "default via 10.1.2.1 dev d0 metric 500");
	route = (struct rtnl_route){ .destination = address("fd00:2::"),
				     .prefix = 48,
				     .gateway = address("fd00:1::1"),
				     .index = index,
				     .metric = 7 };
	assert_int_equal(rtnl_route_add(n, &route, &e), 0);
	netns_want(0, "ip -6 route",
		   "fd00:2::/48 via fd00:1::1 dev d0 metric 7");

	for (int i = 0; i < 2; i++)
		assert_int_equal(rtnl_rule_add(n, &v4, RTNL_TABLE_SECOND,
					       RTNL_RULE_PRIORITY, &e),
				 0);
	netns_want(0, "ip rule", "5:\tfrom 10.1.2.3 lookup 101");
	assert_int_equal(rtnl_rule_add(n, &v6, 70000, 6, &e), 0);
	netns_want(0, "ip -6 rule", "6:\tfrom fd00:1::3 lookup 70000");
	assert_int_equal(rtnl_link_up(n, index, false, &e), 0);
	netns_want_not(0, "ip link show d0", "UP,");
}

static void test_a_gateway_off_the_link_becomes_a_neighbour(void **state)
{
	struct rtnl *n = ready(state);
	const int index = netns_link(n, "d0", MAC_B);
	const struct rtnl_address v4 = address("10.1.2.3");
	const struct rtnl_address v6 = address("fd00:1::3");
	struct rtnl_route route = { .gateway = address("169.254.1.1"),
				    .index = index };
	struct err e = { 0 };

	assert_int_equal(rtnl_link_up(n, index, true, &e), 0);
	assert_int_equal(rtnl_address_add(n, index, &v4, 32, &e), 0);
	assert_int_equal(rtnl_address_add(n, index, &v6, 128, &e), 0);
	assert_int_equal(rtnl_route_add(n, &route, &e), -ENETUNREACH);
	assert_int_equal(rtnl_route_via(n, &route, &e), 0);
	netns_want(0, "ip route", "default via 169.254.1.1 dev d0");
	netns_want(0, "ip route", "169.254.1.1 dev d0 scope link");
	/* We do not answer for the gateway. */
	netns_want_not(0, "ip addr show d0", "169.254.1.1");
	route.gateway = address("fd99::1");
	assert_int_equal(rtnl_route_via(n, &route, &e), 0);
	netns_want(0, "ip -6 route", "default via fd99::1 dev d0");
	route.table = RTNL_TABLE_SECOND;
	route.gateway = address("169.254.7.1");
	assert_int_equal(rtnl_route_via(n, &route, &e), 0);
	netns_want(0, "ip route show table 101",
		   "default via 169.254.7.1 dev d0");
}

static void test_errors_carry_the_kernels_words(void **state)
{
	struct rtnl *n = ready(state);
	const struct rtnl_address v4 = address("10.1.2.3");
	struct err e = { 0 };

	assert_int_equal(rtnl_link_up(n, 4711, true, &e), -ENODEV);
	assert_non_null(strstr(e.text, "set link 4711 up"));
	assert_true(rtnl_address_add(n, 4711, &v4, 24, &e) < 0);
	assert_non_null(strstr(e.text, "10.1.2.3/24"));
	(void)netns_link(n, "d0", MAC_A);
	assert_int_equal(
		rtnl_address_add(n, netns_link(n, "d1", MAC_B), &v4, 33, &e),
		-EINVAL);
	assert_non_null(strstr(e.text, "prefix"));
}

/* The second eth0 of a namespace gets another name. */
static void test_a_taken_name_is_replaced_in_a_move(void **state)
{
	struct rtnl *n = ready(state);
	const pid_t other = netns_other();
	struct err e = { 0 };
	char path[64];
	cleanup_fd fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)other);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 3; i++) {
		const int index = netns_link(n, "eth0", MAC_A);
		char name[IF_NAMESIZE] = "eth0";

		assert_int_equal(rtnl_link_move(n, index, fd, name, &e), 0);
		assert_int_equal(name[3], '0' + i);
		netns_want(0, "ip link show eth0", "not exist");
	}
	netns_want(other, "ip -br link", "eth0@");
	netns_want(other, "ip -br link", "eth1@");
	netns_want(other, "ip -br link", "eth2@");
	netns_other_end(other);
}

static void test_the_monitor_tells_of_new_links(void **state)
{
	struct rtnl *n = ready(state);
	struct err e = { 0 };
	cleanup_fd fd = rtnl_monitor(&e);
	char c;

	assert_true(fd >= 0);
	rtnl_monitor_drain(fd);
	assert_true(recv(fd, &c, 1, MSG_PEEK) < 0);
	(void)netns_link(n, "d0", MAC_A);
	assert_true(recv(fd, &c, 1, MSG_PEEK) > 0);
	rtnl_monitor_drain(fd);
	assert_true(recv(fd, &c, 1, MSG_PEEK) < 0);
}

#define KERNEL_TEST(name)                                                      \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_mac_addresses),
		cmocka_unit_test(test_a_message_keeps_to_its_buffer),
		cmocka_unit_test(test_links_are_read_within_their_bytes),
		KERNEL_TEST(test_links_are_found_by_name_and_mac),
		KERNEL_TEST(test_addresses_routes_and_rules_reach_the_kernel),
		KERNEL_TEST(test_a_gateway_off_the_link_becomes_a_neighbour),
		KERNEL_TEST(test_errors_carry_the_kernels_words),
		KERNEL_TEST(test_a_taken_name_is_replaced_in_a_move),
		KERNEL_TEST(test_the_monitor_tells_of_new_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
