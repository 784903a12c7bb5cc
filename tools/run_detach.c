/*
 * Theory of operation. The shim is ours until it says that the sandbox is ready.
 * From then on we are a client of its task service, as containerd is: Create,
 * Start, and then nobody is attached. A signal in between ends the sandbox, and
 * with it the call that is waited for.
 */
#include "tools/run_detach.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "tools/bundle.h"
#include "tools/remote.h"
#include "tools/shim/shim.h"
#include "tools/start_code.h"
#include "tools/tool.h"
#include "tools/ttrpc/pb.h"

#define EXIT_SIGNAL 128

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/**
 * struct detach - one container on its way
 * @dir:	its bundle, as the shim can name it
 * @signal:	the first one that came, 0: none
 */
struct detach {
	struct remote remote;
	char dir[PATH_MAX];
	bool terminal;
	int signal_fd;
	struct loop_id watch;
	int signal;
};

static void on_signal(void *ctx, uint32_t events UNUSED)
{
	struct detach *d = ctx;
	FerryStopRequest q = FERRY_STOP_REQUEST__INIT;
	const struct ttrpc_ask ask = {
		.service = "Ferry",
		.method = "Stop",
		.request = &q.base,
		.timeout_ms = REMOTE_STOP_MS,
	};
	struct signalfd_siginfo info;
	struct err e;

	if (read(d->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
	    d->signal)
		return;
	d->signal = (int)info.ssi_signo;
	q.force = true;
	(void)ttrpc_client_call(d->remote.client, &ask, &e);
}

/* What was ignored when we started stays so. */
static int catch_signals(struct detach *d, struct err *e)
{
	struct sigaction now;
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		if (sigaction(caught[i], NULL, &now) == 0 &&
		    now.sa_handler != SIG_IGN)
			(void)sigaddset(&set, caught[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "block signals");
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signal_fd < 0)
		return err_sys(e, "signalfd");
	return loop_watch(d->remote.loop, d->signal_fd, EPOLLIN, on_signal, d,
			  &d->watch, e);
}

static int create(struct detach *d, struct err *e)
{
	TaskCreateRequest q = TASK_CREATE_REQUEST__INIT;

	q.id = pb_text(RUN_CONTAINER);
	q.bundle = d->dir;
	q.terminal = d->terminal;
	q.stdin = pb_text(d->terminal ? "-" : "");
	q.stdout = pb_text("-");
	q.stderr = pb_text(d->terminal ? "" : "-");
	/* Its disk takes as long as it takes; the shim sees if it stands still. */
	d->remote.service = REMOTE_TASKS;
	return remote_ask(&d->remote, "Create", &q.base, NULL, NULL, NULL, 0,
			  e);
}

static int start(struct detach *d, struct err *e)
{
	TaskProcessRequest q = TASK_PROCESS_REQUEST__INIT;

	q.id = pb_text(RUN_CONTAINER);
	return remote_ask(&d->remote, "Start", &q.base, NULL, NULL, NULL, 0, e);
}

static void release(struct detach *d)
{
	if (d->remote.loop)
		loop_unwatch(d->remote.loop, &d->watch);
	fd_close(&d->signal_fd);
	remote_close(&d->remote);
}

static int run_container(struct detach *d, const char *name,
			 struct report *report)
{
	int code = TOOL_OK;
	struct err e;
	int r = remote_open(name, &d->remote, &e);

	if (r == 0)
		r = catch_signals(d, &e);
	if (r == 0)
		r = create(d, &e);
	if (r == 0) {
		report_phase(report, "container-created");
		r = start(d, &e);
	}
	if (r == 0)
		report_phase(report, "process-started");
	if (d->signal) {
		code = EXIT_SIGNAL + d->signal;
	} else if (r < 0) {
		report_error(report, &e);
		code = runtime_code(&e);
	}
	/* It may have ended already. */
	if (code != TOOL_OK && d->remote.client)
		(void)remote_stop(&d->remote, true, &e);
	release(d);
	return code;
}

/* Before anything is started: what is wrong with it, and its terminal. */
static int look_at_bundle(const char *path, struct detach *d, struct err *e)
{
	struct bundle *b = NULL;
	const int r = bundle_open(path, &b, e);

	if (r < 0)
		return r;
	d->terminal = bundle_terminal(b);
	bundle_free(b);
	return realpath(path, d->dir) ? 0 : err_sys(e, "%s", path);
}

int run_detach(struct launch *l, struct report *report)
{
	const struct shim_birth birth = {
		.name = l->args.name,
		.listen_fd = -1,
	};
	struct detach d = { .signal_fd = -1 };
	char name[RUNDIR_NAME_MAX];
	int code = TOOL_OK;
	struct err e;

	if (l->args.bundle && look_at_bundle(l->args.bundle, &d, &e) < 0) {
		report_error(report, &e);
		return TOOL_USAGE;
	}
	if (shim_start(l, &birth, name, &e) < 0) {
		report_error(report, &e);
		return TOOL_CANNOT_RUN;
	}
	if (l->args.bundle)
		code = run_container(&d, name, report);
	if (code == TOOL_OK)
		(void)printf("%s\n", name);
	return code;
}
