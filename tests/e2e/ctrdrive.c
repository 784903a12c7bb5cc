/*
 * tests/e2e/ctrdrive.c - one step with a container of a running UVM, each time
 * as a host side of its own
 *
 * usage: ctrdrive create BASE ID DOCUMENT	Create and Start; DOCUMENT is a file
 *	  ctrdrive init BASE ID		let the init process go; its output is ours;
 *					ends with its exit code
 *	  ctrdrive go BASE ID		the same without streams, does not wait
 *	  ctrdrive exec BASE ID PROCESS	an exec; PROCESS is a file
 *	  ctrdrive uvm BASE COMMAND...	a process of the UVM
 *	  ctrdrive kill BASE ID		SIGKILL to the init process
 *	  ctrdrive delete BASE ID	DeleteContainerState
 *
 * What the guest refuses is printed, and the exit code is 125.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/host/process.h"
#include "bridge/io/fd.h"
#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "config/util.h"

#define LIMIT_MS 120000
#define REFUSED 125
#define DOCUMENT_MAX 65536

struct step {
	struct loop *loop;
	struct host_client *client;
	struct host_observer observer;
	struct host_process *process;
	struct loop_id timer;
	const char *id;
	char **argv;
	char document[DOCUMENT_MAX];
	char bundle[256];
	char scratch[256];
	bool wait;
	bool begun;
	int result;
	void (*begin)(struct step *s);
};

static void end(struct step *s, int result)
{
	s->result = result;
	loop_stop(s->loop);
}

static void refused(struct step *s, const char *why)
{
	printf("refused: %s\n", why);
	end(s, REFUSED);
}

static void on_answer(void *ctx, const void *result UNUSED,
		      const struct host_failure *f)
{
	if (f)
		refused(ctx, f->err.text);
	else
		end(ctx, 0);
}

static void on_created(void *ctx, const void *result UNUSED,
		       const struct host_failure *f)
{
	struct step *s = ctx;
	const struct host_done done = { .fn = on_answer, .ctx = s };
	struct err e = { 0 };

	if (f)
		refused(s, f->err.text);
	else if (host_start(s->client, s->id, &done, NULL, &e) < 0)
		refused(s, e.text);
}

static void create(struct step *s)
{
	const struct msg_container_config config = {
		.oci_bundle_path = s->bundle,
		.oci_specification = s->document,
		.scratch_dir_path = s->scratch,
		.system_type = "",
	};
	const struct host_done done = { .fn = on_created, .ctx = s };
	struct err e = { 0 };

	if (host_create(s->client, s->id, &config, &done, NULL, &e) < 0)
		refused(s, e.text);
}

static void on_started(void *ctx, uint32_t pid UNUSED)
{
	struct step *s = ctx;

	if (!s->wait)
		end(s, 0);
}

static void on_ended(void *ctx, const struct host_process_end *how)
{
	struct step *s = ctx;

	if (!how->started && how->failure)
		refused(s, how->failure->err.text);
	else
		end(s, how->exited ? (int)how->code : REFUSED);
}

static void run(struct step *s, const struct msg_process_parameters *p)
{
	const struct host_process_config config = {
		.container_id = s->id,
		.parameters = p,
		.fd = { -1, s->wait ? 1 : -1, s->wait ? 2 : -1 },
		.started = on_started,
		.ended = on_ended,
		.ctx = s,
	};
	struct err e = { 0 };

	if (host_process_start(s->client, &config, &s->process, &e) < 0)
		refused(s, e.text);
}

static struct msg_process_parameters no_parameters(void)
{
	return (struct msg_process_parameters){
		.command_line = "",
		.working_directory = "",
	};
}

static void init(struct step *s)
{
	const struct msg_process_parameters p = no_parameters();

	run(s, &p);
}

static void exec(struct step *s)
{
	struct msg_process_parameters p = no_parameters();

	p.oci_process = s->document;
	run(s, &p);
}

static void uvm(struct step *s)
{
	struct msg_process_parameters p = no_parameters();

	s->id = NULL;
	p.create_in_utility_vm = true;
	p.command_args.item = (const char **)(void *)s->argv;
	while (s->argv[p.command_args.n])
		p.command_args.n++;
	run(s, &p);
}

static void kill_it(struct step *s)
{
	const struct host_done done = { .fn = on_answer, .ctx = s };
	struct err e = { 0 };

	if (host_shutdown(s->client, s->id, true, &done, NULL, &e) < 0)
		refused(s, e.text);
}

static void delete (struct step *s)
{
	const struct host_done done = { .fn = on_answer, .ctx = s };
	struct err e = { 0 };

	if (host_delete_container_state(s->client, s->id, &done, NULL, &e) < 0)
		refused(s, e.text);
}

static void on_ready(void *ctx, const struct host_guest *guest UNUSED)
{
	struct step *s = ctx;

	if (!s->begun)
		s->begin(s);
	s->begun = true;
}

static void on_failed(void *ctx, const struct err *why)
{
	refused(ctx, why->text);
}

static void on_limit(void *ctx)
{
	refused(ctx, "not done in time");
}

static const struct {
	const char *name;
	bool file;
	bool wait;
	void (*begin)(struct step *s);
} steps[] = {
	{ "create", true, true, create },  { "init", false, true, init },
	{ "go", false, false, init },	   { "exec", true, true, exec },
	{ "uvm", false, true, uvm },	   { "kill", false, true, kill_it },
	{ "delete", false, true, delete },
};

static bool read_document(struct step *s, const char *path)
{
	cleanup_fd fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	return fd >= 0 && fd_read_full(fd, s->document, DOCUMENT_MAX - 1) >= 0;
}

/* BASE, ID: a bundle, and the scratch folder that goes with it. */
static int go(struct step *s, const char *base)
{
	struct host_client_config config = {
		.transport = { .kind = TRANSPORT_UNIX },
	};
	struct err e = { 0 };

	(void)snprintf(config.transport.base, sizeof(config.transport.base),
		       "%s", base);
	(void)snprintf(s->bundle, sizeof(s->bundle), "%s%s",
		       getenv("BUNDLES") ? getenv("BUNDLES") : "/run/gcs/c/",
		       s->id);
	(void)snprintf(s->scratch, sizeof(s->scratch), "%s%s/scratch/x",
		       getenv("SCRATCHES") ? getenv("SCRATCHES")
					   : "/run/gcs/c/",
		       s->id);
	s->observer = (struct host_observer){ .ready = on_ready,
					      .failed = on_failed,
					      .ctx = s };
	if (loop_new(&s->loop, &e) < 0)
		return REFUSED;
	config.loop = s->loop;
	if (host_client_new(&config, &s->client, &e) < 0 ||
	    loop_at(s->loop, loop_now_ms(s->loop) + LIMIT_MS, on_limit, s,
		    &s->timer, &e) < 0) {
		(void)fprintf(stderr, "ctrdrive: %s\n", e.text);
		return REFUSED;
	}
	host_client_observe(s->client, &s->observer);
	s->result = REFUSED;
	(void)loop_run(s->loop, &e);
	host_process_free(s->process);
	host_client_free(s->client);
	return s->result;
}

int main(int argc, char **argv)
{
	static struct step s;

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(steps) && argc >= 4; i++) {
		if (strcmp(argv[1], steps[i].name) != 0)
			continue;
		s.id = argv[3];
		s.argv = argv + 3;
		s.wait = steps[i].wait;
		s.begin = steps[i].begin;
		if (steps[i].file && !read_document(&s, argv[4]))
			break;
		return go(&s, argv[2]);
	}
	(void)fputs("ctrdrive: see the head of tests/e2e/ctrdrive.c\n", stderr);
	return 2;
}
