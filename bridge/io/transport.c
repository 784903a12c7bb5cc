#include "bridge/io/transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#include "bridge/io/fd.h"
#include "config/num.h"

#define MS_PER_S 1000u
#define US_PER_MS 1000

/* Either kind of address, with its length. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_vm vm;
		struct sockaddr_un un;
	} u;
	socklen_t len;
};

int transport_parse(const char *text, struct transport *ret, struct err *e)
{
	struct transport t = { .kind = TRANSPORT_VSOCK,
			       .cid = TRANSPORT_CID_HOST };

	if (strcmp(text, "vsock") == 0) {
		*ret = t;
		return 0;
	}
	if (strncmp(text, "vsock:", 6) == 0) {
		if (num_u32(text + 6, 1, UINT32_MAX - 1, &t.cid, e) < 0)
			return err_wrap(e, "vsock CID");
		*ret = t;
		return 0;
	}
	if (strncmp(text, "unix:", 5) == 0 && text[5] != '\0') {
		t.kind = TRANSPORT_UNIX;
		if (strlen(text + 5) >= sizeof(t.base))
			return err_set(e, ENAMETOOLONG,
				       "socket path is over %zu bytes",
				       sizeof(t.base) - 1);
		(void)snprintf(t.base, sizeof(t.base), "%s", text + 5);
		*ret = t;
		return 0;
	}
	return err_set(e, EINVAL,
		       "'%.64s' is not vsock, vsock:CID or unix:PATH", text);
}

static void unix_address(const struct transport *t, uint32_t port,
			 struct address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->u.un.sun_family = AF_UNIX;
	(void)snprintf(ret->u.un.sun_path, sizeof(ret->u.un.sun_path), "%s_%u",
		       t->base, port); /* fits by TRANSPORT_BASE_MAX */
	ret->len = sizeof(ret->u.un);
}

static void vsock_address(uint32_t cid, uint32_t port, struct address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->u.vm.svm_family = AF_VSOCK;
	ret->u.vm.svm_cid = cid;
	ret->u.vm.svm_port = port;
	ret->len = sizeof(ret->u.vm);
}

static int stream_socket(const struct transport *t)
{
	return socket(t->kind == TRANSPORT_UNIX ? AF_UNIX : AF_VSOCK,
		      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* A kernel that does not know it waits as it always does. */
static void be_patient(int fd, uint32_t ms)
{
	const struct timeval limit = {
		.tv_sec = ms / MS_PER_S,
		.tv_usec = (suseconds_t)(ms % MS_PER_S) * US_PER_MS,
	};

	(void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit,
			 sizeof(limit));
}

int transport_dial(const struct transport *t, uint32_t port, int *ret_fd,
		   struct err *e)
{
	cleanup_fd fd = stream_socket(t);
	struct address to;

	if (fd < 0)
		return err_sys(e, "socket");
	if (t->kind == TRANSPORT_UNIX)
		unix_address(t, port, &to);
	else
		vsock_address(t->cid, port, &to);
	if (t->kind == TRANSPORT_VSOCK && t->patience_ms > 0)
		be_patient(fd, t->patience_ms);
	if (connect(fd, &to.u.any, to.len) < 0 && errno != EINPROGRESS)
		return err_sys(e, "connect to host port %u", port);

	*ret_fd = fd_take(&fd);
	return 0;
}

int transport_dial_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

void transport_probe(int fd)
{
	unsigned long long size = 0;
	socklen_t len = sizeof(size);

	if (getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &len) <
	    0)
		return;
	size++;
	/* What cannot be asked is seen by the next write. */
	(void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &size,
			 sizeof(size));
	(void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size,
			 sizeof(size));
}

/* A socket file that nobody listens on is left over from a dead process. */
static void remove_stale(const struct address *at)
{
	cleanup_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, &at->u.any, at->len) < 0 &&
	    errno == ECONNREFUSED)
		(void)unlink(at->u.un.sun_path); /* bind() tells the rest */
}

int transport_listen(const struct transport *t, uint32_t port, int backlog,
		     int *ret_fd, struct err *e)
{
	cleanup_fd fd = stream_socket(t);
	struct address at;

	if (fd < 0)
		return err_sys(e, "socket");
	if (t->kind == TRANSPORT_UNIX) {
		unix_address(t, port, &at);
		remove_stale(&at);
	} else {
		vsock_address(VMADDR_CID_ANY, port, &at);
	}
	if (bind(fd, &at.u.any, at.len) < 0)
		return err_sys(e, "bind port %u", port);
	if (t->kind == TRANSPORT_UNIX && chmod(at.u.un.sun_path, 0600) < 0)
		return err_sys(e, "chmod %s", at.u.un.sun_path);
	if (listen(fd, backlog) < 0)
		return err_sys(e, "listen on port %u", port);

	*ret_fd = fd_take(&fd);
	return 0;
}

int transport_accept(const struct transport *t, int listen_fd, int *ret_fd,
		     struct err *e)
{
	for (;;) {
		struct address peer = { .len = sizeof(peer.u) };
		cleanup_fd fd = accept4(listen_fd, &peer.u.any, &peer.len,
					SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return err_sys(e, "accept");
		if (t->kind == TRANSPORT_VSOCK && peer.u.vm.svm_cid != t->cid)
			continue; /* another VM of this host, not ours */

		*ret_fd = fd_take(&fd);
		return 0;
	}
}

void transport_unlink(const struct transport *t, uint32_t port)
{
	struct address at;

	if (t->kind != TRANSPORT_UNIX)
		return;
	unix_address(t, port, &at);
	(void)unlink(at.u.un.sun_path); /* absent is as good */
}
