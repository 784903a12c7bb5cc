#include "tools/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/build.h"
#include "config/util.h"
#include "tools/cmdline_args.h"
#include "tools/cmdline_diff.h"
#include "tools/cmdline_explain.h"
#include "tools/cmdline_json.h"
#include "tools/cmdline_parse.h"
#include "tools/tool.h"

/* Options from the arguments, the line from the options. */
static int make_line(struct sandbox_options *o, const struct cmdline_args *a,
		     char *line, size_t size, struct err *e)
{
	int r;

	sandbox_options_init(o);
	r = sandbox_options_build(o, &a->annotations, &a->runtime, e);
	if (r < 0)
		return r;
	if (a->count >= 0 && a->runtime.processor_count == 0 &&
	    o->count_text == 0)
		o->processor_count = (uint32_t)a->count;
	return cmdline_build(o, line, size, e);
}

static void show_notes(const struct sandbox_options *o)
{
	for (size_t i = 0; i < o->notes.n; i++) {
		const struct note *n = &o->notes.item[i];

		if (n->kind == NOTE_EXPANDED)
			continue; /* told by --explain */
		(void)fprintf(stderr, "warning: %s%s%s%s%s\n",
			      n->class ? err_class_name(n->class) : "",
			      n->class ? ": " : "", n->key, *n->key ? ": " : "",
			      n->text);
	}
	if (o->notes.dropped)
		(void)fprintf(stderr, "warning: and %zu more\n",
			      o->notes.dropped);
}

/* Compat mode keeps quiet where the reference does, and ferry says why. */
static void warn_of_strict(const struct cmdline_args *a)
{
	struct cmdline_args strict = *a;
	struct sandbox_options o;
	char line[CMDLINE_SIZE];
	struct err e = { 0 };

	strict.runtime.strictness = STRICT;
	if (make_line(&o, &strict, line, sizeof(line), &e) < 0)
		(void)fprintf(stderr, "warning: %s: strict mode refuses: %s\n",
			      err_class_name(e.class), e.text);
	sandbox_options_done(&o);
}

static int print(const struct sandbox_options *o, const struct cmdline_args *a,
		 const char *line, const struct explain *x, struct err *e)
{
	int r = 0;

	if (a->json)
		r = cmdline_json_print(o, line, x, stdout, e);
	else if (x)
		r = explain_print(x, stdout, e);
	else if (puts(line) < 0)
		r = err_sys(e, "standard output");
	if (r == 0 && fflush(stdout) != 0)
		r = err_sys(e, "standard output");
	return r < 0 ? tool_fail(e) : TOOL_OK;
}

/* @failure: why there is no line; NULL: there is one. */
static int explain(const struct sandbox_options *o,
		   const struct cmdline_args *a, const char *line,
		   const struct err *failure)
{
	struct explain *x = NULL;
	struct err e = { 0 };
	int code;

	if (explain_new(o, a, failure, &x, &e) < 0)
		return tool_fail(&e);
	code = print(o, a, line, x, &e);
	explain_free(x);
	return code;
}

static int build_with(const struct cmdline_args *a)
{
	static char line[CMDLINE_COMPAT_SIZE];
	struct sandbox_options o;
	struct err e = { 0 };
	int code;

	if (make_line(&o, a, line, sizeof(line), &e) < 0) {
		code = tool_fail(&e);
		if (a->explain && e.class != ERR_NONE)
			(void)explain(&o, a, "", &e); /* it failed already */
	} else {
		if (!a->explain)
			show_notes(&o);
		if (a->runtime.strictness == COMPAT)
			warn_of_strict(a);
		code = a->explain ? explain(&o, a, line, NULL)
				  : print(&o, a, line, NULL, &e);
	}
	sandbox_options_done(&o);
	return code;
}

static int build(int argc, char **argv)
{
	struct cmdline_args a;
	struct err e = { 0 };
	int code;

	if (cmdline_args_parse(argc, argv, &a, &e) < 0)
		code = tool_fail(&e);
	else if (a.help)
		code = fputs(cmdline_args_help(), stdout) < 0 ? TOOL_FAILURE
							      : TOOL_OK;
	else
		code = build_with(&a);
	cmdline_args_done(&a);
	return code;
}

int tool_cmdline(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = {
		{ "build", build },
		{ "parse", cmdline_parse },
		{ "diff", cmdline_diff },
	};

	if (argc < 2)
		return tool_usage("cmdline", "build, parse or diff?");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		(void)fputs(cmdline_args_help(), stdout);
		return TOOL_OK;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	return tool_usage("cmdline", "no '%.64s'; build, parse or diff?",
			  argv[1]);
}
