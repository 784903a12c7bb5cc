/*
 * tests/e2e/ttrpc_hostile.c - a client that a shim should not suffer from
 *
 *	ttrpc_hostile SOCKET KIND
 *
 * noise: random bytes; half: a header and no data; bomb: requests with 4 MiB
 * of empty submessages; deaf: many requests, no answer is read; many: more
 * connections than are served. Ends with 0 when it did what it wanted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/ttrpc/client.h"
#include "tools/ttrpc/codec.h"

#define ROUNDS 20
#define DEAF_CALLS 20000u
#define MANY 400

static int dial(const char *path, bool block)
{
	struct err e;
	int fd = -1;

	if (ttrpc_dial(path, &fd, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	(void)fd_nonblock(fd, !block);
	return fd;
}

/* The server may hang up at any time. */
static void push(int fd, const void *bytes, size_t n)
{
	while (n > 0) {
		const ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);

		if (k <= 0)
			return;
		bytes = (const char *)bytes + k;
		n -= (size_t)k;
	}
}

static int noise(const char *path)
{
	unsigned char buf[65536];

	for (int i = 0; i < ROUNDS; i++) {
		cleanup_fd fd = dial(path, true);

		if (fd < 0 || getrandom(buf, 256, 0) != 256)
			return 1;
		for (size_t k = 256; k < sizeof(buf); k++)
			buf[k] =
				(unsigned char)(buf[k - 256] * 3u + buf[k - 1]);
		push(fd, buf, sizeof(buf));
	}
	return 0;
}

static int half(const char *path)
{
	const unsigned char head[] = { 0, 0x40, 0, 0, 0, 0, 0, 1, 1, 0, 1 };

	for (int i = 0; i < ROUNDS; i++) {
		const int fd = dial(path, true);

		if (fd < 0)
			return 1;
		push(fd, head, sizeof(head));
	}
	(void)usleep(200000);
	return 0;
}

static int bomb(const char *path)
{
	const struct ttrpc_header h = { .len = TTRPC_DATA_MAX,
					.stream = 1,
					.type = TTRPC_REQUEST };
	unsigned char *bytes = malloc(TTRPC_HEADER_SIZE + TTRPC_DATA_MAX);

	if (!bytes)
		return 1;
	memset(bytes, 0, TTRPC_HEADER_SIZE + TTRPC_DATA_MAX);
	ttrpc_header_put(bytes, &h);
	for (size_t i = 0; i < TTRPC_DATA_MAX; i += 2)
		bytes[TTRPC_HEADER_SIZE + i] = 0x2a;
	for (int i = 0; i < ROUNDS; i++) {
		cleanup_fd fd = dial(path, true);
		char answer[64];

		if (fd < 0)
			break;
		push(fd, bytes, TTRPC_HEADER_SIZE + TTRPC_DATA_MAX);
		if (recv(fd, answer, sizeof(answer), 0) <= 0)
			break;
	}
	free(bytes);
	return 0;
}

static int deaf(const char *path)
{
	const struct ttrpc_request q = { .service = "Ferry",
					 .method = "Processes" };
	cleanup_fd fd = dial(path, false);

	if (fd < 0)
		return 1;
	for (uint32_t i = 0; i < DEAF_CALLS; i++) {
		struct err e;
		size_t len = 0;
		cleanup_free uint8_t *bytes =
			ttrpc_request_frame(2 * i + 1, &q, NULL, &len, &e);

		if (!bytes)
			return 1;
		push(fd, bytes, len);
	}
	(void)usleep(200000);
	return 0;
}

static int many(const char *path)
{
	for (int i = 0; i < MANY; i++) {
		/* Open until we end; a full backlog is no failure. */
		const int fd = dial(path, false);

		if (fd < 0 && errno != EAGAIN)
			return 1;
	}
	(void)usleep(200000);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *path);
	} kinds[] = { { "noise", noise },
		      { "half", half },
		      { "bomb", bomb },
		      { "deaf", deaf },
		      { "many", many } };

	for (size_t i = 0; argc == 3 && i < ARRAY_LEN(kinds); i++)
		if (strcmp(argv[2], kinds[i].name) == 0)
			return kinds[i].run(argv[1]);
	(void)fprintf(stderr, "usage: ttrpc_hostile SOCKET KIND\n");
	return 2;
}
