/*
 * tests/e2e/guest/fresh.c - what must differ between two UVMs
 *
 * usage: fresh old UPTIME-S	when the UVM is that old, give the kernel's
 *				generator a new key: it keeps that for half of
 *				the UVM's age
 *	fresh clock		nanoseconds since 1970
 *	fresh values		the same, by how much the clock was set since old, then
 *				values of the generator
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/pool.h"

#define VALUES 200
#define POLL_US 50000
#define NS_PER_MS 1000000
#define KEPT "/fresh.offset"

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Both stand still when the UVM does: only who sets the clock changes this. */
static int64_t offset_ns(void)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

static void keep_offset(void)
{
	FILE *f = fopen(KEPT, "we");

	if (f) {
		(void)fprintf(f, "%" PRId64 "\n", offset_ns());
		(void)fclose(f);
	}
}

static void show_steps(void)
{
	char text[32] = "";
	FILE *f = fopen(KEPT, "re");

	if (f && fgets(text, sizeof(text), f))
		(void)printf("stepped_ms=%" PRId64 "\n",
			     (offset_ns() - (int64_t)strtoll(text, NULL, 10)) /
				     NS_PER_MS);
	if (f)
		(void)fclose(f);
}

static int old(const char *uptime_s)
{
	const int64_t ns = strtol(uptime_s, NULL, 10) * INT64_C(1000000000);
	struct err e = { 0 };

	while (clock_ns(CLOCK_BOOTTIME) < ns)
		(void)usleep(POLL_US);
	keep_offset();
	if (pool_reseed(&e) == 0)
		return 0;
	(void)printf("error %s\n", e.text);
	return 1;
}

static int uuid(void)
{
	char text[64];
	FILE *f = fopen("/proc/sys/kernel/random/uuid", "re");
	const char *line = f ? fgets(text, sizeof(text), f) : NULL;

	if (f)
		(void)fclose(f);
	return line ? printf("uuid %s", line) : -1;
}

static int bytes(void)
{
	uint64_t b[2];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -1;
	return printf("bytes %016" PRIx64 "%016" PRIx64 "\n", b[0], b[1]);
}

static int values(void)
{
	show_steps();
	for (int i = 0; i < VALUES; i++)
		if (uuid() < 0 || bytes() < 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "old") == 0)
		return old(argv[2]);
	(void)printf("%" PRId64 "\n", clock_ns(CLOCK_REALTIME));
	return argc == 2 && strcmp(argv[1], "values") == 0 ? values() : 0;
}
