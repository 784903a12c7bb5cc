/* tools/vsock/tx.h - packets from the guest */
#ifndef FERRY_TOOLS_VSOCK_TX_H
#define FERRY_TOOLS_VSOCK_TX_H

#include "tools/vsock/backend.h"

/**
 * tx_pump() - take what the guest sent, up to BACKEND_TX_BUDGET buffers
 *
 * Stops early while too many resets wait for buffers of the guest: a guest
 * that does not listen is not listened to. Sets @more when work is left.
 */
void tx_pump(struct backend *b);

#endif
