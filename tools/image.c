/* tools/image.c - ferry image: build, list, check, vmlinux, manifest */
#include "tools/image.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/num.h"
#include "config/util.h"
#include "initramfs/cpio.h"
#include "initramfs/vmlinux.h"
#include "tools/image_build.h"
#include "tools/image_check.h"
#include "tools/image_file.h"
#include "tools/tool.h"

static const char help_text[] =
	"usage: ferry image build [OPTION]... -o OUT\n"
	"       ferry image list IMAGE [--json]\n"
	"       ferry image check IMAGE\n"
	"       ferry image manifest\n"
	"       ferry image vmlinux BZIMAGE -o OUT\n"
	"\n"
	"build makes an initramfs image for a utility VM:\n"
	"  --manifest FILE        what goes in (default: see 'image manifest')\n"
	"  --kernel-modules DIR   folder with modules.dep (default: prepared)\n"
	"  --module NAME          load this one too at boot, and what it needs\n"
	"  --add SRC:DST          one more file, in place of what is there\n"
	"  --init FILE, --agent FILE, --vsockexec FILE, --busybox FILE\n"
	"                         programs to take instead of ferry's own\n"
	"  --runtime FILE         OCI runtime to take, with all it loads (default:\n"
	"                         the prepared crun)\n"
	"  --no-busybox           without the manifest's busybox\n"
	"  --no-runtime           without the OCI runtime: a small image that runs\n"
	"                         no containers\n"
	"  -o, --output OUT       file to write; the same input gives the same\n"
	"                         bytes, times are $SOURCE_DATE_EPOCH or 0\n"
	"\n"
	"list shows what an image holds; check tells whether it can boot a\n"
	"utility VM; manifest prints the default manifest; vmlinux unpacks the\n"
	"kernel of a bzImage, which starts sooner.\n";

enum option_id {
	OPT_OUTPUT = 'o',
	OPT_HELP = 'h',
	OPT_MANIFEST = 256,
	OPT_MODULES_DIR,
	OPT_MODULE,
	OPT_ADD,
	OPT_NO_BUSYBOX,
	OPT_NO_RUNTIME,
	OPT_JSON,
	OPT_PROGRAM, /* and one number for each program */
};

static const struct option options[] = {
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "manifest", required_argument, NULL, OPT_MANIFEST },
	{ "kernel-modules", required_argument, NULL, OPT_MODULES_DIR },
	{ "module", required_argument, NULL, OPT_MODULE },
	{ "add", required_argument, NULL, OPT_ADD },
	{ "no-busybox", no_argument, NULL, OPT_NO_BUSYBOX },
	{ "no-runtime", no_argument, NULL, OPT_NO_RUNTIME },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "init", required_argument, NULL, OPT_PROGRAM + IMAGE_INIT },
	{ "vsockexec", required_argument, NULL, OPT_PROGRAM + IMAGE_VSOCKEXEC },
	{ "agent", required_argument, NULL, OPT_PROGRAM + IMAGE_GCS },
	{ "busybox", required_argument, NULL, OPT_PROGRAM + IMAGE_BUSYBOX },
	{ "runtime", required_argument, NULL, OPT_PROGRAM + IMAGE_RUNTIME },
	{ 0 },
};

/* What was given, for any of the verbs. */
struct given {
	struct image_options build;
	bool json;
	bool help;
	const char *only_build; /* an option that no other verb knows */
	const char *file;
};

static int take_extra(const char **list, size_t *count, const char *name)
{
	if (*count == IMAGE_EXTRAS_MAX)
		return tool_usage("image", "more than %d times --%s",
				  IMAGE_EXTRAS_MAX, name);
	list[(*count)++] = optarg;
	return TOOL_OK;
}

static int take_option(struct given *g, int c, const char *name)
{
	struct image_options *b = &g->build;

	if (c == OPT_OUTPUT)
		b->out = optarg;
	else if (c == OPT_HELP)
		g->help = true;
	else if (c == OPT_JSON)
		g->json = true;
	else
		g->only_build = name;

	if (c == OPT_MANIFEST)
		b->manifest = optarg;
	else if (c == OPT_MODULES_DIR)
		b->modules_dir = optarg;
	else if (c == OPT_NO_BUSYBOX)
		b->no_busybox = true;
	else if (c == OPT_NO_RUNTIME)
		b->no_runtime = true;
	else if (c == OPT_MODULE)
		return take_extra(b->modules, &b->modules_count, "module");
	else if (c == OPT_ADD)
		return take_extra(b->adds, &b->adds_count, "add");
	else if (c >= OPT_PROGRAM && c < OPT_PROGRAM + IMAGE_PROGRAMS)
		b->programs[c - OPT_PROGRAM] = optarg;
	return TOOL_OK;
}

