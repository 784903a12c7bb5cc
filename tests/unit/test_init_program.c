/* Programs, their note, and how PID 1 starts them. */
#include "tests/unit/init_dir.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "init/launch.h"
#include "init/program.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_note_is_found_and_nothing_else),
		T(test_a_damaged_program_has_no_note_or_the_same),
		T(test_programs_are_searched_like_a_shell_does),
		T(test_control_goes_to_the_agent_alone),
		T(test_a_child_gets_exactly_its_environment),
		T(test_a_child_has_its_limits_and_its_session),
		T(test_what_cannot_be_executed_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
