/*
 * tests/e2e/hostdrive.c - a host side that a test can drive, break and kill
 *
 * usage: hostdrive boot BASE KERNEL IMAGE LIBRARY LINE [MIB]
 *		run QEMU and serve entropy, nothing else, until it ends or this
 *		program is killed; the bridge is left to the others
 *	  hostdrive many BASE COUNT
 *		COUNT processes that live at the same time; checks their output
 *		and exit codes
 *	  hostdrive reconnect BASE TIMES
 *		cut the bridge TIMES times while processes write and start;
 *		checks that no byte and no exit code is lost
 *	  hostdrive start BASE COMMAND...
 *		start a process, print its id, stay until killed
 *	  hostdrive wait BASE PID
 *		wait for a process that another host side started
 *	  hostdrive off BASE
 *		ask the UVM to power off
 *	  hostdrive listen BASE PORT SECONDS [COUNT]
 *		print how many connections came to a port, at once when there were
 *		COUNT of them
 *
 * BASE is the base path of the UVM's unix sockets. Ends with 0 when all was as
 * it should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/host/process.h"
#include "bridge/io/fd.h"
#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "bridge/wire.h"
#include "config/util.h"
#include "tests/e2e/lib/vmdrive.h"

#define LIMIT_MS 300000
#define COUNT_MAX 1000
#define WRITERS 4
/* Time for the load to get going between two cuts. */
#define CUT_AFTER_MS 40

/* One process of the test and what is known of it. */
struct child {
	struct drive *drive;
	struct host_process *process;
	uint32_t n;
	int out; /* memfd, -1: none */
	int err;
	bool used;
	bool ended;
	bool lost; /* the bridge was cut while it was being started */
	uint32_t code;
};

struct drive {
	struct loop *loop;
	struct transport transport;
	struct host_client *client;
	struct host_observer observer;
	void (*scenario)(struct drive *d);
	char **argv; /* behind BASE */
	struct child *child;
	uint32_t n;
	uint32_t n_running;
	uint32_t n_ended;
	int gate[2]; /* every process of `many` reads from it */
	struct loop_id timer;
	struct loop_id cut_timer;
	uint32_t connections;
	uint32_t short_lived;
	int result;
};

static void done(struct drive *d, int result)
{
	d->result = result;
	loop_stop(d->loop);
}

static void fail(struct drive *d, const char *what, const char *why)
{
	(void)fprintf(stderr, "hostdrive: %s: %s\n", what, why);
	done(d, 1);
}

/* --- processes --------------------------------------------------------------- */

static void on_child_started(void *ctx, uint32_t pid);
static void on_child_ended(void *ctx, const struct host_process_end *end);

/* Starts argv (NULL-terminated); false: it could not even be asked. */
static bool child_start(struct child *c, const char **argv, int in)
{
	struct msg_process_parameters p = {
		.command_args.item = argv,
		.command_line = "",
		.working_directory = "",
		.create_in_utility_vm = true,
	};
	const struct host_process_config config = {
		.parameters = &p,
		.fd = { in, c->out, c->err },
		.started = on_child_started,
		.ended = on_child_ended,
		.ctx = c,
	};
	struct err e;

	while (argv[p.command_args.n])
		p.command_args.n++;
	c->used = true;
	if (host_process_start(c->drive->client, &config, &c->process, &e) == 0)
		return true;
	c->ended = c->lost = true;
	return false;
}

static int memory_file(void)
{
	const int fd = memfd_create("stream", MFD_CLOEXEC);

	if (fd < 0) {
		perror("memfd_create");
		exit(1);
	}
	return fd;
}

/* The whole of a memory file as a string of its own. */
static char *content(int fd)
{
	const off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)(size > 0 ? size : 0) + 1);

	if (!text || pread(fd, text, (size_t)size, 0) != (ssize_t)size) {
		perror("read a stream");
		exit(1);
	}
	return text;
}

static void children_new(struct drive *d, uint32_t n)
{
	d->child = calloc(n, sizeof(*d->child));
	if (!d->child) {
		perror("calloc");
		exit(1);
	}
	d->n = n;
	for (uint32_t i = 0; i < n; i++)
		d->child[i] = (struct child){
			.drive = d,
			.n = i,
			.out = -1,
			.err = -1,
		};
}

