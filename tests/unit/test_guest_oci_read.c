/* What the agent understands of a document, and what it refuses by name. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/oci.h"
#include "config/util.h"

#define BUNDLE "/run/gcs/c/c1"
#define PROCESS "\"process\":{\"args\":[\"/pause\"],\"cwd\":\"/\"}"
#define ROOT "\"root\":{\"path\":\"/run/gcs/c/c1/rootfs\"}"
#define LINUX "\"linux\":{}"
#define BASE PROCESS "," ROOT "," LINUX
#define ANN(list) "{" BASE ",\"annotations\":{" list "}}"
#define TYPE(t) "\"io.kubernetes.cri.container-type\":\"" t "\""
#define IN_POD(id) "\"io.kubernetes.cri.sandbox-id\":\"" id "\""
#define VIRTUAL(id) "\"io.microsoft.cri.virtual-pod-id\":\"" id "\""

static struct arena arena;
static struct err why;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 1u << 20);
	why = (struct err){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

static int read_at(const char *bundle, const char *document,
		   struct oci_facts *f)
{
	return oci_read("c1", bundle, document, &arena, f, &why);
}

static struct oci_facts read_ok(const char *document)
{
	struct oci_facts f = { 0 };
	const int r = read_at(BUNDLE, document, &f);

	if (r < 0) /* and the next line ends the test */
		print_error("%s\n", why.text);
	assert_int_equal(r, 0);
	return f;
}

static void refused(const char *document, const char *words)
{
	struct oci_facts f = { .sandbox_id = "untouched" };

	why = (struct err){ 0 };
	assert_int_equal(read_at(BUNDLE, document, &f), -EINVAL);
	assert_string_equal(f.sandbox_id, "untouched");
	if (!strstr(why.text, words))
		print_error("'%s' has no '%s'\n", why.text, words);
	assert_non_null(strstr(why.text, words));
}

/* bridge.md 4.1, row by row. */
static void test_kinds(void **state)
{
	struct oci_facts f = read_ok("{" BASE "}");

	(void)state;
	assert_int_equal(f.kind, OCI_STANDALONE);
	assert_string_equal(f.sandbox_id, "c1");
	assert_string_equal(f.sandbox_root, BUNDLE);
	assert_string_equal(f.cgroup, "/pods/c1");
	assert_string_equal(f.pod_cgroup, "");

	f = read_ok(ANN(TYPE("sandbox") "," IN_POD("other")));
	assert_int_equal(f.kind, OCI_SANDBOX);
	assert_string_equal(f.sandbox_id, "c1");
	assert_string_equal(f.sandbox_root, BUNDLE);
	assert_string_equal(f.cgroup, "/pods/c1/c1");
	assert_string_equal(f.pod_cgroup, "/pods/c1");

	f = read_ok(ANN(TYPE("container") "," IN_POD("p1")));
	assert_int_equal(f.kind, OCI_WORKLOAD);
	assert_string_equal(f.sandbox_id, "p1");
	assert_string_equal(f.sandbox_root, "");
	assert_string_equal(f.cgroup, "/pods/p1/c1");
	assert_string_equal(f.pod_cgroup, "");

	refused(ANN(TYPE("container")), "sandbox-id");
	refused(ANN(TYPE("container") "," IN_POD("")), "sandbox-id");
	refused(ANN(TYPE("container") "," IN_POD("../x")), "sandbox-id");
	refused(ANN(TYPE("Sandbox")), "container-type");
}

static void test_virtual_pods(void **state)
{
	struct oci_facts f = read_ok(ANN(TYPE("container") "," VIRTUAL("c1")));

	(void)state;
	assert_int_equal(f.kind, OCI_SANDBOX);
	assert_true(f.virtual_pod);
	assert_string_equal(f.sandbox_root, "/run/gcs/c/virtual-pods/c1");
	assert_string_equal(f.cgroup, "/pods/c1/c1");
	f = read_ok(ANN(TYPE("container") "," IN_POD("p") "," VIRTUAL("v")));
	assert_int_equal(f.kind, OCI_WORKLOAD);
	assert_string_equal(f.sandbox_id, "v");
	assert_string_equal(f.cgroup, "/pods/v/c1");
	refused(ANN(VIRTUAL("/etc")), "virtual-pod-id");
	refused(ANN(VIRTUAL("..")), "virtual-pod-id");
	refused(ANN(VIRTUAL("a/../b")), "virtual-pod-id");
}

