#include "config/numa.h"

#include <inttypes.h>

/* The reference looks for > 64, so that its largest number is 64. */
#define VIRTUAL_MAX_COMPAT 64u
#define VIRTUAL_MAX_STRICT 63u
#define PHYSICAL_MAX 63u

#define MAPPED_KEY                                                             \
	"io.microsoft.virtualmachine.computetopology.numa.mapped-physical-nodes"

static int check_node(const struct sandbox_options *o, uint32_t i,
		      struct err *e)
{
	const uint32_t node = o->numa_mapped.item[i];
	const bool any = node == NUMA_ANY_NODE;
	const bool first_any = o->numa_mapped.item[0] == NUMA_ANY_NODE;
	const uint32_t last = o->strictness == STRICT ? VIRTUAL_MAX_STRICT
						      : VIRTUAL_MAX_COMPAT;

	if (i > last || (!any && node > PHYSICAL_MAX))
		return err_class(e, ERR_NUMA_NODE_RANGE,
				 "NUMA node %" PRIu32 " on node %" PRIu32
				 " of the host: the numbers are too large",
				 i, node);
	if (any != first_any)
		return err_class(e, ERR_NUMA_WILDCARD_MIX,
				 "either all NUMA nodes are on any node of the "
				 "host (255), or none");
	if (o->numa_memory_blocks.item[i] == 0)
		return err_class(e, ERR_NUMA_ZERO_MEMORY,
				 "NUMA node %" PRIu32 " has no memory", i);
	return 0;
}

static int check_explicit(const struct sandbox_options *o, struct err *e)
{
	const size_t n = o->numa_mapped.n;
	uint32_t any_processors = 0;
	int r = 0;

	if (o->numa_processors.n != n || o->numa_memory_blocks.n != n)
		return err_class(e, ERR_NUMA_COUNT_MISMATCH,
				 "%zu mapped NUMA nodes, %zu processor counts, "
				 "%zu memory sizes",
				 n, o->numa_processors.n,
				 o->numa_memory_blocks.n);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = check_node(o, (uint32_t)i, e);
		any_processors |= o->numa_processors.item[i];
	}
	if (r == 0 && any_processors == 0)
		r = err_class(e, ERR_NUMA_PARTIAL,
			      "no NUMA node has a processor");
	return r;
}

/* Sums are modulo 2^32 and 2^64, as in the reference; strict: they must fit. */
static int check_totals(const struct sandbox_options *o, struct err *e)
{
	uint32_t processors = 0;
	uint64_t memory = 0;
	bool over_processors = false, over_memory = false;

	for (size_t i = 0; i < o->numa_mapped.n; i++) {
		over_processors |= __builtin_add_overflow(
			processors, o->numa_processors.item[i], &processors);
		over_memory |= __builtin_add_overflow(
			memory, o->numa_memory_blocks.item[i], &memory);
	}
	if (o->strictness == COMPAT)
		over_processors = over_memory = false;

	if (over_processors || processors != o->processor_count)
		return err_class(e, ERR_NUMA_CPU_TOTAL,
				 "the NUMA nodes have other processors in all "
				 "than the %" PRIu32 " of the sandbox",
				 o->processor_count);
	if (over_memory || memory != o->memory_mib)
		return err_class(e, ERR_NUMA_MEMORY_TOTAL,
				 "the NUMA nodes have other memory in all than "
				 "the %" PRIu64 " MiB of the sandbox",
				 o->memory_mib);
	return 0;
}

static void note_half_filled(struct sandbox_options *o)
{
	if (o->numa_max_size_mib || o->numa_preferred.n ||
	    o->numa_processors.n || o->numa_memory_blocks.n)
		notes_add(&o->notes, &o->arena, NOTE_WARNING, ERR_NONE,
			  MAPPED_KEY,
			  "neither this nor max-processors-per-node is set, so "
			  "the other NUMA settings have no effect");
}

int numa_check(struct sandbox_options *o, struct err *e)
{
	int r = 0;

	if (o->numa_max_processors == 0 && o->numa_mapped.n == 0) {
		note_half_filled(o);
		return 0;
	}

	o->numa = o->numa_max_processors ? NUMA_IMPLICIT : NUMA_EXPLICIT;
	if (o->numa == NUMA_EXPLICIT)
		r = check_explicit(o, e);
	else if (o->numa_max_size_mib == 0)
		r = err_class(e, ERR_NUMA_IMPLICIT_INCOMPLETE,
			      "NUMA nodes have a largest number of processors "
			      "and no largest size");
	if (r < 0)
		return r;

	if (o->overcommit)
		return err_class(e, ERR_NUMA_NEEDS_PHYSICAL,
				 "NUMA needs memory that is physically backed");
	return o->numa == NUMA_EXPLICIT ? check_totals(o, e) : 0;
}
