/*
 * tools/upgrade.c - ferry upgrade-agent: another agent in a running sandbox
 *
 * Nothing of this is in the agent. Processes of the UVM do it, so that any
 * agent can be replaced, also by an older one:
 *
 *	copy	the program comes in over standard input, and is compared by its
 *		SHA-256
 *	swap	it gets its name (init/upgrade.h) by a rename, and the agent is
 *		killed; PID 1 finds the new one
 *	ask	which program is the agent, and is it still on trial? Until
 *		there is an answer
 *
 * Each is a ferry exec of a script (tools/upgrade_script.h).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "build/proto/ferry.pb-c.h"
#include "config/digest.h"
#include "tools/home.h"
#include "tools/remote.h"
#include "tools/sandboxes.h"
#include "tools/small.h"
#include "tools/tool.h"
#include "tools/ttrpc/pb.h"
#include "tools/upgrade_script.h"

/* As PID 1's trial, and time for a busy guest. */
#define ANSWER_S 40
#define ASK_EVERY_US 200000
/* Of the agent: the bar is 400 KiB, one with symbols is larger. */
#define PROGRAM_MAX ((off_t)64 << 20)
#define HEX_SIZE (2u * DIGEST_BYTES + 1)
#define SAID_MAX 512
/* The UVM's processor is of the host's kind. */
#ifdef __aarch64__
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_X86_64
#endif

/**
 * struct upgrade - one
 * @program:	the new agent
 * @want:	its sum
 * @had:	the sum of the agent that was there
 * @said:	by the last script
 */
struct upgrade {
	const char *sandbox;
	const char *file;
	int program;
	char want[HEX_SIZE];
	char had[HEX_SIZE];
	char said[SAID_MAX];
};

/* --- in the sandbox -------------------------------------------------------- */

/* What it says is kept, and drained so that it ends. */
static void hear(struct upgrade *u, int fd)
{
	char rest[256];
	const ssize_t n = fd_read_full(fd, u->said, sizeof(u->said) - 1);

	u->said[n > 0 ? n : 0] = '\0';
	while (read(fd, rest, sizeof(rest)) > 0)
		;
}

/* Runs a script with the sum as its $1. Return: its exit code, or -errno */
static int in_uvm(struct upgrade *u, const char *script, int in, bool quiet,
		  struct err *e)
{
	extern char **environ;
	char *argv[] = { pb_text("/proc/self/exe"),
			 pb_text("exec"),
			 pb_text(u->sandbox),
			 pb_text("--"),
			 pb_text("/bin/sh"),
			 pb_text("-c"),
			 pb_text(script),
			 pb_text("sh"),
			 u->want,
			 NULL };
	cleanup_fd from = -1;
	cleanup_fd to = -1;
	struct spawn s = { .argv = argv,
			   .envp = environ,
			   .stdio = { in, -1, quiet ? -1 : STDERR_FILENO },
			   .die_with_parent = true };
	int ends[2];
	int status;
	pid_t pid;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	from = ends[0];
	to = ends[1];
	s.stdio[1] = to;
	r = spawn_start(&s, &pid, NULL, e);
	if (r < 0)
		return err_wrap(e, "ferry exec");
	fd_close(&to);
	hear(u, from);
	if (waitpid(pid, &status, 0) < 0)
		return err_sys(e, "wait for ferry exec");
	return WIFEXITED(status) ? WEXITSTATUS(status) : TOOL_CANNOT_RUN;
}

static int copy(struct upgrade *u, struct err *e)
{
	struct err ignored;
	const int code = in_uvm(u, upgrade_copy, u->program, false, e);

	if (code == 0) {
		(void)snprintf(u->had, sizeof(u->had), "%.64s", u->said);
		return 0;
	}
	if (code < 0)
		return code;
	(void)in_uvm(u, upgrade_drop, -1, true,
		     &ignored); /* if it got so far */
	return err_set(e, EIO, "%s could not be copied into %s", u->file,
		       u->sandbox);
}

/* The last line about it in the log of PID 1. */
static void on_dump(void *ctx, const ProtobufCMessage *m)
{
	static const char word[] = "upgrade: ";
	struct upgrade *u = ctx;
	const char *at = ((const FerryDumpResponse *)(const void *)m)->text;
	const char *last = NULL;

	while ((at = strstr(at, word)) != NULL) {
		at += strlen(word);
		last = at;
	}
	if (last)
		(void)snprintf(u->said, sizeof(u->said), "%.*s",
			       (int)strcspn(last, "\n"), last);
}

static void why(struct upgrade *u)
{
	FerryDumpRequest q = FERRY_DUMP_REQUEST__INIT;
	struct remote r;
	struct err e;

	(void)snprintf(u->said, sizeof(u->said), "its log does not say why");
	if (remote_open(u->sandbox, &r, &e) == 0)
		(void)remote_ask(&r, "Dump", &q.base,
				 &ferry_dump_response__descriptor, on_dump, u,
				 REMOTE_CALL_MS, &e); /* then it stays so */
	remote_close(&r);
}

