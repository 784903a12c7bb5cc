/*
 * tests/e2e/snapdrive.c - UVMs that were loaded from one saved state
 *
 * usage: snapdrive COPIES BARE PAUSE-S SETTLE-S PROGRAM STATE-FILE RUN-OPTION...
 *
 * Boots a UVM, gives it PROGRAM (tests/e2e/guest/fresh.c), saves its state into
 * STATE-FILE, ends it, waits PAUSE-S seconds, and loads it COPIES times with the
 * barrier and then BARE times without, one after the other. Each copy prints
 *
 *	copy N off_ms=OFF
 *
 * by how much its clock is off at least, then values of its random generator. Of
 * the last one with the barrier the clock is told again SETTLE-S seconds later, as
 * "settled". What the copies without
 * the barrier print begins with "bare ".
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bridge/host/process.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/num.h"
#include "config/util.h"
#include "tools/launch.h"
#include "tools/qemu/qmp.h"
#include "tools/qemu/vm.h"
#include "tools/sandbox.h"

#define ID_FLOOR 1000
#define NUMBER_MAX 1000u
#define FIRST_OPTION 7
#define ANSWER_MAX 65536
#define NS_PER_MS 1000000
#define STEP_MS 60000
#define POLL_MS 20
#define CLOCK_LOOKS 3
/* The generator keeps its key for half of this after the source is saved. */
#define SOURCE_AGE "24"
#define PROGRAM "/fresh"
#define MS_PER_S 1000

struct drive {
	struct launch launch;
	struct loop *loop;
	struct sandbox_config config;
	struct sandbox *sandbox;
	struct host_process *process;
	const char *program;
	const char *state;
	uint32_t copies;
	uint32_t bare;
	uint32_t pause_s;
	uint32_t settle_s;
	bool source;
	uint32_t number; /* of this copy; those above copies are bare */
	bool settled;
	int looks; /* at the clock, to come */
	int64_t off_ms;
	void (*answered)(struct drive *d, char *text);
	struct loop_id timer;
	int answer; /* a file: small pieces would fill a pipe by their number */
	int64_t asked_ns;
	bool good;
};

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stop(struct drive *d, const char *what, const struct err *e)
{
	(void)fprintf(stderr, "snapdrive: %s: %s\n", what, e ? e->text : "?");
	d->good = false;
	if (d->sandbox)
		sandbox_kill(d->sandbox);
}

static void send(struct drive *d, const char *command, const char *arguments,
		 qmp_answer_fn *fn)
{
	struct qmp *q = vm_qmp(sandbox_vm(d->sandbox));
	struct err e = { 0 };

	if (!q || qmp_send(q, command, arguments, STEP_MS, fn, d, &e) < 0)
		stop(d, command, &e);
}

static void on_continued(void *ctx, int result,
			 const struct qmp_data *data UNUSED,
			 const struct err *e)
{
	if (result < 0)
		stop(ctx, "cont", e);
}

static void look(void *ctx);

static void on_status(void *ctx, int result, const struct qmp_data *data,
		      const struct err *e)
{
	struct drive *d = ctx;
	const char *status = result < 0 ? NULL : qmp_data_text(data, "status");

	if (!status && result < 0)
		stop(d, "migration", e);
	else if (status && strcmp(status, "failed") == 0)
		stop(d, "migration", NULL);
	else if (!status || strcmp(status, "completed") != 0)
		(void)loop_at(d->loop, loop_now_ms(d->loop) + POLL_MS, look, d,
			      &d->timer, NULL);
	else if (d->source)
		sandbox_kill(d->sandbox);
	else
		send(d, "cont", NULL, on_continued);
}

static void look(void *ctx)
{
	send(ctx, "query-migrate", NULL, on_status);
}

static void on_begun(void *ctx, int result, const struct qmp_data *data UNUSED,
		     const struct err *e)
{
	if (result < 0)
		stop(ctx, "migrate", e);
	else
		look(ctx);
}

static void on_given(void *ctx, int result, const struct qmp_data *data UNUSED,
		     const struct err *e)
{
	struct drive *d = ctx;

	if (result < 0)
		stop(d, "getfd", e);
	else
		send(d, d->source ? "migrate" : "migrate-incoming",
		     "{\"uri\":\"fd:state\"}", on_begun);
}

