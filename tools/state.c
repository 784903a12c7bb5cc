#include "tools/state.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "config/util.h"
#include "migration/saved.h"
#include "migration/saved_json.h"
#include "migration/state_file.h"
#include "migration/status.h"
#include "tools/tool.h"

#define OUT_MAX ((size_t)64 * 1024 * 1024)

static const char usage[] =
	"usage: ferry state show [--json] [--key-file KEY] FILE\n"
	"       ferry state check [--json] [--key-file KEY] FILE\n"
	"       ferry state diff [--json] [--key-file KEY] FILE FILE\n"
	"       ferry state seal [--key-file KEY] FILE OUT\n"
	"\n"
	"FILE is a saved state, bare as it travels or sealed as a file; - is "
	"stdin.\n"
	"show prints what is in it; --json: all of it, for programs.\n"
	"check says whether this host would import it, and if not by which "
	"rule.\n"
	"diff prints what differs; it exits with 1 when something does.\n"
	"seal writes a bare state as a file with a checksum, or with --key-file\n"
	"with an HMAC that only who has the key can make.\n";

struct args {
	const char *verb;
	const char *file[2];
	const char *key_file;
	bool json;
};

/* What was read, and what was found in it. */
struct loaded {
	struct text bytes;
	struct arena arena;
	struct saved saved;
	struct saved_fault fault;
	bool sealed;
};

static void loaded_done(struct loaded *l)
{
	arena_done(&l->arena);
	text_done(&l->bytes);
}

static int read_stream(FILE *f, const char *path, size_t max, struct text *ret,
		       struct err *e)
{
	char buf[65536];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), f)) > 0 && !ret->full)
		text_addn(ret, buf, n);
	if (ferror(f))
		return err_sys(e, "%s", path);
	return ret->full
		       ? err_set(e, E2BIG, "%s: more than %zu bytes", path, max)
		       : 0;
}

static int read_all(const char *path, size_t max, struct text *ret,
		    struct err *e)
{
	FILE *f;
	int r;

	text_heap(ret, max + 1);
	if (strcmp(path, "-") == 0)
		return read_stream(stdin, path, max, ret, e);
	f = fopen(path, "rbe");
	if (!f)
		return err_sys(e, "%s", path);
	r = read_stream(f, path, max, ret, e);
	(void)fclose(f);
	return r;
}

/* The bytes of the state itself, out of its seal if it has one. */
static int unseal(struct loaded *l, const struct args *a, const void **ret,
		  size_t *ret_size, struct err *e)
{
	struct state_key key;
	struct text secret;
	int r = 0;

	*ret = l->bytes.buf;
	*ret_size = l->bytes.len;
	l->sealed = state_file_is(l->bytes.buf, l->bytes.len);
	if (!l->sealed)
		return a->key_file ? err_set(e, EINVAL, "the state has no seal")
				   : 0;
	text_heap(&secret, 1);
	if (a->key_file)
		r = read_all(a->key_file, STATE_FILE_KEY_MAX, &secret, e);
	key = (struct state_key){ secret.buf, secret.len };
	if (r == 0)
		r = state_file_open(l->bytes.buf, l->bytes.len,
				    a->key_file ? &key : NULL, ret, ret_size,
				    e);
	text_done(&secret);
	return r;
}

static int load(const char *path, const struct args *a, const char *arch,
		struct loaded *ret, struct err *e)
{
	const void *p = NULL;
	size_t n = 0;
	int r;

	*ret = (struct loaded){ .fault = { "", 0 } };
	r = read_all(path, STATE_FILE_MAX, &ret->bytes, e);
	if (r == 0)
		r = unseal(ret, a, &p, &n, e);
	saved_arena_init(&ret->arena, n);
	if (r == 0)
		r = saved_decode(p, n, arch, &ret->arena, &ret->saved,
				 &ret->fault, e);
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}

static int print(const struct text *out)
{
	if (!out->full && fwrite(out->buf, 1, out->len, stdout) == out->len &&
	    fflush(stdout) == 0)
		return TOOL_OK;
	(void)fputs("ferry state: cannot write\n", stderr);
	return TOOL_FAILURE;
}

/* --- show --- */

static void put_name(struct text *out, struct saved_text t)
{
	char buf[512];

	(void)snprintf(buf, sizeof(buf), "%.*s", (int)(t.n < 500 ? t.n : 500),
		       t.p ? t.p : "");
	text_quote(out, buf, 200);
}

