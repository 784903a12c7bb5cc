/* tests/unit/network_fixture.h - the networks of an agent, and requests about them */
#ifndef FERRY_TESTS_UNIT_NETWORK_FIXTURE_H
#define FERRY_TESTS_UNIT_NETWORK_FIXTURE_H

#include "tests/unit/netns_fixture.h"

#include <sys/stat.h>

#include "bridge/guest/job.h"
#include "bridge/guest/network.h"
#include "bridge/guest/network_object.h"
#include "config/util.h"

#define NS "4F0E1A3C-0000-4000-8000-00000000000A"
#define NIC_A "AAAA1A3C-0000-4000-8000-000000000001"
#define NIC_B "bbbb1a3c-0000-4000-8000-000000000002"
#define MAC_A "02-15-5D-00-00-0A"
#define MAC_B "02-15-5D-00-00-0B"

struct answer {
	int calls;
	int result;
	struct err why;
};

struct fixture {
	char dir[64];
	struct loop *loop;
	struct jobs jobs;
	struct networks all;
	struct rtnl n;
	pid_t other;
	bool kernel;
};

UNUSED static void on_done(void *ctx, int result, const struct err *why)
{
	struct answer *a = ctx;

	a->calls++;
	a->result = result;
	a->why = *why;
}

UNUSED static void until(struct fixture *f, const struct answer *a)
{
	struct err e = { 0 };

	for (int i = 0; a->calls == 0 && i < 400; i++)
		assert_true(loop_turn(f->loop, 50, &e) >= 0);
	assert_int_equal(a->calls, 1);
}

UNUSED static struct msg_network adapter(const char *id, const char *mac)
{
	return (struct msg_network){ .namespace_id = NS,
				     .id = id,
				     .mac_address = mac,
				     .dns_suffix = "",
				     .dns_server_list = "" };
}

/* One that gets an address; @ip is borrowed. */
UNUSED static struct msg_network adapter_at(const char *id, const char *mac,
					    struct msg_ip_config *ip)
{
	struct msg_network m = adapter(id, mac);

	m.ip_config = ip;
	m.n_ip_configs = 1;
	return m;
}

UNUSED static int set_up(void **state)
{
	static struct fixture f;
	struct err e = { 0 };

	f = (struct fixture){ .n.fd = -1 };
	(void)snprintf(f.dir, sizeof(f.dir), "/tmp/ferry-net-XXXXXX");
	if (!mkdtemp(f.dir) || loop_new(&f.loop, &e) < 0)
		return -1;
	jobs_init(&f.jobs, f.loop, NULL);
	networks_init(&f.all, f.loop, &f.jobs);
	f.all.sys = f.dir; /* no VMBus in it: links go by MAC */
	f.kernel = netns_enter() && netns_tools();
	if (f.kernel) {
		if (rtnl_open(&f.n, &e) < 0)
			return -1;
		f.other = netns_other();
	}
	*state = &f;
	return 0;
}

UNUSED static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	networks_done(&f->all);
	jobs_done(&f->jobs);
	loop_free(f->loop);
	if (f->kernel) {
		netns_remove(&f->n, "d0");
		netns_remove(&f->n, "d1");
		netns_remove(&f->n, "eth0");
		netns_remove(&f->n, "eth1");
		rtnl_close(&f->n);
		netns_other_end(f->other);
	}
	(void)snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	return system(command);
}

UNUSED static struct fixture *ready(void **state)
{
	struct fixture *f = *state;

	if (!f->kernel)
		skip();
	return f;
}

/* The end of what was begun with @r. */
UNUSED static int ended(struct fixture *f, int r, const struct answer *a,
			struct err *why)
{
	if (r < 0)
		return r;
	assert_int_equal(a->calls, 0);
	until(f, a);
	*why = a->why;
	return a->result;
}

UNUSED static int modify(struct fixture *f, const char *what,
			 const struct msg_network *m, struct err *why)
{
	struct answer a = { 0 };
	const int r = network_modify(&f->all, what, m, NULL, on_done, &a, why);

	return ended(f, r, &a, why);
}

UNUSED static int add(struct fixture *f, const struct msg_network *m,
		      struct err *why)
{
	return modify(f, "Add", m, why);
}

UNUSED static int assign(struct fixture *f, struct err *why)
{
	struct answer a = { 0 };
	const int r = network_assign(&f->all, NS, f->other, on_done, &a, why);

	return ended(f, r, &a, why);
}

/* The kernel finds it under @name, and the host tells of it. */
UNUSED static void comes(struct fixture *f, const char *name,
			 const struct msg_network *m)
{
	struct err e = { 0 };

	(void)netns_link(&f->n, name, m->mac_address);
	if (add(f, m, &e) < 0)
		fail_msg("%s", e.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
