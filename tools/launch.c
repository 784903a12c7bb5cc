#include "tools/launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmdline/build.h"
#include "tools/conf_load.h"
#include "tools/home.h"
#include "tools/service_json.h"

void launch_init(struct launch *l)
{
	*l = (struct launch){ 0 };
	sandbox_options_init(&l->options);
	conf_init(&l->conf);
}

void launch_done(struct launch *l)
{
	run_args_done(&l->args);
	sandbox_options_done(&l->options);
	conf_done(&l->conf);
}

/* Options of this run are stronger than what the configuration says. */
static int merge(struct launch *l, struct runtime_options *r, struct err *e)
{
	struct run_args *a = &l->args;
	int n = conf_load(&l->conf, a->config, e);

	if (n == 0)
		n = conf_migration(&l->conf, &a->annotations, e);
	if (n < 0)
		return n;
	conf_runtime(&l->conf, r);
	r->profile = PROFILE_QEMU; /* whatever the file builds lines for */
	if (a->memory_mib)
		r->memory_mib = a->memory_mib;
	if (a->processors)
		r->processor_count = a->processors;
	if (a->forwarder != FORWARDERS)
		r->forwarder = a->forwarder;
	r->console = r->console || a->console;
	if (!a->kernel && *conf_text(&l->conf, CONF_BOOT_KERNEL))
		a->kernel = conf_text(&l->conf, CONF_BOOT_KERNEL);
	if (!a->image && *conf_text(&l->conf, CONF_BOOT_IMAGE))
		a->image = conf_text(&l->conf, CONF_BOOT_IMAGE);
	if (!a->boot_timeout_s)
		a->boot_timeout_s = conf_u32(&l->conf, CONF_BOOT_TIMEOUT_S);
	return a->accel == ACCEL_AUTO
		       ? accel_parse(conf_text(&l->conf, CONF_BOOT_ACCEL),
				     &a->accel, e)
		       : 0;
}

int launch_line(struct launch *l, struct err *e)
{
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	int n = merge(l, &r, e);

	r.host_processors = online > 0 ? (uint32_t)online : 0;
	r.rootfs = ROOTFS_INITRD;
	r.service_json = service_json;
	if (n == 0)
		n = sandbox_options_build(&l->options, &l->args.annotations, &r,
					  e);
	if (n == 0)
		n = cmdline_build(&l->options, l->line, sizeof(l->line), e);
	return n < 0 ? n : 0;
}

void launch_notes(const struct launch *l, const struct report *report)
{
	const struct notes *notes = &l->options.notes;
	char text[512];

	for (size_t i = 0; i < notes->n; i++) {
		if (notes->item[i].kind != NOTE_WARNING &&
		    notes->item[i].kind != NOTE_CLAMPED)
			continue;
		(void)snprintf(text, sizeof(text), "%s%s%s", notes->item[i].key,
			       notes->item[i].key[0] ? ": " : "",
			       notes->item[i].text);
		report_warning(report, text);
	}
}

/* A file that the user named, or ferry's own; readable in either case. */
static int find_file(const char *what, const char *given, const char *own,
		     char *out, struct err *e)
{
	int r = 0;

	if (given && strlen(given) < LAUNCH_PATH_MAX)
		memcpy(out, given, strlen(given) + 1);
	else if (given)
		r = err_set(e, ENAMETOOLONG, "too long a path");
	else
		r = tool_lib_path(own, out, LAUNCH_PATH_MAX, e);
	if (r == 0 && access(out, R_OK) < 0)
		r = err_sys(e, "%s", out);
	return r < 0 ? err_wrap(e, "%s", what) : 0;
}

int launch_files(struct launch *l, struct err *e)
{
	int r = find_file("kernel", l->args.kernel, TOOL_LIB_VMLINUX, l->kernel,
			  e);

	/* The set-up could not unpack it: the compressed one is as good. */
	if (r < 0 && !l->args.kernel)
		r = find_file("kernel", NULL, TOOL_LIB_VMLINUZ, l->kernel, e);
	if (r == 0)
		r = find_file("image", l->args.image, TOOL_LIB_INITRAMFS,
			      l->image, e);
	if (r == 0 && l->args.vsock != VHOST_KERNEL)
		r = find_file("vsock library", NULL, TOOL_LIB_VHOST,
			      l->vhost_lib, e);
	return r;
}

struct sandbox_config launch_sandbox(const struct launch *l, struct loop *loop)
{
	return (struct sandbox_config){
		.loop = loop,
		.options = &l->options,
		.line = l->line,
		.qemu = l->args.qemu,
		.kernel = l->kernel,
		.image = l->image,
		.vhost_lib = l->vhost_lib,
		.accel = l->args.accel,
		.vsock = l->args.vsock,
		.boot_timeout_ms = (int)l->args.boot_timeout_s * 1000,
		.console_fd = -1,
		.session = true,
	};
}
