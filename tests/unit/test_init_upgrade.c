/* Another program in the agent's place: by files in a folder of the test's. */
#include "tests/unit/init_dir.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "init/upgrade.h"

#define NOW 1000

static struct upgrade u;

/* The least that has the agent's note, and a byte to tell them apart. */
static void agent_file(const char *name, char mark)
{
	struct {
		ElfW(Ehdr) head;
		ElfW(Phdr) table[1];
		ElfW(Nhdr) note;
		char owner[8];
		uint32_t version;
		char mark;
	} f;

	memset(&f, 0, sizeof(f));
	memcpy(f.head.e_ident, ELFMAG, SELFMAG);
	f.head.e_ident[EI_CLASS] = ELFCLASS64;
	f.head.e_phentsize = sizeof(f.table[0]);
	f.head.e_phnum = 1;
	f.head.e_phoff = sizeof(f.head);
	f.table[0].p_type = PT_NOTE;
	f.table[0].p_offset = sizeof(f.head) + sizeof(f.table);
	f.table[0].p_filesz = sizeof(f.note) + 12;
	f.note = (ElfW(Nhdr)){ 6, 4, CONTROL_NOTE_AGENT };
	memcpy(f.owner, "ferry", 6);
	f.version = CONTROL_VERSION;
	f.mark = mark;
	make_file(name, &f, sizeof(f), 0700);
	assert_int_equal(program_note(in_dir(name)), CONTROL_NOTE_AGENT);
}

static char mark_of(const char *name)
{
	const int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	char byte = 0;

	if (fd < 0)
		return '-';
	(void)lseek(fd,
		    sizeof(ElfW(Ehdr)) + sizeof(ElfW(Phdr)) +
			    sizeof(ElfW(Nhdr)) + 12,
		    SEEK_SET);
	(void)!read(fd, &byte, 1);
	(void)close(fd);
	return byte;
}

static void expect(char now, char old, char new)
{
	assert_int_equal(mark_of("gcs"), now);
	assert_int_equal(mark_of("gcs.old"), old);
	assert_int_equal(mark_of("gcs.new"), new);
}

static void begin(void)
{
	agent_file("gcs", 'a');
	upgrade_init(&u, in_dir("gcs"), "");
	assert_string_equal(u.path, in_dir("gcs"));
}

static void test_without_a_new_one_nothing_happens(void **state)
{
	(void)state;
	begin();
	upgrade_begin(&u, NOW);
	expect('a', '-', '-');
	assert_false(upgrade_late(&u, INT64_MAX));
	upgrade_stable(&u);
	assert_false(upgrade_ended(&u));
	expect('a', '-', '-');
}

static void test_a_new_one_stays_when_it_is_stable(void **state)
{
	(void)state;
	begin();
	agent_file("gcs.new", 'b');
	upgrade_begin(&u, NOW);
	expect('b', 'a', '-');
	upgrade_stable(&u);
	upgrade_stable(&u);
	expect('b', '-', '-');
	assert_false(upgrade_ended(&u));
	expect('b', '-', '-');
}

static void test_the_one_before_comes_back(void **state)
{
	(void)state;
	begin();
	agent_file("gcs.new", 'b');
	upgrade_begin(&u, NOW);
	assert_true(upgrade_ended(&u));
	expect('a', '-', '-');
	assert_false(upgrade_ended(&u)); /* its own end is another thing */
	upgrade_begin(&u, NOW);
	expect('a', '-', '-');
}

static void test_a_trial_has_an_end(void **state)
{
	(void)state;
	begin();
	agent_file("gcs.new", 'b');
	upgrade_begin(&u, NOW);
	assert_false(upgrade_late(&u, NOW + UPGRADE_TRIAL_MS - 1));
	assert_true(upgrade_late(&u, NOW + UPGRADE_TRIAL_MS));
	upgrade_stable(&u);
	assert_false(upgrade_late(&u, INT64_MAX));
}

static void test_what_is_no_agent_is_removed(void **state)
{
	(void)state;
	begin();
	make_file("gcs.new", "#!/bin/sh\n", 10, 0700);
	upgrade_begin(&u, NOW);
	assert_int_equal(access(in_dir("gcs.new"), F_OK), -1);
	expect('a', '-', '-');
	assert_false(upgrade_ended(&u));
}

static void test_another_command_is_left_alone(void **state)
{
	(void)state;
	agent_file("gcs", 'a');
	agent_file("gcs.new", 'b');
	upgrade_init(&u, NULL, "");
	upgrade_begin(&u, NOW);
	expect('a', '-', 'b');
	upgrade_init(&u, in_dir("none"), "");
	upgrade_begin(&u, NOW);
	assert_false(upgrade_ended(&u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_without_a_new_one_nothing_happens),
		T(test_a_new_one_stays_when_it_is_stable),
		T(test_the_one_before_comes_back),
		T(test_a_trial_has_an_end),
		T(test_what_is_no_agent_is_removed),
		T(test_another_command_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
