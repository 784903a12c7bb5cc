#include "bridge/guest/oci.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bridge/guest/guestpath.h"
#include "bridge/guest/oci_doc.h"
#include "config/num.h"
#include "config/util.h"

#define CORE_TYPE "RLIMIT_CORE"
/* Longest path that is put together here, with its NUL. */
#define PATH_SIZE (GUESTPATH_MAX + 512)

static int keep(struct arena *a, const char *s, const char **ret, struct err *e)
{
	*ret = *s == '\0' ? "" : arena_strn(a, s, strlen(s));
	return *ret ? 0 : err_set(e, ENOMEM, "no memory for a document");
}

/* A member as JSON text. */
static int keep_text(struct arena *a, json_object *v, const char **ret,
		     struct err *e)
{
	struct text t;
	int r;

	text_heap(&t, OCI_TEXT_MAX);
	r = doc_text(v, &t, e);
	if (r == 0)
		r = keep(a, text_str(&t), ret, e);
	text_done(&t);
	return r;
}

/* --- shape ------------------------------------------------------------------ */

/* Each element of an array that may be absent is an object with @strings. */
static int check_list(json_object *in, const char *at, const char *name,
		      const char *const *strings, struct err *e)
{
	char all[DOC_PLACE_MAX], place[DOC_PLACE_MAX];
	json_object *list = NULL, *v = NULL, *ignored = NULL;
	const char *s = "";
	int r = doc_member(in, at, name, json_type_array, &list, e);

	(void)snprintf(all, sizeof(all), "%s.%s", at, name);
	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list);
	     i++) {
		r = doc_element(list, all, i, json_type_object, place, &v, e);
		for (size_t k = 0; r == 0 && strings[k]; k++)
			r = doc_string(v, place, strings[k], &s, e);
		if (r == 0)
			r = doc_member(v, place, "options", json_type_array,
				       &ignored, e);
	}
	return r;
}

static int check_mounts(json_object *doc, struct err *e)
{
	static const char *const strings[] = { "destination", "type", "source",
					       NULL };
	char place[DOC_PLACE_MAX];
	json_object *list = NULL, *v = NULL, *options = NULL, *s = NULL;
	int r = check_list(doc, "$", "mounts", strings, e);

	if (r < 0)
		return r;
	r = doc_member(doc, "$", "mounts", json_type_array, &list, e);
	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list);
	     i++) {
		r = doc_element(list, "$.mounts", i, json_type_object, place,
				&v, e);
		if (r == 0)
			r = doc_need(v, place, "destination", json_type_string,
				     &s, e);
		if (r == 0)
			r = doc_member(v, place, "options", json_type_array,
				       &options, e);
		for (size_t k = 0;
		     r == 0 && options && k < json_object_array_length(options);
		     k++)
			r = doc_element(options, "$.mounts[].options", k,
					json_type_string, place, &s, e);
	}
	return r;
}

/*
 * A folder that the runtime would enter through descriptors of its own
 * (CVE-2024-21626) is no working directory.
 */
int doc_cwd(const char *at, const char *cwd, struct err *e)
{
	const char *p = cwd + strspn(cwd, "/");

	if (cwd[0] != '/')
		return err_set(e, EINVAL, "%s.cwd: '%.128s' is not absolute",
			       at, cwd);
	if (strncmp(p, "proc/", 5) == 0 && strstr(p, "/fd"))
		return err_set(e, EINVAL,
			       "%s.cwd: '%.128s' is a descriptor's folder", at,
			       cwd);
	return 0;
}

static int check_process(json_object *process, struct err *e)
{
	static const char *const limits[] = { "type", NULL };
	json_object *v = NULL;
	const char *s = "";
	int r = doc_member(process, "$.process", "user", json_type_object, &v,
			   e);

	if (r == 0 && v)
		r = doc_string(v, "$.process.user", "username", &s, e);
	if (r == 0)
		r = doc_need(process, "$.process", "args", json_type_array, &v,
			     e);
	if (r == 0 && json_object_array_length(v) == 0)
		r = err_set(e, EINVAL, "$.process.args: empty");
	if (r == 0)
		r = doc_member(process, "$.process", "env", json_type_array, &v,
			       e);
	if (r == 0)
		r = doc_need(process, "$.process", "cwd", json_type_string, &v,
			     e);
	if (r == 0)
		r = doc_string(process, "$.process", "cwd", &s, e);
	if (r == 0)
		r = doc_cwd("$.process", s, e);
	if (r == 0)
		r = check_list(process, "$.process", "rlimits", limits, e);
	return r;
}

