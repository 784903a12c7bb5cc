/*
 * tests/unit/fake_runtime.h - a program that behaves as crun does, as far as the
 * agent can see, and fails when it is told to
 *
 * The test's own binary under the name DIR/bin/crun; its state is in DIR/fake.
 * Containers are processes of /bin/sh on what the document says behind
 * "/bin/sh","-c". Files in DIR/fake steer it:
 *
 *	fail-VERB	the error that is logged, exit status 1
 *	hang-VERB	it does not end
 *	wait-VERB	it goes on when this is gone
 *	silent-VERB	it makes no terminal
 *	slow-start	it waits between two of its steps; "halfway" is there then
 *	netns		containers get a network namespace of their own
 *	calls		a line for each invocation: its verb and id
 *	update		what an update was given
 */
#ifndef FERRY_TESTS_UNIT_FAKE_RUNTIME_H
#define FERRY_TESTS_UNIT_FAKE_RUNTIME_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "config/util.h"

struct fake_runtime {
	char dir[256]; /* state */
	const char *verb;
	const char *id;
	const char *log;
	const char *bundle;
	const char *process;
	const char *pid_file;
	const char *console;
	bool force;
};

UNUSED static const char *fake_file(const struct fake_runtime *f, const char *a,
				    const char *b)
{
	static char path[4][512];
	static unsigned int turn;
	char *out = path[turn++ % 4];

	(void)snprintf(out, sizeof(path[0]), "%s/%s%s", f->dir, a, b);
	return out;
}

UNUSED static char *fake_text(const char *path)
{
	static char text[65536];
	FILE *in = fopen(path, "re");
	size_t n = 0;

	if (!in)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, in);
	text[n] = '\0';
	(void)fclose(in);
	return text;
}

UNUSED static void fake_write(const char *path, const char *mode,
			      const char *text)
{
	FILE *out = fopen(path, mode);

	if (!out)
		exit(120);
	(void)fputs(text, out);
	(void)fclose(out);
}

UNUSED static void fake_die(const struct fake_runtime *f, const char *text)
{
	char line[1024];

	(void)snprintf(line, sizeof(line),
		       "{\"msg\":\"%s\",\"level\":\"error\",\"time\":\"x\"}\n",
		       text);
	if (f->log)
		fake_write(f->log, "ae", line);
	(void)fprintf(stderr, "%s\n", text);
	exit(1);
}

/* What stands behind "-c" in a document. */
UNUSED static const char *fake_line(char *document)
{
	char *at = document ? strstr(document, "\"-c\",\"") : NULL;
	char *out, *line;

	if (!at)
		return "true";
	out = line = at + strlen("\"-c\",\"");
	for (at = line; *at != '\0' && *at != '"'; at++) {
		if (*at == '\\')
			at++;
		*out++ = *at;
	}
	*out = '\0';
	return line;
}

