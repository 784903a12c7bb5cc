#include "init/end.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/err.h"
#include "init/clock.h"
#include "init/klog.h"
#include "init/reserve.h"

#define PVPANIC_PORT 0x505u
#define PVPANIC_PANICKED 0x01u
#define PVPANIC_ABSENT 0xffu

/* How often the child that syncs is looked at. */
#define POLL_MS 5

static void give_sign(void)
{
#if defined(__x86_64__) || defined(__i386__)
	if (ioperm(PVPANIC_PORT, 1, 1) == 0 &&
	    inb(PVPANIC_PORT) != PVPANIC_ABSENT)
		outb(PVPANIC_PANICKED, PVPANIC_PORT);
#endif
}

/* sync(2) waits for the slowest disk, so a child does it. */
static pid_t start_sync(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		sync();
		_exit(0);
	}
	return pid;
}

static void sync_bounded(void)
{
	const int64_t end_ms = clock_ms() + END_SYNC_DEADLINE_MS;
	pid_t pid = start_sync();

	if (pid < 0) { /* no process to be had: make room for one */
		(void)kill(-1, SIGKILL);
		pid = start_sync();
	}
	if (pid < 0) {
		klog(KLOG_WARN, "no process to sync with: %s", strerror(errno));
		return;
	}
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_ms() >= end_ms) {
			klog(KLOG_WARN, "disks not synced in %d ms, going on",
			     END_SYNC_DEADLINE_MS);
			return;
		}
		clock_sleep_ms(POLL_MS);
	}
}

_Noreturn void end_power_off(enum control_end how, const char *fmt, ...)
{
	char reason[2 * ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap); /* cut is fine */
	va_end(ap);
	reserve_give();
	klog_reopen();
	klog(how == CONTROL_END_ORDERLY ? KLOG_INFO : KLOG_ERR,
	     "power off (%s): %s",
	     how == CONTROL_END_ORDERLY ? "orderly" : "not orderly", reason);
	sync_bounded();
	if (how != CONTROL_END_ORDERLY)
		give_sign();
	(void)reboot(RB_POWER_OFF); /* comes back only when it failed */
	klog(KLOG_ERR, "power-off refused: %s; sleeping", strerror(errno));
	for (;;)
		clock_sleep_ms(1000);
}
