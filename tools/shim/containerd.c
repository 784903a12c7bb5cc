#include "tools/shim/containerd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/task.pb-c.h"
#include "config/digest.h"
#include "config/util.h"
#include "tools/annotations_file.h"
#include "tools/qemu/listener.h"
#include "tools/shim/oci.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"
#include "tools/ttrpc/client.h"

/* Where containerd looks for shims' sockets, whatever its own folders are. */
#define SOCKETS "/run/containerd/s"
#define ADDRESS_FILE "address"
/* Exit status of a container whose shim died. */
#define EXIT_KILLED 137u
#define NAME_BYTES 16

/* What containerd wrote. */
struct words {
	const char *name_space;
	const char *address;
	const char *id;
	const char *bundle;
	const char *action;
	bool version;
	bool debug;
};

/* A shim's place, derived from its group. */
struct place {
	char path[128];
	char name[RUNDIR_NAME_MAX];
};

bool shim_containerd_is(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return strcmp(slash ? slash + 1 : argv0, CONTAINERD_SHIM) == 0;
}

/* --- arguments, in the manner of Go ------------------------------------------------- */

static const char **value_of(struct words *w, const char *flag)
{
	const struct {
		const char *name;
		const char **value;
	} known[] = {
		{ "namespace", &w->name_space },
		{ "address", &w->address },
		{ "id", &w->id },
		{ "bundle", &w->bundle },
		{ "publish-binary", NULL },
		{ "socket", NULL },
	};
	static const char *ignored;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].name, flag) == 0)
			return known[i].value ? known[i].value : &ignored;
	return NULL;
}

static int parse(int argc, char **argv, struct words *w, struct err *e)
{
	for (int i = 1; i < argc; i++) {
		const char **value;
		char *flag = argv[i];
		char *equals;

		if (*flag != '-') {
			w->action = flag;
			continue;
		}
		flag += flag[1] == '-' ? 2 : 1;
		if (strcmp(flag, "debug") == 0 || strcmp(flag, "v") == 0) {
			w->debug |= *flag == 'd';
			w->version |= *flag == 'v';
			continue;
		}
		equals = strchr(flag, '=');
		if (equals)
			*equals = '\0';
		value = value_of(w, flag);
		if (!value || (!equals && i + 1 == argc))
			return err_set(e, EINVAL, "flag -%.40s", flag);
		*value = equals ? equals + 1 : argv[++i];
	}
	return 0;
}

/* --- the place of a group ------------------------------------------------------------- */

