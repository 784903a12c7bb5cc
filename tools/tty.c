#include "tools/tty.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "config/util.h"

/* Signals that end the program without passing through main. */
static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };

/* Handlers need it, so it cannot belong to anybody. */
static struct {
	struct termios saved;
	volatile sig_atomic_t fd; /* -1: nothing to restore */
	bool registered;	  /* with atexit() */
} terminal = { .fd = -1 };

void tty_restore(void)
{
	const int saved_errno = errno;
	const int fd = terminal.fd;

	if (fd >= 0) {
		terminal.fd = -1;
		(void)tcsetattr(fd, TCSADRAIN, &terminal.saved); /* or gone */
	}
	errno = saved_errno;
}

static void on_fatal(int number)
{
	tty_restore();
	/* SA_RESETHAND: this time it is deadly. */
	(void)raise(number);
}

static int prepare(struct err *e)
{
	struct sigaction act = {
		.sa_handler = on_fatal,
		.sa_flags = (int)SA_RESETHAND,
	};

	(void)sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		if (sigaction(fatal[i], &act, NULL) < 0)
			return err_sys(e, "signal handler");
	if (!terminal.registered && atexit(tty_restore) != 0)
		return err_set(e, ENOMEM, "exit handler");
	terminal.registered = true;
	return 0;
}

int tty_raw(int fd, struct err *e)
{
	struct termios raw;
	const int r = prepare(e);

	if (r < 0 || terminal.fd >= 0)
		return r;
	if (tcgetattr(fd, &terminal.saved) < 0)
		return err_sys(e, "terminal settings");
	raw = terminal.saved;
	cfmakeraw(&raw);
	terminal.fd = fd;
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0) {
		terminal.fd = -1;
		return err_sys(e, "raw terminal");
	}
	return 0;
}

bool tty_size(int fd, uint16_t *height, uint16_t *width)
{
	struct winsize w = { 0 };

	if (ioctl(fd, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
		return false;
	*height = w.ws_row;
	*width = w.ws_col;
	return true;
}
