/*
 * tests/unit/test_vsock_worker.c - the device with its thread, and the library
 * that is preloaded
 */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "config/util.h"
#include "tests/unit/vsock_guest.h"

#define LIBRARY "build/lib/ferry/vhost-vsock.so"
/* Long enough for a machine that does other things. */
#define PATIENCE_MS 20000

static char folder[] = "/tmp/ferry-vsock-XXXXXX";
static char base[sizeof(folder) + 2];

static struct sockaddr_un address(const char *suffix)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", base, suffix);
	return a;
}

static int listen_on(const char *suffix)
{
	const struct sockaddr_un a = address(suffix);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(a.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, PATIENCE_MS) == 1;
}

/* A packet of the device's thread. */
static struct packet wait_packet(struct guest *g, void *data)
{
	struct packet p = { 0 };

	for (int i = 0; i < PATIENCE_MS; i++) {
		if (guest_recv(g, &p, data))
			return p;
		assert_int_equal(poll(NULL, 0, 1), 0);
	}
	fail_msg("no packet came");
	return p;
}

static struct guest *boot(int *ret_fd)
{
	const struct guest_options o = { .num = 64,
					 .indirect = true,
					 .event_idx = true };
	struct guest *g = guest_prepare(&o);

	*ret_fd = worker_open(base, true);
	assert_true(*ret_fd >= 0);
	assert_true(worker_owns(*ret_fd));
	assert_int_equal(worker_ioctl(VHOST_SET_OWNER, NULL), 0);
	assert_int_equal(worker_ioctl(VHOST_SET_OWNER, NULL), -EBUSY);
	guest_boot(g);
	return g;
}

/* QEMU closes the device; the thread takes notice soon. */
static void shut_down(struct guest *g, int fd)
{
	struct vhost_vring_state s = { 0 };

	(void)close(fd);
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (worker_ioctl(VHOST_GET_VRING_BASE, &s) == -ENODEV)
			break;
		assert_int_equal(poll(NULL, 0, 1), 0);
	}
	assert_int_equal(worker_ioctl(VHOST_GET_VRING_BASE, &s), -ENODEV);
	guest_free(g);
}

static int dial_host(struct guest *g, struct guest_stream *s, int listener)
{
	const struct packet p = guest_packet(s, PACKET_REQUEST);

	guest_send_raw(g, &p, NULL, 0);
	assert_int_equal(wait_packet(g, NULL).op, PACKET_RESPONSE);
	assert_true(ready(listener, POLLIN));
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Stop in the middle of a stream; then nobody may touch the guest's memory. */
static void stop_and_go(struct guest *g)
{
	uint16_t at[BACKEND_QUEUES];

	assert_int_equal(guest_running(g, 0), 0);
	guest_protect(g, PROT_NONE);
	assert_int_equal(poll(NULL, 0, 2), 0);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++)
		at[i] = guest_base(g, i);
	guest_protect(g, PROT_READ | PROT_WRITE);
	guest_configure(g, at);
	assert_int_equal(guest_running(g, 1), 0);
}

static void test_stops_in_the_middle_lose_nothing(void **state)
{
	struct guest_stream s = { .port = 5, .host_port = 9, .alloc = 0x10000 };
	const int listener = listen_on("_9");
	uint8_t block[GUEST_ROOM];
	uint32_t written = 0;
	int fd, device;
	struct guest *g = boot(&device);

	(void)state;
	fd = dial_host(g, &s, listener);
	assert_true(fd >= 0);
	for (unsigned int round = 0; round < 50; round++) {
		for (;;) {
			uint32_t words[512];
			ssize_t n;

			for (size_t i = 0; i < ARRAY_LEN(words); i++)
				words[i] = written / 4 + (uint32_t)i;
			n = write(fd, words, sizeof(words));
			if (n <= 0)
				break;
			assert_int_equal(n % 4, 0);
			written += (uint32_t)n;
		}
		stop_and_go(g);
		while (s.gone < written) {
			const struct packet p = wait_packet(g, block);
			uint32_t word;

			if (p.op != PACKET_DATA) {
				assert_int_equal(p.op, PACKET_CREDIT_REQUEST);
				continue;
			}
			memcpy(&word, block, sizeof(word));
			assert_int_equal(word, s.gone / 4);
			s.gone += p.len;
			guest_send_raw(g,
				       &(struct packet){
					       .src_cid = GUEST_CID,
					       .dst_cid = PACKET_CID_HOST,
					       .src_port = 5,
					       .dst_port = 9,
					       .type = PACKET_TYPE_STREAM,
					       .op = PACKET_CREDIT_UPDATE,
					       .buf_alloc = s.alloc,
					       .fwd_cnt = s.gone,
				       },
				       NULL, 0);
			if (s.gone > written / 2 && round % 2 != 0)
				break; /* stop with buffers under way */
		}
	}
	(void)close(listener);
	shut_down(g, device);
	assert_true(ready(fd, POLLHUP)); /* the host's end was closed too */
	(void)close(fd);
}

static int begin(const char *line)
{
	const struct sockaddr_un a = address("");
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)),
			 0);
	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	return fd;
}

