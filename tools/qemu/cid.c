#include "tools/qemu/cid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "bridge/io/fd.h"
#include "tools/qemu/argv.h"
#include "tools/qemu/hostdir.h"

#define CIDS "cids"

static int lock_one(const char *folder, uint32_t number, int *ret_fd,
		    struct err *e)
{
	struct flock range = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = number,
		.l_len = 1,
	};
	char path[HOSTDIR_MAX + sizeof(CIDS) + 1];
	cleanup_fd fd = -1;

	(void)snprintf(path, sizeof(path), "%.*s/%s", HOSTDIR_MAX, folder,
		       CIDS);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, "%s", path);
	/* Of the open file: it ends with its last descriptor. */
	if (fcntl(fd, F_OFD_SETLK, &range) < 0)
		return errno == EAGAIN || errno == EACCES
			       ? err_set(e, EADDRINUSE, "guest CID %u is taken",
					 number)
			       : err_sys(e, "lock %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

int cid_take_one(const char *folder, uint32_t number, cid_probe_fn *probe,
		 struct cid *ret, struct err *e)
{
	cleanup_fd fd = -1;
	int r = lock_one(folder, number, &fd, e);

	if (r == 0)
		r = probe(number, e);
	if (r < 0)
		return r;
	ret->number = number;
	ret->lock = fd_take(&fd);
	return 0;
}

int cid_take(const char *folder, cid_probe_fn *probe, struct cid *ret,
	     struct err *e)
{
	int r = -EADDRINUSE;

	for (int i = 0; i < CID_TRIES && r == -EADDRINUSE; i++) {
		uint32_t n = 0;

		if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
			return err_sys(e, "random bytes");
		r = cid_take_one(folder,
				 QEMU_CID_MIN +
					 n % (QEMU_CID_MAX - QEMU_CID_MIN + 1),
				 probe, ret, e);
	}
	return r == -EADDRINUSE
		       ? err_set(e, EADDRINUSE,
				 "no free guest CID after %d tries", CID_TRIES)
		       : r;
}

void cid_drop(struct cid *c)
{
	fd_close(&c->lock);
}
