/*
 * init - PID 1 of the UVM
 *
 * Theory of operation. The steps of the table below run once, in order; one
 * that must succeed and does not ends the UVM with its reason, any other is a
 * warning. Then init/supervise.h runs for ever. Nothing is allocated, nothing
 * that a peer does can block, and there is no exit but power-off (init/end.h).
 * Steps, order and failures: shared specification cmdline.md 8.2.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "cmdline/initargs.h"
#include "cmdline/mode.h"
#include "config/util.h"
#include "init/cgroup.h"
#include "init/end.h"
#include "init/entropy.h"
#include "init/klog.h"
#include "init/launch.h"
#include "init/modules.h"
#include "init/mounts.h"
#include "init/net.h"
#include "init/ring.h"
#include "init/supervise.h"

static struct init_args args;
static struct mode mode;
static struct ring ring = { .fd = -1 };
static int main_argc;
static char **main_argv;

static void warn(const struct err *e)
{
	klog(KLOG_WARN, "%s", e->text);
}

static int do_limits(struct err *e)
{
	static const struct rlimit files = { LAUNCH_NOFILE_SOFT,
					     LAUNCH_NOFILE_HARD };

	if (prlimit(0, RLIMIT_NOFILE, &files, NULL) < 0)
		return err_sys(e, "limit of descriptors");
	return 0;
}

/* With no usable console the kernel opens none of 0 to 2 for PID 1. */
static int do_descriptors(struct err *e)
{
	const int r = fd_std_open();

	if (r < 0)
		return err_set(e, -r, "descriptors 0 to 2: %s", strerror(-r));
	return 0;
}

static int do_log(struct err *e)
{
	const int r = ring_open(&ring, e);

	klog_open(&ring);
	return r;
}

static int do_arguments(struct err *e)
{
	const int r = initargs_parse(main_argc, main_argv, &args, e);

	if (r < 0)
		return r;
	if (args.defaulted)
		klog(KLOG_WARN, "no command given, running %s",
		     args.command[0]);
	mode = mode_choose(args.command);
	return 0;
}

static int do_cgroup(struct err *e)
{
	return cgroup_setup(warn, e) < 0 ? -e->code : 0;
}

static int do_modules(struct err *e)
{
	return modules_load(MODULES_LIST, MODULES_DEVICES, modules_insert, warn,
			    e);
}

static int do_overlay(struct err *e)
{
	return args.overlay ? mounts_overlay(e) : 0;
}

static int do_entropy(struct err *e)
{
	static const struct transport host = { .kind = TRANSPORT_VSOCK,
					       .cid = TRANSPORT_CID_HOST };
	static unsigned char buf[ENTROPY_MAX];
	size_t len = 0;
	int r = 0;

	if (args.entropy_port == 0)
		return 0;
	r = entropy_read(&host, args.entropy_port, buf, ENTROPY_DEADLINE_MS,
			 &len, e);
	if (r < 0) {
		(void)err_wrap(e, "entropy, after %zu bytes", len);
		warn(e);
	}
	return len > 0 ? pool_credit(buf, len, e) : 0;
}

static int do_services(struct err *e)
{
	static char persistenced[] = "/bin/nvidia-persistenced";
	static char fabric[] = "/bin/nv-fabricmanager";
	static char fabric_c[] = "-c";
	static char fabric_cfg[] =
		"/usr/share/nvidia/nvswitch/fabricmanager.cfg";
	static char *const services[][4] = {
		{ persistenced, NULL },
		{ fabric, fabric_c, fabric_cfg, NULL },
	};
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct launch l = { services[i], -1, -1, -1 };

		if (access(services[i][0], X_OK) == 0 &&
		    launch_start(&l, &pid, e) < 0)
			warn(e);
	}
	return 0;
}

/* @must: the reference ends here when it fails, and so does the UVM. */
static const struct {
	const char *name;
	int (*run)(struct err *e);
	bool must;
} steps[] = {
	{ "limits", do_limits, true },
	{ "/dev", mounts_dev, true },
	{ "descriptors", do_descriptors, true },
	{ "log", do_log, false },
	{ "arguments", do_arguments, true },
	{ "mounts", mounts_base, true },
	{ "cgroups", do_cgroup, false },
	{ "loopback", net_lo_up, true },
	{ "modules", do_modules, false },
	{ "overlays", do_overlay, true },
	{ "entropy", do_entropy, false },
	{ "services", do_services, false },
};

int main(int argc, char **argv)
{
	static const char refuse[] = "init: this is for process 1 alone\n";
	struct err e = { 0 };
	sigset_t all;

	if (getpid() != 1) {
		(void)fd_write_full(STDERR_FILENO, refuse, sizeof(refuse) - 1);
		return 1;
	}
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL); /* neither can fail */
	main_argc = argc;
	main_argv = argv;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (steps[i].run(&e) == 0)
			continue;
		if (steps[i].must)
			end_power_off(CONTROL_END_FAILED, "start-up, %s: %s",
				      steps[i].name, e.text);
		klog(KLOG_WARN, "%s: %s; going on", steps[i].name, e.text);
	}
	supervise(&args, &mode, &ring);
}
