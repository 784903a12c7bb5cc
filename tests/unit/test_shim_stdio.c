/* tests/unit/test_shim_stdio.c - streams of a process, and who is attached */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/listener.h"
#include "tools/shim/stdio.h"

#define TURNS 50

struct fixture {
	struct loop *loop;
	struct shim_stdio *io;
	int guest[MSG_STDIO];
	char dir[32];
	char path[64];
	int fd; /* the client's end */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	assert_non_null(f);
	memcpy(f->dir, "/tmp/ferry-stdio-XXXXXX", 24);
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/x", f->dir);
	assert_int_equal(loop_new(&f->loop, &e), 0);
	for (int i = 0; i < MSG_STDIO; i++)
		f->guest[i] = -1;
	f->fd = -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	shim_stdio_free(f->io);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&f->guest[i]);
	fd_close(&f->fd);
	loop_free(f->loop);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static void turns(struct fixture *f)
{
	struct err e;

	for (int i = 0; i < TURNS; i++)
		(void)loop_turn(f->loop, 0, &e);
}

static void open_with(struct fixture *f, const char *in, const char *out,
		      const char *err)
{
	const char *const path[MSG_STDIO] = { in, out, err };
	struct err e;

	assert_int_equal(shim_stdio_new(f->loop, path, &f->io, f->guest, &e),
			 0);
}

/* What can be read from @fd now, and whether it has ended. */
static size_t drain(struct fixture *f, int fd, char *buf, size_t size,
		    bool *ended)
{
	size_t n = 0;

	*ended = false;
	for (int i = 0; i < TURNS * 20; i++) {
		const ssize_t k = read(fd, buf + n, size - n);

		if (k == 0 && n < size) {
			*ended = true;
			break;
		}
		n += k > 0 ? (size_t)k : 0;
		turns(f);
	}
	return n;
}

/* A client that listens, and is connected to as output. */
static void attach(struct fixture *f, int stream)
{
	const char *path[MSG_STDIO] = { "", "", "" };
	cleanup_fd listen = -1;
	struct err e;

	(void)unlink(f->path);
	assert_int_equal(listener_open(f->path, &listen, &e), 0);
	path[stream] = f->path;
	assert_int_equal(shim_stdio_attach(f->io, path, &e), 0);
	fd_close(&f->fd);
	assert_int_equal(listener_accept(listen, &f->fd, &e), 0);
}

static void streams_that_nobody_wants_are_not_there(void **state)
{
	struct fixture *f = *state;

	open_with(f, "", "-", "");
	assert_int_equal(f->guest[MSG_STDIN], -1);
	assert_true(f->guest[MSG_STDOUT] >= 0);
	assert_int_equal(f->guest[MSG_STDERR], -1);
}

static void output_waits_for_who_attaches(void **state)
{
	struct fixture *f = *state;
	char buf[64];
	bool ended;

	open_with(f, "", "-", "");
	assert_int_equal(write(f->guest[MSG_STDOUT], "early ", 6), 6);
	turns(f);
	attach(f, MSG_STDOUT);
	assert_int_equal(write(f->guest[MSG_STDOUT], "late", 4), 4);
	assert_int_equal(drain(f, f->fd, buf, sizeof(buf), &ended), 10);
	assert_memory_equal(buf, "early late", 10);
	assert_false(ended);
	fd_close(&f->guest[MSG_STDOUT]);
	assert_int_equal(drain(f, f->fd, buf, sizeof(buf), &ended), 0);
	assert_true(ended);
}

/* Nobody is attached: the process never blocks, the newest output is kept. */
static void output_without_a_client_does_not_block(void **state)
{
	struct fixture *f = *state;
	char *buf = malloc((size_t)1 << 20);
	const uint64_t before = shim_stdio_dropped();
	uint32_t number = 0;
	uint32_t last;
	bool ended;
	size_t n;

	assert_non_null(buf);
	open_with(f, "", "-", "");
	for (int i = 0; i < 200; i++) {
		uint32_t block[1024];

		for (size_t k = 0; k < ARRAY_LEN(block); k++)
			block[k] = number++;
		assert_int_equal(
			write(f->guest[MSG_STDOUT], block, sizeof(block)),
			sizeof(block));
		turns(f);
	}
	attach(f, MSG_STDOUT);
	n = drain(f, f->fd, buf, (size_t)1 << 20, &ended);
	assert_true(n > STDIO_KEEP / 2 && n <= STDIO_KEEP);
	memcpy(&last, buf + n - sizeof(last), sizeof(last));
	assert_int_equal(last, number - 1);
	assert_int_equal(shim_stdio_dropped() - before + n,
			 number * sizeof(number));
	free(buf);
}

