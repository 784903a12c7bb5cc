#include "bridge/guest/fixup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "bridge/io/log.h"
#include "bridge/io/pool.h"
#include "bridge/session.h"

#define NS_PER_S ((int64_t)1000000000)
#define NS_PER_MS ((int64_t)1000000)

bool fixup_is_step(int64_t off_ns)
{
	return off_ns > FIXUP_BEHIND_NS || off_ns < -FIXUP_AHEAD_NS;
}

static int reseed(const char *entropy, struct err *e)
{
	uint8_t bytes[FIXUP_ENTROPY_MAX];
	const size_t len = strlen(entropy) / 2;
	int r;

	if (len < FIXUP_ENTROPY_MIN || len > FIXUP_ENTROPY_MAX ||
	    !session_unhex(entropy, bytes, len))
		return err_set(e, EINVAL,
			       "Ferry.Fixup.Entropy: want %u to %u bytes in "
			       "hexadecimal digits",
			       FIXUP_ENTROPY_MIN, FIXUP_ENTROPY_MAX);
	r = pool_credit(bytes, len, e);
	explicit_bzero(bytes, sizeof(bytes));
	return r < 0 ? r : pool_reseed(e);
}

static int32_t saturated(int64_t ms)
{
	if (ms > INT32_MAX)
		return INT32_MAX;
	return ms < INT32_MIN ? INT32_MIN : (int32_t)ms;
}

/* Return: by how much it is behind after that */
static int64_t step_clock(uint64_t host_ns, struct msg_ferry_fixed *done)
{
	struct timespec now;
	int64_t off;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return 0; /* cannot fail */
	/* Both are below 2^63 until the year 2262. */
	off = (int64_t)(host_ns - ((uint64_t)now.tv_sec * NS_PER_S +
				   (uint64_t)now.tv_nsec));
	if (!fixup_is_step(off))
		return off;
	now.tv_sec = (time_t)(host_ns / NS_PER_S);
	now.tv_nsec = (long)(host_ns % NS_PER_S);
	if (clock_settime(CLOCK_REALTIME, &now) < 0) {
		log_warn("the clock is off by %" PRId64
			 " ms and cannot be set: %s",
			 off / NS_PER_MS, strerror(errno));
		return off;
	}
	done->clock_step_ms = saturated(off / NS_PER_MS);
	log_info("the clock was set, by %" PRId64 " ms", off / NS_PER_MS);
	return 0;
}

int64_t fixup_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int fixup_apply(const struct msg_ferry_fixup *m, int64_t since_ns, bool ours,
		struct msg_ferry_fixed *done, int64_t *left_ns, struct err *e)
{
	const int64_t came_ns = fixup_now_ns();
	const int64_t age_ns = came_ns - since_ns;
	uint64_t host_ns = m->time_ns;
	int r;

	*done = (struct msg_ferry_fixed){ 0 };
	if (m->time_ns == 0 || m->time_ns > INT64_MAX)
		return err_set(e, EINVAL, "Ferry.Fixup.TimeNs: %" PRIu64,
			       m->time_ns);
	r = reseed(m->entropy, e);
	if (r < 0)
		return r;
	done->credited = true;
	if (age_ns > 0 && age_ns <= FIXUP_OLD_NS)
		host_ns += (uint64_t)age_ns / 2;
	done->again = ours && age_ns > FIXUP_SURE_NS;
	*left_ns = 0;
	/* To reseed takes its time too. */
	if (ours)
		*left_ns = step_clock(
			host_ns + (uint64_t)(fixup_now_ns() - came_ns), done);
	return 0;
}
