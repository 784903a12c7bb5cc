/* What PID 1 does before the command runs, as far as a host can see it. */
#include "tests/unit/unit.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"
#include "init/cgroup.h"
#include "init/drain.h"
#include "init/entropy.h"
#include "init/file.h"
#include "init/launch.h"
#include "init/life.h"
#include "init/modules.h"
#include "init/program.h"
#include "init/ring.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/ferry-init-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command); /* NOLINT: our own folder */
}

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned int turn;
	char *p = path[turn++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void make_file(const char *name, const void *data, size_t len,
		      mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, data, len), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	fd_close(&fd);
}

/* --- cgroups ------------------------------------------------------------- */

static bool v1(const char *text)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "%s", text);
	return cgroup_v1_asked(line);
}

/* W-C25: the reference matches inside values and misses tabs and quotes. */
static void test_cgroup_v1_is_an_exact_kernel_word(void **state)
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
static void test_a_refused_controller_does_not_disable_the_others(void **state)
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
static void test_cgroup_v1_controllers_are_found(void **state)
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
		modules_load(in_dir("absent"), fake_load, fake_warn, NULL), 0);
	make_file("list", "/a.ko\n\n/bad.ko\n/c.ko", 20, 0600);
	assert_int_equal(
		modules_load(in_dir("list"), fake_load, fake_warn, NULL), 0);
	assert_string_equal(written, "[/a.ko][/c.ko]");
	assert_int_equal(warned, 1);
}

static void test_a_list_beyond_its_limit_is_refused(void **state)
{
	static char big[MODULES_LIST_MAX];

	(void)state;
	memset(big, '\n', sizeof(big));
	make_file("big", big, sizeof(big), 0600);
	assert_int_equal(
		modules_load(in_dir("big"), fake_load, fake_warn, NULL),
		-EFBIG);
	make_file("fits", big, sizeof(big) - 1, 0600);
	assert_int_equal(
		modules_load(in_dir("fits"), fake_load, fake_warn, NULL), 0);
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
	transport_unlink(&(struct transport){ host().kind, 0, { 0 } }, 1);
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
static void test_a_silent_host_ends_at_the_deadline(void **state)
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

static void test_an_endless_host_is_cut_off(void **state)
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

/* --- programs and their note ---------------------------------------------------- */

struct elf {
	ElfW(Ehdr) head;
	ElfW(Phdr) table[2];
	ElfW(Nhdr) other;
	char other_name[8];
	ElfW(Nhdr) note;
	char name[8];
	uint32_t version;
};

static struct elf agent_elf(uint32_t type)
{
	struct elf f = {
		.head = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64 },
			  .e_phentsize = sizeof(ElfW(Phdr)),
			  .e_phnum = 2,
			  .e_phoff = offsetof(struct elf, table) },
		.table = { { .p_type = PT_LOAD },
			   { .p_type = PT_NOTE,
			     .p_offset = offsetof(struct elf, other),
			     .p_filesz = sizeof(struct elf) -
					 offsetof(struct elf, other) } },
		.other = { .n_namesz = 6, .n_type = 1 },
		.other_name = "other",
		.note = { .n_namesz = 6, .n_descsz = 4, .n_type = type },
		.name = "ferry",
		.version = CONTROL_VERSION,
	};

	return f;
}

static uint32_t note_of(const struct elf *f, size_t len)
{
	(void)unlink(in_dir("elf"));
	make_file("elf", f, len, 0700);
	return program_note(in_dir("elf"));
}

static void test_the_note_is_found_and_nothing_else(void **state)
{
	struct elf f = agent_elf(CONTROL_NOTE_AGENT);

	(void)state;
	assert_int_equal(note_of(&f, sizeof(f)), CONTROL_NOTE_AGENT);
	f.note.n_type = CONTROL_NOTE_WRAPPER;
	assert_int_equal(note_of(&f, sizeof(f)), CONTROL_NOTE_WRAPPER);
	f.version = CONTROL_VERSION + 1;
	assert_int_equal(note_of(&f, sizeof(f)), 0);
	f = agent_elf(1);
	f.name[0] = 'F';
	assert_int_equal(note_of(&f, sizeof(f)), 0);
	f = agent_elf(1);
	f.head.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(note_of(&f, sizeof(f)), 0);
	assert_int_equal(program_note(in_dir("absent")), 0);
	assert_int_equal(program_note("/dev/null"), 0);
	assert_int_equal(program_note(dir), 0);
	assert_int_equal(program_note("/bin/sh"), 0);
}

