/*
 * tests/e2e/diskdrive.c - a UVM with disks to plug, driven by lines
 *
 * usage: diskdrive BASE KERNEL IMAGE LIBRARY LINE <commands
 *
 *	plug LUN ro|rw FILE	attach a raw disk
 *	unplug LUN		detach it
 *	card PORT MAC		plug a network card
 *	pull PORT		unplug it
 *	create ID FILE		a container; FILE is its OCI document, and its bundle
 *				/run/gcs/c/ID. It is started, its process too
 *	kill ID			its process
 *	delete ID		its state
 *	add RESOURCE JSON	ModifySettings; the settings as they are
 *	remove RESOURCE JSON
 *	run COMMAND...		a shell line in the UVM; its output is printed
 *	serve PORT COMMAND...	listen on a port; each connection of the guest is
 *				0 and 1 of a shell line of the host, which has
 *				one process
 *	end PORT		SIGKILL to those, listen no more
 *	dump NAME		the lines of DumpStacks that begin with NAME
 *
 * A line is printed for each: "ok", "exit N", or "error ..." with the words of
 * who refused. At the end of the input the UVM is powered off. Ends with 0 when
 * it was, whatever the commands gave. BASE is the base path of the sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/host/entropy.h"
#include "bridge/host/process.h"
#include "bridge/io/fd.h"
#include "bridge/io/loop.h"
#include "bridge/io/spawn.h"
#include "bridge/io/transport.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"
#include "tools/qemu/plug.h"
#include "tools/qemu/vm.h"

#define LIMIT_MS 120000
#define LINE_BYTES 4096
#define OUTPUT_BYTES 65536
/* Connections to the port that is served. */
#define SERVED_MAX 8

struct drive {
	struct loop *loop;
	struct transport transport;
	struct vm *vm;
	struct plug *plug;
	struct host_client *client;
	struct host_observer observer;
	struct loop_id timer;
	bool up;    /* the monitor is there */
	bool ready; /* the bridge is */
	bool over;  /* what was begun is */
	bool ended;
	char said[512];
	char *wanted; /* of a dump */
	char *server; /* shell line behind the port that is served */
	struct host_process *init; /* of the container */
	bool init_over;
	int listener;
	struct loop_id listening;
	pid_t served[SERVED_MAX];
	unsigned int n_served;
};

static void say(struct drive *d, const char *what, const char *why)
{
	(void)snprintf(d->said, sizeof(d->said), "%s%s%s", what, why ? " " : "",
		       why ? why : "");
	d->over = true;
}

static void on_limit(void *ctx)
{
	struct drive *d = ctx;

	(void)fprintf(stderr, "diskdrive: no end within %d ms\n", LIMIT_MS);
	d->ended = true;
}

/* Turns the loop until @flag, or until the UVM is gone. */
static bool until(struct drive *d, const bool *flag)
{
	struct err e;

	if (loop_at(d->loop, loop_now_ms(d->loop) + LIMIT_MS, on_limit, d,
		    &d->timer, &e) < 0)
		return false;
	while (!*flag && !d->ended) {
		if (loop_turn(d->loop, -1, &e) < 0)
			return false;
	}
	loop_cancel(d->loop, &d->timer);
	return *flag;
}

/* --- the UVM --------------------------------------------------------------- */

static void on_vm_ready(void *ctx)
{
	struct drive *d = ctx;

	plug_up(d->plug, vm_qmp(d->vm));
	d->up = true;
}

static void on_vm_event(void *ctx, const char *name,
			const struct qmp_data *data)
{
	struct drive *d = ctx;

	plug_event(d->plug, name, data);
}

static void on_vm_ended(void *ctx)
{
	struct drive *d = ctx;

	plug_down(d->plug);
	d->ended = true;
}

static void on_ready(void *ctx, const struct host_guest *guest)
{
	struct drive *d = ctx;

	(void)guest;
	d->ready = true;
}

static void on_failed(void *ctx, const struct err *why)
{
	struct drive *d = ctx;

	(void)why;
	if (!d->over)
		say(d, "error", "the bridge is lost");
}

/* --- commands -------------------------------------------------------------- */

static void on_plug(void *ctx, int result, const struct err *e)
{
	say(ctx, result < 0 ? "error" : "ok", result < 0 ? e->text : NULL);
}

