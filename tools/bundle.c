#include "tools/bundle.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bridge/json_check.h"
#include "config/util.h"
#include "tools/image_file.h"

#define ANNOTATION_TYPE "io.kubernetes.cri.container-type"
#define ANNOTATION_SANDBOX "io.kubernetes.cri.sandbox-id"
#define ANNOTATION_SKIP "io.microsoft.cri.skip-pod-networking"

struct bundle {
	struct json_object *root;
	char rootfs[PATH_MAX];
	bool terminal;
};

/* --- members ------------------------------------------------------------------ */

static struct json_object *get(struct json_object *o, const char *name,
			       enum json_type type)
{
	struct json_object *m = NULL;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &m) ||
	    !json_object_is_type(m, type))
		return NULL;
	return m;
}

static const char *get_text(struct json_object *o, const char *name)
{
	struct json_object *m = get(o, name, json_type_string);

	return m ? json_object_get_string(m) : NULL;
}

/* The member as an object, made if it is missing or something else. */
static struct json_object *need(struct json_object *o, const char *name)
{
	struct json_object *m = get(o, name, json_type_object);

	if (!m) {
		m = json_object_new_object();
		(void)json_object_object_add(o, name, m);
	}
	return m;
}

static void put_text(struct json_object *o, const char *name, const char *value)
{
	(void)json_object_object_add(o, name, json_object_new_string(value));
}

static void drop(struct json_object *o, const char *const *names, size_t n)
{
	for (size_t i = 0; o && i < n; i++)
		json_object_object_del(o, names[i]);
}

/* --- checks -------------------------------------------------------------------- */

static bool is_bind(struct json_object *mount)
{
	const char *type = get_text(mount, "type");
	struct json_object *options = get(mount, "options", json_type_array);
	const size_t n = options ? json_object_array_length(options) : 0;

	if (type && strcmp(type, "bind") == 0)
		return true;
	for (size_t i = 0; i < n; i++) {
		const char *o = json_object_get_string(
			json_object_array_get_idx(options, i));

		if (o && (strcmp(o, "bind") == 0 || strcmp(o, "rbind") == 0))
			return true;
	}
	return false;
}

static bool starts_with(const char *text, const char *begin)
{
	return strncmp(text, begin, strlen(begin)) == 0;
}

/* Sources that mean something inside the UVM, or nothing at all. */
static bool is_of_guest(const char *source)
{
	static const char *const schemes[] = { "sandbox://", "sandbox-tmp://",
					       "hugepages://", "uvm://" };

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (starts_with(source, schemes[i]))
			return true;
	return false;
}

static bool is_made_by_guest(const char *destination)
{
	return strcmp(destination, "/etc/hosts") == 0 ||
	       strcmp(destination, "/etc/hostname") == 0 ||
	       strcmp(destination, "/etc/resolv.conf") == 0;
}

/* Takes out the binds that the guest makes, refuses those that nobody can. */
static int check_mounts(struct json_object *root, struct err *e)
{
	struct json_object *mounts = get(root, "mounts", json_type_array);
	size_t n = mounts ? json_object_array_length(mounts) : 0;

	for (size_t i = n; i-- > 0;) {
		struct json_object *m = json_object_array_get_idx(mounts, i);
		const char *to = get_text(m, "destination");
		const char *source = get_text(m, "source");

		if (!to || to[0] != '/')
			return err_set(e, EINVAL,
				       "mounts[%zu]: no absolute destination",
				       i);
		if (!is_bind(m) || (source && is_of_guest(source)))
			continue;
		if (!is_made_by_guest(to))
			return err_set(
				e, EINVAL,
				"mounts[%zu]: %.120s is bound from the host, which a UVM cannot see",
				i, to);
		(void)json_object_array_del_idx(mounts, i, 1);
	}
	return 0;
}

static int check_process(struct bundle *b, struct err *e)
{
	struct json_object *process = get(b->root, "process", json_type_object);
	struct json_object *args = get(process, "args", json_type_array);
	struct json_object *terminal =
		get(process, "terminal", json_type_boolean);

	if (!process)
		return err_set(e, EINVAL, "no process");
	if (!args || json_object_array_length(args) == 0)
		return err_set(e, EINVAL, "process.args: nothing to run");
	b->terminal = terminal && json_object_get_boolean(terminal);
	return 0;
}

