/*
 * tests/e2e/container_uvm.h - the host side of programs that run containers in
 * a real UVM by hand
 *
 * The agent is the real one, with the runtime of its image; every frame is
 * checked as in the unit tests (tests/unit/guest_peer.h).
 */
#ifndef FERRY_TESTS_E2E_CONTAINER_UVM_H
#define FERRY_TESTS_E2E_CONTAINER_UVM_H

/* An emulated UVM on a busy machine takes its time. */
#ifndef PEER_WAIT_MS
#define PEER_WAIT_MS 120000
#endif

#include "tests/unit/container_peer.h"

UNUSED static struct peer peer;
UNUSED static const char *uvm_base;

/* Runs a line in the UVM. Return: its output */
UNUSED static const char *uvm(const char *line)
{
	struct peer_exec x = { .line = line, .want = { false, true, true } };
	static char out[65536];

	peer_exec(&peer, &x);
	(void)snprintf(out, sizeof(out), "%s", peer_output(x.fd[1]));
	if (peer_wait(&peer, x.pid) != 0)
		fail_msg("%s: %s", line, peer_output(x.fd[2]));
	peer_exec_done(&x);
	return out;
}

/* A root for a container, mounted as a host would combine its layers: on /run
 * nothing can be executed. */
UNUSED static void make_root(const char *id)
{
	char line[1024];

	(void)snprintf(line, sizeof(line),
		       "r=/run/gcs/c/%s/rootfs; mkdir -p $r && "
		       "mount -t tmpfs tmpfs $r && "
		       "mkdir -p $r/bin $r/proc $r/dev "
		       "$r/etc $r/tmp $r/sys && cp /bin/busybox $r/bin && "
		       "for x in sh sleep cat id stty tty; do "
		       "ln -s busybox $r/bin/$x; done && "
		       "printf 'root:x:0:0::/:/bin/sh\\nweb:x:33:44::/:"
		       "/bin/sh\\n' >$r/etc/passwd",
		       id);
	(void)uvm(line);
}

UNUSED static void create(const struct wish *w)
{
	make_root(w->id);
	container_create(&peer, w);
}

UNUSED static void delete (const char *id)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "umount /run/gcs/c/%s/rootfs", id);
	(void)uvm(line);
	container_delete(&peer, id);
	peer_n_notices = 0;
}

UNUSED static void end(const char *id)
{
	const uint32_t code = container_call(&peer, WIRE_SHUTDOWN_FORCED, id);

	if (code != HR_OK)
		assert_int_equal(code, HR_SYSTEM_ALREADY_STOPPED);
	(void)peer_notice(&peer, id);
	delete (id);
}

UNUSED static long agent_kib(void)
{
	/* Not VmRSS, which is brought up to date only now and then. The agent is
	 * the parent of what it runs; pidof names its jobs as well. */
	return strtol(uvm("sed -n 's/^Rss:[^0-9]*\\([0-9]*\\).*/\\1/p' "
			  "/proc/$PPID/smaps_rollup"),
		      NULL, 10);
}

UNUSED static int set_up(void **state UNUSED)
{
	char spelled[128];
	struct err e = { 0 };

	memset(&peer, 0, sizeof(peer));
	peer.fd = -1;
	peer.agent = -1;
	peer.events = true;
	peer.next_port = WIRE_PORT_STDIO_FIRST;
	(void)snprintf(spelled, sizeof(spelled), "unix:%s", uvm_base);
	assert_int_equal(transport_parse(spelled, &peer.transport, &e), 0);
	assert_int_equal(transport_listen(&peer.transport, WIRE_PORT_BRIDGE, 64,
					  &peer.listener, &e),
			 0);
	peer_accept(&peer);
	peer_negotiate(&peer);
	return 0;
}

UNUSED static int tear_down(void **state UNUSED)
{
	fd_close(&peer.fd);
	fd_close(&peer.listener);
	return 0;
}

#endif
