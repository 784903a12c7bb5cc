/*
 * Theory of operation: oci_prepare() runs in a child of the agent. It parses
 * the document anew, opens the folders that it works in, and goes through a
 * table of steps, each of which edits the tree or makes files and mounts, for
 * the kinds of containers that have it. The last one writes config.json.
 */
#include "bridge/guest/oci.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/oci_doc.h"
#include "bridge/guest/user.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define BUNDLE_MODE 0700
#define ROOT_MODE 0755
#define FILE_MODE 0644
#define CONFIG_MODE 0600
#define HOSTS_MAX 2048

int oci_open(int root, const char *path, mode_t mode, struct err *e)
{
	struct guestpath g;
	int r = guestpath_check(path, GUESTPATH_BUNDLE, "path", &g, e);
	cleanup_fd base = r < 0 ? r : guestpath_base(root, &g, e);

	return base < 0 ? base
			: beneath_mkdirs(base, g.rest, BENEATH_STRICT, mode, e);
}

/* --- 2, 3: files and folders of a sandbox ----------------------------------- */

/* What the kernel says while nobody has named the machine. */
#define NO_NAME "(none)"

static int step_names(struct oci_prep *p)
{
	char buf[HOSTS_MAX];
	struct utsname uts;
	const char *name = "";
	struct text t;
	int r = doc_string(p->doc, "$", "hostname", &name, p->e);

	if (r < 0)
		return r;
	if (*name == '\0') {
		if (uname(&uts) < 0)
			return err_sys(p->e, "uname");
		name = uts.nodename;
		if (strcmp(name, NO_NAME) == 0)
			name = "localhost";
	}
	if (!oci_hostname_ok(name))
		return err_set(p->e, EINVAL, "the UVM's name '%.64s' is none",
			       name);
	text_fixed(&t, buf, sizeof(buf));
	text_addf(&t, "%s\n", name);
	r = beneath_write(p->sandbox, "hostname", BENEATH_STRICT, buf, t.len,
			  FILE_MODE, p->e);
	text_reset(&t);
	oci_hosts(name, &t);
	if (r == 0)
		r = beneath_write(p->sandbox, "hosts", BENEATH_STRICT, buf,
				  t.len, FILE_MODE, p->e);
	name = p->w->resolv_conf ? p->w->resolv_conf : "";
	if (r == 0)
		r = beneath_write(p->sandbox, "resolv.conf", BENEATH_STRICT,
				  name, strlen(name), FILE_MODE, p->e);
	return r;
}

/* Mounts on @name of the sandbox root, by its parent: it may be a mount now. */
static int mount_here(struct oci_prep *p, const char *name, const char *type,
		      unsigned long flags)
{
	char at[BENEATH_PROC_MAX + 32];

	(void)snprintf(at, sizeof(at), "/proc/self/fd/%d/%s", p->sandbox, name);
	if (mount(type ? type : at, at, type, flags, NULL) < 0)
		return err_sys(p->e, "mount of the pod's %s", name);
	return 0;
}

/* A folder that is a mount of its own, so that mounts in it are shared. */
static int make_shared(struct oci_prep *p, const char *name, bool tmpfs)
{
	int r;
	cleanup_fd fd = beneath_mkdirs(p->sandbox, name, BENEATH_STRICT,
				       ROOT_MODE, p->e);

	if (fd < 0)
		return fd;
	r = tmpfs ? mount_here(p, name, "tmpfs", 0) : 0;
	if (r == 0)
		r = mount_here(p, name, NULL, MS_BIND);
	if (r == 0)
		r = mount_here(p, name, NULL, MS_SHARED | MS_REC);
	return r;
}

static int step_shared(struct oci_prep *p)
{
	cleanup_fd logs = -1;
	int r = make_shared(p, OCI_SHARED, false);

	if (r == 0)
		r = make_shared(p, OCI_SHARED_TMPFS, true);
	if (r == 0)
		r = make_shared(p, OCI_HUGEPAGES, false);
	if (r < 0)
		return r;
	logs = beneath_mkdirs(p->sandbox, OCI_LOGS, BENEATH_STRICT, 0777, p->e);
	return logs < 0 ? logs : 0;
}

/* --- 5, 6, 8: the process, the cgroup, the network --------------------------- */

static int step_core(struct oci_prep *p)
{
	return doc_core_limit(p->doc, p->e);
}

