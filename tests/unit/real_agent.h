/*
 * tests/unit/real_agent.h - the agent as a process of its own, for the hosts
 * that tests drive
 */
#ifndef FERRY_TESTS_UNIT_REAL_AGENT_H
#define FERRY_TESTS_UNIT_REAL_AGENT_H

#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/spawn.h"
#include "config/util.h"

#define AGENT "build/guest/bin/gcs"
#define AGENT_DIR_MAX 64

extern char **environ;

/* A folder for an agent's sockets, and for what its processes leave. */
UNUSED static void agent_dir(char dir[AGENT_DIR_MAX])
{
	(void)snprintf(dir, AGENT_DIR_MAX, "/tmp/ferry-agent-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

UNUSED static void agent_dir_gone(const char *dir)
{
	char command[AGENT_DIR_MAX + 16];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0); /* NOLINT: our own directory */
}

/* It dials the ports below @dir, and dies with the test. */
UNUSED static pid_t agent_start(const char *dir)
{
	char transport[80];
	char name[] = AGENT, v4[] = "-v4", flag[] = "-transport";
	char *argv[] = { name, v4, flag, transport, NULL };
	struct spawn s = { .argv = argv,
			   .envp = environ,
			   .stdio = { -1, -1, -1 },
			   .die_with_parent = true };
	struct err e = { 0 };
	pid_t pid = -1;

	(void)snprintf(transport, sizeof(transport), "unix:%s/v", dir);
	if (spawn_start(&s, &pid, NULL, &e) < 0)
		fail_msg("%s", e.text);
	return pid;
}

/* Kills it, or any other child; none (0) is fine. */
UNUSED static void end_process(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* How many processes have said that they ran, by a line in @dir/ran. */
UNUSED static int agent_ran(const char *dir)
{
	char path[96];
	FILE *f;
	int lines = 0;
	int c;

	(void)snprintf(path, sizeof(path), "%s/ran", dir);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while ((c = fgetc(f)) != EOF)
		lines += c == '\n';
	(void)fclose(f);
	return lines;
}

#endif