static int parse(struct bundle *b, const char *text, size_t len, struct err *e)
{
	struct json_tokener *t;
	int r = json_check(text, len, e);

	if (r < 0)
		return r;
	t = json_tokener_new_ex(BUNDLE_DEPTH_MAX);
	if (!t)
		return err_set(e, ENOMEM, "bundle");
	b->root = json_tokener_parse_ex(t, text, (int)len);
	json_tokener_free(t);
	if (!json_object_is_type(b->root, json_type_object))
		return err_set(e, EINVAL, "not a JSON object");
	r = check_process(b, e);
	return r < 0 ? r : check_mounts(b->root, e);
}

/* --- opening -------------------------------------------------------------------- */

static int find_rootfs(struct bundle *b, const char *dir, struct err *e)
{
	struct json_object *root = get(b->root, "root", json_type_object);
	const char *path = get_text(root, "path");
	char named[PATH_MAX];
	struct stat st;
	int n;

	if (!path || !*path)
		return err_set(e, EINVAL, "root.path: there is none");
	n = snprintf(named, sizeof(named), "%s%s%s", path[0] == '/' ? "" : dir,
		     path[0] == '/' ? "" : "/", path);
	if (n < 0 || (size_t)n >= sizeof(named))
		return err_set(e, ENAMETOOLONG, "root.path: too long");
	if (!realpath(named, b->rootfs) || stat(b->rootfs, &st) < 0)
		return err_sys(e, "root.path: %s", named);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "root.path: %s is not a folder",
			       named);
	return 0;
}

static int open_in(struct bundle *b, const char *dir, struct err *e)
{
	cleanup_free void *text = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/config.json", dir) >=
	    sizeof(path))
		return err_set(e, ENAMETOOLONG, "too long a path");
	r = image_file_read(path, BUNDLE_DOCUMENT_MAX, &text, &len, e);
	if (r < 0)
		return r;
	r = parse(b, text, len, e);
	if (r == 0)
		r = find_rootfs(b, dir, e);
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}

