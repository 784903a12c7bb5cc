/*
 * tests/unit/test_vm.c - a QEMU process from start to end
 *
 * This program plays QEMU too: started with QEMU's arguments, it behaves as
 * the word behind -append says.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/vm.h"

#define SOON_MS 20000

/* --- the played QEMU --------------------------------------------------- */

static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return "";
}

static int qmp_connect(const char *spec)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s",
		       spec + sizeof("unix:") - 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		_exit(9);
	return fd;
}

static void say(int fd, const char *text)
{
	if (fd_write_full(fd, text, strlen(text)) < 0)
		_exit(8);
}

/* Waits for one line that has @word in it. */
static void hear(int fd, const char *word)
{
	char buf[1024];
	size_t n = 0;

	while (n + 1 < sizeof(buf) && read(fd, buf + n, 1) == 1) {
		n++;
		buf[n] = '\0';
		if (buf[n - 1] == '\n' && strstr(buf, word))
			return;
	}
	_exit(7);
}

#define SHUTDOWN(reason)                                                        \
	"{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"" reason \
	"\"}}\r\n"

static int play(int argc, char **argv)
{
	const char *role = option(argc, argv, "-append");
	int fd;

	if (strcmp(role, "refuse") == 0) {
		(void)fprintf(stderr, "warning: no\nqemu: bad\tdevice\n");
		return 1;
	}
	if (strcmp(role, "environment") == 0) {
		(void)fprintf(stderr, "%s %s\n", getenv("FERRY_VSOCK_BASE"),
			      getenv("FERRY_TEST_SECRET") ? "leak" : "clean");
		return 1;
	}
	fd = qmp_connect(option(argc, argv, "-qmp"));
	say(fd, "{\"QMP\":{}}\r\n");
	hear(fd, "qmp_capabilities");
	say(fd, "{\"return\":{},\"id\":1}\r\n");
	if (strcmp(role, "off") == 0)
		say(fd, SHUTDOWN("guest-shutdown"));
	else if (strcmp(role, "failed") == 0)
		say(fd,
		    "{\"event\":\"GUEST_PANICKED\",\"data\":{}}\r\n" SHUTDOWN(
			    "guest-shutdown"));
	else if (strcmp(role, "panic") == 0)
		say(fd, SHUTDOWN("guest-reset"));
	else if (strcmp(role, "quit") == 0)
		hear(fd, "\"quit\"");
	else if (strcmp(role, "stubborn") == 0)
		(void)pause();
	return 0;
}

/* --- the tests --------------------------------------------------------- */

struct fixture {
	struct loop *loop;
	struct vm *vm;
	char dir[64];
	char qmp[96];
	struct vm_options o;
	int ready;
	int ended;
	int budget_guest_ms; /* -1: no vm_stop() when ready */
};

static void on_ready(void *ctx)
{
	struct fixture *f = ctx;
	const struct vm_budget b = {
		.guest_ms = f->budget_guest_ms,
		.quit_ms = 50,
		.kill_ms = SOON_MS,
	};

	f->ready++;
	if (f->budget_guest_ms >= 0)
		vm_stop(f->vm, &b);
}

