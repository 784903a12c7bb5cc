#include "bridge/guest/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "bridge/guest/callfiles.h"
#include "bridge/guest/console.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

#define ARGV_MAX 24
/* Words of an error that are told. */
#define SAID_MAX 192

/**
 * struct rt_call - one invocation
 * @node:	in the runtime's waiting list
 * @id, @bundle: copies
 * @is_start:	it leaves a process behind; it holds @ticket
 * @vsock:	what it starts may use AF_VSOCK
 * @console:	takes the terminal
 * @ended:	the program has, with @result; the terminal is still to come
 */
struct rt_call {
	struct runtime *rt;
	struct list node;
	struct callfiles files;
	char *id;
	char *bundle;
	bool is_start;
	bool terminal;
	bool vsock;
	int stdio[MSG_STDIO];
	uint64_t *(*begins)(void *ctx, uint64_t ticket, uint64_t call,
			    int console);
	uint64_t call;
	uint64_t ticket;
	struct console console;
	struct runtime_result result;
	struct loop_id timer;
	runtime_done_fn *done;
	void *ctx;
};

struct runtime_limits runtime_limits = { .start = 60000, .call = 30000 };

static const char *const names[] = { "crun", "runc" };

/*
 * A runtime protects its program from containers: by a mount in this folder, which
 * it leaves behind where it is killed at that moment, or, where nothing can be made
 * in the folder, by a sealed copy in memory.
 */
static char private_copy[] = "_LIBCONTAINER_STATEDIR=/proc";
static char *const environment[] = { private_copy, NULL };

static bool find_in(struct runtime *rt, const char *name)
{
	const char *path = getenv("PATH");

	while (path && *path != '\0') {
		const char *end = strchrnul(path, ':');
		const int n =
			snprintf(rt->program, sizeof(rt->program), "%.*s/%s",
				 (int)(end - path), path, name);

		if (n > 0 && (size_t)n < sizeof(rt->program) &&
		    rt->program[0] == '/' && access(rt->program, X_OK) == 0)
			return true;
		path = *end == '\0' ? end : end + 1;
	}
	rt->program[0] = '\0';
	return false;
}

/* The image may get its runtime by a disk: look until there is one. */
static int find_program(struct runtime *rt, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(names) && rt->program[0] == '\0';
	     i++) {
		if (find_in(rt, names[i])) {
			rt->is_crun = i == 0;
			log_info("the OCI runtime is %s%s", rt->program,
				 rt->no_pivot ? ", without pivot_root" : "");
		}
	}
	return rt->program[0] != '\0'
		       ? 0
		       : err_set(e, ENOENT, "no OCI runtime in the image");
}

void runtime_init(struct runtime *rt, struct loop *l, struct jobs *jobs,
		  struct orphans *orphans)
{
	struct statfs fs;

	*rt = (struct runtime){
		.loop = l,
		.jobs = jobs,
		.orphans = orphans,
		.dir = RUNTIME_DIR,
	};
	list_init(&rt->waiting);
	rt->no_pivot = statfs("/", &fs) == 0 &&
		       ((unsigned long)fs.f_type == RAMFS_MAGIC ||
			(unsigned long)fs.f_type == TMPFS_MAGIC);
}

/* --- one invocation -------------------------------------------------------- */

static void call_free(struct rt_call *c)
{
	console_done(&c->console);
	loop_cancel(c->rt->loop, &c->timer);
	list_remove(&c->node);
	callfiles_remove(&c->files);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&c->stdio[i]);
	free(c->id);
	free(c->bundle);
	free(c);
}

static int make_files(struct rt_call *c, struct err *e)
{
	c->call = ++c->rt->serial;
	return callfiles_make(&c->files, c->rt->dir, c->call, e);
}

