/*
 * tools/shim/mounts.h - mounts as containerd's snapshots have them, for mount(2)
 */
#ifndef FERRY_TOOLS_SHIM_MOUNTS_H
#define FERRY_TOOLS_SHIM_MOUNTS_H

#include <stddef.h>

#include "build/proto/task.pb-c.h"
#include "config/arena.h"
#include "config/err.h"
#include "tools/shim/tasks.h"

#define MOUNTS_MAX 16u
/* Options of all mounts, as text. */
#define MOUNTS_BYTES_MAX ((size_t)256 * 1024)

struct mounts {
	struct arena arena;
	struct task_mount mount[MOUNTS_MAX];
	size_t n;
};

/**
 * mounts_read() - options that mount(8) knows become flags, the others a text
 * @m:		filled; mounts_done() in any case
 *
 * Return: 0, -E2BIG, -ENOMEM
 */
int mounts_read(struct mounts *m, TaskMount *const *from, size_t n,
		struct err *e);

void mounts_done(struct mounts *m);

#endif
