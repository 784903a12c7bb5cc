/*
 * tests/unit/container_peer.h - a host that asks for containers, and an agent
 * with a runtime that does what the test wants (tests/unit/fake_runtime.h)
 *
 * The test runs in a mount namespace of its own with an empty /run, so that
 * bundles have the paths that hosts give them. Where that cannot be had its
 * tests are skipped.
 */
#ifndef FERRY_TESTS_UNIT_CONTAINER_PEER_H
#define FERRY_TESTS_UNIT_CONTAINER_PEER_H

#include "tests/unit/guest_peer.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/unit/fake_runtime.h"

/* Called first thing. Return: false: no namespace to be had */
UNUSED static bool container_private_run(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
		return false;
	return true;
}

/* This program again, if it was started as the runtime. */
UNUSED static bool container_is_runtime(const char *name)
{
	const char *slash = strrchr(name, '/');

	name = slash ? slash + 1 : name;
	return strcmp(name, "crun") == 0 || strcmp(name, "runc") == 0;
}

UNUSED static void container_steer(const struct peer *p, const char *file,
				   const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/fake/%s", p->dir, file);
	if (text)
		fake_write(path, "we", text);
	else
		(void)unlink(path);
}

UNUSED static const char *container_steered(const struct peer *p,
					    const char *file)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/fake/%s", p->dir, file);
	return fake_text(path);
}

/* For what a test has to do in the agent before it runs; NULL: nothing. */
static void (*container_tune)(struct agent *a);

/* What starts the agent; a test may want it under a PID 1. */
static void (*container_begin)(struct peer *p) = peer_start_agent;

/* An agent that finds the runtime, and a connection. */
UNUSED static void container_agent(struct peer *p)
{
	char from[256], at[512];
	const char *path = getenv("PATH");
	ssize_t n;

	peer_init(p);
	p->tune = container_tune;
	n = readlink("/proc/self/exe", from, sizeof(from) - 1);
	assert_true(n > 0);
	from[n] = '\0';
	(void)snprintf(at, sizeof(at), "%s/fake", p->dir);
	assert_int_equal(mkdir(at, 0700), 0);
	(void)snprintf(at, sizeof(at), "%s/bin", p->dir);
	assert_int_equal(mkdir(at, 0700), 0);
	(void)snprintf(at, sizeof(at), "%s/bin/crun", p->dir);
	assert_int_equal(symlink(from, at), 0);
	(void)snprintf(at, sizeof(at), "%s/bin:%s", p->dir,
		       path ? path : "/usr/bin:/bin");
	assert_int_equal(setenv("PATH", at, 1), 0);
	container_begin(p);
	assert_int_equal(setenv("PATH", path ? path : "/usr/bin:/bin", 1), 0);
}

UNUSED static void container_start_agent(struct peer *p)
{
	container_agent(p);
	peer_accept(p);
	peer_negotiate(p);
}

/* --- requests -------------------------------------------------------------- */

/**
 * struct wish - a container that is wanted
 * @line:	of its shell
 * @annotations: members of the document's object, NULL: none
 * @resources:	its linux.resources, NULL: none
 * @devices:	of the host, members of the array, NULL: none
 * @network:	namespace of the host's network, NULL: none
 * @program:	run instead of the shell
 * @terminal:	it has one
 * @shared_pids: no pid namespace of its own
 */
struct wish {
	const char *id;
	const char *line;
	const char *annotations;
	const char *resources;
	const char *program;
	const char *devices;
	const char *network;
	bool terminal;
	bool shared_pids;
};

/* What a container needs to run programs, for a real runtime. */
#define CONTAINER_ENV                                                          \
	"\"env\":[\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\",\"TERM=xterm\"],"