static void derive(const struct words *w, const char *group, struct place *ret)
{
	uint8_t sum[DIGEST_BYTES];
	char hex[2 * DIGEST_BYTES + 1];
	struct digest d;

	digest_init(&d);
	digest_add(&d, w->address, strlen(w->address));
	digest_add(&d, "/", 1);
	digest_add(&d, w->name_space, strlen(w->name_space));
	digest_add(&d, "/", 1);
	digest_add(&d, group, strlen(group));
	digest_done(&d, sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	(void)snprintf(ret->path, sizeof(ret->path), SOCKETS "/%s", hex);
	(void)snprintf(ret->name, sizeof(ret->name), "%.*s", 2 * NAME_BYTES,
		       hex);
}

static int find_place(const struct words *w, const char *dir, struct place *ret,
		      struct err *e)
{
	struct oci_facts f;
	const int r = oci_facts_read(dir, NULL, &f, e);

	if (r == 0)
		derive(w, f.kind == OCI_CONTAINER ? f.pod_id : w->id, ret);
	oci_facts_done(&f);
	return r;
}

static bool is_served(const struct place *p)
{
	struct err e;
	cleanup_fd fd = -1;

	return ttrpc_dial(p->path, &fd, &e) == 0;
}

/* --- start --------------------------------------------------------------------------------- */

static int say_address(const struct place *p, struct err *e)
{
	char line[160];
	const int n = snprintf(line, sizeof(line), "unix://%s", p->path);
	cleanup_fd fd = open(ADDRESS_FILE ".new",
			     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_full(fd, line, (size_t)n) < 0 ||
	    rename(ADDRESS_FILE ".new", ADDRESS_FILE) < 0)
		return err_sys(e, "write the file " ADDRESS_FILE);
	if (fd_write_full(STDOUT_FILENO, line, (size_t)n) < 0)
		return err_sys(e, "say the address");
	return 0;
}

static int open_socket(const struct place *p, int *ret, struct err *e)
{
	int r;

	if (mkdir("/run/containerd", 0711) < 0 && errno != EEXIST)
		return err_sys(e, "/run/containerd");
	if (mkdir(SOCKETS, 0711) < 0 && errno != EEXIST)
		return err_sys(e, SOCKETS);
	(void)unlink(p->path); /* of a dead one */
	r = listener_open(p->path, ret, e);
	if (r == 0 && chmod(p->path, 0600) < 0)
		return err_sys(e, "%s", p->path);
	return r;
}

static int prepare(struct launch *l, struct err *e)
{
	int r;

	l->args.workdir = "";
	l->args.forwarder = FORWARDERS;
	annotation_map_init(&l->args.annotations);
	r = annotations_file_read("config.json", &l->args.annotations, e);
	if (r == 0)
		r = launch_line(l, e);
	if (r == 0)
		r = launch_files(l, e);
	return r;
}

static int launch(const struct words *w, const struct place *p, struct err *e)
{
	struct launch *l = calloc(1, sizeof(*l));
	const char *events = getenv("TTRPC_ADDRESS");
	char name[RUNDIR_NAME_MAX];
	struct shim_birth birth = {
		.name = p->name,
		.listen_fd = -1,
		.socket = p->path,
		.events = events && *events ? events : NULL,
		.name_space = w->name_space,
		.of_containerd = true,
	};
	int r;

	if (!l)
		return err_set(e, ENOMEM, "out of memory");
	launch_init(l);
	r = prepare(l, e);
	if (r == 0)
		r = open_socket(p, &birth.listen_fd, e);
	if (r == 0)
		r = shim_start(l, &birth, name, e);
	fd_close(&birth.listen_fd);
	launch_done(l);
	free(l);
	return r;
}

static int do_start(const struct words *w, struct err *e)
{
	struct place p;
	int r;

	if (!w->name_space || !w->address || !w->id)
		return err_set(e, EINVAL,
			       "start wants -namespace, -address and -id");
	r = find_place(w, ".", &p, e);
	if (r == 0 && !is_served(&p))
		r = launch(w, &p, e);
	return r < 0 ? r : say_address(&p, e);
}

/* --- delete ---------------------------------------------------------------------------------- */

static int say_deleted(struct err *e)
{
	TaskDeleteResponse m = TASK_DELETE_RESPONSE__INIT;
	PbTimestamp at = PB_TIMESTAMP__INIT;
	uint8_t bytes[64];
	size_t n;

	at.seconds = (int64_t)(clock_wall_ns() / 1000000000u);
	m.exit_status = EXIT_KILLED;
	m.exited_at = &at;
	n = task_delete_response__pack(&m, bytes); /* of three numbers */
	if (fd_write_full(STDOUT_FILENO, bytes, n) < 0)
		return err_sys(e, "say what was deleted");
	return 0;
}

/* It runs after an orderly end too, while the shim serves others. */
static int do_delete(const struct words *w, struct err *e)
{
	const char *dir = w->bundle ? w->bundle : ".";
	struct place p;
	char rootfs[4096];
	bool known = false;

	if (w->name_space && w->address && w->id)
		known = find_place(w, dir, &p, e) == 0;
	if (!known || !is_served(&p)) {
		(void)snprintf(rootfs, sizeof(rootfs), "%s/rootfs", dir);
		(void)umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW);
		/* What is left of the UVM goes with its folder. */
		(void)rundir_clean(rundir_base(), NULL, NULL, e);
		if (known)
			(void)unlink(p.path);
	}
	return say_deleted(e);
}

int shim_containerd(int argc, char **argv)
{
	struct words w = { 0 };
	struct err e;
	int r = parse(argc, argv, &w, &e);

	if (r == 0 && w.version) {
		(void)printf(CONTAINERD_SHIM " " TOOL_VERSION "\n");
		return TOOL_OK;
	}
	if (r == 0 && !w.action)
		r = err_set(&e, EINVAL, "start or delete is wanted");
	else if (r == 0 && strcmp(w.action, "start") == 0)
		r = do_start(&w, &e);
	else if (r == 0 && strcmp(w.action, "delete") == 0)
		r = do_delete(&w, &e);
	else if (r == 0)
		r = err_set(&e, EINVAL, "no action '%.40s'", w.action);
	if (r == 0)
		return TOOL_OK;
	(void)fprintf(stderr, CONTAINERD_SHIM ": %s\n", e.text);
	return TOOL_FAILURE;
}
