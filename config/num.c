#include "config/num.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

/* How much of a refused text an error message quotes. */
#define QUOTE_MAX 64

/*
 * Reads @text as a number; false: not digits only. Past 2^64-1 the value is
 * of no interest any more, and @ret_over says so.
 */
static bool digits(const char *text, uint64_t *ret, bool *ret_over)
{
	uint64_t value = 0;
	bool over = false;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++)
		over |= __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*p - '0'),
					       &value);

	*ret = value;
	*ret_over = over;
	return p != text && *p == '\0';
}

int num_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret,
	    struct err *e)
{
	uint64_t value;
	bool over;

	if (!digits(text, &value, &over))
		return err_set(e, EINVAL, "'%.*s' is not a decimal number",
			       QUOTE_MAX, text);
	if (over || value < min || value > max)
		return err_set(e, ERANGE,
			       "%.*s is not in %" PRIu64 "..%" PRIu64,
			       QUOTE_MAX, text, min, max);

	*ret = value;
	return 0;
}

int num_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret,
	    struct err *e)
{
	uint64_t value = 0;
	int r = num_u64(text, min, max, &value, e);

	if (r == 0)
		*ret = (uint32_t)value;
	return r;
}

int num_i32(const char *text, int32_t min, int32_t max, int32_t *ret,
	    struct err *e)
{
	const bool minus = *text == '-';
	const char *p = text + (minus || *text == '+');
	uint64_t magnitude;
	int64_t value;
	bool over;

	if (!digits(p, &magnitude, &over))
		return err_set(e, EINVAL, "'%.*s' is not a decimal number",
			       QUOTE_MAX, text);
	if (over || magnitude > (uint64_t)INT32_MAX + 1)
		magnitude = (uint64_t)INT32_MAX + 2; /* in no range */

	value = minus ? -(int64_t)magnitude : (int64_t)magnitude;
	if (value < min || value > max)
		return err_set(e, ERANGE,
			       "%.*s is not in %" PRId32 "..%" PRId32,
			       QUOTE_MAX, text, min, max);

	*ret = (int32_t)value;
	return 0;
}
