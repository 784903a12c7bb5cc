/*
 * init/end.h - the one way out: PID 1 never exits, the machine is switched off
 *
 * The sign to the host: an orderly end is a plain power-off. Before any other
 * end PID 1 writes 1 to the ISA pvpanic device (port 0x505) where there is one
 * (x86), which QEMU reports as GUEST_PANICKED.
 */
#ifndef FERRY_INIT_END_H
#define FERRY_INIT_END_H

#include "bridge/io/control.h"

/* Time for sync(2) to come back; a dead disk must not keep the UVM. */
#define END_SYNC_DEADLINE_MS 5000

/**
 * end_power_off() - log the reason, sync, give the sign, power off
 * @how:	orderly or not
 * @fmt:	the reason as for printf
 *
 * If the kernel refuses to power off it sleeps for ever.
 */
_Noreturn void end_power_off(enum control_end how, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