/* Whatever stands in the file: cut it and damage it everywhere. */
static void test_a_damaged_program_has_no_note_or_the_same(void **state)
{
	const struct elf good = agent_elf(CONTROL_NOTE_AGENT);

	(void)state;
	/* The last member ends before the padding of the struct does. */
	for (size_t len = 0; len < offsetof(struct elf, version) + 4; len++)
		assert_int_equal(note_of(&good, len), 0);
	for (size_t i = 0; i < sizeof(good); i++) {
		struct elf bad = good;

		((unsigned char *)&bad)[i] ^= 0xff;
		(void)note_of(&bad, sizeof(bad)); /* no fault, no hang */
	}
}

static void test_programs_are_searched_like_a_shell_does(void **state)
{
	char path[PROGRAM_PATH_MAX], search[256];
	static char name[2 * PROGRAM_PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(in_dir("a"), 0700), 0);
	assert_int_equal(mkdir(in_dir("b"), 0700), 0);
	make_file("a/plain", "x", 1, 0600);
	make_file("b/plain", "x", 1, 0700);
	make_file("a/only", "x", 1, 0600);
	(void)snprintf(search, sizeof(search), "%s/a:%s/b", dir, dir);
	assert_int_equal(program_find("plain", search, path, NULL), 0);
	assert_string_equal(path, in_dir("b/plain"));
	assert_int_equal(program_find("none", search, path, NULL), -ENOENT);
	assert_int_equal(program_find("", search, path, NULL), -ENOENT);
	assert_int_equal(program_find(dir, search, path, NULL), -EACCES);
	memset(name, 'x', sizeof(name) - 1);
	assert_int_equal(program_find(name, search, path, NULL), -ENAMETOOLONG);
	if (geteuid() != 0) /* root may execute only what has some x bit */
		return;
	assert_int_equal(program_find("only", search, path, NULL), -EACCES);
}

static void test_control_goes_to_the_agent_alone(void **state)
{
	const struct elf agent = agent_elf(CONTROL_NOTE_AGENT);
	const struct elf wrapper = agent_elf(CONTROL_NOTE_WRAPPER);
	static char gcs[] = "gcs", sh[] = "sh", vx[] = "vsockexec", r[] = "-r";
	char *const plain[] = { gcs, NULL };
	char *const shell[] = { sh, NULL };
	char *const wrapped[] = { vx, r, gcs, NULL };
	char *const foreign[] = { sh, r, gcs, NULL };
	char *const wrapped_shell[] = { vx, r, sh, NULL };

	(void)state;
	make_file("gcs", &agent, sizeof(agent), 0700);
	make_file("vsockexec", &wrapper, sizeof(wrapper), 0700);
	make_file("sh", "#!/bin/sh\n", 10, 0700);
	assert_true(program_takes_control(plain, 0, dir));
	assert_true(program_takes_control(wrapped, 2, dir));
	assert_false(program_takes_control(shell, 0, dir));
	assert_false(program_takes_control(foreign, 2, dir));
	assert_false(program_takes_control(wrapped_shell, 2, dir));
	assert_false(program_takes_control(plain, -1, dir));
	assert_false(program_takes_control(wrapped, 0, dir));
}

/* --- launching -------------------------------------------------------------------- */

