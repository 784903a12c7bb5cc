/* The resources of an OCI document, put on the cgroup of a pod. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/guest/cgroup_file.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/msg.h"
#include "bridge/schema.h"

#define CPU_PERIOD_DEFAULT UINT64_C(100000)

/* 0: not given, negative: no limit. */
struct memory_part {
	int64_t limit;
	int64_t reservation;
	int64_t swap;
};

struct cpu_part {
	uint64_t shares;
	int64_t quota;
	uint64_t period;
};

struct resources {
	struct memory_part memory;
	struct cpu_part cpu;
	int64_t pids;
	uint16_t weight;
};

/* clang-format off */
static const struct schema_member memory_members[] = {
#define T struct memory_part
	SCHEMA_I64(T, limit, "limit", SCHEMA_OPTIONAL),
	SCHEMA_I64(T, reservation, "reservation", SCHEMA_OPTIONAL),
	SCHEMA_I64(T, swap, "swap", SCHEMA_OPTIONAL),
#undef T
};
static const struct schema memory_schema =
	SCHEMA(struct memory_part, memory_members);

static const struct schema_member cpu_members[] = {
#define T struct cpu_part
	SCHEMA_U64(T, shares, "shares", SCHEMA_OPTIONAL),
	SCHEMA_I64(T, quota, "quota", SCHEMA_OPTIONAL),
	SCHEMA_U64(T, period, "period", SCHEMA_OPTIONAL),
#undef T
};
static const struct schema cpu_schema = SCHEMA(struct cpu_part, cpu_members);

static const struct schema_member pids_members[] = {
	SCHEMA_I64(struct resources, pids, "limit", SCHEMA_OPTIONAL),
};
static const struct schema pids_schema =
	SCHEMA(struct resources, pids_members);

static const struct schema_member block_members[] = {
	SCHEMA_U16(struct resources, weight, "weight", SCHEMA_OPTIONAL),
};
static const struct schema block_schema =
	SCHEMA(struct resources, block_members);

static const struct schema_member resources_members[] = {
#define T struct resources
	SCHEMA_OBJECT(struct memory_part, T, memory, "memory",
		      SCHEMA_OPTIONAL, memory_schema),
	SCHEMA_OBJECT(struct cpu_part, T, cpu, "cpu", SCHEMA_OPTIONAL,
		      cpu_schema),
	SCHEMA_LEVEL("pids", SCHEMA_OPTIONAL, pids_schema),
	SCHEMA_LEVEL("blockIO", SCHEMA_OPTIONAL, block_schema),
#undef T
};
/* clang-format on */
static const struct schema resources_schema =
	SCHEMA(struct resources, resources_members);

static int read_resources(const char *text, struct arena *a,
			  struct resources *ret, struct err *e)
{
	if (msg_decode(&resources_schema, text, strlen(text), a, ret, e) < 0)
		return err_wrap(e, "resources");
	if (ret->memory.limit > 0 && ret->memory.swap > 0 &&
	    ret->memory.swap < ret->memory.limit)
		return err_set(
			e, EINVAL,
			"resources: $.memory.swap is less than the limit");
	return 0;
}

/* --- writing --------------------------------------------------------------- */

/**
 * struct target - the cgroup that is written to
 * @controller, @dir: the hierarchy that is open (cgroup 1)
 */
struct target {
	const struct cgroups *c;
	const char *path;
	struct err *e;
};

/* @missing_ok: a kernel without that file is no reason to fail. */
static int set(const struct target *t, const char *controller, const char *file,
	       bool missing_ok, const char *text)
{
	cleanup_fd dir = cgroup_dir(t->c, controller, t->path, t->e);
	int r = dir < 0 ? dir : cgroup_write(dir, file, text, t->e);

	if (r == -ENOENT && missing_ok) {
		log_debug("cgroup file %s is not there: not set", file);
		return 0;
	}
	return r;
}

static const char *limit_text(int64_t limit, const char *none, char *text,
			      size_t size)
{
	if (limit < 0)
		return none;
	(void)snprintf(text, size, "%" PRId64, limit);
	return text;
}

static int set_memory_v2(const struct target *t, const struct resources *l)
{
	/* The document counts memory and swap together, the kernel apart. */
	const int64_t swap = l->memory.swap > 0 && l->memory.limit > 0
				     ? l->memory.swap - l->memory.limit
				     : l->memory.swap;
	char text[32];
	int r = 0;

	if (l->memory.limit)
		r = set(t, "", "memory.max", false,
			limit_text(l->memory.limit, "max", text, sizeof(text)));
	if (r == 0 && l->memory.reservation)
		r = set(t, "", "memory.low", false,
			limit_text(l->memory.reservation, "max", text,
				   sizeof(text)));
	if (r == 0 && l->memory.swap)
		r = set(t, "", "memory.swap.max", true,
			limit_text(swap, "max", text, sizeof(text)));
	return r;
}

