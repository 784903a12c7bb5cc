/* What the end of the command means, and what is kept of its words. */
#include "tests/unit/init_dir.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "init/drain.h"
#include "init/life.h"
#include "init/reserve.h"
#include "init/ring.h"

/* --- the end, and the log ----------------------------------------------------------- */

static struct life_next next;

static const struct life_next *ended(struct life *l, bool stable, int status)
{
	life_ended(l, stable, status, &next);
	return &next;
}

static void test_what_the_end_of_the_agent_means(void **state)
{
	struct life other = { .restartable = false };
	struct life l = { .restartable = true };

	(void)state;
	assert_int_equal(ended(&other, false, 0)->end, CONTROL_END_ORDERLY);
	assert_int_equal(ended(&other, true, 9)->end, CONTROL_END_FAILED);
	assert_false(ended(&other, true, 9)->restart);

	(void)ended(&l, false, 9);
	assert_false(next.restart); /* it has never been stable */
	l = (struct life){ .restartable = true };
	(void)ended(&l, true, 9);
	assert_true(next.restart);
	assert_int_equal(next.pause_ms, 0);
	assert_false(life_poisoned(&l));
	(void)ended(&l, false, 1 << 8);
	assert_true(next.restart);
	assert_int_equal(next.pause_ms, LIFE_PAUSE_MS);
	assert_false(life_poisoned(&l));
	assert_true(ended(&l, false, 9)->restart);
	assert_true(life_poisoned(&l));
	assert_false(ended(&l, true, 0)->restart);
	for (unsigned int i = 1; i < CONTROL_TRIES_MAX; i++)
		assert_true(ended(&l, false, 9)->restart);
	(void)ended(&l, false, 9);
	assert_false(next.restart);
	assert_int_equal(next.end, CONTROL_END_FAILED);
}

/* Only status 0 is an orderly end, and only that is not tried again. */
static void test_every_wait_status_has_its_end(void **state)
{
	for (int status = 0; status < 65536; status++) {
		struct life once = { .restartable = false };
		struct life agent = { .restartable = true };
		const bool well = status == 0;

		/* Stopped, or what no kernel reports. */
		if ((status & 0x7f) == 0x7f || (status & 0xff && status >> 8) ||
		    (status & 0xff) == 0x80)
			continue;
		(void)ended(&once, true, status);
		assert_false(next.restart);
		assert_int_equal(next.end, well ? CONTROL_END_ORDERLY
						: CONTROL_END_FAILED);
		(void)ended(&agent, true, status);
		assert_int_equal(next.restart, !well);
	}
	(void)state;
}

static void test_every_exit_code_has_its_words(void **state)
{
	char words[64], expected[64];

	(void)state;
	for (int code = 0; code < 256; code++) {
		life_words(code << 8, words, sizeof(words));
		(void)snprintf(expected, sizeof(expected),
			       "ended with status %d", code);
		assert_string_equal(words, expected);
	}
	for (int number = 1; number < 65; number++) {
		life_words(number | 0x80, words, sizeof(words));
		(void)snprintf(expected, sizeof(expected),
			       "was killed by signal %d", number);
		assert_string_equal(words, expected);
	}
}

static void test_the_ring_keeps_the_newest(void **state)
{
	struct ring r;
	const char *data;
	char line[64];
	uint64_t total = 0;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	data = (const char *)r.head + CONTROL_RING_DATA;
	for (unsigned int i = 0; i < 60000; i++) {
		const int n = snprintf(line, sizeof(line), "line %u\n", i);

		ring_put(&r, line, (size_t)n);
		total += (uint64_t)n;
	}
	assert_int_equal(r.head->magic, CONTROL_RING_MAGIC);
	assert_int_equal(r.head->head, total);
	assert_true(total > 2 * (uint64_t)CONTROL_RING_SIZE);
	assert_int_equal(r.head->dropped, total - CONTROL_RING_SIZE);
	for (int i = 0; i < 11; i++)
		assert_int_equal(
			data[(total - 11 + (uint64_t)i) % CONTROL_RING_SIZE],
			"line 59999\n"[i]);
	ring_done(&r);
	ring_put(&r, "x", 1); /* swallowed */
}

