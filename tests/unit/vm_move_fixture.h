/* tests/unit/vm_move_fixture.h - a machine whose monitor is played by the test */
#ifndef FERRY_TESTS_UNIT_VM_MOVE_FIXTURE_H
#define FERRY_TESTS_UNIT_VM_MOVE_FIXTURE_H

#include "tests/unit/qmp_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/vm_move.h"

#define NOT_YET 1

struct fixture {
	struct loop *loop;
	struct qmp *q;
	struct vm_move *m;
	int peer;
	int id;
	int result; /* of the last operation */
	int transfer;
	int cancel;
	char why[ERR_TEXT_MAX];
	char notes[256];
};

UNUSED static void on_event(void *ctx, const char *name,
			    const struct qmp_data *data)
{
	vm_move_event(((struct fixture *)ctx)->m, name, data);
}

UNUSED static void on_note(void *ctx, enum vm_move_note note, uint64_t number)
{
	struct fixture *f = ctx;
	const size_t n = strlen(f->notes);

	(void)snprintf(f->notes + n, sizeof(f->notes) - n, "%s%s ",
		       vm_move_note_name(note), number ? "*" : "");
}

UNUSED static void on_done(void *ctx, int result, const struct err *e)
{
	struct fixture *f = ctx;

	f->result = result;
	(void)snprintf(f->why, sizeof(f->why), "%s", e ? e->text : "");
}

UNUSED static void on_transfer(void *ctx, int result, const struct err *e)
{
	struct fixture *f = ctx;

	f->transfer = result;
	(void)snprintf(f->why, sizeof(f->why), "%s", e ? e->text : "");
}

UNUSED static void on_cancel(void *ctx, int result, const struct err *e UNUSED)
{
	((struct fixture *)ctx)->cancel = result;
}

UNUSED static void say(struct fixture *f, const char *text)
{
	qmp_peer_say(f->loop, f->peer, text);
}

UNUSED static void status(struct fixture *f, const char *text)
{
	char buf[128];

	(void)snprintf(buf, sizeof(buf),
		       "{\"event\": \"MIGRATION\", \"data\": {\"status\": "
		       "\"%s\"}}\n",
		       text);
	say(f, buf);
}

/* The next command has these words; its number is kept. */
UNUSED static void expect(struct fixture *f, const char *words)
{
	static char buf[8192];
	const char *id;
	size_t len = 0;
	ssize_t n = -1;
	struct err e;

	for (int i = 0; i < 100 && n < 0; i++) {
		(void)loop_turn(f->loop, 5, &e);
		n = recv(f->peer, buf, sizeof(buf) - 1,
			 MSG_DONTWAIT | MSG_PEEK);
	}
	while (n > 0 && len < (size_t)n && buf[len++] != '\n')
		;
	if (len > 0) /* one line of what may be several */
		assert_int_equal(recv(f->peer, buf, len, 0), len);
	buf[len] = '\0';
	id = strstr(buf, ",\"id\":");
	if (!strstr(buf, words) || !id)
		fail_msg("wanted %s, got %s", words, buf);
	f->id = (int)strtol(id + 6, NULL, 10);
}

UNUSED static void answer(struct fixture *f, const char *value)
{
	char buf[512];

	(void)snprintf(buf, sizeof(buf), "{\"return\": %s, \"id\": %d}\n",
		       value, f->id);
	say(f, buf);
}

UNUSED static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct qmp_handler h = { .event = on_event, .ctx = f };
	struct err e;

	assert_non_null(f);
	qmp_peer_open(&f->loop, &f->q, &f->peer, &h);
	assert_int_equal(vm_move_new(&f->m, f->loop, on_note, f, &e), 0);
	vm_move_up(f->m, f->q);
	say(f, GREETING);
	expect(f, "qmp_capabilities");
	answer(f, "{}");
	f->result = f->transfer = f->cancel = NOT_YET;
	*state = f;
	return 0;
}

UNUSED static int tear_down(void **state)
{
	struct fixture *f = *state;

	qmp_free(f->q);
	vm_move_free(f->m);
	loop_free(f->loop);
	fd_close(&f->peer);
	free(f);
	return 0;
}

#define MOVE_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

#endif
