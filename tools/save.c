/*
 * tools/save.c - `ferry save SANDBOX FILE`
 *
 * A migration whose destination is a file: the same session, the same order.
 * When state, memory and disks are in the files the source gives the guest up;
 * whatever fails before lets it go on here.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/migration.pb-c.h"
#include "tools/saved_files.h"
#include "tools/tool.h"

#define STEP_MS 60000
#define COPY_LOOK_MS 100

static const char usage[] =
	"usage: ferry save [--key-file KEY] [--json] SANDBOX FILE\n"
	"\n"
	"Saves a running sandbox and ends it: its state in FILE, and its "
	"memory and\n"
	"disks in files beside it. 'ferry restore FILE' lets it go on.\n"
	"\n"
	"  --key-file KEY   seal FILE with this key\n"
	"  --json           one JSON object a line\n";

struct save {
	struct migrate m;
	struct saved_files files;
	struct saved_pipe pipe;
	struct arena arena;
	struct saved saved;
	bool decoded;
	FerryContainersResponse *containers;
};

/* --- the source's part of a migration --- */

static void on_exported(void *ctx, const ProtobufCMessage *answer)
{
	const MigrationExportResponse *a = (const void *)answer;
	const size_t n = a->config ? pb_any__get_packed_size(a->config) : 0;
	uint8_t *bytes = n ? malloc(n) : NULL;

	if (bytes) {
		(void)pb_any__pack(a->config, bytes);
		text_addn(ctx, bytes, n);
	}
	free(bytes);
}

static int export(struct save *s, struct err *e)
{
	MigrationPrepareRequest q = MIGRATION_PREPARE_REQUEST__INIT;
	MigrationOptions o = MIGRATION_OPTIONS__INIT;
	char lease[PATH_MAX];
	struct text t;
	int r;

	o.has_memory_transport = true;
	o.memory_transport = MIGRATION_TRANSPORT__MIGRATION_TRANSPORT_TCP;
	o.has_ferry_to_file = true;
	o.ferry_to_file = true;
	o.ferry_lease = lease;
	saved_files_name(&s->files, SAVED_LEASE, lease);
	q.session_id = s->m.session;
	q.init_options = &o;
	text_heap(&t, SAVED_BYTES_MAX + 1);
	r = migrate_ask(&s->m, &s->m.source, "Migration",
			"PrepareAndExportSandbox", &q.base,
			&migration_export_response__descriptor, on_exported, &t,
			STEP_MS, e);
	saved_arena_init(&s->arena, t.len);
	if (r == 0) {
		text_addn(&s->files.state, t.buf, t.len);
		r = saved_decode(s->files.state.buf, s->files.state.len, NULL,
				 &s->arena, &s->saved, NULL, e);
		s->decoded = r == 0;
	}
	text_done(&t);
	return r;
}