static void test_flags(void **state)
{
	static const char *const yes[] = {
		"1", "t", "T", "TRUE", "true", "True"
	};
	static const char *const no[] = { "0",	   "f",	    "F", "FALSE",
					  "false", "False", "" };
	char text[1024];
	struct oci_facts f = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes) + ARRAY_LEN(no); i++) {
		const bool on = i < ARRAY_LEN(yes);

		(void)snprintf(text, sizeof(text),
			       ANN("\"io.microsoft.virtualmachine.lcow."
				   "hostnetwork\":\"%s\",\"io.ferry.vsock\":"
				   "\"%s\""),
			       on ? yes[i] : no[i - ARRAY_LEN(yes)],
			       on ? yes[i] : no[i - ARRAY_LEN(yes)]);
		f = read_ok(text);
		assert_int_equal(f.host_network, on);
		assert_int_equal(f.vsock, on);
		assert_false(f.privileged);
	}
	f = read_ok(ANN("\"io.microsoft.virtualmachine.lcow.privileged\":"
			"\"true\""));
	assert_true(f.privileged && f.vsock);
	refused(ANN("\"io.ferry.vsock\":\"yes\""), "io.ferry.vsock");
	refused(ANN("\"io.ferry.vsock\":true"), "io.ferry.vsock: want string");
	f = read_ok(ANN("\"io.microsoft.cri.skip-pod-networking\":\"TrUe\""));
	assert_true(f.skip_networking);
	f = read_ok(ANN("\"io.microsoft.cri.skip-pod-networking\":\"1\""));
	assert_false(f.skip_networking);
}

static void test_process_and_namespaces(void **state)
{
	struct oci_facts f = read_ok(
		"{\"process\":{\"terminal\":true,\"args\":[\"a\"],\"cwd\":\"/\","
		"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":"
		"18446744073709551615,\"hard\":18446744073709551615}]},"
		"\"root\":{\"path\":\"rootfs\"},\"linux\":{\"namespaces\":["
		"{\"type\":\"pid\"},{\"type\":\"network\"}],\"resources\":{"
		"\"memory\":{\"limit\":9223372036854775807}}},\"windows\":{"
		"\"network\":{\"networkNamespace\":\"3F2504E0-4f89\"}}}");

	(void)state;
	assert_true(f.terminal && f.owns_pid_namespace);
	assert_string_equal(f.rootfs, BUNDLE "/rootfs");
	assert_string_equal(f.namespace, "3f2504e0-4f89");
	/* 64 bits survive */
	assert_non_null(strstr(f.rlimits, "\"soft\":18446744073709551615"));
	assert_string_equal(f.resources,
			    "{\"memory\":{\"limit\":9223372036854775807}}");

	f = read_ok("{" PROCESS "," ROOT ",\"linux\":{\"namespaces\":[{"
		    "\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"}]}}");
	assert_false(f.owns_pid_namespace || f.terminal);
	assert_null(f.resources);
	assert_string_equal(f.rlimits, "");
	assert_string_equal(f.namespace, "");
	f = read_ok("{" BASE ",\"windows\":{\"network\":{"
		    "\"networkNamespace\":\"x\"}},\"annotations\":{" TYPE(
			    "container") "," IN_POD("p") "}}");
	assert_string_equal(f.namespace, "");
}

