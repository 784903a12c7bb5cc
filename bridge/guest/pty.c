#include "bridge/guest/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/tty.h>

#include "bridge/io/fd.h"

/* Not in every libc: opens the other end without a path (ioctl_tty(2)). */
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int pty_resize(int master, uint16_t height, uint16_t width, struct err *e)
{
	const struct winsize size = { .ws_row = height, .ws_col = width };

	if (ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_sys(e, "terminal size");
	return 0;
}

int pty_open(uint16_t height, uint16_t width, int *ret_master, int *ret_slave,
	     struct err *e)
{
	cleanup_fd master =
		open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	cleanup_fd slave = -1;
	int unlock = 0;

	if (master < 0)
		return err_sys(e, "open /dev/ptmx");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, "open the terminal");
	/* devpts may have been mounted with another mode or group. */
	if (fchmod(slave, 0600) < 0)
		return err_sys(e, "mode of the terminal");
	if (pty_resize(master, height, width, e) < 0)
		return -e->code;

	*ret_master = fd_take(&master);
	*ret_slave = fd_take(&slave);
	return 0;
}
