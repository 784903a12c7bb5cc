/* bridge/guest/capture.h - the last bytes that come out of a pipe */
#ifndef FERRY_BRIDGE_GUEST_CAPTURE_H
#define FERRY_BRIDGE_GUEST_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/io/loop.h"
#include "config/err.h"

/**
 * struct capture - what was read so far
 * @fd:		non-blocking, owned; -1: closed, or none
 * @buf:	NUL-terminated once there is one
 * @len:	bytes in it
 * @max:	most of them; the last ones are kept, because the end of a
 *		program's words tells why it ended
 * @cut:	there was more, or no memory for it
 */
struct capture {
	struct loop *loop;
	int fd;
	struct loop_id watch;
	char *buf;
	size_t len;
	size_t size;
	size_t max;
	bool cut;
};

/** capture_init() - nothing captured, no descriptor */
void capture_init(struct capture *c, struct loop *l, size_t max);

/** capture_done() - close and forget */
void capture_done(struct capture *c);

/**
 * capture_open() - begin to read from @fd, which is the capture's now, also on
 * failure; -1: there is nothing to read
 *
 * Return: 0 or -errno
 */
int capture_open(struct capture *c, int fd, struct err *e);

/** capture_finish() - read what is there at this moment, but not for ever */
void capture_finish(struct capture *c);

/** capture_close() - read no more, keep what there is */
void capture_close(struct capture *c);

/** capture_text() - what was read, "" when there is nothing */
const char *capture_text(const struct capture *c);

#endif
