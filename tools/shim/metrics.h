/*
 * tools/shim/metrics.h - the method Metrics of the service Ferry: what the shim
 * and its bridge have counted
 *
 * Names are documented in docs/metrics.md and do not change.
 */
#ifndef FERRY_TOOLS_SHIM_METRICS_H
#define FERRY_TOOLS_SHIM_METRICS_H

#include "tools/ttrpc/server.h"

ttrpc_method_fn metrics_on_ask;

#endif
