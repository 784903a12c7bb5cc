/*
 * tools/qemu/vcpus.h - where the processors of a guest are that says nothing
 *
 * A guest that is silent spins, sleeps, or has stopped: what its processors do
 * tells them apart, and costs the guest nothing. Of each the place in its code is
 * taken and whether it sleeps; no register that could hold data.
 */
#ifndef FERRY_TOOLS_QEMU_VCPUS_H
#define FERRY_TOOLS_QEMU_VCPUS_H

#include "config/text.h"
#include "tools/qemu/qmp.h"

/* Processors that are told; what is in the way of more is in those. */
#define VCPUS_MAX 16u
/* QEMU stops each processor for a moment to look. */
#define VCPUS_ANSWER_MS 5000

/**
 * vcpus_print() - append " cpu0=ffffffff81073ca0 halted" for each processor
 * @registers:	what QEMU's monitor says to "info registers -a"; of a processor
 *		without a line RIP, EIP or PC only the number is told
 */
void vcpus_print(const char *registers, struct text *t);

/**
 * vcpus_log() - ask, and log a line with the answer
 *
 * Nothing waits for it. What cannot be asked is not told.
 */
void vcpus_log(struct qmp *q);

#endif