/* A client that is slow loses nothing: the process waits. */
static void slow_client_loses_nothing(void **state)
{
	struct fixture *f = *state;
	const size_t size = (size_t)4 << 20;
	cleanup_free char *got = calloc(1, size);
	cleanup_free uint8_t *sent = calloc(1, size);
	size_t at = 0;
	size_t n = 0;
	bool blocked = false;

	assert_non_null(got);
	assert_non_null(sent);
	if (!got || !sent)
		return;
	for (size_t i = 0; i < size; i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	open_with(f, "", "-", "");
	attach(f, MSG_STDOUT);
	while (n < size) {
		const ssize_t k =
			at < size ? write(f->guest[MSG_STDOUT], sent + at,
					  size - at < 30000 ? size - at : 30000)
				  : 0;

		at += k > 0 ? (size_t)k : 0;
		turns(f);
		if (k >= 0 && at < size)
			continue;
		blocked = true;
		n += (size_t)read(f->fd, got + n,
				  size - n < 50000 ? size - n : 50000);
	}
	assert_true(blocked);
	assert_memory_equal(got, sent, size);
}

static void client_that_goes_is_detached(void **state)
{
	struct fixture *f = *state;
	char buf[64];
	bool ended;

	open_with(f, "-", "-", "");
	attach(f, MSG_STDIN);
	fd_close(&f->fd); /* it died: the process keeps its input */
	turns(f);
	assert_int_equal(read(f->guest[MSG_STDIN], buf, 1), -1);
	assert_int_equal(errno, EAGAIN);
	attach(f, MSG_STDIN);
	assert_int_equal(write(f->fd, "word", 4), 4);
	assert_int_equal(
		drain(f, f->guest[MSG_STDIN], buf, sizeof(buf), &ended), 4);
	assert_false(ended);
}

/* CloseIO overtakes the bytes: they arrive all the same, then the end. */
static void input_ends_behind_what_was_sent(void **state)
{
	struct fixture *f = *state;
	char buf[64];
	bool ended;

	open_with(f, "-", "-", "");
	attach(f, MSG_STDIN);
	assert_int_equal(write(f->fd, "last words", 10), 10);
	shim_stdio_close_stdin(f->io);
	fd_close(&f->fd);
	assert_int_equal(
		drain(f, f->guest[MSG_STDIN], buf, sizeof(buf), &ended), 10);
	assert_true(ended);
}

/* containerd's way, its order too: our end first, the client's later. */
static void fifo_of_containerd(void **state)
{
	struct fixture *f = *state;
	char buf[64];
	bool ended;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	open_with(f, f->path, "", "");
	turns(f);
	assert_int_equal(read(f->guest[MSG_STDIN], buf, 1), -1);
	f->fd = open(f->path, O_WRONLY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(write(f->fd, "abc", 3), 3);
	fd_close(&f->fd); /* not the end: containerd says when it is */
	assert_int_equal(
		drain(f, f->guest[MSG_STDIN], buf, sizeof(buf), &ended), 3);
	assert_false(ended);
	shim_stdio_close_stdin(f->io);
	assert_int_equal(
		drain(f, f->guest[MSG_STDIN], buf, sizeof(buf), &ended), 0);
	assert_true(ended);
}

static void reader_of_a_fifo_comes_back(void **state)
{
	struct fixture *f = *state;
	char buf[64];
	bool ended;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	open_with(f, "", f->path, "");
	assert_int_equal(write(f->guest[MSG_STDOUT], "one ", 4), 4);
	turns(f);
	f->fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(f->fd >= 0);
	fd_close(&f->fd);
	assert_int_equal(write(f->guest[MSG_STDOUT], "two", 3), 3);
	turns(f);
	f->fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(drain(f, f->fd, buf, sizeof(buf), &ended), 7);
	assert_memory_equal(buf, "one two", 7);
}

static void paths_that_are_no_streams(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *path;
		int error;
	} bad[] = {
		{ "relative", -EINVAL },
		{ "/nowhere/at/all", -ENOENT },
		{ "/etc/passwd", -EINVAL },
		{ "binary:///bin/sh", -EOPNOTSUPP },
	};
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const path[MSG_STDIO] = { "", bad[i].path, "" };

		assert_int_equal(
			shim_stdio_new(f->loop, path, &f->io, f->guest, &e),
			bad[i].error);
		assert_null(f->io);
		assert_int_equal(f->guest[MSG_STDOUT], -1);
	}
}