static void do_plug(struct drive *d, char *args)
{
	char mode[3] = "", file[LINE_BYTES];
	unsigned int lun = 0;
	struct err e;

	if (sscanf(args, "%u %2s %4000s", &lun, mode, file) != 3) {
		say(d, "error", "usage");
		return;
	}
	if (plug_disk_add(d->plug,
			  &(struct plug_disk){ .lun = lun,
					       .path = file,
					       .read_only = mode[1] == 'o' },
			  on_plug, d, &e) < 0)
		say(d, "error", e.text);
}

static void do_unplug(struct drive *d, char *args)
{
	struct err e;

	if (plug_disk_remove(d->plug, 0, (uint32_t)strtoul(args, NULL, 10),
			     on_plug, d, &e) < 0)
		say(d, "error", e.text);
}

static void do_card(struct drive *d, char *args)
{
	char *mac = strchr(args, ' ');
	struct err e;

	if (!mac)
		say(d, "error", "usage");
	else if (plug_nic_add(d->plug,
			      &(struct plug_nic){
				      .port = (uint32_t)strtoul(args, NULL, 10),
				      .mac = mac + 1,
				      .net = PLUG_NET_USER },
			      on_plug, d, &e) < 0)
		say(d, "error", e.text);
}

static void do_pull(struct drive *d, char *args)
{
	struct err e;

	if (plug_nic_remove(d->plug, (uint32_t)strtoul(args, NULL, 10), on_plug,
			    d, &e) < 0)
		say(d, "error", e.text);
}

static void on_answer(void *ctx, const void *result,
		      const struct host_failure *f)
{
	(void)result;
	say(ctx, f ? "error" : "ok", f ? f->err.text : NULL);
}

/* --- a container ----------------------------------------------------------- */

static void on_init_started(void *ctx, uint32_t pid)
{
	struct drive *d = ctx;

	printf("%u\n", pid);
	say(d, "ok", NULL);
}

static void on_init_ended(void *ctx, const struct host_process_end *end)
{
	struct drive *d = ctx;

	d->init_over = true;
	if (!end->started)
		say(d, "error", end->failure ? end->failure->err.text : "");
}

/* One thing asked of the container. Return: was it done? */
static bool done_with(struct drive *d, int asked, const struct err *e)
{
	if (asked < 0)
		say(d, "error", e->text);
	else
		(void)until(d, &d->over);
	return d->over && strcmp(d->said, "ok") == 0;
}

static bool read_document(const char *path, char *text, size_t size)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void do_create(struct drive *d, char *args)
{
	static char document[LINE_BYTES];
	char bundle[256], *id = strtok(args, " "), *file = strtok(NULL, " ");
	const struct host_done done = { .fn = on_answer, .ctx = d };
	const struct msg_process_parameters none = { .command_line = "",
						     .working_directory = "" };
	struct msg_container_config config = { .oci_bundle_path = bundle,
					       .oci_specification = document,
					       .scratch_dir_path = "",
					       .system_type = "" };
	struct host_process_config init = { .container_id = id,
					    .parameters = &none,
					    .fd = { -1, -1, -1 },
					    .started = on_init_started,
					    .ended = on_init_ended,
					    .ctx = d };
	struct err e = { 0 };

	if (!id || !file || !read_document(file, document, sizeof(document))) {
		say(d, "error", "usage");
		return;
	}
	(void)snprintf(bundle, sizeof(bundle), "/run/gcs/c/%s", id);
	if (!done_with(d, host_create(d->client, id, &config, &done, NULL, &e),
		       &e))
		return;
	d->over = false;
	if (!done_with(d, host_start(d->client, id, &done, NULL, &e), &e))
		return;
	d->over = d->init_over = false;
	(void)done_with(d, host_process_start(d->client, &init, &d->init, &e),
			&e);
}

static void do_kill(struct drive *d, char *args)
{
	const struct host_done done = { .fn = on_answer, .ctx = d };
	struct err e = { 0 };

	if (!done_with(d, host_shutdown(d->client, args, true, &done, NULL, &e),
		       &e))
		return;
	d->over = until(d, &d->init_over);
	host_process_free(d->init);
	d->init = NULL;
}

static void do_delete(struct drive *d, char *args)
{
	const struct host_done done = { .fn = on_answer, .ctx = d };
	struct err e = { 0 };

	(void)done_with(
		d,
		host_delete_container_state(d->client, args, &done, NULL, &e),
		&e);
}

