/*
 * bridge/host/early.h - answers to calls that are not registered yet
 *
 * Only answers to WaitForProcess are kept, whole, EARLY_ANSWERS_MAX of at most
 * EARLY_BODY_MAX bytes: what a guest may have ready for a host that is new.
 */
#ifndef FERRY_BRIDGE_HOST_EARLY_H
#define FERRY_BRIDGE_HOST_EARLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/frame.h"

#define EARLY_ANSWERS_MAX 1024u
/* An error with its record is under 3 KiB. */
#define EARLY_BODY_MAX 4096u

struct early_answer;

/* The kept answers; embedded, zero is empty. Newest first. */
struct early_answers {
	struct early_answer *first;
	size_t n;
};

/** early_keep() - return: was it kept? */
bool early_keep(struct early_answers *all, const struct frame *frame);

/**
 * early_take() - the answer to @id, out of the table
 *
 * Return: to be given to early_free(), or NULL
 */
struct early_answer *early_take(struct early_answers *all, uint64_t id);

/** early_frame() - the frame that it was */
struct frame early_frame(const struct early_answer *a);

void early_free(struct early_answer *a);

/** early_done() - forget all */
void early_done(struct early_answers *all);

#endif
