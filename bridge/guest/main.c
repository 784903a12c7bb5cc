/* bridge/guest/main.c - the program gcs: the agent in the UVM */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/flags.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/io/note.h"
#include "config/err.h"

#define EXIT_USAGE 2

/* By this PID 1 knows that the program speaks its protocol. */
CONTROL_NOTE(1);

static int open_log(const struct flags *f, struct err *e)
{
	int fd = STDERR_FILENO;

	if (f->log_file[0] != '\0') {
		fd = open(f->log_file,
			  O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
			  0600);
		if (fd < 0)
			return err_sys(e, "log file");
	}
	log_setup(fd, f->log_json ? LOG_FORM_JSON : LOG_FORM_TEXT,
		  f->log_level);
	return 0;
}

static int set_core_pattern(const char *pattern, struct err *e)
{
	cleanup_fd fd = -1;
	int r;

	if (pattern[0] == '\0')
		return 0;
	fd = open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "core pattern");
	r = fd_write_full(fd, pattern, strlen(pattern));
	return r < 0 ? err_set(e, -r, "core pattern: %s", strerror(-r)) : 0;
}

static int run(const struct flags *f, struct err *e)
{
	struct agent *a = NULL;
	int r = open_log(f, e);

	if (r == 0)
		r = set_core_pattern(f->core_pattern, e);
	if (r == 0)
		r = agent_new(f, &a, e);
	if (r == 0)
		r = agent_run(a, e);
	agent_free(a);
	return r;
}

int main(int argc, char **argv)
{
	struct flags f;
	struct err e = { 0 };

	if (fd_std_open() < 0)
		return 1; /* there is nowhere to say why */
	(void)signal(SIGPIPE, SIG_IGN);
	if (flags_parse(argv + (argc > 0 ? 1 : 0), &f, &e) < 0) {
		(void)fprintf(stderr, "gcs: %s\n", e.text);
		return EXIT_USAGE;
	}
	if (run(&f, &e) < 0) {
		log_err("the agent ends: %s", e.text);
		return 1;
	}
	return 0;
}