int bundle_open(const char *dir, struct bundle **ret, struct err *e)
{
	struct bundle *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(e, ENOMEM, "bundle");
	r = open_in(b, dir, e);
	if (r < 0) {
		bundle_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

int bundle_new(const char *rootfs, const char *document, struct bundle **ret,
	       struct err *e)
{
	struct bundle *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(e, ENOMEM, "bundle");
	(void)snprintf(b->rootfs, sizeof(b->rootfs), "%s", rootfs);
	r = parse(b, document, strlen(document), e);
	if (r < 0) {
		bundle_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void bundle_free(struct bundle *b)
{
	if (!b)
		return;
	json_object_put(b->root);
	free(b);
}

const char *bundle_rootfs(const struct bundle *b)
{
	return b->rootfs;
}

bool bundle_terminal(const struct bundle *b)
{
	return b->terminal;
}

/* --- the guest's document -------------------------------------------------------- */

static void clean_cpu(struct json_object *resources)
{
	struct json_object *cpu = get(resources, "cpu", json_type_object);
	struct json_object *period = get(cpu, "period", json_type_int);
	struct json_object *quota = get(cpu, "quota", json_type_int);

	if (period && json_object_get_int64(period) == 0)
		(void)json_object_object_add(cpu, "period",
					     json_object_new_int64(100000));
	if (quota && json_object_get_int64(quota) == 0)
		(void)json_object_object_add(cpu, "quota",
					     json_object_new_int64(-1));
}

static void clean(struct json_object *root)
{
	static const char *const of_root[] = { "hooks", "windows", "solaris",
					       "vm" };
	static const char *const of_linux[] = { "cgroupsPath" };
	static const char *const of_resources[] = { "devices", "pids",
						    "blockIO", "hugepageLimits",
						    "network" };
	struct json_object *linux_part = get(root, "linux", json_type_object);
	struct json_object *resources =
		get(linux_part, "resources", json_type_object);

	drop(root, of_root, ARRAY_LEN(of_root));
	drop(linux_part, of_linux, ARRAY_LEN(of_linux));
	drop(resources, of_resources, ARRAY_LEN(of_resources));
	if (resources)
		clean_cpu(resources);
}

static void put_args(struct json_object *process,
		     const struct msg_strings *args)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < args->n; i++)
		(void)json_object_array_add(
			list, json_object_new_string(args->item[i]));
	(void)json_object_object_add(process, "args", list);
}

static bool names_variable(struct json_object *variable, const char *name)
{
	const char *text = json_object_get_string(variable);
	const size_t n = strlen(name);

	return text && strncmp(text, name, n) == 0 && text[n] == '=';
}

static void put_variable(struct json_object *env, const struct msg_pair *p)
{
	cleanup_free char *text = NULL;

	for (size_t i = json_object_array_length(env); i-- > 0;)
		if (names_variable(json_object_array_get_idx(env, i), p->name))
			(void)json_object_array_del_idx(env, i, 1);
	if (asprintf(&text, "%s=%s", p->name, p->value) < 0) {
		text = NULL;
		return; /* the whole is too large then, which is told */
	}
	(void)json_object_array_add(env, json_object_new_string(text));
}

static void put_env(struct json_object *process, const struct msg_pairs *env)
{
	struct json_object *list = get(process, "env", json_type_array);

	if (!list) {
		list = json_object_new_array();
		(void)json_object_object_add(process, "env", list);
	}
	for (size_t i = 0; i < env->n; i++)
		put_variable(list, &env->item[i]);
}

static void edit_process(struct json_object *root, const struct bundle_edit *x)
{
	struct json_object *process = need(root, "process");

	(void)json_object_object_add(process, "terminal",
				     json_object_new_boolean(x->terminal));
	json_object_object_del(process, "consoleSize");
	if (x->terminal && x->height && x->width) {
		struct json_object *size = need(process, "consoleSize");

		(void)json_object_object_add(size, "height",
					     json_object_new_int64(x->height));
		(void)json_object_object_add(size, "width",
					     json_object_new_int64(x->width));
	}
	if (x->args && x->args->n)
		put_args(process, x->args);
	if (x->env && x->env->n)
		put_env(process, x->env);
	if (x->cwd && *x->cwd)
		put_text(process, "cwd", x->cwd);
}

static void edit_annotations(struct json_object *root,
			     const struct bundle_edit *x)
{
	struct json_object *a = need(root, "annotations");

	json_object_object_del(a, ANNOTATION_TYPE);
	json_object_object_del(a, ANNOTATION_SANDBOX);
	if (x->container_type)
		put_text(a, ANNOTATION_TYPE, x->container_type);
	if (x->sandbox_id)
		put_text(a, ANNOTATION_SANDBOX, x->sandbox_id);
	if (x->skip_network)
		put_text(a, ANNOTATION_SKIP, "true");
}

/* Joins one namespace of @pid, whatever the document says of its kind. */
static void join_one(struct json_object *list, const char *type,
		     const char *name, unsigned int pid)
{
	struct json_object *mine = json_object_new_object();
	char path[64];

	for (size_t i = json_object_array_length(list); i-- > 0;) {
		const char *its =
			get_text(json_object_array_get_idx(list, i), "type");

		if (its && strcmp(its, type) == 0)
			(void)json_object_array_del_idx(list, i, 1);
	}
	(void)snprintf(path, sizeof(path), "/proc/%u/ns/%s", pid, name);
	put_text(mine, "type", type);
	put_text(mine, "path", path);
	(void)json_object_array_add(list, mine);
}

static void join(struct json_object *root, unsigned int pid)
{
	struct json_object *linux_part = need(root, "linux");
	struct json_object *list =
		get(linux_part, "namespaces", json_type_array);

	if (!list) {
		list = json_object_new_array();
		(void)json_object_object_add(linux_part, "namespaces", list);
	}
	join_one(list, "network", "net", pid);
	join_one(list, "ipc", "ipc", pid);
	join_one(list, "uts", "uts", pid);
}

/* Namespaces by path are the host's; the guest has none of them. */
static void clean_namespaces(struct json_object *root)
{
	struct json_object *list = get(get(root, "linux", json_type_object),
				       "namespaces", json_type_array);
	const size_t n = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++)
		json_object_object_del(json_object_array_get_idx(list, i),
				       "path");
}

int bundle_document(struct bundle *b, const struct bundle_edit *edit,
		    struct text *out, struct err *e)
{
	struct json_object *root = b->root;
	struct json_object *windows;

	clean(root);
	clean_namespaces(root);
	put_text(need(root, "root"), "path", edit->rootfs);
	edit_process(root, edit);
	edit_annotations(root, edit);
	if (edit->join_pid)
		join(root, edit->join_pid);
	if (edit->hostname)
		json_object_object_del(root, "hostname");
	if (edit->hostname && *edit->hostname)
		put_text(root, "hostname", edit->hostname);
	if (edit->network_id) {
		windows = need(root, "windows");
		put_text(need(windows, "network"), "networkNamespace",
			 edit->network_id);
	}
	text_add(out, json_object_to_json_string_ext(
			      root, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	return out->full ? err_set(e, E2BIG, "config.json: too large") : 0;
}
