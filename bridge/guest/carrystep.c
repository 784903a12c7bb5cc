#include "bridge/guest/carrystep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/guest/streamstep.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/msg_ferry.h"
#include "config/num.h"

/* Punching works on whole pages; the largest there are. */
#define PAGE ((uint64_t)64 << 10)
/* Numbers of the host that are read at once. */
#define NUMBERS 64

static struct loop *loop_of(const struct stream *s)
{
	return s->owner->loop;
}

/* Pages before @upto are needed by nobody. */
static void punch(struct carry *c, uint64_t upto, uint64_t last)
{
	const uint64_t to = upto & ~(PAGE - 1);

	if (to <= c->punched ||
	    (to - c->punched < CARRY_PUNCH_BYTES && upto != last))
		return;
	/* What cannot be given back only costs memory. */
	(void)fallocate(c->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)c->punched, (off_t)(to - c->punched));
	c->punched = to;
}

/* --- output ---------------------------------------------------------------- */

static bool source_ended(struct stream *s)
{
	struct carry *c = s->carry;

	loop_unwatch(loop_of(s), &s->end_watch);
	if (s->end >= 0 && s->number != 0 && s->owner->on_end)
		s->owner->on_end(s->owner->ctx, s->number, s->role);
	fd_close(&s->end);
	c->ended = true;
	c->length = s->offset;
	carry_tell(s, WIRE_FERRY_STREAM_END);
	return true;
}

