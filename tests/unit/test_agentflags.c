/*
 * tests/unit/test_agentflags.c - the agent's flags as the host's builder knows
 * them, and as the agent itself does
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "bridge/guest/flags.h"
#include "cmdline/agentflags.h"
#include "config/util.h"

#define WORDS_MAX 4

/* The class of one text of words with single blanks between them. */
static enum err_class check(const char *text)
{
	struct agentflags_scan s = { 0 };
	struct err e = { 0 };
	char copy[256], *at = copy;
	int r = 0;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	while (r == 0 && at) {
		const char *word = strsep(&at, " ");

		r = agentflags_word(&s, word, &e);
	}
	if (r == 0)
		r = agentflags_end(&s, &e);
	assert_int_equal(r < 0, e.class != ERR_NONE);
	return e.class;
}

static void test_words(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum err_class class;
	} rows[] = {
		{ "-loglevel Warning --log-format=json", ERR_NONE },
		{ "--loglevel=panic -log-format text", ERR_NONE },
		{ "-loglevel bogus", ERR_TEXT_INVALID },
		{ "-loglevel=", ERR_TEXT_INVALID },
		{ "-loglevel", ERR_TEXT_INVALID },
		{ "-log-format JSON", ERR_TEXT_INVALID },
		{ "-scrub-logs -scrub-logs=false", ERR_NONE },
		{ "-disable-time-sync=T", ERR_NONE },
		{ "-scrub-logs=yes", ERR_TEXT_INVALID },
		{ "-scrub-logs=", ERR_TEXT_INVALID },
		{ "-scrub-logs false", ERR_TEXT_STRAY_WORD },
		{ "-kmsgLogLevel=0 -kmsgLogLevel 7", ERR_NONE },
		{ "-kmsgLogLevel=07", ERR_TEXT_INVALID },
		{ "-kmsgLogLevel=0x7", ERR_TEXT_INVALID },
		{ "-kmsgLogLevel -1", ERR_TEXT_INVALID },
		{ "-kmsgLogLevel -scrub-logs", ERR_TEXT_INVALID },
		{ "-gcs-mem-limit-bytes=18446744073709551615", ERR_NONE },
		{ "-gcs-mem-limit-bytes=18446744073709551616",
		  ERR_TEXT_INVALID },
		{ "-root-mem-reserve-bytes 1048576", ERR_NONE },
		{ "-root-mem-reserve-bytes 1M", ERR_TEXT_INVALID },
		{ "-initial-policy-stance deny", ERR_NONE },
		{ "-initial-policy-stance=allow", ERR_NONE },
		{ "-initial-policy-stance=", ERR_TEXT_INVALID },
		{ "-core-dump-location=/var/core.%p", ERR_NONE },
		{ "-core-dump-location /a=b", ERR_NONE },
		{ "-core-dump-location=|/bin/sh", ERR_TEXT_INVALID },
		{ "-core-dump-location |/bin/sh", ERR_TEXT_INVALID },
		{ "--core-dump-location=|/bin/sh", ERR_TEXT_INVALID },
		{ "-core-dump-location=core", ERR_TEXT_INVALID },
		{ "-core-dump-location=", ERR_TEXT_INVALID },
		{ "-core-dump-location", ERR_TEXT_INVALID },
		{ "-core-dump-location -scrub-logs", ERR_TEXT_INVALID },
		{ "-v4", ERR_TEXT_RESERVED },
		{ "-v4=false", ERR_TEXT_RESERVED },
		{ "--v4=true", ERR_TEXT_RESERVED },
		{ "-use-inouterr", ERR_TEXT_RESERVED },
		{ "--use-inouterr=1", ERR_TEXT_RESERVED },
		{ "-transport unix:/x", ERR_TEXT_RESERVED },
		{ "-transport=unix:/x", ERR_TEXT_RESERVED },
		{ "-logfile /bin/gcs", ERR_TEXT_RESERVED },
		{ "-bogus", ERR_TEXT_RESERVED },
		{ "-bogus=|/bin/sh", ERR_TEXT_RESERVED },
		{ "-loglevels=info", ERR_TEXT_RESERVED },
		{ "-log", ERR_TEXT_RESERVED },
		{ "-Loglevel=info", ERR_TEXT_RESERVED },
		{ "---loglevel=info", ERR_TEXT_RESERVED },
		{ "-=x", ERR_TEXT_RESERVED },
		{ "--=x", ERR_TEXT_RESERVED },
		{ "--", ERR_TEXT_RESERVED },
		{ "-", ERR_TEXT_STRAY_WORD },
		{ "x", ERR_TEXT_STRAY_WORD },
		{ "loglevel=info", ERR_TEXT_STRAY_WORD },
		{ "-loglevel info x", ERR_TEXT_STRAY_WORD },
		{ "", ERR_TEXT_STRAY_WORD },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (check(rows[i].text) != rows[i].class)
			print_error("'%s'\n", rows[i].text);
		assert_string_equal(err_class_name(check(rows[i].text)),
				    err_class_name(rows[i].class));
	}
}

