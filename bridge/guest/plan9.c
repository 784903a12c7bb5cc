#include "bridge/guest/plan9.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/guest/guestpath.h"
#include "bridge/guest/mnt.h"
#include "bridge/io/fd.h"
#include "bridge/io/transport.h"
#include "config/util.h"

#define MOUNT_POINT_MODE 0700

/* Options of a mount are separated by commas. */
static bool name_ok(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == ',' || *s == 0x7f)
			return false;
	}
	return true;
}

int plan9_check(const struct msg_mapped_directory *m, bool add,
		struct volume_facts *f, struct err *e)
{
	struct guestpath p;
	int r = guestpath_check(m->mount_path, GUESTPATH_MOUNT, "MountPath", &p,
				e);

	*f = (struct volume_facts){ .kind = VOLUME_PLAN9,
				    .read_only = m->read_only,
				    .filesystem = "9p" };
	if (r == 0)
		r = volume_text(f->path, sizeof(f->path), m->mount_path,
				"MountPath", e);
	if (r < 0 || !add)
		return r;
	if (m->port <= 0)
		return err_set(e, EINVAL, "Port: %d", m->port);
	if (!name_ok(m->share_name) || strlen(m->share_name) >= VOLUME_NAME_MAX)
		return err_set(e, EINVAL, "ShareName: not a share's name");
	return 0;
}

static int dial(const struct volume_env *env, uint32_t port, struct err *e)
{
	const int size = PLAN9_BUFFER;
	struct pollfd p = { .events = POLLOUT };
	cleanup_fd fd = -1;
	int r = transport_dial(&env->host, port, &p.fd, e);

	if (r < 0)
		return r;
	fd = p.fd;
	if (poll(&p, 1, PLAN9_DIAL_MS) <= 0)
		return err_set(e, ETIMEDOUT, "Port: %u does not answer", port);
	r = transport_dial_result(fd);
	if (r < 0)
		return err_set(e, -r, "Port: %u: %s", port, strerror(-r));
	/* Smaller buffers only cost speed. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	r = fd_nonblock(fd, false);
	return r < 0 ? err_set(e, -r, "Port: %u", port) : fd_take(&fd);
}

static int mount_share(const struct msg_mapped_directory *m, int sock,
		       struct err *e)
{
	char number[16], size[16];
	const struct mnt_option option[] = {
		{ "trans", "fd" },	    { "rfdno", number },
		{ "wfdno", number },	    { "msize", size },
		{ "aname", m->share_name },
	};
	const size_t n = ARRAY_LEN(option) - (m->share_name[0] ? 0 : 1);

	(void)snprintf(number, sizeof(number), "%d", sock);
	(void)snprintf(size, sizeof(size), "%d", PLAN9_BUFFER);
	return mnt_new("9p", m->mount_path, option, n, m->read_only, e);
}

int plan9_add(const struct volume_env *env,
	      const struct msg_mapped_directory *m, struct volume_facts *f,
	      struct err *e)
{
	cleanup_fd sock = dial(env, (uint32_t)m->port, e);
	cleanup_fd mnt = -1;

	if (sock < 0)
		return sock;
	mnt = mount_share(m, sock, e);
	if (mnt < 0)
		return mnt;
	return mnt_put(env->root, f->path, GUESTPATH_MOUNT, MOUNT_POINT_MODE,
		       mnt, e);
}

int plan9_remove(const struct volume_env *env, const struct volume_facts *f,
		 struct err *e)
{
	const int r = mnt_remove(env->root, f->path, GUESTPATH_MOUNT, e);

	return r < 0 ? r : 0;
}
