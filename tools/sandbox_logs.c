/*
 * tools/sandbox_logs.c - ferry logs: what a shim and the UVM's PID 1 noted
 *
 * The shim's log is a file in the folder of the sandbox. PID 1's is read in
 * pieces, by the numbers of its bytes, which outlive agents and moves. An agent
 * that cannot do that is asked for its dump, which has the end of it; then
 * following is looking again, and what was seen before is found in the new text
 * by its last bytes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
/* A guest that writes faster than we read does not hold us for ever. */
#define PIECES_MAX 256

/**
 * struct logs - what was shown so far
 * @next:	number of the next byte of PID 1's log
 * @by_dump:	the agent cannot give pieces
 * @again:	not the first look
 * @more:	the last piece was not the end
 */
struct logs {
	struct remote remote;
	char path[RUNDIR_MAX + 16];
	FILE *file;
	char shown[JOIN_MAX + 1];
	uint64_t next;
	bool by_dump;
	bool again;
	bool more;
};

/* --- the shim's file --------------------------------------------------------------- */

static void show_rest(struct logs *l)
{
	char buf[65536];
	size_t n;

	clearerr(l->file);
	while ((n = fread(buf, 1, sizeof(buf), l->file)) > 0)
		remote_show(stdout, buf, n);
}

/* The file is another one when the shim has begun a new one. */
static void show_file(struct logs *l)
{
	struct stat ours, there;
	FILE *new;

	show_rest(l);
	if (fstat(fileno(l->file), &ours) < 0 || stat(l->path, &there) < 0 ||
	    ours.st_ino == there.st_ino)
		return;
	new = fopen(l->path, "re");
	if (!new)
		return;
	(void)fclose(l->file); /* only read */
	l->file = new;
	show_rest(l);
}

/* --- PID 1's, in pieces --------------------------------------------------------------- */

static void on_piece(void *ctx, const ProtobufCMessage *m)
{
	const FerryLogResponse *a = (const void *)m;
	struct logs *l = ctx;

	if (l->again && a->from > l->next)
		(void)printf("[%" PRIu64 " bytes are gone]\n",
			     a->from - l->next);
	remote_show(stdout, a->text, strlen(a->text));
	l->next = a->from + strlen(a->text);
	l->more = *a->text != '\0' && l->next < a->head;
	l->again = true;
}

static int read_pieces(struct logs *l, struct err *e)
{
	FerryLogRequest q = FERRY_LOG_REQUEST__INIT;
	int n = 0;

	l->more = true;
	for (int i = 0; i < PIECES_MAX && l->more && n == 0; i++) {
		q.from = l->next;
		n = remote_ask(&l->remote, "Log", &q.base,
			       &ferry_log_response__descriptor, on_piece, l,
			       REMOTE_CALL_MS, e);
	}
	return n;
}

/* --- or the end of the dump ------------------------------------------------------------- */

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

static void show_tail(struct logs *l, const char *ring)
{
	const char *rest = behind(ring, l->shown);
	const size_t n = strlen(ring);

	remote_show(stdout, rest, strlen(rest));
	(void)snprintf(l->shown, sizeof(l->shown), "%s",
		       ring + (n > JOIN_MAX ? n - JOIN_MAX : 0));
}

/* The first time what the agent knows of itself is shown. */
static void on_dump(void *ctx, const ProtobufCMessage *m)
{
	const char *text = ((const FerryDumpResponse *)(const void *)m)->text;
	const char *ring = strstr(text, RING_BEGINS);
	struct logs *l = ctx;

	ring = ring ? ring + strlen(RING_BEGINS) : text + strlen(text);
	if (!l->again)
		remote_show(stdout, text, (size_t)(ring - text));
	if (l->by_dump)
		show_tail(l, ring);
}

static int dump(struct logs *l, struct err *e)
{
	FerryDumpRequest q = FERRY_DUMP_REQUEST__INIT;

	return remote_ask(&l->remote, "Dump", &q.base,
			  &ferry_dump_response__descriptor, on_dump, l,
			  REMOTE_CALL_MS, e);
}

/* --- both -------------------------------------------------------------------------------- */

static int look(struct logs *l, struct err *e)
{
	int n = 0;

	show_file(l);
	if (!l->again)
		n = dump(l, e);
	if (n == 0 && !l->by_dump)
		n = read_pieces(l, e);
	if (n < 0 && l->remote.code == TTRPC_UNIMPLEMENTED) {
		l->by_dump = true;
		l->again = true;
	}
	if (l->by_dump)
		n = dump(l, e);
	return n;
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
	(void)snprintf(l->path, sizeof(l->path), "%s/" SHIM_LOG, l->remote.dir);
	l->file = fopen(l->path, "re");
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
	/* Nothing was seen again of what is not there. */
	while (w->follow && l.again && (n == 0 || is_there(&l)) &&
	       fflush(stdout) == 0) {
		(void)usleep(LOOK_US); /* a signal ends it in any case */
		n = look(&l, &e);
	}
	/* The end of the sandbox is the end of what there is to follow. */
	if (w->follow && l.again && n < 0) {
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
