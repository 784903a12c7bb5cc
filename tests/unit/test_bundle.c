/* tests/unit/test_bundle.c - from an OCI bundle to the guest's document */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/util.h"
#include "tools/bundle.h"
#include "tools/pod_plan.h"

#define HEAD "{\"process\":{\"args\":[\"/bin/sh\"]"
#define ROOT ",\"root\":{\"path\":\"r\"}"

static char dir[64];

static int set_up(void **state UNUSED)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/ferry-bundle-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static const char *in_dir(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int tear_down(void **state UNUSED)
{
	(void)unlink(in_dir("config.json"));
	(void)unlink(in_dir("pod.json"));
	(void)rmdir(in_dir("r"));
	(void)rmdir(dir);
	return 0;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* What becomes of a document. */
static void check(const char *document, const struct bundle_edit *x,
		  const char *expect)
{
	struct bundle *b = NULL;
	struct text out;
	struct err e = { 0 };

	text_heap(&out, BUNDLE_DOCUMENT_MAX);
	if (bundle_new("/r", document, &b, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(bundle_document(b, x, &out, &e), 0);
	assert_string_equal(text_str(&out), expect);
	text_done(&out);
	bundle_free(b);
}

static void what_is_the_hosts_goes(void **state UNUSED)
{
	const struct bundle_edit x = { .rootfs = "/g" };

	check(HEAD "},\"hooks\":{\"prestart\":[]},\"windows\":{\"a\":1},"
		   "\"linux\":{\"cgroupsPath\":\"/x\",\"resources\":{"
		   "\"devices\":[],\"pids\":{\"limit\":1},"
		   "\"blockIO\":{},\"network\":{},\"hugepageLimits\":[],"
		   "\"memory\":{\"limit\":18446744073709551615},"
		   "\"cpu\":{\"period\":0,\"quota\":0}},"
		   "\"namespaces\":[{\"type\":\"pid\",\"path\":\"/p\"}]}}",
	      &x,
	      HEAD ",\"terminal\":false},\"linux\":{\"resources\":{"
		   "\"memory\":{\"limit\":18446744073709551615},"
		   "\"cpu\":{\"period\":100000,\"quota\":-1}},"
		   "\"namespaces\":[{\"type\":\"pid\"}]},"
		   "\"root\":{\"path\":\"/g\"},\"annotations\":{}}");
}

static void what_the_user_says_is_stronger(void **state UNUSED)
{
	const char *words[] = { "/bin/echo", "a b" };
	struct msg_pair vars[] = { { "A", "2" }, { "B", "3" } };
	const struct msg_strings args = { words, 2 };
	const struct msg_pairs env = { vars, 2 };
	const struct bundle_edit x = {
		.rootfs = "/g",
		.args = &args,
		.env = &env,
		.cwd = "/tmp",
		.terminal = true,
		.height = 24,
		.width = 80,
		.container_type = "container",
		.sandbox_id = "pod",
		.join_pid = 7,
		.hostname = "",
	};

	check("{\"process\":{\"args\":[\"x\"],\"env\":[\"A=1\",\"AB=1\"],"
	      "\"cwd\":\"/\"},\"hostname\":\"h\",\"linux\":{\"namespaces\":["
	      "{\"type\":\"network\"},{\"type\":\"ipc\"}]}}",
	      &x,
	      "{\"process\":{\"args\":[\"/bin/echo\",\"a b\"],"
	      "\"env\":[\"AB=1\",\"A=2\",\"B=3\"],\"cwd\":\"/tmp\","
	      "\"terminal\":true,\"consoleSize\":{\"height\":24,"
	      "\"width\":80}},\"linux\":{\"namespaces\":["
	      "{\"type\":\"network\",\"path\":\"/proc/7/ns/net\"},"
	      "{\"type\":\"ipc\",\"path\":\"/proc/7/ns/ipc\"},"
	      "{\"type\":\"uts\",\"path\":\"/proc/7/ns/uts\"}]},"
	      "\"root\":{\"path\":\"/g\"},\"annotations\":{"
	      "\"io.kubernetes.cri.container-type\":\"container\","
	      "\"io.kubernetes.cri.sandbox-id\":\"pod\"}}");
}

static void binds_that_the_guest_makes_go(void **state UNUSED)
{
	const struct bundle_edit x = { .rootfs = "/g" };

	check(HEAD "},\"mounts\":[{\"destination\":\"/etc/hosts\","
		   "\"type\":\"bind\",\"source\":\"/x\"},"
		   "{\"destination\":\"/proc\",\"type\":\"proc\"},"
		   "{\"destination\":\"/s\",\"type\":\"bind\","
		   "\"source\":\"sandbox://s\"},"
		   "{\"destination\":\"/etc/resolv.conf\","
		   "\"options\":[\"rbind\"],\"source\":\"/x\"}]}",
	      &x,
	      HEAD ",\"terminal\":false},\"mounts\":["
		   "{\"destination\":\"/proc\",\"type\":\"proc\"},"
		   "{\"destination\":\"/s\",\"type\":\"bind\","
		   "\"source\":\"sandbox://s\"}],"
		   "\"root\":{\"path\":\"/g\"},\"annotations\":{}}");
}

static void a_bad_bundle_is_refused_with_its_member(void **state UNUSED)
{
	static const struct {
		const char *document;
		int code;
		const char *say;
	} cases[] = {
		{ "{", EINVAL, "config.json: " },
		{ "[]", EINVAL, "config.json: not a JSON object" },
		{ "{}", EINVAL, "no process" },
		{ "{\"process\":{}}", EINVAL, "process.args" },
		{ "{\"process\":{\"args\":[]}}", EINVAL, "process.args" },
		{ HEAD "}}", EINVAL, "root.path" },
		{ HEAD "},\"root\":{\"path\":\"gone\"}}", ENOENT, "gone" },
		{ HEAD "},\"root\":{\"path\":\"config.json\"}}", ENOTDIR,
		  "not a folder" },
		{ HEAD "}" ROOT ",\"mounts\":[{\"destination\":\"/d\","
		       "\"type\":\"bind\",\"source\":\"/d\"}]}",
		  EINVAL, "mounts[0]: /d is bound from the host" },
		{ HEAD "}" ROOT ",\"mounts\":[{\"destination\":\"/d\","
		       "\"type\":\"none\",\"options\":[\"bind\"]}]}",
		  EINVAL, "mounts[0]: /d" },
		{ HEAD "}" ROOT ",\"mounts\":[{}]}", EINVAL,
		  "no absolute destination" },
	};
	struct bundle *sentinel = (struct bundle *)(uintptr_t)1;

	assert_int_equal(mkdir(in_dir("r"), 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bundle *b = sentinel;
		struct err e = { 0 };
		int r;

		put("config.json", cases[i].document);
		r = bundle_open(dir, &b, &e);
		if (r != -cases[i].code || !strstr(e.text, cases[i].say))
			fail_msg("%zu: %d, '%s' lacks '%s'", i, r, e.text,
				 cases[i].say);
		assert_ptr_equal(b, sentinel);
	}
}

static void a_good_bundle_is_opened(void **state UNUSED)
{
	struct bundle *b = NULL;
	struct err e = { 0 };

	assert_int_equal(mkdir(in_dir("r"), 0700), 0);
	put("config.json", HEAD ",\"terminal\":true}" ROOT "}");
	assert_int_equal(bundle_open(dir, &b, &e), 0);
	assert_string_equal(bundle_rootfs(b), in_dir("r"));
	assert_true(bundle_terminal(b));
	bundle_free(b);
}

static void a_pod_file_is_read(void **state UNUSED)
{
	struct pod_plan p;
	struct err e = { 0 };

	put("pod.json",
	    "{\"network\":\"user\",\"containers\":[{\"name\":\"a\","
	    "\"bundle\":\"x\",\"args\":[\"/b\",\"c\"],\"env\":{\"K\":\"V\"},"
	    "\"output\":\"log\",\"scratch_mib\":9},{\"name\":\"b.2\","
	    "\"bundle\":\"/y\",\"main\":true}]}");
	assert_int_equal(pod_plan_read(in_dir("pod.json"), &p, &e), 0);
	assert_true(p.shared);
	assert_int_equal(p.network, POD_NETWORK_USER);
	assert_int_equal(p.n, 2);
	assert_string_equal(p.container[0].bundle, in_dir("x"));
	assert_string_equal(p.container[0].output, in_dir("log"));
	assert_int_equal(p.container[0].args.n, 2);
	assert_string_equal(p.container[0].env.item[0].value, "V");
	assert_int_equal(p.container[0].scratch_mib, 9);
	assert_string_equal(p.container[1].bundle, "/y");
	assert_string_equal(p.container[1].output, "");
	assert_true(p.container[1].main);
	pod_plan_done(&p);
}

static void a_pod_file_lists_adapters(void **state UNUSED)
{
	struct pod_plan p;
	struct err e = { 0 };

	put("pod.json",
	    "{\"adapters\":[{\"endpoint\":\"tap:t0\",\"mac\":\"m\","
	    "\"settings\":{\"EncapOverhead\":50}},{\"endpoint\":\"user\","
	    "\"mac\":\"n\"}],\"containers\":[{\"name\":\"a\","
	    "\"bundle\":\"b\"}]}");
	assert_int_equal(pod_plan_read(in_dir("pod.json"), &p, &e), 0);
	assert_int_equal(p.network, POD_NETWORK_ADAPTERS);
	assert_int_equal(p.n_adapters, 2);
	assert_string_equal(p.adapter[0].endpoint, "tap:t0");
	assert_string_equal(p.adapter[0].settings, "{\"EncapOverhead\":50}");
	assert_string_equal(p.adapter[1].mac, "n");
	assert_null(p.adapter[1].settings);
	pod_plan_done(&p);
}

static void a_bad_pod_file_is_refused(void **state UNUSED)
{
	static const struct {
		const char *text;
		const char *say;
	} cases[] = {
		{ "{}", "containers" },
		{ "{\"containers\":[]}", "want 1 to 60" },
		{ "{\"containers\":[{\"name\":\"a\"}]}", "bundle" },
		{ "{\"containers\":[{\"bundle\":\"a\"}]}", "name" },
		{ "{\"containers\":[{\"name\":\"a/b\",\"bundle\":\"a\"}]}",
		  "containers[0].name" },
		{ "{\"containers\":[{\"name\":\"a\",\"bundle\":\"\"}]}",
		  "containers[0].bundle" },
		{ "{\"containers\":[{\"name\":\"a\",\"bundle\":\"b\"},"
		  "{\"name\":\"a\",\"bundle\":\"b\"}]}",
		  "a twice" },
		{ "{\"containers\":[{\"name\":\"a\",\"bundle\":\"b\","
		  "\"main\":true},{\"name\":\"b\",\"bundle\":\"b\","
		  "\"main\":true}]}",
		  "more than one is main" },
		{ "{\"network\":\"tap\",\"containers\":[{\"name\":\"a\","
		  "\"bundle\":\"b\"}]}",
		  "'tap' is not none or user" },
		{ "{\"network\":\"user\",\"adapters\":[{\"endpoint\":\"user\","
		  "\"mac\":\"x\"}],\"containers\":[{\"name\":\"a\","
		  "\"bundle\":\"b\"}]}",
		  "network or adapters" },
		{ "{\"adapters\":[{\"endpoint\":\"user\"}],\"containers\":[]}",
		  "adapters[0].mac" },
		{ "{\"containers\":3}", "containers" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pod_plan p;
		struct err e = { 0 };
		int r;

		put("pod.json", cases[i].text);
		r = pod_plan_read(in_dir("pod.json"), &p, &e);
		if (r != -EINVAL || !strstr(e.text, cases[i].say))
			fail_msg("%zu: %d, '%s' lacks '%s'", i, r, e.text,
				 cases[i].say);
		pod_plan_done(&p);
	}
}

#define BUNDLE_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_the_hosts_goes),
		cmocka_unit_test(what_the_user_says_is_stronger),
		cmocka_unit_test(binds_that_the_guest_makes_go),
		BUNDLE_TEST(a_bad_bundle_is_refused_with_its_member),
		BUNDLE_TEST(a_good_bundle_is_opened),
		BUNDLE_TEST(a_pod_file_is_read),
		BUNDLE_TEST(a_bad_pod_file_is_refused),
		BUNDLE_TEST(a_pod_file_lists_adapters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
