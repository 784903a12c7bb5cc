#include "tools/shim/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"

static int begin(int dir)
{
	return openat(dir, SHIM_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
		      0600);
}

int shim_log_open(struct shim_log *l, int dir, struct err *e)
{
	*l = SHIM_LOG_NONE;
	l->dir = dir;
	l->fd = begin(dir);
	return l->fd < 0 ? err_sys(e, "log of the sandbox") : 0;
}

void shim_log_bound(const struct shim_log *l)
{
	struct stat st;
	int fd;

	/* The console may still write to the old one. */
	if (fstatat(l->dir, SHIM_LOG_OLD, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_size > 2 * SHIM_LOG_MAX) {
		fd = openat(l->dir, SHIM_LOG_OLD,
			    O_WRONLY | O_TRUNC | O_CLOEXEC);
		fd_close(&fd);
	}
	if (fstat(l->fd, &st) < 0 || st.st_size <= SHIM_LOG_MAX ||
	    renameat(l->dir, SHIM_LOG, l->dir, SHIM_LOG_OLD) < 0)
		return;
	fd = begin(l->dir);
	if (fd >= 0)
		(void)dup3(fd, l->fd, O_CLOEXEC); /* else the old one */
	fd_close(&fd);
}

/* A guest that says too much is not heard for the rest of the second. */
bool shim_log_hears(struct shim_log *l, int64_t now_ms)
{
	const int64_t second = now_ms / 1000;
	const uint32_t muted = l->lines > SHIM_LOG_GUEST_LINES
				       ? l->lines - SHIM_LOG_GUEST_LINES
				       : 0;

	if (second != l->second) {
		l->second = second;
		l->lines = 0;
		if (muted)
			log_warn("uvm: %u lines are left out", muted);
		shim_log_bound(l);
	}
	if (l->lines++ < SHIM_LOG_GUEST_LINES)
		return true;
	l->muted++;
	return false;
}

void shim_log_done(struct shim_log *l)
{
	fd_close(&l->fd);
	l->dir = -1;
}
