#include "init/upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "init/klog.h"

#define BESIDE_MAX (PROGRAM_PATH_MAX + sizeof(UPGRADE_NEW))

static void with(char out[BESIDE_MAX], const struct upgrade *u,
		 const char *ending)
{
	(void)snprintf(out, BESIDE_MAX, "%s%s", u->path, ending);
}

void upgrade_init(struct upgrade *u, const char *name, const char *search)
{
	struct err e;

	u->trial_ms = -1;
	if (!name || program_find(name, search, u->path, &e) < 0)
		u->path[0] = '\0';
}

void upgrade_begin(struct upgrade *u, int64_t now_ms)
{
	char new[BESIDE_MAX];
	char old[BESIDE_MAX];

	with(new, u, UPGRADE_NEW);
	if (u->path[0] == '\0' || access(new, F_OK) < 0)
		return;
	if (program_note(new) != CONTROL_NOTE_AGENT) {
		klog(KLOG_ERR, "upgrade: %.128s is no agent; removed", new);
		(void)unlink(new); /* else it is looked at again */
		return;
	}
	with(old, u, UPGRADE_OLD);
	if (rename(u->path, old) < 0 || rename(new, u->path) < 0) {
		klog(KLOG_ERR, "upgrade: %.128s: %s", u->path, strerror(errno));
		(void)rename(old, u->path); /* if the first one was done */
		(void)unlink(new);
		return;
	}
	u->trial_ms = now_ms + UPGRADE_TRIAL_MS;
	klog(KLOG_WARN, "upgrade: a new %.128s is started", u->path);
}

void upgrade_stable(struct upgrade *u)
{
	char old[BESIDE_MAX];

	if (u->trial_ms < 0)
		return;
	u->trial_ms = -1;
	with(old, u, UPGRADE_OLD);
	(void)unlink(old); /* it takes room, no more */
	klog(KLOG_WARN, "upgrade: the new agent has taken over");
}

bool upgrade_ended(struct upgrade *u)
{
	char old[BESIDE_MAX];

	if (u->trial_ms < 0)
		return false;
	u->trial_ms = -1;
	with(old, u, UPGRADE_OLD);
	if (rename(old, u->path) < 0)
		klog(KLOG_ERR, "upgrade: %.128s: %s", old, strerror(errno));
	else
		klog(KLOG_ERR,
		     "upgrade: the new agent was never stable; the one before is back");
	return true;
}

bool upgrade_late(const struct upgrade *u, int64_t now_ms)
{
	return u->trial_ms >= 0 && now_ms >= u->trial_ms;
}