/* Every member that a reference guest crashed without, and its kin. */
static void test_w_g5_members_that_are_missing(void **state)
{
	static const struct {
		const char *document, *words;
	} rows[] = {
		{ NULL, "OciSpecification: missing" },
		{ "", "OciSpecification" },
		{ "[]", "OciSpecification" },
		{ "null", "OciSpecification" },
		{ "{}", "$.root: missing" },
		{ "{" PROCESS "," LINUX "}", "$.root: missing" },
		{ "{" PROCESS "," LINUX ",\"root\":null}", "$.root: missing" },
		{ "{" PROCESS "," LINUX ",\"root\":{}}", "$.root.path" },
		{ "{" PROCESS "," LINUX ",\"root\":{\"path\":\"/\"}}",
		  "$.root.path" },
		{ "{" PROCESS "," LINUX ",\"root\":{\"path\":\"../../x\"}}",
		  "$.root.path" },
		{ "{" PROCESS "," ROOT "}", "$.linux: missing" },
		{ "{" PROCESS "," ROOT ",\"linux\":[]}", "$.linux: want" },
		{ "{" LINUX "," ROOT "}", "$.process: missing" },
		{ "{" LINUX "," ROOT ",\"process\":{}}", "$.process.args" },
		{ "{" LINUX "," ROOT
		  ",\"process\":{\"args\":[],\"cwd\":\"/\"}}",
		  "$.process.args: empty" },
		{ "{" LINUX "," ROOT ",\"process\":{\"args\":[\"a\"]}}",
		  "$.process.cwd: missing" },
		{ "{" LINUX "," ROOT
		  ",\"process\":{\"args\":[\"a\"],\"cwd\":\"x\"}}",
		  "$.process.cwd" },
		{ "{" LINUX "," ROOT ",\"process\":{\"args\":[\"a\"],\"cwd\":"
		  "\"/proc/self/fd/7\"}}",
		  "descriptor" },
		{ "{" LINUX "," ROOT ",\"process\":{\"args\":[\"a\"],\"cwd\":"
		  "\"//proc/1/fd\"}}",
		  "descriptor" },
		{ "{" LINUX "," ROOT ",\"process\":{\"args\":[\"a\"],\"cwd\":"
		  "\"/\",\"user\":7}}",
		  "$.process.user: want object" },
		{ "{" LINUX "," ROOT ",\"process\":{\"args\":[\"a\"],\"cwd\":"
		  "\"/\",\"user\":{\"username\":\"a\\u0000b\"}}}",
		  "NUL" },
		{ "{" LINUX "," ROOT ",\"process\":{\"args\":[\"a\"],\"cwd\":"
		  "\"/\",\"rlimits\":[3]}}",
		  "$.process.rlimits[0]" },
		{ "{" BASE ",\"mounts\":[{}]}",
		  "$.mounts[0].destination: missing" },
		{ "{" BASE ",\"mounts\":[{\"destination\":1}]}",
		  "$.mounts[0].destination: want string" },
		{ "{" BASE ",\"mounts\":[{\"destination\":\"/a\"},null]}",
		  "$.mounts[1]" },
		{ "{" BASE ",\"mounts\":[{\"destination\":\"/a\","
		  "\"options\":[1]}]}",
		  "options[0]" },
		{ "{" BASE ",\"mounts\":{}}", "$.mounts: want array" },
		{ "{" BASE ",\"hostname\":\"a b\"}", "$.hostname" },
		{ "{" BASE ",\"windows\":[]}", "$.windows" },
		{ "{" BASE ",\"windows\":{\"devices\":[1]}}",
		  "$.windows.devices[0]" },
		{ "{" PROCESS "," ROOT ",\"linux\":{\"namespaces\":[1]}}",
		  "$.linux.namespaces[0]" },
		{ "{" PROCESS "," ROOT ",\"linux\":{\"resources\":[]}}",
		  "$.linux.resources" },
		{ "{" PROCESS "," ROOT ",\"linux\":{\"devices\":[[]]}}",
		  "$.linux.devices[0]" },
		{ "{" PROCESS "," ROOT
		  ",\"linux\":{\"resources\":{\"devices\":[true]}}}",
		  "$.linux.resources.devices[0]" },
		{ "{" BASE ",\"annotations\":[]}", "$.annotations" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].document, rows[i].words);
	/* null is absent */
	(void)read_ok("{" BASE ",\"mounts\":null,\"annotations\":null,"
		      "\"windows\":null,\"hostname\":null}");
}

