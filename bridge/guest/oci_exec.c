#include "bridge/guest/oci.h"

#include <fcntl.h>
#include <string.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/oci_doc.h"
#include "bridge/guest/user.h"
#include "bridge/io/fd.h"

/* The process, its user and the name in it ("": none). */
static int parse(const char *process, json_object **ret, json_object **user,
		 const char **name, struct err *e)
{
	json_object *v = NULL;
	int r = doc_parse(process, "OciProcess", ret, e);

	*name = "";
	if (r == 0)
		r = doc_need(*ret, "OciProcess", "args", json_type_array, &v,
			     e);
	if (r == 0 && json_object_array_length(v) == 0)
		r = err_set(e, EINVAL, "OciProcess.args: empty");
	if (r == 0)
		r = doc_member(*ret, "OciProcess", "user", json_type_object,
			       user, e);
	if (r == 0 && *user)
		r = doc_string(*user, "OciProcess.user", "username", name, e);
	return r;
}

int oci_exec_read(const char *process, bool *ret_terminal, bool *ret_by_name,
		  struct err *e)
{
	cleanup_doc *doc = NULL;
	json_object *user = NULL;
	const char *name = "", *cwd = "";
	bool terminal = false;
	int r = parse(process, &doc, &user, &name, e);

	if (r == 0)
		r = doc_bool(doc, "OciProcess", "terminal", &terminal, e);
	if (r == 0)
		r = doc_string(doc, "OciProcess", "cwd", &cwd, e);
	if (r == 0 && *cwd != '\0')
		r = doc_cwd("OciProcess", cwd, e);
	if (r < 0)
		return r;
	*ret_terminal = terminal;
	*ret_by_name = *name != '\0';
	return 0;
}

static int look_up(const struct oci_exec *x, const char *name,
		   struct user_ids *ret, struct err *e)
{
	struct guestpath g;
	int r = guestpath_check(x->rootfs, GUESTPATH_BUNDLE, "rootfs", &g, e);
	cleanup_fd base = r < 0 ? r : guestpath_base(x->root, &g, e);
	cleanup_fd rootfs = base < 0
				    ? base
				    : beneath_open(base, g.rest, BENEATH_STRICT,
						   O_PATH | O_DIRECTORY, 0, e);

	return rootfs < 0 ? rootfs : user_resolve(rootfs, name, ret, e);
}

static int set_user(json_object *doc, const struct user_ids *ids, struct err *e)
{
	json_object *user = NULL;
	int r = doc_make(doc, "OciProcess", "user", json_type_object, &user, e);

	if (r < 0)
		return r;
	json_object_object_del(user, "username");
	r = doc_set(user, "uid", json_object_new_int64(ids->uid), e);
	if (r == 0)
		r = doc_set(user, "gid", json_object_new_int64(ids->gid), e);
	return r;
}

static int set_limits(json_object *doc, const char *text, struct err *e)
{
	json_object *v = NULL;

	json_object_object_del(doc, "rlimits");
	if (*text == '\0')
		return 0;
	v = json_tokener_parse(text); /* written by oci_read() */
	return doc_set(doc, "rlimits", v, e);
}

int oci_exec_prepare(void *arg, struct text *out, struct err *e)
{
	const struct oci_exec *x = arg;
	struct user_ids ids = { .uid = x->uid, .gid = x->gid };
	cleanup_doc *doc = NULL;
	json_object *user = NULL;
	const char *name = "";
	int r = parse(x->process, &doc, &user, &name, e);

	if (r == 0)
		r = set_limits(doc, x->rlimits, e);
	if (r == 0 && *name != '\0')
		r = look_up(x, name, &ids, e);
	if (r == 0 && (*name != '\0' || x->has_user))
		r = set_user(doc, &ids, e);
	return r < 0 ? r : doc_text(doc, out, e);
}
