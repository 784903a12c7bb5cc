/* The store and the control protocol, as the agent sees them: over a socket. */
#include "tests/unit/init_control_fixture.h"

#include <sys/mman.h>
#include <sys/stat.h>

static void test_hello_comes_first_and_names_the_incarnation(void **state)
{
	struct control_msg a;

	(void)state;
	a = ASK(.op = CONTROL_OP_FETCH);
	assert_int_equal(a.result, -EPROTO);
	a = ASK(.op = CONTROL_OP_HELLO, .arg = CONTROL_VERSION + 1);
	assert_int_equal(a.result, -EPROTONOSUPPORT);
	assert_int_equal(a.status, CONTROL_VERSION);
	a = ASK(.op = CONTROL_OP_HELLO, .arg = CONTROL_VERSION);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.arg, 1);
	assert_int_equal(a.flags, 0);

	end_incarnation();
	next_incarnation(true);
	a = ASK(.op = CONTROL_OP_HELLO, .arg = CONTROL_VERSION);
	assert_int_equal(a.arg, 2);
	assert_int_equal(a.flags, CONTROL_FLAG_POISONED);
}

/* The log outlives the agents: it is the same file for each of them. */
static void test_every_incarnation_is_given_the_log(void **state)
{
	cleanup_fd log = memfd_create("log", MFD_CLOEXEC);
	struct stat ours, theirs;

	(void)state;
	assert_int_equal(fstat(log, &ours), 0);
	serve.ring_fd = log;
	for (int i = 0; i < 3; i++) {
		hello();
		assert_int_equal(fstat(answer_fds[0], &theirs), 0);
		assert_int_equal(theirs.st_ino, ours.st_ino);
		end_incarnation();
		next_incarnation(i == 1);
	}
	serve.ring_fd = -1;
}

static void test_unknown_requests_are_answered(void **state)
{
	(void)state;
	hello();
	assert_int_equal(ASK(.op = 0).result, -EOPNOTSUPP);
	assert_int_equal(ASK(.op = CONTROL_OP_EXIT).result, -EOPNOTSUPP);
	assert_int_equal(ASK(.op = 4000000000u).result, -EOPNOTSUPP);
}

static void test_a_malformed_packet_ends_the_connection(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(send(agent, "short", 5, 0), 5);
	assert_int_equal(link_turn(&pid1, &e), -EPROTO);
	assert_int_equal(pid1.fd, -1);
	assert_int_equal(link_turn(&pid1, &e), 0);
}

static int deposit(uint64_t object, uint32_t role, int fd)
{
	const struct control_msg q = { .op = CONTROL_OP_DEPOSIT,
				       .object = object,
				       .role = role };

	return ask_with(&q, fd).result;
}

