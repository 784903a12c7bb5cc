/*
 * init/klog.h - PID 1's few words: one write to /dev/kmsg each, and the ring
 *
 * A kernel of 6.1 refuses writes over 992 bytes and, from one writer in a
 * hurry, swallows most of them while it reports success: say little, and what
 * matters first. Never blocks, never fails, keeps errno.
 */
#ifndef FERRY_INIT_KLOG_H
#define FERRY_INIT_KLOG_H

#include "init/ring.h"

/* Longest line with its prefix and newline. */
#define KLOG_LINE_MAX 900

/* The kernel's own numbers; with "quiet" only errors reach the console. */
enum klog_level {
	KLOG_ERR = 3,
	KLOG_WARN = 4,
	KLOG_INFO = 6,
};

/**
 * klog_setup() - where lines go from now on
 * @fd:		/dev/kmsg, or -1: descriptor 2 without the prefix
 * @ring:	also gets every line; may be NULL; must outlive the program
 */
void klog_setup(int fd, struct ring *ring);

/** klog_aloud() - as klog(), but not into the ring: it has the line already */
void klog_aloud(enum klog_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** klog() - one line, without a newline, cut at KLOG_LINE_MAX */
void klog(enum klog_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
