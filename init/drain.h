/*
 * init/drain.h - the command's output pipes into the log ring
 *
 * A pipe is kept over incarnations, with its writing end, so it never ends.
 * Lines of level warning or worse, and those that no logger has written, are
 * also said aloud, at a bounded rate.
 */
#ifndef FERRY_INIT_DRAIN_H
#define FERRY_INIT_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "init/klog.h"
#include "init/ring.h"

/* Bytes of a line that are looked at and said aloud. */
#define DRAIN_LINE_MAX 512u

/* Lines said aloud in one second. */
#define DRAIN_ALOUD_MAX 20u

/* Bytes taken in one turn, so that other peers get theirs. */
#define DRAIN_TURN_MAX 65536u

/**
 * struct drain - one pipe
 * @fd:		reading end, non-blocking, owned
 * @writer:	writing end, owned; the command gets a copy
 * @line:	beginning of the line in progress
 * @len:	bytes of @line
 * @second:	second that @aloud counts in
 * @aloud:	lines said in it
 * @muted:	lines not said since
 */
struct drain {
	int fd;
	int writer;
	char line[DRAIN_LINE_MAX];
	size_t len;
	int64_t second;
	uint32_t aloud;
	uint32_t muted;
};

/** drain_open() - make the pipe; return: 0 or -errno */
int drain_open(struct drain *d, struct err *e);

/**
 * drain_turn() - move what is in the pipe into @ring, without blocking
 * @now_ms:	present time
 */
void drain_turn(struct drain *d, struct ring *ring, int64_t now_ms);

/**
 * drain_last() - the command has ended: take what it left, and say its last
 * words aloud whatever was said in this second
 * @d:		pipe; one that was never opened is left alone
 */
void drain_last(struct drain *d, struct ring *ring, int64_t now_ms);

/**
 * drain_level() - the level of a log line
 *
 * Knows "warn ...", "level=warning ..." and "level":"warning" in JSON. A line
 * that shows none is KLOG_INFO when it begins as JSON does, else KLOG_WARN: a
 * library or a runtime wrote it in its distress, not a logger.
 */
enum klog_level drain_level(const char *line);

#endif