static int memory(struct save *s, struct err *e)
{
	char path[PATH_MAX];
	int fd, r;

	saved_files_name(&s->files, SAVED_MEMORY, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", path);
	r = saved_pipe_open(&s->pipe, &s->m, &s->m.source, fd, true, e);
	if (r == 0)
		r = migrate_call(&s->m, &s->m.source, "TransferSandbox", e);
	if (r == 0)
		r = saved_wait(&s->m, &s->m.source, &s->pipe, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_sys(e, "%s", path);
	return r;
}

/* --- disks --- */

/* The shim is told now and then that we live, while cp works. */
static int copy(struct save *s, const char *from, const char *to, struct err *e)
{
	char *const argv[] = { (char *)(uintptr_t) "cp",
			       (char *)(uintptr_t) "--sparse=always",
			       (char *)(uintptr_t) "--reflink=auto",
			       (char *)(uintptr_t) "--",
			       (char *)(uintptr_t)from,
			       (char *)(uintptr_t)to,
			       NULL };
	const pid_t pid = fork();
	int status = 0, r = 0;
	pid_t got;

	if (pid < 0)
		return err_sys(e, "fork");
	if (pid == 0) {
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && r >= 0) {
		r = loop_turn(s->m.remote.loop, COPY_LOOK_MS, e);
		if (r >= 0)
			r = migrate_look(&s->m, &s->m.source, false, e);
		if (r >= 0)
			migrate_report(&s->m, "disks");
	}
	if (r < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		return r;
	}
	if (got < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, EIO, "cannot copy disk %s to %s", from, to);
	return 0;
}

static int disks(struct save *s, struct err *e)
{
	struct saved_scsi *scsi = &s->saved.vm.scsi;
	struct text state;
	size_t i;
	int r = 0;

	for (i = 0; i < scsi->n_disks && r == 0; i++) {
		struct saved_disk *d = &scsi->disks[i];
		char *to = arena_array(&s->arena, PATH_MAX, 1);
		const char *from =
			arena_strn(&s->arena, d->host_path.p, d->host_path.n);

		if (d->boot || d->stage == SAVED_STAGE_RESERVED ||
		    strncmp(d->type.p, "VirtualDisk", d->type.n) != 0)
			continue; /* stays where it is */
		if (!to || !from)
			return err_set(e, ENOMEM, "no memory for disks");
		saved_files_disk(&s->files, d->slot, to);
		r = copy(s, from, to, e);
		d->host_path = saved_text_of(to);
	}
	if (r < 0)
		return r;
	text_heap(&state, SAVED_BYTES_MAX + 1);
	r = saved_encode(&s->saved, &state, e);
	if (r == 0) {
		text_reset(&s->files.state);
		text_addn(&s->files.state, state.buf, state.len);
	}
	text_done(&state);
	return r;
}

static int write_files(struct save *s, struct err *e)
{
	FerrySaved more = FERRY_SAVED__INIT;
	uint8_t sum[DIGEST_BYTES];

	digest_done(&s->pipe.sum, sum);
	more.sandbox = s->m.remote.name;
	more.memory_sum = (ProtobufCBinaryData){ sizeof(sum), sum };
	more.memory_bytes = s->pipe.bytes;
	more.containers = s->containers->containers;
	more.n_containers = s->containers->n_containers;
	return saved_files_write(&s->files, &more, e);
}

/* --- the whole --- */

static void go_on(struct save *s)
{
	struct err e;

	if (migrate_call(&s->m, &s->m.source, "Cancel", &e) < 0 ||
	    migrate_finalize(&s->m, &s->m.source, true, &e) < 0 ||
	    migrate_call(&s->m, &s->m.source, "Cleanup", &e) < 0)
		(void)fprintf(stderr, "ferry: %s\n", e.text);
	else
		(void)fprintf(stderr, "ferry: %s runs on\n", s->m.remote.name);
}

/* It refuses a state that does not exist any more. */
static void remove_lease(const struct save *s)
{
	char path[PATH_MAX];

	saved_files_name(&s->files, SAVED_LEASE, path);
	if (s->decoded)
		(void)unlink(path);
}

static int save(struct save *s, struct err *e)
{
	struct err ignored;
	int r = access(s->files.file, F_OK) == 0
			? err_set(e, EEXIST, "%s is there already",
				  s->files.file)
			: migrate_session(&s->m, e);

	if (r < 0)
		return r;
	migrate_report(&s->m, "state");
	r = export(s, e);
	if (r == 0)
		r = migrate_containers(&s->m, &s->containers, e);
	if (r == 0)
		r = memory(s, e);
	if (r == 0)
		r = disks(s, e);
	if (r == 0) {
		migrate_report(&s->m, "files");
		r = write_files(s, e);
	}
	if (r < 0) {
		saved_files_remove(&s->files, s->decoded ? &s->saved : NULL);
		go_on(s);
		remove_lease(s);
		return r;
	}
	/* From here on the file is the guest. */
	if (migrate_finalize(&s->m, &s->m.source, false, &ignored) < 0)
		(void)fprintf(stderr, "ferry: %s\n", ignored.text);
	(void)migrate_call(&s->m, &s->m.source, "Cleanup", &ignored);
	migrate_report_saved(&s->m, s->files.file);
	return 0;
}

static int run(const char *sandbox, const char *file, const char *key_file,
	       bool json)
{
	static struct save s = { .m = { .data = -1, .offer = -1 },
				 .pipe = { .fd = -1, .file = -1 } };
	struct err e;
	int r = saved_files_init(&s.files, file, key_file, &e);

	if (r == 0)
		r = remote_open(sandbox, &s.m.remote, &e);
	if (r == 0) {
		s.m.args.json = json;
		s.m.begun_ms = loop_now_ms(s.m.remote.loop);
		s.m.source.client = s.m.remote.client;
		r = save(&s, &e);
	}
	saved_pipe_close(&s.pipe);
	remote_close(&s.m.remote);
	if (s.containers)
		ferry_containers_response__free_unpacked(s.containers, NULL);
	arena_done(&s.arena);
	saved_files_done(&s.files);
	return r < 0 ? tool_fail(&e) : TOOL_OK;
}

int tool_save(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key-file", required_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *key_file = NULL;
	bool json = false;
	int id;

	while ((id = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (id == 'h')
			return fputs(usage, stdout) < 0 ? TOOL_FAILURE
							: TOOL_OK;
		if (id == 'k')
			key_file = optarg;
		else if (id == 'j')
			json = true;
		else
			return tool_try("save");
	}
	if (optind + 2 != argc)
		return tool_usage("save", "want a sandbox and a file");
	return run(argv[optind], argv[optind + 1], key_file, json);
}
