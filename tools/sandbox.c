/*
 * Theory of operation. Everything that can end the sandbox comes together in
 * two places: fail() notes the first reason and stops the VM, on_vm_ended()
 * tells the owner. Between them QEMU is given budgets to go, so that ended()
 * always comes. With the kernel's vsock a guest CID can be taken by somebody
 * else between our choice and QEMU's start; then all is torn down and begun
 * again with another CID, from a timer, outside of the callbacks of what is
 * torn down.
 */
#include "tools/sandbox.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/calls.h"
#include "bridge/host/entropy.h"
#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/console.h"
#include "tools/qemu/cid.h"
#include "tools/qemu/hostdir.h"
#include "tools/qemu/remains.h"
#include "tools/qemu/rundir.h"

#define QEMU_PROGRAM "qemu-system-x86_64"
/* In its own folder every VM may have the same address. */
#define USER_CID 3u
/* Another CID after this many that were taken would be taken too. */
#define CID_RETRIES 5
#define PATH_SIZE (RUNDIR_MAX + 16)
/*
 * The log's port is open again at once when its connection has ended, but no
 * guest makes us do that more often than this.
 */
#define LOG_REARM_MS 100
/* Below it a panic may come from an image that has no room to be unpacked. */
#define MEMORY_SMALL_MIB 128u
/* Bytes of the agent's last words that go into a message. */
#define WORDS_MAX 140

/* The guest syncs and powers off in a tenth of a second. */
static const struct vm_budget polite = {
	.guest_ms = 10000,
	.quit_ms = 2000,
	.kill_ms = 5000,
};
static const struct vm_budget harsh = {
	.guest_ms = 0,
	.quit_ms = 1000,
	.kill_ms = 5000,
};

struct sandbox {
	const struct sandbox_config *c;
	struct rundir dir;
	enum accel accel;
	enum vhost_backend vsock;
	struct transport transport;
	struct cid cid; /* of the kernel's vsock */
	char base[PATH_SIZE];
	char qmp[PATH_SIZE];
	char console_path[PATH_SIZE];
	struct console console;
	struct host_entropy *entropy;
	struct host_logport *log;
	int64_t log_armed_ms;
	struct loop_id log_timer;
	char words[WORDS_MAX + 1]; /* the agent's last error, printable */
	struct host_client *client;
	struct host_observer observer;
	struct vm *vm;
	struct plug *plug;
	struct vm_move *move;
	int retries;
	struct loop_id retry;
	bool seen[SANDBOX_PHASES];
	bool was_ready;
	bool asked;    /* sandbox_shutdown() */
	bool deserted; /* by the agent, for good */
	bool ending;
	bool failed;
	struct err why;
};

static void phase(struct sandbox *s, enum sandbox_phase p)
{
	if (s->seen[p])
		return;
	s->seen[p] = true;
	if (s->c->phase)
		s->c->phase(s->c->ctx, p);
}

/* The first reason counts; later ones follow from it. */
static void fail(struct sandbox *s, const struct err *why)
{
	if (!s->failed)
		s->why = *why;
	s->failed = true;
	s->ending = true;
	vm_stop(s->vm, &harsh);
}

/* --- callbacks of the bridge ------------------------------------------- */

static void on_bridge_ready(void *ctx, const struct host_guest *guest UNUSED)
{
	struct sandbox *s = ctx;

	if (s->was_ready || s->ending)
		return;
	s->was_ready = true;
	phase(s, SANDBOX_READY);
	s->c->ready(s->c->ctx);
}

static void on_bridge_failed(void *ctx, const struct err *why)
{
	struct sandbox *s = ctx;
	struct err e = *why;

	if (s->ending)
		return;
	s->deserted = true;
	(void)err_wrap(&e, "%s",
		       s->was_ready ? "the UVM's agent does not come back"
				    : "the UVM's agent did not call");
	fail(s, &e);
}

static void on_seeded(void *ctx)
{
	phase(ctx, SANDBOX_SEEDED);
}

static void on_log(void *ctx, const struct host_log_line *line)
{
	struct sandbox *s = ctx;

	/* What no logger wrote is a crash, or about the agent's arguments. */
	if (line->level == LOG_LEVEL_ERR || !line->json)
		(void)snprintf(s->words, sizeof(s->words), "%s", line->msg);
	if (s->c->log)
		s->c->log(s->c->ctx, line);
}

static void on_log_ended(void *ctx);

