/*
 * bridge/host/acceptor, door, and tools/qemu/cid: several sandboxes of a host
 * that listen on the same ports. Guests are unix sockets that say their CID
 * first; the acceptor is a process, this program once more.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/host/acceptor.h"
#include "bridge/host/door.h"
#include "bridge/host/entropy.h"
#include "bridge/host/listener.h"
#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/cid.h"
#include "tools/qemu/hostdir.h"

#define PORT 7u
#define WAIT_MS 10000

/* --- ports of pretended guests ----------------------------------------------------- */

static struct sockaddr_un address(const char *folder, uint32_t port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/port-%u", folder,
		       port);
	return a;
}

static int fake_listen(void *ctx, uint32_t port, int *ret_fd, struct err *e)
{
	const struct sockaddr_un a = address(ctx, port);
	const int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)unlink(a.sun_path);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 16) < 0)
		return err_sys(e, "port %u", port);
	*ret_fd = fd;
	return 0;
}

static int fake_accept(void *ctx UNUSED, int fd, int *ret_fd, uint32_t *ret_cid)
{
	const int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (got < 0)
		return -errno;
	*ret_fd = got;
	return fd_read_full(got, ret_cid, sizeof(*ret_cid)) < 0 ? -errno : 0;
}

static int guest_dials(const char *folder, uint32_t cid, uint32_t port)
{
	const struct sockaddr_un a = address(folder, port);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		(void)close(fd);
		return -1;
	}
	assert_int_equal(fd_write_full(fd, &cid, sizeof(cid)), 0);
	return fd;
}

/* --- hosts -------------------------------------------------------------------------- */

struct fixture {
	char folder[40];
	struct loop *loop;
	struct transport sandbox[2];
	int fd; /* that a listener got */
	int calls;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	(void)snprintf(x->folder, sizeof(x->folder), "/tmp/acceptor-XXXXXX");
	assert_non_null(mkdtemp(x->folder));
	assert_int_equal(loop_new(&x->loop, NULL), 0);
	for (uint32_t i = 0; i < 2; i++) {
		x->sandbox[i] = (struct transport){ .kind = TRANSPORT_VSOCK,
						    .cid = 100 + i };
		memcpy(x->sandbox[i].base, x->folder, sizeof(x->folder));
	}
	x->fd = -1;
	*state = x;
	return 0;
}

static int acceptor_pid(const struct fixture *x)
{
	char path[64];
	int pid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/acceptor.lock", x->folder);
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		(void)fclose(f);
	return pid;
}

static void kill_acceptor(const struct fixture *x)
{
	const int pid = acceptor_pid(x);

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	char command[64];

	if (acceptor_pid(x) > 0)
		(void)kill(acceptor_pid(x), SIGKILL);
	loop_free(x->loop);
	fd_close(&x->fd);
	(void)snprintf(command, sizeof(command), "rm -rf %s", x->folder);
	assert_int_equal(system(command), 0);
	free(x);
	return 0;
}

static int host_listens(struct fixture *x, int sandbox, uint32_t port)
{
	struct err e = { 0 };
	int fd = -1;
	const int r = host_door_listen(&x->sandbox[sandbox], port, 1, &fd, &e);

	return r < 0 ? r : fd;
}

/* Waits for a connection, or for the end: -ECONNRESET. */
static int host_accepts(struct fixture *x, int sandbox, int listen_fd)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };
	struct err e = { 0 };
	int fd = -1;
	int r;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	r = host_door_accept(&x->sandbox[sandbox], listen_fd, &fd, &e);
	return r < 0 ? r : fd;
}

static void assert_joined(int host, int guest)
{
	char byte = 0;

	assert_true(host >= 0);
	assert_int_equal(write(guest, "x", 1), 1);
	assert_int_equal(fd_nonblock(host, false), 0);
	assert_int_equal(read(host, &byte, 1), 1);
	assert_int_equal(byte, 'x');
}

/* --- the acceptor --------------------------------------------------------------------- */

