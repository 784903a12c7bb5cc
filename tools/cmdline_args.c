#include "tools/cmdline_args.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "config/num.h"
#include "config/util.h"
#include "tools/annotations_file.h"
#include "tools/conf_load.h"
#include "tools/service_json.h"

static const char help[] =
	"usage: ferry cmdline build [OPTION...]\n"
	"       ferry cmdline parse [--json] LINE|-\n"
	"       ferry cmdline diff A B\n"
	"\n"
	"build prints the kernel command line of a utility VM.\n"
	"  --profile qemu|hyperv      whose words (qemu)\n"
	"  --strict | --compat        refuse what is doubtful (strict), or do as\n"
	"                             the reference does\n"
	"  --forwarder MODE           classic, migratable or relay; else the\n"
	"                             migration annotation decides\n"
	"  --annotation KEY=VALUE     an annotation of the sandbox; repeatable\n"
	"  --annotations FILE|-       annotations as a JSON map or in a config.json\n"
	"  --boot kernel-direct|uefi  how the kernel is started\n"
	"  --rootfs initrd|vhd|NAME   root file system\n"
	"  --console                  a serial console with a shell\n"
	"  --log-level LEVEL          of the agent (info)\n"
	"  --scrub-logs true|false    the agent hides secrets in its log\n"
	"  --processors N             unless an annotation says (2)\n"
	"  --host-processors N        of the host; more are lowered to them\n"
	"  --unknown-error            an unknown annotation is an error\n"
	"  --console-may-stay         a migratable sandbox may have a console pipe\n"
	"  --config FILE              settings that hold where nothing above\n"
	"                             says otherwise, see 'ferry config'\n"
	"  --json                     the whole result as JSON\n"
	"  --explain                  where each word comes from and what became\n"
	"                             of each annotation, in place of the line\n"
	"  --help                     this text\n"
	"\n"
	"parse tells what a kernel keeps of LINE, what init gets, the mode and\n"
	"what would go wrong. diff compares two lines word by word.\n"
	"\n"
	"Exit code: 0; 2 bad usage or input, with 'error: CLASS: SENTENCE' on\n"
	"stderr; 1 everything else; diff: 1 when the lines differ.\n";

enum option_id {
	OPT_PROFILE = 256,
	OPT_STRICT,
	OPT_COMPAT,
	OPT_FORWARDER,
	OPT_ANNOTATION,
	OPT_ANNOTATIONS,
	OPT_CONFIG,
	OPT_BOOT,
	OPT_ROOTFS,
	OPT_CONSOLE,
	OPT_LOG_LEVEL,
	OPT_SCRUB_LOGS,
	OPT_PROCESSORS,
	OPT_HOST_PROCESSORS,
	OPT_UNKNOWN_ERROR,
	OPT_CONSOLE_MAY_STAY,
	OPT_JSON,
	OPT_EXPLAIN,
};

static const struct option options[] = {
	{ "profile", required_argument, NULL, OPT_PROFILE },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "compat", no_argument, NULL, OPT_COMPAT },
	{ "forwarder", required_argument, NULL, OPT_FORWARDER },
	{ "annotation", required_argument, NULL, OPT_ANNOTATION },
	{ "annotations", required_argument, NULL, OPT_ANNOTATIONS },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "boot", required_argument, NULL, OPT_BOOT },
	{ "rootfs", required_argument, NULL, OPT_ROOTFS },
	{ "console", no_argument, NULL, OPT_CONSOLE },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "scrub-logs", required_argument, NULL, OPT_SCRUB_LOGS },
	{ "processors", required_argument, NULL, OPT_PROCESSORS },
	{ "host-processors", required_argument, NULL, OPT_HOST_PROCESSORS },
	{ "console-may-stay", no_argument, NULL, OPT_CONSOLE_MAY_STAY },
	{ "unknown-error", no_argument, NULL, OPT_UNKNOWN_ERROR },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

const char *cmdline_args_help(void)
{
	return help;
}

static unsigned int bit(int id)
{
	return id >= OPT_PROFILE ? 1u << (id - OPT_PROFILE) : 0;
}

bool cmdline_args_given(const struct cmdline_args *a, const char *option)
{
	for (size_t i = 0; options[i].name; i++)
		if (strcmp(options[i].name, option + 2) == 0)
			return a->given & bit(options[i].val);
	return false;
}

/* The place of @text among two words, -EINVAL when it is neither. */
static int one_of(const char *option, const char *text, const char *first,
		  const char *second, struct err *e)
{
	if (strcmp(text, first) == 0)
		return 0;
	if (strcmp(text, second) == 0)
		return 1;
	return err_set(e, EINVAL, "%s is %s or %s, not '%.64s'", option, first,
		       second, text);
}

static int set_forwarder(struct cmdline_args *a, const char *text,
			 struct err *e)
{
	a->runtime.forwarder = log_forwarder_find(text);
	if (a->runtime.forwarder != FORWARDERS)
		return 0;
	return err_set(e, EINVAL,
		       "--forwarder is classic, migratable or relay, not "
		       "'%.64s'",
		       text);
}

static int set_processors(struct cmdline_args *a, const char *text,
			  struct err *e)
{
	uint32_t count = 0;

	if (num_u32(text, 0, UINT32_MAX, &count, e) < 0) {
		(void)err_wrap(e, "--processors");
		return -EINVAL; /* out of range is bad usage as well */
	}
	a->count = count;
	return 0;
}