#define CONTAINER_MOUNTS                                                            \
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","                 \
	"\"source\":\"proc\"},{\"destination\":\"/dev\",\"type\":\"tmpfs\","        \
	"\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\","                \
	"\"size=65536k\"]},{\"destination\":\"/dev/pts\",\"type\":\"devpts\","      \
	"\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\",\"newinstance\"," \
	"\"ptmxmode=0666\",\"mode=0620\"]},{\"destination\":\"/dev/shm\","          \
	"\"type\":\"tmpfs\",\"source\":\"shm\"}],"

UNUSED static const char *container_create_body(const struct wish *w)
{
	static char body[16384];
	char spec[4096], inner[8192];
	struct text s, in, out;

	text_fixed(&s, spec, sizeof(spec));
	text_fixed(&in, inner, sizeof(inner));
	text_fixed(&out, body, sizeof(body));
	text_addf(&s,
		  "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":%s,"
		  "\"cwd\":\"/\"," CONTAINER_ENV "\"args\":[",
		  w->terminal ? "true" : "false");
	if (w->program) {
		peer_quote(&s, w->program);
	} else {
		text_add(&s, "\"/bin/sh\",\"-c\",");
		peer_quote(&s, w->line ? w->line : "true");
	}
	text_addf(
		&s,
		"],\"user\":{\"uid\":0,\"gid\":0}},"
		"\"root\":{\"path\":\"/run/gcs/c/%s/rootfs\"},"
		"\"annotations\":{%s},\"windows\":{%s%s%s\"devices\":[%s]}," CONTAINER_MOUNTS
		"\"linux\":{\"resources\":%s,\"namespaces\":["
		"%s{\"type\":\"ipc\"},{\"type\":\"uts\"},"
		"{\"type\":\"network\"},{\"type\":\"mount\"}]}}",
		w->id, w->annotations ? w->annotations : "",
		w->network ? "\"network\":{\"networkNamespace\":\"" : "",
		w->network ? w->network : "", w->network ? "\"}," : "",
		w->devices ? w->devices : "",
		w->resources ? w->resources : "{}",
		w->shared_pids ? "" : "{\"type\":\"pid\"},");
	text_addf(&in,
		  "{\"SchemaVersion\":{\"Major\":2,\"Minor\":1},"
		  "\"OciBundlePath\":\"/run/gcs/c/%s\","
		  "\"ScratchDirPath\":\"/run/gcs/c/%s/scratch/%s\","
		  "\"OciSpecification\":%s}",
		  w->id, w->id, w->id, spec);
	text_addf(&out, "{" PEER_BASE ",\"ContainerConfig\":", w->id);
	peer_quote(&out, inner);
	text_add(&out, "}");
	assert_false(s.full || in.full || out.full);
	return body;
}

UNUSED static void container_make_root(const char *id)
{
	char path[256];

	(void)mkdir("/run/gcs", 0755);
	(void)mkdir("/run/gcs/c", 0755);
	(void)snprintf(path, sizeof(path), "/run/gcs/c/%s", id);
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof(path), "/run/gcs/c/%s/rootfs", id);
	(void)mkdir(path, 0755);
}

UNUSED static uint32_t
container_try_create(struct peer *p, const struct wish *w, struct peer_frame *f)
{
	container_make_root(w->id);
	return peer_call(p, WIRE_CREATE, container_create_body(w), f);
}

UNUSED static void container_create(struct peer *p, const struct wish *w)
{
	struct peer_frame f;

	if (container_try_create(p, w, &f) != HR_OK)
		fail_msg("not created: %s", f.body);
}

/**
 * struct run - a process to be started in a container
 * @container:	its id
 * @line:	of an exec, NULL: the init process
 * @user:	of an exec, members of the object, NULL: root
 * @terminal:	of an exec
 */
struct run {
	const char *container;
	const char *line;
	const char *user;
	bool terminal;
	struct peer_exec x;
};

