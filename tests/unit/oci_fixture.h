/*
 * tests/unit/oci_fixture.h - containers of a pod in a root of the test's own: a
 * tmpfs in a mount namespace of a child
 *
 * A check that fails prints its line.
 */
#ifndef FERRY_TESTS_UNIT_OCI_FIXTURE_H
#define FERRY_TESTS_UNIT_OCI_FIXTURE_H

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/oci.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define POD "/run/gcs/c/p1"
#define BUNDLE "/run/gcs/c/c1"
#define TYPE(t) "\"io.kubernetes.cri.container-type\":\"" t "\""
#define IN_POD "\"io.kubernetes.cri.sandbox-id\":\"p1\""
#define PROCESS "\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"}"
#define ROOT "\"root\":{\"path\":\"rootfs\"}"
#define REST PROCESS "," ROOT ",\"linux\":{}"
#define MOUNT(source, more)                                                    \
	PLAIN ",\"mounts\":[{\"destination\":\"/data\",\"source\":\"" source   \
	      "\",\"options\":[\"rbind\"]" more "}]"
#define SANDBOX                                                                \
	"{" REST                                                               \
	",\"hostname\":\"pod-0.x\",\"annotations\":{" TYPE("sandbox") "}}"
/* A workload with these members and these annotations. */
#define WORKLOAD(members, annotations)                                         \
	"{" ROOT "," members                                                   \
	",\"annotations\":{" TYPE("container") "," IN_POD annotations "}}"
#define PLAIN PROCESS ",\"linux\":{}"

UNUSED static int root = -1;
UNUSED static struct err why;

#define WANT(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			(void)fprintf(stderr, "line %d: %s [%s]\n", __LINE__,  \
				      #condition, why.text);                   \
			return 1;                                              \
		}                                                              \
	} while (0)

/* An absolute path, below the root's descriptor. */
UNUSED static const char *at(const char *path)
{
	return path + 1;
}

/* --- a root ------------------------------------------------------------------- */

UNUSED static int make_root(const char *top)
{
	if (mount("none", top, "tmpfs", 0, NULL) < 0)
		return -1;
	root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root;
}

UNUSED static int in_child(int (*body)(void))
{
	char top[] = "/tmp/ferry-oci-XXXXXX";
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(top));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(geteuid() == 0 ? CLONE_NEWNS
					   : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    make_root(top) < 0)
			_exit(77);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)rmdir(top);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	return WEXITSTATUS(status);
}

#define TEST(name)                                                             \
	static int name##_body(void);                                          \
	static void name(void **state)                                         \
	{                                                                      \
		(void)state;                                                   \
		assert_int_equal(in_child(name##_body), 0);                    \
	}                                                                      \
	static int name##_body(void)

UNUSED static void dir(const char *path)
{
	int fd = beneath_mkdirs(root, path, BENEATH_STRICT, 0755, &why);

	fd_close(&fd);
}

UNUSED static int file(const char *path, const char *text)
{
	return beneath_write(root, path, BENEATH_STRICT, text, strlen(text),
			     0644, &why);
}

UNUSED static bool there(const char *path)
{
	return faccessat(root, at(path), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

UNUSED static bool holds(const char *path, const char *text)
{
	struct text t;
	bool same;

	text_heap(&t, 65536);
	same = beneath_read(root, path, BENEATH_ROOTFS, 65535, &t, &why) == 0 &&
	       strcmp(text_str(&t), text) == 0;
	text_done(&t);
	return same;
}

/* --- containers ------------------------------------------------------------------ */

struct made {
	struct arena arena;
	struct oci_facts facts;
	struct oci_work work;
	struct oci_prepared got;
	json_object *config;
};

/* As the agent does it; @edit may change what is asked for. */
UNUSED static int make(struct made *m, const char *id, const char *document,
		       void (*edit)(struct oci_work *))
{
	static char bundle[64];
	struct text out;
	int r;

	*m = (struct made){ 0 };
	why = (struct err){ 0 };
	arena_init(&m->arena, 1u << 20);
	(void)snprintf(bundle, sizeof(bundle), "/run/gcs/c/%s", id);
	r = oci_read(id, bundle, document, &m->arena, &m->facts, &why);
	if (r < 0)
		return r;
	dir(m->facts.rootfs);
	m->work = (struct oci_work){
		.root = root,
		.id = id,
		.bundle = bundle,
		.document = document,
		.facts = &m->facts,
		.sandbox_root = m->facts.kind == OCI_WORKLOAD
					? POD
					: m->facts.sandbox_root,
		.host_network = m->facts.host_network,
	};
	if (edit)
		edit(&m->work);
	text_heap(&out, 4096);
	r = oci_prepare(&m->work, &out, &why);
	if (r == 0 && oci_prepared_get(text_str(&out), out.len, &m->got) < 0)
		r = -EPROTO;
	text_reset(&out);
	(void)snprintf(bundle, sizeof(bundle), "run/gcs/c/%s/config.json", id);
	text_done(&out);
	text_heap(&out, 65536);
	if (r == 0)
		r = beneath_read(root, bundle, BENEATH_STRICT, 65535, &out,
				 &why);
	if (r == 0)
		m->config = json_tokener_parse(text_str(&out));
	text_done(&out);
	(void)snprintf(bundle, sizeof(bundle), "/run/gcs/c/%s", id);
	return r;
}

/* A pod, then a workload in it. */
UNUSED static int workload(struct made *m, const char *document)
{
	struct made pod;

	if (make(&pod, "p1", SANDBOX, NULL) < 0)
		return -1;
	return make(m, "c1", document, NULL);
}

/* Is the value at a JSON pointer that text? "": it is absent. */
UNUSED static bool is(const struct made *m, const char *pointer,
		      const char *text)
{
	json_object *v = NULL;

	if (json_pointer_get(m->config, pointer, &v) < 0)
		return *text == '\0';
	if (strcmp(json_object_to_json_string_ext(
			   v, JSON_C_TO_STRING_PLAIN |
				      JSON_C_TO_STRING_NOSLASHESCAPE),
		   text) == 0)
		return true;
	(void)fprintf(stderr, "%s is %s\n", pointer,
		      json_object_to_json_string(v));
	return false;
}

#endif
