#include "cmdline/tokenize.h"

#include <stddef.h>
#include <string.h>

bool token_blank(char c)
{
	const unsigned char u = (unsigned char)c;

	return u == ' ' || (u >= '\t' && u <= '\r') || u == 0xa0;
}

/*
 * Finds the end of the word at @p: the first blank outside of quotes. Tells
 * where its first '=' is, not counting one that is the word's first byte.
 */
static char *word_end(char *p, bool inside, char **ret_equals)
{
	const char *const start = p;

	*ret_equals = NULL;
	for (; *p != '\0' && (inside || !token_blank(*p)); p++) {
		if (*p == '"')
			inside = !inside;
		if (*p == '=' && p != start && !*ret_equals)
			*ret_equals = p;
	}
	return p;
}

bool token_next(char **at, struct token *t)
{
	char *p = *at, *end, *equals, *value = NULL;
	bool quoted;

	while (*p != '\0' && token_blank(*p))
		p++;
	*at = p;
	if (*p == '\0')
		return false;

	quoted = *p == '"';
	p += quoted;
	end = word_end(p, quoted, &equals);
	*at = *end == '\0' ? end : end + 1;
	*end = '\0';

	if (equals) {
		*equals = '\0';
		value = equals + 1;
		if (*value == '"') {
			value++;
			if (end[-1] == '"')
				end[-1] = '\0';
		}
	}
	if (quoted && end > p && end[-1] == '"')
		end[-1] = '\0';

	t->name = p;
	t->value = value;
	return true;
}

char *token_join(const struct token *t)
{
	char *end;

	if (!t->value)
		return t->name;

	/* The value may begin one byte late, where a quote was dropped. */
	end = t->name + strlen(t->name);
	*end = '=';
	if (t->value != end + 1)
		memmove(end + 1, t->value, strlen(t->value) + 1);
	return t->name;
}
