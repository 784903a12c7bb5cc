/*
 * Theory of operation. The annotations are merged with the defaults and
 * expanded in a map of our own; then each row of the catalogue puts its text
 * into its member (sandbox_options_read); then the rules that look at more
 * than one annotation run in the order of the specification, because the
 * first error wins.
 */
#include "config/options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "config/annotations.h"
#include "config/boot.h"
#include "config/confidential.h"
#include "config/devices.h"
#include "config/effect.h"
#include "config/migratable.h"
#include "config/numa.h"
#include "config/text.h"
#include "config/topology.h"
#include "config/util.h"

/* How much of a value or key an error shows. */
#define SHOWN_MAX 64
#define SHOWN_SIZE (4 * SHOWN_MAX + 4)

#define SKIP_NETWORK_KEY "io.microsoft.cri.skip-pod-networking"
#define PIPE_PREFIX "\\\\.\\pipe\\"

static const char *const forwarder_names[] = {
	[FORWARDER_CLASSIC] = "classic",
	[FORWARDER_MIGRATABLE] = "migratable",
	[FORWARDER_RELAY] = "relay",
};
static_assert(ARRAY_LEN(forwarder_names) == FORWARDERS,
	      "a forwarder has no name");

const char *log_forwarder_name(enum log_forwarder f)
{
	return f < FORWARDERS ? forwarder_names[f] : "unset";
}

enum log_forwarder log_forwarder_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(forwarder_names); i++)
		if (strcmp(name, forwarder_names[i]) == 0)
			return (enum log_forwarder)i;
	return FORWARDERS;
}

static void *member(struct sandbox_options *o, const struct annotation_row *row)
{
	return (char *)o + row->member;
}

void sandbox_options_init(struct sandbox_options *o)
{
	memset(o, 0, sizeof(*o));
	arena_init(&o->arena, 4 * ANNOTATIONS_BYTES_MAX);

	o->architecture = "amd64";
	o->processor_count = 2;
	o->memory_mib = 1024;
	o->overcommit = true;
	o->kernel_direct = true;
	o->kernel = "";
	o->rootfs = ROOTFS_INITRD;
	o->log_level = "";
	o->root_device = "/dev/sda";
	o->console_device = "ttyS0,115200";
	o->pci_bus = true;

	for (size_t i = 0; i < annotation_rows_n; i++) {
		const struct annotation_row *row = &annotation_rows[i];

		if (row->member == ANNOTATION_NO_MEMBER || !row->deflt)
			continue;
		if (row->kind == VALUE_STRING)
			*(const char **)member(o, row) = row->deflt;
		else
			(void)value_parse(row->kind, row->deflt, &o->arena,
					  member(o, row)); /* tested */
	}
}

void sandbox_options_done(struct sandbox_options *o)
{
	arena_done(&o->arena);
}

static const char *shown(char buf[SHOWN_SIZE], const char *text)
{
	struct text t;

	text_fixed(&t, buf, SHOWN_SIZE);
	text_quote(&t, text, SHOWN_MAX);
	return buf;
}

static int malformed(struct sandbox_options *o,
		     const struct annotation_row *row, const char *text,
		     struct err *e)
{
	char buf[SHOWN_SIZE];

	(void)shown(buf, text);
	if (o->strictness == STRICT)
		return err_class(e, ERR_ANNOTATION_MALFORMED,
				 "%s wants a %s, not '%s'", row->key,
				 value_kind_name(row->kind), buf);

	notes_add(&o->notes, &o->arena, NOTE_DEFAULTED,
		  ERR_ANNOTATION_MALFORMED, row->key,
		  "'%s' is not a %s: the default stands", buf,
		  value_kind_name(row->kind));
	return 0;
}

static int out_of_range(const struct annotation_row *row, uint64_t value,
			bool minus, struct err *e)
{
	return err_class(e, ERR_ANNOTATION_RANGE,
			 "%s: %s%" PRIu64 " is not in %" PRIu64 "..%" PRIu64,
			 row->key, minus ? "-" : "", value, row->min, row->max);
}

/* Strict mode: numbers of a row that has a range. */
static int check_range(const struct annotation_row *row, const void *p,
		       struct err *e)
{
	uint64_t value[1] = { row->min };
	const struct u32_list *list = p;
	int64_t i32;

