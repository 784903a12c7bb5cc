/*
 * tests/unit/test_shim_service.c - the service Migration of a shim over its
 * wire: every method, its refusals, what may be repeated, and notifications as
 * a stream; QEMU and the guest are pretended
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tests/unit/fake_move.h"
#include "build/proto/ferry.pb-c.h"
#include "tools/qemu/listener.h"
#include "tools/shim/move_service.h"
#include "tools/shim/shim.h"
#include "tools/ttrpc/client.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/reader.h"

#define LIMIT_MS 10000
#define ID "s1"

struct conn {
	int fd;
	uint32_t stream;
	struct ttrpc_reader in;
};

struct fixture {
	struct move m;
	struct shim shim;
	struct loop *loop;
	struct ttrpc_server *server;
	char path[64];
	struct conn calls;
	struct conn notes;
};

/* Of the service Ferry: what a destination is asked for beside it. */
static const struct ttrpc_method moves[] = {
	{ "Adopt", &ferry_adopt_request__descriptor, move_on_adopt },
};
static const struct ttrpc_service ferry = {
	.name = "Ferry",
	.method = moves,
	.n_methods = ARRAY_LEN(moves),
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;
	int fd = -1;

	assert_non_null(f);
	move_init(&f->m);
	session_ctl_done(&f->m.src.session); /* the shim has one */
	(void)snprintf(f->path, sizeof(f->path), "/tmp/ferry-test-service-%d",
		       (int)getpid());
	assert_int_equal(loop_new(&f->loop, &e), 0);
	f->shim.loop = f->loop;
	shim_migration_ready(&f->shim.migration, f->loop, &f->m.src.s);
	assert_int_equal(listener_open(f->path, &fd, &e), 0);
	assert_int_equal(ttrpc_server_new(f->loop, fd, &f->server, &e), 0);
	assert_int_equal(ttrpc_server_add(f->server, &shim_migration_service,
					  &f->shim, &e),
			 0);
	assert_int_equal(ttrpc_server_add(f->server, &ferry, &f->shim, &e), 0);
	assert_int_equal(ttrpc_dial(f->path, &f->calls.fd, &e), 0);
	assert_int_equal(ttrpc_dial(f->path, &f->notes.fd, &e), 0);
	f->calls.stream = f->notes.stream = 1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fd_close(&f->calls.fd);
	fd_close(&f->notes.fd);
	ttrpc_reader_done(&f->calls.in);
	ttrpc_reader_done(&f->notes.in);
	ttrpc_server_free(f->server);
	shim_migration_done(&f->shim.migration);
	loop_free(f->loop);
	(void)unlink(f->path);
	session_ctl_init(&f->m.src.session, &f->m.src.s);
	move_done(&f->m);
	free(f);
	return 0;
}

static void ask_of(struct conn *c, const char *service, const char *method,
		   const ProtobufCMessage *m)
{
	const struct ttrpc_request q = { .service = service, .method = method };
	cleanup_free uint8_t *bytes = NULL;
	size_t len = 0;
	struct err e;

	bytes = ttrpc_request_frame(c->stream, &q, m, &len, &e);
	assert_non_null(bytes);
	c->stream += 2;
	assert_int_equal(send(c->fd, bytes, len, MSG_NOSIGNAL), len);
}

static void ask(struct conn *c, const char *method, const ProtobufCMessage *m)
{
	ask_of(c, "Migration", method, m);
}

/* The next frame; whatever QEMU and the guest are asked for succeeds. */
static struct ttrpc_frame next(struct fixture *f, struct conn *c)
{
	struct ttrpc_frame got;
	uint8_t buf[4096];
	struct err e;
	ssize_t n;

	for (int i = 0; i < LIMIT_MS; i++) {
		if (ttrpc_reader_next(&c->in, &got))
			return got;
		(void)loop_turn(f->loop, 1, &e);
		world_run(&f->m.src);
		n = recv(c->fd, buf, sizeof(buf), 0);
		if (n > 0)
			assert_int_equal(
				ttrpc_reader_add(&c->in, buf, (size_t)n, &e),
				0);
		else
			assert_true(n < 0 && errno == EAGAIN);
	}
	fail_msg("no frame came");
	return got;
}

