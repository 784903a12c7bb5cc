/*
 * tests/unit/stream_jobs.h - processes of a real agent that read and write,
 * while the test does something to their connections
 *
 * The agent dials a proxy that cuts connections behind any byte. What a process
 * wrote is compared with what it should have; each says in a file that it ran.
 */
#ifndef FERRY_TESTS_UNIT_STREAM_JOBS_H
#define FERRY_TESTS_UNIT_STREAM_JOBS_H

#include "tests/unit/host_fixture.h"
#include "tests/unit/cutting_proxy.h"
#include "tests/unit/real_agent.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "bridge/host/process.h"
#include "bridge/session.h"

/* Connections that are cut; FERRY_SOAK has ten times as many. */
#define CUTS 1000
#define AT_ONCE 4
/* Most bytes through one stream. */
#define BYTES_MAX 300000u

struct all;

/* What a process does with its input. */
enum what { WHAT_CAT, WHAT_BOTH, WHAT_TTY, WHAT_KINDS };

/**
 * struct job - one process
 * @in:		what it gets
 * @out, @err:	what it writes
 * @started, @ended: times that the host was told
 * @id:		of the container that it runs in, "": the UVM
 * @exec:	its OCI document, "": it is no exec
 * @box:	the container, if it is the init process, until its notice
 * @notices:	of that
 * @busy:	there is no process yet, or its container is still to be deleted
 */
struct job {
	struct all *all;
	struct host_process *process;
	enum what what;
	size_t bytes;
	int in;
	int out;
	int err;
	uint32_t pid;
	int started;
	int ended;
	bool good;
	bool moves;
	struct host_process_state state;
	struct host_stream_state stream[MSG_STDIO];
	char id[16];
	char exec[512];
	struct host_container *box;
	int notices;
	bool busy;
};

/**
 * struct all - the test
 * @launch:	starts what a job is to run, NULL: in the UVM
 * @over:	a process has ended
 */
struct all {
	struct fixture *x;
	struct proxy proxy;
	char dir[AGENT_DIR_MAX];
	pid_t agent;
	struct job job[AT_ONCE];
	int runs;
	int losses;
	int hosts;
	uint64_t bytes;
	uint64_t missing;
	uint64_t extra;
	uint64_t exits_lost;
	int refused; /* by an agent that was restarted */
	bool plain;
	void (*launch)(struct job *j);
	void (*over)(struct job *j);
};

UNUSED static int set_up(void **state)
{
	struct all *t;
	void *bare;

	if (setup_bare(&bare) < 0)
		return -1;
	t = calloc(1, sizeof(*t));
	assert_non_null(t);
	t->x = bare;
	agent_dir(t->dir);
	for (int i = 0; i < AT_ONCE; i++)
		t->job[i] = (struct job){
			.all = t, .in = -1, .out = -1, .err = -1
		};
	*state = t;
	return 0;
}

UNUSED static int tear_down(void **state)
{
	struct all *t = *state;
	void *bare = t->x;

	end_process(t->agent);
	proxy_stop(&t->proxy);
	for (int i = 0; i < AT_ONCE; i++) {
		host_process_free(t->job[i].process);
		fd_close(&t->job[i].in);
		fd_close(&t->job[i].out);
		fd_close(&t->job[i].err);
	}
	(void)teardown(&bare);
	agent_dir_gone(t->dir);
	free(t);
	return 0;
}

/* --- one process --- */

UNUSED static int new_file(void)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 3);
	(void)fclose(f);
	assert_true(fd >= 0);
	return fd;
}

UNUSED static uint8_t *content(int fd, size_t *len)
{
	struct stat st;
	uint8_t *bytes;

	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	bytes = malloc(*len + 1);
	assert_non_null(bytes);
	assert_int_equal(pread(fd, bytes, *len, 0), st.st_size);
	return bytes;
}

/* Is it the same? What is not is counted: a plain host loses and repeats. */
UNUSED static bool same(struct all *t, const uint8_t *want, size_t n, int fd)
{
	size_t len;
	uint8_t *got = content(fd, &len);
	const bool yes = len == n && memcmp(got, want, n) == 0;
	size_t at = 0;

	while (at < n && at < len && got[at] == want[at])
		at++;
	if (!yes && !t->plain)
		print_message("%zu bytes of %zu, equal up to %zu\n", len, n,
			      at);

	t->bytes += n;
	if (len < n)
		t->missing += n - len;
	else
		t->extra += len - n;
	free(got);
	return yes;
}

/* What a terminal makes of the lines of seq. */
UNUSED static uint8_t *lines_of_tty(size_t lines, size_t *len)
{
	char *text = malloc(lines * 12 + 1);
	size_t n = 0;

	assert_non_null(text);
	for (size_t i = 1; i <= lines; i++)
		n += (size_t)snprintf(text + n, 13, "%zu\r\n", i);
	*len = n;
	return (uint8_t *)text;
}

UNUSED static bool is_whole(struct job *j)
{
	size_t len;
	uint8_t *want = j->what == WHAT_TTY ? lines_of_tty(j->bytes, &len)
					    : content(j->in, &len);
	bool yes = same(j->all, want, len, j->out);

	if (j->what == WHAT_BOTH)
		yes &= same(j->all, want, len, j->err);
	free(want);
	return yes;
}