	if (row->max == 0)
		return 0;
	if (row->kind == VALUE_UINT32_LIST) {
		for (size_t i = 0; i < list->n; i++)
			if (list->item[i] < row->min ||
			    list->item[i] > row->max)
				return out_of_range(row, list->item[i], false,
						    e);
		return 0;
	}

	if (row->kind == VALUE_INT32) {
		i32 = *(const int32_t *)p;
		if (i32 < 0)
			return out_of_range(row, (uint64_t)-i32, true, e);
		value[0] = (uint64_t)i32;
	} else if (row->kind == VALUE_UINT32) {
		value[0] = *(const uint32_t *)p;
	} else if (row->kind == VALUE_UINT64) {
		value[0] = *(const uint64_t *)p;
	}
	if (value[0] < row->min || value[0] > row->max)
		return out_of_range(row, value[0], false, e);
	return 0;
}

static bool is_number_list(enum value_kind kind)
{
	return kind == VALUE_UINT32_LIST || kind == VALUE_UINT64_LIST;
}

/*
 * The agent compares skip-pod-networking with "true" in any case, so that "1"
 * means no there and yes for every other bool: only what both read alike.
 */
static bool is_ambiguous(const struct annotation_row *row, const char *text)
{
	return strcmp(row->key, SKIP_NETWORK_KEY) == 0 &&
	       strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0;
}

/* One annotation into its member; a row without one is only checked. */
static int read_row(struct sandbox_options *o, const struct annotation_row *row,
		    const char *text, struct err *e)
{
	uint64_t scratch[2] = { 0 };
	void *to =
		row->member == ANNOTATION_NO_MEMBER ? scratch : member(o, row);
	int r;

	/* An empty list is the default in either mode, without a word. */
	if (is_number_list(row->kind) && *text == '\0')
		return 0;

	r = value_parse(row->kind, text, &o->arena, to);
	if (r == -ENOMEM)
		return err_set(e, ENOMEM, "no memory for annotations");
	if (r < 0)
		return malformed(o, row, text, e);
	if (o->strictness == STRICT && is_ambiguous(row, text))
		return err_class(e, ERR_ANNOTATION_MALFORMED,
				 "%s is true or false, and nothing else means "
				 "the same to the agent",
				 row->key);
	return o->strictness == STRICT ? check_range(row, to, e) : 0;
}

int sandbox_options_read(struct sandbox_options *o,
			 const struct annotation_map *a, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < annotation_rows_n && r == 0; i++) {
		const struct annotation_row *row = &annotation_rows[i];
		const char *text;

		if (row->use == USE_PREFIX)
			continue;
		text = annotation_map_get(a, row->key);
		if (text)
			r = read_row(o, row, text, e);
	}
	return r;
}

/* What the map holds that sets nothing. */
static int look_for_strangers(struct sandbox_options *o,
			      const struct annotation_map *a,
			      const struct runtime_options *r, struct err *e)
{
	char buf[SHOWN_SIZE];

	for (size_t i = 0; i < a->n; i++) {
		const char *key = a->item[i].key;
		const struct annotation_row *row = annotation_find(key);

		if (row && row->use == USE_UNREAD)
			notes_add(&o->notes, &o->arena, NOTE_IGNORED, ERR_NONE,
				  key, "nothing reads this annotation");
		if (row || !annotation_is_ours(key))
			continue;
		if (o->strictness == STRICT && r->unknown_is_error)
			return err_class(e, ERR_ANNOTATION_UNKNOWN,
					 "there is no annotation %s",
					 shown(buf, key));
		notes_add(&o->notes, &o->arena, NOTE_WARNING,
			  ERR_ANNOTATION_UNKNOWN, key,
			  "there is no such annotation");
	}
	return 0;
}