static void arm_log(void *ctx)
{
	struct sandbox *s = ctx;
	struct err e;

	s->log_armed_ms = loop_now_ms(s->c->loop);
	if (host_logport_arm(s->log, &e) < 0)
		on_log_ended(s); /* whoever has the port may go */
}

/* A new agent must find the port open: without it classic mode ends. */
static void on_log_ended(void *ctx)
{
	struct sandbox *s = ctx;
	const int64_t due = s->log_armed_ms + LOG_REARM_MS;
	struct err e;

	if (s->ending)
		return;
	if (loop_now_ms(s->c->loop) >= due)
		arm_log(s);
	else if (loop_at(s->c->loop, due, arm_log, s, &s->log_timer, &e) < 0)
		fail(s, &e);
}

/* --- callbacks of the VM ------------------------------------------------ */

static void on_vm_ready(void *ctx)
{
	struct sandbox *s = ctx;

	plug_up(s->plug, vm_qmp(s->vm));
	vm_move_up(s->move, vm_qmp(s->vm));
	if (s->c->waiting && !s->ending)
		s->c->waiting(s->c->ctx);
}

static void on_vm_event(void *ctx, const char *name,
			const struct qmp_data *data)
{
	const struct sandbox *s = ctx;

	plug_event(s->plug, name, data);
	vm_move_event(s->move, name, data);
	if (strcmp(name, "SHUTDOWN") == 0 && qmp_data_bool(data, "guest"))
		phase(ctx, SANDBOX_OFF);
}

static int begin(struct sandbox *s, struct err *e);
static void tear_down(struct sandbox *s);

static void on_retry(void *ctx)
{
	struct sandbox *s = ctx;
	struct err e;

	tear_down(s);
	if (s->ending)
		s->c->ended(s->c->ctx, s->failed ? &s->why : NULL);
	else if (begin(s, &e) < 0)
		s->c->ended(s->c->ctx, &e);
}

static bool try_again(struct sandbox *s)
{
	struct err e;

	if (s->vsock != VHOST_KERNEL || s->retries >= CID_RETRIES ||
	    s->ending || vm_end(s->vm) != VM_END_QEMU ||
	    !vhost_cid_taken(vm_stderr(s->vm)))
		return false;
	s->retries++;
	return loop_at(s->c->loop, loop_now_ms(s->c->loop), on_retry, s,
		       &s->retry, &e) == 0;
}

/* Why the UVM did not end in order, as far as the agent told it. */
static int end_reason(const struct sandbox *s, struct err *e)
{
	const int r = vm_end_err(s->vm, e);
	const struct err end = *e;
	const uint64_t mib = s->c->options->memory_mib;

	if (vm_end(s->vm) == VM_END_PANIC && mib < MEMORY_SMALL_MIB)
		return err_set(e, EIO,
			       "%s; %" PRIu64
			       " MiB of memory may be too little",
			       end.text, mib);
	if (vm_end(s->vm) != VM_END_FAILED)
		return r;
	if (s->words[0] != '\0')
		return err_set(e, EIO, "%s: %s", end.text, s->words);
	if (!s->c->options->console)
		return err_set(e, EIO, "%s (--console shows why)", end.text);
	return r;
}

static void on_vm_ended(void *ctx)
{
	struct sandbox *s = ctx;
	struct err e = { 0 };

	if (try_again(s))
		return;
	plug_down(s->plug);
	vm_move_down(s->move);
	phase(s, SANDBOX_GONE);
	if (!s->failed && end_reason(s, &e) == 0 && !s->asked)
		(void)err_set(&e, EIO, "the UVM powered off by itself");
	if (!s->failed && e.code) {
		s->failed = true;
		s->why = e;
	}
	s->ending = true;
	s->c->ended(s->c->ctx, s->failed ? &s->why : NULL);
}

/* --- beginning ------------------------------------------------------------ */

/* Others listen on the same ports: the acceptor tells the guests apart. */
static int choose_cid(struct sandbox *s, struct err *e)
{
	int r = hostdir_get(s->transport.base, e);

	if (r == 0)
		r = cid_take(s->transport.base, vhost_cid_probe, &s->cid, e);
	if (r < 0)
		return r;
	s->transport.kind = TRANSPORT_VSOCK;
	s->transport.cid = s->cid.number;
	return 0;
}

