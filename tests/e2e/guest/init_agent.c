/*
 * tests/e2e/guest/init_agent.c - stands in for the agent, one trick a name
 *
 * usage: gcs TRICK [NUMBER]; it carries the agent's note, so PID 1 gives it
 * the control socket. What it says on descriptor 2 goes where the mode says.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "bridge/io/note.h"

CONTROL_NOTE(1);

static void say(const char *text)
{
	dprintf(STDERR_FILENO, "%s\n", text);
}

/* Straight to the console, whatever the mode does with 1 and 2. */
static void aloud(const char *text)
{
	const int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	dprintf(fd, "agent says: %s\n", text);
	(void)close(fd);
}

static struct control_msg ask(struct control_msg q, int give, int *ret_fd)
{
	struct pollfd p = { CONTROL_FD, POLLIN, 0 };
	int fds[CONTROL_FDS_MAX] = { -1, -1, -1, -1 };
	struct control_msg a = { .result = -EIO };

	if (control_send(CONTROL_FD, &q, &give, give >= 0 ? 1 : 0, NULL) < 0 ||
	    poll(&p, 1, 10000) != 1 ||
	    control_recv(CONTROL_FD, &a, fds, NULL) != 1)
		aloud("no answer from PID 1");
	if (ret_fd)
		*ret_fd = fds[0];
	return a;
}

#define ASK(...) ask((struct control_msg){ __VA_ARGS__ }, -1, NULL)

static void power_off(enum control_end how)
{
	const struct control_msg q = { .op = CONTROL_OP_POWEROFF, .arg = how };

	(void)control_send(CONTROL_FD, &q, NULL, 0, NULL);
	(void)pause();
}

/* Dies twice, then finds what it deposited, and the ring with its words. */
static int crash(void)
{
	int ring = -1, fd = -1;
	struct control_msg a;
	char *text;

	a = ask((struct control_msg){ .op = CONTROL_OP_HELLO,
				      .arg = CONTROL_VERSION },
		-1, &ring);
	say("warning: one line of the agent");
	(void)ASK(.op = CONTROL_OP_STABLE);
	if (a.arg == 1) {
		(void)ask((struct control_msg){ .op = CONTROL_OP_DEPOSIT,
						.object = 42 },
			  STDERR_FILENO, NULL);
		abort();
	}
	if (a.arg == 2)
		return 3;
	a = ask((struct control_msg){ .op = CONTROL_OP_FETCH }, -1, &fd);
	if (a.result == 0 && a.object == 42 && fd >= 0)
		aloud("the deposit is there");
	text = mmap(NULL, CONTROL_RING_DATA + CONTROL_RING_SIZE, PROT_READ,
		    MAP_SHARED, ring, 0);
	if (text != MAP_FAILED &&
	    strstr(text + CONTROL_RING_DATA, "warning: one line of the agent"))
		aloud("the ring has its words");
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0) ==
	    MAP_FAILED)
		aloud("the ring is sealed");
	power_off(CONTROL_END_ORDERLY);
	return 1;
}

/* Every signal there is, to PID 1 and to all of the UVM but itself. */
static int signals(void)
{
	for (int s = 1; s <= 64; s++)
		(void)kill(1, s);
	(void)signal(SIGTERM, SIG_IGN);
	(void)kill(-1, SIGTERM);
	aloud("PID 1 lives");
	return 0;
}

/*
 * A child that leaves @n children of its own behind, dead, for PID 1. They
 * borrow its memory, so that 100000 take seconds; return: how many there were.
 */
