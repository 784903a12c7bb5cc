/*
 * tools/restore.c - `ferry restore FILE`
 *
 * A migration whose source is a file. A shim is started that waits for its VM,
 * as `ferry migrate receive` does; state, containers and memory go to it. When
 * the guest runs the files are removed: one machine, one life.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/migration.pb-c.h"
#include "tools/arrival.h"
#include "tools/saved_files.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"

#define STEP_MS 60000

static const char usage[] =
	"usage: ferry restore [--name NAME] [--key-file KEY] [--kernel FILE]\n"
	"                     [--image FILE] FILE\n"
	"\n"
	"Lets a sandbox that 'ferry save' wrote to FILE go on, and removes the "
	"files.\n"
	"\n"
	"  --name NAME      another name than it had\n"
	"  --key-file KEY   the key that FILE was sealed with\n"
	"  --kernel FILE    its kernel, by default ferry's\n"
	"  --image FILE     its image, by default ferry's\n";

struct restore_args {
	const char *file;
	const char *name;
	const char *key_file;
	const char *kernel;
	const char *image;
};

struct restore {
	const struct restore_args *args;
	struct migrate m;
	struct saved_files files;
	struct saved_pipe pipe;
	FerrySaved *more;
	char name[RUNDIR_NAME_MAX];
};

/* --- the destination's part of a migration --- */

static int import(struct restore *r, struct err *e)
{
	MigrationImportRequest q = MIGRATION_IMPORT_REQUEST__INIT;
	int n;

	q.session_id = r->m.session;
	q.sandbox_id = r->m.remote.name;
	q.has_ferry_from_file = true;
	q.ferry_from_file = true;
	q.config = pb_any__unpack(NULL, r->files.state.len,
				  (const uint8_t *)r->files.state.buf);
	if (!q.config)
		return err_set(e, EINVAL, "%s: no state", r->files.file);
	n = migrate_ask(&r->m, &r->m.destination, "Migration", "ImportSandbox",
			&q.base, NULL, NULL, NULL, STEP_MS, e);
	pb_any__free_unpacked(q.config, NULL);
	return n;
}

static int adopt(struct restore *r, struct err *e)
{
	int n = 0;

	for (size_t i = 0; i < r->more->n_containers && n == 0; i++) {
		FerryAdoptRequest q = FERRY_ADOPT_REQUEST__INIT;

		q.container = r->more->containers[i];
		q.source_id = q.container->id;
		n = migrate_ask(&r->m, &r->m.destination, "Ferry", "Adopt",
				&q.base, NULL, NULL, NULL, STEP_MS, e);
	}
	return n;
}

static int prepare(struct restore *r, struct err *e)
{
	MigrationPrepareRequest q = MIGRATION_PREPARE_REQUEST__INIT;
	MigrationOptions o = MIGRATION_OPTIONS__INIT;

	o.has_memory_transport = true;
	o.memory_transport = MIGRATION_TRANSPORT__MIGRATION_TRANSPORT_TCP;
	o.has_ferry_to_file = true;
	o.ferry_to_file = true;
	q.session_id = r->m.session;
	q.init_options = &o;
	return migrate_ask(&r->m, &r->m.destination, "Migration",
			   "PrepareSandbox", &q.base, NULL, NULL, NULL, STEP_MS,
			   e);
}

static int memory(struct restore *r, struct err *e)
{
	char path[PATH_MAX];
	int fd, n;

	saved_files_name(&r->files, SAVED_MEMORY, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", path);
	n = saved_pipe_open(&r->pipe, &r->m, &r->m.destination, fd, false, e);
	if (n == 0)
		n = migrate_call(&r->m, &r->m.destination, "TransferSandbox",
				 e);
	return n < 0 ? n : saved_wait(&r->m, &r->m.destination, &r->pipe, e);
}

/* --- the whole --- */

static void give_up(struct restore *r)
{
	FerryAbandonRequest q = FERRY_ABANDON_REQUEST__INIT;
	struct err e;

	(void)migrate_ask(&r->m, &r->m.destination, "Ferry", "Abandon", &q.base,
			  NULL, NULL, NULL, STEP_MS, &e);
}

/* The disks that the state names by these files are open in the shim. */
static void remove_files(const struct restore *r)
{
	struct arena a;
	struct saved s;
	struct err e;
	int n;

	saved_arena_init(&a, r->files.state.len);
	n = saved_decode(r->files.state.buf, r->files.state.len, NULL, &a, &s,
			 NULL, &e);
	saved_files_remove(&r->files, n < 0 ? NULL : &s);
	arena_done(&a);
}

static int restore(struct restore *r, struct err *e)
{
	struct err ignored;
	int n = import(r, e);

	if (n == 0)
		n = adopt(r, e);
	if (n == 0)
		n = prepare(r, e);
	if (n == 0)
		n = memory(r, e);
	if (n == 0)
		n = migrate_finalize(&r->m, &r->m.destination, true, e);
	if (n < 0) {
		give_up(r);
		return n;
	}
	remove_files(r);
	(void)migrate_call(&r->m, &r->m.destination, "Cleanup", &ignored);
	(void)printf("%s\n", r->m.remote.name);
	return 0;
}

static int begin(struct restore *r, struct err *e)
{
	const char *name = r->args->name;
	int n = saved_files_init(&r->files, r->args->file, r->args->key_file,
				 e);

	if (n == 0)
		n = saved_files_read(&r->files, &r->more, e);
	if (n < 0)
		return n;
	name = name ? name : r->more->sandbox;
	n = rundir_name_check(name, e);
	if (n < 0)
		return n;
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	n = migrate_session(&r->m, e);
	if (n == 0)
		n = arrival_start(&(struct arrival){ .name = r->name,
						     .kernel = r->args->kernel,
						     .image = r->args->image },
				  e);
	if (n == 0)
		n = remote_open(r->name, &r->m.remote, e);
	r->m.destination.client = r->m.remote.client;
	return n;
}

static int run(const struct restore_args *a)
{
	static struct restore r = { .m = { .data = -1, .offer = -1 },
				    .pipe = { .fd = -1, .file = -1 } };
	struct err e;
	int n;

	r.args = a;
	n = begin(&r, &e);
	if (n == 0)
		n = restore(&r, &e);
	saved_pipe_close(&r.pipe);
	remote_close(&r.m.remote);
	if (r.more)
		ferry_saved__free_unpacked(r.more, NULL);
	saved_files_done(&r.files);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

int tool_restore(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "key-file", required_argument, NULL, 'k' },
		{ "kernel", required_argument, NULL, 'K' },
		{ "image", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct restore_args a = { 0 };
	int id;

	while ((id = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (id == 'h')
			return fputs(usage, stdout) < 0 ? TOOL_FAILURE
							: TOOL_OK;
		if (id == 'n')
			a.name = optarg;
		else if (id == 'k')
			a.key_file = optarg;
		else if (id == 'K')
			a.kernel = optarg;
		else if (id == 'i')
			a.image = optarg;
		else
			return tool_try("restore");
	}
	if (optind + 1 != argc)
		return tool_usage("restore", "want one file");
	a.file = argv[optind];
	return run(&a);
}