/* --- many at once -------------------------------------------------------------- */

static void many(struct drive *d)
{
	const uint32_t n = vmdrive_number(d->argv[0], COUNT_MAX);

	if (d->connections > 1)
		return;
	children_new(d, n);
	if (pipe2(d->gate, O_CLOEXEC) < 0) {
		fail(d, "pipe", strerror(errno));
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		char name[16];
		char code[16];
		const char *argv[] = {
			"/bin/sh",
			"-c",
			"read x; echo out-$0; echo err-$0 >&2; exit $1",
			name,
			code,
			NULL,
		};

		(void)snprintf(name, sizeof(name), "%u", i);
		(void)snprintf(code, sizeof(code), "%u", i % 256);
		d->child[i].out = memory_file();
		d->child[i].err = memory_file();
		if (!child_start(&d->child[i], argv, d->gate[0])) {
			fail(d, "start", name);
			return;
		}
	}
}

static bool stream_is(int fd, const char *expect)
{
	char *text = content(fd);
	const bool good = strcmp(text, expect) == 0;

	if (!good)
		(void)fprintf(stderr, "expected '%s', got '%.200s'\n", expect,
			      text);
	free(text);
	return good;
}

static void many_check(struct drive *d)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		const struct child *c = &d->child[i];
		char out[32];
		char err[32];

		(void)snprintf(out, sizeof(out), "out-%u\n", i);
		(void)snprintf(err, sizeof(err), "err-%u\n", i);
		if (c->lost || c->code != i % 256 || !stream_is(c->out, out) ||
		    !stream_is(c->err, err)) {
			(void)fprintf(stderr, "process %u: code %u\n", i,
				      c->code);
			bad++;
		}
	}
	printf("%u processes at once, %u wrong\n", d->n, bad);
	done(d, bad == 0 ? 0 : 1);
}

/* --- reconnects under load ------------------------------------------------------- */

/* The connection of the bridge is found as anybody could find it. */
static void cut(void *ctx)
{
	struct drive *d = ctx;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	(void)snprintf(path, sizeof(path), "%s_%u", d->transport.base,
		       WIRE_PORT_BRIDGE);
	for (int fd = 3; fd < 4096; fd++) {
		struct sockaddr_un a = { 0 };
		struct sockaddr_un peer = { 0 };
		socklen_t len = sizeof(a);
		socklen_t peer_len = sizeof(peer);

		if (getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
		    a.sun_family == AF_UNIX && strcmp(a.sun_path, path) == 0 &&
		    getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0)
			(void)shutdown(fd, SHUT_RDWR); /* the cut */
	}
}

static struct child *unused_child(struct drive *d)
{
	for (uint32_t i = WRITERS; i < d->n; i++)
		if (!d->child[i].used)
			return &d->child[i];
	return NULL;
}

/* Short processes come and go while the bridge is cut. */
static void short_start(struct drive *d)
{
	const char *argv[] = { "/bin/sh", "-c", "exit 7", NULL };
	struct child *c = unused_child(d);

	if (c && host_client_state(d->client) == HOST_READY)
		(void)child_start(c, argv, -1);
}

static void writers_start(struct drive *d)
{
	const char *argv[] = {
		"/bin/sh",
		"-c",
		"rm -f /tmp/stop; i=0; while [ ! -e /tmp/stop ]; do "
		"echo $i; i=$((i+1)); done; exit 5",
		NULL,
	};

	children_new(d, COUNT_MAX);
	for (uint32_t i = 0; i < WRITERS; i++) {
		d->child[i].out = memory_file();
		if (!child_start(&d->child[i], argv, -1)) {
			fail(d, "start", "a writer");
			return;
		}
	}
}

static void stop_writers(struct drive *d)
{
	const char *argv[] = { "/bin/touch", "/tmp/stop", NULL };
	struct child *c = unused_child(d);

	if (!c || !child_start(c, argv, -1))
		fail(d, "start", "the last process");
}