static void show_vm(const struct loaded *l, struct text *out)
{
	const struct saved_vm *v = &l->saved.vm;
	size_t i;

	text_add(out, "VM ");
	put_name(out, v->id);
	text_addf(out, ", epoch %" PRIu64 ", architecture ", v->epoch);
	put_name(out, v->architecture);
	text_addf(out,
		  "\n  next port %u, next request %" PRId64
		  ", document %zu bytes, compatibility %zu bytes\n",
		  v->next_port, v->next_id, v->document.n, v->compat.n);
	for (i = 0; v->has_scsi && i < v->scsi.n_disks; i++) {
		const struct saved_disk *d = &v->scsi.disks[i];

		text_addf(out, "  disk %u:%u ", d->slot / 64, d->slot % 64);
		put_name(out, d->host_path);
		text_addf(out, " %s%s, %zu mounts\n",
			  d->read_only ? "read-only" : "writable",
			  d->boot ? ", boot disk" : "", d->n_mounts);
	}
}

static void show_devices(const struct saved_vm *v, struct text *out)
{
	size_t i;

	for (i = 0; i < v->n_vpci; i++) {
		text_add(out, "  assigned device ");
		put_name(out, v->vpci[i].host_device);
		text_add(out, ", VMBus ");
		put_name(out, v->vpci[i].vmbus_guid);
		text_addc(out, '\n');
	}
	for (i = 0; i < v->n_shares; i++) {
		text_add(out, "  share ");
		put_name(out, v->shares[i].host_path);
		text_add(out, " at ");
		put_name(out, v->shares[i].guest_path);
		text_addf(out, ", %u holders\n", v->shares[i].ref_count);
	}
}

static void show_processes(const struct saved_process *p, size_t n,
			   const char *indent, struct text *out)
{
	size_t i;

	for (i = 0; i < n; i++, p++) {
		text_addf(out, "%s%s", indent, p->key.n ? "exec " : "init");
		put_name(out, p->key);
		text_addf(out, " pid %d, ports %u %u %u, ", p->pid, p->port[0],
			  p->port[1], p->port[2]);
		if (p->stage == SAVED_STAGE_STOPPED)
			text_addf(out, "exited %u", p->exit_status);
		else
			text_addf(out, "wait %" PRId64, p->wait_id);
		text_addf(out, "%s%s\n", p->terminal ? ", terminal" : "",
			  p->n_streams ? ", streams of the session" : "");
	}
}

static void show_container(const struct saved_container *c, struct text *out)
{
	text_add(out, "  container ");
	put_name(out, c->id);
	if (!saved_equal_text(c->id, c->gcs_id)) {
		text_add(out, ", in the guest ");
		put_name(out, c->gcs_id);
	}
	text_addf(out, ", %zu layers, %zu further disks\n", c->n_ro_layers,
		  c->n_reservations);
	show_processes(c->processes, c->n_processes, "    ", out);
	show_processes(c->execs, c->n_execs, "    ", out);
}

static void show_pods(const struct loaded *l, struct text *out)
{
	size_t i, j;

	for (i = 0; i < l->saved.n_pods; i++) {
		const struct saved_pod *p = &l->saved.pods[i];

		text_add(out, "pod ");
		put_name(out, p->id);
		if (!saved_equal_text(p->id, p->gcs_id)) {
			text_add(out, ", in the guest ");
			put_name(out, p->gcs_id);
		}
		text_add(out, ", network ");
		put_name(out, p->network.namespace_id);
		text_addf(out, ", %zu NICs\n", p->network.n_endpoints);
		for (j = 0; j < p->n_containers; j++)
			show_container(&p->containers[j], out);
	}
}

static int show(const struct args *a)
{
	struct err e = { 0 };
	struct loaded l;
	struct text out;
	int status;

	text_heap(&out, OUT_MAX);
	if (load(a->file[0], a, NULL, &l, &e) < 0) {
		status = tool_fail(&e);
	} else {
		if (a->json) {
			saved_json(&l.saved, &out);
			text_addc(&out, '\n');
		} else {
			show_vm(&l, &out);
			show_devices(&l.saved.vm, &out);
			show_processes(l.saved.vm.processes,
				       l.saved.vm.n_processes, "  ", &out);
			show_pods(&l, &out);
		}
		status = print(&out);
	}
	loaded_done(&l);
	text_done(&out);
	return status;
}

/* --- check --- */

static const char *host_architecture(void)
{
	struct utsname u;

	if (uname(&u) < 0)
		return NULL;
	if (strcmp(u.machine, "x86_64") == 0)
		return "amd64";
	return strcmp(u.machine, "aarch64") == 0 ? "arm64" : NULL;
}

