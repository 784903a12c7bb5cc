/*
 * tests/unit/test_guest_hostclock.c - what is done about a clock that is off;
 * no test here reads or sets the machine's
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/hostclock.h"
#include "bridge/io/fd.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

/* The clocks of the test. */
static int64_t ours, hosts, stepped, slewed;
static int edges_result;
static bool edges_on;

static int fake_now(int64_t *ns)
{
	*ns = ours;
	return 0;
}

static int fake_ptp(int fd, int64_t *ns)
{
	assert_true(fd >= 0);
	*ns = hosts;
	return 0;
}

static int fake_rtc(int fd, int64_t *s)
{
	assert_true(fd >= 0);
	*s = hosts / S;
	return 0;
}

static int fake_edges(int fd, bool on)
{
	assert_true(fd >= 0);
	if (edges_result < 0)
		return edges_result;
	edges_on = on;
	return 0;
}

static int fake_step(int64_t ns)
{
	ours += ns;
	stepped += ns;
	return 0;
}

static int fake_slew(int64_t ns)
{
	slewed += ns;
	return 0;
}

static const struct hostclock_kernel fake = {
	fake_now, fake_ptp, fake_rtc, fake_edges, fake_step, fake_slew,
};

struct fixture {
	char dir[64];
	struct loop *loop;
	struct hostclock c;
};

static int set_up(void **state)
{
	static struct fixture f;
	struct err e = { 0 };

	(void)snprintf(f.dir, sizeof(f.dir), "/tmp/ferry-clock-XXXXXX");
	if (!mkdtemp(f.dir) || loop_new(&f.loop, &e) < 0)
		return -1;
	hostclock_init(&f.c, f.loop);
	f.c.kernel = &fake;
	f.c.sys = f.dir;
	f.c.dev = f.dir;
	hosts = 1700000000 * S;
	ours = hosts;
	stepped = slewed = 0;
	edges_result = 0;
	edges_on = false;
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	hostclock_done(&f->c);
	loop_free(f->loop);
	(void)snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	return system(command);
}

static void make(const struct fixture *f, const char *line)
{
	char command[512];

	(void)snprintf(command, sizeof(command), "cd %s && %s", f->dir, line);
	assert_int_equal(system(command), 0);
}

static void ptp(struct fixture *f, const char *name)
{
	char line[256];

	(void)snprintf(line, sizeof(line),
		       "mkdir -p class/ptp/ptp0 && "
		       "echo '%s' >class/ptp/ptp0/clock_name && : >ptp0",
		       name);
	make(f, line);
}

