#include "tools/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "config/conf.h"
#include "tools/conf_load.h"
#include "tools/tool.h"

#define DUMP_MAX (32ul * 1024 * 1024)

static const char usage[] =
	"usage: ferry config check [--config FILE]\n"
	"       ferry config dump [--config FILE]\n"
	"\n"
	"check reads the configuration and says what is wrong with it.\n"
	"dump prints every setting with the file and line that gave it.\n"
	"Without --config: " CONF_SYSTEM_FILE " and " CONF_SYSTEM_FILE
	".d/*.conf\n";

static int dump(const struct conf *c)
{
	struct text out;
	int status = TOOL_OK;

	text_heap(&out, DUMP_MAX);
	conf_dump(c, &out);
	if (out.full || fputs(text_str(&out), stdout) < 0 ||
	    fflush(stdout) != 0) {
		(void)fputs("ferry config: cannot write the settings\n",
			    stderr);
		status = TOOL_FAILURE;
	}
	text_done(&out);
	return status;
}

int tool_config(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *file = NULL;
	struct err e = { 0 };
	struct conf c;
	int status = TOOL_OK;
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h')
			return fputs(usage, stdout) < 0 ? TOOL_FAILURE
							: TOOL_OK;
		if (o != 'c')
			return tool_try("config");
		file = optarg;
	}
	if (optind == argc || (strcmp(argv[optind], "check") != 0 &&
			       strcmp(argv[optind], "dump") != 0))
		return tool_usage("config", "want check or dump");
	if (argc - optind > 1)
		return tool_usage("config", "too many words: %s",
				  argv[optind + 1]);

	conf_init(&c);
	if (conf_load(&c, file, &e) < 0)
		status = tool_fail(&e);
	else if (strcmp(argv[optind], "dump") == 0)
		status = dump(&c);
	conf_done(&c);
	return status;
}