static struct rt_call *call_new(struct runtime *rt, const char *id,
				runtime_done_fn *done, void *ctx)
{
	struct rt_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->rt = rt;
	c->done = done;
	c->ctx = ctx;
	c->result.pid = -1;
	c->result.master = -1;
	for (int i = 0; i < MSG_STDIO; i++)
		c->stdio[i] = -1;
	list_init(&c->node);
	console_init(&c->console, rt->loop);
	c->id = strdup(id);
	if (c->id)
		return c;
	call_free(c);
	return NULL;
}

/* The last error that was said, wherever. */
static void what_was_said(const struct rt_call *c, const struct job_result *j,
			  char *out, size_t size)
{
	char *log = callfiles_read(&c->files, "log", RUNTIME_LOG_MAX);
	const char *from = j->errors_len > 0 ? j->errors : j->out;
	size_t n;

	if (log && runtime_log_last(log, out, size)) {
		free(log);
		return;
	}
	free(log);
	(void)snprintf(out, size, "%s", from); /* may be cut */
	n = strlen(out);
	while (n > 0 && out[n - 1] == '\n')
		out[--n] = '\0';
}

static const char *program_name(const struct runtime *rt)
{
	return rt->is_crun ? "crun" : "runc";
}

static void set_failure(struct rt_call *c, const struct job_result *j)
{
	char said[SAID_MAX];

	if (j->result < 0) {
		c->result.code = HR_FAIL;
		c->result.err = j->err;
		(void)err_wrap(&c->result.err, "%s", program_name(c->rt));
		return;
	}
	what_was_said(c, j, said, sizeof(said));
	c->result.code = runtime_code(said);
	(void)err_set(&c->result.err, EIO, "%s: %s (exit status %d)",
		      program_name(c->rt), said, j->result);
}

/* --- starts ---------------------------------------------------------------- */

static void next_start(struct runtime *rt);

pid_t runtime_left(struct runtime *rt, uint64_t call)
{
	struct callfiles files = { 0 };
	pid_t pid = 0;

	if (rt->serial < call)
		rt->serial = call; /* its folder is not to be used again */
	callfiles_name(&files, rt->dir, call);
	(void)callfiles_pid(&files, &pid, NULL);
	return pid;
}

void runtime_settled(struct runtime *rt, uint64_t call)
{
	struct callfiles files = { 0 };

	callfiles_name(&files, rt->dir, call);
	callfiles_remove(&files);
}

static void start_over(struct rt_call *c)
{
	struct runtime *rt = c->rt;

	if (c->result.code != HR_OK) {
		orphans_close(rt->orphans, c->ticket);
		fd_close(&c->result.master);
		c->result.pid = -1;
	} else {
		c->result.ticket = c->ticket;
	}
	rt->starts--;
	c->done(c->ctx, &c->result);
	call_free(c);
	next_start(rt);
}

static void no_terminal(struct rt_call *c, const char *why)
{
	c->result.code = HR_FAIL;
	(void)err_set(&c->result.err, EPROTO, "terminal: %s", why);
	start_over(c);
}

static void on_console_limit(void *ctx)
{
	no_terminal(ctx, "the runtime has sent none");
}

static void on_master(void *ctx, int master, const struct err *e)
{
	struct rt_call *c = ctx;

	if (master < 0) {
		no_terminal(c, e->text);
		return;
	}
	c->result.master = master;
	start_over(c);
}

static void on_start_ended(void *ctx, const struct job_result *j)
{
	struct rt_call *c = ctx;
	struct runtime_result *r = &c->result;

	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&c->stdio[i]);
	if (j->result != 0)
		set_failure(c, j);
	else if (callfiles_pid(&c->files, &r->pid, &r->err) < 0)
		r->code = HR_FAIL;
	if (r->code != HR_OK || !c->terminal) {
		start_over(c);
		return;
	}
	/* It was sent before the end of the runtime, or never. */
	if (loop_at(c->rt->loop, loop_now_ms(c->rt->loop) + RUNTIME_CONSOLE_MS,
		    on_console_limit, c, &c->timer, &r->err) < 0)
		no_terminal(c, "no memory for a timer");
	else
		console_wanted(&c->console, on_master, c);
}

