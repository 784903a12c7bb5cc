#include "tools/run_args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/json_check.h"
#include "config/num.h"
#include "config/text.h"
#include "config/util.h"
#include "tools/annotations_file.h"
#include "tools/qemu/rundir.h"
#include "tools/tool.h"

#define MEMORY_MIN_MIB 64
#define MEMORY_MAX_MIB (1 << 24)
#define PROCESSORS_MAX 255
#define SCRATCH_MIN_MIB 8
#define SCRATCH_MAX_MIB (8 << 20)
/* Bytes of a refused text that are shown. */
#define SHOWN_MAX 40

static const char help[] =
	"usage: ferry run [OPTION...] [--] COMMAND [ARG...]\n"
	"       ferry run [OPTION...] --bundle DIR [--] [COMMAND [ARG...]]\n"
	"       ferry run [OPTION...] --pod FILE\n"
	"       ferry run --detach [OPTION...] [[--] COMMAND [ARG...]]\n"
	"       ferry run --detach [OPTION...] --bundle DIR\n"
	"\n"
	"Boots a utility VM from annotations, runs COMMAND in it and ends with\n"
	"its exit code. With --detach the UVM goes on until 'ferry stop'.\n"
	"\n"
	"  --bundle DIR             an OCI bundle; COMMAND, --env and --workdir are\n"
	"                           stronger than its config.json\n"
	"  --pod FILE               containers of a pod, see ferry-pod(5)\n"
	"  --disk-format auto|erofs|ext4\n"
	"                           of disks made of root file systems\n"
	"  --scratch MIB            what the container may write (10240)\n"
	"  --network none|user      of the container; user: outward only\n"
	"  --annotation KEY=VALUE   an annotation of the sandbox; repeatable\n"
	"  --annotations FILE|-     annotations as a JSON map or in a config.json\n"
	"  --config FILE            in place of /etc/ferry/ferry.conf and its folder\n"
	"  --kernel FILE            kernel, vmlinux or bzImage\n"
	"  --image FILE             initramfs, see 'ferry image'\n"
	"  --memory MIB             memory, unless an annotation says\n"
	"  --processors N           processors, unless an annotation says\n"
	"  --forwarder MODE         classic, migratable or relay\n"
	"  -t, --tty                COMMAND gets a terminal; implies -i\n"
	"  -i, --interactive        COMMAND gets stdin even from a terminal\n"
	"  --env KEY=VALUE          a variable for COMMAND; repeatable\n"
	"  --workdir DIR            working directory of COMMAND\n"
	"  --console                serial console of the UVM on stderr\n"
	"  --accel auto|kvm|tcg     accelerator\n"
	"  --vsock auto|kernel|user who serves the vsock device\n"
	"  --qemu PROGRAM           another qemu-system-x86_64\n"
	"  -d, --detach             end when the sandbox is ready, print its name\n"
	"  --name NAME              of a detached sandbox\n"
	"  --timeout S              end it all after S seconds, exit code 124\n"
	"  --boot-timeout S         wait S seconds for the UVM to call\n"
	"  --verbose                phases with times, log of the agent\n"
	"  --json                   events as JSON lines on stderr\n"
	"\n"
	"Exit code: that of COMMAND; 124 timeout, 125 ferry failed, 126 COMMAND\n"
	"is not executable, 127 it was not found, 2 bad usage or annotations.\n";

enum option_id {
	OPT_ANNOTATION = 256,
	OPT_ANNOTATIONS,
	OPT_CONFIG,
	OPT_KERNEL,
	OPT_IMAGE,
	OPT_MEMORY,
	OPT_PROCESSORS,
	OPT_FORWARDER,
	OPT_ENV,
	OPT_WORKDIR,
	OPT_CONSOLE,
	OPT_ACCEL,
	OPT_VSOCK,
	OPT_QEMU,
	OPT_TIMEOUT,
	OPT_BOOT_TIMEOUT,
	OPT_NAME,
	OPT_VERBOSE,
	OPT_JSON,
	OPT_BUNDLE,
	OPT_POD,
	OPT_DISK_FORMAT,
	OPT_SCRATCH,
	OPT_NETWORK,
};