/* A terminal for the child; its master goes where it is wanted. */
UNUSED static void fake_terminal(const struct fake_runtime *f)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char one = 'x';
	struct iovec iov = { .iov_base = &one, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	const int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int slave;

	if (grantpt(master) < 0 || unlockpt(master) < 0)
		exit(121);
	slave = open(ptsname(master), O_RDWR | O_CLOEXEC); /* NOLINT */
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", f->console);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &master, sizeof(int));
	if (connect(s, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    sendmsg(s, &m, 0) < 0)
		exit(122);
	(void)setsid();
	(void)ioctl(slave, TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		(void)dup2(slave, i);
}

/* Starts the process of a document; one with a fifo waits to be let go. */
UNUSED static void fake_spawn(const struct fake_runtime *f, char *document,
			      const char *fifo)
{
	const char *line = fake_line(document);
	char number[32];
	const pid_t pid = fork();
	char byte;

	if (pid < 0)
		exit(123);
	if (pid == 0) {
		int fd;

		(void)setsid();
		if (f->console &&
		    access(fake_file(f, "silent-", f->verb), F_OK) != 0)
			fake_terminal(f);
		if (fifo) {
			fd = open(fifo, O_RDONLY | O_CLOEXEC);
			if (read(fd, &byte, 1) != 1)
				_exit(126);
		}
		(void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	fake_write(f->pid_file, "we", number);
	(void)snprintf(number, sizeof(number), "%d\n", (int)pid);
	fake_write(fake_file(f, "pids-", f->id), fifo ? "we" : "ae", number);
	/* The terminal is sent by the child: it shall be there. */
	if (f->console)
		(void)usleep(20000);
}

/* Signals all, or looks whether the first one lives. */
UNUSED static bool fake_kill(const struct fake_runtime *f, int number, bool all)
{
	char *at = fake_text(fake_file(f, "pids-", f->id));
	bool lives = false;

	while (at && *at != '\0') {
		const pid_t pid = (pid_t)strtol(at, &at, 10);

		if (pid <= 1)
			break;
		if (kill(pid, number) == 0)
			lives = true;
		if (!all)
			break;
	}
	return lives;
}

UNUSED static void fake_create(const struct fake_runtime *f)
{
	const char *fifo = fake_file(f, "fifo-", f->id);
	char path[512];

	if (access(fake_file(f, "pids-", f->id), F_OK) == 0)
		fake_die(f, "container `x` already exists");
	(void)snprintf(path, sizeof(path), "%s/config.json", f->bundle);
	if (mkfifo(fifo, 0600) < 0)
		exit(124);
	if (access(fake_file(f, "netns", ""), F_OK) == 0 &&
	    unshare(CLONE_NEWNET) < 0)
		exit(119);
	fake_spawn(f, fake_text(path), fifo);
}

UNUSED static void fake_start(const struct fake_runtime *f)
{
	const char *fifo = fake_file(f, "fifo-", f->id);
	const int fd = open(fifo, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fake_die(f, "cannot open `/run/crun/x/exec.fifo`: No such "
			    "file or directory");
	/* In this order. */
	(void)unlink(fifo);
	if (access(fake_file(f, "slow-start", ""), F_OK) == 0) {
		fake_write(fake_file(f, "halfway", ""), "we", "");
		(void)usleep(500000);
	}
	if (write(fd, "x", 1) != 1)
		exit(125);
}

UNUSED static void fake_delete(const struct fake_runtime *f)
{
	const char *pids = fake_file(f, "pids-", f->id);

	if (access(pids, F_OK) != 0 && !f->force)
		fake_die(f, "cannot open directory '/run/crun/x': No such "
			    "file or directory");
	if (fake_kill(f, f->force ? SIGKILL : 0, f->force) && !f->force)
		fake_die(f, "the container `x` is not in `created` or "
			    "`stopped` state");
	(void)unlink(pids);
	(void)unlink(fake_file(f, "fifo-", f->id));
}

UNUSED static void fake_update(const struct fake_runtime *f)
{
	char text[4096];
	const ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	fake_write(fake_file(f, "update", ""), "we", text);
}

UNUSED static void fake_arguments(struct fake_runtime *f, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (strcmp(a, "--log") == 0)
			f->log = argv[++i];
		else if (strcmp(a, "--log-format") == 0 ||
			 strcmp(a, "--resources") == 0)
			i++;
		else if (strcmp(a, "-b") == 0)
			f->bundle = argv[++i];
		else if (strcmp(a, "--process") == 0)
			f->process = argv[++i];
		else if (strcmp(a, "--pid-file") == 0)
			f->pid_file = argv[++i];
		else if (strcmp(a, "--console-socket") == 0)
			f->console = argv[++i];
		else if (strcmp(a, "--force") == 0)
			f->force = true;
		else if (a[0] == '-')
			continue;
		else if (!f->verb)
			f->verb = a;
		else if (!f->id)
			f->id = a;
	}
}

UNUSED static int fake_runtime_main(int argc, char **argv)
{
	struct fake_runtime f = { 0 };
	char line[512];
	const char *text;

	(void)snprintf(f.dir, sizeof(f.dir), "%.*s/fake",
		       (int)(strlen(argv[0]) - strlen("/bin/crun")), argv[0]);
	fake_arguments(&f, argc, argv);
	/* A real one would mount its program in /tmp for a moment. */
	text = getenv("_LIBCONTAINER_STATEDIR");
	if (!text || strcmp(text, "/proc") != 0)
		exit(118);
	(void)snprintf(line, sizeof(line), "%s %s\n", f.verb, f.id);
	fake_write(fake_file(&f, "calls", ""), "ae", line);
	if (access(fake_file(&f, "hang-", f.verb), F_OK) == 0)
		(void)pause();
	while (access(fake_file(&f, "wait-", f.verb), F_OK) == 0)
		(void)usleep(2000);
	text = fake_text(fake_file(&f, "fail-", f.verb));
	if (text)
		fake_die(&f, text);
	if (strcmp(f.verb, "create") == 0)
		fake_create(&f);
	else if (strcmp(f.verb, "start") == 0)
		fake_start(&f);
	else if (strcmp(f.verb, "exec") == 0)
		fake_spawn(&f, fake_text(f.process), NULL);
	else if (strcmp(f.verb, "delete") == 0)
		fake_delete(&f);
	else if (strcmp(f.verb, "kill") == 0)
		(void)fake_kill(&f, SIGKILL, true);
	else if (strcmp(f.verb, "update") == 0)
		fake_update(&f);
	return 0;
}

#endif
