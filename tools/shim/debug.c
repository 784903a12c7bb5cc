#include "tools/shim/debug.h"

#include <execinfo.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"
#include "migration/machine.h"
#include "tools/mask.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"

#define NS_PER_S 1000000000u
/* Places of a crash. */
#define FRAMES_MAX 32

const char *debug_file_name(enum debug_file f)
{
	static const char *const names[] = {
		[DEBUG_WHY] = "why",	   [DEBUG_VERSIONS] = "versions",
		[DEBUG_LINE] = "line",	   [DEBUG_ANNOTATIONS] = "annotations",
		[DEBUG_STATES] = "states", [DEBUG_QMP] = "qmp",
		[DEBUG_LOG] = "log",	   [DEBUG_GUEST] = "guest",
	};

	static_assert(ARRAY_LEN(names) == DEBUG_FILES, "a file has no name");
	static_assert(DEBUG_FILES <= REMAINS_FILES_MAX, "too many files");
	return names[f];
}

/* --- versions ----------------------------------------------------------------- */

/* Contents are told apart by size and time; a sum would take too long here. */
static void describe_file(const char *what, const char *path, struct text *t)
{
	struct stat st;

	text_addf(t, "%s ", what);
	text_quote(t, path, 512);
	if (stat(path, &st) == 0)
		text_addf(t, " bytes=%lld changed=%lld", (long long)st.st_size,
			  (long long)st.st_mtim.tv_sec);
	text_addc(t, '\n');
}

static void versions(const struct shim *s, struct text *t)
{
	struct utsname u;

	text_addf(t, "ferry %s\n", TOOL_VERSION);
	if (uname(&u) == 0)
		text_addf(t, "host %s %s %s\n", u.sysname, u.release,
			  u.machine);
	describe_file("kernel", s->launch->kernel, t);
	describe_file("image", s->launch->image, t);
	text_addf(t, "qemu %s\n",
		  s->launch->args.qemu ? s->launch->args.qemu
				       : "qemu-system-x86_64");
}

/* --- states ------------------------------------------------------------------- */

static void state_of_shim(const struct shim *s, struct text *t)
{
	const struct sandbox_options *o = &s->launch->options;

	text_addf(t,
		  "shim name=%s state=%s pid=%d up_s=%" PRIu64
		  " ended=%d forced=%d destination=%d\n",
		  s->name, shim_state_name(s->state), (int)getpid(),
		  (clock_wall_ns() - s->started_ns) / NS_PER_S, s->ended,
		  s->forced, s->birth->incoming);
	text_addf(t,
		  "options memory_mib=%" PRIu64
		  " processors=%u migratable=%d forwarder=%d\n",
		  o->memory_mib, o->processor_count, o->migratable,
		  (int)o->forwarder);
	if (s->sandbox)
		sandbox_describe(s->sandbox, t);
}

static void state_of_processes(const struct shim *s, struct text *t)
{
	for (const struct uvm_proc *p = s->procs.first; p; p = p->next) {
		text_add(t, "process id=");
		text_quote(t, p->exec_id, UVM_EXEC_ID_MAX);
		text_addf(t, " pid=%u state=%s exit_status=%u terminal=%d\n",
			  p->pid, uvm_state_name(p->state), p->exit_status,
			  p->terminal);
	}
}

static void state_of_containers(const struct shim *s, struct text *t)
{
	for (const struct shim_task *k = s->tasks.first; k; k = k->next) {
		text_add(t, "container id=");
		text_quote(t, k->id, 128);
		text_addf(t, " stage=%d state=%s\n", (int)k->stage,
			  k->ctl ? machine_state_name(&container_machine,
						      k->ctl->state)
				 : "none");
		for (const struct process_ctl *p = k->ctl ? k->ctl->processes
							  : NULL;
		     p; p = p->next)
			text_addf(
				t,
				"\tprocess id=%.76s pid=%u state=%s "
				"exit_status=%u\n",
				p->exec_id, p->pid,
				machine_state_name(&process_machine, p->state),
				p->exit_status);
	}
}

static void state_of_move(const struct shim *s, struct text *t)
{
	const struct shim_migration *m = &s->migration;
	const struct session_ctl *c = &m->session;

	if (!m->there)
		return;
	text_addf(t, "move session=%s origin=%d vm=%s seen=%d\n",
		  machine_state_name(&session_source_machine, c->state),
		  (int)c->origin,
		  machine_state_name(&vm_machine, s->tasks.ctl.vm.state),
		  m->seen);
	if (c->transfer_result < 0)
		text_addf(t, "move failed: %s\n", c->transfer_err.text);
	for (size_t i = 0; i < c->n_messages; i++)
		text_addf(t,
			  "move message=%u phase=%d result=%d at_ns=%" PRIu64
			  " blackout_ms=%" PRIu64 "\n",
			  c->messages[i].id, (int)c->messages[i].phase,
			  (int)c->messages[i].result, c->messages[i].at_ns,
			  c->messages[i].blackout_ms);
}