static void reconnect(struct drive *d)
{
	struct err e;

	if (d->connections == 1) {
		writers_start(d);
		return; /* the first cut comes when they run */
	}
	short_start(d);
	if (d->connections <= vmdrive_number(d->argv[0], 1000))
		(void)loop_at(d->loop, loop_now_ms(d->loop) + CUT_AFTER_MS, cut,
			      d, &d->cut_timer, &e);
	else
		stop_writers(d);
}

/* Lines 0, 1, 2, ... and nothing else. */
static bool is_counting(int fd)
{
	char *text = content(fd);
	const char *p = text;
	char line[16];
	unsigned int n = 0;
	bool whole;

	for (; *p; n++) {
		const int len = snprintf(line, sizeof(line), "%u\n", n);

		if (strncmp(p, line, (size_t)len) != 0) {
			(void)fprintf(stderr, "line %u is '%.40s'\n", n, p);
			break;
		}
		p += len;
	}
	whole = n > 0 && !*p;
	printf("a writer wrote %u lines\n", n);
	free(text);
	return whole;
}

static void reconnect_check(struct drive *d)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		const struct child *c = &d->child[i];
		const bool writer = i < WRITERS;

		if (!c->used || (c->lost && !writer))
			continue;
		if (c->lost ||
		    (writer && (c->code != 5 || !is_counting(c->out))) ||
		    (!writer && c->code != 7 && c->code != 0)) {
			(void)fprintf(stderr, "process %u: code %u%s\n", i,
				      c->code, c->lost ? ", lost" : "");
			bad++;
		}
		d->short_lived += writer ? 0 : 1;
	}
	printf("%u reconnects, %u short processes, %u wrong\n",
	       d->connections - 1, d->short_lived, bad);
	done(d, bad == 0 ? 0 : 1);
}

/* --- one process that outlives its host side ---------------------------------------- */

static void start_one(struct drive *d)
{
	children_new(d, 1);
	if (!child_start(&d->child[0], (const char **)(void *)d->argv, -1))
		fail(d, "start", d->argv[0]);
}

static void on_waited(void *ctx, const void *result,
		      const struct host_failure *f)
{
	struct drive *d = ctx;
	const struct msg_wait_for_process_result *r = result;

	if (f) {
		fail(d, "wait", f->err.text);
		return;
	}
	printf("exit code %u\n", r->exit_code);
	done(d, 0);
}

static void wait_one(struct drive *d)
{
	const struct host_done answer = { .fn = on_waited, .ctx = d };
	struct err e;

	if (host_wait_for_process(d->client, NULL,
				  vmdrive_number(d->argv[0], UINT32_MAX),
				  MSG_WAIT_FOREVER, &answer, NULL, &e) < 0)
		fail(d, "wait", e.text);
}

static void on_off(void *ctx, const void *result UNUSED,
		   const struct host_failure *f)
{
	done(ctx, f ? 1 : 0);
}

static void power_off(struct drive *d)
{
	const struct host_done answer = { .fn = on_off, .ctx = d };
	struct err e;

	if (host_shutdown(d->client, NULL, false, &answer, NULL, &e) < 0)
		fail(d, "shutdown", e.text);
}

/* --- what happens to processes --------------------------------------------------------- */

static void on_child_started(void *ctx, uint32_t pid)
{
	struct child *c = ctx;
	struct drive *d = c->drive;

	d->n_running++;
	if (d->scenario == start_one) {
		printf("%u\n", pid);
		(void)fflush(stdout);
	} else if (d->scenario == many && d->n_running == d->n) {
		fd_close(&d->gate[1]); /* all of them live now: go */
	} else if (d->scenario == reconnect) {
		struct err e;

		if (d->n_running == WRITERS)
			(void)loop_at(d->loop,
				      loop_now_ms(d->loop) + CUT_AFTER_MS, cut,
				      d, &d->cut_timer, &e);
	}
}

static bool reconnect_over(const struct drive *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (d->child[i].used && !d->child[i].ended)
			return false;
	return d->child[0].ended;
}

