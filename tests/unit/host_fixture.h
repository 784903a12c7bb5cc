/*
 * tests/unit/host_fixture.h - a client of bridge/host with a guest that the
 * test plays, and the fates of its calls
 */
#ifndef FERRY_TESTS_UNIT_HOST_FIXTURE_H
#define FERRY_TESTS_UNIT_HOST_FIXTURE_H

#include "tests/unit/fake_guest.h"

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/hresult.h"

struct fixture {
	struct fake fake;
	struct host_client *client;
	struct host_observer observer;
	char oom_of[32];
	uint64_t oom_kills;
	unsigned int ooms;
	int ready;
	int lost;
	int failed;
	int notices;
	bool knows_container;
	struct err why;
};

/* What became of one call. */
struct outcome {
	int times;
	bool ok;
	uint32_t number;
	char text[64];
	struct host_failure failure;
	uint64_t id;
};

static inline void on_ready(void *ctx, const struct host_guest *guest)
{
	struct fixture *x = ctx;

	x->ready++;
	assert_int_equal(guest->connection, x->ready);
}

static inline void on_lost(void *ctx, const struct err *why)
{
	struct fixture *x = ctx;

	x->lost++;
	x->why = *why;
}

static inline void on_failed(void *ctx, const struct err *why)
{
	struct fixture *x = ctx;

	x->failed++;
	x->why = *why;
}

static inline bool on_notification(void *ctx, const struct msg_notification *n)
{
	struct fixture *x = ctx;

	x->notices++;
	return x->knows_container && strcmp(n->base.container_id, "c1") == 0;
}

static inline void on_out_of_memory(void *ctx, const char *id, uint64_t count)
{
	struct fixture *x = ctx;

	(void)snprintf(x->oom_of, sizeof(x->oom_of), "%s", id);
	x->oom_kills = count;
	x->ooms++;
}

static inline void make_client(struct fixture *x,
			       struct host_client_config config)
{
	struct err e = { 0 };

	config.loop = x->fake.loop;
	config.transport = x->fake.transport;
	if (host_client_new(&config, &x->client, &e) < 0)
		fail_msg("%s", e.text);
	x->observer = (struct host_observer){
		.ready = on_ready,
		.lost = on_lost,
		.failed = on_failed,
		.notification = on_notification,
		.out_of_memory = on_out_of_memory,
		.ctx = x,
	};
	host_client_observe(x->client, &x->observer);
}

static inline int setup_bare(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	if (!x)
		return -1;
	fake_init(&x->fake);
	*state = x;
	return 0;
}

static inline int setup(void **state)
{
	struct fixture *x;

	if (setup_bare(state) < 0)
		return -1;
	x = *state;
	make_client(x, (struct host_client_config){ 0 });
	assert_int_equal(fake_connect(&x->fake), 0);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *x = *state;

	host_client_free(x->client);
	fake_done(&x->fake);
	free(x);
	return 0;
}

static inline void remember(struct outcome *o, bool ok,
			    const struct host_failure *f)
{
	o->times++;
	assert_int_equal(o->times, 1);
	assert_true(ok == (f == NULL));
	o->ok = ok;
	if (f)
		o->failure = *f;
}

static inline void on_plain(void *ctx, const void *result,
			    const struct host_failure *f)
{
	remember(ctx, result != NULL, f);
}

static inline void on_executed(void *ctx, const void *result,
			       const struct host_failure *f)
{
	const struct msg_execute_process_result *r = result;
	struct outcome *o = ctx;

	remember(o, result != NULL, f);
	if (r)
		o->number = r->process_id;
}

static inline void on_waited(void *ctx, const void *result,
			     const struct host_failure *f)
{
	const struct msg_wait_for_process_result *r = result;
	struct outcome *o = ctx;

	remember(o, result != NULL, f);
	if (r)
		o->number = r->exit_code;
}

static inline void on_dumped(void *ctx, const void *result,
			     const struct host_failure *f)
{
	const struct msg_dump_stacks_result *r = result;
	struct outcome *o = ctx;

	remember(o, result != NULL, f);
	if (r)
		(void)snprintf(o->text, sizeof(o->text), "%s", r->guest_stacks);
}

static inline void dump(struct fixture *x, struct outcome *o, int timeout_ms)
{
	const struct host_done done = { on_dumped, o, timeout_ms };

	*o = (struct outcome){ 0 };
	assert_int_equal(host_dump_stacks(x->client, &done, &o->id, NULL), 0);
}

static inline void wait_for(struct fixture *x, struct outcome *o, uint32_t pid)
{
	const struct host_done done = { on_waited, o, 0 };

	*o = (struct outcome){ 0 };
	assert_int_equal(host_wait_for_process(x->client, NULL, pid,
					       MSG_WAIT_FOREVER, &done, &o->id,
					       NULL),
			 0);
}

/* The bridge still works: a call is answered. */
static inline void assert_alive(struct fixture *x)
{
	struct fake_request r;
	struct outcome o = { 0 };

	dump(x, &o, 0);
	do
		r = fake_read(&x->fake);
	while (r.id != o.id);
	assert_int_equal(r.type, WIRE_DUMP_STACKS);
	fake_answer(&x->fake, &r, "{\"Result\":0,\"GuestStacks\":\"ok\"}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_true(o.ok);
	assert_string_equal(o.text, "ok");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)

#endif
