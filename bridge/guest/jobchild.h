/* bridge/guest/jobchild.h - a job's child: how it is started and what it does
 * before it does what it is there for; used by job.c alone */
#ifndef FERRY_BRIDGE_GUEST_JOBCHILD_H
#define FERRY_BRIDGE_GUEST_JOBCHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/job.h"
#include "bridge/io/spawn.h"
#include "config/err.h"

/**
 * struct job_report - what a forked child writes before it ends; @out_len
 * bytes of text follow
 */
struct job_report {
	int32_t result;
	uint32_t out_len;
	struct err err;
};

/**
 * struct job_child - a child that was started
 * @pid:	of the child, which leads a session and a group of its own
 * @pidfd:	close-on-exec
 * @out:	non-blocking end of its report or standard output, -1: none
 * @errors:	the same of its standard error
 */
struct job_child {
	pid_t pid;
	int pidfd;
	int out;
	int errors;
};

/**
 * job_child_fork() - run a function
 * @all:	whose it is
 * @c:		the function; @c->output_max is not 0
 *
 * Return: 0 or -errno
 */
int job_child_fork(const struct jobs *all, const struct job_call *c,
		   struct job_child *ret, struct err *e);

/**
 * job_child_spawn() - run a program
 * @s:		what; setsid and die_with_parent are set by this function, of
 *		stdio -1 in 1 and 2 means captured
 *
 * Return: 0 or -errno
 */
int job_child_spawn(struct spawn s, struct job_child *ret, struct err *e);

/**
 * job_memory_file() - a file in memory that holds @len bytes, to be read from
 * its beginning
 *
 * Return: descriptor, close-on-exec, or -errno
 */
int job_memory_file(const void *bytes, size_t len, struct err *e);

#endif
