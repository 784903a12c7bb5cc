#include "tools/cmdline_parse.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/text.h"
#include "tools/line_report.h"
#include "tools/tool.h"

static const char *const fates[] = {
	[WORD_UNKNOWN] = "unknown",
	[WORD_CONSUMED] = "kernel",
	[WORD_DROPPED] = "module",
	[WORD_POISON] = "rejected",
};

/* Reads standard input; the newline of /proc/cmdline is not of the line. */
static int read_line(char *buf, size_t size, struct err *e)
{
	const ssize_t n = fd_read_full(STDIN_FILENO, buf, size);

	if (n < 0)
		return err_set(e, (int)-n, "standard input: %s",
			       strerror((int)-n));
	if ((size_t)n == size)
		return err_set(e, EINVAL, "the line has more than %zu bytes",
			       size - 1);
	buf[n] = '\0';
	if (strlen(buf) != (size_t)n)
		return err_set(e, EINVAL, "the line holds a NUL");
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return 0;
}

static int get_report(const char *word, struct line_report **ret, struct err *e)
{
	static char buf[LINE_REPORT_MAX + 2];
	int r;

	if (strcmp(word, "-") != 0)
		return line_report_new(word, ret, e);
	r = read_line(buf, sizeof(buf), e);
	return r < 0 ? r : line_report_new(buf, ret, e);
}

/* A foreign string on its own line, safe for a terminal. */
static void print_string(const char *indent, const char *s)
{
	struct text t;

	text_heap(&t, 5 * (size_t)LINE_REPORT_MAX);
	text_quote(&t, s, LINE_REPORT_MAX);
	(void)printf("%s%s\n", indent, text_str(&t));
	text_done(&t);
}

static const char *word_remark(const struct line_word *w)
{
	switch (w->fate) {
	case WORD_UNKNOWN:
		return strchr(w->text, '=') ? "environment of init"
					    : "argument of init";
	case WORD_DROPPED:
		return "dropped unless a module has it";
	case WORD_POISON:
		return "REJECTED";
	case WORD_CONSUMED:
		break;
	}
	return "kernel";
}

static void print_words(const struct line_report *r)
{
	char indent[48];

	(void)printf("length: %zu of %u bytes\nwords:\n", r->length,
		     DISTRIBUTE_LINE_MAX);
	for (size_t i = 0; i < r->n_words; i++) {
		(void)snprintf(indent, sizeof(indent), "  %-32s",
			       word_remark(&r->word[i]));
		print_string(indent, r->word[i].text);
	}
}

static void print_init(const struct line_report *r)
{
	(void)printf("init gets:\n");
	for (size_t i = 0; i < r->d.argc; i++)
		print_string("  ", r->d.argv[i]);
	(void)printf("environment:\n");
	for (size_t i = 0; i < r->d.envc; i++)
		print_string("  ", r->d.envp[i]);

	if (r->args.entropy_port)
		(void)printf("entropy: vsock port %u\n", r->args.entropy_port);
	if (r->args.overlay)
		(void)printf("overlay: /etc and /var\n");
	if (r->args.shell)
		print_string("shell: ", r->args.shell);
	(void)printf("mode: %s (%s)\n", mode_name(r->mode.mode),
		     r->mode.reason);
}

static void print_report(const struct line_report *r)
{
	print_words(r);
	if (r->fatal.class == ERR_NONE)
		print_init(r);
	for (size_t i = 0; i < r->n_problems; i++)
		(void)printf("problem: %s\n", r->problem[i]);
	if (r->fatal.class == ERR_NONE && r->n_problems == 0)
		(void)printf("problem: none\n");
}

/* Strings that JSON cannot hold are given as hex, as in the vectors. */
static bool ascii(char *const *v)
{
	for (; *v; v++)
		for (const char *p = *v; *p != '\0'; p++)
			if ((unsigned char)*p >= 0x80)
				return false;
	return true;
}

static json_object *string_json(const char *s, bool hex)
{
	json_object *o;
	struct text t;

	if (!hex)
		return json_object_new_string(s);
	text_heap(&t, 2 * (size_t)LINE_REPORT_MAX + 1);
	for (; *s != '\0'; s++)
		text_addf(&t, "%02x", (unsigned char)*s);
	o = json_object_new_string(text_str(&t));
	text_done(&t);
	return o;
}

static void add_strings(json_object *to, const char *name, const char *hex_name,
			char *const *v)
{
	const bool hex = !ascii(v);
	json_object *list = json_object_new_array();

	for (; *v; v++)
		(void)json_object_array_add(list, string_json(*v, hex));
	(void)json_object_object_add(to, hex ? hex_name : name, list);
}

static json_object *words_json(const struct line_report *r)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < r->n_words; i++) {
		json_object *w = json_object_new_object();
		const char *text = r->word[i].text;
		bool hex = false;

		for (const char *p = text; *p != '\0'; p++)
			hex |= (unsigned char)*p >= 0x80;
		(void)json_object_object_add(w, hex ? "word_hex" : "word",
					     string_json(text, hex));
		(void)json_object_object_add(
			w, "fate",
			json_object_new_string(fates[r->word[i].fate]));
		(void)json_object_array_add(list, w);
	}
	return list;
}

static json_object *problems_json(const struct line_report *r)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < r->n_problems; i++)
		(void)json_object_array_add(
			list, json_object_new_string(r->problem[i]));
	return list;
}

static json_object *report_json(const struct line_report *r)
{
	json_object *o = json_object_new_object();

	(void)json_object_object_add(o, "length",
				     json_object_new_int64((int64_t)r->length));
	(void)json_object_object_add(o, "words", words_json(r));
	(void)json_object_object_add(o, "problems", problems_json(r));
	if (r->fatal.class != ERR_NONE) {
		(void)json_object_object_add(
			o, "error",
			json_object_new_string(err_class_name(r->fatal.class)));
		return o;
	}
	add_strings(o, "argv", "argv_hex", r->d.argv);
	add_strings(o, "envp", "envp_hex", r->d.envp);
	(void)json_object_object_add(
		o, "entropy_port", json_object_new_int64(r->args.entropy_port));
	(void)json_object_object_add(o, "overlay",
				     json_object_new_boolean(r->args.overlay));
	(void)json_object_object_add(
		o, "mode", json_object_new_string(mode_name(r->mode.mode)));
	(void)json_object_object_add(o, "reason",
				     json_object_new_string(r->mode.reason));
	return o;
}

static void print_json(const struct line_report *r)
{
	json_object *o = report_json(r);

	(void)printf("%s\n",
		     json_object_to_json_string_ext(
			     o, JSON_C_TO_STRING_PLAIN |
					JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

int cmdline_parse(int argc, char **argv)
{
	const bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	struct line_report *r;
	struct err e = { 0 };
	int code;

	/* A line may begin with dashes: only one word is an option. */
	if (argc != 2 + json)
		return tool_usage("cmdline", "parse [--json] LINE|-");
	if (get_report(argv[1 + json], &r, &e) < 0)
		return tool_fail(&e);

	if (json)
		print_json(r);
	else
		print_report(r);
	code = r->fatal.class == ERR_NONE ? TOOL_OK : tool_fail(&r->fatal);
	line_report_free(r);
	if (fflush(stdout) != 0) {
		(void)err_sys(&e, "standard output");
		return tool_fail(&e);
	}
	return code;
}
