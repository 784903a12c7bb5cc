/*
 * tools/sandbox_logs.c - ferry logs: what a shim and the UVM's PID 1 noted
 *
 * The shim's log is a file in the folder of the sandbox. PID 1's is asked for,
 * as the end of the agent's dump. Following is looking again: what was seen
 * before is found in the new text by its last bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/proto/ferry.pb-c.h"
#include "config/util.h"
#include "tools/remote.h"
#include "tools/sandboxes.h"
#include "tools/shim/shim.h"
#include "tools/small.h"
#include "tools/tool.h"

#define LOOK_US 500000u
/* Where PID 1's log begins in a dump; see bridge/guest/dump.c. */
#define RING_BEGINS "log of PID 1, its end:\n"
/* The last bytes that were shown, by which the next text is joined. */
#define JOIN_MAX 256u

struct logs {
	struct remote remote;
	FILE *file;
	char shown[JOIN_MAX + 1];
	bool ring_only; /* not the first look */
};

static void show_file(struct logs *l)
{
	char buf[65536];
	size_t n;

	clearerr(l->file);
	while ((n = fread(buf, 1, sizeof(buf), l->file)) > 0)
		(void)fwrite(buf, 1, n, stdout);
}

/* What follows the last place where @shown stands in @text. */
static const char *behind(const char *text, const char *shown)
{
	const char *found = NULL;
	const char *at = text;

	if (*shown == '\0')
		return text;
	while ((at = strstr(at, shown)))
		found = at++;
	return found ? found + strlen(shown) : text;
}

static void on_dump(void *ctx, const ProtobufCMessage *m)
{
	const char *text = ((const FerryDumpResponse *)(const void *)m)->text;
	const char *ring = strstr(text, RING_BEGINS);
	struct logs *l = ctx;
	size_t n;

	ring = ring ? ring + strlen(RING_BEGINS) : text;
	if (!l->ring_only)
		(void)printf("%.*s", (int)(ring - text), text);
	(void)fputs(behind(ring, l->shown), stdout);
	n = strlen(ring);
	(void)snprintf(l->shown, sizeof(l->shown), "%s",
		       ring + (n > JOIN_MAX ? n - JOIN_MAX : 0));
	l->ring_only = true;
}

static int look(struct logs *l, struct err *e)
{
	FerryDumpRequest q = FERRY_DUMP_REQUEST__INIT;

	show_file(l);
	return remote_ask(&l->remote, "Dump", &q.base,
			  &ferry_dump_response__descriptor, on_dump, l,
			  REMOTE_CALL_MS, e);
}

/* The guest may be away for a moment; its shim is not. */
static bool is_there(struct logs *l)
{
	FerryInfoRequest q = FERRY_INFO_REQUEST__INIT;
	struct err e;

	return remote_ask(&l->remote, "Info", &q.base, NULL, NULL, NULL,
			  REMOTE_CALL_MS, &e) == 0;
}

static int open_log(struct logs *l, struct err *e)
{
	char path[RUNDIR_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/" SHIM_LOG, l->remote.dir);
	l->file = fopen(path, "re");
	return l->file ? 0 : err_sys(e, "log of %s", l->remote.name);
}

static int run_logs(const struct words *w)
{
	struct logs l = { 0 };
	struct err e;
	int n = remote_open(w->word[0], &l.remote, &e);

	if (n == 0)
		n = open_log(&l, &e);
	if (n == 0)
		n = look(&l, &e);
	while ((n == 0 || is_there(&l)) && w->follow && l.ring_only &&
	       fflush(stdout) == 0) {
		(void)usleep(LOOK_US); /* a signal ends it in any case */
		n = look(&l, &e);
	}
	/* The end of the sandbox is the end of what there is to follow. */
	if (w->follow && l.ring_only && n < 0) {
		show_file(&l);
		n = 0;
	}
	if (l.file)
		(void)fclose(l.file); /* only read */
	remote_close(&l.remote);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

int tool_logs(int argc, char **argv)
{
	static const struct small s = {
		.name = "logs",
		.help = "usage: ferry logs [-f] SANDBOX\n"
			"\n"
			"Shows the log of a sandbox's shim, what its agent "
			"knows of itself, and the\nend of the log that PID 1 "
			"of the UVM keeps.\n"
			"\n"
			"  -f, --follow        go on until the sandbox ends\n",
		.options = "F",
		.min = 1,
		.max = 1,
	};

	return small_run(&s, argc, argv, run_logs);
}
