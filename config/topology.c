#include "config/topology.h"

#include <inttypes.h>
#include <string.h>

#define PROCESSORS_DEFAULT 2
#define MEMORY_DEFAULT_MIB 1024u
#define MEMORY_MIN_MIB 64u
#define MEMORY_MAX_MIB (1u << 24)

#define MEMORY_KEY "io.microsoft.virtualmachine.computetopology.memory.sizeinmb"
#define COUNT_KEY "io.microsoft.virtualmachine.computetopology.processor.count"

static bool is_guid(struct sandbox_options *o, const char *text)
{
	const char *ignored;

	return value_parse(VALUE_GUID, text, &o->arena, &ignored) == 0;
}

static int check_placement(struct sandbox_options *o, struct err *e)
{
	if (*o->resource_partition == '\0')
		return 0;
	if (!is_guid(o, o->resource_partition))
		return err_class(e, ERR_RESOURCE_PARTITION_INVALID,
				 "the resource partition id is not a GUID");
	if (*o->cpu_group != '\0')
		return err_class(e, ERR_CPU_GROUP_PARTITION_CONFLICT,
				 "a processor group and a resource partition "
				 "exclude each other");
	return 0;
}

int topology_processors(struct sandbox_options *o,
			const struct runtime_options *r, struct err *e)
{
	int32_t count = o->count_text;

	/* A runtime option of 0 is unset; the row's range has seen the rest. */
	if (o->strictness == STRICT && count < 0)
		return err_class(e, ERR_ANNOTATION_RANGE,
				 "the processor count %" PRId32 " is negative",
				 count);
	if (count <= 0)
		count = r->host_processors == 1 ? 1 : PROCESSORS_DEFAULT;

	o->processor_count = (uint32_t)count;
	if (r->host_processors && o->processor_count > r->host_processors) {
		notes_add(&o->notes, &o->arena, NOTE_CLAMPED, ERR_NONE,
			  COUNT_KEY,
			  "%" PRIu32 " processors lowered to the %" PRIu32
			  " of the host",
			  o->processor_count, r->host_processors);
		o->processor_count = r->host_processors;
	}
	return check_placement(o, e);
}

int topology_memory(struct sandbox_options *o, struct err *e)
{
	uint64_t mib = o->memory_text ? o->memory_text : MEMORY_DEFAULT_MIB;

	if (o->strictness == STRICT &&
	    (mib < MEMORY_MIN_MIB || mib > MEMORY_MAX_MIB))
		return err_class(e, ERR_ANNOTATION_RANGE,
				 "%" PRIu64 " MiB of memory is not in %u..%u",
				 mib, MEMORY_MIN_MIB, MEMORY_MAX_MIB);
	o->memory_mib = mib + (mib & 1);
	if (mib & 1)
		notes_add(&o->notes, &o->arena, NOTE_CLAMPED, ERR_NONE,
			  MEMORY_KEY, "%" PRIu64 " MiB rounded up to %" PRIu64,
			  mib, o->memory_mib);

	o->overcommit = o->allow_overcommit && !o->fully_physically_backed;
	if (o->deferred_commit && !o->overcommit)
		return err_class(e, ERR_DEFERRED_COMMIT_PHYSICAL,
				 "memory cannot be both physically backed and "
				 "committed later");
	if (o->hardware_confidential)
		o->overcommit = false; /* whatever the annotations say */
	return 0;
}
