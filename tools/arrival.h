/* tools/arrival.h - a shim for a sandbox that comes from elsewhere */
#ifndef FERRY_TOOLS_ARRIVAL_H
#define FERRY_TOOLS_ARRIVAL_H

#include <stddef.h>

#include "config/err.h"

/* A shim that says nothing for so long is given up. */
#define ARRIVAL_START_MS 60000

/*
 * @name:	of the sandbox, checked
 * @kernel, @image: files of this host, NULL: ferry's own
 * @close:	descriptors that the shim shall not hold
 */
struct arrival {
	const char *name;
	const char *kernel;
	const char *image;
	const int *close;
	size_t n_close;
};

/**
 * arrival_start() - start a shim that waits for its VM
 *
 * Return: 0 when its socket is there; -EIO with the shim's own words;
 *	   -ETIMEDOUT; -errno of fork
 */
int arrival_start(const struct arrival *a, struct err *e);

#endif