static void test_ids_and_bundles(void **state)
{
	static const char *const ids[] = { "",	   ".",	  "..",	 "a/b",
					   "../a", "-rf", "a\n", "a b" };
	static const char *const bundles[] = {
		"",	  "/",		"/run/gcs/c", "/run/gcs/c/../../etc",
		"/etc/x", "run/gcs/c/x"
	};
	struct oci_facts f = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		assert_int_equal(oci_read(ids[i], BUNDLE, "{" BASE "}", &arena,
					  &f, &why),
				 -EINVAL);
		assert_non_null(strstr(why.text, "ContainerId"));
	}
	for (size_t i = 0; i < ARRAY_LEN(bundles); i++) {
		assert_int_equal(read_at(bundles[i], "{" BASE "}", &f),
				 -EINVAL);
		assert_non_null(strstr(why.text, "OciBundlePath"));
	}
}

static void test_hostnames(void **state)
{
	char name[258];

	(void)state;
	assert_true(oci_hostname_ok(""));
	assert_true(oci_hostname_ok("pod-0.a_B"));
	assert_false(oci_hostname_ok("a\nb"));
	assert_false(oci_hostname_ok("a b"));
	memset(name, 'a', sizeof(name));
	name[256] = '\0';
	assert_false(oci_hostname_ok(name));
	name[255] = '\0';
	assert_true(oci_hostname_ok(name));
	refused("{" BASE ",\"hostname\":\"x\",\"annotations\":{" TYPE(
			"container") "," IN_POD("p") "}}",
		"$.hostname");
}

static void test_hosts(void **state)
{
	char buf[1024];
	struct text t;

	(void)state;
	text_fixed(&t, buf, sizeof(buf));
	oci_hosts("pod", &t);
	assert_int_equal(
		strncmp(buf, "127.0.0.1 localhost\n127.0.0.1 pod\n\n# ", 37),
		0);
	assert_non_null(strstr(buf, "\n::1     ip6-localhost ip6-loopback\n"
				    "fe00::0 ip6-localnet\n"
				    "ff00::0 ip6-mcastprefix\n"
				    "ff02::1 ip6-allnodes\n"
				    "ff02::2 ip6-allrouters\n"));
	text_reset(&t);
	oci_hosts("pod.a.b", &t);
	assert_non_null(strstr(buf, "\n127.0.0.1 pod.a.b pod\n"));
}

static void test_core_limit(void **state)
{
#define CORE(v) "\"io.microsoft.lcow.rlimitcore\":\"" v "\""
	static const char *const bad[] = { "1",
					   "1;",
					   ";1",
					   "1;2;3",
					   "a;b",
					   "-1;1",
					   "1;18446744073709551616",
					   "1 ;2" };
	char text[512];
	struct oci_facts f = read_ok(
		ANN(TYPE("sandbox") "," CORE("0;18446744073709551615")));

	(void)state;
	assert_string_equal(f.rlimits,
			    "[{\"type\":\"RLIMIT_CORE\",\"soft\":0,\"hard\":"
			    "18446744073709551615}]");
	/* not for a standalone */
	f = read_ok(ANN(CORE("1;2")));
	assert_string_equal(f.rlimits, "");
	/* it replaces the document's */
	f = read_ok("{\"process\":{\"args\":[\"a\"],\"cwd\":\"/\",\"rlimits\":["
		    "{\"type\":\"RLIMIT_CORE\",\"soft\":9,\"hard\":9},"
		    "{\"type\":\"RLIMIT_CPU\",\"soft\":7,\"hard\":7}]}," ROOT
		    "," LINUX
		    ",\"annotations\":{" TYPE("sandbox") "," CORE("1;2") "}}");
	assert_string_equal(
		f.rlimits, "[{\"type\":\"RLIMIT_CPU\",\"soft\":7,\"hard\":7},"
			   "{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":2}]");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text),
			       ANN(TYPE("sandbox") "," CORE("%s")), bad[i]);
		refused(text, "rlimitcore");
	}
}

static void test_tee_log(void **state)
{
#define TEE(v) "\"io.microsoft.container.lcow.tee-log-path\":\"" v "\""
	static const char *const bad[] = { "..", "../x", "a/../../x", "a/..",
					   "/",	 "a//b", "./a",	      "a/" };
	char text[512];
	struct oci_facts f = read_ok(ANN(TEE("a/b.log")));

	(void)state;
	assert_string_equal(f.tee_log, "logs/a/b.log");
	f = read_ok(ANN(TEE("/b.log")));
	assert_string_equal(f.tee_log, "logs/b.log");
	f = read_ok(ANN(TEE("..b")));
	assert_string_equal(f.tee_log, "logs/..b");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text), ANN(TEE("%s")), bad[i]);
		refused(text, "tee-log-path");
	}
}

