#include "bridge/guest/streamstep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

static int source_of(const struct stream *s)
{
	return s->kind == STREAM_OUT ? s->end : s->sock;
}

static int sink_of(const struct stream *s)
{
	return s->kind == STREAM_OUT ? s->sock : s->end;
}

void stream_count(struct stream *s, size_t n)
{
	s->offset += n;
	s->owner->moved += n;
	s->quiet = false;
	if (!s->large && !s->tty && s->offset >= STREAM_BUSY_BYTES) {
		s->large = true;
		/* A user may have no right to more; then it stays. */
		(void)fcntl(s->end, F_SETPIPE_SZ, STREAM_PIPE_BYTES);
	}
}

/* After an EAGAIN that may stand for either side. */
static enum step who_is_not_ready(const struct stream *s)
{
	struct pollfd p[2] = {
		{ .fd = source_of(s), .events = POLLIN },
		{ .fd = sink_of(s), .events = POLLOUT },
	};

	if (poll(p, 2, 0) < 0)
		return STEP_NEED_SOURCE;
	if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
		return STEP_NEED_SOURCE;
	if ((p[1].revents & (POLLOUT | POLLHUP | POLLERR)) == 0)
		return STEP_NEED_SINK;
	return STEP_AGAIN;
}

/* Does an error of a move tell about the sink? */
static enum step broken_side(const struct stream *s, int code)
{
	if (s->kind == STREAM_OUT)
		return STEP_SINK_BROKE;
	return code == EPIPE || code == EIO ? STEP_SINK_BROKE : STEP_END;
}

static enum step step_splice(struct stream *s)
{
	const ssize_t n =
		splice(source_of(s), NULL, sink_of(s), NULL, STREAM_PIPE_BYTES,
		       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (n > 0) {
		stream_count(s, (size_t)n);
		return STEP_MOVED;
	}
	if (n == 0)
		return STEP_END;
	if (errno == EAGAIN)
		return who_is_not_ready(s);
	if (errno == EINTR)
		return STEP_AGAIN;
	if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
		s->no_splice = true;
		return STEP_AGAIN;
	}
	return broken_side(s, errno);
}

static enum step give_left(struct stream *s)
{
	const ssize_t n = write(sink_of(s), s->left + s->left_at, s->left_len);

	if (n < 0 && errno == EINTR)
		return STEP_AGAIN;
	if (n < 0)
		return errno == EAGAIN ? STEP_NEED_SINK : STEP_SINK_BROKE;
	s->left_at += (size_t)n;
	s->left_len -= (size_t)n;
	if (s->left_len > 0)
		return STEP_NEED_SINK;
	free(mem_take(&s->left));
	s->left_at = 0;
	return STEP_MOVED;
}

/* Keeps what the sink did not take of the scratch buffer. */
static enum step keep_left(struct stream *s, const uint8_t *from, size_t n)
{
	s->left = malloc(n);
	if (!s->left)
		return STEP_SINK_BROKE; /* bytes are lost: that must show */
	memcpy(s->left, from, n);
	s->left_at = 0;
	s->left_len = n;
	return STEP_NEED_SINK;
}

static enum step step_copy(struct stream *s)
{
	uint8_t *const buf = s->owner->scratch;
	const ssize_t n = read(source_of(s), buf, STREAM_BUFFER);
	ssize_t given;

	if (n < 0 && errno == EAGAIN)
		return STEP_NEED_SOURCE;
	if (n < 0 && errno == EINTR)
		return STEP_AGAIN;
	/* A terminal ends with EIO, a socket with whatever its loss is. */
	if (n <= 0)
		return STEP_END;
	stream_count(s, (size_t)n);
	/* Once, whatever becomes of the socket. A log that is full loses. */
	if (s->tee >= 0)
		(void)fd_write_full(s->tee, buf, (size_t)n);
	given = write(sink_of(s), buf, (size_t)n);
	if (given == n)
		return STEP_MOVED;
	if (given < 0 && errno != EAGAIN && errno != EINTR)
		return STEP_SINK_BROKE;
	if (given < 0)
		given = 0;
	return keep_left(s, buf + given, (size_t)(n - given));
}

static enum step step_discard(struct stream *s)
{
	const ssize_t n = read(s->end, s->owner->scratch, STREAM_BUFFER);

	if (n > 0) {
		s->offset += (uint64_t)n;
		s->owner->discarded += (uint64_t)n;
		return STEP_MOVED;
	}
	if (n < 0 && errno == EAGAIN)
		return STEP_NEED_SOURCE;
	return n < 0 && errno == EINTR ? STEP_AGAIN : STEP_END;
}

enum step stream_step(struct stream *s)
{
	if (s->state == STREAM_DISCARD)
		return step_discard(s);
	if (s->left_len > 0)
		return give_left(s);
	if (!s->tty && !s->no_splice)
		return step_splice(s);
	return step_copy(s);
}
