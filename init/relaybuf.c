#include "init/relaybuf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Longest run of bytes from @pos on that does not wrap. */
static size_t run(uint64_t pos, uint64_t end)
{
	const size_t left = RELAYBUF_SIZE - (size_t)(pos % RELAYBUF_SIZE);

	return end - pos < left ? (size_t)(end - pos) : left;
}

static const char *at(const struct relaybuf *b, uint64_t pos)
{
	return &b->data[pos % RELAYBUF_SIZE];
}

/* The position behind the next newline at or behind @pos, or head. */
static uint64_t next_line(const struct relaybuf *b, uint64_t pos)
{
	while (pos < b->head) {
		const size_t n = run(pos, b->head);
		const char *nl = memchr(at(b, pos), '\n', n);

		if (nl)
			return pos + (uint64_t)(nl - at(b, pos)) + 1;
		pos += n;
	}
	return pos;
}

static uint64_t count_lines(const struct relaybuf *b, uint64_t from,
			    uint64_t to)
{
	uint64_t n = 0;

	for (; from < to; from++)
		n += *at(b, from) == '\n';
	return n;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Everything before @to goes; positions behind it come forward. */
static void lose(struct relaybuf *b, uint64_t to)
{
	if (to > b->sent) {
		b->lost_bytes += to - b->sent;
		b->lost_lines += count_lines(b, b->sent, to);
		b->sent = to;
		b->line = to;
	}
	b->tail = to;
	b->line = later(b->line, to);
	b->old = later(b->old, to);
	b->recent = later(b->recent, to);
}

static void make_room(struct relaybuf *b, size_t len)
{
	const uint64_t room = RELAYBUF_SIZE - (b->head - b->tail);
	uint64_t to;

	if (room >= len)
		return;
	to = next_line(b, b->tail + (len - room) - 1);
	/* One endless line: what is still to come of it goes as well. */
	if (to == b->head && b->head > 0 && *at(b, b->head - 1) != '\n')
		b->skip = true;
	lose(b, to);
}

void relaybuf_put(struct relaybuf *b, const char *data, size_t len)
{
	while (len > 0) {
		size_t n;

		make_room(b, len);
		if (b->skip) {
			const char *nl = memchr(data, '\n', len);

			n = nl ? (size_t)(nl - data) + 1 : len;
			b->skip = !nl;
			b->lost_bytes += n;
			b->lost_lines += nl ? 1 : 0;
		} else {
			n = run(b->head, b->head + len);
			memcpy(&b->data[b->head % RELAYBUF_SIZE], data, n);
			b->head += n;
		}
		data += n;
		len -= n;
	}
}

/* A marker is due, and what follows it begins a line. */
static void make_note(struct relaybuf *b)
{
	const int n = snprintf(
		b->note, sizeof(b->note),
		"%s{\"level\":\"warning\",\"msg\":\"vsockexec: %" PRIu64
		" lines (%" PRIu64 " bytes) lost\"}\n",
		b->midline ? "\n" : "", b->lost_lines, b->lost_bytes);

	b->note_len = n > 0 ? (size_t)n : 0; /* it fits by its bound */
	b->note_at = 0;
	b->lost_lines = 0;
	b->lost_bytes = 0;
}

size_t relaybuf_next(struct relaybuf *b, const char **ret)
{
	if (b->note_at == b->note_len && b->lost_bytes > 0 && !b->skip)
		make_note(b);
	if (b->note_at < b->note_len) {
		*ret = b->note + b->note_at;
		return b->note_len - b->note_at;
	}
	*ret = at(b, b->sent);
	return run(b->sent, b->head);
}

/* Moves the marks of time along before something is sent. */
static void mark(struct relaybuf *b, int64_t now_ms)
{
	if (now_ms - b->recent_ms >= RELAYBUF_AGAIN_MS / 2) {
		b->old = now_ms - b->recent_ms >= RELAYBUF_AGAIN_MS ? b->line
								    : b->recent;
		b->recent = b->line;
		b->recent_ms = now_ms;
	}
	b->last_ms = now_ms;
}

void relaybuf_sent(struct relaybuf *b, size_t n, int64_t now_ms)
{
	const char *from, *nl;

	if (n == 0)
		return;
	if (b->note_at < b->note_len) {
		b->note_at += n;
		b->midline = b->note_at < b->note_len;
		return;
	}
	mark(b, now_ms);
	from = at(b, b->sent);
	nl = memrchr(from, '\n', n);
	if (nl)
		b->line = b->sent + (uint64_t)(nl - from) + 1;
	b->sent += n;
	b->midline = b->line != b->sent;
}

void relaybuf_down(struct relaybuf *b, int64_t now_ms)
{
	if (now_ms - b->last_ms >= RELAYBUF_AGAIN_MS)
		b->sent = b->line; /* all of it was sent long ago */
	else if (now_ms - b->recent_ms >= RELAYBUF_AGAIN_MS)
		b->sent = b->recent;
	else
		b->sent = b->old;
	b->line = b->sent;
	b->midline = false;
	if (b->note_at < b->note_len) { /* again, without the newline before */
		b->note_at = b->note[0] == '\n' ? 1 : 0;
		memmove(b->note, b->note + b->note_at,
			b->note_len - b->note_at);
		b->note_len -= b->note_at;
		b->note_at = 0;
	}
}