static void test_two_sandboxes_listen_on_one_port(void **state)
{
	struct fixture *x = *state;
	int listen_fd[2];
	int guest[2];
	int host[2];

	for (int i = 0; i < 2; i++) {
		listen_fd[i] = host_listens(x, i, PORT);
		assert_true(listen_fd[i] >= 0);
	}
	for (int i = 1; i >= 0; i--) {
		guest[i] = guest_dials(x->folder, 100 + (uint32_t)i, PORT);
		host[i] = host_accepts(x, i, listen_fd[i]);
		assert_joined(host[i], guest[i]);
	}
	for (int i = 0; i < 2; i++) {
		(void)close(listen_fd[i]);
		(void)close(guest[i]);
		(void)close(host[i]);
	}
}

static void test_a_guest_that_nobody_waits_for_is_refused(void **state)
{
	struct fixture *x = *state;
	const int listen_fd = host_listens(x, 0, PORT);
	const int guest = guest_dials(x->folder, 500, PORT);
	struct err e = { 0 };
	int fd = -1;
	char byte;

	assert_int_equal(read(guest, &byte, 1), 0);
	assert_int_equal(host_door_accept(&x->sandbox[0], listen_fd, &fd, &e),
			 -EAGAIN);
	(void)close(guest);
	(void)close(listen_fd);
}

static void test_a_port_goes_with_its_last_sandbox(void **state)
{
	struct fixture *x = *state;
	const int a = host_listens(x, 0, PORT);
	const int b = host_listens(x, 1, PORT);
	int guest;
	int fd;

	(void)close(a);
	guest = guest_dials(x->folder, 101, PORT);
	fd = host_accepts(x, 1, b);
	assert_joined(fd, guest);
	(void)close(guest);
	(void)close(fd);
	(void)close(b);
	for (int i = 0; i < WAIT_MS; i++, (void)poll(NULL, 0, 1)) {
		guest = guest_dials(x->folder, 101, PORT);
		if (guest < 0)
			break;
		(void)close(guest);
	}
	assert_int_equal(guest, -1);
}

static void test_a_pair_is_given_once_and_again_when_it_is_free(void **state)
{
	struct fixture *x = *state;
	int fd = host_listens(x, 0, PORT);

	assert_true(fd >= 0);
	assert_int_equal(host_listens(x, 0, PORT), -EADDRINUSE);
	for (int i = 0; i < 100; i++) {
		(void)close(fd);
		fd = host_listens(x, 0, PORT);
		assert_true(fd >= 0);
	}
	(void)close(fd);
}

static void test_a_shim_that_takes_nothing_holds_nobody_up(void **state)
{
	struct fixture *x = *state;
	const int slow = host_listens(x, 0, PORT);
	const int quick = host_listens(x, 1, PORT);
	int guest;
	int fd;

	for (int i = 0; i < 2000; i++)
		(void)close(guest_dials(x->folder, 100, PORT));
	guest = guest_dials(x->folder, 101, PORT);
	fd = host_accepts(x, 1, quick);
	assert_joined(fd, guest);
	(void)close(fd);
	(void)close(guest);
	(void)close(slow);
	(void)close(quick);
}

/* --- its death ------------------------------------------------------------------------ */

static void on_dialled(void *ctx, int fd, const struct err *e UNUSED)
{
	struct fixture *x = ctx;

	x->fd = fd;
	x->calls++;
}

static void test_a_listener_outlives_the_acceptor(void **state)
{
	struct fixture *x = *state;
	struct host_listener l;
	int guest = -1;

	host_listener_init(&l, x->loop, &x->sandbox[0], on_dialled, x);
	assert_int_equal(host_listener_start(&l, PORT, -1, NULL), 0);
	for (int round = 0; round < 3; round++) {
		kill_acceptor(x);
		assert_true(loop_turn(x->loop, WAIT_MS, NULL) > 0);
		assert_true(host_listener_active(&l));
	}
	guest = guest_dials(x->folder, 100, PORT);
	while (x->calls == 0)
		assert_true(loop_turn(x->loop, WAIT_MS, NULL) > 0);
	assert_joined(x->fd, guest);
	(void)close(guest);
}

static void on_served(void *ctx)
{
	struct fixture *x = ctx;

	x->calls++;
}

static void test_entropy_outlives_the_acceptor(void **state)
{
	struct fixture *x = *state;
	struct host_entropy *s = NULL;
	unsigned char seed[ENTROPY_BYTES];
	int guest;

	assert_int_equal(host_entropy_new(x->loop, &x->sandbox[0], on_served, x,
					  &s, NULL),
			 0);
	kill_acceptor(x);
	assert_true(loop_turn(x->loop, WAIT_MS, NULL) > 0);
	guest = guest_dials(x->folder, 100, 1);
	assert_true(guest >= 0);
	while (x->calls == 0)
		assert_true(loop_turn(x->loop, WAIT_MS, NULL) > 0);
	assert_int_equal(fd_read_full(guest, seed, sizeof(seed)), sizeof(seed));
	(void)close(guest);
	host_entropy_free(s);
}

