/* tests/unit/test_handoff.c - a socket goes from one process to another, and
 * both ends of it agree on whose it is (shared specification migration.md 7.4) */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "migration/status.h"
#include "tools/endpoint.h"
#include "tools/handoff.h"

#define TOKEN "0123456789abcdef0123456789ABCDEF"

struct end {
	bool over;
	int result;
	int fd;
};

static void on_end(void *ctx, int result, int fd, const struct err *e UNUSED)
{
	struct end *end = ctx;

	*end = (struct end){ .over = true, .result = result, .fd = fd };
}

static void wait_for(struct loop *l, const struct end *end)
{
	struct err e;

	while (!end->over)
		assert_true(loop_turn(l, 1000, &e) >= 0);
}

static void test_malformed_words(void **state UNUSED)
{
	static const char *const words[] = {
		"",
		"ferry-fd-v1 ",
		"ferry-fd-v1 /x",
		"ferry-fd-v1 x\n" TOKEN,
		"ferry-fd-v2 /x\n" TOKEN,
		"ferry-fd-v1 /x\n0123456789abcdef0123456789abcde",
		"ferry-fd-v1 /x\n" TOKEN "g",
		"ferry-fd-v1 /x\n" TOKEN TOKEN TOKEN TOKEN "0",
		"ferry-fd-v1 /x\n" TOKEN "\n",
	};
	struct handoff *h = NULL;
	struct loop *l;
	struct err e;

	assert_int_equal(loop_new(&l, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_int_equal(handoff_take(l, words[i], strlen(words[i]),
					      on_end, NULL, &h, &e),
				 -EINVAL);
		assert_null(h);
	}
	assert_int_equal(
		handoff_take(l, "ferry-fd-v1 /nobody/here\n" TOKEN,
			     strlen("ferry-fd-v1 /nobody/here\n" TOKEN), on_end,
			     NULL, &h, &e),
		-EPRECONDITION);
	loop_free(l);
}

/* A child gives @fd to whoever says @token. */
static pid_t giver(int listen_fd, const char *token, int fd)
{
	const pid_t pid = fork();
	struct err e;

	if (pid == 0) {
		const int conn = accept(listen_fd, NULL, NULL);

		_exit(handoff_give(conn, token, fd, &e) < 0);
	}
	return pid;
}

static struct end take(struct loop *l, const char *path, const char *token,
		       int fd, int *ret_status)
{
	char info[HANDOFF_INFO_MAX];
	struct handoff *h = NULL;
	struct end end = { 0 };
	int listen_fd = -1;
	struct err e;
	pid_t pid;

	assert_int_equal(endpoint_listen(path, &listen_fd, &e), 0);
	pid = giver(listen_fd, token, fd);
	fd_close(&listen_fd);
	assert_int_equal(handoff_info(path, TOKEN, info, &e), 0);
	assert_int_equal(
		handoff_take(l, info, strlen(info), on_end, &end, &h, &e), 0);
	wait_for(l, &end);
	handoff_free(h);
	(void)waitpid(pid, ret_status, 0);
	(void)unlink(path);
	return end;
}

static void test_handed_over(void **state UNUSED)
{
	char path[64];
	struct loop *l;
	struct err e;
	struct end end;
	int pair[2];
	int pipes[2];
	int status = -1;

	(void)snprintf(path, sizeof(path), "/tmp/ferry-test-handoff-%d",
		       (int)getpid());
	assert_int_equal(loop_new(&l, &e), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(pipes), 0);

	end = take(l, path, TOKEN, pair[0], &status);
	assert_int_equal(end.result, 0);
	assert_int_equal(write(end.fd, "x", 1), 1);
	fd_close(&end.fd);
	assert_int_equal(status, 0);

	/* Not the secret: nothing is given. */
	end = take(l, path, "f" TOKEN, pair[0], &status);
	assert_int_equal(end.result, -EPRECONDITION);
	assert_int_not_equal(status, 0);

	/* No socket. */
	end = take(l, path, TOKEN, pipes[0], &status);
	assert_int_equal(end.result, -EPRECONDITION);
	for (int i = 0; i < 2; i++) {
		fd_close(&pair[i]);
		fd_close(&pipes[i]);
	}
	loop_free(l);
}

static void agree(uint32_t a, uint32_t b, int result)
{
	struct handoff *h[2] = { NULL, NULL };
	struct end end[2] = { { 0 }, { 0 } };
	struct loop *l;
	struct err e;
	int pair[2];

	assert_int_equal(loop_new(&l, &e), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(handoff_agree(l, pair[i], i == 0 ? a : b,
					       on_end, &end[i], &h[i], &e),
				 0);
	for (int i = 0; i < 2; i++) {
		wait_for(l, &end[i]);
		assert_int_equal(end[i].result, result);
		handoff_free(h[i]);
	}
	for (int i = 0; i < 2; i++)
		fd_close(&pair[i]);
	loop_free(l);
}

static void test_crossed_sockets_are_found(void **state UNUSED)
{
	agree(0x2629ea69, 0x2629ea69, 0);
	agree(0x2629ea69, 0x84097828, -EPRECONDITION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed_words),
		cmocka_unit_test(test_handed_over),
		cmocka_unit_test(test_crossed_sockets_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
