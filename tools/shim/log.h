/*
 * tools/shim/log.h - the log of a shim, in the folder of its sandbox
 *
 * Theory of operation. Everything that the shim notes goes to one file, the
 * lines of its guest among it, and with a console what that says. A guest is not
 * trusted to be brief:
 *
 *	more than SHIM_LOG_GUEST_LINES of its lines in a second are left out; how
 *	many they were is a line of the next second in which it says something
 *
 *	a file of more than SHIM_LOG_MAX becomes SHIM_LOG_OLD, in place of the one
 *	that had that name, and a new one is begun; whoever has a copy of the old
 *	descriptor (the console) goes on writing to the old file, which is emptied
 *	when it has become twice as long
 *
 * The number of the descriptor stays, for others keep it (log_setup()).
 */
#ifndef FERRY_TOOLS_SHIM_LOG_H
#define FERRY_TOOLS_SHIM_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/err.h"
#include "tools/qemu/rundir.h"

#define SHIM_LOG RUNDIR_LOG
#define SHIM_LOG_OLD "log.1"
#define SHIM_LOG_MAX ((off_t)8 * 1024 * 1024)
#define SHIM_LOG_GUEST_LINES 1000u

/**
 * struct shim_log - the file, and what its guest has said in this second
 * @dir:	the folder, borrowed
 * @fd:		the file, owned, -1: none
 * @second:	that @lines counts in
 * @muted:	lines that were left out, ever
 */
struct shim_log {
	int dir;
	int fd;
	int64_t second;
	uint32_t lines;
	uint64_t muted;
};

/** Before shim_log_open(), and after shim_log_done() */
#define SHIM_LOG_NONE ((struct shim_log){ .dir = -1, .fd = -1 })

/** shim_log_open() - go on with the log in @dir; return: 0 or -errno */
int shim_log_open(struct shim_log *l, int dir, struct err *e);

/** shim_log_bound() - begin the log anew when it has become long */
void shim_log_bound(const struct shim_log *l);

/**
 * shim_log_hears() - is this line of the guest taken?
 * @now_ms:	of the loop
 */
bool shim_log_hears(struct shim_log *l, int64_t now_ms);

/** shim_log_done() - close the file */
void shim_log_done(struct shim_log *l);

#endif
