/* bridge/host/relay: streams arrive whole, bounded, and end well */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/host/local.h"
#include "bridge/host/relay.h"
#include "bridge/io/fd.h"
#include "bridge/io/loop.h"
#include "config/util.h"

#define BULK ((size_t)64 * 1024 * 1024)
#define TURNS_MAX 2000000

struct fixture {
	struct loop *loop;
	struct host_relay *relay;
	bool over;
	enum host_relay_end how;
	int error;
};

/* One end of the outside world: what it sent or got so far. */
struct side {
	int fd;
	size_t bytes;
	uint64_t hash;
	bool end;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || loop_new(&f->loop, NULL) < 0)
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	host_relay_free(f->relay);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void on_done(void *ctx, enum host_relay_end how, const struct err *e)
{
	struct fixture *f = ctx;

	assert_false(f->over);
	f->over = true;
	f->how = how;
	f->error = e ? e->code : 0;
}

static void start(struct fixture *f, struct local from, struct local to)
{
	struct err e = { 0 };

	if (host_relay_new(f->loop, &from, &to, on_done, f, &f->relay, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(from.fd, -1);
	assert_int_equal(to.fd, -1);
}

static void turn(struct fixture *f, int wait_ms)
{
	assert_true(loop_turn(f->loop, wait_ms, NULL) >= 0);
}

static void until_over(struct fixture *f)
{
	for (int i = 0; i < 1000 && !f->over; i++)
		turn(f, 10);
	assert_true(f->over);
}

/* A socket pair: [0] for the relay, [1] for the test, not blocking. */
static void socket_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, fd),
			 0);
}

static struct local open_local(int fd, bool writing)
{
	struct local l;
	struct err e = { 0 };

	if (local_open(fd, writing, &l, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}

static uint64_t hash_more(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* Bytes that differ from place to place. */
static void pattern(uint8_t *p, size_t n, size_t at)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((at + i) * 2654435761u >> 13);
}

static void feed(struct side *s, size_t total)
{
	uint8_t buf[40000];
	size_t n = total - s->bytes;
	ssize_t put;

	if (s->end)
		return;
	if (n == 0) {
		fd_close(&s->fd);
		s->end = true;
		return;
	}
	if (n > sizeof(buf))
		n = sizeof(buf);
	pattern(buf, n, s->bytes);
	put = write(s->fd, buf, n);
	if (put <= 0)
		return;
	s->hash = hash_more(s->hash, buf, (size_t)put);
	s->bytes += (size_t)put;
}

static void eat(struct side *s)
{
	uint8_t buf[50000];
	const ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n == 0)
		s->end = true;
	if (n <= 0)
		return;
	s->hash = hash_more(s->hash, buf, (size_t)n);
	s->bytes += (size_t)n;
}

static void pump(struct fixture *f, struct side *in, struct side *out)
{
	for (int i = 0; i < TURNS_MAX && !out->end; i++) {
		feed(in, BULK);
		turn(f, 0);
		if (f->over && f->how == HOST_RELAY_EOF)
			host_relay_free(mem_take(&f->relay));
		eat(out);
	}
	assert_true(out->end);
	assert_int_equal(out->bytes, BULK);
	assert_true(in->hash == out->hash);
}

/* Guest socket to the caller's pipe, both ways; and to a caller's socket. */
static void test_bulk_socket_to_pipe(void **state)
{
	struct fixture *f = *state;
	struct side in = { 0 };
	struct side out = { 0 };
	int guest[2];
	int p[2];

	socket_pair(guest);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	start(f, local_socket(guest[0]), open_local(p[1], true));
	fd_close(&p[1]);
	assert_int_equal(fd_nonblock(p[0], true), 0);
	in.fd = guest[1];
	out.fd = p[0];
	pump(f, &in, &out);
	assert_int_equal(f->how, HOST_RELAY_EOF);
	fd_close(&p[0]);
}

static void test_bulk_pipe_to_socket(void **state)
{
	struct fixture *f = *state;
	struct side in = { 0 };
	struct side out = { 0 };
	int guest[2];
	int p[2];

	socket_pair(guest);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	start(f, open_local(p[0], false), local_socket(guest[0]));
	fd_close(&p[0]);
	assert_int_equal(fd_nonblock(p[1], true), 0);
	in.fd = p[1];
	out.fd = guest[1];
	pump(f, &in, &out);
	fd_close(&guest[1]);
}

static void test_bulk_socket_to_socket(void **state)
{
	struct fixture *f = *state;
	struct side in = { 0 };
	struct side out = { 0 };
	int guest[2];
	int mine[2];

	socket_pair(guest);
	socket_pair(mine);
	start(f, local_socket(guest[0]), open_local(mine[0], true));
	fd_close(&mine[0]);
	in.fd = guest[1];
	out.fd = mine[1];
	pump(f, &in, &out);
	fd_close(&mine[1]);
}

/* Regular files: epoll refuses them, they are read and written all the same. */
static void test_bulk_file_there_and_back(void **state)
{
	struct fixture *f = *state;
	struct side in = { 0 };
	struct side out = { 0 };
	FILE *file = tmpfile();
	int guest[2];

	assert_non_null(file);
	socket_pair(guest);
	start(f, local_socket(guest[0]), open_local(fileno(file), true));
	in.fd = guest[1];
	for (int i = 0; i < TURNS_MAX && !f->over; i++) {
		feed(&in, BULK);
		turn(f, 0);
	}
	assert_true(f->over);
	assert_int_equal(f->how, HOST_RELAY_EOF);
	assert_int_equal(lseek(fileno(file), 0, SEEK_CUR), BULK);
	host_relay_free(mem_take(&f->relay));
	f->over = false;

	assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
	socket_pair(guest);
	start(f, open_local(fileno(file), false), local_socket(guest[0]));
	out.fd = guest[1];
	in.end = true;
	pump(f, &in, &out);
	fd_close(&guest[1]);
	(void)fclose(file);
}

static void test_appending_file_keeps_its_place(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/ferry-relay-XXXXXX";
	char buf[16] = { 0 };
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	int guest[2];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "one ", 4), 4);
	socket_pair(guest);
	start(f, local_socket(guest[0]), open_local(fd, true));
	assert_int_equal(write(guest[1], "two", 3), 3);
	fd_close(&guest[1]);
	until_over(f);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), 7);
	assert_string_equal(buf, "one two");
	fd_close(&fd);
	(void)unlink(path);
}

