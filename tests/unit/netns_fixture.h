/*
 * tests/unit/netns_fixture.h - a network namespace of the test's own, links in
 * it, and other processes with namespaces of theirs
 *
 * As root, or with a user namespace around it where that is allowed. Where it
 * is not the tests say so and are skipped.
 */
#ifndef FERRY_TESTS_UNIT_NETNS_FIXTURE_H
#define FERRY_TESTS_UNIT_NETNS_FIXTURE_H

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "bridge/guest/rtnl.h"
#include "bridge/io/fd.h"

static bool netns_ready;

static inline bool netns_write(const char *path, const char *text)
{
	cleanup_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && fd_write_full(fd, text, strlen(text)) == 0;
}

/* Moves the test program into a namespace of its own, once. */
static inline bool netns_enter(void)
{
	char map[64];
	const uid_t uid = geteuid();

	if (netns_ready)
		return true;
	if (unshare(CLONE_NEWNET) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
			print_message("no network namespaces here: skipped\n");
			return false;
		}
		(void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)uid);
		if (!netns_write("/proc/self/uid_map", map))
			return false;
	}
	netns_ready = true;
	return true;
}

/* A link that needs no hardware, with a peer beside it; returns its index. */
static inline int netns_link(struct rtnl *n, const char *name,
			     const char *mac_text)
{
	const struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	const struct rtattr kind = { .rta_type = IFLA_INFO_KIND,
				     .rta_len = sizeof(kind) + 4 };
	uint8_t mac[RTNL_MAC_SIZE];
	uint8_t nested[8] = { 0 };
	struct rtnl_message m;
	struct rtnl_link link;
	struct err e = { 0 };

	assert_int_equal(rtnl_parse_mac(mac_text, mac, &e), 0);
	memcpy(nested, &kind, sizeof(kind));
	memcpy(nested + sizeof(kind), "veth", 4);
	rtnl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info,
		   sizeof(info));
	rtnl_put(&m, IFLA_IFNAME, name, strlen(name) + 1);
	rtnl_put(&m, IFLA_ADDRESS, mac, sizeof(mac));
	rtnl_put(&m, IFLA_LINKINFO, nested, sizeof(nested));
	if (rtnl_call(n, &m, &e) < 0)
		fail_msg("veth %s: %s", name, e.text);
	assert_int_equal(rtnl_link_by_name(n, name, &link, &e), 0);
	return link.index;
}

static inline void netns_remove(struct rtnl *n, const char *name)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct rtnl_message m;
	struct rtnl_link link;
	struct err e = { 0 };

	if (rtnl_link_by_name(n, name, &link, &e) < 0)
		return;
	info.ifi_index = link.index;
	rtnl_begin(&m, RTM_DELLINK, 0, &info, sizeof(info));
	assert_int_equal(rtnl_call(n, &m, &e), 0);
}

/* A process that sleeps in a network namespace of its own. */
static inline pid_t netns_other(void)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static inline void netns_other_end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What a shell line prints that runs in the namespace of @pid (0: ours). */
static inline const char *netns_run(pid_t pid, const char *line)
{
	static char text[8192];
	char command[512];
	size_t n;
	FILE *f;

	if (pid == 0)
		(void)snprintf(command, sizeof(command), "%s 2>&1", line);
	else
		(void)snprintf(command, sizeof(command),
			       "nsenter -n -t %d sh -c '%s' 2>&1", (int)pid,
			       line);
	/* NOLINTNEXTLINE(cert-env33-c): a line of the test itself */
	f = popen(command, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)pclose(f);
	return text;
}

static inline void netns_want(pid_t pid, const char *line, const char *part)
{
	const char *text = netns_run(pid, line);

	if (!strstr(text, part))
		fail_msg("%s: no '%s' in: %s", line, part, text);
}

static inline void netns_want_not(pid_t pid, const char *line, const char *part)
{
	const char *text = netns_run(pid, line);

	if (strstr(text, part))
		fail_msg("%s: '%s' in: %s", line, part, text);
}

/* Are the programs there by which the tests look at what was done? */
static inline bool netns_tools(void)
{
	if (system("command -v ip nsenter >/dev/null") == 0)
		return true;
	print_message("no ip or nsenter here: skipped\n");
	return false;
}

#endif