static void test_the_acceptor_ends_when_nobody_wants_it(void **state)
{
	struct fixture *x = *state;
	const struct acceptor_ports ports = { fake_listen, fake_accept,
					      x->folder };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct acceptor *acceptor = NULL;
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	int shim = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", x->folder);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(connect(shim, (const struct sockaddr *)&a, sizeof(a)),
			 0);
	assert_int_equal(acceptor_new(x->loop, fd, &ports, 20, &acceptor, NULL),
			 0);
	assert_true(loop_turn(x->loop, WAIT_MS, NULL) > 0);
	/* Whoever is connected keeps it. */
	assert_int_equal(loop_turn(x->loop, 100, NULL), 0);
	(void)close(shim);
	assert_int_equal(loop_run(x->loop, NULL), 0);
	acceptor_free(acceptor);
}

/* --- CIDs ------------------------------------------------------------------------------ */

static uint32_t foreign; /* a guest that no ferry has */

static int probe(uint32_t number, struct err *e)
{
	return number == foreign ? err_set(e, EADDRINUSE, "taken") : 0;
}

static void test_a_cid_has_one_owner(void **state)
{
	struct fixture *x = *state;
	struct cid a = { .lock = -1 };
	struct cid b = { .lock = -1 };
	struct err e;

	foreign = 0;
	assert_int_equal(cid_take(x->folder, probe, &a, &e), 0);
	assert_true(a.number >= 3);
	assert_int_equal(cid_take_one(x->folder, a.number, probe, &b, &e),
			 -EADDRINUSE);
	assert_int_equal(b.lock, -1);
	assert_int_equal(cid_take_one(x->folder, a.number - 1, probe, &b, &e),
			 0);
	cid_drop(&b);
	foreign = a.number;
	cid_drop(&a);
	assert_int_equal(cid_take_one(x->folder, foreign, probe, &a, &e),
			 -EADDRINUSE);
	foreign = 0;
	assert_int_equal(cid_take_one(x->folder, 77, probe, &a, &e), 0);
	cid_drop(&a);
}

static int probe_all_taken(uint32_t number UNUSED, struct err *e)
{
	return err_set(e, EADDRINUSE, "taken");
}

static void test_cids_are_not_looked_for_without_end(void **state)
{
	struct fixture *x = *state;
	struct cid a = { .lock = -1 };
	struct err e;

	assert_int_equal(cid_take(x->folder, probe_all_taken, &a, &e),
			 -EADDRINUSE);
	assert_int_equal(a.lock, -1);
	assert_true(cid_take("/nowhere", probe, &a, &e) < 0);
}

static void test_the_folder_of_a_host_is_nobody_elses(void **state)
{
	struct fixture *x = *state;
	char path[64];
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/host", x->folder);
	assert_int_equal(hostdir_make(path, &e), 0);
	assert_int_equal(hostdir_make(path, &e), 0);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(hostdir_make(path, &e), -EPERM);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink(x->folder, path), 0);
	assert_int_equal(hostdir_make(path, &e), -EPERM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_two_sandboxes_listen_on_one_port),
		T(test_a_guest_that_nobody_waits_for_is_refused),
		T(test_a_port_goes_with_its_last_sandbox),
		T(test_a_pair_is_given_once_and_again_when_it_is_free),
		T(test_a_shim_that_takes_nothing_holds_nobody_up),
		T(test_a_listener_outlives_the_acceptor),
		T(test_entropy_outlives_the_acceptor),
		T(test_the_acceptor_ends_when_nobody_wants_it),
		T(test_a_cid_has_one_owner),
		T(test_cids_are_not_looked_for_without_end),
		T(test_the_folder_of_a_host_is_nobody_elses),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], ACCEPTOR_COMMAND) == 0) {
		const struct acceptor_ports ports = { fake_listen, fake_accept,
						      argv[2] };

		return acceptor_main(argc - 1, argv + 1, &ports);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
