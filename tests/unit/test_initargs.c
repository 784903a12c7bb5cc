#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "config/util.h"
#include "cmdline/initargs.h"
#include "cmdline/mode.h"

#define ARGS_MAX 16

/* Splits a text at blanks; "_" stands for an empty argument. */
static int split(char *text, char **argv)
{
	int argc = 0;

	for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) {
		assert_true(argc < ARGS_MAX);
		argv[argc++] = strcmp(w, "_") == 0 ? w + 1 : w;
	}
	argv[argc] = NULL;
	return argc;
}

static int parse(char *text, struct init_args *a, struct err *e)
{
	static char *argv[ARGS_MAX + 1];
	const int argc = split(text, argv);

	return initargs_parse(argc, argv, a, e);
}

static void test_full_line(void **state UNUSED)
{
	char text[] = "/init -e 1 -w -d /bin/sh /bin/vsockexec -e 109 /bin/gcs";
	struct init_args a;

	assert_int_equal(parse(text, &a, NULL), 0);
	assert_int_equal(a.entropy_port, 1);
	assert_true(a.overlay);
	assert_string_equal(a.shell, "/bin/sh");
	assert_false(a.defaulted);
	assert_string_equal(a.command[0], "/bin/vsockexec");
	assert_string_equal(a.command[1], "-e");
	assert_null(a.command[4]);
}

static void test_bundles(void **state UNUSED)
{
	char one[] = "/init -we1 x", two[] = "/init -dsh -w -- -e 2";
	struct init_args a;

	assert_int_equal(parse(one, &a, NULL), 0);
	assert_int_equal(a.entropy_port, 1);
	assert_true(a.overlay);
	assert_string_equal(a.command[0], "x");

	assert_int_equal(parse(two, &a, NULL), 0);
	assert_string_equal(a.shell, "sh");
	assert_int_equal(a.entropy_port, 0);
	assert_string_equal(a.command[0], "-e");
}

static void
test_w_c24_no_command_is_the_agent_without_a_shell(void **state UNUSED)
{
	static const char *const texts[] = { "/init", "/init -w", "/init -e 1",
					     "/init -w --" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char text[32];
		struct init_args a;

		memcpy(text, texts[i], strlen(texts[i]) + 1);
		assert_int_equal(parse(text, &a, NULL), 0);
		assert_true(a.defaulted);
		assert_null(a.shell);
		assert_string_equal(a.command[0], "/bin/gcs");
		assert_string_equal(a.command[3], "-logfile=/run/gcs/gcs.log");
		assert_null(a.command[4]);
		assert_int_equal(mode_choose(a.command).mode,
				 GUEST_MODE_MIGRATABLE);
	}
	assert_int_equal(
		initargs_parse(0, NULL, &(struct init_args){ 0 }, NULL), 0);
}

static void test_w_c24_the_entropy_port_is_strict(void **state UNUSED)
{
	static const struct {
		const char *text;
		uint32_t port; /* 0: refused */
	} rows[] = {
		{ "/init -e 1 x", 1 },
		{ "/init -e 4294967294 x", 4294967294u },
		{ "/init -e 4294967295 x", 0 },
		{ "/init -e 0 x", 0 },
		{ "/init -e -1 x", 0 },
		{ "/init -e 1x x", 0 },
		{ "/init -e _ x", 0 },
		{ "/init -e 0x1 x", 0 },
		{ "/init -e", 0 },
		{ "/init -d", 0 },
		{ "/init -q x", 0 },
		{ "/init -wq x", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];
		struct init_args a;
		struct err e = { 0 };

		memcpy(text, rows[i].text, strlen(rows[i].text) + 1);
		assert_int_equal(parse(text, &a, &e),
				 rows[i].port ? 0 : -EINVAL);
		assert_int_equal(a.entropy_port, rows[i].port);
		assert_non_null(a.command[0]);
		if (!rows[i].port)
			assert_true(a.defaulted && e.text[0] != '\0');
	}
}

static void test_modes(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum guest_mode mode;
		int agent;
		unsigned int port;
	} rows[] = {
		{ "/bin/gcs -v4", GUEST_MODE_MIGRATABLE, 0, 0 },
		{ "gcs", GUEST_MODE_MIGRATABLE, 0, 0 },
		{ "/bin/vsockexec -e 109 /bin/gcs -v4", GUEST_MODE_CLASSIC, 3,
		  109 },
		{ "/bin/vsockexec -r -e 109 /bin/gcs", GUEST_MODE_RELAY, 4,
		  109 },
		{ "vsockexec -re109 -- gcs -e 5", GUEST_MODE_RELAY, 3, 109 },
		{ "vsockexec -o 7 gcs -r", GUEST_MODE_CLASSIC, 3, 7 },
		{ "vsockexec -e x gcs", GUEST_MODE_CLASSIC, 3, 0 },
		{ "vsockexec -e", GUEST_MODE_CLASSIC, -1, 0 },
		{ "sh -c x", GUEST_MODE_CONSOLE, -1, 0 },
		{ "/bin/true", GUEST_MODE_OTHER, -1, 0 },
		{ "/bin/gcs/", GUEST_MODE_OTHER, -1, 0 },
		{ "", GUEST_MODE_OTHER, -1, 0 },
		{ "_", GUEST_MODE_OTHER, -1, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *argv[ARGS_MAX + 1];
		char text[64];
		struct mode m;

		memcpy(text, rows[i].text, strlen(rows[i].text) + 1);
		(void)split(text, argv);
		m = mode_choose(argv);
		assert_string_equal(mode_name(m.mode), mode_name(rows[i].mode));
		assert_int_equal(m.agent, rows[i].agent);
		assert_int_equal(m.log_port, rows[i].port);
		assert_non_null(m.reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_line),
		cmocka_unit_test(test_bundles),
		cmocka_unit_test(
			test_w_c24_no_command_is_the_agent_without_a_shell),
		cmocka_unit_test(test_w_c24_the_entropy_port_is_strict),
		cmocka_unit_test(test_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