static void on_ended(void *ctx)
{
	((struct fixture *)ctx)->ended++;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/vm-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->qmp, sizeof(f->qmp), "%s/qmp", f->dir);
	f->o.qemu = (struct qemu_options){
		.binary = "/proc/self/exe",
		.accel = ACCEL_TCG,
		.memory_mib = 64,
		.processors = 1,
		.kernel = "k",
		.initrd = "i",
		.qmp = f->qmp,
		.cid = 3,
	};
	f->budget_guest_ms = -1;
	assert_int_equal(loop_new(&f->loop, &e), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vm_free(f->vm);
	loop_free(f->loop);
	(void)unlink(f->qmp);
	assert_int_equal(rmdir(f->dir), 0);
	/* No child is left, living or dead. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	free(f);
	return 0;
}

static int start(struct fixture *f, const char *role, struct err *e)
{
	const struct vm_handler h = {
		.ready = on_ready,
		.ended = on_ended,
		.ctx = f,
	};

	f->o.qemu.append = role;
	return vm_start(&f->vm, f->loop, &f->o, &h, e);
}

/* Turns until the VM has ended, or fails the test. */
static void run_to_end(struct fixture *f, const char *role)
{
	struct err e;
	int64_t limit;

	assert_int_equal(start(f, role, &e), 0);
	assert_int_equal(vm_end(f->vm), VM_END_NONE);
	limit = loop_now_ms(f->loop) + SOON_MS;
	while (!f->ended && loop_now_ms(f->loop) < limit)
		assert_true(loop_turn(f->loop, 100, &e) >= 0);
	assert_int_equal(f->ended, 1);
	/* Not only given up, but dead and reaped. */
	assert_int_equal(vm_pid(f->vm), -1);
}

static void vm_power_off_is_orderly(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	run_to_end(f, "off");
	assert_int_equal(f->ready, 1);
	assert_int_equal(vm_end(f->vm), VM_END_ORDERLY);
	assert_int_equal(vm_end_err(f->vm, &e), 0);
}

static void vm_sign_of_pid_1_is_a_failure(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	run_to_end(f, "failed");
	assert_int_equal(vm_end(f->vm), VM_END_FAILED);
	assert_int_equal(vm_end_err(f->vm, &e), -EIO);
}

static void vm_reset_is_a_panic(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	run_to_end(f, "panic");
	assert_int_equal(vm_end(f->vm), VM_END_PANIC);
	assert_int_equal(vm_end_err(f->vm, &e), -EIO);
}

static void vm_refusal_of_qemu_has_its_last_words(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	run_to_end(f, "refuse");
	assert_int_equal(vm_end(f->vm), VM_END_QEMU);
	assert_int_equal(vm_end_err(f->vm, &e), -EIO);
	assert_string_equal(e.text, "QEMU ended with status 1: "
				    "qemu: bad\\x09device");
}

static void vm_environment_is_its_own(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(setenv("FERRY_TEST_SECRET", "x", 1), 0);
	f->o.vsock_base = "/run/v";
	run_to_end(f, "environment");
	assert_string_equal(vm_stderr(f->vm), "/run/v clean\n");
}

/* It ends with status 0 and says nothing: that is no orderly end. */
static void vm_silent_end_is_not_orderly(void **state)
{
	struct fixture *f = *state;

	run_to_end(f, "silent");
	assert_int_equal(vm_end(f->vm), VM_END_QEMU);
}

static void vm_stop_asks_qemu_to_quit(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	f->budget_guest_ms = 0;
	run_to_end(f, "quit");
	assert_int_equal(vm_end(f->vm), VM_END_STOPPED);
	assert_int_equal(vm_end_err(f->vm, &e), -ECANCELED);
}

static void vm_stop_kills_what_does_not_listen(void **state)
{
	struct fixture *f = *state;

	f->budget_guest_ms = 0;
	run_to_end(f, "stubborn");
	assert_int_equal(vm_end(f->vm), VM_END_STOPPED);
}

static void vm_stop_gives_the_guest_its_time(void **state)
{
	struct fixture *f = *state;

	f->budget_guest_ms = SOON_MS;
	run_to_end(f, "off");
	assert_int_equal(vm_end(f->vm), VM_END_ORDERLY);
}

static void vm_free_leaves_no_process(void **state)
{
	struct fixture *f = *state;
	struct err e;

	assert_int_equal(start(f, "stubborn", &e), 0);
	assert_int_equal(kill(vm_pid(f->vm), 0), 0);
}

static void vm_program_that_is_missing(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	f->o.qemu.binary = "/nowhere/qemu";
	assert_int_equal(start(f, "off", &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nowhere/qemu"));
	assert_null(f->vm);
}

#define VM_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		VM_TEST(vm_power_off_is_orderly),
		VM_TEST(vm_sign_of_pid_1_is_a_failure),
		VM_TEST(vm_reset_is_a_panic),
		VM_TEST(vm_refusal_of_qemu_has_its_last_words),
		VM_TEST(vm_environment_is_its_own),
		VM_TEST(vm_silent_end_is_not_orderly),
		VM_TEST(vm_stop_asks_qemu_to_quit),
		VM_TEST(vm_stop_kills_what_does_not_listen),
		VM_TEST(vm_stop_gives_the_guest_its_time),
		VM_TEST(vm_free_leaves_no_process),
		VM_TEST(vm_program_that_is_missing),
	};

	if (argc > 1)
		return play(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
