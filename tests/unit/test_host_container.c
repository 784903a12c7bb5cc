/* bridge/host/container: what is tracked, and every way in which it ends */
#include "tests/unit/host_fixture.h"

#include "bridge/host/container.h"

#define NOTICE(id, type)                                                       \
	"{\"ContainerId\":\"" id "\",\"ActivityId\":\"" WIRE_NULL_ID           \
	"\",\"Type\":\"" type "\",\"Operation\":\"None\",\"Result\":0}"

static const struct msg_container_config document = {
	.oci_bundle_path = "/run/gcs/c/c7",
	.oci_specification = "{}",
};

/* One container as its owner sees it. */
struct ctr {
	struct fixture *x;
	struct host_container *container;
	struct outcome created;
	int ended;
	enum host_container_how how;
	bool has_reason;
};

static void on_ctr_ended(void *ctx, enum host_container_how how,
			 const struct err *why)
{
	struct ctr *c = ctx;

	c->ended++;
	c->how = how;
	c->has_reason = why != NULL;
	assert_false(host_container_live(c->container));
	host_container_free(mem_take(&c->container));
}

static int ctr_create(struct fixture *x, struct ctr *c, const char *id,
		      struct err *e)
{
	const struct host_done done = { on_plain, &c->created, 0 };

	*c = (struct ctr){ .x = x };
	return host_container_create(x->client, id, &document, &done,
				     on_ctr_ended, c, &c->container, e);
}

static void ctr_make(struct fixture *x, struct ctr *c, const char *id)
{
	struct err e = { 0 };
	struct fake_request r;

	if (ctr_create(x, c, id, &e) < 0)
		fail_msg("%s", e.text);
	r = fake_expect(&x->fake, WIRE_CREATE);
	fake_answer(&x->fake, &r, "{\"Result\":0}");
	FAKE_UNTIL(&x->fake, c->created.times);
	assert_true(c->created.ok);
	assert_true(host_container_live(c->container));
}

static void notice(struct fixture *x, const char *body)
{
	fake_send(&x->fake, WIRE_CONTAINER_NOTIFICATION, 0, body);
}

static void test_each_kind_of_exit(void **state)
{
	static const struct {
		const char *body;
		enum host_container_how how;
	} cases[] = {
		{ NOTICE("c7", "UnexpectedExit"), HOST_CONTAINER_EXITED },
		{ NOTICE("c7", "GracefulExit"), HOST_CONTAINER_STOPPED },
		{ NOTICE("c7", "ForcedExit"), HOST_CONTAINER_KILLED },
		{ NOTICE("c7", "Strange"), HOST_CONTAINER_EXITED },
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ctr c;

		ctr_make(x, &c, "c7");
		assert_string_equal(host_container_id(c.container), "c7");
		notice(x, cases[i].body);
		FAKE_UNTIL(&x->fake, c.ended);
		assert_int_equal(c.how, cases[i].how);
		assert_false(c.has_reason);
		assert_null(c.container);
	}
	assert_alive(x);
}

static void test_a_live_id_is_taken(void **state)
{
	struct fixture *x = *state;
	struct err e = { 0 };
	struct ctr c;
	struct ctr d;

	ctr_make(x, &c, "c7");
	assert_int_equal(ctr_create(x, &d, "c7", &e), -EEXIST);
	assert_non_null(strstr(e.text, "c7"));
	assert_int_equal(host_container_open(x->client, "c7", on_ctr_ended, &d,
					     &d.container, NULL),
			 -EEXIST);
	assert_null(d.container);
	assert_int_equal(ctr_create(x, &d, "", NULL), -EINVAL);
	host_container_free(c.container);
	assert_alive(x); /* and no Create of the refused ones was sent */
}

static void test_ids_have_a_longest(void **state)
{
	struct fixture *x = *state;
	char id[TRACK_ID_MAX + 1];
	struct ctr c;

	memset(id, 'a', sizeof(id));
	id[TRACK_ID_MAX] = '\0';
	assert_int_equal(ctr_create(x, &c, id, NULL), -EINVAL);
	id[TRACK_ID_MAX - 1] = '\0';
	ctr_make(x, &c, id);
	assert_string_equal(host_container_id(c.container), id);
	host_container_free(c.container);
}

