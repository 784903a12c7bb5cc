/*
 * bridge/io/log.h - one event a line, never blocking, never allocating
 *
 * Text form:	level msg key=value ...
 * JSON form:	{"time":"RFC 3339, ns","level":"info","msg":"..."}
 * errno is kept. A call site that repeats itself is limited to
 * LOG_SITE_BURST lines a second and then says how many it left out.
 * Environments, command lines and policies are never logged.
 */
#ifndef FERRY_BRIDGE_IO_LOG_H
#define FERRY_BRIDGE_IO_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* Longest line; longer ones are cut. PIPE_BUF keeps a write whole; the tail of
 * one that a socket took a part of is kept, and is never longer. */
#define LOG_LINE_MAX 900
#define LOG_SITE_BURST 20

enum log_level {
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVELS, /* number of levels */
};

enum log_form {
	LOG_FORM_TEXT,
	LOG_FORM_JSON,
	LOG_FORM_KMSG, /* "<3>text", for /dev/kmsg */
};

/**
 * log_setup() - where lines go; before it they go to descriptor 2 as text
 * @fd:		borrowed for the life of the program
 * @form:	shape of a line
 * @max:	lines above this level are left out
 */
void log_setup(int fd, enum log_form form, enum log_level max);

/* State of one call site, for its rate limit. */
struct log_site {
	int64_t window_s;
	uint32_t lines;
	uint32_t dropped;
};

void log_write(struct log_site *site, enum log_level level, const char *fmt,
	       ...) __attribute__((format(printf, 3, 4)));

/** log_limited() - lines that were left out because their call site repeats */
uint64_t log_limited(void);

#define LOG_AT(level, ...)                                                     \
	do {                                                                   \
		static struct log_site log_site_;                              \
		log_write(&log_site_, (level), __VA_ARGS__);                   \
	} while (0)

#define log_err(...) LOG_AT(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
