#include "init/klog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* "<6>" is for /dev/kmsg alone. */
#define PREFIX_LEN 3u

static int kmsg_fd = -1;
static struct ring *log_ring;

void klog_setup(int fd, struct ring *ring)
{
	kmsg_fd = fd;
	log_ring = ring;
}

__attribute__((format(printf, 3, 0))) static void
line_out(enum klog_level level, struct ring *ring, const char *fmt, va_list ap)
{
	const int saved = errno;
	char line[KLOG_LINE_MAX];
	size_t len =
		(size_t)snprintf(line, sizeof(line), "<%d>init: ", (int)level);
	const size_t room = sizeof(line) - len - 1; /* the newline's place */
	const int n = vsnprintf(line + len, room, fmt, ap);
	ssize_t written = -1;

	if (n > 0)
		len += (size_t)n < room ? (size_t)n : room - 1;
	line[len++] = '\n';
	if (kmsg_fd >= 0)
		written = write(kmsg_fd, line, len);
	if (written < 0) /* refused: the console, if there is one, or nobody */
		written = write(STDERR_FILENO, line + PREFIX_LEN,
				len - PREFIX_LEN);
	(void)written; /* nobody is left to tell */
	if (ring)
		ring_put(ring, line + PREFIX_LEN, len - PREFIX_LEN);
	errno = saved;
}

void klog(enum klog_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_out(level, log_ring, fmt, ap);
	va_end(ap);
}

void klog_aloud(enum klog_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_out(level, NULL, fmt, ap);
	va_end(ap);
}