/* It is tracked before the request is on its way. */
static void test_a_notice_before_the_answer_is_kept(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct ctr c;

	assert_int_equal(ctr_create(x, &c, "c7", NULL), 0);
	r = fake_expect(&x->fake, WIRE_CREATE);
	notice(x, NOTICE("c7", "ForcedExit"));
	assert_alive(x);
	assert_int_equal(c.ended, 0);
	fake_answer(&x->fake, &r, "{\"Result\":0}");
	FAKE_UNTIL(&x->fake, c.ended);
	assert_int_equal(c.created.times, 1);
	assert_int_equal(c.how, HOST_CONTAINER_KILLED);
}

static void test_w_h3_a_notice_for_nobody_is_harmless(void **state)
{
	struct fixture *x = *state;
	char body[256];

	for (unsigned int i = 0; i < TRACK_EARLY_MAX + 10; i++) {
		(void)snprintf(body, sizeof(body), NOTICE("n%u", "ForcedExit"),
			       i);
		notice(x, body);
	}
	assert_alive(x);
	assert_int_equal(host_client_track(x->client)->n_early,
			 TRACK_EARLY_MAX);
	assert_int_equal(x->lost, 0);
}

/* migration.md W7: the destination opens its containers after that. */
static void test_w7_a_notice_before_the_open_is_handed_on(void **state)
{
	struct fixture *x = *state;
	struct ctr c = { .x = x };

	notice(x, NOTICE("c7", "GracefulExit"));
	notice(x, NOTICE("c8", "GracefulExit"));
	notice(x, NOTICE("c7", "ForcedExit")); /* the last one counts */
	assert_alive(x);
	assert_int_equal(host_container_open(x->client, "c7", on_ctr_ended, &c,
					     &c.container, NULL),
			 0);
	assert_int_equal(c.ended, 0); /* not from within the call */
	FAKE_UNTIL(&x->fake, c.ended);
	assert_int_equal(c.how, HOST_CONTAINER_KILLED);
	assert_int_equal(host_client_track(x->client)->n_early, 1);
}

static void test_an_opened_container_sends_nothing_and_ends(void **state)
{
	struct fixture *x = *state;
	struct ctr c = { .x = x };

	assert_int_equal(host_container_open(x->client, "c7", on_ctr_ended, &c,
					     &c.container, NULL),
			 0);
	assert_true(host_container_live(c.container));
	assert_alive(x);
	notice(x, NOTICE("c7", "UnexpectedExit"));
	FAKE_UNTIL(&x->fake, c.ended);
}

/* A notice of an older container of the same name does not end a new one. */
static void test_a_create_drops_what_was_remembered(void **state)
{
	struct fixture *x = *state;
	struct ctr c;

	notice(x, NOTICE("c7", "GracefulExit"));
	assert_alive(x);
	ctr_make(x, &c, "c7");
	assert_alive(x);
	assert_int_equal(c.ended, 0);
	host_container_free(c.container);
}

static void test_w_h9_a_failed_create_can_be_tried_again(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct ctr c;

	assert_int_equal(ctr_create(x, &c, "c7", NULL), 0);
	r = fake_expect(&x->fake, WIRE_CREATE);
	fake_answer(&x->fake, &r, "{\"Result\":-2147467259}");
	FAKE_UNTIL(&x->fake, c.created.times);
	assert_false(c.created.ok);
	assert_false(host_container_live(c.container));
	host_container_free(c.container);
	ctr_make(x, &c, "c7");
	host_container_free(c.container);
}

/* The same when the failed object is still there. */
static void test_w_h9_the_id_is_free_before_the_object_is(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct ctr c;
	struct ctr d;

	assert_int_equal(ctr_create(x, &c, "c7", NULL), 0);
	r = fake_expect(&x->fake, WIRE_CREATE);
	fake_answer(&x->fake, &r, "{\"Result\":-2147467259}");
	FAKE_UNTIL(&x->fake, c.created.times);
	ctr_make(x, &d, "c7");
	host_container_free(c.container);
	notice(x, NOTICE("c7", "UnexpectedExit"));
	FAKE_UNTIL(&x->fake, d.ended);
	assert_int_equal(c.ended, 0);
}

static void test_a_create_that_was_lost_fails_as_lost(void **state)
{
	struct fixture *x = *state;
	struct ctr c;

	assert_int_equal(ctr_create(x, &c, "c7", NULL), 0);
	(void)fake_expect(&x->fake, WIRE_CREATE);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, c.created.times);
	assert_int_equal(c.created.failure.kind, HOST_FAIL_LOST);
	assert_true(c.created.failure.sent);
	host_container_free(c.container);
}