static const struct option options[] = {
	{ "annotation", required_argument, NULL, OPT_ANNOTATION },
	{ "annotations", required_argument, NULL, OPT_ANNOTATIONS },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "image", required_argument, NULL, OPT_IMAGE },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "processors", required_argument, NULL, OPT_PROCESSORS },
	{ "forwarder", required_argument, NULL, OPT_FORWARDER },
	{ "env", required_argument, NULL, OPT_ENV },
	{ "workdir", required_argument, NULL, OPT_WORKDIR },
	{ "console", no_argument, NULL, OPT_CONSOLE },
	{ "accel", required_argument, NULL, OPT_ACCEL },
	{ "vsock", required_argument, NULL, OPT_VSOCK },
	{ "qemu", required_argument, NULL, OPT_QEMU },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "boot-timeout", required_argument, NULL, OPT_BOOT_TIMEOUT },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "detach", no_argument, NULL, 'd' },
	{ "bundle", required_argument, NULL, OPT_BUNDLE },
	{ "pod", required_argument, NULL, OPT_POD },
	{ "disk-format", required_argument, NULL, OPT_DISK_FORMAT },
	{ "scratch", required_argument, NULL, OPT_SCRATCH },
	{ "network", required_argument, NULL, OPT_NETWORK },
	{ "tty", no_argument, NULL, 't' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int forwarder(const char *text, enum log_forwarder *ret, struct err *e)
{
	const enum log_forwarder f = log_forwarder_find(text);

	if (f == FORWARDERS)
		return err_set(e, EINVAL,
			       "forwarder '%s' is not classic, migratable or "
			       "relay",
			       text);
	*ret = f;
	return 0;
}

int run_args_env(char *word, struct msg_pairs *env, struct err *e)
{
	char *equals = strchr(word, '=');

	if (!equals || equals == word)
		return err_set(e, EINVAL, "'%.100s' is not KEY=VALUE", word);
	*equals = '\0';
	for (size_t i = 0; i < env->n; i++) {
		if (strcmp(env->item[i].name, word) == 0) {
			env->item[i].value = equals + 1;
			return 0;
		}
	}
	env->item[env->n++] =
		(struct msg_pair){ .name = word, .value = equals + 1 };
	return 0;
}

/* Unless the user has it; there is room for RUN_ARGS_ENV_DEFAULTS more. */
static void env_default(struct msg_pairs *env, const char *name,
			const char *value)
{
	for (size_t i = 0; i < env->n; i++)
		if (strcmp(env->item[i].name, name) == 0)
			return;
	env->item[env->n++] = (struct msg_pair){ .name = name, .value = value };
}

void run_args_env_defaults(struct msg_pairs *env, bool tty)
{
	const char *term = getenv("TERM");

	env_default(env, "PATH", RUN_PATH);
	env_default(env, "HOME", RUN_HOME);
	if (tty)
		env_default(env, "TERM", term && *term ? term : "linux");
}

/* One option that has an argument; those of them that can be wrong. */
static int take(struct run_args *a, int id, char *value, struct err *e)
{
	switch (id) {
	case OPT_ANNOTATION:
		return annotations_argument(value, &a->annotations, e);
	case OPT_ANNOTATIONS:
		return annotations_file_read(value, &a->annotations, e);
	case OPT_MEMORY:
		return num_i32(value, MEMORY_MIN_MIB, MEMORY_MAX_MIB,
			       &a->memory_mib, e);
	case OPT_PROCESSORS:
		return num_i32(value, 1, PROCESSORS_MAX, &a->processors, e);
	case OPT_FORWARDER:
		return forwarder(value, &a->forwarder, e);
	case OPT_ENV:
		return run_args_env(value, &a->env, e);
	case OPT_NAME:
		a->name = value;
		return rundir_name_check(value, e);
	case OPT_ACCEL:
		return accel_parse(value, &a->accel, e);
	case OPT_VSOCK:
		return vhost_parse(value, &a->vsock, e);
	case OPT_TIMEOUT:
		return num_u32(value, 1, RUN_SECONDS_MAX, &a->timeout_s, e);
	case OPT_BOOT_TIMEOUT:
		return num_u32(value, 1, RUN_SECONDS_MAX, &a->boot_timeout_s,
			       e);
	case OPT_DISK_FORMAT:
		return disk_fs_parse(value, &a->fs, e);
	case OPT_SCRATCH:
		return num_u32(value, SCRATCH_MIN_MIB, SCRATCH_MAX_MIB,
			       &a->scratch_mib, e);
	case OPT_NETWORK:
		return pod_network_parse(value, &a->network, e);
	default:
		return err_set(e, EINVAL, "option %d", id);
	}
}

/* One option that cannot be wrong; false: not one of them. */
static bool set(struct run_args *a, int id, const char *value)
{
	switch (id) {
	case OPT_CONFIG:
		a->config = value;
		return true;
	case OPT_KERNEL:
		a->kernel = value;
		return true;
	case OPT_IMAGE:
		a->image = value;
		return true;
	case OPT_QEMU:
		a->qemu = value;
		return true;
	case OPT_WORKDIR:
		a->workdir = value;
		return true;
	case OPT_BUNDLE:
		a->bundle = value;
		return true;
	case OPT_POD:
		a->pod = value;
		return true;
	case OPT_CONSOLE:
		return a->console = true;
	case OPT_VERBOSE:
		return a->verbose = true;
	case OPT_JSON:
		return a->json = true;
	case 't':
		a->interactive = true;
		return a->tty = true;
	case 'i':
		return a->interactive = true;
	case 'd':
		return a->detach = true;
	default:
		return false;
	}
}

static const char *option_name(int id)
{
	for (size_t i = 0; options[i].name; i++)
		if (options[i].val == id)
			return options[i].name;
	return "?";
}

static bool is_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t left = strlen(text);

	while (left > 0) {
		const size_t n = json_utf8(s, left);

		if (n == 0)
			return false;
		s += n;
		left -= n;
	}
	return true;
}