/* Until it is known which agent serves. Return: 0 the new one, or -errno */
static int settle(struct upgrade *u, struct err *e)
{
	const time_t until = time(NULL) + ANSWER_S;

	do {
		if (in_uvm(u, upgrade_ask, -1, true, e) == 0) {
			if (strncmp(u->said, u->want, HEX_SIZE - 1) == 0)
				return 0;
			why(u);
			return err_set(e, ECANCELED,
				       "%s: the agent is the one before: %s",
				       u->sandbox, u->said);
		}
		(void)usleep(ASK_EVERY_US);
	} while (time(NULL) < until);
	return err_set(e, ETIMEDOUT, "%s: no agent has answered for %d s",
		       u->sandbox, ANSWER_S);
}

/* --- the file -------------------------------------------------------------- */

static void hex(const uint8_t sum[DIGEST_BYTES], char out[HEX_SIZE])
{
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* What is plainly none that the UVM can run is not sent. */
static int check_program(const struct upgrade *u, struct err *e)
{
	Elf64_Ehdr h;
	const ssize_t n = pread(u->program, &h, sizeof(h), 0);

	if (n < 0)
		return err_sys(e, "%s", u->file);
	if (n < SELFMAG || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return err_set(e, EINVAL, "%s is no program", u->file);
	if (n < (ssize_t)sizeof(h) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_machine != MACHINE)
		return err_set(e, EINVAL, "%s is of another machine", u->file);
	return 0;
}

/* Opens and sums it. */
static int read_program(struct upgrade *u, struct err *e)
{
	uint8_t sum[DIGEST_BYTES];
	char buf[65536];
	struct digest d;
	struct stat st;
	ssize_t n;

	u->program = open(u->file, O_RDONLY | O_CLOEXEC);
	if (u->program < 0 || fstat(u->program, &st) < 0)
		return err_sys(e, "%s", u->file);
	if (!S_ISREG(st.st_mode) || st.st_size > PROGRAM_MAX)
		return err_set(e, EINVAL, "%s: no file of at most %u MiB",
			       u->file, (unsigned int)(PROGRAM_MAX >> 20));
	if (check_program(u, e) < 0)
		return -e->code;
	digest_init(&d);
	while ((n = read(u->program, buf, sizeof(buf))) > 0)
		digest_add(&d, buf, (size_t)n);
	if (n < 0 || lseek(u->program, 0, SEEK_SET) < 0)
		return err_sys(e, "%s", u->file);
	digest_done(&d, sum);
	hex(sum, u->want);
	return 0;
}

/* --- all of it ------------------------------------------------------------- */

/* Before ferry exec says the same of it, in its own words. */
static int is_there(const struct upgrade *u, struct err *e)
{
	struct remote r;
	const int n = remote_open(u->sandbox, &r, e);

	remote_close(&r);
	return n;
}

static int upgrade(struct upgrade *u, struct err *e)
{
	struct err ignored;
	int r = read_program(u, e);

	if (r == 0)
		r = is_there(u, e);
	if (r == 0)
		r = copy(u, e);
	if (r < 0)
		return r;
	/* Its answer may go with the agent. */
	(void)in_uvm(u, upgrade_swap, -1, true, &ignored);
	return settle(u, e);
}

static int run_upgrade(const struct words *w)
{
	struct upgrade u = { .sandbox = w->word[0], .program = -1 };
	char path[4096];
	struct err e;
	int r = 0;

	if (strchr(u.sandbox, '/'))
		return tool_usage("upgrade-agent",
				  "a sandbox has one agent, not '%s'",
				  u.sandbox);
	u.file = w->n > 1 ? w->word[1] : path;
	if (w->n < 2)
		r = tool_lib_path(TOOL_LIB_AGENT, path, sizeof(path), &e);
	if (r == 0)
		r = upgrade(&u, &e);
	fd_close(&u.program);
	if (r < 0)
		return tool_fail(&e);
	(void)printf("%s: %s%s\n", u.sandbox,
		     strcmp(u.want, u.had) == 0 ? "the same agent, started anew"
						: "agent replaced by ",
		     strcmp(u.want, u.had) == 0 ? "" : u.file);
	return TOOL_OK;
}

int tool_upgrade_agent(int argc, char **argv)
{
	static const struct small s = {
		.name = "upgrade-agent",
		.help = "usage: ferry upgrade-agent SANDBOX [FILE]\n"
			"\n"
			"Replaces the agent of a running sandbox by FILE, or "
			"by this ferry's own.\nContainers and processes go on. "
			"When the new agent does not become stable\nthe one "
			"before comes back, and that is an error.\n",
		.options = "",
		.min = 1,
		.max = 2,
	};

	return small_run(&s, argc, argv, run_upgrade);
}
