/*
 * bridge/guest/hostclock.h - the wall clock of the UVM follows the host's
 *
 * A VM that was stopped or moved has a clock that stood still meanwhile. The
 * agent looks at the host's time every HOSTCLOCK_PERIOD_MS and whenever a host
 * has connected:
 *
 *   PTP	a PTP device that shows the host's clock (Hyper-V, KVM): read
 *		in microseconds
 *   RTC	the machine's RTC, which QEMU keeps at the host's time. It has
 *		seconds only; that it is off by more is seen at once, and how
 *		much exactly at the next change of its second, told by its
 *		update interrupt
 *
 * A difference above HOSTCLOCK_STEP_NS is set and logged, a smaller one is
 * slewed by the kernel. On Hyper-V, where the image has chronyd, chronyd does
 * all this as with the reference, and is started again when it ends.
 * CLOCK_MONOTONIC cannot be set, and jumps with neither.
 * Source: shared specification bridge.md 10.3; ptp(4), rtc(4), adjtimex(2).
 */
#ifndef FERRY_BRIDGE_GUEST_HOSTCLOCK_H
#define FERRY_BRIDGE_GUEST_HOSTCLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/io/loop.h"
#include "config/err.h"

#define HOSTCLOCK_PERIOD_MS 10000
#define HOSTCLOCK_STEP_NS ((int64_t)100000000)
/* Differences that are not worth a correction. */
#define HOSTCLOCK_PTP_NOISE_NS ((int64_t)100000)
#define HOSTCLOCK_RTC_NOISE_NS ((int64_t)10000000)
/* The RTC is measured exactly every so many periods, right or wrong. */
#define HOSTCLOCK_RTC_EVERY 6u
/* The RTC's second is seen to begin so often, and longest wait for that. */
#define HOSTCLOCK_EDGES 3u
#define HOSTCLOCK_EDGE_MS 4500
/* From the end of chronyd to its next start. */
#define HOSTCLOCK_CHRONYD_MS 5000

enum hostclock_source {
	HOSTCLOCK_NONE,
	HOSTCLOCK_PTP,
	HOSTCLOCK_RTC,
	HOSTCLOCK_CHRONYD,
	HOSTCLOCK_SOURCES, /* number of sources */
};

/**
 * struct hostclock_kernel - what is read and set; tests have their own
 * @now:	CLOCK_REALTIME in nanoseconds
 * @ptp:	the PTP clock behind @fd, the same
 * @rtc:	the RTC behind @fd, in whole seconds
 * @edges:	update interrupts of the RTC on or off
 * @step:	set CLOCK_REALTIME ahead by @ns, which may be negative
 * @slew:	let the kernel make up for @ns
 *
 * All return 0 or -errno.
 */
struct hostclock_kernel {
	int (*now)(int64_t *ns);
	int (*ptp)(int fd, int64_t *ns);
	int (*rtc)(int fd, int64_t *s);
	int (*edges)(int fd, bool on);
	int (*step)(int64_t ns);
	int (*slew)(int64_t ns);
};

/**
 * struct hostclock - the one there is
 * @kernel:	the real one; tests say otherwise
 * @sys, @dev:	"/sys", "/dev"; tests say otherwise
 * @edge_ms:	HOSTCLOCK_EDGE_MS; for tests
 * @fd:		the device
 * @watch:	RTC: waiting for its second to change
 * @told, @told_ns: a host said the time since the lag was measured, and by how
 *		much we were behind
 * @lag_known, @lag_ns: RTC: what our clock shows when its second begins, beyond
 *		that second
 * @edges, @least_ns: of this measurement: how many so far, and the least lag
 * @ticks:	periods so far
 * @steps, @slews: corrections so far
 */
struct hostclock {
	struct loop *loop;
	const struct hostclock_kernel *kernel;
	const char *sys;
	const char *dev;
	int edge_ms;
	enum hostclock_source source;
	int fd;
	struct loop_id timer;
	struct loop_id watch;
	struct loop_id edge_timer;
	bool told;
	int64_t told_ns;
	bool lag_known;
	int64_t lag_ns;
	uint32_t edges;
	int64_t least_ns;
	uint32_t ticks;
	uint64_t steps;
	uint64_t slews;
	char device[64];
	pid_t chronyd;
};

/** hostclock_init() - nothing is read or set yet */
void hostclock_init(struct hostclock *c, struct loop *l);
void hostclock_done(struct hostclock *c);

/**
 * hostclock_start() - find a source and follow it; once
 *
 * A machine without one keeps its clock as it is: that is logged, and no error.
 */
void hostclock_start(struct hostclock *c);

/** hostclock_look() - a host has connected: look now */
void hostclock_look(struct hostclock *c);

/** hostclock_told() - by a host's word our clock is behind by @off_ns, or right */
void hostclock_told(struct hostclock *c, int64_t off_ns);

/** hostclock_source_name() - for people */
const char *hostclock_source_name(enum hostclock_source source);

#endif
