/*
 * init/relaybuf.h - lines on their way to a host that comes and goes; pure
 *
 * Theory of operation. Bytes are numbered from 0 on; three positions cut them:
 *
 *	tail ............ sent ............ head
 *	 | kept to be sent  | to be sent     | next byte from the producer
 *	 | again            |                |
 *
 * A full buffer loses its oldest complete lines. Lines that the host never got
 * are counted, and a marker line with the count goes before what follows:
 *
 *	{"level":"warning","msg":"vsockexec: N lines (M bytes) lost"}
 *
 * A byte that the kernel took may never be read by a host that dies. What was
 * sent in the last RELAYBUF_AGAIN_MS of a connection is therefore sent again
 * on the next one, from the beginning of a line: a line may come twice, but
 * does not get lost, and never begins in its middle.
 */
#ifndef FERRY_INIT_RELAYBUF_H
#define FERRY_INIT_RELAYBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAYBUF_SIZE (1u << 18)
#define RELAYBUF_AGAIN_MS 1000
#define RELAYBUF_NOTE_MAX 128u

/**
 * struct relaybuf - the buffer; all zero is an empty one
 * @head, @sent, @tail: positions, see above
 * @line:	beginning of the line that @sent is in
 * @old, @recent: beginnings of lines; what stands before @recent was sent
 *		before @recent_ms, what stands before @old half a window earlier
 * @recent_ms, @last_ms: times; @last_ms is the last time of sending
 * @lost_lines, @lost_bytes: not told yet
 * @skip:	the rest of a lost line is still coming
 * @midline:	this connection was sent a part of a line
 * @note:	marker line that is being sent
 */
struct relaybuf {
	uint64_t head;
	uint64_t sent;
	uint64_t tail;
	uint64_t line;
	uint64_t old;
	uint64_t recent;
	int64_t recent_ms;
	int64_t last_ms;
	uint64_t lost_lines;
	uint64_t lost_bytes;
	bool skip;
	bool midline;
	char note[RELAYBUF_NOTE_MAX];
	size_t note_len;
	size_t note_at;
	char data[RELAYBUF_SIZE];
};

/**
 * relaybuf_put() - bytes from the producer
 * @len:	at most RELAYBUF_SIZE / 2
 */
void relaybuf_put(struct relaybuf *b, const char *data, size_t len);

/**
 * relaybuf_next() - what to send now
 * @ret:	points into @b until the next call of any function
 *
 * Return: bytes at *@ret, 0: nothing to send
 */
size_t relaybuf_next(struct relaybuf *b, const char **ret);

/** relaybuf_sent() - @n bytes of what relaybuf_next() gave were sent */
void relaybuf_sent(struct relaybuf *b, size_t n, int64_t now_ms);

/** relaybuf_down() - the connection is lost; the next one begins anew */
void relaybuf_down(struct relaybuf *b, int64_t now_ms);

#endif