static void test_the_ring_takes_more_than_it_holds(void **state)
{
	static char much[CONTROL_RING_SIZE + 100];
	struct ring r;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	memset(much, 'a', 100);
	memset(much + 100, 'b', CONTROL_RING_SIZE);
	ring_put(&r, much, sizeof(much));
	assert_int_equal(r.head->head, sizeof(much));
	assert_null(memchr((char *)r.head + CONTROL_RING_DATA, 'a',
			   CONTROL_RING_SIZE));
	ring_done(&r);
}

/* The agent can read the ring, and nothing else. */
static void test_the_ring_is_sealed_for_others(void **state)
{
	struct ring r;
	char again[64];
	void *map;
	int fd;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	assert_int_equal(write(r.fd, "x", 1), -1);
	assert_int_equal(ftruncate(r.fd, 0), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, r.fd, 0),
			 MAP_FAILED);
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", r.fd);
	fd = open(again, O_RDWR | O_CLOEXEC);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0),
			 MAP_FAILED);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(map, 4096, PROT_READ | PROT_WRITE), -1);
	(void)munmap(map, 4096);
	fd_close(&fd);
	ring_done(&r);
}

static void test_levels_of_log_lines(void **state)
{
	(void)state;
	assert_int_equal(drain_level("trace x"), KLOG_INFO);
	assert_int_equal(drain_level("level=debug msg=err"), KLOG_INFO);
	assert_int_equal(drain_level("{\"msg\":\"no level\"}"), KLOG_INFO);
	assert_int_equal(drain_level("goroutine 1 [running]:"), KLOG_WARN);
	assert_int_equal(drain_level("warn msg=x"), KLOG_WARN);
	assert_int_equal(drain_level("err msg=x"), KLOG_ERR);
	assert_int_equal(drain_level("error: x"), KLOG_ERR);
	assert_int_equal(drain_level("info no error here"), KLOG_INFO);
	assert_int_equal(drain_level("time=\"x\" level=warning msg=y"),
			 KLOG_WARN);
	assert_int_equal(drain_level("{\"time\":\"\",\"level\":\"fatal\"}"),
			 KLOG_ERR);
	assert_int_equal(drain_level("{\"level\":\"info\",\"msg\":\"err\"}"),
			 KLOG_INFO);
	assert_int_equal(drain_level(""), KLOG_WARN);
}

static void test_a_pipe_is_drained_into_the_ring(void **state)
{
	struct ring r;
	struct drain d;
	uint64_t before;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	assert_int_equal(drain_open(&d, NULL), 0);
	drain_turn(&d, &r, 0); /* nothing there: does not block */
	assert_int_equal(r.head->head, 0);
	before = 0;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(write(d.writer, "info a line\n", 12), 12);
		drain_turn(&d, &r, 0);
		before += 12;
		assert_int_equal(r.head->head, before);
	}
	fd_close(&d.fd);
	fd_close(&d.writer);
	ring_done(&r);
}

/* A command that never stops writing does not keep PID 1 from its other peers. */
static void test_a_flood_is_drained_in_turns(void **state)
{
	static const char chunk[4096] = "x";
	const size_t much = (size_t)3 * DRAIN_TURN_MAX;
	struct ring r;
	struct drain d;
	size_t turns = 0;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	assert_int_equal(drain_open(&d, NULL), 0);
	assert_true(fcntl(d.writer, F_SETPIPE_SZ, (int)much) >= (int)much);
	for (size_t n = 0; n < much; n += sizeof(chunk))
		assert_int_equal(write(d.writer, chunk, sizeof(chunk)),
				 sizeof(chunk));
	for (uint64_t before = 0; before < much; before = r.head->head) {
		drain_turn(&d, &r, 0);
		assert_in_range(r.head->head - before, 1, 2 * DRAIN_TURN_MAX);
		turns++;
	}
	assert_true(turns > 1);
	assert_int_equal(r.head->head, much);
	fd_close(&d.fd);
	fd_close(&d.writer);
	ring_done(&r);
}

typedef void drain_fn(struct drain *d, struct ring *ring, int64_t now_ms);

/* Where klog_aloud() says it, with neither console nor kernel log opened. */
static const char *hear_at(drain_fn *fn, struct drain *d, struct ring *r,
			   int64_t now_ms)
{
	static char heard[4096];
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	fn(d, r, now_ms);
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	n = read(ends[0], heard, sizeof(heard) - 1);
	heard[n > 0 ? n : 0] = '\0';
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	fd_close(&before);
	return heard;
}

static const char *hear(struct drain *d, struct ring *r)
{
	return hear_at(drain_last, d, r, 5000);
}