static enum ttrpc_code code_of(const struct ttrpc_frame *got)
{
	struct ttrpc_response a;
	struct arena arena;
	struct err e;

	assert_int_equal(got->header.type, TTRPC_RESPONSE);
	arena_init(&arena, TTRPC_DECODE_MAX);
	assert_int_equal(
		ttrpc_response_get(got->data, got->header.len, &arena, &a, &e),
		0);
	arena_done(&arena);
	return a.code;
}

static enum ttrpc_code call(struct fixture *f, const char *method,
			    const ProtobufCMessage *m)
{
	struct ttrpc_frame got;

	ask(&f->calls, method, m);
	got = next(f, &f->calls);
	return code_of(&got);
}

/* A method that takes only the session. */
static enum ttrpc_code simple(struct fixture *f, const char *method,
			      const char *id)
{
	MigrationSessionRequest q = MIGRATION_SESSION_REQUEST__INIT;

	q.session_id = (char *)(uintptr_t)id;
	return call(f, method, &q.base);
}

static enum ttrpc_code prepare(struct fixture *f, const char *method,
			       const char *id)
{
	MigrationPrepareRequest q = MIGRATION_PREPARE_REQUEST__INIT;

	q.session_id = (char *)(uintptr_t)id;
	return call(f, method, &q.base);
}

static enum ttrpc_code finalize(struct fixture *f, const char *id,
				MigrationAction action)
{
	MigrationFinalizeRequest q = MIGRATION_FINALIZE_REQUEST__INIT;

	q.session_id = (char *)(uintptr_t)id;
	q.has_action = true;
	q.action = action;
	return call(f, "FinalizeSandbox", &q.base);
}

static enum ttrpc_code give_socket(struct fixture *f, const char *id)
{
	MigrationSocketRequest q = MIGRATION_SOCKET_REQUEST__INIT;
	char words[] = "socket";

	q.session_id = (char *)(uintptr_t)id;
	q.has_protocol_info = true;
	q.protocol_info.data = (uint8_t *)words;
	q.protocol_info.len = strlen(words);
	return call(f, "CreateDuplicateSocket", &q.base);
}

static void subscribe(struct fixture *f, const char *id)
{
	MigrationSessionRequest q = MIGRATION_SESSION_REQUEST__INIT;

	q.session_id = (char *)(uintptr_t)id;
	ask(&f->notes, "Notifications", &q.base);
}

#define STOP MIGRATION_ACTION__MIGRATION_ACTION_STOP
#define RESUME MIGRATION_ACTION__MIGRATION_ACTION_RESUME