static void on_child_ended(void *ctx, const struct host_process_end *end)
{
	struct child *c = ctx;
	struct drive *d = c->drive;

	c->ended = true;
	c->code = end->code;
	c->lost = !end->exited || end->output_cut || end->output_held;
	if (c->lost && end->failure)
		(void)fprintf(stderr, "process %u: %s: %s\n", c->n,
			      host_fail_name(end->failure->kind),
			      end->failure->err.text);
	host_process_free(c->process);
	c->process = NULL;
	d->n_ended++;
	if (d->scenario == many && d->n_ended == d->n)
		many_check(d);
	else if (d->scenario == start_one)
		fail(d, "the process ended", "before this side was killed");
	else if (d->scenario == reconnect && reconnect_over(d))
		reconnect_check(d);
	else if (d->scenario == reconnect)
		short_start(d);
}

/* --- the bridge ---------------------------------------------------------------------------- */

static void on_ready(void *ctx, const struct host_guest *guest UNUSED)
{
	struct drive *d = ctx;

	d->connections++;
	if (d->connections == 1 || d->scenario == reconnect)
		d->scenario(d);
}

static void on_failed(void *ctx, const struct err *why)
{
	fail(ctx, "bridge", why->text);
}

static void on_limit(void *ctx)
{
	struct drive *d = ctx;

	for (uint32_t i = 0; i < d->n; i++)
		if (d->child[i].used && !d->child[i].ended)
			(void)fprintf(stderr, "process %u (pid %u) is open\n",
				      i, host_process_pid(d->child[i].process));
	(void)fprintf(stderr, "%u started, %u ended\n", d->n_running,
		      d->n_ended);
	fail(d, "time", "not done in time");
}

static int drive_client(struct drive *d)
{
	const struct host_client_config config = {
		.loop = d->loop,
		.transport = d->transport,
	};
	struct err e;

	d->observer = (struct host_observer){
		.ready = on_ready,
		.failed = on_failed,
		.ctx = d,
	};
	if (host_client_new(&config, &d->client, &e) < 0 ||
	    loop_at(d->loop, loop_now_ms(d->loop) + LIMIT_MS, on_limit, d,
		    &d->timer, &e) < 0) {
		(void)fprintf(stderr, "hostdrive: %s\n", e.text);
		return 1;
	}
	host_client_observe(d->client, &d->observer);
	d->result = 1;
	(void)loop_run(d->loop, &e);
	for (uint32_t i = 0; i < d->n; i++)
		host_process_free(d->child[i].process);
	host_client_free(d->client);
	return d->result;
}

/* --- without a bridge ------------------------------------------------------------------------ */

static int drive_boot(struct drive *d)
{
	return vmdrive_boot(d->loop, &d->transport, d->argv);
}

static int drive_listen(struct drive *d)
{
	return vmdrive_listen(&d->transport, d->argv);
}

static const struct {
	const char *name;
	int arguments;
	void (*scenario)(struct drive *d);
	int (*run)(struct drive *d);
} modes[] = {
	{ "boot", 4, NULL, drive_boot },
	{ "listen", 2, NULL, drive_listen },
	{ "many", 1, many, drive_client },
	{ "reconnect", 1, reconnect, drive_client },
	{ "start", 1, start_one, drive_client },
	{ "wait", 1, wait_one, drive_client },
	{ "off", 0, power_off, drive_client },
};

int main(int argc, char **argv)
{
	static struct drive d = { .gate = { -1, -1 } };
	struct err e;

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(modes) && argc >= 3; i++) {
		if (strcmp(argv[1], modes[i].name) != 0 ||
		    argc - 3 < modes[i].arguments)
			continue;
		d.transport.kind = TRANSPORT_UNIX;
		(void)snprintf(d.transport.base, sizeof(d.transport.base), "%s",
			       argv[2]);
		d.argv = argv + 3;
		d.scenario = modes[i].scenario;
		if (loop_new(&d.loop, &e) < 0)
			return 1;
		return modes[i].run(&d);
	}
	(void)fputs("hostdrive: see the head of tests/e2e/hostdrive.c\n",
		    stderr);
	return 2;
}