static void test_dev_null_is_an_empty_input_and_takes_all(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int guest[2];
	char c;

	socket_pair(guest);
	start(f, open_local(null, false), local_socket(guest[0]));
	until_over(f);
	assert_int_equal(f->how, HOST_RELAY_EOF);
	assert_int_equal(read(guest[1], &c, 1), 0);
	fd_close(&guest[1]);
	host_relay_free(mem_take(&f->relay));
	f->over = false;

	socket_pair(guest);
	start(f, local_socket(guest[0]), open_local(null, true));
	assert_int_equal(write(guest[1], "lost", 4), 4);
	fd_close(&guest[1]);
	until_over(f);
	assert_int_equal(f->how, HOST_RELAY_EOF);
	assert_int_equal(host_relay_bytes(f->relay), 4);
	fd_close(&null);
}

/* A reader that does not read stops the writer; nothing piles up. */
static void back_pressure(struct fixture *f, struct local to, int reader)
{
	struct side in = { 0 };
	struct side out = { 0 };
	int guest[2];
	size_t before = 0;

	socket_pair(guest);
	start(f, local_socket(guest[0]), to);
	in.fd = guest[1];
	for (int idle = 0; idle < 100; idle++) {
		feed(&in, BULK);
		turn(f, 0);
		if (in.bytes != before)
			idle = 0;
		before = in.bytes;
	}
	assert_true(host_relay_blocked(f->relay));
	assert_true(in.bytes < (size_t)4 * 1024 * 1024);
	/* Blocked is quiet: nothing fires while nobody reads. */
	assert_int_equal(loop_turn(f->loop, 20, NULL), 0);
	fd_close(&in.fd); /* not even the hang-up of the source */
	in.end = true;
	assert_int_equal(loop_turn(f->loop, 20, NULL), 0);

	out.fd = reader;
	for (int i = 0; i < TURNS_MAX && !f->over; i++) {
		eat(&out);
		turn(f, 0);
	}
	host_relay_free(mem_take(&f->relay));
	while (!out.end)
		eat(&out);
	assert_int_equal(out.bytes, in.bytes);
	assert_true(out.hash == in.hash);
}

static void test_slow_pipe_reader_is_waited_for(void **state)
{
	int p[2];
	struct local to;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	to = open_local(p[1], true);
	fd_close(&p[1]);
	assert_int_equal(fd_nonblock(p[0], true), 0);
	back_pressure(*state, to, p[0]);
	fd_close(&p[0]);
}

static void test_slow_socket_reader_is_waited_for(void **state)
{
	int mine[2];
	struct local to;

	socket_pair(mine);
	to = open_local(mine[0], true);
	fd_close(&mine[0]);
	back_pressure(*state, to, mine[1]);
	fd_close(&mine[1]);
}