static int step_user(struct oci_prep *p)
{
	struct user_ids ids;
	json_object *user = NULL;
	const char *name = "";
	int r = doc_member(p->process, "$.process", "user", json_type_object,
			   &user, p->e);

	if (r == 0 && user)
		r = doc_string(user, "$.process.user", "username", &name, p->e);
	if (r < 0 || *name == '\0')
		return r;
	r = user_resolve(p->rootfs, name, &ids, p->e);
	if (r < 0)
		return r;
	p->result = (struct oci_prepared){ .has_user = true,
					   .uid = ids.uid,
					   .gid = ids.gid };
	json_object_object_del(user, "username");
	r = doc_set(user, "uid", json_object_new_int64(ids.uid), p->e);
	if (r == 0)
		r = doc_set(user, "gid", json_object_new_int64(ids.gid), p->e);
	return r;
}

/*
 * Hosts name the newest version; crun takes 1.0 alone, though it knows what the
 * later ones added, and a runtime ignores members that it does not know.
 */
static int step_version(struct oci_prep *p)
{
	return doc_set(p->doc, "ociVersion", json_object_new_string("1.0.2"),
		       p->e);
}

static int step_cgroup(struct oci_prep *p)
{
	json_object_object_del(p->doc, "windows");
	return doc_set(p->linux_, "cgroupsPath",
		       json_object_new_string(p->w->facts->cgroup), p->e);
}

static int step_network(struct oci_prep *p)
{
	json_object *all = NULL;
	const char *type = "";
	int r = doc_member(p->linux_, "$.linux", "namespaces", json_type_array,
			   &all, p->e);

	if (r < 0 || !all || !p->w->host_network)
		return r;
	for (size_t i = json_object_array_length(all); i-- > 0;) {
		r = doc_string(json_object_array_get_idx(all, i),
			       "$.linux.namespaces[]", "type", &type, p->e);
		if (r < 0)
			return r;
		if (strcmp(type, "network") == 0)
			(void)json_object_array_del_idx(all, i, 1);
	}
	return 0;
}

/* --- the security context ----------------------------------------------------- */

static int add_environment(struct oci_prep *p, const char *entry)
{
	json_object *env = NULL;
	const int r = doc_make(p->process, "$.process", "env", json_type_array,
			       &env, p->e);

	return r < 0 ? r : doc_append(env, json_object_new_string(entry), p->e);
}

static int step_security(struct oci_prep *p)
{
	const struct {
		const char *name, *text;
	} files[] = {
		{ "reference-info-base64", p->w->reference },
		{ "transparent-reference-info-base64", p->w->hash_envelope },
	};
	char name[40], entry[80];
	unsigned long long random;
	bool wanted = false, any = false;
	int r = doc_flag(p->doc, ANN_POLICY_ENV, true, &wanted, p->e);
	cleanup_fd dir = -1;

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		any |= files[i].text && *files[i].text;
	if (r < 0 || !wanted || !any)
		return r;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(p->e, "security context");
	(void)snprintf(name, sizeof(name), "security-context-%016llx", random);
	dir = beneath_mkdirs(p->rootfs, name, BENEATH_STRICT, ROOT_MODE, p->e);
	if (dir < 0)
		return dir;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++)
		if (files[i].text && *files[i].text)
			r = beneath_write(dir, files[i].name, BENEATH_STRICT,
					  files[i].text, strlen(files[i].text),
					  FILE_MODE, p->e);
	(void)snprintf(entry, sizeof(entry), "UVM_SECURITY_CONTEXT_DIR=/%s",
		       name);
	return r < 0 ? r : add_environment(p, entry);
}

/* --- the rootfs ---------------------------------------------------------------- */

/*
 * A link in the place of a folder that the runtime fills (CVE-2026-47766): no
 * image has one, so there is no need to find out what the runtime would do.
 */
