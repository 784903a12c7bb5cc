/* bridge/io/spawn.h - start a child process with exactly what it should have */
#ifndef FERRY_BRIDGE_IO_SPAWN_H
#define FERRY_BRIDGE_IO_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "config/err.h"

/**
 * struct spawn - one child
 * @argv:	arguments, NULL-terminated; argv[0] is looked up in @path when
 *		it has no slash
 * @envp:	environment, NULL-terminated
 * @path:	search path, colon separated; NULL: the caller's PATH
 * @cwd:	working directory, NULL: the caller's
 * @stdio:	descriptors that become 0, 1, 2; -1: /dev/null
 * @terminal:	@stdio[0] is a pty slave and becomes the controlling terminal
 *		(implies a new session)
 * @setsid:	start a new session
 * @die_with_parent: SIGKILL to the child when the calling thread ends; one that
 *		ended before the child could ask for this is noticed too
 * @started:	receives the child's pid, written by the child itself when only the
 *		exec is left to do; before that it dies with its parent. In memory
 *		that outlives the caller it tells for sure what was started. NULL:
 *		not wanted
 * @nofile:	RLIMIT_NOFILE of the child, NULL: the caller's; for a caller that
 *		has raised its own
 * @no_vsock:	neither it nor what it starts may use AF_VSOCK, see
 *		bridge/io/novsock.h
 *
 * The child gets no other descriptor, an empty signal mask and default signal
 * actions. Which signals the caller ignores is read at the first start; of
 * those that it begins to ignore later only SIGPIPE is seen.
 */
struct spawn {
	char *const *argv;
	char *const *envp;
	const char *path;
	const char *cwd;
	int stdio[3];
	bool terminal;
	bool setsid;
	bool die_with_parent;
	uint64_t *started;
	const struct rlimit *nofile;
	bool no_vsock;
};

/**
 * spawn_start() - run it
 * @s:		what to run; borrowed for the call
 * @ret_pid:	receives the process id; the caller reaps it
 * @ret_pidfd:	receives a pidfd, close-on-exec, the caller's; may be NULL
 * @e:		reason: which step failed, for example "exec /bin/x: No such
 *		file or directory"
 *
 * Return: 0, or -errno of fork or of the step that failed in the child (the
 *         failed child is reaped already)
 */
int spawn_start(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd,
		struct err *e);

#endif