static void test_a_lost_connection_ends_no_container(void **state)
{
	struct fixture *x = *state;
	struct ctr c;

	ctr_make(x, &c, "c7");
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	assert_int_equal(c.ended, 0);
	notice(x, NOTICE("c7", "UnexpectedExit"));
	FAKE_UNTIL(&x->fake, c.ended);
	assert_int_equal(c.how, HOST_CONTAINER_EXITED);
}

static void test_w_h10_the_end_of_the_bridge_is_no_exit(void **state)
{
	struct fixture *x = *state;
	struct ctr c;

	make_client(x,
		    (struct host_client_config){ .reconnect_timeout_ms = 20 });
	assert_int_equal(fake_connect(&x->fake), 0);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	ctr_make(x, &c, "c7");
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, c.ended);
	assert_int_equal(x->failed, 1);
	assert_int_equal(c.how, HOST_CONTAINER_UNKNOWN);
	assert_true(c.has_reason);
}

static void test_shutdown_of_what_is_gone_is_done(void **state)
{
	struct fixture *x = *state;
	struct outcome o = { 0 };
	struct outcome forced = { 0 };
	struct fake_request r;
	struct ctr c;

	ctr_make(x, &c, "c7");
	assert_int_equal(host_container_shutdown(
				 c.container, false,
				 &(struct host_done){ on_plain, &o, 0 }, NULL),
			 0);
	r = fake_expect(&x->fake, WIRE_SHUTDOWN_GRACEFUL);
	assert_int_equal(
		host_container_shutdown(c.container, false, NULL, NULL),
		-EALREADY);
	fake_answer(&x->fake, &r, "{\"Result\":-1070137074}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_true(o.ok);
	assert_int_equal(host_container_shutdown(
				 c.container, true,
				 &(struct host_done){ on_plain, &forced, 0 },
				 NULL),
			 0);
	r = fake_expect(&x->fake, WIRE_SHUTDOWN_FORCED);
	fake_answer(&x->fake, &r, "{\"Result\":-2147467259}");
	FAKE_UNTIL(&x->fake, forced.times);
	assert_false(forced.ok);
	/* Freed in the middle of one: no callback comes. */
	assert_int_equal(host_container_shutdown(
				 c.container, false,
				 &(struct host_done){ on_plain, &o, 0 }, NULL),
			 0);
	r = fake_expect(&x->fake, WIRE_SHUTDOWN_GRACEFUL);
	host_container_free(c.container);
	fake_answer(&x->fake, &r, "{\"Result\":0}");
	assert_alive(x);
	assert_int_equal(o.times, 1);
}

static void test_many_containers_end_each_by_its_notice(void **state)
{
	enum { N = 600 };
	static struct ctr c[N];
	struct fixture *x = *state;
	char body[256];
	char id[16];

	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "m%d", i);
		ctr_make(x, &c[i], id);
	}
	for (int i = N - 1; i >= 0; i -= 2) {
		(void)snprintf(body, sizeof(body), NOTICE("m%d", "ForcedExit"),
			       i);
		notice(x, body);
	}
	FAKE_UNTIL(&x->fake, c[1].ended);
	for (int i = 0; i < N; i++)
		assert_int_equal(c[i].ended, i % 2);
	assert_int_equal(host_client_track(x->client)->n, N / 2);
	for (int i = 0; i < N; i += 2)
		host_container_free(c[i].container);
	assert_int_equal(host_client_track(x->client)->n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_each_kind_of_exit),
		T(test_a_live_id_is_taken),
		T(test_ids_have_a_longest),
		T(test_a_notice_before_the_answer_is_kept),
		T(test_w_h3_a_notice_for_nobody_is_harmless),
		T(test_w7_a_notice_before_the_open_is_handed_on),
		T(test_an_opened_container_sends_nothing_and_ends),
		T(test_a_create_drops_what_was_remembered),
		T(test_w_h9_a_failed_create_can_be_tried_again),
		T(test_w_h9_the_id_is_free_before_the_object_is),
		T(test_a_create_that_was_lost_fails_as_lost),
		T(test_a_lost_connection_ends_no_container),
		BARE(test_w_h10_the_end_of_the_bridge_is_no_exit),
		T(test_shutdown_of_what_is_gone_is_done),
		T(test_many_containers_end_each_by_its_notice),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
