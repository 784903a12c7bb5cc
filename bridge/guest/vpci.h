/*
 * bridge/guest/vpci.h - VPCIDevice: wait until an assigned PCI function is
 * there, for a bounded time. It is named by a VMBus id, so it can be on Hyper-V
 * alone. Source: shared specification bridge.md 3.11.6.
 */
#ifndef FERRY_BRIDGE_GUEST_VPCI_H
#define FERRY_BRIDGE_GUEST_VPCI_H

#include "bridge/guest/volume.h"
#include "bridge/msg_settings.h"
#include "config/err.h"

/** vpci_check() - is it a GUID? Return: 0 or -EINVAL */
int vpci_check(const struct msg_vpci_device *m, struct err *e);

/**
 * vpci_wait() - blocks
 *
 * Return: 0, -ENODEV (no VMBus in this machine), -ETIMEDOUT, -errno
 */
int vpci_wait(const struct volume_env *env, const struct msg_vpci_device *m,
	      struct err *e);

#endif