static void test_deposits_outlive_the_agent(void **state)
{
	int p[2];
	struct control_msg a;
	char c = 0;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	hello();
	assert_int_equal(deposit(70, 1, p[1]), 0);
	assert_int_equal(deposit(70, 2, p[0]), 0);
	fd_close(&p[1]);
	fd_close(&p[0]);

	end_incarnation();
	next_incarnation(false);
	hello();
	a = ASK(.op = CONTROL_OP_FETCH, .arg = 0);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.object, 70);
	assert_int_equal(a.role, 1);
	assert_int_equal(write(answer_fds[0], "x", 1), 1);
	a = ASK(.op = CONTROL_OP_FETCH, .arg = a.arg);
	assert_int_equal(a.role, 2);
	assert_int_equal(read(answer_fds[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	a = ASK(.op = CONTROL_OP_FETCH, .arg = a.arg);
	assert_int_equal(a.result, -ENOENT);
	assert_int_equal(answer_fds[0], -1);
}

/* Sent, never answered, then the agent dies: the order is still carried out. */
static void test_what_a_dead_agent_asked_last_is_done(void **state)
{
	const struct control_msg q[] = {
		{ .op = CONTROL_OP_HELLO, .arg = CONTROL_VERSION },
		{ .op = CONTROL_OP_TICKET_OPEN, .ticket = 8 },
		{ .op = CONTROL_OP_DEPOSIT, .object = 3, .role = 4 },
	};
	uint64_t at = 0, ticket = 0;
	struct store_item item;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(control_send(agent, &q[0], NULL, 0, NULL), 0);
	assert_int_equal(control_send(agent, &q[1], NULL, 0, NULL), 0);
	assert_int_equal(control_send(agent, &q[2], &null, 1, NULL), 0);
	fd_close(&null);
	end_incarnation();
	assert_int_equal(journal_list(&at, &ticket), 0);
	assert_int_equal(ticket, 8);
	at = 0;
	assert_int_equal(store_list(&at, &item), 0);
	assert_int_equal(item.object, 3);
	next_incarnation(false);
}

static void test_deposit_replaces_and_withdraw_closes(void **state)
{
	int p[2];
	struct pollfd hup;

	(void)state;
	hello();
	assert_int_equal(deposit(1, 1, -1), -EINVAL);
	for (uint32_t role = 0; role < 3; role++) {
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		assert_int_equal(deposit(9, role, p[1]), 0);
		assert_int_equal(deposit(9, role, p[1]), 0);
		fd_close(&p[1]);
		hup = (struct pollfd){ p[0], POLLIN, 0 };
		assert_int_equal(poll(&hup, 1, 0), 0); /* still held once */
		assert_int_equal(ASK(.op = CONTROL_OP_WITHDRAW, .object = 9,
				     .role = role)
					 .result,
				 0);
		assert_int_equal(poll(&hup, 1, 0), 1); /* and now not */
		fd_close(&p[0]);
	}
	assert_int_equal(
		ASK(.op = CONTROL_OP_WITHDRAW, .object = 9, .role = 0).result,
		-ENOENT);
}

static void test_withdraw_all_roles_while_listing(void **state)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct control_msg a;
	unsigned int seen = 0;

	(void)state;
	hello();
	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(deposit(i % 100, (uint32_t)(i / 100), null),
				 0);
	a = ASK(.op = CONTROL_OP_FETCH, .arg = 0);
	for (; a.result == 0; a = ASK(.op = CONTROL_OP_FETCH, .arg = a.arg)) {
		seen++;
		/* Each object goes once its last role was shown. */
		if (a.role == 2)
			assert_int_equal(ASK(.op = CONTROL_OP_WITHDRAW,
					     .object = a.object,
					     .role = CONTROL_ROLE_ALL)
						 .result,
					 0);
	}
	assert_int_equal(seen, 300);
	assert_int_equal(ASK(.op = CONTROL_OP_FETCH, .arg = 0).result, -ENOENT);
	fd_close(&null);
}

static void test_a_full_store_fails_one_request(void **state)
{
	uint64_t i = 0;
	int r = 0;

	(void)state;
	/* The store owns numbers only here: no such descriptor is open. */
	for (; r == 0; i++)
		r = store_put(i, 0, 1000000 + (int)i);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(i - 1, CONTROL_STORE_MAX);
	assert_int_equal(store_drop(77, 0), 0);
	assert_int_equal(store_put(1ull << 40, 0, 2000000), 0);
	assert_int_equal(store_put(1, 0, 2000001), 0); /* replaces */
}

static void test_stable_and_power_off_are_noted(void **state)
{
	const struct control_msg q = { .op = CONTROL_OP_POWEROFF,
				       .arg = CONTROL_END_ORDERLY };
	struct control_msg a;

	(void)state;
	hello();
	assert_false(serve.stable);
	(void)ASK(.op = CONTROL_OP_STABLE);
	assert_true(serve.stable);
	assert_int_equal(control_send(agent, &q, NULL, 0, NULL), 0);
	assert_int_equal(link_turn(&pid1, NULL), 0);
	assert_false(told(&a)); /* no answer */
	assert_true(serve.power_off);
	assert_int_equal(serve.end, CONTROL_END_ORDERLY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_hello_comes_first_and_names_the_incarnation),
		T(test_every_incarnation_is_given_the_log),
		T(test_unknown_requests_are_answered),
		T(test_a_malformed_packet_ends_the_connection),
		T(test_deposits_outlive_the_agent),
		T(test_what_a_dead_agent_asked_last_is_done),
		T(test_deposit_replaces_and_withdraw_closes),
		T(test_withdraw_all_roles_while_listing),
		T(test_a_full_store_fails_one_request),
		T(test_stable_and_power_off_are_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
