/*
 * tools/ttrpc/pb.h - our values as messages have them
 *
 * A message that is only packed borrows what it points to; protobuf-c has no
 * const for that.
 */
#ifndef FERRY_TOOLS_TTRPC_PB_H
#define FERRY_TOOLS_TTRPC_PB_H

#include <stddef.h>
#include <stdint.h>

#include "build/proto/well_known.pb-c.h"

#define PB_NS_PER_S 1000000000u

/** pb_text() - a text that is packed, not written to; "" for NULL */
static inline char *pb_text(const char *s)
{
	return (char *)(uintptr_t)(s ? s : "");
}

/** pb_time() - fill @out with nanoseconds of the wall clock; return: @out */
static inline PbTimestamp *pb_time(PbTimestamp *out, uint64_t ns)
{
	pb_timestamp__init(out);
	out->seconds = (int64_t)(ns / PB_NS_PER_S);
	out->nanos = (int32_t)(ns % PB_NS_PER_S);
	return out;
}

/** pb_time_if() - the same, but NULL, no field, for what has not been: 0 */
static inline PbTimestamp *pb_time_if(PbTimestamp *out, uint64_t ns)
{
	return ns ? pb_time(out, ns) : NULL;
}

#endif