static void test_user_by_name(void **state)
{
#define USER(extra)                                                            \
	"{\"process\":{\"args\":[\"a\"],\"cwd\":\"/\",\"user\":{\"username\":" \
	"\"web\"}}," ROOT "," LINUX extra "}"
	struct oci_facts f =
		read_ok(USER(",\"annotations\":{" TYPE("sandbox") "}"));

	(void)state;
	assert_true(f.by_name);
	f = read_ok(USER("")); /* a standalone's is left as it is */
	assert_false(f.by_name);
}

/* --- execs ------------------------------------------------------------------ */

static void exec_is(const struct oci_exec *x, const char *want)
{
	struct text t;

	text_heap(&t, OCI_TEXT_MAX);
	assert_int_equal(oci_exec_prepare((void *)(uintptr_t)x, &t, &why), 0);
	assert_string_equal(text_str(&t), want);
	text_done(&t);
}

static void test_exec(void **state)
{
	struct oci_exec x = {
		.root = -1,
		.process = "{\"args\":[\"a\"],\"cwd\":\"/\",\"rlimits\":[1]}",
		.rlimits = "",
		.rootfs = BUNDLE "/rootfs",
	};
	bool terminal = true, by_name = true;

	(void)state;
	assert_int_equal(oci_exec_read(x.process, &terminal, &by_name, &why),
			 0);
	assert_false(terminal || by_name);
	exec_is(&x, "{\"args\":[\"a\"],\"cwd\":\"/\"}");
	x.rlimits = "[{\"type\":\"RLIMIT_CORE\",\"soft\":"
		    "18446744073709551615,\"hard\":0}]";
	exec_is(&x, "{\"args\":[\"a\"],\"cwd\":\"/\",\"rlimits\":[{\"type\":"
		    "\"RLIMIT_CORE\",\"soft\":18446744073709551615,\"hard\":0}"
		    "]}");
	/* the container's own user, resolved when it was created */
	x.rlimits = "";
	x.has_user = true;
	x.uid = 4294967294u;
	x.gid = 7;
	exec_is(&x, "{\"args\":[\"a\"],\"cwd\":\"/\",\"user\":{\"uid\":"
		    "4294967294,\"gid\":7}}");

	assert_int_equal(oci_exec_read("{\"args\":[\"a\"],\"terminal\":true,"
				       "\"user\":{\"username\":\"web\"}}",
				       &terminal, &by_name, &why),
			 0);
	assert_true(terminal && by_name);
}

static void test_exec_refused(void **state)
{
	static const struct {
		const char *process, *words;
	} rows[] = {
		{ "", "OciProcess" },
		{ "{}", "OciProcess.args: missing" },
		{ "{\"args\":[]}", "OciProcess.args: empty" },
		{ "{\"args\":[\"a\"],\"user\":[]}", "OciProcess.user" },
		{ "{\"args\":[\"a\"],\"terminal\":1}", "OciProcess.terminal" },
		{ "{\"args\":[\"a\"],\"cwd\":\"/proc/self/fd/9\"}",
		  "descriptor" },
		{ "{\"args\":[\"a\"],\"cwd\":\"x\"}", "OciProcess.cwd" },
	};
	bool terminal, by_name;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(oci_exec_read(rows[i].process, &terminal,
					       &by_name, &why),
				 -EINVAL);
		assert_non_null(strstr(why.text, rows[i].words));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_kinds),
		T(test_virtual_pods),
		T(test_flags),
		T(test_process_and_namespaces),
		T(test_w_g5_members_that_are_missing),
		T(test_ids_and_bundles),
		T(test_hostnames),
		T(test_hosts),
		T(test_core_limit),
		T(test_tee_log),
		T(test_user_by_name),
		T(test_exec),
		T(test_exec_refused),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
