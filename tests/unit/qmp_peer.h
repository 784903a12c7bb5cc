/* tests/unit/qmp_peer.h - QMP whose other end, the monitor, is played by the test */
#ifndef FERRY_TESTS_UNIT_QMP_PEER_H
#define FERRY_TESTS_UNIT_QMP_PEER_H

#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"
#include "bridge/io/loop.h"
#include "config/util.h"
#include "tools/qemu/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

/* A loop, a client in it, and the monitor's end of its connection. */
UNUSED static void qmp_peer_open(struct loop **loop, struct qmp **q, int *peer,
				 const struct qmp_handler *h)
{
	struct err e;
	int fd[2];

	assert_int_equal(loop_new(loop, &e), 0);
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, fd),
			 0);
	*peer = fd[1];
	assert_int_equal(qmp_new(q, *loop, fd[0], h, &e), 0);
}

UNUSED static void qmp_peer_turn(struct loop *loop)
{
	struct err e;

	while (loop_turn(loop, 0, &e) > 0)
		;
}

UNUSED static void qmp_peer_say(struct loop *loop, int peer, const char *text)
{
	assert_int_equal(fd_write_full(peer, text, strlen(text)), 0);
	qmp_peer_turn(loop);
}

#endif
