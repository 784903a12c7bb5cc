#include "bridge/guest/hostclock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/rtc.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/io/spawn.h"
#include "config/util.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)
/* Readings of a PTP clock, of which the quickest counts. */
#define PTP_READINGS 5

#define CHRONYD_CONF "/run/ferry-chrony.conf"

static const char *const source_names[] = {
	[HOSTCLOCK_NONE] = "none",
	[HOSTCLOCK_PTP] = "ptp",
	[HOSTCLOCK_RTC] = "rtc",
	[HOSTCLOCK_CHRONYD] = "chronyd",
};
_Static_assert(ARRAY_LEN(source_names) == HOSTCLOCK_SOURCES,
	       "a source has no name");

const char *hostclock_source_name(enum hostclock_source source)
{
	return source_names[source];
}

/* --- the kernel ------------------------------------------------------------ */

static int64_t to_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * NS_PER_S + t->tv_nsec;
}

static int kernel_now(int64_t *ns)
{
	struct timespec t;

	if (clock_gettime(CLOCK_REALTIME, &t) < 0)
		return -errno;
	*ns = to_ns(&t);
	return 0;
}

/* The clock of a descriptor (clock_getres(2), dynamic clocks). */
static int kernel_ptp(int fd, int64_t *ns)
{
	const clockid_t id = (clockid_t)(~(unsigned int)fd << 3 | 3u);
	struct timespec t;

	if (clock_gettime(id, &t) < 0)
		return -errno;
	*ns = to_ns(&t);
	return 0;
}

static int kernel_rtc(int fd, int64_t *s)
{
	struct rtc_time t;
	struct tm tm;

	/* musl's ioctl() has an int where this number needs one bit more. */
	if (syscall(SYS_ioctl, fd, RTC_RD_TIME, &t) < 0)
		return -errno;
	tm = (struct tm){ .tm_sec = t.tm_sec,
			  .tm_min = t.tm_min,
			  .tm_hour = t.tm_hour,
			  .tm_mday = t.tm_mday,
			  .tm_mon = t.tm_mon,
			  .tm_year = t.tm_year };
	*s = (int64_t)timegm(&tm);
	return 0;
}

static int kernel_edges(int fd, bool on)
{
	return ioctl(fd, on ? RTC_UIE_ON : RTC_UIE_OFF, 0) < 0 ? -errno : 0;
}

static int kernel_step(int64_t ns)
{
	struct timespec t;
	int64_t at;

	if (clock_gettime(CLOCK_REALTIME, &t) < 0)
		return -errno;
	at = to_ns(&t) + ns;
	if (at < 0)
		return -ERANGE;
	t.tv_sec = (time_t)(at / NS_PER_S);
	t.tv_nsec = (long)(at % NS_PER_S);
	return clock_settime(CLOCK_REALTIME, &t) < 0 ? -errno : 0;
}

static int kernel_slew(int64_t ns)
{
	struct timex t = { .modes = ADJ_OFFSET_SINGLESHOT,
			   .offset = (long)(ns / NS_PER_US) };

	return adjtimex(&t) < 0 ? -errno : 0;
}

static const struct hostclock_kernel real = {
	.now = kernel_now,
	.ptp = kernel_ptp,
	.rtc = kernel_rtc,
	.edges = kernel_edges,
	.step = kernel_step,
	.slew = kernel_slew,
};

/* --- corrections ----------------------------------------------------------- */

/* The host's clock is ahead of ours by @off. */
static void correct(struct hostclock *c, int64_t off, int64_t noise)
{
	const bool step = off > HOSTCLOCK_STEP_NS || off < -HOSTCLOCK_STEP_NS;
	int r;

	if (off < noise && off > -noise)
		return;
	r = step ? c->kernel->step(off) : c->kernel->slew(off);
	if (r < 0) {
		log_warn("the clock is off by %" PRId64
			 " ms and cannot be set: %s",
			 off / NS_PER_MS, strerror(-r));
		return;
	}
	if (!step) {
		c->slews++;
		return;
	}
	c->steps++;
	log_info("the clock was off by %" PRId64 " ms and was set source=%s",
		 off / NS_PER_MS, source_names[c->source]);
}

static void look_at_ptp(struct hostclock *c)
{
	int64_t quickest = INT64_MAX;
	int64_t off = 0;

	for (int i = 0; i < PTP_READINGS; i++) {
		int64_t before, host, after;

		if (c->kernel->now(&before) < 0 ||
		    c->kernel->ptp(c->fd, &host) < 0 ||
		    c->kernel->now(&after) < 0)
			return;
		if (after - before < quickest) {
			quickest = after - before;
			off = host - before - quickest / 2;
		}
	}
	correct(c, off, HOSTCLOCK_PTP_NOISE_NS);
}

static void edge_end(struct hostclock *c)
{
	loop_unwatch(c->loop, &c->watch);
	loop_cancel(c->loop, &c->edge_timer);
	(void)c->kernel->edges(c->fd, false);
}