static int choose_address(struct sandbox *s, struct err *e)
{
	if (s->vsock == VHOST_KERNEL)
		return choose_cid(s, e);
	s->transport.kind = TRANSPORT_UNIX;
	s->transport.cid = USER_CID;
	(void)snprintf(s->base, sizeof(s->base), "%s/v", s->dir.path);
	(void)snprintf(s->transport.base, sizeof(s->transport.base), "%s",
		       s->base);
	return 0;
}

/* A guest that moves here calls when it runs, whenever that is. */
static int connect_ms(const struct sandbox_config *c)
{
	if (c->incoming)
		return HOST_NO_TIMEOUT;
	return c->boot_timeout_ms ? c->boot_timeout_ms : SANDBOX_BOOT_MS;
}

static int open_console(struct sandbox *s, struct err *e)
{
	if (!s->c->options->console || s->c->console_fd < 0)
		return 0;
	return console_open(&s->console, s->c->loop, s->console_path,
			    s->c->console_fd, e);
}

/* Everything that the guest will dial is there before it can. */
static int listen_all(struct sandbox *s, struct err *e)
{
	const struct host_client_config config = {
		.loop = s->c->loop,
		.transport = s->transport,
		.connect_timeout_ms = connect_ms(s->c),
		.reconnect_timeout_ms = SANDBOX_RECONNECT_MS,
		.session = s->c->session,
		.moved = s->c->incoming,
		.saved = s->c->saved,
		.saved_len = s->c->saved_len,
	};
	int r = host_entropy_new(s->c->loop, &s->transport, on_seeded, s,
				 &s->entropy, e);

	if (r == 0 && s->c->options->forwarder != FORWARDER_MIGRATABLE)
		r = host_logport_new(s->c->loop, &s->transport, on_log,
				     on_log_ended, s, &s->log, e);
	s->log_armed_ms = loop_now_ms(s->c->loop);
	if (r == 0)
		r = open_console(s, e);
	if (r == 0)
		r = host_client_new(&config, &s->client, e);
	if (r < 0)
		return r;
	s->observer = (struct host_observer){
		.ready = on_bridge_ready,
		.failed = on_bridge_failed,
		.ctx = s,
	};
	host_client_observe(s->client, &s->observer);
	return 0;
}

static int start_vm(struct sandbox *s, struct err *e)
{
	const bool user = s->vsock == VHOST_USER;
	const struct vm_options o = {
		.qemu = {
			.binary = s->c->qemu ? s->c->qemu : QEMU_PROGRAM,
			.accel = s->accel,
			.memory_mib = s->c->options->memory_mib,
			.processors = s->c->options->processor_count,
			.kernel = s->c->kernel,
			.initrd = s->c->image,
			.append = s->c->line,
			.qmp = s->qmp,
			.console = s->console.listen >= 0 ? s->console_path
							  : NULL,
			.cid = s->transport.cid,
			.machine = s->c->machine,
			.scsi = s->c->scsi,
			.nics = s->c->nics,
			.incoming = s->c->incoming ? "defer" : NULL,
			.paused = s->c->incoming,
			.only_migratable = s->c->options->forwarder ==
					   FORWARDER_MIGRATABLE,
		},
		.preload = user ? s->c->vhost_lib : NULL,
		.vsock_base = user ? s->base : NULL,
	};
	const struct vm_handler h = {
		.ready = on_vm_ready,
		.event = on_vm_event,
		.ended = on_vm_ended,
		.ctx = s,
	};
	const int r = vm_start(&s->vm, s->c->loop, &o, &h, e);

	if (r < 0)
		return err_wrap(e, "start QEMU");
	/* Without it the parent-death signal has to do. */
	(void)rundir_keep_pid(&s->dir, vm_pid(s->vm), NULL);
	phase(s, SANDBOX_STARTED);
	return 0;
}

static int begin(struct sandbox *s, struct err *e)
{
	int r = rundir_new(rundir_base(), &s->dir, e);

	if (r == 0)
		r = choose_address(s, e);
	if (r < 0)
		return r;
	(void)snprintf(s->qmp, sizeof(s->qmp), "%s/qmp", s->dir.path);
	(void)snprintf(s->console_path, sizeof(s->console_path), "%s/console",
		       s->dir.path);
	r = plug_new(&s->plug, s->c->loop, s->c->scsi, s->c->nics, e);
	if (r == 0)
		r = vm_move_new(&s->move, s->c->loop, s->c->moved, s->c->ctx,
				e);
	if (r == 0)
		r = listen_all(s, e);
	if (r == 0)
		r = start_vm(s, e);
	return r;
}

