/*
 * tests/e2e/movedrive.c - a live migration between two sandboxes of one process
 *
 * usage: movedrive FOLDER [cancel|broken] RUN-OPTION...
 *
 * Boots a UVM with a disk made of FOLDER plugged at LUN 3, starts a second QEMU
 * that waits with the same disk at the same address, and moves the guest while
 * a process there counts into a file. Its agent calls the second host; a
 * command that runs there, and sees that it goes on, is the proof. With
 * "cancel" the move is called off, with "broken" its socket breaks: the guest
 * then answers on the first side. Prints what happened and how long it took.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/host/process.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"
#include "tools/disk/disk.h"
#include "tools/launch.h"
#include "tools/qemu/plug.h"
#include "tools/qemu/vm_move.h"
#include "tools/sandbox.h"

#define LUN 3
#define ID_FLOOR 1000

enum { SOURCE, DESTINATION, SIDES };

struct side {
	struct drive *drive;
	int n;
	struct sandbox_config config;
	struct sandbox *sandbox;
	bool armed;
	int64_t stopped_ms;
};

struct drive {
	struct launch launch;
	struct loop *loop;
	struct side side[SIDES];
	struct disk_job *job;
	struct disk disk;
	struct host_process *process;
	struct host_process *counter;
	int proof; /* side that @process is of */
	int socket[2];
	const char *how;
	bool source_ready;
	bool moving;
	int ended;
	int code;
};

static void stop(struct drive *d, int code, const char *what,
		 const struct err *e)
{
	if (what)
		(void)fprintf(stderr, "%s: %s\n", what, e ? e->text : "?");
	if (d->code == 0)
		d->code = code;
	for (int i = 0; i < SIDES; i++)
		if (d->side[i].sandbox)
			sandbox_kill(d->side[i].sandbox);
}

static void on_command(void *ctx, const struct host_process_end *end)
{
	struct drive *d = ctx;

	host_process_free(d->process);
	d->process = NULL;
	if (!end->exited)
		stop(d, 1, "command", &end->failure->err);
	else
		stop(d, (int)end->code, NULL, NULL);
}

static int start(struct side *s, const char *script,
		 const struct host_process_config *how,
		 struct host_process **ret, struct err *e)
{
	const char *words[] = { "/bin/sh", "-c", script };
	const struct msg_process_parameters p = {
		.command_args = { words, ARRAY_LEN(words) },
		.command_line = "",
		.working_directory = "",
		.create_in_utility_vm = true,
	};
	struct host_process_config c = *how;

	c.parameters = &p;
	c.ctx = s->drive;
	return host_process_start(sandbox_client(s->sandbox), &c, ret, e);
}

/* The guest runs on this side: its word for it. */
static void prove(struct side *s)
{
	static const char script[] =
		/* Its kernel may still be at it when the move begins. */
		"i=0; while [ $i -lt 600 ] && ! [ -e /sys/class/block/sda ];"
		"do sleep 0.1; i=$((i+1)); done; ls /sys/class/block;"
		"a=$(tail -n 1 /tmp/n); i=0; while b=$(tail -n 1 /tmp/n);"
		"! [ \"$b\" -gt \"$a\" ]; do [ $i -lt 600 ] || exit 7;"
		"sleep 0.1; i=$((i+1)); done;"
		"head -n $((b+1)) /tmp/n >/tmp/h;"
		"seq 0 $b | cmp - /tmp/h || exit 8; echo it runs";
	const struct host_process_config c = {
		.fd = { -1, 1, 2 },
		.ended = on_command,
	};
	struct err e;

	s->drive->proof = s->n;
	(void)printf("proof on side %d\n", s->n);
	(void)fflush(stdout);
	if (start(s, script, &c, &s->drive->process, &e) < 0)
		stop(s->drive, 1, "start", &e);
}

static void on_resumed(void *ctx, int result, const struct err *e)
{
	struct side *s = ctx;

	if (result < 0)
		stop(s->drive, 1, "resume", e);
	else if (s->n == SOURCE)
		prove(s); /* its connection was never lost */
}