static long leave_orphans(long n)
{
	volatile long *count =
		mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long left = 0;
	pid_t pid;

	if (count == MAP_FAILED)
		return 0;
	pid = fork();
	if (pid == 0) {
		for (long i = 0; i < n; i++) {
			pid = vfork(); /* NOLINT: that is what it is for */
			if (pid == 0)
				_exit((int)(i & 0xff));
			*count += pid > 0;
		}
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	left = *count;
	(void)munmap((void *)(uintptr_t)count, sizeof(*count));
	return left;
}

static int orphans(long n)
{
	char text[64];
	long done = 0;

	for (int tries = 0; done < n && tries < n; tries++)
		done += leave_orphans(n - done < 500 ? n - done : 500);
	(void)snprintf(text, sizeof(text), "orphans %ld", done);
	aloud(text);
	return system("i=0; while n=$(cat /proc/[0-9]*/stat | grep -c ') Z '); "
		      "[ $n -gt 0 ] && [ $i -lt 300 ]; do "
		      "sleep 0.1; i=$((i + 1)); done; "
		      "echo zombies $n >/dev/console");
}

static bool is_fatal(int s)
{
	return s != SIGCHLD && s != SIGCONT && s != SIGURG && s != SIGWINCH &&
	       s != SIGSTOP && s != SIGTSTP && s != SIGTTIN && s != SIGTTOU;
}

/* Did PID 1 write the end of each incarnation of codes() into its ring? */
static void check_ends(int ring)
{
	const char *text = mmap(NULL, CONTROL_RING_DATA + CONTROL_RING_SIZE,
				PROT_READ, MAP_SHARED, ring, 0);
	char line[96];
	int codes = 0, signals = 0;

	if (text == MAP_FAILED)
		return;
	text += CONTROL_RING_DATA;
	for (int n = 1; n <= 255; n++) {
		(void)snprintf(line, sizeof(line),
			       "(incarnation %d) ended with status %d;", n, n);
		codes += strstr(text, line) != NULL;
	}
	for (int s = 1; s <= 64; s++) {
		(void)snprintf(line, sizeof(line), " was killed by signal %d;",
			       s);
		signals += strstr(text, line) != NULL;
	}
	(void)snprintf(line, sizeof(line), "%d codes and %d signals", codes,
		       signals);
	aloud(line);
}

/* One incarnation ends with each exit code, then one by each signal. */
static int codes(void)
{
	int ring = -1;
	const struct control_msg a =
		ask((struct control_msg){ .op = CONTROL_OP_HELLO,
					  .arg = CONTROL_VERSION },
		    -1, &ring);
	const int n = (int)a.arg;

	(void)ASK(.op = CONTROL_OP_STABLE);
	if (n > 255 + 64)
		check_ends(ring);
	if (n > 255 + 64)
		return 0;
	if (n > 255 && is_fatal(n - 255))
		(void)kill(getpid(), n - 255);
	_exit(n > 255 ? 1 : n);
}

/* Writes a file until there is no room. */
static void fill(const char *path)
{
	static const char page[65536];
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n = 1;

	while (fd >= 0 && n > 0)
		n = write(fd, page, sizeof(page));
	aloud(n < 0 && errno == ENOSPC ? "a full file system" : "not full");
}

/* Touches memory until it is killed. */
static void eat(void)
{
	static char last[1];
	const size_t size = 1u << 20;
	volatile char *p = last;

	while (p != MAP_FAILED) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (size_t i = 0; p != MAP_FAILED && i < size; i += 4096)
			p[i] = 1;
	}
}

/* Fills what can be filled, then dies of it; the next one finds it so. */
static int starve(void)
{
	const struct control_msg a =
		ask((struct control_msg){ .op = CONTROL_OP_HELLO,
					  .arg = CONTROL_VERSION },
		    -1, NULL);

	(void)ASK(.op = CONTROL_OP_STABLE);
	if (a.arg == 1) {
		fill("/run/much");
		eat();
	}
	if (a.arg == 2)
		aloud("a second life with a full /run");
	if (a.arg == 2)
		fill("/much"); /* the root has no limit: somebody is killed */
	return 0;
}

/* Everything that can be forked; PID 1 must still switch off. */
static int bomb(void)
{
	for (int i = 0; i < 100000; i++) {
		const pid_t pid = fork();

		if (pid == 0)
			for (;;)
				(void)pause();
		if (pid < 0)
			break;
	}
	aloud("no process is left");
	return 5;
}

/* More than a pipe holds, more lines than the console should see. */
static int noise(void)
{
	for (int i = 0; i < 20000; i++)
		dprintf(STDERR_FILENO, "error noise number %d\n", i);
	aloud("noise done");
	return 4;
}

int main(int argc, char **argv)
{
	const char *trick = argc > 1 ? argv[1] : "";
	const long number = argc > 2 ? strtol(argv[2], NULL, 10) : 0;

	aloud(getenv(CONTROL_ENV) ? "control socket" : "no control socket");
	if (strcmp(trick, "crash") == 0)
		return crash();
	if (strcmp(trick, "signals") == 0)
		return signals();
	if (strcmp(trick, "orphans") == 0)
		return orphans(number);
	if (strcmp(trick, "codes") == 0)
		return codes();
	if (strcmp(trick, "starve") == 0)
		return starve();
	if (strcmp(trick, "bomb") == 0)
		return bomb();
	if (strcmp(trick, "noise") == 0)
		return noise();
	if (strcmp(trick, "kill") == 0)
		(void)kill(getpid(), (int)number);
	say("info line one");
	say("info line two");
	return strcmp(trick, "exit") == 0 ? (int)number : 0;
}
