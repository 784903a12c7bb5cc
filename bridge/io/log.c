/*
 * A line is put together on the stack and leaves in one write. A reader that
 * is stuck must not stop the program: a socket gets what it takes at once,
 * anything else is asked first whether it takes a line. If it does not the line
 * is counted and left out; the next one that gets through says how many are
 * missing. A socket may take the head of a line only: the tail is kept, and
 * leaves before anything else, so that lines stay whole.
 */
#include "bridge/io/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "config/util.h"

struct line {
	char buf[LOG_LINE_MAX];
	size_t len;
};

static struct {
	int fd;
	enum log_form form;
	enum log_level max;
	uint32_t lost;
	bool no_socket;
	struct line tail; /* of a line that began to leave */
} sink = { .fd = STDERR_FILENO, .form = LOG_FORM_TEXT, .max = LOG_LEVEL_DEBUG };

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error",
	[LOG_LEVEL_WARN] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
static_assert(ARRAY_LEN(level_names) == LOG_LEVELS, "a level has no name");

/* Priorities of the kernel's log, syslog(2). */
static const char kmsg_digits[] = { '3', '4', '6', '7' };
static_assert(ARRAY_LEN(kmsg_digits) == LOG_LEVELS, "a level has no digit");

void log_setup(int fd, enum log_form form, enum log_level max)
{
	sink.fd = fd;
	sink.form = form;
	sink.max = max;
	sink.no_socket = false;
	sink.tail.len = 0;
}

/* The last bytes are kept for what closes a line: "}\n and a NUL. */
static bool line_add(struct line *l, const char *s, size_t n)
{
	if (n > sizeof(l->buf) - 4 - l->len)
		return false;
	memcpy(l->buf + l->len, s, n);
	l->len += n;
	return true;
}

static void line_str(struct line *l, const char *s)
{
	(void)line_add(l, s, strlen(s)); /* the head of a line always fits */
}

/* Years, months and days of a day number; the civil calendar, in UTC. */
static void civil_date(int64_t days, int *year, unsigned int *month,
		       unsigned int *day)
{
	/* Eras of 400 years that begin on 1 March. */
	const int64_t shifted = days + 719468;
	const int64_t era = shifted / 146097;
	const unsigned int doe = (unsigned int)(shifted - era * 146097);
	const unsigned int yoe =
		(doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	const unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	const unsigned int mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (int)((int64_t)yoe + era * 400) + (*month <= 2 ? 1 : 0);
}

static void line_time(struct line *l)
{
	struct timespec now = { 0 };
	unsigned int month, day, s;
	char text[48];
	int year;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	civil_date(now.tv_sec / 86400, &year, &month, &day);
	s = (unsigned int)(now.tv_sec % 86400);
	(void)snprintf(text, sizeof(text),
		       "%04d-%02u-%02uT%02u:%02u:%02u.%09ldZ", year, month, day,
		       s / 3600, s / 60 % 60, s % 60, now.tv_nsec);
	line_str(l, text);
}

/* Text of any origin as the inside of a JSON string, plain ASCII. */
static void line_json(struct line *l, const char *s)
{
	char escape[8];

	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;
		bool fits;

		if (c == '"' || c == '\\') {
			(void)snprintf(escape, sizeof(escape), "\\%c", c);
			fits = line_add(l, escape, 2);
		} else if (c < 0x20 || c == 0x7f) {
			(void)snprintf(escape, sizeof(escape), "\\u%04x", c);
			fits = line_add(l, escape, 6);
		} else {
			fits = line_add(l, c < 0x80 ? s : "?", 1);
		}
		if (!fits)
			return;
	}
}

static void line_plain(struct line *l, const char *s)
{
	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;

		if (!line_add(l, c < 0x20 || c == 0x7f ? " " : s, 1))
			return;
	}
}

static void line_build(struct line *l, enum log_level level, const char *msg)
{
	switch (sink.form) {
	case LOG_FORM_JSON:
		line_str(l, "{\"time\":\"");
		line_time(l);
		line_str(l, "\",\"level\":\"");
		line_str(l, level_names[level]);
		line_str(l, "\",\"msg\":\"");
		line_json(l, msg);
		memcpy(l->buf + l->len, "\"}\n", 3);
		l->len += 3;
		return;
	case LOG_FORM_KMSG:
		line_str(l, "<");
		(void)line_add(l, &kmsg_digits[level], 1);
		line_str(l, ">");
		break;
	case LOG_FORM_TEXT:
	default:
		line_str(l, level_names[level]);
		line_str(l, " ");
		break;
	}
	line_plain(l, msg);
	l->buf[l->len++] = '\n';
}

/* Return: bytes of @l that the descriptor took without waiting */
static size_t line_give(const struct line *l)
{
	struct pollfd p = { .fd = sink.fd, .events = POLLOUT };
	ssize_t n = -1;

	if (!sink.no_socket) {
		n = send(sink.fd, l->buf, l->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		sink.no_socket = n < 0 && errno == ENOTSOCK;
	}
	/* A pipe that is writable takes PIPE_BUF bytes without waiting. */
	if (sink.no_socket && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0)
		n = write(sink.fd, l->buf, l->len);
	return n > 0 ? (size_t)n : 0;
}

/* Takes the first @n bytes off @l. */
static void line_cut(struct line *l, size_t n)
{
	l->len -= n;
	memmove(l->buf, l->buf + n, l->len);
}

/* Return: false when the line is lost, whole */
static bool line_emit(enum log_level level, const char *msg)
{
	struct line l = { .len = 0 };
	size_t given;

	if (sink.tail.len > 0)
		line_cut(&sink.tail, line_give(&sink.tail));
	if (sink.tail.len > 0)
		return false;
	line_build(&l, level, msg);
	given = line_give(&l);
	if (given == 0)
		return false;
	line_cut(&l, given);
	sink.tail.len = l.len;
	memcpy(sink.tail.buf, l.buf, l.len);
	return true;
}

static uint64_t limited; /* lines, of all call sites */

uint64_t log_limited(void)
{
	return limited;
}

/* Return: false when the call site has said enough in this second. */
static bool site_allows(struct log_site *site, uint32_t *left_out)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	*left_out = 0;
	if (site->lines == 0 || now.tv_sec != site->window_s) {
		*left_out = site->dropped;
		*site = (struct log_site){ .window_s = now.tv_sec };
	}
	if (site->lines >= LOG_SITE_BURST) {
		site->dropped++;
		limited++;
		return false;
	}
	site->lines++;
	return true;
}

static void say_missing(uint32_t missing)
{
	char note[64];

	(void)snprintf(note, sizeof(note), "log lines left out: %u", missing);
	(void)line_emit(LOG_LEVEL_WARN, note);
}

void log_write(struct log_site *site, enum log_level level, const char *fmt,
	       ...)
{
	const int saved = errno;
	char msg[LOG_LINE_MAX];
	uint32_t missing = 0;
	va_list ap;

	if ((unsigned int)level >= LOG_LEVELS || level > sink.max ||
	    !site_allows(site, &missing)) {
		errno = saved;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap); /* cut when longer */
	va_end(ap);

	missing += sink.lost;
	if (missing > 0)
		say_missing(missing);
	if (line_emit(level, msg))
		sink.lost = 0;
	else
		sink.lost = missing + 1;
	errno = saved;
}