/* The flag of that name; the test fails when there is none. */
static const struct agentflag *must_find(const char *name)
{
	size_t i = 0;

	while (i < agentflags_n && strcmp(agentflags[i].name, name) != 0)
		i++;
	if (i == agentflags_n)
		fail_msg("the builder does not know -%s", name);
	return &agentflags[i];
}

/* The two tables cannot be one: no room of theirs may include the other. */
static void test_both_tables_have_the_same_flags(void **state UNUSED)
{
	static const enum flag_kind same[] = {
		[AGENTFLAG_BOOL] = FLAG_BOOL,
		[AGENTFLAG_TEXT] = FLAG_TEXT,
		[AGENTFLAG_NUMBER] = FLAG_NUMBER,
		[AGENTFLAG_LEVEL] = FLAG_LEVEL,
		[AGENTFLAG_FORMAT] = FLAG_FORMAT,
		[AGENTFLAG_STANCE] = FLAG_STANCE,
		[AGENTFLAG_CORE] = FLAG_CORE,
		[AGENTFLAG_PEER] = FLAG_PEER,
	};
	enum flag_kind kind = FLAG_TEXT;
	const char *name;
	size_t n = 0;

	while ((name = flags_at(n, &kind)) != NULL) {
		const struct agentflag *f = must_find(name);

		if (same[f->kind] != kind)
			fail_msg("-%s has two kinds", name);
		n++;
	}
	assert_int_equal(n, agentflags_n);
}

/* What the builder lets through, the agent takes and reads to its end. */
static void test_the_agent_takes_what_passes(void **state UNUSED)
{
	static const char *const values[] = {
		"",
		"1",
		"t",
		"TRUE",
		"False",
		"yes",
		"0",
		"007",
		"+1",
		"-1",
		"info",
		"WARN",
		"text",
		"json",
		"JSON",
		"allow",
		"deny",
		"/x",
		"/|",
		"|/x",
		"x",
		"18446744073709551615",
		"18446744073709551616",
	};
	static char last[] = "-use-inouterr";
	size_t passed = 0;

	for (size_t i = 0; i < agentflags_n * ARRAY_LEN(values) * 2; i++) {
		const struct agentflag *f = &agentflags[i / 2 % agentflags_n];
		char words[128], *at = words, *argv[WORDS_MAX] = { NULL };
		struct flags flags;
		struct err e = { 0 };
		size_t n = 0;

		(void)snprintf(words, sizeof(words), "-%s%c%s", f->name,
			       i % 2 ? ' ' : '=', values[i / 2 / agentflags_n]);
		if (check(words) != ERR_NONE)
			continue;
		passed++;
		while (at)
			argv[n++] = strsep(&at, " ");
		argv[n] = last;
		assert_int_equal(flags_parse(argv, &flags, &e), 0);
		assert_true(flags.use_inouterr);
	}
	assert_true(passed > agentflags_n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_both_tables_have_the_same_flags),
		cmocka_unit_test(test_the_agent_takes_what_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
