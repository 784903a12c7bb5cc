#include "tools/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int tool_fail(const struct err *e)
{
	if (e->class != ERR_NONE) {
		(void)fprintf(stderr, "error: %s: %s\n",
			      err_class_name(e->class), e->text);
		return TOOL_USAGE;
	}
	(void)fprintf(stderr, "ferry: %s\n", e->text);
	switch (e->code) {
	case EINVAL:
	case ERANGE:
	case E2BIG:
	case ENAMETOOLONG:
		return TOOL_USAGE; /* the input can be mended */
	default:
		return TOOL_FAILURE;
	}
}

int tool_try(const char *name)
{
	(void)fprintf(stderr, "Try 'ferry %s --help'.\n", name);
	return TOOL_USAGE;
}

int tool_usage(const char *name, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "ferry %s: ", name);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return tool_try(name);
}