UNUSED static const char *container_execute_body(struct peer *p, struct run *r)
{
	static char body[32768];
	struct peer_exec *x = &r->x;
	char inner[16384];
	struct text in, out;

	text_fixed(&in, inner, sizeof(inner));
	text_fixed(&out, body, sizeof(body));
	text_add(&in, "{");
	if (r->line) {
		text_addf(&in,
			  "\"OciProcess\":{\"terminal\":%s,\"cwd\":\"/\","
			  "\"user\":{%s}," CONTAINER_ENV
			  "\"args\":[\"/bin/sh\",\"-c\",",
			  r->terminal ? "true" : "false",
			  r->user ? r->user : "\"uid\":0,\"gid\":0");
		peer_quote(&in, r->line);
		text_add(&in, "]},");
	}
	peer_exec_wants(p, x, &in);
	text_add(&in, "}");
	text_addf(&out, "{" PEER_BASE ",\"Settings\":{\"ProcessParameters\":",
		  r->container);
	peer_quote(&out, inner);
	peer_exec_relay(x, &out);
	assert_false(in.full || out.full);
	return body;
}

UNUSED static uint32_t container_try_run(struct peer *p, struct run *r,
					 struct peer_frame *f)
{
	const uint32_t code = peer_call(p, WIRE_EXECUTE_PROCESS,
					container_execute_body(p, r), f);

	if (code == HR_OK)
		r->x.pid = (uint32_t)peer_number(f, "ProcessId");
	return code;
}

/* Starts the process and takes its streams; listeners stay with @keep. */
UNUSED static void container_run(struct peer *p, struct run *r)
{
	struct peer_frame f;

	if (container_try_run(p, r, &f) != HR_OK)
		fail_msg("not started: %s", f.body);
	peer_exec_streams(p, &r->x);
}

UNUSED static const char *
container_process_body(const char *container, uint32_t pid, const char *members)
{
	static char body[512];

	(void)snprintf(body, sizeof(body), "{" PEER_BASE ",\"ProcessId\":%u%s}",
		       container, pid, members);
	return body;
}

UNUSED static uint64_t container_send_wait(struct peer *p, const char *c,
					   uint32_t pid, uint32_t timeout_ms)
{
	char members[64];

	(void)snprintf(members, sizeof(members), ",\"TimeoutInMs\":%u",
		       timeout_ms);
	return peer_send(p, WIRE_WAIT_FOR_PROCESS,
			 container_process_body(c, pid, members));
}

UNUSED static uint32_t container_wait(struct peer *p, const char *c,
				      uint32_t pid)
{
	struct peer_frame f;
	const uint64_t id = container_send_wait(p, c, pid, UINT32_MAX);

	peer_answer(p, id, &f);
	assert_int_equal(peer_result(&f), HR_OK);
	return (uint32_t)peer_number(&f, "ExitCode");
}

UNUSED static uint32_t container_signal(struct peer *p, const char *c,
					uint32_t pid, int number)
{
	char members[64];
	struct peer_frame f;

	(void)snprintf(members, sizeof(members), ",\"Options\":{\"Signal\":%d}",
		       number);
	return peer_call(p, WIRE_SIGNAL_PROCESS,
			 container_process_body(c, pid, members), &f);
}

UNUSED static uint32_t container_call(struct peer *p, uint32_t type,
				      const char *c)
{
	struct peer_frame f;

	return peer_call(p, type, peer_base(c), &f);
}

UNUSED static void container_delete(struct peer *p, const char *c)
{
	struct peer_frame f;

	if (peer_call(p, WIRE_DELETE_CONTAINER_STATE, peer_base(c), &f) !=
	    HR_OK)
		fail_msg("not deleted: %s", f.body);
}

/* The rest of main(): the runtime, or the tests if they can be run at all. */
UNUSED static int container_main(int argc, char **argv,
				 const struct CMUnitTest *tests, size_t n,
				 CMFixtureFunction before)
{
	if (container_is_runtime(argv[0]))
		return fake_runtime_main(argc, argv);
	if (!container_private_run()) {
		print_message("skipped: no mount namespace to be had\n");
		return 0;
	}
	return _cmocka_run_group_tests("tests", tests, n, before, NULL);
}

#endif
