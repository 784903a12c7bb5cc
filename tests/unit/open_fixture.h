/* tests/unit/open_fixture.h - a process that is taken over */
#ifndef FERRY_TESTS_UNIT_OPEN_FIXTURE_H
#define FERRY_TESTS_UNIT_OPEN_FIXTURE_H

#include "tests/unit/process_fixture.h"

#include "bridge/host/exitwatch.h"

#define WAIT_ID 300u
#define FLOOR 400u
#define PORT 0x40000010u

UNUSED static const struct host_process_state state_of_source = {
	.pid = 42,
	.port = { 0, PORT, 0 },
	.wait_id = WAIT_ID,
};

/* As the destination: floors, then the process with its stdout. */
UNUSED static int proc_open(struct fixture *x, struct proc *p,
			    const struct host_process_state *state, bool watch,
			    struct err *e)
{
	struct host_process_config config = {
		.container_id = "c1",
		.fd = { -1, -1, -1 },
		.ended = on_ended,
		.ctx = p,
	};
	int fd[2];
	int r;

	host_client_raise_id(x->client, FLOOR);
	*p = (struct proc){ .x = x };
	for (int i = 0; i < MSG_STDIO; i++) {
		p->user[i] = -1;
		p->guest[i] = -1;
	}
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	config.fd[MSG_STDOUT] = fd[1];
	p->user[MSG_STDOUT] = fd[0];
	assert_int_equal(fd_nonblock(fd[0], true), 0);
	r = host_process_open(x->client, &config, state, watch, &p->process, e);
	fd_close(&config.fd[MSG_STDOUT]);
	return r;
}

UNUSED static struct fake_request expect_probe(struct fixture *x)
{
	const struct fake_request r =
		fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);

	assert_non_null(strstr(r.body, "\"ContainerId\":\"c1\""));
	assert_non_null(strstr(r.body, "\"ProcessId\":42"));
	assert_non_null(strstr(r.body, "\"TimeoutInMs\":50"));
	return r;
}

/* The probe, and the wait of this host's own that follows on a "no". */
UNUSED static struct fake_request probe_runs(struct fixture *x)
{
	struct fake_request r = expect_probe(x);

	fake_answer(&x->fake, &r, "{\"Result\":-1070137079}"); /* timeout */
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_non_null(strstr(r.body, "\"TimeoutInMs\":4294967295"));
	return r;
}

UNUSED static void answer_old_wait(struct fixture *x, int code)
{
	char body[64];

	(void)snprintf(body, sizeof(body), "{\"Result\":0,\"ExitCode\":%d}",
		       code);
	fake_send(&x->fake, wire_response_type(WIRE_WAIT_FOR_PROCESS), WAIT_ID,
		  body);
}

UNUSED static void settle(struct fixture *x, int ms)
{
	const int64_t end = loop_now_ms(x->fake.loop) + ms;

	while (loop_now_ms(x->fake.loop) < end)
		assert_true(loop_turn(x->fake.loop, 1, NULL) >= 0);
}

#endif