static const char *run_and_read(const char *script, int control)
{
	static char out[2048];
	static char sh[] = "/bin/sh", c[] = "-c";
	char copy[256];
	char *const argv[] = { sh, c, copy, NULL };
	struct launch l = { argv, -1, -1, control };
	struct err e = { 0 };
	int ends[2];
	ssize_t n;
	pid_t pid;

	(void)snprintf(copy, sizeof(copy), "%s", script);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	l.out = ends[1];
	assert_int_equal(launch_start(&l, &pid, &e), 0);
	fd_close(&ends[1]);
	n = fd_read_full(ends[0], out, sizeof(out) - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	fd_close(&ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return out;
}

static void test_a_child_gets_exactly_its_environment(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	(void)setenv("LEAK", "1", 1);
	assert_string_equal(
		run_and_read("tr '\\0' '\\n' </proc/$$/environ", -1),
		"PATH=/sbin:/usr/sbin:/bin:/usr/bin\n");
	assert_string_equal(
		run_and_read("tr '\\0' '\\n' </proc/$$/environ", fd),
		"PATH=/sbin:/usr/sbin:/bin:/usr/bin\nFERRY_CONTROL_FD=3\n");
	assert_string_equal(run_and_read("readlink /proc/$$/fd/3", fd),
			    "/dev/null\n");
	fd_close(&fd);
}

static void test_a_child_has_its_limits_and_its_session(void **state)
{
	struct rlimit now;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	if (now.rlim_max >= LAUNCH_NOFILE_HARD) /* else it takes privilege */
		assert_string_equal(run_and_read("ulimit -Sn; ulimit -Hn", -1),
				    "1024\n1048576\n");
	assert_string_equal(
		run_and_read("cut -d' ' -f6 /proc/$$/stat | sed s/^$$\\$/own/",
			     -1),
		"own\n");
	assert_string_equal(
		run_and_read("grep SigBlk /proc/$$/status | cut -f2", -1),
		"0000000000000000\n");
}

static void test_what_cannot_be_executed_is_an_error(void **state)
{
	static char text[128];
	char *const argv[] = { text, NULL };
	const struct launch l = { argv, -1, -1, -1 };
	struct err e = { 0 };
	pid_t pid = 77;

	(void)state;
	make_file("noise",
		  "\x7f"
		  "ELF is not all",
		  15, 0700);
	(void)snprintf(text, sizeof(text), "%s", in_dir("noise"));
	assert_int_equal(launch_start(&l, &pid, &e), -ENOEXEC);
	assert_non_null(strstr(e.text, "noise"));
	assert_int_equal(pid, 77);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
}

/* --- the end, and the log ----------------------------------------------------------- */

static struct life_next next;

static const struct life_next *ended(struct life *l, bool stable, int status)
{
	life_ended(l, stable, status, &next);
	return &next;
}

static void test_what_the_end_of_the_agent_means(void **state)
{
	struct life other = { .restartable = false };
	struct life l = { .restartable = true };

	(void)state;
	assert_int_equal(ended(&other, false, 0)->end, CONTROL_END_ORDERLY);
	assert_int_equal(ended(&other, true, 9)->end, CONTROL_END_FAILED);
	assert_false(ended(&other, true, 9)->restart);

	(void)ended(&l, false, 9);
	assert_false(next.restart); /* it has never been stable */
	l = (struct life){ .restartable = true };
	(void)ended(&l, true, 9);
	assert_true(next.restart);
	assert_int_equal(next.pause_ms, 0);
	assert_false(life_poisoned(&l));
	(void)ended(&l, false, 1 << 8);
	assert_true(next.restart);
	assert_int_equal(next.pause_ms, LIFE_PAUSE_MS);
	assert_false(life_poisoned(&l));
	assert_true(ended(&l, false, 9)->restart);
	assert_true(life_poisoned(&l));
	assert_false(ended(&l, true, 0)->restart);
	for (unsigned int i = 1; i < CONTROL_TRIES_MAX; i++)
		assert_true(ended(&l, false, 9)->restart);
	(void)ended(&l, false, 9);
	assert_false(next.restart);
	assert_int_equal(next.end, CONTROL_END_FAILED);
}

static void test_every_exit_code_has_its_words(void **state)
{
	char words[64], expected[64];

	(void)state;
	for (int code = 0; code < 256; code++) {
		life_words(code << 8, words, sizeof(words));
		(void)snprintf(expected, sizeof(expected),
			       "ended with status %d", code);
		assert_string_equal(words, expected);
	}
	for (int number = 1; number < 65; number++) {
		life_words(number | 0x80, words, sizeof(words));
		(void)snprintf(expected, sizeof(expected),
			       "was killed by signal %d", number);
		assert_string_equal(words, expected);
	}
}

static void test_the_ring_keeps_the_newest(void **state)
{
	struct ring r;
	const char *data;
	char line[64];
	uint64_t total = 0;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	data = (const char *)r.head + CONTROL_RING_DATA;
	for (unsigned int i = 0; i < 20000; i++) {
		const int n = snprintf(line, sizeof(line), "line %u\n", i);

		ring_put(&r, line, (size_t)n);
		total += (uint64_t)n;
	}
	assert_int_equal(r.head->magic, CONTROL_RING_MAGIC);
	assert_int_equal(r.head->head, total);
	assert_int_equal(r.head->dropped, total > CONTROL_RING_SIZE
						  ? total - CONTROL_RING_SIZE
						  : 0);
	for (int i = 0; i < 11; i++)
		assert_int_equal(
			data[(total - 11 + (uint64_t)i) % CONTROL_RING_SIZE],
			"line 19999\n"[i]);
	ring_done(&r);
	ring_put(&r, "x", 1); /* swallowed */
}

static void test_the_ring_takes_more_than_it_holds(void **state)
{
	static char much[CONTROL_RING_SIZE + 100];
	struct ring r;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	memset(much, 'a', 100);
	memset(much + 100, 'b', CONTROL_RING_SIZE);
	ring_put(&r, much, sizeof(much));
	assert_int_equal(r.head->head, sizeof(much));
	assert_null(memchr((char *)r.head + CONTROL_RING_DATA, 'a',
			   CONTROL_RING_SIZE));
	ring_done(&r);
}

/* The agent can read the ring, and nothing else. */
static void test_the_ring_is_sealed_for_others(void **state)
{
	struct ring r;
	char again[64];
	void *map;
	int fd;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	assert_int_equal(write(r.fd, "x", 1), -1);
	assert_int_equal(ftruncate(r.fd, 0), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, r.fd, 0),
			 MAP_FAILED);
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", r.fd);
	fd = open(again, O_RDWR | O_CLOEXEC);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0),
			 MAP_FAILED);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(map, 4096, PROT_READ | PROT_WRITE), -1);
	(void)munmap(map, 4096);
	fd_close(&fd);
	ring_done(&r);
}