/* TOOL_OK, or the exit code of a usage error that was told. */
static int parse(struct given *g, int argc, char **argv)
{
	int at = 0, r;

	optind = 0; /* from the begin, whoever called getopt before */
	opterr = 0;
	for (;;) {
		const int c = getopt_long(argc, argv, ":o:h", options, &at);

		if (c == -1)
			break;
		if (c == ':')
			return tool_usage("image", "%s wants a value",
					  argv[optind - 1]);
		if (c == '?')
			return tool_usage("image", "no option %s",
					  argv[optind - 1]);
		r = take_option(g, c, options[at].name);
		if (r != TOOL_OK)
			return r;
	}
	if (optind < argc)
		g->file = argv[optind++];
	if (optind < argc)
		return tool_usage("image", "too many files: %s", argv[optind]);
	return TOOL_OK;
}

static int source_date(uint32_t *ret, struct err *e)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");

	*ret = 0;
	if (!text || !text[0])
		return 0;
	if (num_u32(text, 0, UINT32_MAX, ret, e) < 0)
		return err_wrap(e, "SOURCE_DATE_EPOCH");
	return 0;
}

static int verb_build(const struct given *g)
{
	struct image_options o = g->build;
	struct err e = { 0 };

	if (g->file)
		return tool_usage("image", "build takes no file: %s", g->file);
	if (!o.out)
		return tool_usage("image", "build wants -o OUT");
	if (source_date(&o.mtime, &e) < 0 || image_build(&o, &e) < 0)
		return tool_fail(&e);
	return TOOL_OK;
}

static int verb_list(const struct given *g)
{
	cleanup_free void *image = NULL;
	struct err e = { 0 };
	size_t len;

	if (image_file_read(g->file, CPIO_IMAGE_MAX, &image, &len, &e) < 0)
		return tool_fail(&e);
	if (image_list(image, len, g->json, stdout, &e) < 0) {
		(void)err_wrap(&e, "%s", g->file);
		return tool_fail(&e);
	}
	return TOOL_OK;
}

static int verb_check(const struct given *g)
{
	cleanup_free void *image = NULL;
	struct image_summary s;
	struct err e = { 0 };
	size_t len;

	if (image_file_read(g->file, CPIO_IMAGE_MAX, &image, &len, &e) < 0)
		return tool_fail(&e);
	if (image_check(image, len, stderr, &s, &e) < 0) {
		(void)err_wrap(&e, "%s", g->file);
		return tool_fail(&e);
	}
	(void)printf(
		"%s: %zu files, archives: %zu, modules at boot: %zu, problems: %zu\n",
		g->file, s.files, s.archives, s.modules, s.problems);
	return s.problems ? TOOL_FAILURE : TOOL_OK;
}

static int verb_manifest(const struct given *g UNUSED)
{
	if (fputs(image_manifest_default, stdout) < 0 || fflush(stdout) != 0)
		return TOOL_FAILURE;
	return TOOL_OK;
}

static int unpack_to(const char *file, const char *path, struct err *e)
{
	cleanup_free void *packed = NULL;
	cleanup_free void *kernel = NULL;
	struct image_out out;
	size_t packed_len;
	size_t len;
	int r;

	r = image_file_read(file, VMLINUX_PACKED_MAX, &packed, &packed_len, e);
	if (r < 0)
		return r;
	r = vmlinux_unpack(packed, packed_len, &kernel, &len, e);
	if (r < 0)
		return err_wrap(e, "%s", file);
	r = image_out_open(&out, path, e);
	if (r == 0)
		r = image_out_put(&out, kernel, len, e);
	if (r == 0)
		r = image_out_commit(&out, e);
	image_out_done(&out);
	return r;
}

static int verb_vmlinux(const struct given *g)
{
	struct err e = { 0 };

	if (!g->build.out)
		return tool_usage("image", "vmlinux wants -o OUT");
	return unpack_to(g->file, g->build.out, &e) < 0 ? tool_fail(&e)
							: TOOL_OK;
}

static const struct {
	const char *name;
	int (*run)(const struct given *g);
	bool wants_file;
} verbs[] = {
	{ "build", verb_build, false },	   { "list", verb_list, true },
	{ "check", verb_check, true },	   { "manifest", verb_manifest, false },
	{ "vmlinux", verb_vmlinux, true },
};

int tool_image(int argc, char **argv)
{
	struct given g = { 0 };
	size_t i = 0;
	int r;

	if (argc < 2)
		return tool_usage("image",
				  "build, list, check, manifest or vmlinux?");
	while (i < ARRAY_LEN(verbs) && strcmp(verbs[i].name, argv[1]) != 0)
		i++;
	if (i == ARRAY_LEN(verbs) && argv[1][0] != '-')
		return tool_usage("image", "no such thing as '%s'", argv[1]);
	r = i == ARRAY_LEN(verbs) ? parse(&g, argc, argv)
				  : parse(&g, argc - 1, argv + 1);
	if (r != TOOL_OK)
		return r;
	if (g.help) {
		(void)fputs(help_text, stdout);
		return TOOL_OK;
	}
	if (i == ARRAY_LEN(verbs))
		return tool_usage("image", "%s without a verb", argv[1]);
	if (verbs[i].run != verb_build && g.only_build)
		return tool_usage("image", "--%s: only build takes it",
				  g.only_build);
	if (verbs[i].wants_file && !g.file)
		return tool_usage("image", "%s wants a file", verbs[i].name);
	return verbs[i].run(&g);
}
