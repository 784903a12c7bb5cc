/*
 * tools/sandboxes.c - the small commands about sandboxes that run by
 * themselves: list, ps, kill, stop, logs, gc
 *
 * Their options are rows of one table, their output is for people or, with
 * --json, one JSON object a line.
 */
#include "tools/sandboxes.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge/msg.h"
#include "bridge/schema.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/num.h"
#include "config/text.h"
#include "config/util.h"
#include "tools/remote.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"

/* A guest that powers off, and what comes when it does not. */
#define STOP_MS 60000
#define LINE_MAX_BYTES ((size_t)1024 * 1024)
#define SIGNAL_MAX 64u

/* What a command line of one of these may have. */
struct words {
	bool json;
	bool force;
	uint32_t signal;
	const char **word;
	size_t n;
};

/* One of these commands. */
struct small {
	const char *name;
	const char *help;
	const char *options; /* letters that it takes: j f s */
	size_t min;
	size_t max;
};

/* --- arguments ------------------------------------------------------------------ */

static int signal_number(const char *text, uint32_t *ret, struct err *e)
{
	uint32_t n = 0;

	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, text) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	if (num_u32(text, 1, SIGNAL_MAX, &n, NULL) < 0)
		return err_set(e, EINVAL, "'%.40s' is no signal", text);
	*ret = n;
	return 0;
}

/* Return: -1: go on, else the exit code. */
static int parse(const struct small *s, int argc, char **argv, struct words *w)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "force", no_argument, NULL, 'f' },
		{ "signal", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct err e;
	int id;

	optind = 0;
	while ((id = getopt_long(argc, argv, "+fs:h", options, NULL)) != -1) {
		if (id == 'h') {
			(void)fputs(s->help, stdout);
			return TOOL_OK;
		}
		if (id == '?' || !strchr(s->options, id))
			return tool_usage(s->name, "no such option");
		if (id == 's' && signal_number(optarg, &w->signal, &e) < 0)
			return tool_usage(s->name, "%s", e.text);
		w->json |= id == 'j';
		w->force |= id == 'f';
	}
	while (optind < argc)
		w->word[w->n++] = argv[optind++];
	if (w->n < s->min)
		return tool_usage(s->name, "no sandbox");
	if (w->n > s->max)
		return tool_usage(s->name, "too many words");
	return -1;
}

static int with_words(const struct small *s, int argc, char **argv,
		      int (*run)(const struct words *w))
{
	struct words w = { .word = calloc((size_t)argc + 1, sizeof(char *)) };
	int code = TOOL_FAILURE;

	if (!w.word) {
		(void)fputs("ferry: out of memory\n", stderr);
		return code;
	}
	code = parse(s, argc, argv, &w);
	if (code < 0)
		code = run(&w);
	free(w.word);
	return code;
}

/* --- output ----------------------------------------------------------------------- */

static void print_json(const struct schema *schema, const void *m)
{
	struct text line;

	text_heap(&line, LINE_MAX_BYTES);
	msg_encode(schema, m, &line);
	(void)puts(line.full ? "{}" : text_str(&line));
	text_done(&line);
}

/* Whatever a guest or a client put into it: one line, printable. */
static void print_safe(const char *s, size_t max)
{
	char safe[4 * 128 + 8];
	struct text t;

	text_fixed(&t, safe, sizeof(safe));
	text_quote(&t, s, max);
	(void)fputs(text_str(&t), stdout);
}

