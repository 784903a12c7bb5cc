#include "bridge/guest/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/dispatch.h"
#include "bridge/guest/fixup.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/notice.h"
#include "bridge/guest/power.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/takeover.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"
#include "config/util.h"

static void on_frame(void *ctx, const struct frame *f)
{
	dispatch(ctx, f);
}

/* The far end of a stream closes here: and so does PID 1's copy. */
static void on_stream_end(void *ctx, uint64_t number, uint32_t role)
{
	struct agent *a = ctx;

	pid1_withdraw(&a->pid1, number, role);
}

static void on_reaped(void *ctx, struct process *p)
{
	struct agent *a = ctx;

	if (!p->orphan)
		pid1_reaped(&a->pid1, p->ticket);
	if (p->container)
		container_process_reaped(p);
}

/* --- orphans, without ferry's PID 1 ---------------------------------------- */

/* One that has ended: a process of ours by its object, a job's child by its
 * job, an orphan that was given to us by itself. */
static void take_child(struct agent *a, pid_t pid)
{
	struct process *p = process_by_pid(&a->processes, (uint32_t)pid);
	int status = 0;

	if (jobs_reap(&a->jobs, pid))
		return;
	if (p)
		process_reap(p);
	else if (waitpid(pid, &status, WNOHANG) == pid)
		orphans_reaped(&a->orphans, pid, status);
}

static void on_sigchld(void *ctx, uint32_t events)
{
	struct agent *a = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(a->signal_fd, &info, sizeof(info)) > 0)
		;
	for (;;) {
		siginfo_t child = { 0 };

		if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    child.si_pid == 0)
			return;
		take_child(a, child.si_pid);
	}
}

static int reap_orphans(struct agent *a, struct err *e)
{
	sigset_t set;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0)
		return err_sys(e, "become the reaper of orphans");
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	a->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->signal_fd < 0)
		return err_sys(e, "signalfd");
	return loop_watch(a->loop, a->signal_fd, EPOLLIN, on_sigchld, a,
			  &a->signal_watch, e);
}

/* --- the end of the UVM ---------------------------------------------------- */

static void end_now(struct agent *a)
{
	struct list unsent;

	list_init(&unsent);
	conn_close(&a->conn, &unsent);
	answer_free_all(&unsent);
	link_stop(&a->link);
	if (a->power_ours && a->pid1.fd < 0)
		power_off();
	a->stopped = true;
}

static void on_end_timer(void *ctx);

static void end_step(struct agent *a, enum agent_end next, int64_t ms)
{
	struct err e = { 0 };

	a->end = next;
	if (loop_at(a->loop, loop_now_ms(a->loop) + ms, on_end_timer, a,
		    &a->end_timer, &e) < 0)
		end_now(a);
}

static void on_end_timer(void *ctx)
{
	struct agent *a = ctx;

	if (a->end == AGENT_ANSWERS)
		end_step(a, AGENT_GRACE, AGENT_LAST_GRACE_MS);
	else if (a->end == AGENT_GRACE && pid1_poweroff(&a->pid1))
		end_step(a, AGENT_ENDS, AGENT_POWEROFF_MS);
	else
		end_now(a);
}

void agent_shutdown(struct agent *a)
{
	if (a->end != AGENT_RUNS)
		return;
	log_info("the host ends the UVM");
	a->power_ours = power_is_ours(a->conn.rfd);
	conn_stop(&a->conn);
	end_step(a, AGENT_ANSWERS, AGENT_LAST_ANSWER_MS);
}

/* --- the connection -------------------------------------------------------- */

/* All that was held, in order: what is not for now is held again. */
static void route_held(struct agent *a)
{
	struct list held;
	struct list *node;

	list_init(&held);
	list_move_all(&held, &a->held);
	a->held_bytes = 0;
	while ((node = list_pop(&held)) != NULL)
		(void)reply_route(a, LIST_ITEM(node, struct answer, node));
}