static size_t start_argv(struct rt_call *c, char paths[4][CALLFILES_PATH_MAX],
			 const char **argv)
{
	size_t n = 0;

	argv[n++] = c->rt->program;
	argv[n++] = "--log";
	argv[n++] = callfiles_path(&c->files, "log", paths[0]);
	argv[n++] = "--log-format";
	argv[n++] = "json";
	if (c->bundle) {
		argv[n++] = "create";
		argv[n++] = "-b";
		argv[n++] = c->bundle;
		if (c->rt->no_pivot)
			argv[n++] = "--no-pivot";
	} else {
		argv[n++] = "exec";
		argv[n++] = "-d";
		argv[n++] = "--process";
		argv[n++] = callfiles_path(&c->files, "process.json", paths[1]);
	}
	argv[n++] = "--pid-file";
	argv[n++] = callfiles_path(&c->files, "pid", paths[2]);
	if (c->terminal) {
		argv[n++] = "--console-socket";
		argv[n++] = callfiles_path(&c->files, "master.sock", paths[3]);
	}
	argv[n++] = c->id;
	argv[n] = NULL;
	return n;
}

/* argv of spawn() is not written to, whatever its type says. */
static char *const *words_of(const char **argv)
{
	union {
		const char **in;
		char *const *out;
	} u = { .in = argv };

	return u.out;
}

static int start_now(struct rt_call *c, struct err *e)
{
	struct runtime *rt = c->rt;
	char paths[4][CALLFILES_PATH_MAX];
	const char *argv[ARGV_MAX];
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int stdio[MSG_STDIO];
	struct job_exec x = {
		.name = c->bundle ? "runtime create" : "runtime exec",
		.argv = words_of(argv),
		.envp = environment,
		.stdio = stdio,
		.no_vsock = !c->vsock,
		.deadline_ms = runtime_limits.start,
		.class = JOB_WORK,
		.done = on_start_ended,
		.ctx = c,
	};
	int r;

	if (null < 0)
		return err_sys(e, "/dev/null");
	for (int i = 0; i < MSG_STDIO; i++)
		stdio[i] = c->stdio[i] >= 0 ? c->stdio[i] : null;
	(void)start_argv(c, paths, argv);
	rt->starts++;
	rt->calls++;
	c->ticket = orphans_open(rt->orphans);
	if (c->begins)
		x.started = c->begins(c->ctx, c->ticket, c->call,
				      c->console.listener);
	pid1_flush(rt->orphans->pid1);
	r = job_exec(rt->jobs, &x, NULL, e);
	if (r < 0) {
		orphans_close(rt->orphans, c->ticket);
		rt->starts--;
	}
	fd_close(&(int){ null });
	return r;
}

static void next_start(struct runtime *rt)
{
	while (rt->starts < RUNTIME_STARTS_MAX && !list_empty(&rt->waiting)) {
		struct rt_call *c =
			LIST_ITEM(list_pop(&rt->waiting), struct rt_call, node);

		if (start_now(c, &c->result.err) == 0)
			continue;
		c->result.code = HR_FAIL;
		c->done(c->ctx, &c->result);
		call_free(c);
	}
}

static int prepare_start(struct rt_call *c, const struct runtime_start *s,
			 struct err *e)
{
	char path[CALLFILES_PATH_MAX];
	int r = make_files(c, e);

	for (int i = 0; i < MSG_STDIO && r == 0 && !s->terminal; i++) {
		if (s->stdio[i] < 0)
			continue;
		c->stdio[i] = fcntl(s->stdio[i], F_DUPFD_CLOEXEC, 3);
		if (c->stdio[i] < 0)
			r = err_sys(e, "standard stream %d", i);
	}
	if (r == 0 && s->bundle) {
		c->bundle = strdup(s->bundle);
		if (!c->bundle)
			r = err_set(e, ENOMEM, "no memory");
	}
	if (r == 0 && s->process)
		r = callfiles_write(&c->files, "process.json", s->process, e);
	if (r == 0 && s->terminal)
		r = console_listen(
			&c->console,
			callfiles_path(&c->files, "master.sock", path), e);
	return r;
}