static void test_host_program_begins_a_stream(void **state)
{
	char text[64] = { 0 };
	struct guest_stream s = { .port = 55, .alloc = 1000 };
	struct packet p;
	int device;
	struct guest *g = boot(&device);
	const int fd = begin("CONNECT 55\nand more");

	(void)state;
	p = wait_packet(g, NULL);
	assert_int_equal(p.op, PACKET_REQUEST);
	assert_int_equal(p.dst_port, 55);
	s.host_port = p.src_port;
	p = guest_packet(&s, PACKET_RESPONSE);
	guest_send_raw(g, &p, NULL, 0);
	assert_true(ready(fd, POLLIN));
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_int_equal(strncmp(text, "OK ", 3), 0);
	p = wait_packet(g, text);
	assert_int_equal(p.op, PACKET_DATA);
	assert_int_equal(p.len, strlen("and more"));
	(void)close(fd);
	shut_down(g, device);
}

static void test_host_program_is_refused_by_end_of_file(void **state)
{
	static const char *const bad[] = {
		"HELLO\n", "CONNECT \n", "CONNECT 4294967296\n",
		"CONNECT                          1"
	};
	struct guest_stream s = { .port = 56 };
	struct packet p;
	char c;
	int device;
	struct guest *g = boot(&device);
	int fd = begin("CONNECT 56\n");

	(void)state;
	p = wait_packet(g, NULL);
	s.host_port = p.src_port;
	p = guest_packet(&s, PACKET_RESET); /* nobody listens */
	guest_send_raw(g, &p, NULL, 0);
	assert_true(ready(fd, POLLIN));
	assert_int_equal(read(fd, &c, 1), 0);
	(void)close(fd);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		fd = begin(bad[i]);
		assert_true(ready(fd, POLLIN));
		assert_true(read(fd, &c, 1) <= 0); /* or: reset by peer */
		(void)close(fd);
	}
	shut_down(g, device);
}

static void test_one_device_in_a_process(void **state)
{
	int device;
	struct guest *g;

	(void)state;
	device = worker_open(base, true); /* closed before it had a thread */
	assert_true(device >= 0);
	assert_int_equal(worker_open(base, true), -EBUSY);
	(void)close(device);
	g = boot(&device);
	assert_int_equal(worker_open(base, true), -EBUSY);
	assert_false(worker_owns(0));
	shut_down(g, device);
	g = boot(&device);
	shut_down(g, device);
}

static void test_bad_base_paths_are_refused(void **state)
{
	char path[HYBRID_BASE_MAX + 2];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(worker_open(path, true), -ENAMETOOLONG);
	assert_int_equal(worker_open("", true), -ENAMETOOLONG);
}

static void *name_of(void *library, const char *name)
{
	void *p = dlsym(library, name);

	if (p == NULL)
		fail_msg("%s is not exported", name);
	return p;
}

/* The library as QEMU sees it, without a preload: by its own names. */
static void test_library_takes_the_device_and_nothing_else(void **state)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	int (*open_it)(const char *, int, ...);
	int (*ioctl_it)(int, unsigned long, ...);
	static const char *const opens[] = { "open", "open64", "__open_2",
					     "__open64_2" };
	uint64_t features = 0;
	int pipes[2];
	int n = 0;

	(void)state;
	assert_non_null(library);
	*(void **)&ioctl_it = name_of(library, "ioctl");
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "abc", 3), 3);
	assert_int_equal(ioctl_it(pipes[0], FIONREAD, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(ioctl_it(pipes[0], VHOST_GET_FEATURES, &features), -1);
	assert_int_equal(errno, ENOTTY);
	for (size_t i = 0; i < ARRAY_LEN(opens); i++) {
		int fd;

		*(void **)&open_it = name_of(library, opens[i]);
		assert_int_equal(unsetenv(WORKER_BASE_ENV), 0);
		fd = open_it("/dev/null", O_WRONLY);
		assert_int_equal(write(fd, "x", 1), 1);
		(void)close(fd);
		assert_int_equal(setenv(WORKER_BASE_ENV, base, 1), 0);
		assert_int_equal(open_it("/dev/no-such-device", O_RDWR), -1);
		assert_int_equal(errno, ENOENT);
		fd = open_it("/dev/vhost-vsock", O_RDWR);
		assert_true(fd >= 0);
		assert_int_equal(ioctl_it(fd, VHOST_GET_FEATURES, &features),
				 0);
		assert_int_not_equal(features, 0);
		assert_int_equal(
			ioctl_it(fd, VHOST_GET_BACKEND_FEATURES, &features),
			-1);
		assert_int_equal(errno, ENOTTY);
		(void)close(fd);
	}
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	/* It stays loaded, for it holds the last device it had. */
}

static void test_library_creates_files_with_their_mode(void **state)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	int (*open_it)(const char *, int, ...);
	char path[sizeof(base) + 10];
	struct stat st;

	(void)state;
	assert_non_null(library);
	*(void **)&open_it = name_of(library, "open64");
	(void)snprintf(path, sizeof(path), "%s.file", base);
	(void)close(open_it(path, O_CREAT | O_EXCL | O_WRONLY, 0600));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(path), 0);
	(void)dlclose(library);
}

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(base, sizeof(base), "%s/v", folder);
	return 0;
}

static int remove_folder(void **state)
{
	const struct sockaddr_un main_socket = address("");
	const struct sockaddr_un port = address("_9");

	(void)state;
	(void)unlink(main_socket.sun_path);
	(void)unlink(port.sun_path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stops_in_the_middle_lose_nothing),
		cmocka_unit_test(test_host_program_begins_a_stream),
		cmocka_unit_test(test_host_program_is_refused_by_end_of_file),
		cmocka_unit_test(test_one_device_in_a_process),
		cmocka_unit_test(test_bad_base_paths_are_refused),
		cmocka_unit_test(
			test_library_takes_the_device_and_nothing_else),
		cmocka_unit_test(test_library_creates_files_with_their_mode),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