static void modify(struct drive *d, const char *type, char *args)
{
	char *settings = strchr(args, ' ');
	struct msg_modify_settings m = {
		.base = { .container_id = WIRE_NULL_ID,
			  .activity_id = WIRE_NULL_ID },
		.request = { .request_type = type, .resource_type = args },
	};
	const struct host_call call = {
		.type = WIRE_MODIFY_SETTINGS,
		.request = &msg_modify_settings_schema,
		.message = &m,
		.response = &msg_result_schema,
		.response_size = sizeof(struct msg_result),
		.done = on_answer,
		.ctx = d,
	};
	struct err e;

	if (settings) {
		*settings = '\0';
		m.request.settings = settings + 1;
	}
	if (host_client_call(d->client, &call, NULL, &e) < 0)
		say(d, "error", e.text);
}

static void do_add(struct drive *d, char *args)
{
	modify(d, "Add", args);
}

static void do_remove(struct drive *d, char *args)
{
	modify(d, "Remove", args);
}

static void on_exited(void *ctx, const struct host_process_end *end)
{
	struct drive *d = ctx;
	char code[16];

	(void)snprintf(code, sizeof(code), "%u", end->code);
	if (end->exited)
		say(d, "exit", code);
	else
		say(d, "error", end->failure ? end->failure->err.text : "");
}

static void do_run(struct drive *d, char *args)
{
	static char text[OUTPUT_BYTES];
	const char *argv[] = { "/bin/sh", "-c", args };
	const struct msg_process_parameters p = {
		.command_args = { argv, 3 },
		.command_line = "",
		.working_directory = "",
		.create_in_utility_vm = true,
	};
	cleanup_fd out = memfd_create("out", MFD_CLOEXEC);
	const struct host_process_config config = { .parameters = &p,
						    .fd = { -1, out, -1 },
						    .ended = on_exited,
						    .ctx = d };
	struct host_process *process = NULL;
	struct err e;
	ssize_t n;

	if (host_process_start(d->client, &config, &process, &e) < 0) {
		say(d, "error", e.text);
		return;
	}
	(void)until(d, &d->over);
	n = pread(out, text, sizeof(text), 0);
	(void)fwrite(text, 1, n > 0 ? (size_t)n : 0, stdout);
	host_process_free(process);
}

static void on_dump(void *ctx, const void *result, const struct host_failure *f)
{
	struct drive *d = ctx;
	const struct msg_dump_stacks_result *m = result;
	const char *at = f ? "" : m->guest_stacks;

	while (*at) {
		const size_t len = strcspn(at, "\n");

		if (strncmp(at, d->wanted, strlen(d->wanted)) == 0)
			printf("%.*s\n", (int)len, at);
		at += len + (at[len] == '\n');
	}
	on_answer(ctx, result, f);
}

static void do_dump(struct drive *d, char *args)
{
	const struct host_done done = { .fn = on_dump, .ctx = d };
	struct err e;

	d->wanted = args;
	if (host_dump_stacks(d->client, &done, NULL, &e) < 0)
		say(d, "error", e.text);
}

/* --- a server on the host -------------------------------------------------- */

static void on_connection(void *ctx, uint32_t events)
{
	struct drive *d = ctx;
	char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, d->server,
			 NULL };
	struct spawn s = { .argv = argv,
			   .envp = environ,
			   .die_with_parent = true };
	cleanup_fd fd = -1;
	struct err e;

	(void)events;
	if (transport_accept(&d->transport, d->listener, &fd, &e) < 0 ||
	    fd_nonblock(fd, false) < 0 || d->n_served == SERVED_MAX)
		return; /* the guest sees it closed */
	s.stdio[0] = fd;
	s.stdio[1] = fd;
	s.stdio[2] = STDERR_FILENO;
	if (spawn_start(&s, &d->served[d->n_served], NULL, &e) < 0)
		(void)fprintf(stderr, "diskdrive: %s\n", e.text);
	else
		d->n_served++;
}

static void do_serve(struct drive *d, char *args)
{
	char *line = strchr(args, ' ');
	struct err e;

	if (!line || d->server) {
		say(d, "error", "usage");
		return;
	}
	*line++ = '\0';
	if (transport_listen(&d->transport, (uint32_t)strtoul(args, NULL, 10),
			     SERVED_MAX, &d->listener, &e) < 0 ||
	    loop_watch(d->loop, d->listener, EPOLLIN, on_connection, d,
		       &d->listening, &e) < 0) {
		say(d, "error", e.text);
		return;
	}
	d->server = strdup(line);
	say(d, "ok", NULL);
}

