/*
 * tools/sandboxes.c - the small commands about sandboxes that run by
 * themselves: list, ps, kill, stop, gc
 */
#include "tools/sandboxes.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/msg.h"
#include "bridge/schema.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "tools/remote.h"
#include "tools/shim/shim.h"
#include "tools/small.h"
#include "tools/tool.h"
#include "tools/ttrpc/pb.h"

/* --- list --------------------------------------------------------------------------- */

struct list_row {
	const char *name;
	const char *state;
	uint32_t shim_pid;
	uint32_t qemu_pid;
	bool migratable;
	uint32_t memory_mib;
	uint32_t processors;
	uint32_t processes;
	const char *accel;
	const char *vsock;
};

#define T struct list_row
static const struct schema_member list_members[] = {
	SCHEMA_STRING(T, name, "name", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, state, "state", SCHEMA_ALWAYS),
	SCHEMA_U32(T, shim_pid, "shim_pid", SCHEMA_OPTIONAL),
	SCHEMA_U32(T, qemu_pid, "qemu_pid", SCHEMA_OPTIONAL),
	SCHEMA_BOOL(T, migratable, "migratable", SCHEMA_OPTIONAL),
	SCHEMA_U32(T, memory_mib, "memory_mib", SCHEMA_OPTIONAL),
	SCHEMA_U32(T, processors, "processors", SCHEMA_OPTIONAL),
	SCHEMA_U32(T, processes, "processes", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, accel, "accel", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, vsock, "vsock", SCHEMA_OPTIONAL),
};
static const struct schema list_schema = SCHEMA(T, list_members);
#undef T

static void print_row(const struct list_row *row, const char *up, bool json)
{
	if (json)
		small_json(&list_schema, row);
	else
		(void)printf("%-24s %-8s %6s %8u MiB %5u %9u\n", row->name,
			     row->state, up, row->memory_mib, row->processors,
			     row->processes);
}

static void on_list_info(void *ctx, const ProtobufCMessage *m)
{
	const FerryInfoResponse *a = (const void *)m;
	const struct list_row row = {
		.name = a->id,
		.state = a->state,
		.shim_pid = a->shim_pid,
		.qemu_pid = a->qemu_pid,
		.migratable = a->migratable,
		.memory_mib = a->memory_mib,
		.processors = a->processors,
		.processes = a->processes,
		.accel = a->accel,
		.vsock = a->vsock,
	};
	char up[24];

	small_age(a->started_at, up, sizeof(up));
	print_row(&row, up, *(const bool *)ctx);
}

/* Names are gathered first: the folder is locked during the walk. */
struct names {
	struct {
		char name[RUNDIR_NAME_MAX];
		bool alive;
	} * item;
	size_t n;
	bool full;
};

static void on_folder(void *ctx, const char *name, const char *path UNUSED,
		      bool alive)
{
	struct names *all = ctx;
	void *more = realloc(all->item, (all->n + 1) * sizeof(*all->item));

	all->item = more ? more : all->item;
	if (!more || strlen(name) >= RUNDIR_NAME_MAX) {
		all->full = true;
		return;
	}
	memcpy(all->item[all->n].name, name, strlen(name) + 1);
	all->item[all->n++].alive = alive;
}

static void list_one(const char *name, bool alive, bool json)
{
	FerryInfoRequest q = FERRY_INFO_REQUEST__INIT;
	struct list_row row = { .name = name, .state = "dead" };
	struct remote r = { 0 };
	struct err e;

	if (alive) {
		row.state = "silent";
		if (remote_open(name, &r, &e) == 0 &&
		    remote_ask(&r, "Info", &q.base,
			       &ferry_info_response__descriptor, on_list_info,
			       &json, REMOTE_CALL_MS, &e) == 0)
			row.state = NULL;
		remote_close(&r);
	}
	if (row.state)
		print_row(&row, "-", json);
}

static int run_list(const struct words *w)
{
	struct names all = { 0 };
	struct err e;
	const int r = rundir_each(rundir_base(), on_folder, &all, &e);

	if (r < 0)
		return tool_fail(&e);
	if (!w->json)
		(void)printf("%-24s %-8s %6s %12s %5s %9s\n", "NAME", "STATE",
			     "AGE", "MEMORY", "CPUS", "PROCESSES");
	for (size_t i = 0; i < all.n; i++)
		list_one(all.item[i].name, all.item[i].alive, w->json);
	free(all.item);
	return all.full ? TOOL_FAILURE : TOOL_OK;
}

/* --- ps ----------------------------------------------------------------------------- */

struct ps_row {
	const char *container;
	const char *id;
	uint32_t pid;
	const char *state;
	uint32_t exit_status;
	bool terminal;
	struct msg_strings args;
};

#define T struct ps_row
static const struct schema_member ps_members[] = {
	SCHEMA_STRING(T, container, "container", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, id, "id", SCHEMA_ALWAYS),
	SCHEMA_U32(T, pid, "pid", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, state, "state", SCHEMA_ALWAYS),
	SCHEMA_U32(T, exit_status, "exit_status", SCHEMA_ALWAYS),
	SCHEMA_BOOL(T, terminal, "terminal", SCHEMA_OPTIONAL),
	SCHEMA_STRINGS(T, args, "args", SCHEMA_ALWAYS),
};
static const struct schema ps_schema = SCHEMA(T, ps_members);
#undef T

