/* init/entropy.h - random bytes from the host, for the kernel's pool */
#ifndef FERRY_INIT_ENTROPY_H
#define FERRY_INIT_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/io/pool.h"
#include "bridge/io/transport.h"
#include "config/err.h"

/* Dialling and reading together; a silent host delays the boot by this. */
#define ENTROPY_DEADLINE_MS 2000

/* Hosts send 512 bytes; what comes after this many is not read. */
#define ENTROPY_MAX POOL_CREDIT_MAX

/**
 * entropy_read() - what the host has to give
 * @t:		where the host is
 * @port:	port to dial
 * @buf:	receives up to ENTROPY_MAX bytes
 * @deadline_ms: milliseconds from now on for all of it
 * @ret_len:	bytes in @buf, set on failure too: what came before it
 * @e:		reason
 *
 * Return: 0 (the host closed, or ENTROPY_MAX bytes came), -ETIMEDOUT, or
 *         -errno
 */
int entropy_read(const struct transport *t, uint32_t port,
		 unsigned char buf[ENTROPY_MAX], int deadline_ms,
		 size_t *ret_len, struct err *e);

#endif
