#include "bridge/json_check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * A cursor over the text. @why is set by the first rule that is broken, and
 * the cursor stays there.
 */
struct cursor {
	const unsigned char *begin;
	const unsigned char *p;
	const unsigned char *end;
	const char *why;
	unsigned int depth;
	unsigned int values;
};

static bool refuse(struct cursor *c, const char *why)
{
	if (!c->why)
		c->why = why;
	return false;
}

static int peek(const struct cursor *c)
{
	return c->p < c->end ? *c->p : -1;
}

static void skip_space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' ||
				 *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

size_t json_utf8(const unsigned char *s, size_t n)
{
	const unsigned char a = s[0];
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (a < 0x80)
		return 1;
	if (a >= 0xc2 && a <= 0xdf)
		len = 2;
	else if (a >= 0xe0 && a <= 0xef)
		len = 3;
	else if (a >= 0xf0 && a <= 0xf4)
		len = 4;
	else
		return 0;
	if (a == 0xe0)
		low = 0xa0;
	else if (a == 0xed)
		high = 0x9f;
	else if (a == 0xf0)
		low = 0x90;
	else if (a == 0xf4)
		high = 0x8f;
	if (n < len || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash. */
static bool check_escape(struct cursor *c, bool name)
{
	const int what = peek(c);
	unsigned int code = 0;

	if (what < 0)
		return refuse(c, "unexpected end");
	if (what != 'u') {
		if (what == '\0' || !strchr("\"\\/bfnrt", what))
			return refuse(c, "unknown escape in a string");
		c->p++;
		return true;
	}
	c->p++;
	for (int i = 0; i < 4; i++, c->p++) {
		const int digit = c->p < c->end ? hex_digit(*c->p) : -1;

		if (digit < 0)
			return refuse(c, "\\u wants four hex digits");
		code = code << 4 | (unsigned int)digit;
	}
	if (name && code == 0)
		return refuse(c, "a NUL in a member's name");
	return true;
}

/* At the opening quote; the text of a string is most of every message. */
static bool check_string(struct cursor *c, bool name)
{
	c->p++;
	while (c->p < c->end) {
		const unsigned char b = *c->p;

		if (b == '"') {
			c->p++;
			return true;
		}
		if (b < 0x20)
			return refuse(c, "a control byte in a string");
		if (b == '\\') {
			c->p++;
			if (!check_escape(c, name))
				return false;
		} else if (b < 0x80) {
			c->p++;
		} else {
			const size_t n =
				json_utf8(c->p, (size_t)(c->end - c->p));

			if (n == 0)
				return refuse(c, "not UTF-8");
			c->p += n;
		}
	}
	return refuse(c, "unexpected end");
}

static bool is_digit(int b)
{
	return b >= '0' && b <= '9';
}

static bool check_digits(struct cursor *c)
{
	if (!is_digit(peek(c)))
		return refuse(c, "a digit is missing in a number");
	while (is_digit(peek(c)))
		c->p++;
	return true;
}

/* The digits from @p to the cursor as an integer: does it fit 64 bits? */
static bool fits(const struct cursor *c, const unsigned char *p, bool minus)
{
	uint64_t v = 0;

	for (; p < c->p; p++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	return !minus || v <= (uint64_t)INT64_MAX + 1;
}

static bool check_number(struct cursor *c)
{
	const bool minus = peek(c) == '-';
	const unsigned char *digits = c->p += minus;

	if (!check_digits(c))
		return false;
	if (*digits == '0' && c->p - digits > 1)
		return refuse(c, "a number begins with 0");
	if (peek(c) != '.' && peek(c) != 'e' && peek(c) != 'E')
		return fits(c, digits, minus) ||
		       refuse(c, "an integer beyond 64 bits");
	if (peek(c) == '.') {
		c->p++;
		if (!check_digits(c))
			return false;
	}
	if (peek(c) == 'e' || peek(c) == 'E') {
		c->p++;
		if (peek(c) == '+' || peek(c) == '-')
			c->p++;
		return check_digits(c);
	}
	return true;
}

static bool check_word(struct cursor *c, const char *word)
{
	const size_t n = strlen(word);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
		return refuse(c, "unknown word");
	c->p += n;
	return true;
}

static bool check_value(struct cursor *c);

static bool check_member(struct cursor *c)
{
	skip_space(c);
	if (peek(c) != '"')
		return refuse(c, "a member's name is missing");
	if (!check_string(c, true))
		return false;
	skip_space(c);
	if (peek(c) != ':')
		return refuse(c, "':' is missing");
	c->p++;
	return check_value(c);
}

/* At the opening bracket. Recursion is bounded by JSON_DEPTH_MAX. */
static bool check_list(struct cursor *c, char close,
		       bool (*check_item)(struct cursor *))
{
	if (++c->depth > JSON_DEPTH_MAX)
		return refuse(c, "too deep");
	c->p++;
	skip_space(c);
	if (peek(c) != close) {
		for (;;) {
			if (!check_item(c))
				return false;
			skip_space(c);
			if (peek(c) != ',')
				break;
			c->p++;
		}
		if (peek(c) != close)
			return refuse(c,
				      c->p == c->end
					      ? "unexpected end"
					      : "',' or a bracket is missing");
	}
	c->p++;
	c->depth--;
	return true;
}

static bool check_value(struct cursor *c)
{
	if (++c->values > JSON_VALUES_MAX)
		return refuse(c, "too many values");
	skip_space(c);
	switch (peek(c)) {
	case '{':
		return check_list(c, '}', check_member);
	case '[':
		return check_list(c, ']', check_value);
	case '"':
		return check_string(c, false);
	case 't':
		return check_word(c, "true");
	case 'f':
		return check_word(c, "false");
	case 'n':
		return check_word(c, "null");
	case -1:
		return refuse(c, "unexpected end");
	default:
		if (peek(c) != '-' && !is_digit(peek(c)))
			return refuse(c, "a value is missing");
		return check_number(c);
	}
}

int json_check(const char *text, size_t len, struct err *e)
{
	const unsigned char *begin = (const unsigned char *)text;
	struct cursor c = { .begin = begin, .p = begin, .end = begin + len };

	if (len > JSON_TEXT_MAX)
		(void)refuse(&c, "too long");
	else if (check_value(&c)) {
		skip_space(&c);
		if (c.p == c.end)
			return 0;
		(void)refuse(&c, "more than one value");
	}
	return err_set(e, EINVAL, "not JSON: %s at byte %zu", c.why,
		       (size_t)(c.p - c.begin));
}
