/*
 * config/confidential.h - sandboxes with a security policy; pure.
 * Source: shared specification cmdline.md 4.7.
 */
#ifndef FERRY_CONFIG_CONFIDENTIAL_H
#define FERRY_CONFIG_CONFIDENTIAL_H

#include "config/err.h"
#include "config/options.h"

/**
 * confidential_check() - files and encoding of a hardware-confidential sandbox
 * @o:		options whose annotations have been read; empty file names
 *		become their defaults
 * @r:		which files exist
 * @e:		guest-state-missing, dmverity-vhd-missing, policy-encoding
 *
 * Strict mode checks the encoding of a policy without hardware, too.
 * Return: 0 or -EINVAL
 */
int confidential_check(struct sandbox_options *o,
		       const struct runtime_options *r, struct err *e);

/** confidential_is_base64() - standard alphabet, padded; newlines are skipped */
bool confidential_is_base64(const char *text);

#endif
