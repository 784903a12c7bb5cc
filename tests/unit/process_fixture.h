/*
 * tests/unit/process_fixture.h - a process of bridge/host whose guest is
 * played by the test: pipes on the caller's side, sockets on the guest's
 */
#ifndef FERRY_TESTS_UNIT_PROCESS_FIXTURE_H
#define FERRY_TESTS_UNIT_PROCESS_FIXTURE_H

#include "tests/unit/host_fixture.h"

#include <fcntl.h>
#include <signal.h>

#include "bridge/host/process.h"

#define EXECUTED "{\"Result\":0,\"ProcessId\":42}"

/**
 * struct proc - one process
 * @user:	the far ends of the caller's pipes
 * @guest:	the guest's ends of the streams
 * @wait:	its WaitForProcess as the guest got it
 */
struct proc {
	struct fixture *x;
	struct host_process *process;
	int user[MSG_STDIO];
	int guest[MSG_STDIO];
	struct fake_request wait;
	int started;
	int ended;
	struct host_process_end end;
	struct host_failure failure;
};

static inline void on_started(void *ctx, uint32_t pid)
{
	struct proc *p = ctx;

	p->started++;
	assert_int_equal(pid, host_process_pid(p->process));
}

static inline void on_ended(void *ctx, const struct host_process_end *end)
{
	struct proc *p = ctx;

	p->ended++;
	assert_int_equal(p->ended, 1);
	p->end = *end;
	assert_true(end->exited == (end->failure == NULL));
	if (end->failure)
		p->failure = *end->failure;
	host_process_free(mem_take(&p->process));
}

/* Starts a process with the streams whose bits are set in @streams. */
static inline void proc_start(struct fixture *x, struct proc *p,
			      unsigned int streams, int timeout_ms)
{
	static const char *argv[] = { "/bin/true" };
	const struct msg_process_parameters parameters = {
		.command_args = { argv, 1 },
	};
	struct host_process_config config = {
		.parameters = &parameters,
		.fd = { -1, -1, -1 },
		.start_timeout_ms = timeout_ms,
		.started = on_started,
		.ended = on_ended,
		.ctx = p,
	};
	struct err e = { 0 };

	*p = (struct proc){ .x = x };
	for (int i = 0; i < MSG_STDIO; i++) {
		int fd[2];

		p->user[i] = -1;
		p->guest[i] = -1;
		if (!(streams & 1u << i))
			continue;
		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
		config.fd[i] = fd[i == MSG_STDIN ? 0 : 1];
		p->user[i] = fd[i == MSG_STDIN ? 1 : 0];
		assert_int_equal(fd_nonblock(p->user[i], true), 0);
	}
	if (host_process_start(x->client, &config, &p->process, &e) < 0)
		fail_msg("%s", e.text);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&config.fd[i]);
}

/* The port of a stream in the text of an ExecuteProcess, 0: none. */
static inline uint32_t port_of(const struct fake_request *r, const char *name)
{
	char quoted[16];
	const char *at;

	(void)snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	at = strstr(r->body, quoted);
	return at ? (uint32_t)strtoul(at + strlen(quoted), NULL, 10) : 0;
}

/* As the guest: reads the request and dials every port that it names. */
static inline struct fake_request proc_dial(struct proc *p)
{
	static const char *const names[] = { "StdIn", "StdOut", "StdErr" };
	const struct fake_request r =
		fake_expect(&p->x->fake, WIRE_EXECUTE_PROCESS);

	for (int i = 0; i < MSG_STDIO; i++) {
		const uint32_t port = port_of(&r, names[i]);

		assert_int_equal(port != 0, p->user[i] >= 0);
		if (port != 0) {
			/* It is listened on before the request is sent. */
			p->guest[i] = fake_try_dial(&p->x->fake, port);
			assert_true(p->guest[i] >= 0);
		}
	}
	return r;
}

/* As the guest: runs it, up to the point where it waits for its exit. */
static inline void proc_run(struct proc *p)
{
	const struct fake_request r = proc_dial(p);

	fake_answer(&p->x->fake, &r, EXECUTED);
	p->wait = fake_expect(&p->x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_int_equal(p->started, 1);
}

static inline void proc_exit(struct proc *p, int code)
{
	char body[64];

	(void)snprintf(body, sizeof(body), "{\"Result\":0,\"ExitCode\":%d}",
		       code);
	fake_answer(&p->x->fake, &p->wait, body);
}

static inline void proc_hang_up(struct proc *p)
{
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&p->guest[i]);
}

static inline void proc_done(struct proc *p)
{
	proc_hang_up(p);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&p->user[i]);
	host_process_free(mem_take(&p->process));
}

/* Waits until @text has come out of a stream. */
static inline void expect_text(struct proc *p, int fd, const char *text)
{
	char buf[256] = { 0 };
	size_t got = 0;

	while (got < strlen(text)) {
		ssize_t n = -1;

		FAKE_UNTIL(&p->x->fake,
			   (n = read(fd, buf + got, strlen(text) - got)) >= 0);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_string_equal(buf, text);
}

/* Waits for the end of a stream. */
static inline void expect_end(struct proc *p, int fd)
{
	char c;
	ssize_t n = -1;

	FAKE_UNTIL(&p->x->fake, (n = read(fd, &c, 1)) >= 0);
	assert_int_equal(n, 0);
}

/* Ends the connection and makes another. */
static inline void reconnect(struct fixture *x)
{
	const int lost = x->lost;
	const int ready = x->ready;

	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == lost + 1);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == ready + 1);
}

#endif