static void test_reader_gone_ends_the_relay(void **state)
{
	struct fixture *f = *state;
	int guest[2];
	int p[2];

	socket_pair(guest);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	start(f, local_socket(guest[0]), open_local(p[1], true));
	fd_close(&p[1]);
	fd_close(&p[0]); /* while nothing is to be written */
	until_over(f);
	assert_int_equal(f->how, HOST_RELAY_CLOSED);
	/* The source is still there, for whoever comes next. */
	assert_int_equal(send(guest[1], "x", 1, MSG_NOSIGNAL), 1);
	host_relay_free(mem_take(&f->relay));
	assert_int_equal(send(guest[1], "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	fd_close(&guest[1]);
}

static void test_reader_gone_while_blocked_ends_the_relay(void **state)
{
	struct fixture *f = *state;
	struct side in = { 0 };
	int guest[2];
	int p[2];

	socket_pair(guest);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	start(f, local_socket(guest[0]), open_local(p[1], true));
	fd_close(&p[1]);
	in.fd = guest[1];
	for (int i = 0; i < 500; i++) {
		feed(&in, BULK);
		turn(f, 0);
	}
	assert_true(host_relay_blocked(f->relay));
	fd_close(&p[0]);
	until_over(f);
	assert_int_equal(f->how, HOST_RELAY_CLOSED);
	fd_close(&in.fd);
}

static void test_end_of_input_is_a_half_close(void **state)
{
	struct fixture *f = *state;
	char buf[8];
	int guest[2];
	int p[2];

	socket_pair(guest);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	start(f, open_local(p[0], false), local_socket(guest[0]));
	assert_int_equal(write(p[1], "in", 2), 2);
	fd_close(&p[1]);
	until_over(f);
	assert_int_equal(f->how, HOST_RELAY_EOF);
	assert_int_equal(read(guest[1], buf, sizeof(buf)), 2);
	assert_int_equal(read(guest[1], buf, sizeof(buf)), 0);
	/* Only one half: a full close would fail this write. */
	assert_int_equal(send(guest[1], "x", 1, MSG_NOSIGNAL), 1);
	fd_close(&guest[1]);
	fd_close(&p[0]);
}

static void test_source_is_closed_when_its_end_is_read(void **state)
{
	struct fixture *f = *state;
	struct side in = { 0 };
	char c;
	int guest[2];
	int mine[2];

	socket_pair(guest);
	socket_pair(mine);
	/* So small that the relay has to hold something. */
	assert_int_equal(setsockopt(mine[0], SOL_SOCKET, SO_SNDBUF,
				    &(int){ 4096 }, sizeof(int)),
			 0);
	start(f, local_socket(guest[0]), open_local(mine[0], true));
	in.fd = guest[1];
	while (in.bytes < 60000)
		feed(&in, 60000);
	assert_int_equal(shutdown(guest[1], SHUT_WR), 0);
	for (int i = 0; i < 20000; i++) {
		struct side out = { .fd = mine[1] };

		turn(f, 0);
		if (read(guest[1], &c, 1) == 0)
			break; /* the host's close, which the guest awaits */
		eat(&out);
	}
	assert_int_equal(read(guest[1], &c, 1), 0);
	fd_close(&guest[1]);
	fd_close(&mine[0]);
	fd_close(&mine[1]);
}

static void test_finish_reads_no_more(void **state)
{
	struct fixture *f = *state;
	char buf[8];
	int guest[2];
	int p[2];

	socket_pair(guest);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	start(f, open_local(p[0], false), local_socket(guest[0]));
	turn(f, 0);
	host_relay_finish(f->relay);
	host_relay_finish(f->relay);
	assert_false(f->over); /* only from the loop */
	until_over(f);
	assert_int_equal(f->how, HOST_RELAY_EOF);
	assert_int_equal(read(guest[1], buf, sizeof(buf)), 0);
	fd_close(&guest[1]);
	fd_close(&p[0]);
	fd_close(&p[1]);
}

static void free_in_callback(void *ctx, enum host_relay_end how,
			     const struct err *e)
{
	struct fixture *f = ctx;

	on_done(ctx, how, e);
	host_relay_free(mem_take(&f->relay));
}

static void test_relay_may_be_freed_in_its_callback(void **state)
{
	struct fixture *f = *state;
	int guest[2];
	int mine[2];
	struct local from;
	struct local to;

	socket_pair(guest);
	socket_pair(mine);
	from = local_socket(guest[0]);
	to = open_local(mine[0], true);
	assert_int_equal(host_relay_new(f->loop, &from, &to, free_in_callback,
					f, &f->relay, NULL),
			 0);
	fd_close(&guest[1]);
	until_over(f);
	assert_null(f->relay);
	fd_close(&mine[0]);
	fd_close(&mine[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bulk_socket_to_pipe),
		T(test_bulk_pipe_to_socket),
		T(test_bulk_socket_to_socket),
		T(test_bulk_file_there_and_back),
		T(test_appending_file_keeps_its_place),
		T(test_dev_null_is_an_empty_input_and_takes_all),
		T(test_slow_pipe_reader_is_waited_for),
		T(test_slow_socket_reader_is_waited_for),
		T(test_reader_gone_ends_the_relay),
		T(test_reader_gone_while_blocked_ends_the_relay),
		T(test_end_of_input_is_a_half_close),
		T(test_source_is_closed_when_its_end_is_read),
		T(test_finish_reads_no_more),
		T(test_relay_may_be_freed_in_its_callback),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("host relay", tests, NULL, NULL);
}
