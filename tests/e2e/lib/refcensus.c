#include "tests/e2e/lib/refcensus.h"

#include <poll.h>
#include <stdio.h>

#include "tests/e2e/lib/refsteps.h"

/* Looks at what is left behind, and the time between two. */
#define SETTLE_TRIES 100
#define SETTLE_MS 200
/* Processes of the kernel that may have come meanwhile. */
#define PROCESSES_MORE 4

void ref_census_take(struct ref *r, struct ref_census *c)
{
	static const char line[] =
		"a=$PPID; echo $(ls /proc/$a/fd | wc -l) "
		"$(wc -l </proc/1/mounts) "
		"$(find /sys/fs/cgroup -type d | wc -l) "
		"$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l) "
		"$(sed -n 's/^Rss:[^0-9]*//p' /proc/$a/smaps_rollup | "
		"sed 's/ kB//') "
		"$(find /run /var/run/gcsrunc | wc -l) "
		"$(ls -d /proc/[0-9]* | wc -l)";
	const char *out = ref_uvm(r, line);

	/* NOLINTNEXTLINE(cert-err34-c): the count of fields is checked */
	ref_check(sscanf(out, "%ld %ld %ld %ld %ld %ld %ld", &c->fds,
			 &c->mounts, &c->cgroups, &c->zombies, &c->rss_kib,
			 &c->folders, &c->processes) == 7,
		  "census: %s", out);
}

void ref_census_settled(struct ref *r, const struct ref_census *before,
			struct ref_census *c)
{
	for (int i = 0; i < SETTLE_TRIES; i++) {
		ref_census_take(r, c);
		if (c->fds <= before->fds && c->mounts <= before->mounts &&
		    c->cgroups <= before->cgroups &&
		    c->zombies <= before->zombies &&
		    c->folders <= before->folders &&
		    c->processes <= before->processes + PROCESSES_MORE)
			return;
		(void)poll(NULL, 0, SETTLE_MS);
	}
}

void ref_census_check(const struct ref_census *before,
		      const struct ref_census *after, long kib)
{
#define SAME(what)                                                             \
	ref_check(after->what <= before->what, #what ": %ld, then %ld",        \
		  before->what, after->what)
	SAME(fds);
	SAME(mounts);
	SAME(cgroups);
	SAME(zombies);
	SAME(folders);
#undef SAME
	ref_check(after->processes <= before->processes + PROCESSES_MORE,
		  "processes: %ld, then %ld", before->processes,
		  after->processes);
	ref_check(after->rss_kib <= before->rss_kib + kib,
		  "memory of the agent: %ld KiB, then %ld", before->rss_kib,
		  after->rss_kib);
}
