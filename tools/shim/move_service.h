/*
 * tools/shim/move_service.h - methods of the service Ferry for a move, which
 * the service Migration does not have (tools/proto/ferry.proto)
 */
#ifndef FERRY_TOOLS_SHIM_MOVE_SERVICE_H
#define FERRY_TOOLS_SHIM_MOVE_SERVICE_H

#include <stdbool.h>

#include "tools/ttrpc/server.h"

/* Each on a struct shim. */
ttrpc_method_fn move_on_containers;
ttrpc_method_fn move_on_adopt;
ttrpc_method_fn move_on_ask;
ttrpc_method_fn move_on_abandon;

struct shim;

/** move_is_ours() - the guest was let go on here, or is about to be */
bool move_is_ours(const struct shim *s);

#endif
