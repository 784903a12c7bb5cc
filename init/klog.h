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
 * klog_open() - lines go to /dev/kmsg from now on
 * @ring:	also gets every line; may be NULL; must outlive the program
 *
 * Where there is no /dev/kmsg, or it refuses, they go to the console, or to
 * descriptor 2 when there is none. Before this call: to descriptor 2.
 */
void klog_open(struct ring *ring);

/**
 * klog_reopen() - open /dev/kmsg anew, before a line that must be heard
 *
 * The kernel counts what it swallows by open file, and who has since been
 * forbidden to write hears so only when it opens.
 */
void klog_reopen(void);

/**
 * klog_aloud() - a line of somebody else to the console itself, which "quiet"
 * does not silence; not into the ring, which has it already
 *
 * Without a console it goes to /dev/kmsg.
 */
void klog_aloud(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** klog() - one line, without a newline, cut at KLOG_LINE_MAX */
void klog(enum klog_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