static void file_is_appended_to(void **state)
{
	struct fixture *f = *state;
	char uri[80];
	char buf[16] = "";

	(void)snprintf(uri, sizeof(uri), "file://%s", f->path);
	open_with(f, "", uri, "");
	assert_int_equal(write(f->guest[MSG_STDOUT], "log", 3), 3);
	turns(f);
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(f->fd, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "log", 3);
}

/* What lies between the bridge and a client goes with a move, in order. */
static void frozen_streams_are_taken_along(void **state)
{
	struct fixture *f = *state;
	const char *const path[MSG_STDIO] = { "-", "-", "" };
	struct shim_stdio *there = NULL;
	int guest[MSG_STDIO];
	const uint8_t *kept;
	char buf[64];
	bool ended;
	struct err e;

	open_with(f, "-", "-", "");
	assert_int_equal(write(f->guest[MSG_STDOUT], "held ", 5), 5);
	turns(f);
	assert_int_equal(write(f->guest[MSG_STDOUT], "piped", 5), 5);
	attach(f, MSG_STDIN);
	assert_int_equal(write(f->fd, "input", 5), 5);
	turns(f);
	assert_int_equal(shim_stdio_freeze(f->io, true, &e), 0);
	assert_int_equal(shim_stdio_freeze(f->io, true, &e), 0);
	turns(f);
	assert_int_equal(shim_stdio_kept(f->io, MSG_STDOUT, &kept), 10);
	assert_memory_equal(kept, "held piped", 10);
	assert_int_equal(shim_stdio_new(f->loop, path, &there, guest, &e), 0);
	assert_int_equal(
		shim_stdio_give(there, MSG_STDOUT, kept, 10, false, &e), 0);
	assert_int_equal(shim_stdio_kept(f->io, MSG_STDIN, &kept), 5);
	assert_int_equal(shim_stdio_give(there, MSG_STDIN, kept, 5, false, &e),
			 0);
	assert_int_equal(drain(f, guest[MSG_STDIN], buf, sizeof(buf), &ended),
			 5);
	assert_memory_equal(buf, "input", 5);
	assert_int_equal(write(guest[MSG_STDOUT], " new", 4), 4);
	/* The move was called off: here they are as well. */
	assert_int_equal(read(f->guest[MSG_STDIN], buf, sizeof(buf)), -1);
	assert_int_equal(shim_stdio_freeze(f->io, false, &e), 0);
	assert_int_equal(
		drain(f, f->guest[MSG_STDIN], buf, sizeof(buf), &ended), 5);
	attach(f, MSG_STDOUT);
	assert_int_equal(drain(f, f->fd, buf, sizeof(buf), &ended), 10);
	assert_memory_equal(buf, "held piped", 10);
	shim_stdio_free(f->io);
	f->io = there;
	attach(f, MSG_STDOUT);
	assert_int_equal(drain(f, f->fd, buf, sizeof(buf), &ended), 14);
	assert_memory_equal(buf, "held piped new", 14);
	fd_close(&guest[MSG_STDIN]);
	fd_close(&guest[MSG_STDOUT]);
}

