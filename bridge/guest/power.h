/*
 * bridge/guest/power.h - switching the machine off, when it is ours to switch
 *
 * Under ferry's PID 1 the agent asks PID 1. Under a foreign one it does it
 * itself, but only when nothing speaks against this being the UVM that the
 * host means: the request came over a real AF_VSOCK socket, the machine has a
 * CID of its own, and the agent is in the initial pid namespace, as root.
 */
#ifndef FERRY_BRIDGE_GUEST_POWER_H
#define FERRY_BRIDGE_GUEST_POWER_H

#include <stdbool.h>

/** power_is_ours() - may the machine be switched off for who is behind @fd? */
bool power_is_ours(int fd);

/** power_off() - sync and switch off; returns only when that failed */
void power_off(void);

#endif