void agent_negotiated(struct agent *a, int how)
{
	static const char *const hosts[] = {
		[RESUME_PLAIN] = "same",
		[RESUME_NEW] = "new session",
		[RESUME_GOES_ON] = "same session",
	};
	struct conn *c = &a->conn;
	const bool fresh =
		how == RESUME_NEW || (how == RESUME_PLAIN && c->saw_id_zero);

	c->negotiated = true;
	a->ferry_host = c->events;
	if (fresh) {
		/* A new host object: it waits for nothing that an earlier one
		 * asked for, and would close on an id that it does not know;
		 * but for what is kept, see bridge/guest/container.h. */
		a->epoch = c->number;
		requests_drop_before(&a->requests, c->number);
	}
	keep_agent(a);
	if (how != RESUME_PLAIN)
		resume_begin(a);
	notice_oom_all(a);
	route_held(a);
	/* A stream of the session comes behind the answer. A plain host may be
	 * gone already, with requests that it will not send again. */
	if (how != RESUME_PLAIN)
		conn_flush(c);
	streams_host(&a->streams, true, c->number);
	pid1_stable(&a->pid1);
	log_info("bridge is up connection=%u host=%s", c->number,
		 fresh && how == RESUME_PLAIN ? "new" : hosts[how]);
	upkeep_host(a);
}

static void on_link_up(void *ctx, int fd)
{
	struct agent *a = ctx;
	struct err e = { 0 };

	a->resume.linked_ns = fixup_now_ns();
	a->resume.agains = 0;
	/* What fails here is found lost at the end of the turn. */
	if (conn_open(&a->conn, fd, fd, &e) == 0)
		conn_expect(&a->conn, a->ferry_host ? AGENT_SILENCE_FERRY_MS
						    : AGENT_SILENCE_MS);
}

/* What was not sent is kept for the next connection; an answer about the
 * version is about this one only. */
static void keep_unsent(struct agent *a, struct list *unsent)
{
	struct list *node;

	while ((node = list_pop(unsent)) != NULL) {
		struct answer *answer = LIST_ITEM(node, struct answer, node);

		const uint32_t type = wire_header_get(answer->frame).type;

		if (type == wire_response_type(WIRE_NEGOTIATE_PROTOCOL) ||
		    type == WIRE_FERRY_RECEIVED || notice_unsent(a, answer))
			answer_free(answer);
		else
			(void)reply_route(a, answer);
	}
}

/* The connection is gone: the next one. */
static void replace_connection(struct agent *a)
{
	const bool useful = a->conn.negotiated;
	struct list unsent;

	if (useful)
		log_info("bridge is lost connection=%u: %s", a->conn.number,
			 a->conn.why.text);
	else
		log_debug("connection=%u was of no use: %s", a->conn.number,
			  a->conn.why.text);
	list_init(&unsent);
	conn_close(&a->conn, &unsent);
	resume_lost(a);
	streams_host(&a->streams, false, 0);
	if (useful)
		keep_unsent(a, &unsent);
	answer_free_all(&unsent);

	if (a->end != AGENT_RUNS)
		return;
	if (a->flags.use_inouterr)
		a->stopped = true;
	else
		link_lost(&a->link, useful);
}

static void end_of_turn(struct agent *a)
{
	resume_turn(a);
	conn_flush(&a->conn);
	if (a->conn.up && a->conn.lost)
		replace_connection(a);
	streams_sweep(&a->streams);
	if (a->end == AGENT_ANSWERS && conn_waiting(&a->conn) == 0)
		end_step(a, AGENT_GRACE, AGENT_LAST_GRACE_MS);
}

/* The bridge gets descriptors of its own: nothing else may write to 0 or 1. */
static int open_inouterr(struct agent *a, struct err *e)
{
	cleanup_fd in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	cleanup_fd out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	cleanup_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (in < 0 || out < 0 || null < 0)
		return err_sys(e, "standard input and output");
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return err_sys(e, "standard input and output");
	if (fd_nonblock(in, true) < 0 || fd_nonblock(out, true) < 0)
		return err_sys(e, "standard input and output");
	return conn_open(&a->conn, fd_take(&in), fd_take(&out), e);
}

/* --- start and end --------------------------------------------------------- */

/* Many processes need many descriptors; what they get is what we had. */
static void raise_file_limit(struct agent *a)
{
	struct rlimit want;

	if (getrlimit(RLIMIT_NOFILE, &a->nofile) < 0)
		return; /* cannot fail */
	want = a->nofile;
	want.rlim_cur = AGENT_FILES_MAX;
	if (want.rlim_max < AGENT_FILES_MAX)
		want.rlim_max = AGENT_FILES_MAX;
	if (setrlimit(RLIMIT_NOFILE, &want) == 0)
		return;
	want.rlim_cur = want.rlim_max = a->nofile.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &want) < 0)
		log_warn("descriptor limit stays at %llu",
			 (unsigned long long)a->nofile.rlim_cur);
}