static void test_a_move_that_is_called_off(void **state)
{
	struct fixture *f = *state;
	const struct session_ctl *s = &f->shim.migration.session;
	MigrationImportRequest import = MIGRATION_IMPORT_REQUEST__INIT;
	PbAny state_of = PB_ANY__INIT;

	/* Nothing is there: what ends something is done. */
	assert_int_equal(simple(f, "Cleanup", ID), TTRPC_OK);
	assert_int_equal(simple(f, "Cancel", ""), TTRPC_OK);
	assert_int_equal(simple(f, "Cancel", ID), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(prepare(f, "PrepareSandbox", ID),
			 TTRPC_INVALID_ARGUMENT);
	import.session_id = (char[]){ ID };
	assert_int_equal(call(f, "ImportSandbox", &import.base),
			 TTRPC_INVALID_ARGUMENT);

	assert_int_equal(prepare(f, "PrepareAndExportSandbox", ID), TTRPC_OK);
	assert_int_equal(s->state, SESSION_SOURCE_EXPORTED);
	assert_int_equal(prepare(f, "PrepareAndExportSandbox", ID),
			 TTRPC_FAILED_PRECONDITION);
	import.config = &state_of;
	import.has_ferry_from_file = import.ferry_from_file = true;
	assert_int_equal(call(f, "ImportSandbox", &import.base),
			 TTRPC_FAILED_PRECONDITION);
	assert_false(s->from_file); /* nothing is changed by a refusal */
	assert_int_equal(simple(f, "Cleanup", ID), TTRPC_FAILED_PRECONDITION);
	assert_int_equal(finalize(f, ID, RESUME), TTRPC_FAILED_PRECONDITION);
	assert_int_equal(
		finalize(f, ID, MIGRATION_ACTION__MIGRATION_ACTION_UNSPECIFIED),
		TTRPC_INVALID_ARGUMENT);

	/* Another session is refused whatever it asks for. */
	assert_int_equal(simple(f, "TransferSandbox", "s2"),
			 TTRPC_INVALID_ARGUMENT);
	assert_int_equal(simple(f, "Cancel", "s2"), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(simple(f, "Cleanup", "s2"), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(finalize(f, "s2", STOP), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(give_socket(f, "s2"), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(s->state, SESSION_SOURCE_EXPORTED);

	assert_int_equal(simple(f, "TransferSandbox", ID), TTRPC_OK);
	assert_int_equal(s->state, SESSION_SOCKET_WAITING);
	assert_int_equal(simple(f, "TransferSandbox", ID), TTRPC_OK);
	assert_int_equal(give_socket(f, ID), TTRPC_OK);
	assert_int_equal(give_socket(f, ID), TTRPC_ALREADY_EXISTS);
	assert_int_equal(simple(f, "Cancel", ID), TTRPC_OK);
	assert_int_equal(simple(f, "Cancel", ID), TTRPC_OK);
	assert_int_equal(finalize(f, ID, RESUME), TTRPC_OK);
	assert_int_equal(finalize(f, ID, RESUME), TTRPC_OK);
	assert_int_equal(simple(f, "Cleanup", ID), TTRPC_OK);
	assert_int_equal(s->state, SESSION_IDLE);
	assert_int_equal(simple(f, "Cleanup", ID), TTRPC_OK);
	assert_int_equal(f->m.src.s.vm.state, VM_RUNNING);
	assert_false(f->m.src.migrating);
}

/* Phase and number of the next message, for that subscriber. */
static void expect_note(struct fixture *f, uint32_t stream, uint32_t number,
			enum session_phase phase)
{
	const struct ttrpc_frame got = next(f, &f->notes);
	const MigrationNotificationsResponse *m;
	struct arena arena;

	assert_int_equal(got.header.type, TTRPC_DATA);
	assert_int_equal(got.header.stream, stream);
	arena_init(&arena, TTRPC_DECODE_MAX);
	m = (const void *)ttrpc_unpack(
		&migration_notifications_response__descriptor, got.data,
		got.header.len, &arena);
	assert_non_null(m);
	assert_int_equal(m->message_id, number);
	assert_int_equal(m->notification->phase, phase);
	assert_int_equal(m->notification->origin, SESSION_SOURCE);
	arena_done(&arena);
}

static void test_notifications_are_a_stream(void **state)
{
	struct fixture *f = *state;
	struct session_ctl *s = &f->shim.migration.session;
	struct ttrpc_frame got;

	subscribe(f, ID); /* there is none */
	got = next(f, &f->notes);
	assert_int_equal(code_of(&got), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(prepare(f, "PrepareAndExportSandbox", ID), TTRPC_OK);
	session_ctl_notify(s, SESSION_SETUP_DONE, SESSION_SUCCESS, 0);
	subscribe(f, ID); /* late: it still gets what was */
	expect_note(f, 3, 1, SESSION_SETUP_DONE);
	subscribe(f, ID);
	expect_note(f, 5, 1, SESSION_SETUP_DONE);
	session_ctl_notify(s, SESSION_BLACKOUT_STARTED, SESSION_SUCCESS, 0);
	/* Who came last hears first. */
	expect_note(f, 5, 2, SESSION_BLACKOUT_STARTED);
	expect_note(f, 3, 2, SESSION_BLACKOUT_STARTED);
	assert_int_equal(simple(f, "Cancel", ID), TTRPC_OK);
	assert_int_equal(finalize(f, ID, RESUME), TTRPC_OK);
	assert_int_equal(simple(f, "Cleanup", ID), TTRPC_OK);
	for (int i = 0; i < 2; i++) { /* their streams end without an error */
		got = next(f, &f->notes);
		assert_int_equal(got.header.type, TTRPC_DATA);
		assert_int_equal(got.header.flags, TTRPC_LAST | TTRPC_NO_DATA);
	}
}

/* Whoever prepared it does not come back. */
static void test_w19_a_source_goes_back_after_the_time_it_was_told(void **state)
{
	struct fixture *f = *state;
	const struct session_ctl *s = &f->shim.migration.session;
	MigrationPrepareRequest q = MIGRATION_PREPARE_REQUEST__INIT;
	MigrationOptions o = MIGRATION_OPTIONS__INIT;
	struct err e;

	q.session_id = (char[]){ ID };
	q.init_options = &o;
	o.has_memory_transport = true;
	o.memory_transport = MIGRATION_TRANSPORT__MIGRATION_TRANSPORT_TCP;
	o.has_ferry_idle_seconds = true;
	o.ferry_idle_seconds = 1;
	assert_int_equal(call(f, "PrepareAndExportSandbox", &q.base), TTRPC_OK);
	assert_int_equal(s->state, SESSION_SOURCE_EXPORTED);
	for (int i = 0; i < LIMIT_MS && s->state != SESSION_IDLE; i++) {
		(void)loop_turn(f->loop, 1, &e);
		world_run(&f->m.src);
	}
	assert_int_equal(s->state, SESSION_IDLE);
	assert_int_equal(f->m.src.s.vm.state, VM_RUNNING);
}

/* Nor is anything written for it: a bundle of that name may be in use. */
static void test_a_container_comes_with_a_state_only(void **state)
{
	struct fixture *f = *state;
	FerryContainer c = FERRY_CONTAINER__INIT;
	FerryAdoptRequest q = FERRY_ADOPT_REQUEST__INIT;
	char dir[] = "/tmp/ferry-test-adopt-XXXXXX";
	char bundle[64];

	assert_non_null(mkdtemp(dir));
	(void)snprintf(f->shim.dir.path, sizeof(f->shim.dir.path), "%s", dir);
	(void)snprintf(bundle, sizeof(bundle), "%s/b-c", dir);
	q.source_id = c.id = (char[]){ "c" };
	q.container = &c;
	for (int moving = 0; moving < 2; moving++) {
		struct ttrpc_frame got;

		ask_of(&f->calls, "Ferry", "Adopt", &q.base);
		got = next(f, &f->calls);
		assert_int_equal(code_of(&got), TTRPC_FAILED_PRECONDITION);
		assert_int_equal(access(bundle, F_OK), -1);
		if (!moving) /* nor for one that goes away */
			assert_int_equal(
				prepare(f, "PrepareAndExportSandbox", ID),
				TTRPC_OK);
	}
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(simple(f, "Cancel", ID), TTRPC_OK);
	assert_int_equal(finalize(f, ID, RESUME), TTRPC_OK);
	assert_int_equal(simple(f, "Cleanup", ID), TTRPC_OK);
}

/* A subscriber that hangs up leaves nothing behind. */
static void test_a_subscriber_that_goes(void **state)
{
	struct fixture *f = *state;
	struct session_ctl *s = &f->shim.migration.session;
	const struct session_listener *before;

	assert_int_equal(prepare(f, "PrepareAndExportSandbox", ID), TTRPC_OK);
	before = s->listeners;
	session_ctl_notify(s, SESSION_SETUP_DONE, SESSION_SUCCESS, 0);
	subscribe(f, ID);
	expect_note(f, 1, 1, SESSION_SETUP_DONE);
	assert_ptr_not_equal(s->listeners, before);
	fd_close(&f->notes.fd);
	for (int i = 0; i < LIMIT_MS && s->listeners != before; i++)
		(void)loop_turn(f->loop, 1, NULL);
	assert_ptr_equal(s->listeners, before);
	session_ctl_notify(s, SESSION_BLACKOUT_STARTED, SESSION_SUCCESS, 0);
	assert_int_equal(simple(f, "Cancel", ID), TTRPC_OK);
	assert_int_equal(finalize(f, ID, RESUME), TTRPC_OK);
	assert_int_equal(simple(f, "Cleanup", ID), TTRPC_OK);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_a_move_that_is_called_off),
		T(test_notifications_are_a_stream),
		T(test_w19_a_source_goes_back_after_the_time_it_was_told),
		T(test_a_container_comes_with_a_state_only),
		T(test_a_subscriber_that_goes),
	};
#undef T

	return cmocka_run_group_tests_name("shim_service", tests, NULL, NULL);
}