/* Of many warnings some are heard, and how many there were. */
static void test_lines_that_are_not_said_aloud_are_told(void **state)
{
	struct ring r;
	struct drain d;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	assert_int_equal(drain_open(&d, NULL), 0);
	for (unsigned int i = 0; i < DRAIN_ALOUD_MAX + 5; i++)
		assert_int_equal(write(d.writer, "x\n", 2), 2);
	assert_int_equal(strlen(hear_at(drain_turn, &d, &r, 6000)),
			 DRAIN_ALOUD_MAX * strlen("init: agent: x\n"));
	assert_int_equal(write(d.writer, "y\n", 2), 2);
	assert_string_equal(hear_at(drain_turn, &d, &r, 6999), "");
	assert_int_equal(write(d.writer, "info\nz\n", 7), 7);
	assert_string_equal(hear_at(drain_turn, &d, &r, 7000),
			    "init: agent: 6 more in the log ring\n"
			    "init: agent: z\n");
	assert_int_equal(write(d.writer, "z\n", 2), 2);
	assert_string_equal(hear_at(drain_turn, &d, &r, 8000),
			    "init: agent: z\n"); /* told once */
	fd_close(&d.fd);
	fd_close(&d.writer);
	ring_done(&r);
}

static void test_last_words_are_heard(void **state)
{
	struct drain none = { .fd = -1, .writer = -1 }, d;
	static const char much[] =
		"info dull\n\nerr bad\n{\"level\":\"info\"}\nplain\nno end";
	struct ring r;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	assert_int_equal(drain_open(&d, NULL), 0);
	d.second = 5;
	d.aloud = DRAIN_ALOUD_MAX; /* nothing more in this second, but for it */
	assert_int_equal(write(d.writer, much, sizeof(much) - 1),
			 sizeof(much) - 1);
	assert_string_equal(hear(&d, &r), "init: agent: err bad\n"
					  "init: agent: plain\n"
					  "init: agent: no end\n");
	assert_int_equal(r.head->head, sizeof(much) - 1);
	assert_string_equal(hear(&d, &r), "");
	for (unsigned int i = 0; i < DRAIN_ALOUD_MAX + 5; i++)
		assert_int_equal(write(d.writer, "x\n", 2), 2);
	assert_int_equal(strlen(hear(&d, &r)),
			 DRAIN_ALOUD_MAX * strlen("init: agent: x\n"));
	assert_string_equal(hear(&none, &r), "");
	fd_close(&d.fd);
	fd_close(&d.writer);
	ring_done(&r);
}

/* --- memory for the end -------------------------------------------------------------- */

static bool short_with(const char *meminfo)
{
	(void)unlink(in_dir("meminfo"));
	make_file("meminfo", meminfo, strlen(meminfo), 0600);
	reserve_open(in_dir("absent"), in_dir("meminfo"));
	return reserve_short();
}

static void test_short_memory_is_known(void **state)
{
	char kept[8] = "";
	int fd;

	(void)state;
	reserve_give(); /* nothing is open: nothing happens */
	assert_false(reserve_short());
	assert_true(short_with("MemFree: 1 kB\nMemAvailable:   16383 kB\n"));
	assert_false(short_with("MemFree: 1 kB\nMemAvailable:   16384 kB\n"));
	assert_false(short_with("MemFree: 1 kB\n"));
	assert_false(short_with("MemFree: 1 kB\nMemAvailable:"));
	assert_false(short_with("MemFree: 1 kB\nMemAvailable: x\n"));
	assert_false(short_with(""));
	make_file("kept", "", 0, 0600);
	reserve_open(in_dir("kept"), in_dir("absent"));
	assert_false(reserve_short());
	reserve_give();
	fd = open(in_dir("kept"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, kept, sizeof(kept) - 1), 4);
	assert_string_equal(kept, "256\n");
	fd_close(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_the_end_of_the_agent_means),
		T(test_every_wait_status_has_its_end),
		T(test_every_exit_code_has_its_words),
		T(test_the_ring_keeps_the_newest),
		T(test_the_ring_takes_more_than_it_holds),
		T(test_the_ring_is_sealed_for_others),
		T(test_levels_of_log_lines),
		T(test_a_pipe_is_drained_into_the_ring),
		T(test_a_flood_is_drained_in_turns),
		T(test_lines_that_are_not_said_aloud_are_told),
		T(test_last_words_are_heard),
		T(test_short_memory_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
