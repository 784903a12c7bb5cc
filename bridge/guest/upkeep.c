#include "bridge/guest/upkeep.h"

#include "bridge/guest/agent.h"
#include "bridge/guest/power.h"
#include "bridge/io/log.h"

static void begin(void *ctx)
{
	struct agent *a = ctx;
	struct err e = { 0 };

	if (cgroups_start(&a->cgroups, a->flags.root_mem_reserve_bytes,
			  a->flags.gcs_mem_limit_bytes, &e) < 0)
		log_warn("cgroups: %s", e.text);
	if (a->flags.disable_time_sync)
		log_info("the clock is left alone, as the host asks");
	else
		hostclock_start(&a->upkeep.clock);
}

void upkeep_init(struct agent *a)
{
	hostclock_init(&a->upkeep.clock, a->loop);
}

void upkeep_done(struct agent *a)
{
	loop_cancel(a->loop, &a->upkeep.timer);
	hostclock_done(&a->upkeep.clock);
}

void upkeep_host(struct agent *a)
{
	struct err e = { 0 };

	if (a->resume.welcome.msg.fixed)
		hostclock_told(&a->upkeep.clock, a->resume.left_ns);
	if (a->upkeep.ours) {
		hostclock_look(&a->upkeep.clock);
		return;
	}
	if (!power_is_ours(a->conn.rfd))
		return;
	a->upkeep.ours = true;
	if (loop_at(a->loop, loop_now_ms(a->loop), begin, a, &a->upkeep.timer,
		    &e) < 0)
		begin(a);
}
