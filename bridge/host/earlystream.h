/*
 * bridge/host/earlystream.h - what the guest says of streams that are not
 * opened yet
 *
 * A host that goes on with another one's session opens its streams when the
 * guest is there, and by then the guest may have told how they end. It tells
 * most of that once. One entry for each port, EARLY_STREAMS_MAX at most; what
 * is told of more is lost.
 */
#ifndef FERRY_BRIDGE_HOST_EARLYSTREAM_H
#define FERRY_BRIDGE_HOST_EARLYSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EARLY_STREAMS_MAX 4096u

/**
 * struct early_stream - one port
 * @ended, @marked: @length, @mark are known
 * @unwanted:	the guest takes no more of this input
 */
struct early_stream {
	struct early_stream *next;
	uint32_t port;
	bool ended;
	bool marked;
	bool unwanted;
	uint64_t length;
	uint64_t mark;
};

/* All of a client; embedded, zero is empty. */
struct early_streams {
	struct early_stream *first;
	size_t n;
};

/** early_stream_note() - the entry of @port, NULL: there is no room */
struct early_stream *early_stream_note(struct early_streams *all,
				       uint32_t port);

/** early_stream_take() - what was told of @port, which is forgotten; zero */
struct early_stream early_stream_take(struct early_streams *all, uint32_t port);

/** early_streams_done() - forget all */
void early_streams_done(struct early_streams *all);

#endif
