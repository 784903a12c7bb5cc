#include "tools/mask.h"

#include <stdbool.h>
#include <string.h>

#include "config/annotations.h"
#include "config/util.h"

#define MASK '*'

/* Parts of names, in lower case. */
static const char *const secrets[] = {
	"password",   "passwd",	       "passphrase",  "secret",
	"token",      "apikey",	       "api_key",     "api-key",
	"access_key", "accesskey",     "private_key", "privatekey",
	"credential", "authorization", "cookie",      "bearer",
};

static const char pem_begins[] = "-----BEGIN ";
static const char pem_ends[] = "-----end "; /* at_word() lowers */

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool at_word(const char *text, size_t n, const char *word)
{
	size_t i = 0;

	while (i < n && word[i] && lower(text[i]) == word[i])
		i++;
	return word[i] == '\0';
}

/* Does a name sound like a secret? */
static bool is_secret(const char *name, size_t n)
{
	for (size_t at = 0; at < n; at++)
		for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
			if (at_word(name + at, n - at, secrets[i]))
				return true;
	return false;
}

/* Quotes and blanks, quoted ones of JSON in JSON too. */
static bool is_wrapping(char c)
{
	return c == '"' || c == '\'' || c == '\\' || c == ' ' || c == '\t';
}

/* Where a value ends that stood, or did not stand, in quotes. */
static bool ends_value(char c, char quote)
{
	if (c == '\n' || c == '\0')
		return true;
	if (quote)
		return c == quote;
	return c == ' ' || c == '\t' || c == ',' || c == ';' || c == '&' ||
	       c == '"' || c == '\'' || c == '}' || c == ']' || c == ')' ||
	       c == '\\';
}

/* "Bearer abc": a word that is followed by another is not the secret. */
static size_t mask_value(char *text, size_t n, size_t at)
{
	char quote = '\0';

	while (at < n && is_wrapping(text[at])) {
		if (text[at] == '"' || text[at] == '\'')
			quote = text[at];
		at++;
	}
	while (at < n && !ends_value(text[at], quote)) {
		/* An escaped quote ends a text within a text. */
		if (quote && text[at] == '\\' && at + 1 < n &&
		    text[at + 1] == quote)
			break;
		text[at++] = MASK;
	}
	return at;
}

/* A name begins at @at; return: where to go on. */
static size_t take_name(char *text, size_t n, size_t at)
{
	const size_t start = at;
	size_t next;

	while (at < n && is_name(text[at]))
		at++;
	if (!is_secret(text + start, at - start))
		return at;
	next = at;
	while (next < n &&
	       (text[next] == '"' || text[next] == '\'' || text[next] == '\\'))
		next++;
	if (next < n && (text[next] == '=' || text[next] == ':')) {
		next = mask_value(text, n, next + 1);
		/* Authorization: Basic abc */
		if (at_word(text + start, n - start, "authorization") &&
		    next < n && text[next] == ' ')
			next = mask_value(text, n, next);
		return next;
	}
	if (at - start == 6 && at_word(text + start, 6, "bearer"))
		return mask_value(text, n, at);
	return at;
}

static size_t take_pem(char *text, size_t n, size_t at)
{
	while (at < n && text[at] != '\n')
		at++;
	while (at < n && !at_word(text + at, n - at, pem_ends)) {
		if (text[at] != '\n')
			text[at] = MASK;
		at++;
	}
	return at + sizeof(pem_ends) - 1 < n ? at + sizeof(pem_ends) - 1 : n;
}

void mask_text(char *text, size_t n)
{
	size_t at = 0;

	while (at < n) {
		if (n - at >= sizeof(pem_begins) - 1 &&
		    memcmp(text + at, pem_begins, sizeof(pem_begins) - 1) == 0)
			at = take_pem(text, n, at);
		else if (is_name(text[at]))
			at = take_name(text, n, at);
		else
			at++;
	}
}

/* --- annotations ------------------------------------------------------------ */

static bool is_harmless(const struct annotation_row *row)
{
	if (!row)
		return false;
	switch (row->kind) {
	case VALUE_BOOL:
	case VALUE_NULLABLE_BOOL:
	case VALUE_INT32:
	case VALUE_UINT32:
	case VALUE_UINT64:
	case VALUE_UINT32_LIST:
	case VALUE_UINT64_LIST:
	case VALUE_GUID:
		return true;
	case VALUE_STRING:
	case VALUE_STRING_LIST:
	case VALUE_KINDS:
		break;
	}
	return false;
}

void mask_annotations(const struct annotation_map *m, struct text *out)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct annotation *a = &m->item[i];

		text_quote(out, a->key, ANNOTATION_KEY_MAX);
		text_addc(out, '=');
		if (is_harmless(annotation_find(a->key)))
			text_quote(out, a->value, 64);
		else
			text_addf(out, "(%zu bytes)", strlen(a->value));
		text_addc(out, '\n');
	}
}