/* A FIFO stands for the device: writing to it is the interrupt. */
static int rtc(struct fixture *f)
{
	char path[128];
	int fd;

	make(f, "mkfifo rtc0");
	(void)snprintf(path, sizeof(path), "%s/rtc0", f->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void edge(struct fixture *f, int fd)
{
	const unsigned long data = 1;
	struct err e = { 0 };

	assert_true(edges_on);
	assert_int_equal(write(fd, &data, sizeof(data)), sizeof(data));
	assert_true(loop_turn(f->loop, 1000, &e) >= 0);
}

/* So many that it is measured whatever comes of it. */
static void edges(struct fixture *f, int fd)
{
	for (uint32_t i = 0; i < HOSTCLOCK_EDGES; i++)
		edge(f, fd);
	assert_false(edges_on);
}

static void test_hazard_21_a_clock_that_is_behind_is_set(void **state)
{
	struct fixture *f = *state;

	ptp(f, "KVM virtual PTP");
	ours = hosts - 7 * S;
	hostclock_start(&f->c);
	assert_int_equal(f->c.source, HOSTCLOCK_PTP);
	assert_int_equal(stepped, 7 * S);
	assert_int_equal(f->c.steps, 1);
	ours = hosts + 3 * S; /* ahead is as wrong */
	hostclock_look(&f->c);
	assert_int_equal(stepped, 4 * S);
}

static void test_small_differences_are_slewed(void **state)
{
	struct fixture *f = *state;

	ptp(f, "KVM virtual PTP");
	hostclock_start(&f->c);
	assert_int_equal(f->c.slews, 0);
	ours = hosts + HOSTCLOCK_STEP_NS;
	hostclock_look(&f->c);
	assert_int_equal(slewed, -HOSTCLOCK_STEP_NS);
	ours = hosts - HOSTCLOCK_PTP_NOISE_NS / 2;
	hostclock_look(&f->c);
	assert_int_equal(slewed, -HOSTCLOCK_STEP_NS);
	assert_int_equal(stepped, 0);
}

static void test_w_g31_no_ptp_clock_is_no_error(void **state)
{
	struct fixture *f = *state;

	hostclock_start(&f->c);
	assert_int_equal(f->c.source, HOSTCLOCK_NONE);
	hostclock_look(&f->c);
	assert_int_equal(stepped, 0);
}

static void test_the_clock_of_a_network_card_is_not_the_hosts(void **state)
{
	struct fixture *f = *state;
	cleanup_fd fd = -1;

	ptp(f, "mlx5_ptp");
	fd = rtc(f);
	hostclock_start(&f->c);
	assert_int_equal(f->c.source, HOSTCLOCK_RTC);
}

/* Hyper-V without chronyd in the image. */
static void test_hyper_v_without_chronyd(void **state)
{
	struct fixture *f = *state;

	if (access("/sbin/chronyd", X_OK) == 0 ||
	    access("/usr/sbin/chronyd", X_OK) == 0)
		skip();
	ptp(f, "hyperv");
	hostclock_start(&f->c);
	assert_int_equal(f->c.source, HOSTCLOCK_PTP);
}

static void test_the_rtc_is_measured_at_its_edge(void **state)
{
	struct fixture *f = *state;
	cleanup_fd fd = rtc(f);

	ours = hosts + 300 * MS;
	hostclock_start(&f->c);
	assert_int_equal(f->c.source, HOSTCLOCK_RTC);
	edges(f, fd); /* may well be right */
	assert_int_equal(stepped, 0);
	ours -= 4 * S;
	hostclock_look(&f->c);
	edge(f, fd); /* behind: no doubt about it */
	assert_false(edges_on);
	assert_int_equal(stepped, 4 * S);
	/* In between nothing is measured while the seconds agree. */
	f->c.ticks = 1;
	ours -= 400 * MS;
	hostclock_look(&f->c);
	edge(f, fd);
	assert_int_equal(f->c.steps, 2);
}

static void
test_a_clock_outside_of_the_rtcs_second_is_set_to_its_middle(void **state)
{
	struct fixture *f = *state;
	cleanup_fd fd = rtc(f);

	ours = hosts - 4 * S;
	hostclock_start(&f->c);
	edges(f, fd);
	assert_int_equal(stepped, 4 * S + 500 * MS);
}

/* QEMU was started at 0.637 of a second: its RTC is behind by that. */
static void
test_hazard_21_an_rtc_that_lags_does_not_set_the_clock_back(void **state)
{
	struct fixture *f = *state;
	cleanup_fd fd = rtc(f);

	ours = hosts + 100 * MS; /* what the kernel began with */
	hostclock_start(&f->c);
	edges(f, fd);
	ours = hosts + 637 * MS; /* as the host says */
	hostclock_told(&f->c, 0);
	edges(f, fd);
	hostclock_look(&f->c);
	edge(f, fd);
	assert_false(edges_on);
	assert_int_equal(stepped, 0);
	assert_int_equal(slewed, 0);
	ours -= 60 * S;
	hostclock_look(&f->c);
	edge(f, fd);
	assert_int_equal(ours, hosts + 637 * MS);
}

/* What was measured of the clock before says nothing of this one. */
static void test_a_host_says_the_time_while_the_rtc_is_measured(void **state)
{
	struct fixture *f = *state;
	cleanup_fd fd = rtc(f);

	ours = hosts + 100 * MS;
	hostclock_start(&f->c);
	edge(f, fd);
	ours = hosts + 900 * MS;
	hostclock_told(&f->c, 0);
	edges(f, fd);
	assert_int_equal(f->c.lag_ns, 900 * MS);
	assert_int_equal(stepped, 0);
	hostclock_told(&f->c, -50 * MS); /* ahead, and not set for that */
	edges(f, fd);
	assert_int_equal(f->c.lag_ns, 850 * MS);
	assert_int_equal(slewed, -50 * MS);
}

/* An interrupt that is served late makes our clock look ahead. */
static void test_a_busy_machine_does_not_set_the_clock_back(void **state)
{
	struct fixture *f = *state;
	cleanup_fd fd = rtc(f);

	hostclock_start(&f->c);
	edges(f, fd);
	hostclock_look(&f->c);
	ours = hosts + 800 * MS;
	edge(f, fd);
	ours = hosts;
	edge(f, fd);
	assert_false(edges_on);
	assert_int_equal(stepped, 0);
	ours = hosts + 800 * MS; /* and now it is */
	hostclock_look(&f->c);
	edges(f, fd);
	assert_int_equal(stepped, -800 * MS);
}

static void test_an_rtc_without_interrupts(void **state)
{
	struct fixture *f = *state;
	int fd = rtc(f);

	edges_result = -EINVAL;
	ours = hosts + 700 * MS;
	hostclock_start(&f->c);
	assert_int_equal(stepped, 0); /* may well be right */
	ours = hosts - 60 * S;
	hostclock_look(&f->c);
	assert_int_equal(stepped, 61 * S);
	ours = hosts - 60 * S;
	hostclock_told(&f->c, 0); /* so be it */
	assert_int_equal(stepped, 61 * S);
	fd_close(&fd);
}

/* Interrupts that were promised and do not come. */
static void test_an_edge_that_never_comes(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	int fd = rtc(f);

	f->c.edge_ms = 10;
	ours = hosts - 60 * S;
	hostclock_start(&f->c);
	for (int i = 0; edges_on && i < 100; i++)
		assert_true(loop_turn(f->loop, 50, &e) >= 0);
	assert_false(edges_on);
	assert_int_equal(stepped, 61 * S);
	fd_close(&fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hazard_21_a_clock_that_is_behind_is_set),
		TEST(test_small_differences_are_slewed),
		TEST(test_w_g31_no_ptp_clock_is_no_error),
		TEST(test_the_clock_of_a_network_card_is_not_the_hosts),
		TEST(test_hyper_v_without_chronyd),
		TEST(test_the_rtc_is_measured_at_its_edge),
		TEST(test_a_clock_outside_of_the_rtcs_second_is_set_to_its_middle),
		TEST(test_hazard_21_an_rtc_that_lags_does_not_set_the_clock_back),
		TEST(test_a_host_says_the_time_while_the_rtc_is_measured),
		TEST(test_a_busy_machine_does_not_set_the_clock_back),
		TEST(test_an_rtc_without_interrupts),
		TEST(test_an_edge_that_never_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