static int set_cpu_v2(const struct target *t, const struct resources *l)
{
	const uint64_t shares = l->cpu.shares < 2	 ? 2
				: l->cpu.shares > 262144 ? 262144
							 : l->cpu.shares;
	const uint64_t period =
		l->cpu.period ? l->cpu.period : CPU_PERIOD_DEFAULT;
	char quota[32];
	char text[64];
	int r = 0;

	if (l->cpu.shares > 0) {
		(void)snprintf(text, sizeof(text), "%" PRIu64,
			       1 + (shares - 2) * 9999 / 262142);
		r = set(t, "", "cpu.weight", false, text);
	}
	if (r == 0 && (l->cpu.quota != 0 || l->cpu.period > 0)) {
		(void)snprintf(text, sizeof(text), "%s %" PRIu64,
			       limit_text(l->cpu.quota > 0 ? l->cpu.quota : -1,
					  "max", quota, sizeof(quota)),
			       period);
		r = set(t, "", "cpu.max", false, text);
	}
	return r;
}

/* A weight of 10..1000 for the scheduler that has the same scale. */
static int set_weight(const struct target *t, const struct resources *l,
		      const char *file)
{
	char text[32];

	if (l->weight == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%u", l->weight);
	return set(t, "blkio", file, true, text);
}

static int set_pids(const struct target *t, const struct resources *l)
{
	char text[32];

	if (l->pids == 0)
		return 0;
	return set(t, "pids", "pids.max", false,
		   limit_text(l->pids, "max", text, sizeof(text)));
}

static int set_v2(const struct target *t, const struct resources *l)
{
	int r = set_memory_v2(t, l);

	if (r == 0)
		r = set_cpu_v2(t, l);
	if (r == 0)
		r = set_pids(t, l);
	return r < 0 ? r : set_weight(t, l, "io.bfq.weight");
}

static int set_memory_v1(const struct target *t, const struct resources *l)
{
	char text[32];
	int r = 0;

	if (l->memory.limit)
		r = set(t, "memory", "memory.limit_in_bytes", false,
			limit_text(l->memory.limit, "-1", text, sizeof(text)));
	if (r == 0 && l->memory.reservation)
		r = set(t, "memory", "memory.soft_limit_in_bytes", false,
			limit_text(l->memory.reservation, "-1", text,
				   sizeof(text)));
	if (r == 0 && l->memory.swap)
		r = set(t, "memory", "memory.memsw.limit_in_bytes", true,
			limit_text(l->memory.swap, "-1", text, sizeof(text)));
	return r;
}

static int set_v1(const struct target *t, const struct resources *l)
{
	char text[32];
	int r = set_memory_v1(t, l);

	if (r == 0 && l->cpu.shares > 0) {
		(void)snprintf(text, sizeof(text), "%" PRIu64, l->cpu.shares);
		r = set(t, "cpu", "cpu.shares", false, text);
	}
	if (r == 0 && l->cpu.period > 0) {
		(void)snprintf(text, sizeof(text), "%" PRIu64, l->cpu.period);
		r = set(t, "cpu", "cpu.cfs_period_us", false, text);
	}
	if (r == 0 && l->cpu.quota != 0) {
		(void)snprintf(text, sizeof(text), "%" PRId64, l->cpu.quota);
		r = set(t, "cpu", "cpu.cfs_quota_us", false, text);
	}
	if (r == 0)
		r = set_pids(t, l);
	return r < 0 ? r : set_weight(t, l, "blkio.bfq.weight");
}

int cgroup_pod_create(const struct cgroups *c, const char *path,
		      const char *resources, struct arena *scratch,
		      struct err *e)
{
	const struct target t = { .c = c, .path = path, .e = e };
	struct resources l = { 0 };
	int r = resources ? read_resources(resources, scratch, &l, e) : 0;

	if (r == 0)
		r = cgroup_make(c, path, true, e);
	if (r < 0)
		return r;
	r = c->version == CGROUP_V2 ? set_v2(&t, &l) : set_v1(&t, &l);
	if (r < 0) {
		/* What we could not limit is not left behind. */
		(void)cgroup_remove(c, path, NULL);
		return err_wrap(e, "cgroup %.64s", path);
	}
	return 0;
}