static void resume(struct side *s)
{
	struct err e;

	if (vm_move_resume(sandbox_move(s->sandbox), on_resumed, s, &e) < 0)
		stop(s->drive, 1, "resume", &e);
}

static void on_source_over(void *ctx, int result, const struct err *e)
{
	struct side *s = ctx;
	struct drive *d = s->drive;

	(void)printf("source: %s\n", result < 0 ? e->text : "completed");
	if (result < 0 && *d->how)
		resume(s);
	else if (result < 0)
		stop(d, 1, "source", e);
	else
		sandbox_kill(s->sandbox);
}

static void on_destination_over(void *ctx, int result, const struct err *e)
{
	struct side *s = ctx;

	(void)printf("destination: %s\n", result < 0 ? e->text : "completed");
	if (result == 0)
		resume(s);
}

static void on_cancelled(void *ctx, int result, const struct err *e)
{
	if (result < 0)
		stop(ctx, 1, "cancel", e);
	else
		(void)printf("cancelled\n");
}

static void on_given(void *ctx, int result, const struct err *e)
{
	struct side *s = ctx;
	struct drive *d = s->drive;
	struct vm_move *m = sandbox_move(s->sandbox);
	struct err why;

	fd_close(&d->socket[s->n]);
	if (result < 0) {
		stop(d, 1, "give", e);
		return;
	}
	if (vm_move_transfer(
		    m, s->n == SOURCE ? on_source_over : on_destination_over, s,
		    &why) < 0)
		stop(d, 1, "transfer", &why);
	else if (s->n == SOURCE && strcmp(d->how, "cancel") == 0 &&
		 vm_move_cancel(m, on_cancelled, d, &why) < 0)
		stop(d, 1, "cancel", &why);
}

static void give(struct drive *d)
{
	struct err e;

	if (!d->side[SOURCE].armed || !d->side[DESTINATION].armed)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, d->socket) < 0) {
		(void)err_sys(&e, "socketpair");
		stop(d, 1, "socket", &e);
		return;
	}
	for (int i = SIDES - 1; i >= 0; i--) {
		if (i == DESTINATION && strcmp(d->how, "broken") == 0) {
			fd_close(&d->socket[i]);
			continue;
		}
		if (vm_move_give(sandbox_move(d->side[i].sandbox), d->socket[i],
				 on_given, &d->side[i], &e) < 0)
			stop(d, 1, "give", &e);
	}
}

static void on_armed(void *ctx, int result, const struct err *e)
{
	struct side *s = ctx;

	if (result < 0) {
		stop(s->drive, 1, "arm", e);
		return;
	}
	s->armed = true;
	give(s->drive);
}

static void on_plugged(void *ctx, int result, const struct err *e)
{
	struct side *s = ctx;
	struct err why;

	if (result < 0) {
		stop(s->drive, 1, "plug", e);
		return;
	}
	if (vm_move_arm(sandbox_move(s->sandbox),
			s->n == SOURCE ? VM_MOVE_SOURCE : VM_MOVE_DESTINATION,
			NULL, on_armed, s, &why) < 0)
		stop(s->drive, 1, "arm", &why);
}

static void plug(struct side *s)
{
	const struct plug_disk disk = { .lun = LUN,
					.path = s->drive->disk.path,
					.read_only = true };
	struct err e;

	if (plug_disk_add(sandbox_plug(s->sandbox), &disk, on_plugged, s, &e) <
	    0)
		stop(s->drive, 1, "plug", &e);
}

static void on_waiting(void *ctx)
{
	plug(ctx);
}

static void on_ended(void *ctx, const struct err *why)
{
	struct side *s = ctx;
	struct drive *d = s->drive;

	if (why && d->code == 0 && s->n == SOURCE && !d->moving)
		stop(d, 1, "source", why);
	if (d->proof == s->n) {
		host_process_free(d->process);
		d->process = NULL;
	}
	if (++d->ended == SIDES)
		loop_stop(d->loop);
}

static void on_note(void *ctx, enum vm_move_note note, uint64_t number)
{
	struct side *s = ctx;

	(void)printf("%s: %s %llu\n", s->n == SOURCE ? "source" : "destination",
		     vm_move_note_name(note), (unsigned long long)number);
}