int runtime_start(struct runtime *rt, const struct runtime_start *s,
		  runtime_done_fn *done, void *ctx, struct err *e)
{
	int r = find_program(rt, e);
	struct rt_call *c;

	if (r < 0)
		return r;
	c = call_new(rt, s->id, done, ctx);
	if (!c)
		return err_set(e, ENOMEM, "no memory for a call");
	c->is_start = true;
	c->terminal = s->terminal;
	c->vsock = s->vsock;
	c->begins = s->begins;
	r = prepare_start(c, s, e);
	if (r == 0 && rt->starts >= RUNTIME_STARTS_MAX)
		list_push(&rt->waiting, &c->node);
	else if (r == 0)
		r = start_now(c, e);
	if (r < 0)
		call_free(c);
	return r;
}

/* --- other calls ----------------------------------------------------------- */

static void on_call_ended(void *ctx, const struct job_result *j)
{
	struct rt_call *c = ctx;

	if (j->result != 0)
		set_failure(c, j);
	c->result.refused = j->result > 0 && j->result < 128;
	c->done(c->ctx, &c->result);
	call_free(c);
}

/* Behind the options that all have, and before the id. */
static const char *const verb_words[RUNTIME_VERBS][3] = {
	[RUNTIME_RUN] = { "start" },
	[RUNTIME_KILL_ALL] = { "kill", "--all" },
	[RUNTIME_DELETE] = { "delete" },
	[RUNTIME_DELETE_FORCE] = { "delete", "--force" },
	[RUNTIME_UPDATE] = { "update", "--resources", "-" },
};

static void add_verb(const struct runtime_call *q, const struct rt_call *c,
		     const char *number, const char **argv, size_t n)
{
	for (size_t i = 0; i < 3 && verb_words[q->verb][i]; i++)
		argv[n++] = verb_words[q->verb][i];
	argv[n++] = c->id;
	if (q->verb == RUNTIME_KILL_ALL)
		argv[n++] = number;
	argv[n] = NULL;
}

static int call_now(struct rt_call *c, const struct runtime_call *q,
		    struct err *e)
{
	char log[CALLFILES_PATH_MAX], number[16];
	const char *argv[ARGV_MAX] = {
		c->rt->program, "--log", callfiles_path(&c->files, "log", log),
		"--log-format", "json",
	};
	const struct job_exec x = {
		.name = "runtime",
		.argv = words_of(argv),
		.envp = environment,
		.input = q->input,
		.input_len = q->input ? strlen(q->input) : 0,
		.deadline_ms = runtime_limits.call,
		.started = q->started,
		.class = JOB_WORK,
		.done = on_call_ended,
		.ctx = c,
	};

	(void)snprintf(number, sizeof(number), "%d", q->signal);
	add_verb(q, c, number, argv, 5);
	c->rt->calls++;
	return job_exec(c->rt->jobs, &x, NULL, e);
}

int runtime_call(struct runtime *rt, const struct runtime_call *q,
		 runtime_done_fn *done, void *ctx, struct err *e)
{
	int r = find_program(rt, e);
	struct rt_call *c;

	if (r < 0)
		return r;
	c = call_new(rt, q->id, done, ctx);
	if (!c)
		return err_set(e, ENOMEM, "no memory for a call");
	r = make_files(c, e);
	if (r == 0)
		r = call_now(c, q, e);
	if (r < 0)
		call_free(c);
	return r;
}

void runtime_done(struct runtime *rt)
{
	struct list *node;

	while ((node = list_pop(&rt->waiting)) != NULL)
		call_free(LIST_ITEM(node, struct rt_call, node));
}