/* The state goes into the file, or comes from it. */
static void transfer(struct drive *d)
{
	const int flags = d->source ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
	cleanup_fd file = open(d->state, flags | O_CLOEXEC, 0600);
	struct err e = { 0 };

	if (file < 0)
		(void)err_sys(&e, "%s", d->state);
	if (file < 0 || qmp_send_fd(vm_qmp(sandbox_vm(d->sandbox)), "getfd",
				    "{\"fdname\":\"state\"}", file, STEP_MS,
				    on_given, d, &e) < 0)
		stop(d, "state", &e);
}

static void on_stopped(void *ctx, int result,
		       const struct qmp_data *data UNUSED, const struct err *e)
{
	if (result < 0)
		stop(ctx, "stop", e);
	else
		transfer(ctx);
}

static void on_waiting(void *ctx)
{
	transfer(ctx);
}

/* The clock was right at some time between the question and the answer. */
static int64_t off_ms(int64_t guest_ns, int64_t from_ns, int64_t to_ns)
{
	if (guest_ns < from_ns)
		return (from_ns - guest_ns) / NS_PER_MS;
	return guest_ns > to_ns ? (guest_ns - to_ns) / NS_PER_MS : 0;
}

static void on_end(void *ctx, const struct host_process_end *end)
{
	static char text[ANSWER_MAX + 1];
	struct drive *d = ctx;
	const ssize_t n = pread(d->answer, text, ANSWER_MAX, 0);

	host_process_free(d->process);
	d->process = NULL;
	if (n < 0 || !end->exited || end->code != 0) {
		stop(d, "answer", end->failure ? &end->failure->err : NULL);
		return;
	}
	text[n] = '\0';
	d->answered(d, text);
}

static void ask(struct drive *d, struct msg_strings words, int input,
		void (*answered)(struct drive *d, char *text))
{
	const struct msg_process_parameters p = {
		.command_args = words,
		.command_line = "",
		.working_directory = "",
		.create_in_utility_vm = true,
	};
	const struct host_process_config c = {
		.parameters = &p,
		.fd = { input, d->answer, 2 },
		.ended = on_end,
		.ctx = d,
	};
	struct err e;

	if (ftruncate(d->answer, 0) < 0 || lseek(d->answer, 0, SEEK_SET) < 0)
		exit(1);
	d->answered = answered;
	d->asked_ns = now_ns();
	if (host_process_start(sandbox_client(d->sandbox), &c, &d->process,
			       &e) < 0)
		stop(d, "ask", &e);
}

static void ask_clock(struct drive *d);

static void on_settled(void *ctx)
{
	struct drive *d = ctx;

	d->settled = true;
	d->looks = CLOCK_LOOKS;
	d->off_ms = 0;
	ask_clock(d);
}

static bool is_bare(const struct drive *d)
{
	return d->number > d->copies;
}

static void print_clock(const struct drive *d, const char *what, int64_t off)
{
	(void)printf("%s%s %u off_ms=%lld\n", is_bare(d) ? "bare " : "", what,
		     d->number, (long long)off);
}

static void on_values(struct drive *d, char *text)
{
	const int64_t until_ns = now_ns();
	char *rest = NULL;
	const char *line = strtok_r(text, "\n", &rest);

	if (line && is_bare(d))
		print_clock(
			d, "copy",
			off_ms(strtoll(line, NULL, 10), d->asked_ns, until_ns));
	while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
		(void)printf("%s%s\n", is_bare(d) ? "bare " : "", line);
	(void)fflush(stdout);
	if (d->number != d->copies)
		sandbox_kill(d->sandbox);
	else
		(void)loop_at(d->loop,
			      loop_now_ms(d->loop) +
				      (int64_t)d->settle_s * MS_PER_S,
			      on_settled, d, &d->timer, NULL);
}

static void ask_values(struct drive *d)
{
	static const char *words[] = { PROGRAM, "values" };

	ask(d, (struct msg_strings){ words, ARRAY_LEN(words) }, -1, on_values);
}

/* The most that is proven counts. */
static void on_clock(struct drive *d, char *text)
{
	const int64_t off =
		off_ms(strtoll(text, NULL, 10), d->asked_ns, now_ns());

	if (off > d->off_ms)
		d->off_ms = off;
	if (--d->looks > 0) {
		ask_clock(d);
		return;
	}
	print_clock(d, d->settled ? "settled" : "copy", d->off_ms);
	if (d->settled)
		sandbox_kill(d->sandbox);
	else
		ask_values(d);
}

