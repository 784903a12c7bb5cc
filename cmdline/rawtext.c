#include "cmdline/rawtext.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "config/util.h"
#include "cmdline/tokenize.h"

static bool printable(unsigned char c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* Every byte printable ASCII, every quote closed. */
static int check_bytes(const char *what, const char *text, struct err *e)
{
	bool inside = false;

	if (strlen(text) > RAWTEXT_MAX)
		return err_class(e, ERR_CMDLINE_TOO_LONG,
				 "%s has more than %u bytes", what,
				 RAWTEXT_MAX);
	for (const char *p = text; *p != '\0'; p++) {
		if (!printable((unsigned char)*p))
			return err_class(e, ERR_TEXT_INVALID,
					 "%s has the byte 0x%02x; only "
					 "printable ASCII is allowed",
					 what, (unsigned char)*p);
		if (*p == '"')
			inside = !inside;
	}
	if (inside)
		return err_class(e, ERR_TEXT_QUOTE,
				 "%s has a quote that is never closed", what);
	return 0;
}

/* The word between @begin and @end: as written and as the kernel reads it. */
static int one_word(const char *what, const char *begin, const char *end,
		    raw_word_fn *fn, void *ctx, struct err *e)
{
	char raw[RAWTEXT_MAX + 1], cut[RAWTEXT_MAX + 1],
		joined[RAWTEXT_MAX + 1];
	const size_t n = (size_t)(end - begin);
	char *at = cut, *join = joined;
	struct token t, copy;

	memcpy(raw, begin, n);
	raw[n] = '\0';
	memcpy(cut, raw, n + 1);
	memcpy(joined, raw, n + 1);
	if (!token_next(&at, &t) || !token_next(&join, &copy))
		return 0; /* nothing but blanks behind the last word */
	if (!t.value && strcmp(t.name, "--") == 0)
		return err_class(e, ERR_TEXT_SEPARATOR,
				 "%s has the word \"--\", which ends the "
				 "kernel's part of the line",
				 what);

	return fn(ctx,
		  &(struct raw_word){ raw, t.name, t.value, token_join(&copy) },
		  e);
}

int rawtext_words(const char *what, const char *text, raw_word_fn *fn,
		  void *ctx, struct err *e)
{
	const char *begin = text;
	bool inside = false;
	int r = check_bytes(what, text, e);

	while (r == 0) {
		const char *end;

		begin += strspn(begin, " ");
		if (*begin == '\0')
			return 0;
		for (end = begin; *end != '\0' && (inside || *end != ' ');
		     end++)
			if (*end == '"')
				inside = !inside;
		r = one_word(what, begin, end, fn, ctx, e);
		begin = end;
	}
	return r;
}

int rawtext_dump_location(const char *text, struct err *e)
{
	if (*text != '/')
		return err_class(e, ERR_TEXT_INVALID,
				 "the dump location is not an absolute path");
	for (const char *p = text; *p != '\0'; p++)
		if (!printable((unsigned char)*p) || strchr(" \"'\\|", *p))
			return err_class(e, ERR_TEXT_INVALID,
					 "the dump location has the byte "
					 "0x%02x",
					 (unsigned char)*p);
	return 0;
}

int rawtext_log_level(const char *text, struct err *e)
{
	static const char *const levels[] = { "trace", "debug",	  "info",
					      "warn",  "warning", "error",
					      "fatal", "panic" };

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (strcasecmp(text, levels[i]) == 0)
			return 0;
	return err_class(e, ERR_TEXT_INVALID,
			 "the log level is none of trace, debug, info, warn, "
			 "error, fatal, panic");
}

int rawtext_table(const char *text, struct err *e)
{
	for (const char *p = text; *p != '\0'; p++)
		if (!printable((unsigned char)*p) || *p == '"' || *p == '\\')
			return err_class(e, ERR_TEXT_QUOTE,
					 "the dm-verity table has the byte "
					 "0x%02x, which the kernel cannot read "
					 "between quotes",
					 (unsigned char)*p);
	return 0;
}

bool rawtext_shell_safe(const char *word)
{
	for (const char *p = word; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && !strchr("%+,-./:=@_", *p))
			return false;
	return *word != '\0';
}