UNUSED static void on_started(void *ctx, uint32_t pid)
{
	struct job *j = ctx;

	j->started++;
	j->pid = pid;
}

UNUSED static void on_ended(void *ctx, const struct host_process_end *end)
{
	struct job *j = ctx;
	bool whole;

	j->ended++;
	if (end->failure && j->started == 0 &&
	    strstr(end->failure->err.text, "the agent was restarted")) {
		j->all->refused++;
		j->good = true;
		host_process_free(mem_take(&j->process));
		return;
	}
	whole = is_whole(j);
	j->good = whole && end->exited && end->code == 7 && !end->output_cut &&
		  !end->output_held;
	if (!end->exited)
		j->all->exits_lost++;
	if (!j->good && !j->all->plain)
		print_message("what=%d whole=%d exited=%d code=%u cut=%d "
			      "held=%d %s\n",
			      (int)j->what, whole, end->exited, end->code,
			      end->output_cut, end->output_held,
			      end->failure ? end->failure->err.text : "");
	host_process_free(mem_take(&j->process));
	if (j->all->over)
		j->all->over(j);
}

UNUSED static struct host_process_config config_of(struct job *j)
{
	/* Of one that is taken over it counts only that it is an exec. */
	static const struct msg_process_parameters exec = { .oci_process =
								    "{}" };

	return (struct host_process_config){
		.container_id = j->id[0] != '\0' ? j->id : NULL,
		.parameters = j->exec[0] != '\0' ? &exec : NULL,
		.fd = { j->what == WHAT_TTY ? -1 : j->in, j->out,
			j->what == WHAT_BOTH ? j->err : -1 },
		.started = on_started,
		.ended = on_ended,
		.ctx = j,
	};
}

UNUSED static void fill(int fd, size_t bytes)
{
	uint8_t buf[4096];

	while (bytes > 0) {
		const size_t n = bytes < sizeof(buf) ? bytes : sizeof(buf);

		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)pick(256);
		assert_int_equal(write(fd, buf, n), n);
		bytes -= n;
	}
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
}

UNUSED static void line_of(const struct job *j, char *line, size_t size)
{
	if (j->what == WHAT_TTY)
		(void)snprintf(line, size, "echo >> %s/ran; seq 1 %zu; exit 7",
			       j->all->dir, j->bytes);
	else
		(void)snprintf(line, size, "echo >> %s/ran; %s; exit 7",
			       j->all->dir,
			       j->what == WHAT_CAT ? "cat" : "tee /dev/stderr");
}

/* Asks for the process. */
UNUSED static void begin(struct job *j)
{
	char line[256];
	const char *argv[] = { "/bin/sh", "-c", line };
	struct msg_process_parameters what = { 0 };
	struct host_process_config config = config_of(j);
	struct err e = { 0 };

	line_of(j, line, sizeof(line));
	if (j->exec[0] != '\0')
		what.oci_process = j->exec;
	else if (j->id[0] == '\0')
		what.command_args = (struct msg_strings){ argv, 3 };
	what.emulate_console = j->what == WHAT_TTY;
	config.parameters = &what;
	if (host_process_start(j->all->x->client, &config, &j->process, &e) < 0)
		fail_msg("%s", e.text);
	j->all->runs++;
}

UNUSED static void start(struct job *j)
{
	fd_close(&j->in);
	fd_close(&j->out);
	fd_close(&j->err);
	j->what = (enum what)pick(WHAT_KINDS);
	j->bytes = pick(4) == 0 ? pick(50) : pick(BYTES_MAX);
	if (j->all->launch) /* more of them */
		j->bytes /= 8;
	if (j->what == WHAT_TTY)
		j->bytes /= 20;
	j->in = new_file();
	j->out = new_file();
	j->err = new_file();
	if (j->what != WHAT_TTY)
		fill(j->in, j->bytes);
	j->started = 0;
	j->ended = 0;
	if (j->all->launch)
		j->all->launch(j);
	else
		begin(j);
}

UNUSED static bool any_runs(const struct all *t)
{
	for (int i = 0; i < AT_ONCE; i++)
		if (t->job[i].process || t->job[i].busy)
			return true;
	return false;
}

/* Ends what is over, begins what is next. */
UNUSED static void look_after(struct all *t, bool more)
{
	for (int i = 0; i < AT_ONCE; i++) {
		struct job *j = &t->job[i];

		if (j->process || j->busy)
			continue;
		if (j->ended > 0) {
			assert_int_equal(j->ended, 1);
			if (!t->plain)
				assert_true(j->good);
			j->ended = 0;
		}
		if (more && host_client_state(t->x->client) == HOST_READY)
			start(j);
	}
}

UNUSED static void report(const struct all *t, const char *name)
{
	print_message("%s: cuts=%u bridge=%d hosts=%d processes=%d ran=%d "
		      "bytes=%" PRIu64 " missing=%" PRIu64 " extra=%" PRIu64
		      " exits_lost=%" PRIu64 "\n",
		      name, proxy_cuts(&t->proxy), t->losses, t->hosts, t->runs,
		      agent_ran(t->dir), t->bytes, t->missing, t->extra,
		      t->exits_lost);
}

#endif
