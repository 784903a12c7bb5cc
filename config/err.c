#include "config/err.h"

#include <stdarg.h>
#include <stdio.h>

void err_fill(struct err *e, int code, enum err_class class, const char *fmt,
	      ...)
{
	va_list ap;

	if (!e)
		return;

	e->code = code;
	e->class = class;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* cut is fine */
	va_end(ap);
}

void err_append(struct err *e, const char *what)
{
	size_t used;

	if (!e)
		return;

	used = strlen(e->text);
	(void)snprintf(e->text + used, sizeof(e->text) - used, ": %s", what);
}

void err_prepend(struct err *e, const char *fmt, ...)
{
	char inner[ERR_TEXT_MAX];
	va_list ap;

	if (!e)
		return;

	memcpy(inner, e->text, sizeof(inner));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* cut is fine */
	va_end(ap);
	err_append(e, inner);
}