/* Our clock shows @lag more than the RTC when its second begins. */
static void compare(struct hostclock *c, int64_t lag)
{
	const bool may_be = lag >= -HOSTCLOCK_STEP_NS &&
			    lag <= NS_PER_S + HOSTCLOCK_STEP_NS;

	if (!c->lag_known || c->told)
		c->lag_ns = c->told  ? lag + c->told_ns
			    : may_be ? lag
				     : NS_PER_S / 2;
	c->lag_known = true;
	c->told = false;
	correct(c, c->lag_ns - lag, HOSTCLOCK_RTC_NOISE_NS);
}

/* The RTC's second has just begun, or some time ago on a busy machine: then we
 * seem to be ahead. The least of a few counts. */
static void on_edge(void *ctx, uint32_t events)
{
	struct hostclock *c = ctx;
	unsigned long data;
	int64_t now, s;

	(void)events;
	if (read(c->fd, &data, sizeof(data)) < 0 && errno == EAGAIN)
		return;
	if (c->kernel->rtc(c->fd, &s) < 0 || c->kernel->now(&now) < 0) {
		edge_end(c);
		return;
	}
	now -= s * NS_PER_S;
	if (c->edges++ == 0 || now < c->least_ns)
		c->least_ns = now;
	if (c->edges < HOSTCLOCK_EDGES &&
	    (!c->lag_known || c->told ||
	     c->least_ns > c->lag_ns + HOSTCLOCK_RTC_NOISE_NS))
		return;
	edge_end(c);
	compare(c, c->least_ns);
}

/* What our clock can show in the RTC's second @s when it is right. */
static void bounds(const struct hostclock *c, int64_t s, int64_t *from,
		   int64_t *to)
{
	*from = s * NS_PER_S + (c->lag_known ? c->lag_ns : 0);
	*to = *from + (c->lag_known ? 1 : 2) * NS_PER_S;
}

/* Without interrupts the middle is the best guess, good enough for a clock that
 * is off by more. */
static void guess(struct hostclock *c)
{
	int64_t now, s, from, to;

	if (c->told || c->kernel->rtc(c->fd, &s) < 0 ||
	    c->kernel->now(&now) < 0) {
		c->told = false;
		return;
	}
	bounds(c, s, &from, &to);
	if (now < from - NS_PER_S / 2 || now > to + NS_PER_S / 2)
		correct(c, from + (to - from) / 2 - now,
			HOSTCLOCK_RTC_NOISE_NS);
}

static void on_no_edge(void *ctx)
{
	struct hostclock *c = ctx;

	edge_end(c);
	if (c->edges > 0)
		compare(c, c->least_ns);
	else
		guess(c);
}

/* Is our clock outside of the RTC's second? */
static bool rtc_differs(const struct hostclock *c)
{
	int64_t now, s, from, to;

	if (c->kernel->rtc(c->fd, &s) < 0 || c->kernel->now(&now) < 0)
		return false;
	bounds(c, s, &from, &to);
	return now < from - HOSTCLOCK_STEP_NS || now > to + HOSTCLOCK_STEP_NS;
}

static void look_at_rtc(struct hostclock *c, bool measure)
{
	struct err e = { 0 };

	if (c->watch.generation != 0 || (!measure && !rtc_differs(c)))
		return;
	c->edges = 0;
	if (c->kernel->edges(c->fd, true) < 0) {
		guess(c);
		return;
	}
	if (loop_watch(c->loop, c->fd, EPOLLIN, on_edge, c, &c->watch, &e) <
		    0 ||
	    loop_at(c->loop, loop_now_ms(c->loop) + c->edge_ms, on_no_edge, c,
		    &c->edge_timer, &e) < 0)
		on_no_edge(c);
}

static void look(struct hostclock *c, bool measure)
{
	if (c->source == HOSTCLOCK_PTP)
		look_at_ptp(c);
	else if (c->source == HOSTCLOCK_RTC)
		look_at_rtc(c, measure);
}

void hostclock_look(struct hostclock *c)
{
	look(c, true);
}

void hostclock_told(struct hostclock *c, int64_t off_ns)
{
	c->told = true;
	c->told_ns = off_ns;
	c->edges = 0; /* those so far were of another clock */
	look(c, true);
}

/* --- chronyd --------------------------------------------------------------- */

static void chronyd_start(void *ctx);

static void chronyd_again(struct hostclock *c)
{
	struct err e = { 0 };

	if (loop_at(c->loop, loop_now_ms(c->loop) + HOSTCLOCK_CHRONYD_MS,
		    chronyd_start, c, &c->timer, &e) < 0)
		log_warn("chronyd is not started again: %s", e.text);
}

static void on_chronyd(void *ctx, uint32_t events)
{
	struct hostclock *c = ctx;
	int status = 0;

	(void)events;
	(void)waitpid(c->chronyd, &status, WNOHANG);
	log_warn("chronyd has ended status=%d, starts again", status);
	c->chronyd = 0;
	loop_unwatch(c->loop, &c->watch);
	fd_close(&c->fd);
	chronyd_again(c);
}