static int choose_platform(struct sandbox_options *o,
			   const struct runtime_options *r, struct err *e)
{
	char buf[SHOWN_SIZE];

	if (!r->platform || strcasecmp(r->platform, "linux/amd64") == 0)
		o->architecture = "amd64";
	else if (strcasecmp(r->platform, "linux/arm64") == 0)
		o->architecture = "arm64";
	else
		return err_class(e, ERR_PLATFORM_UNSUPPORTED,
				 "the platform '%s' is neither linux/amd64 nor "
				 "linux/arm64",
				 shown(buf, r->platform));

	/* The reference looks at the machine that it was built for: amd64. */
	if (o->strictness == STRICT && strcmp(o->architecture, "arm64") == 0) {
		o->console_device = "ttyAMA0,115200";
		/* Hyper-V starts such a kernel through UEFI alone. */
		o->kernel_direct_text = o->profile == PROFILE_QEMU;
	}
	return 0;
}

/* Runtime options that are the defaults of annotations, and the rest. */
static int take_runtime(struct sandbox_options *o,
			const struct annotation_map *a,
			const struct runtime_options *r, struct err *e)
{
	const char *policy = annotation_map_get(
		a, "io.microsoft.virtualmachine.lcow.securitypolicy");
	const char *level = r->log_level ? r->log_level : "";

	o->profile = r->profile;
	o->strictness = r->strictness;
	o->scrub_logs = r->scrub_logs;
	o->console = r->console;
	o->count_text = r->processor_count;
	o->memory_text = (uint64_t)(int64_t)r->memory_mib;
	o->scratch_encryption = policy && *policy != '\0';
	o->log_level = arena_strn(&o->arena, level, strlen(level));
	return o->log_level ? 0 : err_set(e, ENOMEM, "no memory");
}

static int check_console(struct sandbox_options *o, struct err *e)
{
	if (*o->console_pipe == '\0' || o->hardware_confidential)
		return 0;
	if (strncmp(o->console_pipe, PIPE_PREFIX, strlen(PIPE_PREFIX)) != 0)
		return err_class(e, ERR_CONSOLE_INVALID,
				 "the console pipe does not begin with "
				 "\\\\.\\pipe\\");
	o->console = true;
	return 0;
}

/* Steps 4 to 12 of the specification, on the finished map. */
static int build_from(struct sandbox_options *o, const struct annotation_map *a,
		      const struct runtime_options *r, struct err *e)
{
	int rc = annotations_refuse(a, e);

	if (rc == 0)
		rc = choose_platform(o, r, e);
	if (rc == 0)
		rc = sandbox_options_read(o, a, e);
	if (rc == 0)
		rc = look_for_strangers(o, a, r, e);
	if (rc < 0)
		return rc;

	o->hardware_confidential =
		*o->security_policy != '\0' && !o->no_security_hardware;
	if (o->hardware_confidential)
		notes_add(&o->notes, &o->arena, NOTE_WARNING, ERR_NONE, "",
			  "the line of a confidential sandbox is inside its "
			  "measured image: none is built");
	rc = topology_processors(o, r, e);
	if (rc == 0)
		rc = topology_memory(o, e);
	if (rc == 0 && !o->hardware_confidential)
		rc = numa_check(o, e);
	if (rc == 0 && !o->hardware_confidential)
		rc = boot_choose(o, r, e);
	if (rc == 0)
		rc = devices_check(o, r, e);
	if (rc == 0)
		rc = devices_services(o, a, r, e);
	if (rc == 0)
		rc = check_console(o, e);
	if (rc == 0)
		rc = confidential_check(o, r, e);
	if (rc == 0)
		rc = migratable_choose(o, a, r, e);
	if (rc == 0)
		rc = migratable_check(o, a, r, e);
	if (rc == 0)
		effect_note(o, a, r);
	return rc;
}

int sandbox_options_build(struct sandbox_options *o,
			  const struct annotation_map *a,
			  const struct runtime_options *r, struct err *e)
{
	struct annotation_map all;
	int rc;

	if (!r)
		return err_class(e, ERR_NO_OPTIONS,
				 "there are no runtime options");

	annotation_map_init(&all);
	rc = annotation_map_copy(&all, a, e);
	if (rc == 0 && r->defaults)
		rc = annotations_merge(&all, r->defaults, e);
	if (rc == 0)
		rc = take_runtime(o, &all, r, e);
	if (rc == 0)
		rc = annotations_expand(&all, r->strictness == STRICT,
					&o->notes, &o->arena, e);
	if (rc == 0)
		rc = build_from(o, &all, r, e);
	annotation_map_done(&all);
	return rc;
}
