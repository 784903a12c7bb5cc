/* What PID 1 does before the command runs, as far as a host can see it. */
#include "tests/unit/init_dir.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/cgroup.h"
#include "init/entropy.h"
#include "init/file.h"
#include "init/modules.h"

/* --- cgroups ------------------------------------------------------------- */

static bool v1(const char *text)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "%s", text);
	return cgroup_v1_asked(line);
}

/* W-C25: the reference matches inside values and misses tabs and quotes. */
static void test_w_c25_cgroup_word_is_an_exact_kernel_word(void **state)
{
	(void)state;
	assert_true(v1("quiet hcsshim.cgroup=v1 -- /bin/gcs\n"));
	assert_true(v1("a\thcsshim.cgroup=v1\tb"));
	assert_true(v1("a\nhcsshim.cgroup=v1"));
	assert_true(v1("\"hcsshim.cgroup=v1\" b"));
	assert_true(v1("hcsshim.cgroup=\"v1\""));
	assert_false(v1("quiet -- /bin/gcs hcsshim.cgroup=v1"));
	assert_false(v1("x=\"a hcsshim.cgroup=v1 b\""));
	assert_false(v1("hcsshim.cgroup=v12"));
	assert_false(v1("xhcsshim.cgroup=v1"));
	assert_false(v1("hcsshim.cgroup=v2"));
	assert_false(v1("hcsshim.cgroup"));
	assert_false(v1(""));
}

static char written[1024];
static const char *refused;
static int warned;

/* Refuses a text that holds the word @refused. */
static int fake_write(const char *text, struct err *e)
{
	if (refused && strstr(text, refused))
		return err_set(e, EBUSY, "refused");
	(void)snprintf(written + strlen(written),
		       sizeof(written) - strlen(written), "[%s]", text);
	return 0;
}

static void fake_warn(const struct err *e)
{
	assert_string_equal(e->text, "refused");
	warned++;
}

static void enable(const char *controllers, const char *refuse)
{
	char names[256];

	written[0] = '\0';
	warned = 0;
	refused = refuse;
	(void)snprintf(names, sizeof(names), "%s", controllers);
	cgroup_enable(names, fake_write, fake_warn);
}

/* W-C26: one refused controller disables all of them in the reference. */
static void test_w_c26_a_refused_controller_disables_no_other(void **state)
{
	(void)state;
	enable("cpuset cpu memory\n", NULL);
	assert_string_equal(written, "[+cpuset +cpu +memory]");
	enable("cpuset cpu memory\n", "+cpu ");
	assert_string_equal(written, "[+cpuset][+cpu][+memory]");
	enable("io rdma pids\n", "rdma");
	assert_string_equal(written, "[+io][+pids]");
	assert_int_equal(warned, 1);
	enable("\n", NULL);
	assert_string_equal(written, "");
}

/* W-C26: the reference reads 64 characters and a NUL into 64 bytes. */
static void test_w_c26_a_controller_name_has_a_bound(void **state)
{
	char text[512] =
		"#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
		"cpuset\t0\t1\t1\nmemory\t0\t1\t0\n"
		"a234567890123456789012345678901234567890123456789012345678901234\t0\t1\t1\n"
		"torn\t0\npids\t0\t1\t1";
	char *at = text;

	(void)state;
	assert_string_equal(cgroup_v1_next(&at), "cpuset");
	assert_string_equal(cgroup_v1_next(&at), "pids");
	assert_null(cgroup_v1_next(&at));
}

/* --- modules --------------------------------------------------------------- */

static int fake_load(const char *path, struct err *e)
{
	return fake_write(path, e);
}

static void test_modules_load_in_order_and_past_a_failure(void **state)
{
	(void)state;
	written[0] = '\0';
	warned = 0;
	refused = "bad";
	assert_int_equal(
		modules_load(in_dir("absent"), "", fake_load, fake_warn, NULL),
		0);
	make_file("list", "/a.ko\n\n/bad.ko\n/c.ko", 20, 0600);
	assert_int_equal(
		modules_load(in_dir("list"), "", fake_load, fake_warn, NULL),
		0);
	assert_string_equal(written, "[/a.ko][/c.ko]");
	assert_int_equal(warned, 1);
}

static void load_for(const char *devices)
{
	static const char list[] = "/a.ko\n"
				   "/scsi.ko 1af41004,1af41048\n"
				   "/nic.ko 1af41000\n";

	written[0] = '\0';
	make_file("list", list, sizeof(list) - 1, 0600);
	make_file("devices", devices, strlen(devices), 0600);
	assert_int_equal(modules_load(in_dir("list"), in_dir("devices"),
				      fake_load, fake_warn, NULL),
			 0);
}