static void do_end(struct drive *d, char *args)
{
	loop_unwatch(d->loop, &d->listening);
	fd_close(&d->listener);
	transport_unlink(&d->transport, (uint32_t)strtoul(args, NULL, 10));
	free(d->server);
	d->server = NULL;
	for (; d->n_served > 0; d->n_served--) {
		const pid_t pid = d->served[d->n_served - 1];

		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	say(d, "ok", NULL);
}

static const struct command {
	const char *name;
	void (*fn)(struct drive *d, char *args);
} commands[] = {
	{ "plug", do_plug },	 { "unplug", do_unplug },
	{ "add", do_add },	 { "remove", do_remove },
	{ "run", do_run },	 { "dump", do_dump },
	{ "serve", do_serve },	 { "end", do_end },
	{ "card", do_card },	 { "pull", do_pull },
	{ "create", do_create }, { "delete", do_delete },
	{ "kill", do_kill },
};

static void obey(struct drive *d, char *line)
{
	char *args = strchr(line, ' ');

	if (args)
		*args++ = '\0';
	d->over = false;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, line) != 0 || !args)
			continue;
		commands[i].fn(d, args);
		(void)until(d, &d->over);
		printf("%s\n", d->over ? d->said : "error no end");
		return;
	}
	printf("error no such command: %s\n", line);
}

/* --- all of it ------------------------------------------------------------- */

static int boot(struct drive *d, char **argv)
{
	char qmp[TRANSPORT_BASE_MAX + 8], spelled[TRANSPORT_BASE_MAX + 8];
	const struct vm_options o = {
		.qemu = { .binary = "qemu-system-x86_64",
			  .accel = ACCEL_TCG,
			  .memory_mib = 512,
			  .processors = 2,
			  .kernel = argv[1],
			  .initrd = argv[2],
			  .append = argv[4],
			  .qmp = qmp,
			  .cid = 3,
			  .scsi = 1,
			  .nics = 1 },
		.preload = argv[3],
		.vsock_base = argv[0],
	};
	const struct vm_handler h = { .ready = on_vm_ready,
				      .event = on_vm_event,
				      .ended = on_vm_ended,
				      .ctx = d };
	struct host_client_config config = { 0 };
	struct err e = { 0 };
	struct host_entropy *entropy = NULL;
	int r;

	(void)snprintf(qmp, sizeof(qmp), "%s.qmp", argv[0]);
	(void)snprintf(spelled, sizeof(spelled), "unix:%s", argv[0]);
	r = transport_parse(spelled, &d->transport, &e);
	config.transport = d->transport;
	if (r == 0)
		r = loop_new(&d->loop, &e);
	config.loop = d->loop;
	if (r == 0)
		r = host_entropy_new(d->loop, &d->transport, NULL, NULL,
				     &entropy, &e);
	if (r == 0)
		r = host_client_new(&config, &d->client, &e);
	if (r == 0)
		r = plug_new(&d->plug, d->loop, 1, 1, &e);
	if (r == 0)
		r = vm_start(&d->vm, d->loop, &o, &h, &e);
	if (r < 0) {
		(void)fprintf(stderr, "diskdrive: %s\n", e.text);
		return r;
	}
	d->observer = (struct host_observer){ .ready = on_ready,
					      .failed = on_failed,
					      .ctx = d };
	host_client_observe(d->client, &d->observer);
	return until(d, &d->up) && until(d, &d->ready) ? 0 : -ETIMEDOUT;
}

int main(int argc, char **argv)
{
	static struct drive d = { .listener = -1 };
	static char line[LINE_BYTES];
	const struct host_done done = { .fn = on_answer, .ctx = &d };
	struct err e;

	if (argc != 6) {
		(void)fprintf(stderr, "diskdrive: usage: see its source\n");
		return 2;
	}
	if (boot(&d, argv + 1) < 0) {
		vm_free(d.vm);
		return 1;
	}
	while (!d.ended && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		obey(&d, line);
		(void)fflush(stdout);
	}
	if (host_shutdown(d.client, NULL, false, &done, NULL, &e) == 0)
		(void)until(&d, &d.ended);
	d.ended = d.ended && vm_end(d.vm) == VM_END_ORDERLY;
	vm_free(d.vm);
	return d.ended ? 0 : 1;
}
