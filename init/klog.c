#include "init/klog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "bridge/io/fd.h"

/* "<6>" is for /dev/kmsg alone. */
#define PREFIX_LEN 3u

static int kmsg_fd = -1;
static int console_fd = -1;
static struct ring *log_ring;

/* O_NONBLOCK: who cannot take a line must not stop PID 1. */
static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

void klog_open(struct ring *ring)
{
	kmsg_fd = open_log("/dev/kmsg");
	console_fd = open_log("/dev/console");
	log_ring = ring;
}

void klog_reopen(void)
{
	fd_close(&kmsg_fd);
	kmsg_fd = open_log("/dev/kmsg");
}

static void put(const char *line, size_t len, bool aloud)
{
	ssize_t written = -1;

	if (kmsg_fd >= 0 && (console_fd < 0 || !aloud))
		written = write(kmsg_fd, line, len);
	if (written < 0) /* refused: the console, if there is one, or nobody */
		written = write(console_fd >= 0 ? console_fd : STDERR_FILENO,
				line + PREFIX_LEN, len - PREFIX_LEN);
	(void)written; /* nobody is left to tell */
}

__attribute__((format(printf, 3, 0))) static void
line_out(enum klog_level level, bool aloud, const char *fmt, va_list ap)
{
	const int saved = errno;
	char line[KLOG_LINE_MAX];
	size_t len =
		(size_t)snprintf(line, sizeof(line), "<%d>init: ", (int)level);
	const size_t room = sizeof(line) - len - 1; /* the newline's place */
	const int n = vsnprintf(line + len, room, fmt, ap);

	if (n > 0)
		len += (size_t)n < room ? (size_t)n : room - 1;
	line[len++] = '\n';
	put(line, len, aloud);
	if (!aloud && log_ring)
		ring_put(log_ring, line + PREFIX_LEN, len - PREFIX_LEN);
	errno = saved;
}

void klog(enum klog_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_out(level, false, fmt, ap);
	va_end(ap);
}

void klog_aloud(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_out(KLOG_ERR, true, fmt, ap);
	va_end(ap);
}
