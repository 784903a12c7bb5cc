/*
 * bridge/guest/crypt.h - a disk behind dm-crypt with a key that nobody keeps
 *
 * Done by the image's cryptsetup with the reference's arguments (shared
 * specification bridge.md 3.11.1): authenticated encryption, a random key of
 * 1024 bytes that is removed as soon as the device is open. An image without
 * cryptsetup cannot do it, and says so; nothing else is tried.
 */
#ifndef FERRY_BRIDGE_GUEST_CRYPT_H
#define FERRY_BRIDGE_GUEST_CRYPT_H

#include "bridge/guest/volume.h"
#include "config/err.h"

/* Where keys are for a moment; a file system in memory. */
#define CRYPT_KEYS "run/ferry-keys"

/** crypt_name() - of the device of a disk, below /dev/mapper */
void crypt_name(const struct volume_facts *f, char *buf, size_t size);

/**
 * crypt_open() - format the disk @device and open it; blocks
 * @device:	path of its node
 * @path:	receives the path of the open device
 *
 * What fails leaves no device and no key behind.
 * Return: 0, -EOPNOTSUPP (no cryptsetup), -errno
 */
int crypt_open(const struct volume_env *env, const struct volume_facts *f,
	       const char *device, char *path, size_t size, struct err *e);

/** crypt_close() - close it, if it is open; blocks. Return: 0 or -errno */
int crypt_close(const struct volume_env *env, const struct volume_facts *f,
		struct err *e);

#endif
