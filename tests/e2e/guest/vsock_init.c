/*
 * tests/e2e/guest/vsock_init.c - a PID 1 that puts a vsock device to the test
 *
 * Loads the modules /m/00.ko, /m/01.ko, ..., then does what its argument says
 * with the services of tests/e2e/vsock_peer.c on the host, and tells the serial
 * console: a line "ok NAME" or "not ok NAME" for each check, then "DONE".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/e2e/vsock_ports.h"

#define MODULES_MAX 64
#define STREAMS 100
#define MIB ((size_t)1024 * 1024)

static uint8_t block[65536];
static uint8_t answer[65536];

static int64_t now_us(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void load_modules(void)
{
	for (int i = 0; i < MODULES_MAX; i++) {
		char path[32];
		int fd;

		(void)snprintf(path, sizeof(path), "/m/%02d.ko", i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0) < 0)
			printf("not ok module %d: %s\n", i, strerror(errno));
		(void)close(fd);
	}
}

static int dial(unsigned int port)
{
	const struct sockaddr_vm a = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = port,
	};
	const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

static bool write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		const ssize_t n = write(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t len)
{
	uint8_t *p = data;

	while (len > 0) {
		const ssize_t n = read(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void say(bool good, const char *name)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
}

static void check_refusal(void)
{
	const int fd = dial(VSOCK_PORT_NOBODY);

	say(fd < 0 && errno == ECONNRESET,
	    "a port where nobody listens is refused at once");
}

static void check_echo(void)
{
	const int fd = dial(VSOCK_PORT_ECHO);
	const int64_t start = now_us();
	bool good = fd >= 0;

	for (int i = 0; i < 1000 && good; i++) {
		memset(block, i, 16);
		good = write_all(fd, block, 16) && read_all(fd, answer, 16) &&
		       memcmp(block, answer, 16) == 0;
	}
	printf("# echo: %lld us a round trip\n",
	       (long long)(now_us() - start) / 1000);
	say(good, "1000 small round trips");
	(void)close(fd);
}

static void check_short(void)
{
	bool good = true;

	for (int i = 0; i < 300; i++) {
		const int fd = dial(VSOCK_PORT_ECHO);

		good = good && fd >= 0 && write_all(fd, "x", 1) &&
		       read_all(fd, answer, 1);
		(void)close(fd);
	}
	say(good, "300 short connections");
}

/* Out; the host checks each byte and answers when it has seen our end. */
static void check_out(size_t total)
{
	const int fd = dial(VSOCK_PORT_SINK);
	const int64_t start = now_us();
	bool good = fd >= 0;
	uint64_t count = 0;
	char c;

	for (size_t at = 0; at < total && good; at += sizeof(block)) {
		vsock_pattern(block, at, sizeof(block));
		good = write_all(fd, block, sizeof(block));
	}
	good = good && shutdown(fd, SHUT_WR) == 0 &&
	       read_all(fd, &count, sizeof(count)) && count == total &&
	       read(fd, &c, 1) == 0;
	printf("# out: %zu MiB in %lld ms\n", total / MIB,
	       (long long)(now_us() - start) / 1000);
	say(good, "64 MiB to the host, with a half close");
	(void)close(fd);
}

static void check_in(uint32_t total)
{
	const int fd = dial(VSOCK_PORT_SOURCE);
	const int64_t start = now_us();
	bool good = fd >= 0 && write_all(fd, &total, sizeof(total));
	char c;

	for (uint32_t at = 0; at < total && good; at += sizeof(block)) {
		vsock_pattern(block, at, sizeof(block));
		good = read_all(fd, answer, sizeof(answer)) &&
		       memcmp(block, answer, sizeof(block)) == 0;
	}
	good = good && read(fd, &c, 1) == 0;
	printf("# in: %zu MiB in %lld ms\n", total / MIB,
	       (long long)(now_us() - start) / 1000);
	say(good, "64 MiB from the host, to its end");
	(void)close(fd);
}

static void check_streams(void)
{
	int fd[STREAMS];
	bool good = true;

	for (int i = 0; i < STREAMS; i++) {
		fd[i] = dial(VSOCK_PORT_ECHO);
		memset(block, i, 4096);
		good = good && fd[i] >= 0 && write_all(fd[i], block, 4096);
	}
	for (int i = STREAMS; i-- > 0;) {
		memset(block, i, 4096);
		good = good && read_all(fd[i], answer, 4096) &&
		       memcmp(block, answer, 4096) == 0;
		(void)close(fd[i]);
	}
	say(good, "100 streams at once");
}

/* A stream that the host does not read must not hold up another. */
static void check_blocked(void)
{
	const int stuck = dial(VSOCK_PORT_HOLD);
	const int fd = dial(VSOCK_PORT_ECHO);
	bool good =
		stuck >= 0 && fd >= 0 && fcntl(stuck, F_SETFL, O_NONBLOCK) == 0;

	while (good && write(stuck, block, sizeof(block)) > 0)
		continue;
	good = good && errno == EAGAIN && write_all(fd, "y", 1) &&
	       read_all(fd, answer, 1);
	say(good, "an echo beside a stream that is stuck");
	(void)close(stuck);
	(void)close(fd);
}

static void check_all(void)
{
	check_refusal();
	check_echo();
	check_short();
	check_out(64 * MIB);
	check_in((uint32_t)(64 * MIB));
	check_streams();
	check_blocked();
	printf("DONE\n");
}

static uint32_t next_random(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

/* Echo pieces of random size and content until the connection is lost. */
static void echo_until_lost(int fd, uint32_t *seed, uint64_t *total)
{
	int64_t told = 0;

	for (;;) {
		const size_t n = 4 + next_random(seed) % 32768;

		for (size_t i = 0; i < n; i += 4) {
			const uint32_t v = next_random(seed);

			memcpy(block + i, &v, sizeof(v));
		}
		if (!write_all(fd, block, n) || !read_all(fd, answer, n))
			return;
		if (memcmp(block, answer, n) != 0)
			printf("not ok bytes after %llu\n",
			       (unsigned long long)*total);
		*total += n;
		if (now_us() - told > 100000) {
			told = now_us();
			printf("traffic %llu\n", (unsigned long long)*total);
		}
	}
}

static void traffic(void)
{
	uint32_t seed = 7;
	uint64_t total = 0;

	for (unsigned int connects = 0;;) {
		const int fd = dial(VSOCK_PORT_ECHO);

		if (fd < 0) {
			(void)usleep(2000);
			continue;
		}
		printf("connect %u\n", ++connects);
		echo_until_lost(fd, &seed, &total);
		(void)close(fd);
	}
}

int main(int argc, char **argv)
{
	int console;

	(void)mount("dev", "/dev", "devtmpfs", 0, "");
	console = open("/dev/console", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && console >= 0; i++)
		(void)dup2(console, i);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	load_modules();
	if (argc > 1 && strcmp(argv[1], "traffic") == 0)
		traffic();
	check_all();
	sync();
	(void)reboot(RB_POWER_OFF);
	for (;;)
		(void)pause();
}
