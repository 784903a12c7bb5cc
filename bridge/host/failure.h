/* bridge/host/failure.h - how failures of calls are made and worded */
#ifndef FERRY_BRIDGE_HOST_FAILURE_H
#define FERRY_BRIDGE_HOST_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "bridge/msg.h"
#include "config/err.h"

/*
 * Bytes of a guest's text that go into an error or a log line: as much as the
 * agent says of a program that it cannot execute, whose end tells why.
 */
#define FAILURE_GUEST_TEXT_MAX 176u

/**
 * host_failure_make() - a failure that is not the guest's answer
 * @kind:	not HOST_FAIL_REFUSED
 * @type:	type word of the request
 * @sent:	bytes of it went out
 * @why:	reason, or NULL
 */
struct host_failure host_failure_make(enum host_fail kind, uint32_t type,
				      bool sent, const struct err *why);

/** host_failure_refused() - the guest answered with an error; its text is escaped */
struct host_failure host_failure_refused(uint32_t type,
					 const struct msg_result *r);

#endif
