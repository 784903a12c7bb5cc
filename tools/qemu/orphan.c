#include "tools/qemu/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/num.h"

#define FILE_NAME "process"
/* A killed process is gone by then, unless its disk hangs. */
#define END_MS 2000
/* Fields between the name of a process in its stat and its start time. */
#define FIELDS_BEFORE_START 20

static ssize_t read_text(int dir, const char *path, char *buf, size_t size)
{
	cleanup_fd fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const ssize_t n = fd < 0 ? -1 : fd_read_full(fd, buf, size - 1);

	if (n < 0)
		return -1;
	buf[n] = '\0';
	return n;
}

/* Clock ticks since the boot at which a process began; 0: not known. */
static uint64_t start_time(int pid)
{
	char path[48];
	char buf[1024];
	const char *at;
	uint64_t value = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_text(AT_FDCWD, path, buf, sizeof(buf)) <= 0)
		return 0;
	at = strrchr(buf, ')'); /* the name may hold anything */
	for (int i = 0; at && i < FIELDS_BEFORE_START; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return 0;
	for (at++; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

int orphan_keep(int dir, int pid, struct err *e)
{
	char line[64];
	const int n = snprintf(line, sizeof(line), "%d %" PRIu64, pid,
			       start_time(pid));
	cleanup_fd fd = openat(
		dir, FILE_NAME,
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fd_write_full(fd, line, (size_t)n) < 0)
		return err_sys(e, "note process %d", pid);
	return 0;
}

void orphan_end(int dir)
{
	char line[64];
	struct pollfd gone = { .fd = -1, .events = POLLIN };
	cleanup_fd pidfd = -1;
	uint32_t pid = 0;
	uint64_t start = 0;
	char *space;

	if (read_text(dir, FILE_NAME, line, sizeof(line)) <= 0)
		return;
	space = strchr(line, ' ');
	if (!space)
		return;
	*space = '\0';
	if (num_u32(line, 2, INT32_MAX, &pid, NULL) < 0 ||
	    num_u64(space + 1, 1, UINT64_MAX, &start, NULL) < 0)
		return;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || start_time((int)pid) != start)
		return; /* it has gone, and its number may be another's */
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
		return;
	gone.fd = pidfd;
	(void)poll(&gone, 1, END_MS); /* the next start looks again */
}