static int check_linux(json_object *linux_, struct err *e)
{
	static const char *const spaces[] = { "type", "path", NULL };
	static const char *const devices[] = { "path", "type", NULL };
	static const char *const rules[] = { "type", "access", NULL };
	json_object *v = NULL;
	int r = check_list(linux_, "$.linux", "namespaces", spaces, e);

	if (r == 0)
		r = check_list(linux_, "$.linux", "devices", devices, e);
	if (r == 0)
		r = doc_member(linux_, "$.linux", "resources", json_type_object,
			       &v, e);
	if (r == 0 && v)
		r = check_list(v, "$.linux.resources", "devices", rules, e);
	return r;
}

static int check_windows(json_object *doc, struct err *e)
{
	static const char *const devices[] = { "id", "idType", NULL };
	json_object *v = NULL;
	int r = doc_member(doc, "$", "windows", json_type_object, &v, e);

	return r < 0 || !v ? r
			   : check_list(v, "$.windows", "devices", devices, e);
}

/* --- pieces ------------------------------------------------------------------ */

int doc_rootfs(json_object *doc, const char *bundle, struct text *out,
	       struct err *e)
{
	struct guestpath ignored;
	json_object *root = NULL;
	const char *path = "";
	int r = doc_need(doc, "$", "root", json_type_object, &root, e);

	if (r == 0)
		r = doc_string(root, "$.root", "path", &path, e);
	if (r < 0)
		return r;
	if (*path == '\0')
		return err_set(e, EINVAL, "$.root.path: missing");
	if (path[0] != '/')
		text_addf(out, "%s/", bundle);
	text_add(out, path);
	if (out->full)
		return err_set(e, EINVAL, "$.root.path: too long");
	return guestpath_check(text_str(out), GUESTPATH_BUNDLE, "$.root.path",
			       &ignored, e);
}

