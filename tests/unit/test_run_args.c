/* tests/unit/test_run_args.c - the command line of ferry run */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "tools/run_args.h"

#define WORDS_MAX 32

/* argv as main has it: words that may be written to. */
struct line {
	char *argv[WORDS_MAX + 1];
	int argc;
};

static enum run_args_result parse(struct line *l, const char *const *words,
				  struct run_args *a)
{
	*l = (struct line){ 0 };
	for (; *words; words++) {
		assert_true(l->argc < WORDS_MAX);
		l->argv[l->argc] = strdup(*words);
		assert_non_null(l->argv[l->argc]);
		l->argc++;
	}
	return run_args_parse(l->argc, l->argv, a);
}

static void release(struct line *l, struct run_args *a)
{
	run_args_done(a);
	for (int i = 0; i < l->argc; i++)
		free(l->argv[i]);
}

#define PARSE(l, a, ...)                                                       \
	parse(l, (const char *const[]){ "run", __VA_ARGS__, NULL }, a)

static void nothing_but_a_command(void **state UNUSED)
{
	struct run_args a;
	struct line l;

	assert_int_equal(PARSE(&l, &a, "/bin/true"), RUN_ARGS_GO);
	assert_int_equal(a.command.n, 1);
	assert_string_equal(a.command.item[0], "/bin/true");
	assert_null(a.kernel);
	assert_null(a.image);
	assert_int_equal(a.forwarder, FORWARDERS);
	assert_int_equal(a.accel, ACCEL_AUTO);
	assert_int_equal(a.vsock, VHOST_AUTO);
	assert_false(a.tty || a.interactive || a.verbose || a.json);
	assert_string_equal(a.workdir, "");
	release(&l, &a);
}

static void all_options(void **state UNUSED)
{
	struct run_args a;
	struct line l;

	assert_int_equal(PARSE(&l, &a, "--annotation", "k=v", "--config", "C",
			       "--kernel=K", "--image", "I", "--memory", "256",
			       "--processors", "3", "--forwarder", "relay",
			       "-t", "--env", "A=1", "--env", "B=x=y", "--env",
			       "A=2", "--workdir", "/w", "--accel", "tcg",
			       "--vsock=user", "--timeout=9", "--verbose", "--",
			       "cmd", "--verbose", "--"),
			 RUN_ARGS_GO);
	assert_string_equal(annotation_map_get(&a.annotations, "k"), "v");
	assert_string_equal(a.config, "C");
	assert_string_equal(a.kernel, "K");
	assert_string_equal(a.image, "I");
	assert_int_equal(a.memory_mib, 256);
	assert_int_equal(a.processors, 3);
	assert_int_equal(a.forwarder, FORWARDER_RELAY);
	assert_true(a.tty && a.interactive && a.verbose);
	assert_int_equal(a.env.n, 5); /* and PATH, HOME, TERM */
	assert_string_equal(a.env.item[2].name, "PATH");
	assert_string_equal(a.env.item[3].value, "/root");
	assert_string_equal(a.env.item[4].name, "TERM");
	assert_string_equal(a.env.item[0].name, "A");
	assert_string_equal(a.env.item[0].value, "2");
	assert_string_equal(a.env.item[1].value, "x=y");
	assert_string_equal(a.workdir, "/w");
	assert_int_equal(a.accel, ACCEL_TCG);
	assert_int_equal(a.vsock, VHOST_USER);
	assert_int_equal(a.timeout_s, 9);
	assert_int_equal(a.command.n, 3);
	assert_string_equal(a.command.item[1], "--verbose");
	assert_string_equal(a.command.item[2], "--");
	release(&l, &a);
}

/* Options of the command are the command's, with or without "--". */
static void options_end_at_the_command(void **state UNUSED)
{
	struct run_args a;
	struct line l;

	assert_int_equal(PARSE(&l, &a, "ls", "-t", "--json"), RUN_ARGS_GO);
	assert_int_equal(a.command.n, 3);
	assert_false(a.tty || a.json);
	release(&l, &a);
}

/* Every language is welcome, in UTF-8. */
static void text_is_utf8(void **state UNUSED)
{
	struct run_args a;
	struct line l;

	assert_int_equal(PARSE(&l, &a, "--env", "\xc3\xa9=\xe2\x82\xac",
			       "--workdir", "/\xf0\x9f\x9a\xa2", "--", "x",
			       "caf\xc3\xa9"),
			 RUN_ARGS_GO);
	assert_string_equal(a.command.item[1], "caf\xc3\xa9");
	release(&l, &a);
}

static void wrong_lines(void **state UNUSED)
{
	static const char *const bad[][4] = {
		{ "run", NULL },
		{ "run", "--", NULL },
		{ "run", "--nonsense", "x", NULL },
		{ "run", "--annotation", "novalue", NULL },
		{ "run", "--annotations", "/nowhere", NULL },
		{ "run", "--memory=1x", "x", NULL },
		{ "run", "--memory=63", "x", NULL },
		{ "run", "--memory=-64", "x", NULL },
		{ "run", "--processors=0", "x", NULL },
		{ "run", "--processors=256", "x", NULL },
		{ "run", "--timeout=0", "x", NULL },
		{ "run", "--timeout=99999999", "x", NULL },
		{ "run", "--boot-timeout=", "x", NULL },
		{ "run", "--accel=hvf", "x", NULL },
		{ "run", "--vsock=none", "x", NULL },
		{ "run", "--forwarder=loud", "x", NULL },
		{ "run", "--env=A", "x", NULL },
		{ "run", "--env==1", "x", NULL },
		{ "run", "--env=A=\xff", "x", NULL },
		{ "run", "--env=\xc3=1", "x", NULL },
		{ "run", "--workdir=/\xc0\xaf", "x", NULL },
		{ "run", "\x80", NULL },
		{ "run", "x", "caf\xe9", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct run_args a;
		struct line l;

		if (parse(&l, bad[i], &a) != RUN_ARGS_WRONG)
			fail_msg("accepted: %s", bad[i][1]);
		release(&l, &a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_but_a_command),
		cmocka_unit_test(all_options),
		cmocka_unit_test(options_end_at_the_command),
		cmocka_unit_test(text_is_utf8),
		cmocka_unit_test(wrong_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
