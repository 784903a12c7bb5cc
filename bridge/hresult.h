/*
 * bridge/hresult.h - result codes on the wire; pure.
 * Source: shared specification bridge.md 2.7. A code is a uint32_t inside the
 * house and a signed decimal on the wire.
 */
#ifndef FERRY_BRIDGE_HRESULT_H
#define FERRY_BRIDGE_HRESULT_H

#include <stdint.h>

enum hresult {
	HR_OK = 0,
	HR_NOT_IMPLEMENTED = 0x80004001,
	HR_FAIL = 0x80004005,
	HR_INVALID_ARGUMENT = 0x80070057,
	HR_ELEMENT_NOT_FOUND = 0x80070490,
	HR_RETRY = 0x800704D5, /* ERROR_RETRY: nothing was done, ask again */
	HR_INVALID_STATE = 0x80370105,
	HR_TIMEOUT = 0xC0370109,
	HR_UNKNOWN_MESSAGE = 0xC037010B,
	HR_UNSUPPORTED_VERSION = 0xC037010C,
	HR_INVALID_JSON = 0xC037010D,
	HR_SYSTEM_NOT_FOUND = 0xC037010E,
	HR_SYSTEM_ALREADY_EXISTS = 0xC037010F,
	HR_SYSTEM_ALREADY_STOPPED = 0xC0370110,
};

static inline int32_t hresult_to_wire(uint32_t code)
{
	return (int32_t)code;
}

static inline uint32_t hresult_from_wire(int32_t value)
{
	return (uint32_t)value;
}

/** hresult_name() - short words for a code, "unknown code" when not listed */
const char *hresult_name(uint32_t code);

#endif