/* Names and slashes, no name of which is empty, "." or "..". */
static bool stays_below(const char *path)
{
	for (;;) {
		const size_t len = strcspn(path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

int doc_tee(json_object *doc, struct text *out, struct err *e)
{
	const char *path = "";
	const int r = doc_annotation(doc, ANN_TEE_PATH, &path, e);

	if (r < 0 || *path == '\0')
		return r;
	path += strspn(path, "/");
	if (!stays_below(path))
		return err_set(e, EINVAL,
			       "$.annotations." ANN_TEE_PATH
			       ": leads out of the log folder");
	text_addf(out, OCI_LOGS "/%s", path);
	return out->full ? err_set(e, EINVAL,
				   "$.annotations." ANN_TEE_PATH ": too long")
			 : 0;
}

static json_object *core_limit(uint64_t soft, uint64_t hard)
{
	json_object *v = json_object_new_object();

	if (v &&
	    (doc_set(v, "type", json_object_new_string(CORE_TYPE), NULL) < 0 ||
	     doc_set(v, "soft", json_object_new_uint64(soft), NULL) < 0 ||
	     doc_set(v, "hard", json_object_new_uint64(hard), NULL) < 0)) {
		json_object_put(v);
		return NULL;
	}
	return v;
}

static int core_numbers(const char *text, uint64_t *soft, uint64_t *hard)
{
	char first[24];
	const size_t len = strcspn(text, ";");

	if (text[len] != ';' || len >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, len);
	first[len] = '\0';
	if (num_u64(first, 0, UINT64_MAX, soft, NULL) < 0 ||
	    num_u64(text + len + 1, 0, UINT64_MAX, hard, NULL) < 0)
		return -EINVAL;
	return 0;
}

int doc_core_limit(json_object *doc, struct err *e)
{
	json_object *process = NULL, *limits = NULL, *v = NULL;
	const char *text = "", *type = "";
	uint64_t soft, hard;
	int r = doc_annotation(doc, ANN_CORE, &text, e);

	if (r < 0 || *text == '\0')
		return r;
	if (core_numbers(text, &soft, &hard) < 0)
		return err_set(e, EINVAL,
			       "$.annotations." ANN_CORE
			       ": want two numbers, soft;hard");
	r = doc_need(doc, "$", "process", json_type_object, &process, e);
	if (r == 0)
		r = doc_make(process, "$.process", "rlimits", json_type_array,
			     &limits, e);
	if (r < 0)
		return r;
	for (size_t i = json_object_array_length(limits); i-- > 0;) {
		v = json_object_array_get_idx(limits, i);
		if (doc_string(v, "", "type", &type, NULL) == 0 &&
		    strcmp(type, CORE_TYPE) == 0)
			(void)json_object_array_del_idx(limits, i, 1);
	}
	return doc_append(limits, core_limit(soft, hard), e);
}

/* --- facts ------------------------------------------------------------------- */

struct reading {
	const char *id;
	const char *bundle;
	json_object *doc;
	struct arena *a;
	struct oci_facts *f;
	struct err *e;
};

/* bridge.md 4.1 */
static int read_kind(struct reading *r)
{
	const char *type = "", *sandbox = "", *pod = "";
	struct oci_facts *f = r->f;
	int ret = doc_annotation(r->doc, ANN_TYPE, &type, r->e);

	if (ret == 0)
		ret = doc_annotation(r->doc, ANN_SANDBOX, &sandbox, r->e);
	if (ret == 0)
		ret = doc_annotation(r->doc, ANN_VIRTUAL_POD, &pod, r->e);
	if (ret < 0)
		return ret;
	f->virtual_pod = *pod != '\0';
	if (f->virtual_pod && !guestpath_id_ok(pod))
		return err_set(r->e, EINVAL,
			       "$.annotations." ANN_VIRTUAL_POD
			       ": '%.64s' is no id",
			       pod);
	if (strcmp(type, "sandbox") == 0 ||
	    (f->virtual_pod && strcmp(pod, r->id) == 0))
		f->kind = OCI_SANDBOX;
	else if (strcmp(type, "container") == 0)
		f->kind = OCI_WORKLOAD;
	else if (*type == '\0')
		f->kind = OCI_STANDALONE;
	else
		return err_set(r->e, EINVAL,
			       "$.annotations." ANN_TYPE
			       ": '%.64s' is no kind of container",
			       type);
	if (f->virtual_pod)
		sandbox = pod;
	else if (f->kind != OCI_WORKLOAD)
		sandbox = r->id;
	if (!guestpath_id_ok(sandbox))
		return err_set(r->e, EINVAL,
			       "$.annotations." ANN_SANDBOX
			       ": '%.64s' is no id",
			       sandbox);
	return keep(r->a, sandbox, &f->sandbox_id, r->e);
}

static int read_places(struct reading *r)
{
	struct oci_facts *f = r->f;
	char buf[PATH_SIZE];
	struct text t;
	int ret;

	text_fixed(&t, buf, sizeof(buf));
	if (f->kind == OCI_STANDALONE)
		text_addf(&t, "/pods/%s", r->id);
	else
		text_addf(&t, "/pods/%s/%s", f->sandbox_id, r->id);
	ret = keep(r->a, buf, &f->cgroup, r->e);
	text_reset(&t);
	if (f->kind == OCI_SANDBOX)
		text_addf(&t, "/pods/%s", f->sandbox_id);
	if (ret == 0)
		ret = keep(r->a, buf, &f->pod_cgroup, r->e);
	text_reset(&t);
	if (f->kind == OCI_SANDBOX && f->virtual_pod)
		text_addf(&t, "%.*s/virtual-pods/%s",
			  (int)(strrchr(r->bundle, '/') - r->bundle), r->bundle,
			  f->sandbox_id);
	else if (f->kind != OCI_WORKLOAD)
		text_add(&t, r->bundle);
	if (ret == 0)
		ret = keep(r->a, buf, &f->sandbox_root, r->e);
	text_reset(&t);
	if (ret == 0)
		ret = doc_rootfs(r->doc, r->bundle, &t, r->e);
	if (ret == 0)
		ret = keep(r->a, buf, &f->rootfs, r->e);
	text_reset(&t);
	if (ret == 0)
		ret = doc_tee(r->doc, &t, r->e);
	if (ret == 0)
		ret = keep(r->a, buf, &f->tee_log, r->e);
	return ret;
}

static int read_flags(struct reading *r)
{
	struct oci_facts *f = r->f;
	const char *skip = "";
	bool vsock = false;
	int ret = doc_flag(r->doc, ANN_PRIVILEGED, false, &f->privileged, r->e);

	if (ret == 0)
		ret = doc_flag(r->doc, ANN_VSOCK, false, &vsock, r->e);
	if (ret == 0)
		ret = doc_flag(r->doc, ANN_HOST_NETWORK, false,
			       &f->host_network, r->e);
	if (ret == 0)
		ret = doc_annotation(r->doc, ANN_SKIP_NETWORK, &skip, r->e);
	if (ret < 0)
		return ret;
	f->vsock = f->privileged || vsock;
	f->skip_networking = strcasecmp(skip, "true") == 0;
	return 0;
}

static int read_process(struct reading *r)
{
	struct oci_facts *f = r->f;
	json_object *process = NULL, *user = NULL, *limits = NULL;
	const char *name = "";
	int ret = doc_need(r->doc, "$", "process", json_type_object, &process,
			   r->e);

	if (ret == 0)
		ret = check_process(process, r->e);
	if (ret == 0)
		ret = doc_bool(process, "$.process", "terminal", &f->terminal,
			       r->e);
	if (ret == 0)
		ret = doc_member(process, "$.process", "user", json_type_object,
				 &user, r->e);
	if (ret == 0 && user)
		ret = doc_string(user, "$.process.user", "username", &name,
				 r->e);
	if (ret < 0)
		return ret;
	f->by_name = *name != '\0' && f->kind != OCI_STANDALONE;
	if (f->kind != OCI_STANDALONE)
		ret = doc_core_limit(r->doc, r->e);
	if (ret == 0)
		ret = doc_member(process, "$.process", "rlimits",
				 json_type_array, &limits, r->e);
	f->rlimits = "";
	if (ret == 0 && limits)
		ret = keep_text(r->a, limits, &f->rlimits, r->e);
	return ret;
}

static int read_linux(struct reading *r)
{
	struct oci_facts *f = r->f;
	json_object *linux_ = NULL, *v = NULL, *resources = NULL;
	const char *type = "", *path = "";
	int ret =
		doc_need(r->doc, "$", "linux", json_type_object, &linux_, r->e);

	if (ret == 0)
		ret = check_linux(linux_, r->e);
	if (ret == 0)
		ret = doc_member(linux_, "$.linux", "resources",
				 json_type_object, &resources, r->e);
	if (ret == 0 && resources)
		ret = keep_text(r->a, resources, &f->resources, r->e);
	if (ret == 0)
		ret = doc_member(linux_, "$.linux", "namespaces",
				 json_type_array, &v, r->e);
	for (size_t i = 0; ret == 0 && v && i < json_object_array_length(v);
	     i++) {
		json_object *space = json_object_array_get_idx(v, i);

		ret = doc_string(space, "", "type", &type, r->e);
		if (ret == 0)
			ret = doc_string(space, "", "path", &path, r->e);
		if (strcmp(type, "pid") == 0 && *path == '\0')
			f->owns_pid_namespace = true;
	}
	return ret;
}

/* The namespace's GUID, in lower case, as its record is named. */
static int read_network(struct reading *r)
{
	json_object *windows = NULL, *network = NULL;
	const char *name = "";
	char *copy;
	int ret = doc_member(r->doc, "$", "windows", json_type_object, &windows,
			     r->e);

	r->f->namespace = "";
	if (ret == 0 && windows)
		ret = doc_member(windows, "$.windows", "network",
				 json_type_object, &network, r->e);
	if (ret == 0 && network)
		ret = doc_string(network, "$.windows.network",
				 "networkNamespace", &name, r->e);
	if (ret < 0 || *name == '\0' || r->f->kind == OCI_WORKLOAD)
		return ret;
	copy = arena_strn(r->a, name, strlen(name));
	if (!copy)
		return err_set(r->e, ENOMEM, "no memory for a document");
	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	r->f->namespace = copy;
	return 0;
}

static int read_hostname(struct reading *r)
{
	const char *name = "";
	const int ret = doc_string(r->doc, "$", "hostname", &name, r->e);

	if (ret < 0)
		return ret;
	if (!oci_hostname_ok(name))
		return err_set(r->e, EINVAL, "$.hostname: '%.64s' is none",
			       name);
	if (r->f->kind == OCI_WORKLOAD && *name != '\0')
		return err_set(r->e, EINVAL,
			       "$.hostname: a workload has its sandbox's");
	return 0;
}

int oci_read(const char *id, const char *bundle, const char *document,
	     struct arena *a, struct oci_facts *ret, struct err *e)
{
	static int (*const parts[])(struct reading *) = {
		read_kind,  read_places,  read_flags,	 read_process,
		read_linux, read_network, read_hostname,
	};
	struct oci_facts facts = { 0 };
	struct guestpath ignored;
	cleanup_doc *doc = NULL;
	struct reading reading = { id, bundle, NULL, a, &facts, e };
	int r;

	if (!guestpath_id_ok(id))
		return err_set(e, EINVAL,
			       "ContainerId: '%.64s' is no name of a folder",
			       id);
	r = guestpath_check(bundle, GUESTPATH_BUNDLE, "OciBundlePath", &ignored,
			    e);
	if (r == 0 && !document)
		r = err_set(e, EINVAL, "OciSpecification: missing");
	if (r == 0)
		r = doc_parse(document, "OciSpecification", &doc, e);
	reading.doc = doc;
	if (r == 0)
		r = check_mounts(doc, e);
	if (r == 0)
		r = check_windows(doc, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		r = parts[i](&reading);
	if (r == 0)
		*ret = facts;
	return r;
}
