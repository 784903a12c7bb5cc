/*
 * tests/e2e/ptydrive.c - run a program on a terminal and play its user
 *
 * usage: ptydrive ROWS COLUMNS STEP... -- PROGRAM [ARG...]
 *
 *	expect=TEXT	wait until the terminal has shown TEXT since the last
 *			expect
 *	send=TEXT	type it; \r, \n and \xNN are understood
 *	resize=ROWSxCOLUMNS
 *	signal=NUMBER	to PROGRAM
 *	raw, cooked	wait until the terminal is in that mode
 *
 * Copies what the terminal shows to stdout, tells a step that did not come on
 * stderr (exit 99), and says "terminal: as before" or "terminal: changed" at
 * the end. Ends as PROGRAM did, a signal being 128 + its number. Every wait
 * has a limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "config/num.h"
#include "config/util.h"

#define STEP_MS 60000
#define POLL_MS 20
#define SHOWN_MAX 65536
#define EXIT_STEP 99

static int master = -1;
static int slave = -1;
static pid_t child;
static char shown[SHOWN_MAX]; /* since the last expect */
static size_t n_shown;

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Takes what the terminal shows within @wait_ms; false at its end. */
static bool look(int wait_ms)
{
	struct pollfd p = { .fd = master, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	if (poll(&p, 1, wait_ms) <= 0)
		return true;
	n = read(master, buf, sizeof(buf));
	if (n <= 0)
		return n < 0 && errno == EINTR;
	(void)fd_write_full(STDOUT_FILENO, buf, (size_t)n); /* only shown */
	if (n_shown + (size_t)n >= SHOWN_MAX)
		n_shown = 0;
	memcpy(shown + n_shown, buf, (size_t)n);
	n_shown += (size_t)n;
	shown[n_shown] = '\0';
	return true;
}

static bool expect(const char *text)
{
	const int64_t limit = now_ms() + STEP_MS;

	while (now_ms() < limit) {
		const char *at = memmem(shown, n_shown, text, strlen(text));

		if (at) {
			const size_t used = (size_t)(at - shown) + strlen(text);

			memmove(shown, shown + used, n_shown - used);
			n_shown -= used;
			return true;
		}
		if (!look(POLL_MS))
			return false;
	}
	return false;
}

static unsigned int hex_digit(char c)
{
	const char *const digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (unsigned int)(at - digits) : 0;
}

static bool send_text(const char *text)
{
	char buf[1024];
	size_t n = 0;

	for (const char *p = text; *p && n < sizeof(buf); p++) {
		if (*p != '\\') {
			buf[n++] = *p;
		} else if (p[1] == 'r' || p[1] == 'n') {
			buf[n++] = *++p == 'r' ? '\r' : '\n';
		} else if (p[1] == 'x' && p[2] && p[3]) {
			buf[n++] =
				(char)(hex_digit(p[2]) << 4 | hex_digit(p[3]));
			p += 3;
		}
	}
	return fd_write_full(master, buf, n) == 0;
}

static bool resize(const char *text)
{
	char rows[16];
	const char *x = strchr(text, 'x');
	uint32_t r = 0;
	uint32_t c = 0;
	struct winsize w = { 0 };
	struct err e;

	if (!x || (size_t)(x - text) >= sizeof(rows))
		return false;
	memcpy(rows, text, (size_t)(x - text));
	rows[x - text] = '\0';
	if (num_u32(rows, 1, 65535, &r, &e) < 0 ||
	    num_u32(x + 1, 1, 65535, &c, &e) < 0)
		return false;
	w.ws_row = (unsigned short)r;
	w.ws_col = (unsigned short)c;
	return ioctl(master, TIOCSWINSZ, &w) == 0;
}

static bool wait_mode(bool raw)
{
	const int64_t limit = now_ms() + STEP_MS;

	while (now_ms() < limit) {
		struct termios t;

		if (tcgetattr(slave, &t) == 0 &&
		    ((t.c_lflag & (tcflag_t)ICANON) == 0) == raw)
			return true;
		(void)look(POLL_MS);
	}
	return false;
}

static bool send_signal(const char *text)
{
	uint32_t number = 0;
	struct err e;

	return num_u32(text, 1, 64, &number, &e) == 0 &&
	       kill(child, (int)number) == 0;
}

static bool step(const char *word)
{
	static const struct {
		const char *name;
		bool (*fn)(const char *);
	} kinds[] = {
		{ "expect=", expect },
		{ "send=", send_text },
		{ "resize=", resize },
		{ "signal=", send_signal },
	};

	if (strcmp(word, "raw") == 0 || strcmp(word, "cooked") == 0)
		return wait_mode(word[0] == 'r');
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const size_t len = strlen(kinds[i].name);

		if (strncmp(word, kinds[i].name, len) == 0)
			return kinds[i].fn(word + len);
	}
	return false;
}

static int open_terminal(const char *rows, const char *columns)
{
	char size[64];
	char name[64];

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
	    ptsname_r(master, name, sizeof(name)) != 0)
		return -1;
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	(void)snprintf(size, sizeof(size), "%sx%s", rows, columns);
	return slave >= 0 && resize(size) ? 0 : -1;
}

/* The program's end, as a shell would tell it; killed when it takes long. */
static int wait_for_child(void)
{
	const int64_t limit = now_ms() + STEP_MS;
	int status = 0;

	while (waitpid(child, &status, WNOHANG) == 0) {
		(void)look(POLL_MS);
		if (now_ms() > limit) {
			(void)fputs("ptydrive: the program does not end\n",
				    stderr);
			(void)kill(child, SIGKILL);
		}
	}
	(void)look(0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(char **steps, char **program, struct err *e)
{
	const struct spawn s = {
		.argv = program,
		.envp = environ,
		.stdio = { slave, slave, slave },
		.terminal = true,
		.die_with_parent = true,
	};
	int r = spawn_start(&s, &child, NULL, e);

	if (r < 0)
		return r;
	for (; *steps && r == 0; steps++) {
		if (!step(*steps)) {
			(void)fprintf(stderr, "ptydrive: failed: %s\n", *steps);
			r = EXIT_STEP;
		}
	}
	if (r != 0)
		(void)kill(child, SIGKILL);
	return r != 0 ? (wait_for_child(), r) : wait_for_child();
}

static bool same(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag &&
	       a->c_cflag == b->c_cflag && a->c_lflag == b->c_lflag &&
	       memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

int main(int argc, char **argv)
{
	struct termios before;
	struct termios after;
	struct err e;
	int split = 3;
	int code;

	while (split < argc && strcmp(argv[split], "--") != 0)
		split++;
	if (split + 1 >= argc || open_terminal(argv[1], argv[2]) < 0 ||
	    tcgetattr(slave, &before) < 0) {
		(void)fputs("usage: ptydrive ROWS COLUMNS STEP... -- PROGRAM\n",
			    stderr);
		return 2;
	}
	argv[split] = NULL;
	code = run(argv + 3, argv + split + 1, &e);
	if (code < 0) {
		(void)fprintf(stderr, "ptydrive: %s\n", e.text);
		return 2;
	}
	if (tcgetattr(slave, &after) < 0)
		return 2;
	(void)printf("\nterminal: %s\n",
		     same(&before, &after) ? "as before" : "changed");
	return code;
}
