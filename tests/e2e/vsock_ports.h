/* tests/e2e/vsock_ports.h - what both ends of the vsock test agree on */
#ifndef FERRY_TESTS_E2E_VSOCK_PORTS_H
#define FERRY_TESTS_E2E_VSOCK_PORTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VSOCK_PORT_ECHO 1000
#define VSOCK_PORT_SINK 1001   /* answers with the count of right bytes */
#define VSOCK_PORT_SOURCE 1002 /* is told how much, as 4 bytes */
#define VSOCK_PORT_HOLD 1003   /* reads nothing */
#define VSOCK_PORT_NOBODY 9999

/* Bytes @from to @from + @len of the stream; both are multiples of 8. */
static inline void vsock_pattern(uint8_t *to, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		const uint64_t v = (from + i) * 0x9e3779b97f4a7c15u;

		memcpy(to + i, &v, sizeof(v));
	}
}

#endif