/* "2h", for a table. */
static void age(const PbTimestamp *since, char *out, size_t size)
{
	const int64_t s = since ? (int64_t)time(NULL) - since->seconds : 0;

	if (!since)
		(void)snprintf(out, size, "-");
	else if (s < 120)
		(void)snprintf(out, size, "%" PRId64 "s", s);
	else if (s < 7200)
		(void)snprintf(out, size, "%" PRId64 "m", s / 60);
	else
		(void)snprintf(out, size, "%" PRId64 "h", s / 3600);
}

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
		print_json(&list_schema, row);
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

	age(a->started_at, up, sizeof(up));
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
		print_json(&ps_schema, &row);
		return;
	}
	age(p->started_at, up, sizeof(up));
	if (strcmp(p->state, "stopped") == 0)
		(void)snprintf(code, sizeof(code), "%u", p->exit_status);
	(void)printf("%-16s %-16s %7u %-8s %5s %6s ", *p->id ? p->id : "-",
		     p->exec_id, p->pid, p->state, code, up);
	for (size_t i = 0; i < p->n_args && i < 8; i++) {
		if (i)
			(void)putchar(' ');
		print_safe(p->args[i], 60);
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
	int n = remote_open(w->word[0], &r, &e);

	q.id = r.container;
	if (n == 0)
		n = remote_ask(&r, "Processes", &q.base,
			       &ferry_processes_response__descriptor, on_ps,
			       &json, REMOTE_CALL_MS, &e);
	remote_close(&r);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

/* --- kill, stop, logs ------------------------------------------------------------------ */

static int run_kill(const struct words *w)
{
	TaskKillRequest q = TASK_KILL_REQUEST__INIT;
	struct remote r = { 0 };
	struct err e;
	int n = remote_open(w->word[0], &r, &e);

	q.id = r.container;
	q.exec_id = remote_text(w->n > 1 ? w->word[1] : SHIM_MAIN);
	if (w->n < 2 && r.container[0])
		q.exec_id = remote_text("");
	q.signal = w->signal ? w->signal : SIGTERM;
	if (n == 0)
		n = remote_ask(&r, "Kill", &q.base, NULL, NULL, NULL,
			       REMOTE_CALL_MS, &e);
	remote_close(&r);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

static int stop_one(const char *name, bool force)
{
	FerryStopRequest q = FERRY_STOP_REQUEST__INIT;
	struct remote r = { 0 };
	struct err e;
	int n = remote_open(name, &r, &e);

	q.force = force;
	if (n == 0)
		n = remote_ask(&r, "Stop", &q.base, NULL, NULL, NULL, STOP_MS,
			       &e);
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

static void on_dump(void *ctx UNUSED, const ProtobufCMessage *m)
{
	const FerryDumpResponse *a = (const void *)m;

	(void)fputs(a->text, stdout);
}

/* The shim's own log, with what the UVM's agent sent. */
static int show_file(const struct remote *r)
{
	char path[RUNDIR_MAX + 16];
	char buf[65536];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/" SHIM_LOG, r->dir);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		(void)fwrite(buf, 1, n, stdout);
	(void)fclose(f); /* only read */
	return 0;
}

static int run_logs(const struct words *w)
{
	FerryDumpRequest q = FERRY_DUMP_REQUEST__INIT;
	struct remote r = { 0 };
	struct err e;
	int n = remote_open(w->word[0], &r, &e);

	if (n == 0 && show_file(&r) < 0)
		n = err_set(&e, ENOENT, "the log of %s is gone", r.name);
	if (n == 0)
		n = remote_ask(&r, "Dump", &q.base,
			       &ferry_dump_response__descriptor, on_dump, NULL,
			       REMOTE_CALL_MS, &e);
	remote_close(&r);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
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

	return with_words(&s, argc, argv, run_list);
}

int tool_ps(int argc, char **argv)
{
	static const struct small s = {
		.name = "ps",
		.help = "usage: ferry ps [--json] SANDBOX\n"
			"\n"
			"Lists the processes that were started in a sandbox.\n"
			"\n" HELP_JSON,
		.options = "j",
		.min = 1,
		.max = 1,
	};

	return with_words(&s, argc, argv, run_ps);
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

	return with_words(&s, argc, argv, run_kill);
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

	return with_words(&s, argc, argv, run_stop);
}

int tool_logs(int argc, char **argv)
{
	static const struct small s = {
		.name = "logs",
		.help = "usage: ferry logs SANDBOX\n"
			"\n"
			"Shows the log of a sandbox's shim, what its agent "
			"knows of itself, and the\nend of the log that PID 1 "
			"of the UVM keeps.\n",
		.options = "",
		.min = 1,
		.max = 1,
	};

	return with_words(&s, argc, argv, run_logs);
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

	return with_words(&s, argc, argv, run_gc);
}
