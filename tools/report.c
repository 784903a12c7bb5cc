#include "tools/report.h"

#include <json-c/json.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void report_init(struct report *r)
{
	*r = (struct report){ .start_us = clock_us() };
	r->last_us = r->start_us;
}

static double ms(int64_t from_us, int64_t to_us)
{
	return (double)(to_us - from_us) / 1000.0;
}

/* One line: "event", then a member, then a text; freed here. */
static void json_line(const char *event, const char *name,
		      struct json_object *value, const char *text_name,
		      const char *text)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "event", json_object_new_string(event));
	if (name)
		json_object_object_add(o, name, value);
	if (text)
		json_object_object_add(o, text_name,
				       json_object_new_string(text));
	(void)fprintf(
		stderr, "%s\n",
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

void report_phase(struct report *r, const char *name)
{
	const int64_t now = clock_us();
	char text[32];

	if (r->json) {
		(void)snprintf(text, sizeof(text), "%.3f",
			       ms(r->start_us, now));
		json_line("phase", "ms",
			  json_object_new_double_s(ms(r->start_us, now), text),
			  "name", name);
	} else if (r->verbose) {
		(void)fprintf(stderr, "ferry: %9.1f ms  +%8.1f  %s\n",
			      ms(r->start_us, now), ms(r->last_us, now), name);
	}
	r->last_us = now;
}

void report_log(const struct report *r, const char *level, const char *text)
{
	if (r->json)
		json_line("log", "level", json_object_new_string(level), "text",
			  text);
	else if (r->verbose)
		(void)fprintf(stderr, "uvm: %s: %s\n", level, text);
}

void report_error(const struct report *r, const struct err *e)
{
	if (r->json)
		json_line("error", "class",
			  json_object_new_string(err_class_name(e->class)),
			  "text", e->text);
	else if (e->class != ERR_NONE)
		(void)fprintf(stderr, "error: %s: %s\n",
			      err_class_name(e->class), e->text);
	else
		(void)fprintf(stderr, "ferry: %s\n", e->text);
}

void report_warning(const struct report *r, const char *text)
{
	if (r->json)
		json_line("warning", NULL, NULL, "text", text);
	else
		(void)fprintf(stderr, "ferry: warning: %s\n", text);
}

void report_progress(struct report *r, const char *what, uint64_t done,
		     uint64_t total)
{
	struct json_object *o;

	if (r->json) {
		o = json_object_new_object();
		json_object_object_add(o, "event",
				       json_object_new_string("progress"));
		json_object_object_add(o, "what", json_object_new_string(what));
		json_object_object_add(o, "done", json_object_new_uint64(done));
		json_object_object_add(o, "total",
				       json_object_new_uint64(total));
		(void)fprintf(stderr, "%s\n",
			      json_object_to_json_string_ext(
				      o, JSON_C_TO_STRING_PLAIN));
		json_object_put(o);
		return;
	}
	if (!isatty(STDERR_FILENO) || total == 0 ||
	    ms(r->start_us, clock_us()) < REPORT_SLOW_MS)
		return;
	(void)fprintf(stderr, "\r\033[K%.60s: %u %% of %u MiB", what,
		      (unsigned int)(done * 100 / total),
		      (unsigned int)(total >> 20));
	r->line = true;
}

void report_progress_end(struct report *r)
{
	if (r->line)
		(void)fputs("\r\033[K", stderr);
	r->line = false;
}

void report_exit(const struct report *r, int code)
{
	if (r->json)
		json_line("exit", "code", json_object_new_int(code), NULL,
			  NULL);
}