static void tear_down(struct sandbox *s)
{
	vm_free(s->vm);
	s->vm = NULL;
	plug_free(s->plug);
	s->plug = NULL;
	vm_move_free(s->move);
	s->move = NULL;
	console_close(&s->console);
	host_client_unobserve(&s->observer);
	host_client_free(s->client);
	s->client = NULL;
	loop_cancel(s->c->loop, &s->log_timer);
	host_logport_free(s->log);
	s->log = NULL;
	host_entropy_free(s->entropy);
	s->entropy = NULL;
	cid_drop(&s->cid);
	rundir_done(&s->dir);
}

int sandbox_new(const struct sandbox_config *c, struct sandbox **ret,
		struct err *e)
{
	struct sandbox *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "sandbox");
	s->c = c;
	s->dir.lock = -1;
	s->cid.lock = -1;
	s->console = CONSOLE_NONE;
	r = accel_choose(c->accel, &s->accel, e);
	if (r == 0)
		r = vhost_choose(c->vsock, &s->vsock, e);
	if (r == 0)
		r = begin(s, e);
	if (r < 0) {
		sandbox_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void sandbox_shutdown(struct sandbox *s)
{
	struct err e;

	if (s->ending)
		return;
	s->asked = true;
	s->ending = true;
	if (host_shutdown(s->client, NULL, false, &(struct host_done){ 0 },
			  NULL, &e) < 0)
		vm_stop(s->vm, &harsh); /* nobody there to be asked */
	else
		vm_stop(s->vm, &polite);
}

void sandbox_kill(struct sandbox *s)
{
	s->asked = true;
	s->ending = true;
	vm_stop(s->vm, &harsh);
}

void sandbox_free(struct sandbox *s)
{
	if (!s)
		return;
	loop_cancel(s->c->loop, &s->retry);
	tear_down(s);
	free(s);
}

struct host_client *sandbox_client(const struct sandbox *s)
{
	return s->ending ? NULL : s->client;
}

struct vm *sandbox_vm(const struct sandbox *s)
{
	return s->vm;
}

struct vm_move *sandbox_move(const struct sandbox *s)
{
	return s->move;
}

struct plug *sandbox_plug(const struct sandbox *s)
{
	return s->plug;
}

const char *sandbox_dir(const struct sandbox *s)
{
	return s->dir.path;
}

void sandbox_describe(const struct sandbox *s, struct text *out)
{
	const struct host_guest *g =
		s->client ? host_client_guest(s->client) : NULL;

	text_addf(out, "uvm accel=%s vsock=%s asked_to_end=%d ending=%d phases",
		  accel_name(s->accel),
		  s->vsock == VHOST_USER ? "user" : "kernel", s->asked,
		  s->ending);
	for (int i = 0; i < SANDBOX_PHASES; i++)
		if (s->seen[i])
			text_addf(out, " %s",
				  sandbox_phase_name((enum sandbox_phase)i));
	text_addc(out, '\n');
	if (s->client)
		text_addf(out, "bridge state=%s connections=%u\n",
			  host_state_name(host_client_state(s->client)),
			  g ? g->connection : 0);
	if (s->words[0])
		text_addf(out, "agent's last error: %s\n", s->words);
}

const char *sandbox_end_word(const struct sandbox *s)
{
	const enum vm_end end = s->vm ? vm_end(s->vm) : VM_END_NONE;

	if (end == VM_END_PANIC || end == VM_END_FAILED)
		return REMAINS_PANIC;
	return s->deserted ? REMAINS_AGENT : REMAINS_ENDED;
}

enum accel sandbox_accel(const struct sandbox *s)
{
	return s->accel;
}

enum vhost_backend sandbox_vsock(const struct sandbox *s)
{
	return s->vsock;
}

const char *sandbox_phase_name(enum sandbox_phase p)
{
	static const char *const names[] = {
		[SANDBOX_STARTED] = "qemu-started",
		[SANDBOX_SEEDED] = "init",
		[SANDBOX_READY] = "negotiated",
		[SANDBOX_OFF] = "powered-off",
		[SANDBOX_GONE] = "qemu-gone",
	};

	static_assert(ARRAY_LEN(names) == SANDBOX_PHASES,
		      "a phase has no name");
	return names[p];
}
