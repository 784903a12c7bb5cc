/* tests/unit/test_shim_oci.c - what a shim reads of a config.json, and what it
 * refuses in a migratable sandbox */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "tools/shim/mounts.h"
#include "tools/shim/oci.h"

static int check(const char *text, const struct annotation_map *lock,
		 struct oci_facts *f, struct err *e)
{
	return oci_facts_check(text, strlen(text), lock, f, e);
}

static void kinds_of_containers(void **state)
{
	static const struct {
		const char *text;
		enum oci_kind kind;
		const char *pod;
	} good[] = {
		{ "{}", OCI_ALONE, "" },
		{ "{\"annotations\":{\"a\":\"b\"}}", OCI_ALONE, "" },
		{ "{\"annotations\":{\"" OCI_CONTAINER_TYPE
		  "\":\"sandbox\",\"" OCI_SANDBOX_ID "\":\"p\"}}",
		  OCI_SANDBOX, "" },
		{ "{\"annotations\":{\"" OCI_CONTAINER_TYPE
		  "\":\"container\",\"" OCI_SANDBOX_ID "\":\"p\"}}",
		  OCI_CONTAINER, "p" },
	};
	struct oci_facts f;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(check(good[i].text, NULL, &f, &e), 0);
		assert_int_equal(f.kind, good[i].kind);
		assert_string_equal(f.pod_id, good[i].pod);
		oci_facts_done(&f);
	}
}

static void documents_that_are_refused(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "{", "" },
		{ "[]", "" },
		{ "{\"annotations\":{\"a\":1}}", "annotations" },
		{ "{\"annotations\":{\"" OCI_CONTAINER_TYPE "\":\"pet\"}}",
		  "'pet' is no kind" },
		{ "{\"annotations\":{\"" OCI_CONTAINER_TYPE
		  "\":\"container\"}}",
		  OCI_SANDBOX_ID },
	};
	struct oci_facts f;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(check(bad[i].text, NULL, &f, &e) < 0);
		assert_non_null(strstr(e.text, bad[i].says));
		oci_facts_done(&f);
	}
}

/* A lock as a sandbox of two processors would have it. */
static void make_lock(struct annotation_map *lock)
{
	struct err e;

	annotation_map_init(lock);
	assert_int_equal(
		annotation_map_set(
			lock,
			"io.microsoft.virtualmachine.computetopology.processor.count",
			"2", &e),
		0);
}

static void locked_annotations_stay_as_they_were(void **state)
{
	static const char same[] =
		"{\"annotations\":{\"io.microsoft.virtualmachine."
		"computetopology.processor.count\":\"2\"}}";
	static const char other[] =
		"{\"annotations\":{\"io.microsoft.virtualmachine."
		"computetopology.processor.count\":\"4\"}}";
	struct annotation_map lock;
	struct oci_facts f;
	struct err e;

	(void)state;
	make_lock(&lock);
	assert_int_equal(check(same, &lock, &f, &e), 0);
	oci_facts_done(&f);
	assert_int_equal(check(other, &lock, &f, &e), -EINVAL);
	assert_int_equal(e.class, ERR_MIGRATION_INCOMPATIBLE);
	assert_non_null(strstr(e.text, "processor.count"));
	oci_facts_done(&f);
	/* A sandbox that stays where it is has no lock. */
	assert_int_equal(check(other, NULL, &f, &e), 0);
	oci_facts_done(&f);
	annotation_map_done(&lock);
}

static void shares_of_the_host_cannot_migrate(void **state)
{
	static const char share[] =
		"{\"mounts\":[{\"destination\":\"/data\",\"type\":\"bind\","
		"\"source\":\"/srv/data\"}]}";
	static const char own[] =
		"{\"mounts\":[{\"destination\":\"/etc/hosts\",\"type\":\"bind\","
		"\"source\":\"/var/x/hosts\"},{\"destination\":\"/tmp\","
		"\"type\":\"tmpfs\",\"source\":\"tmpfs\"}]}";
	struct annotation_map lock;
	struct oci_facts f;
	struct err e;

	(void)state;
	make_lock(&lock);
	assert_int_equal(check(share, &lock, &f, &e), -EINVAL);
	assert_int_equal(e.class, ERR_MIGRATION_INCOMPATIBLE);
	assert_non_null(strstr(e.text, "/data"));
	oci_facts_done(&f);
	assert_int_equal(check(own, &lock, &f, &e), 0);
	oci_facts_done(&f);
	annotation_map_done(&lock);
}

static void mounts_of_containerd(void **state)
{
	static char words[][24] = { "index=off",   "workdir=/w",     "nodev",
				    "upperdir=/u", "lowerdir=/a:/b", "rbind",
				    "ro" };
	char *overlay[] = { words[0], words[1], words[2], words[3], words[4] };
	char *bind[] = { words[5], words[6] };
	TaskMount m[2] = { TASK_MOUNT__INIT, TASK_MOUNT__INIT };
	TaskMount *all[2] = { &m[0], &m[1] };
	struct mounts out;
	struct err e;

	(void)state;
	m[0].type = (char[]){ "overlay" };
	m[0].source = m[0].type;
	m[0].options = overlay;
	m[0].n_options = 5;
	m[1].type = (char[]){ "bind" };
	m[1].source = (char[]){ "/s" };
	m[1].options = bind;
	m[1].n_options = 2;
	assert_int_equal(mounts_read(&out, all, 2, &e), 0);
	assert_int_equal(out.n, 2);
	assert_string_equal(out.mount[0].options,
			    "index=off,workdir=/w,upperdir=/u,lowerdir=/a:/b");
	assert_int_equal(out.mount[0].flags, MS_NODEV);
	assert_string_equal(out.mount[1].options, "");
	assert_int_equal(out.mount[1].flags, MS_BIND | MS_REC | MS_RDONLY);
	mounts_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_of_containers),
		cmocka_unit_test(documents_that_are_refused),
		cmocka_unit_test(locked_annotations_stay_as_they_were),
		cmocka_unit_test(shares_of_the_host_cannot_migrate),
		cmocka_unit_test(mounts_of_containerd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
