#include "tools/start_code.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "config/util.h"
#include "tools/tool.h"

/* How the guest's reason begins when it is about the program. */
#define EXEC_FAILED ": exec "

static bool ends_with(const char *text, const char *end)
{
	const size_t n = strlen(text);
	const size_t n_end = strlen(end);

	return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

int start_code(const struct host_failure *f)
{
	static const struct {
		int code;
		int error;
	} known[] = {
		{ TOOL_NOT_FOUND, ENOENT },
		{ TOOL_NOT_FOUND, ENOTDIR },
		{ TOOL_NOT_EXECUTABLE, EACCES },
		{ TOOL_NOT_EXECUTABLE, EPERM },
		{ TOOL_NOT_EXECUTABLE, ENOEXEC },
		{ TOOL_NOT_EXECUTABLE, EISDIR },
	};
	const char *exec;

	if (f->kind != HOST_FAIL_REFUSED)
		return TOOL_CANNOT_RUN;
	exec = strstr(f->err.text, EXEC_FAILED);
	for (size_t i = 0; exec && i < ARRAY_LEN(known); i++)
		if (ends_with(exec, strerror(known[i].error)))
			return known[i].code;
	return TOOL_CANNOT_RUN;
}

int runtime_code(const struct err *why)
{
	static const struct {
		const char *words;
		int code;
	} known[] = {
		{ "not found in $PATH", TOOL_NOT_FOUND },
		{ "No such file or directory", TOOL_NOT_FOUND },
		{ "ermission denied", TOOL_NOT_EXECUTABLE },
		{ "Exec format error", TOOL_NOT_EXECUTABLE },
		{ "Is a directory", TOOL_NOT_EXECUTABLE },
	};

	if (!strstr(why->text, "executable file") && !strstr(why->text, "exec"))
		return TOOL_CANNOT_RUN;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strstr(why->text, known[i].words))
			return known[i].code;
	return TOOL_CANNOT_RUN;
}