/* Without PID 1, or with one of another version, the agent works as well. */
static int meet_pid1(struct agent *a, struct err *e)
{
	struct err why = { 0 };

	int r = pid1_attach(&a->pid1, a->loop, &why);

	if (a->pid1.poisoned)
		log_warn("the agents before this one did not get far");
	if (r == 0)
		r = takeover(a, &why);
	if (r < 0)
		log_warn("works without PID 1: %s", why.text);
	return a->pid1.fd >= 0 ? 0 : reap_orphans(a, e);
}

int agent_new(const struct flags *f, struct agent **ret, struct err *e)
{
	struct agent *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_set(e, ENOMEM, "no memory for the agent");
	a->flags = *f;
	a->signal_fd = -1;
	a->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	list_init(&a->held);
	pid1_init(&a->pid1);
	slots_init(&a->slots);
	a->held_max = AGENT_HELD_MAX;
	resume_init(&a->resume);
	arena_init(&a->arena, AGENT_MESSAGE_MAX);
	text_heap(&a->body, WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE + 1);
	raise_file_limit(a);
	r = a->root < 0 ? err_sys(e, "/") : loop_new(&a->loop, e);
	if (r < 0) {
		fd_close(&a->root);
		free(a);
		return r;
	}
	conn_init(&a->conn, a->loop, on_frame, a);
	link_init(&a->link, a->loop, &a->flags.transport, WIRE_PORT_BRIDGE,
		  on_link_up, a);
	requests_init(&a->requests, a->loop);
	a->requests.slots = &a->slots;
	processes_init(&a->processes, a->loop, process_answer_waiters,
		       on_reaped, a);
	a->processes.on_kept = keep_process;
	orphans_init(&a->orphans, &a->pid1, &a->processes, &a->slots);
	jobs_init(&a->jobs, a->loop, &a->nofile);
	runtime_init(&a->runtime, a->loop, &a->jobs, &a->orphans);
	networks_init(&a->networks, a->loop, &a->jobs);
	a->networks.on_kept = keep_network;
	a->networks.kept_ctx = a;
	cgroups_init(&a->cgroups, a->loop, CGROUP_ROOT_DIR);
	policy_init(&a->policy, f->policy_deny);
	containers_init(&a->containers, a);
	upkeep_init(a);
	r = streams_init(&a->streams, a->loop, &a->flags.transport);
	a->streams.on_end = on_stream_end;
	a->streams.on_kept = keep_stream;
	a->streams.ctx = a;
	if (r < 0)
		(void)err_set(e, -r, "no memory for streams");
	a->streams.tell = resume_tell;
	a->streams.tell_ctx = a;
	if (r == 0)
		r = modify_init(&a->modify, a, e);
	if (r == 0)
		r = meet_pid1(a, e);
	if (r < 0) {
		agent_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void agent_free(struct agent *a)
{
	struct list unsent;

	if (!a)
		return;
	list_init(&unsent);
	requests_done(&a->requests); /* they tell who works for them */
	containers_done(&a->containers);
	conn_close(&a->conn, &unsent);
	answer_free_all(&unsent);
	answer_free_all(&a->held);
	link_stop(&a->link);
	upkeep_done(a);
	networks_done(&a->networks);
	cgroups_done(&a->cgroups);
	policy_done(&a->policy);
	runtime_done(&a->runtime);
	jobs_done(&a->jobs);
	modify_done(&a->modify);
	processes_done(&a->processes);
	a->streams.on_end = NULL;
	a->streams.on_kept = NULL;
	streams_done(&a->streams);
	slots_done(&a->slots);
	pid1_done(&a->pid1);
	resume_done(&a->resume, a->loop);
	loop_unwatch(a->loop, &a->signal_watch);
	fd_close(&a->signal_fd);
	fd_close(&a->root);
	text_done(&a->body);
	arena_done(&a->arena);
	loop_free(a->loop);
	free(a);
}

int agent_run(struct agent *a, struct err *e)
{
	int r = 0;

	if (!a->flags.v4)
		log_warn("no -v4: every request will be refused");
	if (a->flags.use_inouterr)
		r = open_inouterr(a, e);
	else
		link_start(&a->link);
	while (r >= 0 && !a->stopped) {
		r = loop_turn(a->loop, -1, e);
		if (r >= 0)
			end_of_turn(a);
	}
	return r < 0 ? r : 0;
}