static int set_host_processors(struct cmdline_args *a, const char *text,
			       struct err *e)
{
	if (num_u32(text, 1, INT32_MAX, &a->runtime.host_processors, e) == 0)
		return 0;
	(void)err_wrap(e, "--host-processors");
	return -EINVAL;
}

/* Options that stand for one of two values. */
static int set_choice(struct cmdline_args *a, int id, const char *text,
		      struct err *e)
{
	struct runtime_options *r = &a->runtime;
	int n;

	if (id == OPT_PROFILE) {
		n = one_of("--profile", text, "qemu", "hyperv", e);
		if (n >= 0)
			r->profile = n ? PROFILE_HYPERV : PROFILE_QEMU;
	} else if (id == OPT_BOOT) {
		n = one_of("--boot", text, "uefi", "kernel-direct", e);
		if (n >= 0)
			r->kernel_direct = n ? TRI_TRUE : TRI_FALSE;
	} else {
		n = one_of("--scrub-logs", text, "false", "true", e);
		if (n >= 0)
			r->scrub_logs = n ? TRI_TRUE : TRI_FALSE;
	}
	return n < 0 ? n : 0;
}

static const char *rootfs_name(const char *text)
{
	if (strcmp(text, "initrd") == 0)
		return ROOTFS_INITRD;
	return strcmp(text, "vhd") == 0 ? ROOTFS_VHD : text;
}

static int set_option(struct cmdline_args *a, int id, const char *text,
		      const char *word, struct err *e)
{
	a->given |= bit(id);
	switch (id) {
	case OPT_PROFILE:
	case OPT_BOOT:
	case OPT_SCRUB_LOGS:
		return set_choice(a, id, text, e);
	case OPT_STRICT:
		a->runtime.strictness = STRICT;
		return 0;
	case OPT_COMPAT:
		a->runtime.strictness = COMPAT;
		return 0;
	case OPT_FORWARDER:
		return set_forwarder(a, text, e);
	case OPT_ANNOTATION:
		return annotations_argument(text, &a->annotations, e);
	case OPT_ANNOTATIONS:
		return annotations_file_read(text, &a->annotations, e);
	case OPT_CONFIG:
		return 0; /* read before all others */
	case OPT_ROOTFS:
		a->runtime.rootfs = rootfs_name(text);
		return 0;
	case OPT_CONSOLE:
		a->runtime.console = true;
		return 0;
	case OPT_LOG_LEVEL:
		a->runtime.log_level = text;
		return 0;
	case OPT_PROCESSORS:
		return set_processors(a, text, e);
	case OPT_HOST_PROCESSORS:
		return set_host_processors(a, text, e);
	case OPT_CONSOLE_MAY_STAY:
		a->runtime.console_may_stay = true;
		return 0;
	case OPT_UNKNOWN_ERROR:
		a->runtime.unknown_is_error = true;
		return 0;
	case OPT_JSON:
		a->json = true;
		return 0;
	case OPT_EXPLAIN:
		a->explain = true;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	case ':':
		return err_set(e, EINVAL, "%.64s needs a value", word);
	default:
		return err_set(e, EINVAL, "unknown option '%.64s'", word);
	}
}

/* Compat mode may be asked for a count that no runtime option can hold. */
static int check_count(struct cmdline_args *a, struct err *e)
{
	if (a->count < 0)
		return 0;
	if (a->count > 0 && a->count <= INT32_MAX) {
		a->runtime.processor_count = (int32_t)a->count;
		return 0;
	}
	if (a->runtime.strictness == COMPAT)
		return 0;
	return err_class(e, ERR_ANNOTATION_RANGE,
			 "--processors %lld is not in 1..%d",
			 (long long)a->count, INT32_MAX);
}

/* Looks for --config alone; what else is wrong is told by the second walk. */
static int find_conf(int argc, char **argv, struct cmdline_args *a,
		     struct err *e)
{
	const char *file = NULL;
	int id, r;

	optind = 1;
	opterr = 0;
	while ((id = getopt_long(argc, argv, "+:h", options, NULL)) != -1)
		if (id == OPT_CONFIG)
			file = optarg;
	if (!file)
		return 0;
	r = conf_load(&a->conf, file, e);
	if (r == 0)
		conf_runtime(&a->conf, &a->runtime);
	return r;
}

int cmdline_args_parse(int argc, char **argv, struct cmdline_args *ret,
		       struct err *e)
{
	const struct runtime_options unset = RUNTIME_OPTIONS_DEFAULT;
	int id, r;

	*ret = (struct cmdline_args){ .runtime = unset, .count = -1 };
	ret->runtime.service_json = service_json;
	annotation_map_init(&ret->annotations);
	conf_init(&ret->conf);

	r = find_conf(argc, argv, ret, e);
	optind = 1;
	while (r == 0 && !ret->help &&
	       (id = getopt_long(argc, argv, "+:h", options, NULL)) != -1)
		r = set_option(ret, id, optarg, argv[optind - 1], e);
	if (r == 0 && !ret->help && optind < argc)
		r = err_set(e, EINVAL, "unexpected argument '%.64s'",
			    argv[optind]);
	if (r == 0)
		r = conf_migration(&ret->conf, &ret->annotations, e);
	return r < 0 ? r : check_count(ret, e);
}

void cmdline_args_done(struct cmdline_args *a)
{
	annotation_map_done(&a->annotations);
	conf_done(&a->conf);
}