static void ask_clock(struct drive *d)
{
	static const char *words[] = { PROGRAM, "clock" };

	ask(d, (struct msg_strings){ words, ARRAY_LEN(words) }, -1, on_clock);
}

static void on_old(struct drive *d, char *text)
{
	(void)text;
	send(d, "stop", NULL, on_stopped);
}

static void begin_source(struct drive *d)
{
	static const char *words[] = { "/bin/sh", "-c",
				       "cat >" PROGRAM " && chmod +x " PROGRAM
				       " && exec " PROGRAM " old " SOURCE_AGE };
	cleanup_fd program = open(d->program, O_RDONLY | O_CLOEXEC);
	struct err e = { 0 };

	if (program < 0) {
		(void)err_sys(&e, "%s", d->program);
		stop(d, "program", &e);
		return;
	}
	ask(d, (struct msg_strings){ words, ARRAY_LEN(words) }, program,
	    on_old);
}

/* Without the barrier the agent looks after the clock, and the kernel after its
 * generator: be quick. */
static void on_ready(void *ctx)
{
	struct drive *d = ctx;

	d->looks = CLOCK_LOOKS;
	d->off_ms = 0;
	if (d->source)
		begin_source(d);
	else if (is_bare(d))
		ask_values(d);
	else
		ask_clock(d);
}

static void on_ended(void *ctx, const struct err *why)
{
	struct drive *d = ctx;

	(void)why; /* it was killed */
	host_process_free(d->process);
	d->process = NULL;
	loop_stop(d->loop);
}

/* One UVM from its beginning to its end. */
static int one(struct drive *d, struct err *e)
{
	int r;

	d->config = launch_sandbox(&d->launch, d->loop);
	d->config.incoming = !d->source;
	d->config.session = false;
	if (!d->source)
		d->config.waiting = on_waiting;
	d->config.ready = on_ready;
	d->config.ended = on_ended;
	d->config.ctx = d;
	r = sandbox_new(&d->config, &d->sandbox, e);
	if (r == 0 && !d->source) {
		host_client_raise_id(sandbox_client(d->sandbox), ID_FLOOR);
		host_client_moved(sandbox_client(d->sandbox),
				  d->number <= d->copies);
	}
	if (r == 0)
		r = loop_run(d->loop, e);
	sandbox_free(d->sandbox);
	d->sandbox = NULL;
	loop_cancel(d->loop, &d->timer);
	return r;
}

static int run(struct drive *d, struct err *e)
{
	int r = launch_line(&d->launch, e);

	if (r == 0)
		r = launch_files(&d->launch, e);
	if (r == 0)
		r = loop_new(&d->loop, e);
	d->source = true;
	if (r == 0)
		r = one(d, e);
	d->source = false;
	(void)sleep(d->pause_s);
	for (d->number = 1;
	     r == 0 && d->good && d->number <= d->copies + d->bare;
	     d->number++) {
		d->settled = false;
		r = one(d, e);
	}
	loop_free(d->loop);
	return r;
}

static bool numbers(struct drive *d, char **argv)
{
	uint32_t *to[] = { &d->copies, &d->bare, &d->pause_s, &d->settle_s };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(to); i++)
		if (num_u32(argv[i], 0, NUMBER_MAX, to[i], &e) < 0)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	static struct drive d = { .good = true };
	struct err e = { 0 };

	log_setup(2, LOG_FORM_TEXT, LOG_LEVEL_ERR);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < FIRST_OPTION || !numbers(&d, argv + 1)) {
		(void)fprintf(stderr, "usage: see the head of snapdrive.c\n");
		return 2;
	}
	d.program = argv[5];
	d.state = argv[6];
	d.answer = memfd_create("answer", MFD_CLOEXEC);
	if (d.answer < 0)
		return 1;
	launch_init(&d.launch);
	if (run_args_parse(argc - FIRST_OPTION + 1, argv + FIRST_OPTION - 1,
			   &d.launch.args) != RUN_ARGS_GO)
		return 2;
	if (run(&d, &e) < 0) {
		(void)fprintf(stderr, "snapdrive: %s\n", e.text);
		d.good = false;
	}
	launch_done(&d.launch);
	return d.good ? 0 : 1;
}
