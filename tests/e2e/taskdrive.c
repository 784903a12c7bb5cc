/*
 * tests/e2e/taskdrive.c - containerd's part: containers in a sandbox that runs
 * by itself
 *
 * usage: taskdrive SOCKET create ID BUNDLE STDIN STDOUT STDERR [tty]
 *        taskdrive SOCKET start|wait|delete|state ID [EXEC]
 *        taskdrive SOCKET resize ID EXEC ROWS COLUMNS
 *
 * SOCKET is that of the shim. create starts it too. wait prints the exit code,
 * state the number of the state.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "tools/ttrpc/client.h"

#define CALL_MS 600000

static char *exec_id;
static struct loop *loop;
static struct ttrpc_client *client;

struct answer {
	bool over;
	int result;
	uint32_t number;
	bool is_state;
};

static void on_answer(void *ctx, enum ttrpc_code code, const char *text,
		      const ProtobufCMessage *m)
{
	struct answer *a = ctx;

	a->over = true;
	if (code != TTRPC_OK) {
		(void)fprintf(stderr, "%d: %s\n", (int)code, text);
		a->result = -1;
	} else if (m && m->descriptor == &task_wait_response__descriptor) {
		a->number = ((const TaskWaitResponse *)(const void *)m)
				    ->exit_status;
	} else if (m && m->descriptor == &task_state_response__descriptor) {
		a->number =
			((const TaskStateResponse *)(const void *)m)->status;
	}
}

static int call(const char *method, const ProtobufCMessage *q,
		const ProtobufCMessageDescriptor *response, uint32_t *ret)
{
	struct answer a = { 0 };
	const struct ttrpc_ask ask = {
		.service = "containerd.task.v2.Task",
		.method = method,
		.request = q,
		.response = response,
		.timeout_ms = CALL_MS,
		.done = on_answer,
		.ctx = &a,
	};
	struct err e = { 0 };
	int r = ttrpc_client_call(client, &ask, &e);

	while (r >= 0 && !a.over)
		r = loop_turn(loop, -1, &e);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", e.text);
	*ret = a.number;
	return r < 0 ? r : a.result;
}

static int of_id(const char *method, char *id,
		 const ProtobufCMessageDescriptor *response)
{
	TaskProcessRequest q = TASK_PROCESS_REQUEST__INIT;
	uint32_t number = 0;
	int r;

	q.id = id;
	if (exec_id)
		q.exec_id = exec_id;
	r = call(method, &q.base, response, &number);
	if (r == 0 && response)
		(void)printf("%u\n", number);
	return r;
}

static int create(char **word, bool tty)
{
	TaskCreateRequest q = TASK_CREATE_REQUEST__INIT;
	uint32_t number;
	int r;

	q.id = word[0];
	q.bundle = word[1];
	q.stdin = word[2];
	q.stdout = word[3];
	q.stderr = word[4];
	q.terminal = tty;
	r = call("Create", &q.base, NULL, &number);
	return r == 0 ? of_id("Start", word[0], NULL) : r;
}

static int resize(char **word)
{
	TaskResizePtyRequest q = TASK_RESIZE_PTY_REQUEST__INIT;
	uint32_t number;

	q.id = word[0];
	q.exec_id = word[1];
	q.height = (uint32_t)strtoul(word[2], NULL, 10);
	q.width = (uint32_t)strtoul(word[3], NULL, 10);
	return call("ResizePty", &q.base, NULL, &number);
}

static int run(int argc, char **argv)
{
	if (strcmp(argv[2], "create") == 0 && argc >= 8)
		return create(argv + 3, argc > 8);
	if (strcmp(argv[2], "resize") == 0 && argc >= 7)
		return resize(argv + 3);
	exec_id = argc > 4 ? argv[4] : NULL;
	if (strcmp(argv[2], "start") == 0)
		return of_id("Start", argv[3], NULL);
	if (strcmp(argv[2], "delete") == 0)
		return of_id("Delete", argv[3], NULL);
	if (strcmp(argv[2], "wait") == 0)
		return of_id("Wait", argv[3], &task_wait_response__descriptor);
	if (strcmp(argv[2], "state") == 0)
		return of_id("State", argv[3],
			     &task_state_response__descriptor);
	(void)fputs("usage: taskdrive SOCKET create|start|wait... ID\n",
		    stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	int fd = -1;
	int r;

	if (argc < 4)
		return 2;
	r = ttrpc_dial(argv[1], &fd, &e);
	if (r == 0)
		r = loop_new(&loop, &e);
	if (r == 0)
		r = ttrpc_client_new(loop, fd, NULL, NULL, &client, &e);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	r = run(argc, argv);
	ttrpc_client_free(client);
	loop_free(loop);
	return r != 0;
}