static void print_process(const FerryProcess *p, bool json)
{
	const struct ps_row row = {
		.container = p->id,
		.id = p->exec_id,
		.pid = p->pid,
		.state = p->state,
		.exit_status = p->exit_status,
		.terminal = p->terminal,
		.args = { .item = (const char **)(void *)p->args,
			  .n = p->n_args },
	};
	char up[24];
	char code[16] = "-";

	if (json) {
		small_json(&ps_schema, &row);
		return;
	}
	small_age(p->started_at, up, sizeof(up));
	if (strcmp(p->state, "stopped") == 0)
		(void)snprintf(code, sizeof(code), "%u", p->exit_status);
	(void)printf("%-16s %-16s %7u %-8s %5s %6s ", *p->id ? p->id : "-",
		     p->exec_id, p->pid, p->state, code, up);
	for (size_t i = 0; i < p->n_args && i < 8; i++) {
		if (i)
			(void)putchar(' ');
		small_safe(p->args[i], 60);
	}
	(void)putchar('\n');
}

static void on_ps(void *ctx, const ProtobufCMessage *m)
{
	const FerryProcessesResponse *a = (const void *)m;
	const bool json = *(const bool *)ctx;

	if (!json)
		(void)printf("%-16s %-16s %7s %-8s %5s %6s %s\n", "CONTAINER",
			     "ID", "PID", "STATE", "EXIT", "AGE", "COMMAND");
	for (size_t i = 0; i < a->n_processes; i++)
		print_process(a->processes[i], json);
}

static int run_ps(const struct words *w)
{
	FerryProcessesRequest q = FERRY_PROCESSES_REQUEST__INIT;
	struct remote r = { 0 };
	bool json = w->json;
	struct err e;
	int n = remote_open_in(w->word[0], &r, &e);

	q.id = r.container;
	if (n == 0)
		n = remote_ask(&r, "Processes", &q.base,
			       &ferry_processes_response__descriptor, on_ps,
			       &json, REMOTE_CALL_MS, &e);
	remote_close(&r);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

/* --- kill, stop ------------------------------------------------------------------------ */

static int run_kill(const struct words *w)
{
	TaskKillRequest q = TASK_KILL_REQUEST__INIT;
	struct remote r = { 0 };
	struct err e;
	int n = remote_open_in(w->word[0], &r, &e);

	q.id = r.container;
	q.exec_id = pb_text(w->n > 1 ? w->word[1] : SHIM_MAIN);
	if (w->n < 2 && r.container[0])
		q.exec_id = pb_text("");
	q.signal = w->signal ? w->signal : SIGTERM;
	if (n == 0)
		n = remote_ask(&r, "Kill", &q.base, NULL, NULL, NULL,
			       REMOTE_CALL_MS, &e);
	remote_close(&r);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

static int stop_one(const char *name, bool force)
{
	struct remote r = { 0 };
	struct err e;
	int n = remote_open(name, &r, &e);

	if (n == 0)
		n = remote_stop(&r, force, &e);
	remote_close(&r);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

static int run_stop(const struct words *w)
{
	int code = TOOL_OK;

	for (size_t i = 0; i < w->n; i++)
		if (stop_one(w->word[i], w->force) != TOOL_OK)
			code = TOOL_FAILURE;
	return code;
}

/* --- gc ------------------------------------------------------------------------------------ */

static void on_removed(void *ctx UNUSED, const char *name,
		       const char *path UNUSED, bool alive UNUSED)
{
	(void)printf("%s\n", name);
}

static int run_gc(const struct words *w UNUSED)
{
	struct err e;

	return rundir_clean(rundir_base(), on_removed, NULL, &e) < 0
		       ? tool_fail(&e)
		       : TOOL_OK;
}

/* --- the commands ----------------------------------------------------------------------------- */

#define HELP_JSON "  --json              one JSON object a line\n"

int tool_list(int argc, char **argv)
{
	static const struct small s = {
		.name = "list",
		.help = "usage: ferry list [--json]\n"
			"\n"
			"Lists the sandboxes that run by themselves, and those "
			"whose shim has died.\n"
			"\n" HELP_JSON,
		.options = "j",
	};

	return small_run(&s, argc, argv, run_list);
}

int tool_ps(int argc, char **argv)
{
	static const struct small s = {
		.name = "ps",
		.help = "usage: ferry ps [--json] SANDBOX[/CONTAINER]\n"
			"\n"
			"Lists the processes that were started in a sandbox.\n"
			"\n" HELP_JSON,
		.options = "j",
		.min = 1,
		.max = 1,
	};

	return small_run(&s, argc, argv, run_ps);
}

int tool_kill(int argc, char **argv)
{
	static const struct small s = {
		.name = "kill",
		.help = "usage: ferry kill [-s SIGNAL] SANDBOX[/CONTAINER] [ID]\n"
			"\n"
			"Sends a signal to a process of a sandbox. Without ID: "
			"the command of\n'ferry run --detach', or the "
			"container's first process.\n"
			"\n"
			"  -s, --signal SIGNAL name or number; TERM by "
			"default\n",
		.options = "s",
		.min = 1,
		.max = 2,
	};

	return small_run(&s, argc, argv, run_kill);
}

int tool_stop(int argc, char **argv)
{
	static const struct small s = {
		.name = "stop",
		.help = "usage: ferry stop [-f] SANDBOX...\n"
			"\n"
			"Powers sandboxes off and waits for their end.\n"
			"\n"
			"  -f, --force         without asking the guest\n",
		.options = "f",
		.min = 1,
		.max = SIZE_MAX,
	};

	return small_run(&s, argc, argv, run_stop);
}

int tool_gc(int argc, char **argv)
{
	static const struct small s = {
		.name = "gc",
		.help = "usage: ferry gc\n"
			"\n"
			"Removes what sandboxes left whose owner has died, and "
			"prints their names.\n",
		.options = "",
	};

	return small_run(&s, argc, argv, run_gc);
}