static void test_modules_load_for_devices_that_are_there(void **state)
{
	(void)state;
	refused = "bad";
	load_for("");
	assert_string_equal(written, "[/a.ko]");
	load_for("0000\t80862918\t0\n0018\t1af41048\tb\t1af41000\n");
	assert_string_equal(written, "[/a.ko][/scsi.ko]");
	load_for("0018\t1af41000\tb\n0020\t1af41004\tb\n");
	assert_string_equal(written, "[/a.ko][/scsi.ko][/nic.ko]");
	assert_int_equal(unlink(in_dir("devices")), 0);
	written[0] = '\0';
	assert_int_equal(modules_load(in_dir("list"), in_dir("devices"),
				      fake_load, fake_warn, NULL),
			 0);
	assert_string_equal(written, "[/a.ko][/scsi.ko][/nic.ko]");
}

static void test_a_list_beyond_its_limit_is_refused(void **state)
{
	static char big[MODULES_LIST_MAX];

	(void)state;
	memset(big, '\n', sizeof(big));
	make_file("big", big, sizeof(big), 0600);
	assert_int_equal(
		modules_load(in_dir("big"), "", fake_load, fake_warn, NULL),
		-EFBIG);
	make_file("fits", big, sizeof(big) - 1, 0600);
	assert_int_equal(
		modules_load(in_dir("fits"), "", fake_load, fake_warn, NULL),
		0);
}

/* --- entropy ----------------------------------------------------------------- */

static int listener = -1;

static struct transport host(void)
{
	struct transport t = { .kind = TRANSPORT_UNIX };

	(void)snprintf(t.base, sizeof(t.base), "%s/v", dir);
	return t;
}

/* A child that accepts once and sends @len bytes, then closes or holds on. */
static pid_t start_host(size_t len, bool hold)
{
	static const char bytes[65536];
	const struct transport t = host();
	pid_t pid;
	int fd;

	assert_int_equal(transport_listen(&t, 1, 1, &listener, NULL), 0);
	pid = fork();
	if (pid != 0)
		return pid;
	(void)fd_nonblock(listener, false);
	fd = accept(listener, NULL, NULL);
	(void)send(fd, bytes, len, MSG_NOSIGNAL);
	if (hold)
		(void)pause(); /* until it is killed */
	_exit(0);
}

static void stop_host(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fd_close(&listener);
	transport_unlink(&(struct transport){ .kind = host().kind }, 1);
	(void)unlink(in_dir("v_1"));
}

static void test_entropy_is_read_to_its_end(void **state)
{
	const struct transport t = host();
	const pid_t pid = start_host(512, false);
	unsigned char buf[ENTROPY_MAX];
	size_t len = 0;

	(void)state;
	assert_int_equal(entropy_read(&t, 1, buf, 30000, &len, NULL), 0);
	assert_int_equal(len, 512);
	stop_host(pid);
}

/* W-C24: the reference waits for a silent host for ever. */
static void test_w_c24_a_silent_entropy_host_ends_at_the_deadline(void **state)
{
	const struct transport t = host();
	const pid_t pid = start_host(100, true);
	unsigned char buf[ENTROPY_MAX];
	size_t len = 0;

	(void)state;
	assert_int_equal(entropy_read(&t, 1, buf, 500, &len, NULL), -ETIMEDOUT);
	assert_int_equal(len, 100); /* what came before counts */
	stop_host(pid);
}

static void test_w_c24_an_endless_entropy_host_is_cut_off(void **state)
{
	const struct transport t = host();
	const pid_t pid = start_host(65536, true);
	unsigned char buf[ENTROPY_MAX];
	size_t len = 0;

	(void)state;
	assert_int_equal(entropy_read(&t, 1, buf, 30000, &len, NULL), 0);
	assert_int_equal(len, ENTROPY_MAX);
	stop_host(pid);
}

static void test_no_host_is_an_error_at_once(void **state)
{
	const struct transport t = host();
	unsigned char buf[ENTROPY_MAX];
	size_t len = 1;

	(void)state;
	assert_int_equal(entropy_read(&t, 1, buf, 30000, &len, NULL), -ENOENT);
	assert_int_equal(len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_w_c25_cgroup_word_is_an_exact_kernel_word),
		T(test_w_c26_a_refused_controller_disables_no_other),
		T(test_w_c26_a_controller_name_has_a_bound),
		T(test_modules_load_in_order_and_past_a_failure),
		T(test_modules_load_for_devices_that_are_there),
		T(test_a_list_beyond_its_limit_is_refused),
		T(test_entropy_is_read_to_its_end),
		T(test_w_c24_a_silent_entropy_host_ends_at_the_deadline),
		T(test_w_c24_an_endless_entropy_host_is_cut_off),
		T(test_no_host_is_an_error_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