static int step_rootfs(struct oci_prep *p)
{
	static const char *const names[] = { "dev", "proc", "sys" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (fstatat(p->rootfs, names[i], &st, AT_SYMLINK_NOFOLLOW) ==
			    0 &&
		    S_ISLNK(st.st_mode))
			return err_set(p->e, ELOOP, "rootfs: /%s is a link",
				       names[i]);
	return 0;
}

/* A read-only rootfs may get the folder by a mount; the runtime will see. */
static int step_cwd(struct oci_prep *p)
{
	const char *cwd = "";
	struct err why = { 0 };
	int r = doc_string(p->process, "$.process", "cwd", &cwd, p->e);
	cleanup_fd fd = r < 0 ? r
			      : beneath_open(p->rootfs, cwd, BENEATH_ROOTFS,
					     O_PATH | O_DIRECTORY, 0, &why);

	if (fd >= 0 || r < 0)
		return r;
	if (fd == -ENOENT)
		fd = beneath_mkdirs(p->rootfs, cwd, BENEATH_ROOTFS, ROOT_MODE,
				    &why);
	if (fd >= 0 || fd == -EROFS)
		return 0;
	return err_set(p->e, -fd, "$.process.cwd: %s", why.text);
}

static int step_config(struct oci_prep *p)
{
	struct text t;
	json_object *root = NULL;
	int r = doc_need(p->doc, "$", "root", json_type_object, &root, p->e);

	if (r == 0)
		r = doc_set(root, "path",
			    json_object_new_string(p->w->facts->rootfs), p->e);
	text_heap(&t, OCI_TEXT_MAX + 1);
	if (r == 0)
		r = doc_text(p->doc, &t, p->e);
	if (r == 0)
		r = beneath_write(p->bundle, OCI_CONFIG, BENEATH_STRICT,
				  text_str(&t), t.len, CONFIG_MODE, p->e);
	text_done(&t);
	return r;
}

/* --- all of it ------------------------------------------------------------------ */

#define ALONE (1u << OCI_STANDALONE)
#define SANDBOX (1u << OCI_SANDBOX)
#define WORKLOAD (1u << OCI_WORKLOAD)
#define ALL (ALONE | SANDBOX | WORKLOAD)

static const struct {
	unsigned int kinds;
	int (*fn)(struct oci_prep *p);
} steps[] = {
	{ ALL, step_rootfs },
	{ ALONE | SANDBOX, step_names },
	{ SANDBOX, step_shared },
	{ WORKLOAD, oci_step_mounts },
	{ ALONE | WORKLOAD, oci_step_etc },
	{ WORKLOAD, oci_step_shm },
	{ WORKLOAD, oci_step_devices },
	{ WORKLOAD, oci_step_assigned },
	{ ALL, oci_step_device_rules },
	{ SANDBOX | WORKLOAD, step_core },
	{ SANDBOX | WORKLOAD, step_user },
	{ ALL, step_version },
	{ ALL, step_cgroup },
	{ ALL, oci_step_tee },
	{ ALL, step_network },
	{ ALL, step_security },
	{ ALL, step_cwd },
	{ ALL, step_config },
};

static int open_folders(struct oci_prep *p)
{
	const struct oci_work *w = p->w;
	struct guestpath g;
	cleanup_fd base = -1;
	int r;

	p->sandbox = oci_open(w->root, w->sandbox_root, ROOT_MODE, p->e);
	if (p->sandbox < 0)
		return err_wrap(p->e, "sandbox root");
	p->bundle = oci_open(w->root, w->bundle, BUNDLE_MODE, p->e);
	if (p->bundle < 0)
		return err_wrap(p->e, "OciBundlePath");
	r = guestpath_check(w->facts->rootfs, GUESTPATH_BUNDLE, "$.root.path",
			    &g, p->e);
	if (r < 0)
		return r;
	base = guestpath_base(w->root, &g, p->e);
	p->rootfs = base < 0 ? base
			     : beneath_open(base, g.rest, BENEATH_STRICT,
					    O_PATH | O_DIRECTORY, 0, p->e);
	return p->rootfs < 0 ? err_wrap(p->e, "$.root.path") : 0;
}

static int run(struct oci_prep *p)
{
	int r = doc_need(p->doc, "$", "process", json_type_object, &p->process,
			 p->e);

	if (r == 0)
		r = doc_need(p->doc, "$", "linux", json_type_object, &p->linux_,
			     p->e);
	if (r == 0)
		r = doc_make(p->doc, "$", "mounts", json_type_array, &p->mounts,
			     p->e);
	if (r == 0)
		r = open_folders(p);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++)
		if (steps[i].kinds & 1u << p->w->facts->kind)
			r = steps[i].fn(p);
	return r;
}

int oci_prepare(void *arg, struct text *out, struct err *e)
{
	struct oci_prep p = {
		.w = arg, .bundle = -1, .sandbox = -1, .rootfs = -1, .e = e
	};
	cleanup_doc *doc = NULL;
	int r;

	(void)umask(022); /* modes are set one by one */
	r = doc_parse(p.w->document, "OciSpecification", &doc, e);
	p.doc = doc;
	if (r == 0)
		r = run(&p);
	fd_close(&p.bundle);
	fd_close(&p.sandbox);
	fd_close(&p.rootfs);
	if (r == 0)
		text_addn(out, &p.result, sizeof(p.result));
	return r;
}

int oci_prepared_get(const char *out, size_t len, struct oci_prepared *ret)
{
	if (len != sizeof(*ret))
		return -EPROTO;
	memcpy(ret, out, len);
	return 0;
}