ssize_t carry_move(int from, int to, size_t most)
{
	return splice(from, NULL, to, NULL, most,
		      SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
}

/* Of a terminal only a pipe takes by splice. What an earlier agent has left in
 * that comes first. */
static ssize_t take_by_mid(struct stream *s, size_t most)
{
	struct carry *c = s->carry;
	ssize_t n = carry_move(c->mid, c->file, most);

	if (n >= 0 || errno != EAGAIN)
		return n;
	n = carry_move(s->end, c->mid, most);
	if (n < 0 && errno == EIO)
		return 0; /* the end of a terminal */
	return n > 0 ? carry_move(c->mid, c->file, most) : n;
}

/* Once, whatever becomes of the host. A log that is full loses, and one whose
 * agent is killed in here. */
static void log_output(struct stream *s, size_t n)
{
	uint8_t *const buf = s->owner->scratch;

	for (off_t at = (off_t)s->offset; n > 0;) {
		const ssize_t got =
			pread(s->carry->file, buf,
			      n < STREAM_BUFFER ? n : STREAM_BUFFER, at);

		if (got <= 0)
			return;
		(void)fd_write_full(s->tee, buf, (size_t)got);
		at += got;
		n -= (size_t)got;
	}
}

static ssize_t take(struct stream *s, size_t most)
{
	uint8_t *const buf = s->owner->scratch;
	ssize_t n;

	if (s->tty && s->carry->mid >= 0 && !s->no_splice)
		return take_by_mid(s, most);
	if (!s->tty && !s->no_splice)
		return carry_move(s->end, s->carry->file, most);
	n = read(s->end, buf, most < STREAM_BUFFER ? most : STREAM_BUFFER);
	if (n < 0 && errno == EIO)
		return 0; /* the end of a terminal */
	if (n <= 0)
		return n;
	/* There is no way to put it back: a write of a few pages to memory
	 * fails when the machine does. */
	return fd_write_full(s->carry->file, buf, (size_t)n) < 0 ? 0 : n;
}

/* Return: did anything happen? */
static bool pull_output(struct stream *s)
{
	const uint64_t held = s->offset - s->carry->acked;
	ssize_t n;

	if (s->end < 0 || held >= STREAM_WINDOW_BYTES)
		return false;
	n = take(s, (size_t)(STREAM_WINDOW_BYTES - held));
	if (n == 0)
		return source_ended(s);
	if (n > 0) {
		if (s->tee >= 0)
			log_output(s, (size_t)n);
		stream_count(s, (size_t)n);
		return true;
	}
	if (errno == EINTR)
		return true;
	if (errno == EINVAL && !s->no_splice) {
		s->no_splice = true;
		return true;
	}
	if (errno != EAGAIN) {
		log_warn("output waits: %s", strerror(errno));
		carry_watch(s, &s->end_watch, s->end, false, 0, carry_on_end);
		carry_timer(s, &s->carry->run_timer, CARRY_MEMORY_MS,
			    carry_on_run_timer);
	}
	return false;
}

/* Return: 1: moved, 0: not now, -1: broken */
static int push_output(struct stream *s)
{
	struct carry *c = s->carry;
	off_t at = (off_t)c->at;
	ssize_t n;

	if (s->state != STREAM_OPEN || !c->greeted || c->at == s->offset)
		return 0;
	n = sendfile(s->sock, c->file, &at, (size_t)(s->offset - c->at));
	if (n > 0) {
		c->at += (uint64_t)n;
		return 1;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* The host has @n bytes. Return: false: it cannot */
static bool take_number(struct stream *s, uint64_t n)
{
	struct carry *c = s->carry;

	if (n < c->acked || n > (c->greeted ? c->at : s->offset))
		return false;
	if (!c->greeted) {
		c->at = n;
		c->dials = 0;
		c->greeted = true;
		if (c->ended)
			carry_tell(s, WIRE_FERRY_STREAM_END);
	}
	c->acked = n;
	carry_note(s, n);
	punch(c, n, s->offset);
	return true;
}

/* Return: false: the connection is of no use any more */
bool carry_read_numbers(struct stream *s)
{
	struct carry *c = s->carry;
	uint8_t buf[NUMBERS * STREAM_OFFSET_BYTES];
	const ssize_t n = recv(s->sock, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	for (ssize_t i = 0; i < n; i++) {
		c->got[c->got_len++] = buf[i];
		if (c->got_len < STREAM_OFFSET_BYTES)
			continue;
		c->got_len = 0;
		if (!take_number(s, le64_get(c->got)))
			return false;
	}
	return n > 0;
}

void carry_run_output(struct stream *s)
{
	const uint64_t until = s->offset + STREAM_TURN_BYTES;
	struct carry *c = s->carry;
	bool moved = true;
	int r = 0;

	if (s->state == STREAM_OPEN && !carry_flush(s))
		r = -1;
	while (moved && r >= 0 && s->offset < until) {
		moved = pull_output(s);
		r = push_output(s);
		moved |= r > 0;
	}
	if (r < 0)
		carry_broke(s);
	if (s->state == STREAM_OPEN)
		carry_watch(
			s, &s->sock_watch, s->sock, true,
			EPOLLIN | (c->put_at < c->put_len || (c->greeted &&
							      c->at < s->offset)
					   ? EPOLLOUT
					   : 0u),
			carry_on_sock);
	if (c->run_timer.generation == 0)
		carry_watch(s, &s->end_watch, s->end,
			    s->offset - c->acked < STREAM_WINDOW_BYTES, EPOLLIN,
			    carry_on_end);
	if (s->marked && s->on_change)
		s->on_change(s->ctx);
}

/* --- input ----------------------------------------------------------------- */

/* Return: 1: moved, 0: not now, -1: broken */
static int pull_input(struct stream *s)
{
	struct carry *c = s->carry;
	const uint64_t held = s->offset - c->at;
	size_t most = STREAM_BUFFER;
	ssize_t n;

	if (s->state != STREAM_OPEN || held >= STREAM_WINDOW_BYTES)
		return 0;
	if (most > STREAM_WINDOW_BYTES - held)
		most = (size_t)(STREAM_WINDOW_BYTES - held);
	n = recv(s->sock, s->owner->scratch, most, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0 || (c->ended && (uint64_t)n > c->length - s->offset))
		return -1;
	/* What is not in the file was not taken: it will be sent again. */
	if (pwrite(c->file, s->owner->scratch, (size_t)n, (off_t)s->offset) !=
	    n)
		return -1;
	s->offset += (uint64_t)n;
	s->owner->moved += (uint64_t)n;
	c->dials = 0;
	if (s->offset - c->acked >= STREAM_ACK_BYTES)
		c->ack_due = true;
	else if (c->run_timer.generation == 0)
		carry_timer(s, &c->run_timer, STREAM_ACK_MS,
			    carry_on_run_timer);
	return 1;
}

static ssize_t give(struct stream *s, size_t most)
{
	const struct carry *c = s->carry;
	uint8_t *const buf = s->owner->scratch;
	ssize_t n;

	if (!s->tty)
		return sendfile(s->end, c->file, NULL, most);
	n = pread(c->file, buf, most < STREAM_BUFFER ? most : STREAM_BUFFER,
		  (off_t)c->at);
	if (n > 0)
		n = write(s->end, buf, (size_t)n);
	if (n > 0)
		(void)lseek(c->file, n, SEEK_CUR); /* cannot fail */
	return n;
}

/* Return: 1: moved, 0: not now, -1: nobody reads it any more */
static int push_input(struct stream *s)
{
	struct carry *c = s->carry;
	ssize_t n;

	if (c->at == s->offset)
		return 0;
	n = give(s, (size_t)(s->offset - c->at));
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	c->at += (uint64_t)n;
	punch(c, c->at, s->offset);
	return 1;
}

void carry_input_over(struct stream *s)
{
	carry_tell(s, WIRE_FERRY_UNWANTED);
	stream_close(s);
}

void carry_run_input(struct stream *s)
{
	const uint64_t until = s->offset + STREAM_TURN_BYTES;
	struct carry *c = s->carry;
	int in = 1;
	int out = 1;

	while ((in > 0 || out > 0) && in >= 0 && s->offset < until) {
		in = pull_input(s);
		out = push_input(s);
		if (out < 0)
			break;
	}
	if (out < 0 || (c->ended && c->at == c->length)) {
		carry_input_over(s);
		return;
	}
	if (in < 0 || (s->state == STREAM_OPEN && !carry_flush(s)))
		carry_broke(s);
	if (s->state == STREAM_OPEN)
		carry_watch(s, &s->sock_watch, s->sock, true,
			    (s->offset - c->at < STREAM_WINDOW_BYTES ? EPOLLIN
								     : 0u) |
				    (c->put_at < c->put_len ? EPOLLOUT : 0u),
			    carry_on_sock);
	carry_watch(s, &s->end_watch, s->end, true,
		    c->at < s->offset ? EPOLLOUT : 0u, carry_on_end);
}
