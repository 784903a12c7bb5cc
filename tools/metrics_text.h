/*
 * tools/metrics_text.h - metrics of several sandboxes as one Prometheus text; pure
 *
 * In the text format all samples of a metric stand together behind one HELP and
 * one TYPE, so what the sandboxes said is gathered first. Each sample gets the
 * label sandbox="NAME". Source: Prometheus, exposition formats, text format
 * 0.0.4.
 */
#ifndef FERRY_TOOLS_METRICS_TEXT_H
#define FERRY_TOOLS_METRICS_TEXT_H

#include <stddef.h>

#include "config/arena.h"
#include "config/err.h"
#include "config/text.h"

/* Different metrics that a shim may name. */
#define METRICS_MAX 256u
/* Lines of all of them. */
#define METRICS_LINES_MAX ((size_t)1 << 17)
/* Bytes of all of them. */
#define METRICS_BYTES_MAX ((size_t)32 * 1024 * 1024)

struct metrics_line {
	const char *text;
	struct metrics_line *next;
};

struct metrics_group {
	const char *name;
	const char *help;
	const char *type;
	struct metrics_line *first;
	struct metrics_line *last;
};

/** struct metrics_text - what was gathered; strings are its own */
struct metrics_text {
	struct metrics_group group[METRICS_MAX];
	size_t n;
	size_t lines;
	struct arena arena;
};

/* One sample; label names and values in turn. */
struct metrics_sample {
	const char *suffix;
	const char *const *label;
	size_t n_labels;
	double value;
};

void metrics_text_init(struct metrics_text *m);
void metrics_text_done(struct metrics_text *m);

/**
 * metrics_text_group() - the metric of that name, made when it is new
 * @type:	counter, gauge or histogram
 *
 * Return: 0, -EINVAL (a name or type that the format does not have, or another
 *         type than before), -E2BIG, -ENOMEM
 */
int metrics_text_group(struct metrics_text *m, const char *name,
		       const char *help, const char *type,
		       struct metrics_group **ret, struct err *e);

/**
 * metrics_text_sample() - one line
 * @sandbox:	value of the first label
 *
 * Return: 0, -EINVAL (a name of a label, a suffix), -E2BIG, -ENOMEM
 */
int metrics_text_sample(struct metrics_text *m, struct metrics_group *g,
			const char *sandbox, const struct metrics_sample *s,
			struct err *e);

/** metrics_text_print() - all of it */
void metrics_text_print(const struct metrics_text *m, struct text *out);

#endif