int run_args_check(const struct msg_strings *command,
		   const struct msg_pairs *env, const char *workdir,
		   struct err *e)
{
	char safe[4 * SHOWN_MAX + 8];
	struct text shown;

	text_fixed(&shown, safe, sizeof(safe));
	for (size_t i = 0; i < command->n; i++) {
		if (is_utf8(command->item[i]))
			continue;
		text_quote(&shown, command->item[i], SHOWN_MAX);
		return err_set(e, EILSEQ,
			       "word %zu of COMMAND, '%s', is not UTF-8", i + 1,
			       text_str(&shown));
	}
	for (size_t i = 0; i < env->n; i++) {
		const struct msg_pair *p = &env->item[i];

		if (is_utf8(p->name) && is_utf8(p->value))
			continue;
		text_quote(&shown, p->name, SHOWN_MAX);
		return err_set(e, EILSEQ, "--env: '%s' is not UTF-8",
			       text_str(&shown));
	}
	if (is_utf8(workdir))
		return 0;
	text_quote(&shown, workdir, SHOWN_MAX);
	return err_set(e, EILSEQ, "--workdir: '%s' is not UTF-8",
		       text_str(&shown));
}

/* One of three things is run, and each has options of its own. */
static int check_kind(const struct run_args *a, struct err *e)
{
	if (a->bundle && a->pod)
		return err_set(e, EINVAL, "--bundle or --pod, not both");
	if (a->pod && (a->command.n || a->env.n || *a->workdir || a->tty))
		return err_set(
			e, EINVAL,
			"--pod takes its commands and terminals from FILE");
	if (a->detach && a->pod)
		return err_set(e, EINVAL,
			       "--detach takes a --bundle, no --pod");
	if (a->detach && a->bundle &&
	    (a->command.n || a->env.n || *a->workdir || a->scratch_mib ||
	     a->fs != DISK_FS_AUTO || a->network != POD_NETWORK_NONE))
		return err_set(
			e, EINVAL,
			"--detach runs a bundle as its config.json says");
	if (!a->bundle && (a->scratch_mib || a->network != POD_NETWORK_NONE))
		return err_set(e, EINVAL,
			       "--scratch and --network are for "
			       "--bundle");
	if (!a->bundle && !a->pod && !a->detach && a->command.n == 0)
		return err_set(e, EINVAL, "no command");
	if (a->detach && (a->interactive || a->timeout_s))
		return err_set(e, EINVAL,
			       "--detach goes without -t, -i and --timeout");
	if (a->name && !a->detach)
		return err_set(e, EINVAL, "--name goes with --detach");
	return 0;
}

static enum run_args_result scan(int argc, char **argv, struct run_args *a)
{
	struct err e;
	int id;

	optind = 0; /* getopt starts anew, whoever called it before */
	while ((id = getopt_long(argc, argv, "+tidh", options, NULL)) != -1) {
		if (id == 'h') {
			(void)fputs(help, stdout);
			return RUN_ARGS_HELP;
		}
		if (id == '?') {
			(void)tool_try("run");
			return RUN_ARGS_WRONG;
		}
		if (!set(a, id, optarg) && take(a, id, optarg, &e) < 0) {
			(void)tool_usage("run", "--%s: %s", option_name(id),
					 e.text);
			return RUN_ARGS_WRONG;
		}
	}
	while (optind < argc)
		a->command.item[a->command.n++] = argv[optind++];
	if (check_kind(a, &e) == 0 &&
	    run_args_check(&a->command, &a->env, a->workdir, &e) == 0)
		return RUN_ARGS_GO;
	(void)tool_usage("run", "%s", e.text);
	return RUN_ARGS_WRONG;
}

enum run_args_result run_args_parse(int argc, char **argv, struct run_args *ret)
{
	enum run_args_result r;

	*ret = (struct run_args){
		.workdir = "",
		.forwarder = FORWARDERS,
		/* There are fewer of either than words. */
		.env.item = calloc((size_t)argc + RUN_ARGS_ENV_DEFAULTS,
				   sizeof(struct msg_pair)),
		.command.item = calloc((size_t)argc, sizeof(const char *)),
	};
	annotation_map_init(&ret->annotations);
	if (!ret->env.item || !ret->command.item) {
		(void)fputs("ferry: out of memory\n", stderr);
		return RUN_ARGS_WRONG;
	}
	r = scan(argc, argv, ret);
	/* A bundle brings its own. */
	if (r == RUN_ARGS_GO && !ret->bundle && !ret->pod)
		run_args_env_defaults(&ret->env, ret->tty);
	return r;
}

void run_args_done(struct run_args *a)
{
	annotation_map_done(&a->annotations);
	free(a->env.item);
	free(a->command.item);
	a->env.item = NULL;
	a->command.item = NULL;
}
