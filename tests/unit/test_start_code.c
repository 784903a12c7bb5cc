/* tools/start_code: 126 and 127 are about the program, and nothing else */
#include "tests/unit/unit.h"

#include <string.h>

#include "bridge/host/failure.h"
#include "bridge/wire.h"
#include "config/util.h"
#include "tools/start_code.h"
#include "tools/tool.h"

/* What ferry makes of an agent's answer. */
static int answered(const char *said)
{
	const struct msg_result r = { .result = (int32_t)0x80004005,
				      .error_message = said };
	const struct host_failure f =
		host_failure_refused(WIRE_EXECUTE_PROCESS, &r);

	return start_code(&f);
}

static void the_program(void **state UNUSED)
{
	assert_int_equal(answered("exec /bin/no: No such file or directory"),
			 TOOL_NOT_FOUND);
	assert_int_equal(answered("exec /etc/passwd/no: Not a directory"),
			 TOOL_NOT_FOUND);
	assert_int_equal(answered("exec /etc: Permission denied"),
			 TOOL_NOT_EXECUTABLE);
	assert_int_equal(answered("exec /etc/passwd: Exec format error"),
			 TOOL_NOT_EXECUTABLE);
	assert_int_equal(answered("exec /x: Input/output error"),
			 TOOL_CANNOT_RUN);
}

/* A program may be called as it likes. */
static void odd_names(void **state UNUSED)
{
	char text[200] = "exec /";

	assert_int_equal(answered("exec /No such file or directory/x: "
				  "Permission denied"),
			 TOOL_NOT_EXECUTABLE);
	assert_int_equal(answered("exec exec : No such file or directory"),
			 TOOL_NOT_FOUND);
	/* As long as the agent tells a name. */
	memset(text + 6, 'x', 127);
	(void)strcpy(text + 6 + 127, ": No such file or directory");
	assert_int_equal(answered(text), TOOL_NOT_FOUND);
}

static void everything_else(void **state UNUSED)
{
	const struct host_failure lost = host_failure_make(
		HOST_FAIL_LOST, WIRE_EXECUTE_PROCESS, true,
		&(struct err){ .text = "x: exec /bin/no: No such file or "
				       "directory" });

	assert_int_equal(answered("working directory: No such file or "
				  "directory"),
			 TOOL_CANNOT_RUN);
	assert_int_equal(answered("standard descriptors: Permission denied"),
			 TOOL_CANNOT_RUN);
	assert_int_equal(answered("controlling terminal: Operation not "
				  "permitted"),
			 TOOL_CANNOT_RUN);
	assert_int_equal(answered("Permission denied"), TOOL_CANNOT_RUN);
	assert_int_equal(answered(""), TOOL_CANNOT_RUN);
	assert_int_equal(start_code(&lost), TOOL_CANNOT_RUN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program),
		cmocka_unit_test(odd_names),
		cmocka_unit_test(everything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
