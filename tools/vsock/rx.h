/* tools/vsock/rx.h - packets to the guest */
#ifndef FERRY_TOOLS_VSOCK_RX_H
#define FERRY_TOOLS_VSOCK_RX_H

#include "tools/vsock/backend.h"

/**
 * rx_pump() - fill the guest's buffers, up to BACKEND_RX_BUDGET turns
 *
 * Resets for unknown streams first, then the streams that have something, one
 * after the other, each with at most BACKEND_BATCH_MAX buffers before the next
 * one has its turn. Sets @more when work is left that the guest has room for.
 */
void rx_pump(struct backend *b);

#endif
