#include "tools/vsock/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "bridge/io/fd.h"
#include "tools/vsock/backend.h"
#include "tools/vsock/ioctls.h"

/* Descriptors that are left for QEMU itself. */
#define QEMU_FDS 512ul

/*
 * @gate:	whoever wants @lock holds this while it waits, so that a busy
 *		thread that frees and takes @lock all the time cannot keep an
 *		ioctl out for more than one turn
 * @lock:	protects what follows
 * @dev:	with @ino: names our end of the socket pair beyond doubt, because
 *		QEMU may use a closed descriptor's number for another device
 */
static struct {
	pthread_mutex_t gate;
	pthread_mutex_t lock;
	struct backend *backend;
	bool threaded;
	dev_t dev;
	ino_t ino;
	char base[HYBRID_BASE_MAX + 1];
} device = {
	.gate = PTHREAD_MUTEX_INITIALIZER,
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

static void device_lock(void)
{
	(void)pthread_mutex_lock(&device.gate);
	(void)pthread_mutex_lock(&device.lock);
	(void)pthread_mutex_unlock(&device.gate);
}

static void device_unlock(void)
{
	(void)pthread_mutex_unlock(&device.lock);
}

static void device_free(void)
{
	backend_free(device.backend);
	device.backend = NULL;
	device.threaded = false;
}

static int dial(void *ctx, uint32_t port, int *ret_fd)
{
	return hybrid_dial(ctx, port, ret_fd);
}

/* Only this thread frees a backend that has one, so @b stays valid. */
static void *serve(void *arg)
{
	struct backend *b = arg;
	struct epoll_event ev[BACKEND_EVENTS_MAX];
	int timeout_ms = 0;
	bool closed = false;

	while (!closed) {
		const int n = backend_wait(b, ev, timeout_ms);
		const int64_t now_ms = backend_now_ms();

		device_lock();
		backend_serve(b, ev, n, now_ms);
		timeout_ms = backend_timeout(b, now_ms);
		closed = b->closed;
		if (closed)
			device_free();
		device_unlock();
	}
	return NULL;
}

/* QEMU's signals are for QEMU's threads. */
static int start_thread(void)
{
	sigset_t all, before;
	pthread_t thread;
	int ret;

	if (device.threaded)
		return -EBUSY; /* as the kernel: it has an owner */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, NULL, serve, device.backend);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret != 0)
		return -ret;
	(void)pthread_setname_np(thread, "ferry-vsock");
	(void)pthread_detach(thread);
	device.threaded = true;
	return 0;
}

/* How many streams the process has descriptors for; ask for more first. */
static size_t streams_limit(void)
{
	const rlim_t want = VCONNS_MAX + QEMU_FDS;
	struct rlimit l = { 0 };

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 0;
	if (l.rlim_cur < want) {
		struct rlimit more = l;

		more.rlim_cur = want < l.rlim_max ? want : l.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			l = more;
	}
	if (l.rlim_cur >= want)
		return VCONNS_MAX;
	return l.rlim_cur > 2 * QEMU_FDS ? l.rlim_cur - QEMU_FDS
					 : l.rlim_cur / 2;
}

/* A device that QEMU closed before it had a thread is still lying around. */
static void forget_closed(void)
{
	struct pollfd p = { .events = POLLIN };

	if (device.backend == NULL || device.threaded)
		return;
	p.fd = device.backend->control;
	if (poll(&p, 1, 0) > 0)
		device_free();
}

static int connect_control(struct backend *b, bool cloexec, int *ret_fd)
{
	struct stat st = { 0 };
	int pair[2] = { -1, -1 };
	int ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ret = backend_set_control(b, pair[1]);
	if (ret == 0 && fstat(pair[0], &st) < 0)
		ret = -errno;
	if (ret == 0 && !cloexec && fcntl(pair[0], F_SETFD, 0) < 0)
		ret = -errno;
	if (ret < 0) {
		fd_close(&pair[0]);
		return ret;
	}
	device.dev = st.st_dev;
	device.ino = st.st_ino;
	*ret_fd = pair[0];
	return 0;
}

static int open_device(const char *base, bool cloexec, int *ret_fd)
{
	struct backend *b = NULL;
	int listener;
	int ret;

	(void)snprintf(device.base, sizeof(device.base), "%s", base);
	ret = backend_new(dial, device.base, streams_limit(), &b);
	if (ret < 0)
		return ret;
	/* Without it only host programs that begin a stream are left out. */
	if (hybrid_listen(device.base, &listener) == 0)
		ret = backend_set_listener(b, listener);
	if (ret == 0)
		ret = connect_control(b, cloexec, ret_fd);
	if (ret < 0) {
		backend_free(b);
		return ret;
	}
	device.backend = b;
	return 0;
}

int worker_open(const char *base, bool cloexec)
{
	int fd = -1;
	int ret;

	if (base[0] == '\0' || strlen(base) > HYBRID_BASE_MAX)
		return -ENAMETOOLONG;
	device_lock();
	forget_closed();
	ret = device.backend != NULL ? -EBUSY : open_device(base, cloexec, &fd);
	device_unlock();
	return ret < 0 ? ret : fd;
}

bool worker_owns(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == device.dev &&
	       st.st_ino == device.ino && S_ISSOCK(st.st_mode);
}

int worker_ioctl(unsigned long request, void *arg)
{
	int ret;

	device_lock();
	if (device.backend == NULL)
		ret = -ENODEV;
	else if (request == VHOST_SET_OWNER)
		ret = start_thread();
	else
		ret = ioctls_answer(device.backend, request, arg);
	device_unlock();
	return ret;
}