static void chronyd_start(void *ctx)
{
	struct hostclock *c = ctx;
	char *argv[] = { (char[]){ "chronyd" }, (char[]){ "-n" },
			 (char[]){ "-f" }, (char[]){ CHRONYD_CONF }, NULL };
	char *envp[] = { (char[]){ "PATH=/sbin:/usr/sbin:/bin:/usr/bin" },
			 NULL };
	const struct spawn s = { .argv = argv,
				 .envp = envp,
				 .path = "/sbin:/usr/sbin:/bin:/usr/bin",
				 .cwd = "/",
				 .stdio = { -1, -1, -1 },
				 .die_with_parent = true };
	struct err e = { 0 };

	if (spawn_start(&s, &c->chronyd, &c->fd, &e) < 0 ||
	    loop_watch(c->loop, c->fd, EPOLLIN, on_chronyd, c, &c->watch, &e) <
		    0) {
		log_warn("chronyd: %s", e.text);
		chronyd_again(c);
	}
}

static bool has_chronyd(void)
{
	return access("/sbin/chronyd", X_OK) == 0 ||
	       access("/usr/sbin/chronyd", X_OK) == 0;
}

static bool write_conf(const struct hostclock *c)
{
	cleanup_fd fd = open(
		CHRONYD_CONF,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[256];

	(void)snprintf(text, sizeof(text),
		       "refclock PHC %s poll 3 dpoll -2 offset 0 stratum 2\n"
		       "makestep 0.1 -1\n",
		       c->device);
	return fd >= 0 && fd_write_full(fd, text, strlen(text)) == 0;
}

/* --- finding a source ------------------------------------------------------ */

static bool read_name(const struct hostclock *c, const char *entry, char *name,
		      size_t size)
{
	char path[512];
	cleanup_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/class/ptp/%.64s/clock_name",
		       c->sys, entry);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : fd_read_full(fd, name, size - 1);
	if (n < 0)
		return false;
	name[n] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return true;
}

/* A PTP clock of a network card shows somebody else's time. */
static bool find_ptp(struct hostclock *c, bool *hyperv)
{
	char path[256];
	const struct dirent *entry;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/class/ptp", c->sys);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		char name[64];

		if (strncmp(entry->d_name, "ptp", 3) != 0 ||
		    strlen(entry->d_name) > 16 ||
		    !read_name(c, entry->d_name, name, sizeof(name)))
			continue;
		*hyperv = strcmp(name, "hyperv") == 0;
		if (!*hyperv && strcmp(name, "KVM virtual PTP") != 0)
			continue;
		(void)snprintf(c->device, sizeof(c->device), "%.40s/%.20s",
			       c->dev, entry->d_name);
		(void)closedir(d);
		return true;
	}
	if (d)
		(void)closedir(d);
	return false;
}

static bool open_device(struct hostclock *c, enum hostclock_source source)
{
	c->fd = open(c->device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->fd < 0)
		return false;
	c->source = source;
	return true;
}

static void find_source(struct hostclock *c)
{
	bool hyperv = false;

	if (find_ptp(c, &hyperv)) {
		if (hyperv && has_chronyd() && write_conf(c)) {
			c->source = HOSTCLOCK_CHRONYD;
			return;
		}
		if (open_device(c, HOSTCLOCK_PTP))
			return;
	}
	(void)snprintf(c->device, sizeof(c->device), "%.40s/rtc0", c->dev);
	(void)open_device(c, HOSTCLOCK_RTC);
}

static void on_tick(void *ctx)
{
	struct hostclock *c = ctx;
	struct err e = { 0 };

	look(c, c->ticks++ % HOSTCLOCK_RTC_EVERY == 0);
	if (loop_at(c->loop, loop_now_ms(c->loop) + HOSTCLOCK_PERIOD_MS,
		    on_tick, c, &c->timer, &e) < 0)
		log_warn("the clock is not looked after: %s", e.text);
}

void hostclock_init(struct hostclock *c, struct loop *l)
{
	*c = (struct hostclock){ .loop = l,
				 .kernel = &real,
				 .sys = "/sys",
				 .dev = "/dev",
				 .edge_ms = HOSTCLOCK_EDGE_MS,
				 .fd = -1 };
}

void hostclock_done(struct hostclock *c)
{
	if (c->chronyd > 0)
		(void)kill(c->chronyd, SIGTERM);
	loop_cancel(c->loop, &c->timer);
	loop_cancel(c->loop, &c->edge_timer);
	loop_unwatch(c->loop, &c->watch);
	fd_close(&c->fd);
}

void hostclock_start(struct hostclock *c)
{
	if (c->source != HOSTCLOCK_NONE)
		return;
	find_source(c);
	if (c->source == HOSTCLOCK_NONE) {
		log_info("no clock of the host here: ours goes by itself");
		return;
	}
	log_info("the clock follows the host's source=%s device=%s",
		 source_names[c->source], c->device);
	if (c->source == HOSTCLOCK_CHRONYD)
		chronyd_start(c);
	else
		on_tick(c);
}