/* Numbers, so that each byte shows where it belongs. */
static size_t fill_numbers(char *buf, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; n + 8 <= size; i++, n += 8)
		(void)snprintf(buf + n, size - n, "%07u", i % 10000000);
	return n;
}

/* All of it, while the shim takes it. */
static void guest_writes(struct fixture *f, const char *bytes, size_t n)
{
	size_t at = 0;

	assert_int_equal(fd_nonblock(f->guest[MSG_STDOUT], true), 0);
	for (int i = 0; i < TURNS && at < n; i++) {
		const ssize_t k =
			write(f->guest[MSG_STDOUT], bytes + at, n - at);

		at += k > 0 ? (size_t)k : 0;
		turns(f);
	}
	assert_int_equal(at, n);
}

/* Nobody reads a FIFO: what lies in it goes along, before what lies behind it. */
static void what_a_fifo_holds_goes_along(void **state)
{
	struct fixture *f = *state;
	static char sent[150000];
	const size_t n = fill_numbers(sent, sizeof(sent));
	const uint8_t *kept;
	int fifo = 0;
	struct err e;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	open_with(f, "", f->path, "");
	guest_writes(f, sent, n);
	/* The process has ended. */
	fd_close(&f->guest[MSG_STDOUT]);
	turns(f);
	assert_int_equal(shim_stdio_freeze(f->io, true, &e), 0);
	assert_int_equal(shim_stdio_kept(f->io, MSG_STDOUT, &kept), n);
	assert_memory_equal(kept, sent, n);
	/* The move was called off: they are where they were. */
	assert_int_equal(shim_stdio_freeze(f->io, false, &e), 0);
	turns(f);
	f->fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(ioctl(f->fd, FIONREAD, &fifo), 0);
	assert_true(fifo > 0);
}

/* It moved when it had ended: all that nobody has read is there to be read. */
static void of_what_ended_nothing_is_dropped(void **state)
{
	struct fixture *f = *state;
	static char sent[400000];
	static char got[sizeof(sent)];
	const size_t n = fill_numbers(sent, sizeof(sent));
	const uint64_t dropped = shim_stdio_dropped();
	const size_t at = 200000;
	bool ended;
	struct err e;

	open_with(f, "", "-", "");
	assert_int_equal(shim_stdio_give(f->io, MSG_STDOUT, sent, at, true, &e),
			 0);
	/* What the guest still has follows. */
	guest_writes(f, sent + at, n - at);
	fd_close(&f->guest[MSG_STDOUT]);
	turns(f);
	attach(f, MSG_STDOUT);
	assert_int_equal(drain(f, f->fd, got, sizeof(got), &ended), n);
	assert_memory_equal(got, sent, n);
	assert_int_equal(shim_stdio_dropped(), dropped);
}

/* It moved when it had ended, and all had been read. */
static void who_attaches_to_what_ended_hears_that(void **state)
{
	struct fixture *f = *state;
	const char *const path[MSG_STDIO] = { "", f->path, "" };
	int listen = -1;
	bool ended;
	struct err e;
	char buf[8];

	assert_int_equal(listener_open(f->path, &listen, &e), 0);
	assert_int_equal(shim_stdio_ended(path, &e), 0);
	assert_int_equal(listener_accept(listen, &f->fd, &e), 0);
	fd_close(&listen);
	assert_int_equal(drain(f, f->fd, buf, sizeof(buf), &ended), 0);
	assert_true(ended);
	(void)unlink(f->path);
	assert_true(shim_stdio_ended(path, &e) < 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(streams_that_nobody_wants_are_not_there),
		T(output_waits_for_who_attaches),
		T(output_without_a_client_does_not_block),
		T(slow_client_loses_nothing),
		T(client_that_goes_is_detached),
		T(input_ends_behind_what_was_sent),
		T(fifo_of_containerd),
		T(reader_of_a_fifo_comes_back),
		T(paths_that_are_no_streams),
		T(file_is_appended_to),
		T(frozen_streams_are_taken_along),
		T(what_a_fifo_holds_goes_along),
		T(of_what_ended_nothing_is_dropped),
		T(who_attaches_to_what_ended_hears_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
