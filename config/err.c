#include "config/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void fill(struct err *e, int code, const char *fmt, va_list ap)
{
	if (!e)
		return;

	e->code = code;
	e->class = ERR_NONE;
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* cut is fine */
}

/* Appends ": <what>" as far as the text has room. */
static void append(struct err *e, const char *what)
{
	size_t used;

	if (!e)
		return;

	used = strlen(e->text);
	(void)snprintf(e->text + used, sizeof(e->text) - used, ": %s", what);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, code, fmt, ap);
	va_end(ap);
	return -code;
}

int err_class(struct err *e, enum err_class class, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, EINVAL, fmt, ap);
	va_end(ap);
	if (e)
		e->class = class;
	return -EINVAL;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	const int code = errno ? errno : EIO;
	va_list ap;

	va_start(ap, fmt);
	fill(e, code, fmt, ap);
	va_end(ap);
	append(e, strerror(code));
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char inner[ERR_TEXT_MAX];
	va_list ap;

	if (!e)
		return -EIO;

	memcpy(inner, e->text, sizeof(inner));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* cut is fine */
	va_end(ap);
	append(e, inner);
	return e->code ? -e->code : -EIO;
}