/* --- QEMU and the log ------------------------------------------------------------ */

static void qmp(const struct shim *s, struct text *t)
{
	const struct vm *vm = s->sandbox ? sandbox_vm(s->sandbox) : NULL;

	if (!vm) {
		text_add(t, "there is no QEMU\n");
		return;
	}
	text_addf(t, "qemu pid=%d end=%s\n", vm_pid(vm),
		  vm_end_name(vm_end(vm)));
	history_print(vm_history(vm), loop_now_ms(s->loop), t);
	if (*vm_stderr(vm))
		text_addf(t, "stderr, its end:\n%s\n", vm_stderr(vm));
}

/* The log is open for writing only. */
static void end_of_log(const struct shim *s, struct text *t)
{
	char *buf = malloc(REMAINS_FILE_MAX);
	cleanup_fd fd = openat(s->dir.lock, SHIM_LOG, O_RDONLY | O_CLOEXEC);
	const ssize_t n = buf ? remains_end_of(fd, buf) : -1;

	if (n > 0)
		text_addn(t, buf, (size_t)n);
	free(buf);
}

/* --- a bundle ----------------------------------------------------------------- */

void debug_gather(const struct shim *s, const char *why, struct debug_texts *t)
{
	for (int i = 0; i < DEBUG_FILES; i++)
		text_heap(&t->file[i], REMAINS_FILE_MAX + 1);
	text_addf(&t->file[DEBUG_WHY], "%s\n", why);
	versions(s, &t->file[DEBUG_VERSIONS]);
	text_addf(&t->file[DEBUG_LINE], "%s\n", s->launch->line);
	mask_annotations(&s->launch->args.annotations,
			 &t->file[DEBUG_ANNOTATIONS]);
	state_of_shim(s, &t->file[DEBUG_STATES]);
	state_of_move(s, &t->file[DEBUG_STATES]);
	state_of_containers(s, &t->file[DEBUG_STATES]);
	state_of_processes(s, &t->file[DEBUG_STATES]);
	qmp(s, &t->file[DEBUG_QMP]);
	end_of_log(s, &t->file[DEBUG_LOG]);
}

void debug_texts_done(struct debug_texts *t)
{
	for (int i = 0; i < DEBUG_FILES; i++)
		text_done(&t->file[i]);
}

void debug_mask(struct debug_texts *t)
{
	for (int i = 0; i < DEBUG_FILES; i++)
		if (t->file[i].len && i != DEBUG_ANNOTATIONS)
			mask_text(t->file[i].buf, t->file[i].len);
}

void shim_debug_leave(struct shim *s, const char *word, const char *why)
{
	struct remains_file file[DEBUG_FILES];
	struct debug_texts t;
	size_t n = 0;
	struct err e;
	int r;

	debug_gather(s, why, &t);
	debug_mask(&t);
	for (int i = 0; i < DEBUG_FILES; i++)
		if (t.file[i].len)
			file[n++] = (struct remains_file){
				.name = debug_file_name((enum debug_file)i),
				.text = t.file[i].buf,
				.len = t.file[i].len,
			};
	r = remains_write(rundir_base(), s->name, word, file, n, s->left, &e);
	debug_texts_done(&t);
	if (r < 0)
		log_err("%s; and nothing can be left: %s", why, e.text);
	else
		log_warn("diagnostics are in %s", s->left);
	s->n_left += r == 0;
}

void shim_debug_refer(const struct shim *s, const char *why, char *out,
		      size_t size)
{
	static const char see[] = "; see ";
	const size_t tail = strlen(see) + strlen(s->left) + 1;

	if (s->left[0] == '\0' || tail >= size)
		(void)snprintf(out, size, "%s", why);
	else
		(void)snprintf(out, size, "%.*s%s%s", (int)(size - tail), why,
			       see, s->left);
}

/* --- a crash of our own ------------------------------------------------------------ */

static int crash_fd = -1;

/* Whatever it does wrong here, the signal comes once more and ends it. */
static void on_crash(int signal)
{
	char line[] =
		"{\"level\":\"error\",\"msg\":\"the shim died of signal 00\"}\n";
	char *digits = strstr(line, "00");
	void *frame[FRAMES_MAX];
	int n;

	digits[0] = (char)('0' + signal / 10 % 10);
	digits[1] = (char)('0' + signal % 10);
	(void)!write(crash_fd, line, sizeof(line) - 1);
	n = backtrace(frame, FRAMES_MAX);
	backtrace_symbols_fd(frame, n, crash_fd);
	(void)raise(signal);
}

void shim_debug_crash(int log_fd)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE,
				       SIGILL };
	struct sigaction act = {
		.sa_handler = on_crash,
		.sa_flags = (int)SA_RESETHAND | SA_NODEFER,
	};
	void *frame[1];

	crash_fd = log_fd;
	(void)backtrace(frame, 1); /* loads what it needs, while it can */
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &act, NULL);
}