static int check(const struct args *a)
{
	struct err e = { 0 };
	struct loaded l;
	int r = load(a->file[0], a, host_architecture(), &l, &e);
	int status = TOOL_OK;

	if (a->json && (r == 0 || l.fault.rule[0])) {
		(void)printf("{\"verdict\":\"%s\",\"code\":\"%s\","
			     "\"rule\":\"%s\",\"sealed\":%s}\n",
			     r < 0 ? "reject" : "accept",
			     status_name(status_of(r)), l.fault.rule,
			     l.sealed ? "true" : "false");
		status = r < 0 ? TOOL_USAGE : TOOL_OK;
	} else if (r < 0) {
		status = tool_fail(&e);
		status = l.fault.rule[0] ? TOOL_USAGE : status;
	} else {
		(void)printf("%s: accepted%s, %zu pods\n", a->file[0],
			     l.sealed ? ", seal intact" : "", l.saved.n_pods);
	}
	loaded_done(&l);
	return status;
}

/* --- diff --- */

static int diff(const struct args *a)
{
	struct text json[2], lines[2], out, in_json;
	struct loaded l[2];
	struct err e = { 0 };
	int status = TOOL_OK;
	size_t i;

	text_heap(&out, OUT_MAX);
	text_heap(&in_json, 2 * OUT_MAX);
	for (i = 0; i < 2; i++) {
		text_heap(&json[i], OUT_MAX);
		text_heap(&lines[i], OUT_MAX);
		l[i] = (struct loaded){ .fault = { "", 0 } };
	}
	for (i = 0; i < 2 && status == TOOL_OK; i++) {
		if (load(a->file[i], a, NULL, &l[i], &e) < 0) {
			status = tool_fail(&e);
			break;
		}
		saved_json(&l[i].saved, &json[i]);
		if (state_lines(text_str(&json[i]), &lines[i]) < 0)
			status = TOOL_FAILURE;
	}
	if (status == TOOL_OK) {
		const size_t n = state_diff(text_str(&lines[0]),
					    text_str(&lines[1]), &out);

		if (a->json)
			state_diff_json(text_str(&out), &in_json);
		status = print(a->json ? &in_json : &out);
		if (status == TOOL_OK && n > 0)
			status = TOOL_FAILURE;
	}
	for (i = 0; i < 2; i++) {
		loaded_done(&l[i]);
		text_done(&json[i]);
		text_done(&lines[i]);
	}
	text_done(&out);
	text_done(&in_json);
	return status;
}

/* --- seal --- */

static int write_file(const char *path, const struct text *t, struct err *e)
{
	FILE *f = fopen(path, "wbxe");

	if (!f)
		return err_sys(e, "%s", path);
	if (fwrite(t->buf, 1, t->len, f) != t->len) {
		(void)fclose(f);
		return err_set(e, EIO, "%s: cannot write", path);
	}
	return fclose(f) == 0 ? 0 : err_sys(e, "%s", path);
}

static int seal(const struct args *a)
{
	struct text state, secret, out;
	struct state_key key;
	struct err e = { 0 };
	int r;

	text_heap(&secret, 1);
	text_heap(&out, STATE_FILE_MAX + 1);
	r = read_all(a->file[0], SAVED_BYTES_MAX, &state, &e);
	if (r == 0 && a->key_file)
		r = read_all(a->key_file, STATE_FILE_KEY_MAX, &secret, &e);
	key = (struct state_key){ secret.buf, secret.len };
	if (r == 0)
		r = state_file_seal(state.buf, state.len,
				    a->key_file ? &key : NULL, &out, &e);
	if (r == 0)
		r = write_file(a->file[1], &out, &e);
	text_done(&state);
	text_done(&secret);
	text_done(&out);
	return r < 0 ? tool_fail(&e) : TOOL_OK;
}

static const struct {
	const char *name;
	int (*run)(const struct args *a);
	int files;
} verbs[] = {
	{ "show", show, 1 },
	{ "check", check, 1 },
	{ "diff", diff, 2 },
	{ "seal", seal, 2 },
};

int tool_state(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "key-file", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct args a = { 0 };
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h')
			return fputs(usage, stdout) < 0 ? TOOL_FAILURE
							: TOOL_OK;
		if (o == 'j')
			a.json = true;
		else if (o == 'k')
			a.key_file = optarg;
		else
			return tool_try("state");
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs) && optind < argc; i++) {
		if (strcmp(argv[optind], verbs[i].name) != 0)
			continue;
		if (argc - optind - 1 != verbs[i].files)
			return tool_usage("state", "%s: want %d file%s",
					  verbs[i].name, verbs[i].files,
					  verbs[i].files > 1 ? "s" : "");
		a.verb = argv[optind];
		a.file[0] = argv[optind + 1];
		a.file[1] = verbs[i].files > 1 ? argv[optind + 2] : NULL;
		return verbs[i].run(&a);
	}
	return tool_usage("state", "want show, check, diff or seal");
}