static int boot(struct drive *d, int n, struct err *e);

static void on_counts(void *ctx, uint32_t pid UNUSED)
{
	struct drive *d = ctx;
	struct err e;

	plug(&d->side[SOURCE]);
	if (boot(d, DESTINATION, &e) < 0)
		stop(d, 1, "destination", &e);
}

static void on_counter_ended(void *ctx, const struct host_process_end *end)
{
	struct drive *d = ctx;

	host_process_free(d->counter);
	d->counter = NULL;
	if (!end->started)
		stop(d, 1, "counter", &end->failure->err);
}

static void on_ready(void *ctx)
{
	const struct host_process_config c = {
		.fd = { -1, -1, -1 },
		.started = on_counts,
		.ended = on_counter_ended,
	};
	struct side *s = ctx;
	struct drive *d = s->drive;
	struct err e;

	if (s->n == DESTINATION) {
		prove(s);
		return;
	}
	d->source_ready = true;
	if (d->disk.fd < 0)
		return;
	d->moving = true;
	if (start(s,
		  "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done "
		  ">/tmp/n",
		  &c, &d->counter, &e) < 0)
		stop(d, 1, "counter", &e);
}

static int boot(struct drive *d, int n, struct err *e)
{
	struct side *s = &d->side[n];
	int r;

	s->drive = d;
	s->n = n;
	s->config = launch_sandbox(&d->launch, d->loop);
	s->config.scsi = 1;
	s->config.nics = 1;
	s->config.incoming = n == DESTINATION;
	if (n == DESTINATION)
		s->config.waiting = on_waiting;
	s->config.moved = on_note;
	s->config.ready = on_ready;
	s->config.ended = on_ended;
	s->config.ctx = s;
	r = sandbox_new(&s->config, &s->sandbox, e);
	if (r == 0 && n == DESTINATION)
		host_client_raise_id(sandbox_client(s->sandbox), ID_FLOOR);
	return r;
}

static void on_disk(void *ctx, int result, struct disk *disk,
		    const struct err *e)
{
	struct drive *d = ctx;

	disk_job_free(d->job);
	d->job = NULL;
	if (result < 0) {
		stop(d, 1, "disk", e);
		return;
	}
	d->disk = *disk;
	if (d->source_ready)
		on_ready(&d->side[SOURCE]);
}

static int run(struct drive *d, const char *folder, struct err *e)
{
	const struct disk_wish wish = { .source = folder, .fs = DISK_FS_EXT4 };
	const struct disk_handler h = { .done = on_disk, .ctx = d };
	int r = launch_line(&d->launch, e);

	if (r == 0)
		r = launch_files(&d->launch, e);
	if (r == 0)
		r = loop_new(&d->loop, e);
	if (r == 0)
		r = disk_start(d->loop, &wish, &h, &d->job, e);
	if (r == 0)
		r = boot(d, SOURCE, e);
	if (r == 0)
		r = loop_run(d->loop, e);
	host_process_free(d->counter);
	for (int i = 0; i < SIDES; i++)
		sandbox_free(d->side[i].sandbox);
	disk_job_free(d->job);
	disk_done(&d->disk);
	loop_free(d->loop);
	return r;
}

int main(int argc, char **argv)
{
	static struct drive d = { .disk = { .fd = -1 },
				  .socket = { -1, -1 },
				  .how = "" };
	struct err e = { 0 };
	int from = 2;

	log_setup(2, LOG_FORM_TEXT, LOG_LEVEL_ERR);
	if (argc > 2 && argv[2][0] != '-')
		d.how = argv[from++];
	launch_init(&d.launch);
	if (argc <= from || run_args_parse(argc - from + 1, argv + from - 1,
					   &d.launch.args) != RUN_ARGS_GO) {
		(void)fputs(
			"usage: movedrive FOLDER [cancel|broken] OPTION...\n",
			stderr);
		return 2;
	}
	if (run(&d, argv[1], &e) < 0) {
		(void)fprintf(stderr, "movedrive: %s\n", e.text);
		d.code = 1;
	}
	launch_done(&d.launch);
	return d.code;
}