static void test_levels_of_log_lines(void **state)
{
	(void)state;
	assert_int_equal(drain_level("warn msg=x"), KLOG_WARN);
	assert_int_equal(drain_level("err msg=x"), KLOG_ERR);
	assert_int_equal(drain_level("error: x"), KLOG_ERR);
	assert_int_equal(drain_level("info no error here"), KLOG_INFO);
	assert_int_equal(drain_level("time=\"x\" level=warning msg=y"),
			 KLOG_WARN);
	assert_int_equal(drain_level("{\"time\":\"\",\"level\":\"fatal\"}"),
			 KLOG_ERR);
	assert_int_equal(drain_level("{\"level\":\"info\",\"msg\":\"err\"}"),
			 KLOG_INFO);
	assert_int_equal(drain_level(""), KLOG_INFO);
}

static void test_a_pipe_is_drained_into_the_ring(void **state)
{
	struct ring r;
	struct drain d;
	uint64_t before;

	(void)state;
	assert_int_equal(ring_open(&r, NULL), 0);
	assert_int_equal(drain_open(&d, NULL), 0);
	drain_turn(&d, &r, 0); /* nothing there: does not block */
	assert_int_equal(r.head->head, 0);
	before = 0;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(write(d.writer, "info a line\n", 12), 12);
		drain_turn(&d, &r, 0);
		before += 12;
		assert_int_equal(r.head->head, before);
	}
	fd_close(&d.fd);
	fd_close(&d.writer);
	ring_done(&r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_cgroup_v1_is_an_exact_kernel_word),
		T(test_a_refused_controller_does_not_disable_the_others),
		T(test_cgroup_v1_controllers_are_found),
		T(test_modules_load_in_order_and_past_a_failure),
		T(test_a_list_beyond_its_limit_is_refused),
		T(test_entropy_is_read_to_its_end),
		T(test_a_silent_host_ends_at_the_deadline),
		T(test_an_endless_host_is_cut_off),
		T(test_no_host_is_an_error_at_once),
		T(test_the_note_is_found_and_nothing_else),
		T(test_a_damaged_program_has_no_note_or_the_same),
		T(test_programs_are_searched_like_a_shell_does),
		T(test_control_goes_to_the_agent_alone),
		T(test_a_child_gets_exactly_its_environment),
		T(test_a_child_has_its_limits_and_its_session),
		T(test_what_cannot_be_executed_is_an_error),
		T(test_what_the_end_of_the_agent_means),
		T(test_every_exit_code_has_its_words),
		T(test_the_ring_keeps_the_newest),
		T(test_the_ring_takes_more_than_it_holds),
		T(test_the_ring_is_sealed_for_others),
		T(test_levels_of_log_lines),
		T(test_a_pipe_is_drained_into_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
