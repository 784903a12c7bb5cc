#include "tools/vsock/ioctls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "bridge/io/fd.h"
#include "config/util.h"

/*
 * What the kernel's vhost-vsock offers, without packets that keep their borders
 * (SEQPACKET). QEMU offers the ring features to the guest whatever is said
 * here, and blocks migration when the log is missing.
 */
#define FEATURES                                                               \
	(1ull << VIRTIO_F_NOTIFY_ON_EMPTY | 1ull << VHOST_F_LOG_ALL |          \
	 1ull << VIRTIO_F_ANY_LAYOUT | 1ull << VIRTIO_RING_F_INDIRECT_DESC |   \
	 1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_F_VERSION_1)

/* The first CIDs have a meaning of their own; the last means "any". */
#define CID_FIRST 3u
#define CID_LAST (UINT32_MAX - 1)

typedef int request_fn(struct backend *b, void *arg);

/* Every queue request begins with the number of the queue. */
static struct backend_queue *queue_of(struct backend *b, const void *arg)
{
	unsigned int index;

	memcpy(&index, arg, sizeof(index));
	return index < BACKEND_QUEUES ? &b->queue[index] : NULL;
}

static int get_features(struct backend *b, void *arg)
{
	const uint64_t features = FEATURES;

	(void)b;
	memcpy(arg, &features, sizeof(features));
	return 0;
}

static int set_features(struct backend *b, void *arg)
{
	uint64_t features;

	memcpy(&features, arg, sizeof(features));
	if ((features & ~FEATURES) != 0)
		return -EOPNOTSUPP;
	backend_set_features(b, features);
	return 0;
}

/* The worker is started by whoever calls this file. */
static int set_owner(struct backend *b, void *arg)
{
	(void)b;
	(void)arg;
	return 0;
}

static int reset_owner(struct backend *b, void *arg)
{
	(void)arg;
	backend_stop(b);
	backend_drop_streams(b);
	return 0;
}

static int set_mem_table(struct backend *b, void *arg)
{
	const struct vhost_memory *table = arg;
	struct gmem_region region[GMEM_REGIONS_MAX];
	int ret;

	if (table->nregions > GMEM_REGIONS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < table->nregions; i++) {
		const struct vhost_memory_region *r = &table->regions[i];

		region[i].guest = r->guest_phys_addr;
		region[i].size = r->memory_size;
		region[i].host = (uint8_t *)(uintptr_t)r->userspace_addr;
	}
	ret = gmem_set(&b->mem, region, table->nregions);
	if (ret == 0)
		backend_remap(b);
	return ret;
}

static int set_log_base(struct backend *b, void *arg)
{
	memcpy(&b->log_base, arg, sizeof(b->log_base));
	backend_remap(b);
	return 0;
}

static int set_vring_num(struct backend *b, void *arg)
{
	struct backend_queue *q = queue_of(b, arg);
	const struct vhost_vring_state *s = arg;

	if (b->running)
		return -EBUSY;
	return q == NULL ? -ENOBUFS : vqueue_set_num(&q->ring, s->num);
}

static int set_vring_base(struct backend *b, void *arg)
{
	struct backend_queue *q = queue_of(b, arg);
	const struct vhost_vring_state *s = arg;

	if (b->running)
		return -EBUSY;
	if (q == NULL)
		return -ENOBUFS;
	if (s->num > UINT16_MAX)
		return -EINVAL;
	q->ring.next_avail = (uint16_t)s->num;
	return 0;
}

static int get_vring_base(struct backend *b, void *arg)
{
	const struct backend_queue *q = queue_of(b, arg);
	struct vhost_vring_state *s = arg;

	if (q == NULL)
		return -ENOBUFS;
	s->num = q->ring.next_avail;
	return 0;
}

static int set_vring_addr(struct backend *b, void *arg)
{
	struct backend_queue *q = queue_of(b, arg);
	const struct vhost_vring_addr *a = arg;
	const struct vqueue_addr addr = {
		.desc = a->desc_user_addr,
		.avail = a->avail_user_addr,
		.used = a->used_user_addr,
		.log = (a->flags & 1u << VHOST_VRING_F_LOG) != 0,
		.log_guest = a->log_guest_addr,
	};

	if (q == NULL)
		return -ENOBUFS;
	if ((a->flags & ~(1u << VHOST_VRING_F_LOG)) != 0)
		return -EOPNOTSUPP;
	return vqueue_set_addr(&q->ring, &addr);
}

/* A descriptor of our own for an eventfd that QEMU may close any time. */
static int eventfd_of(const void *arg, int *ret_fd)
{
	const struct vhost_vring_file *f = arg;

	*ret_fd = -1;
	if (f->fd == VHOST_FILE_UNBIND)
		return 0;
	*ret_fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? -errno : 0;
}

static int set_vring_kick(struct backend *b, void *arg)
{
	const struct vhost_vring_file *f = arg;
	int fd;
	int ret;

	if (queue_of(b, arg) == NULL)
		return -ENOBUFS;
	ret = eventfd_of(arg, &fd);
	return ret < 0 ? ret : backend_set_kick(b, f->index, fd);
}

static int replace(int *slot, const void *arg)
{
	int fd;
	const int ret = eventfd_of(arg, &fd);

	if (ret < 0)
		return ret;
	fd_close(slot);
	*slot = fd;
	return 0;
}

static int set_vring_call(struct backend *b, void *arg)
{
	struct backend_queue *q = queue_of(b, arg);

	return q == NULL ? -ENOBUFS : replace(&q->call, arg);
}

static int set_vring_err(struct backend *b, void *arg)
{
	struct backend_queue *q = queue_of(b, arg);

	return q == NULL ? -ENOBUFS : replace(&q->err, arg);
}

static int set_guest_cid(struct backend *b, void *arg)
{
	uint64_t cid;

	memcpy(&cid, arg, sizeof(cid));
	if (cid < CID_FIRST || cid > CID_LAST)
		return -EINVAL;
	b->guest_cid = cid;
	return 0;
}

static int set_running(struct backend *b, void *arg)
{
	int on;

	memcpy(&on, arg, sizeof(on));
	if (on == 0) {
		backend_stop(b);
		return 0;
	}
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++)
		if (!b->queue[i].ring.mapped)
			return -EFAULT;
	if (!b->running)
		backend_start(b);
	backend_wake(b);
	return 0;
}

static const struct {
	unsigned long request;
	request_fn *fn;
} requests[] = {
	{ VHOST_GET_FEATURES, get_features },
	{ VHOST_SET_FEATURES, set_features },
	{ VHOST_SET_OWNER, set_owner },
	{ VHOST_RESET_OWNER, reset_owner },
	{ VHOST_SET_MEM_TABLE, set_mem_table },
	{ VHOST_SET_LOG_BASE, set_log_base },
	{ VHOST_SET_VRING_NUM, set_vring_num },
	{ VHOST_SET_VRING_BASE, set_vring_base },
	{ VHOST_GET_VRING_BASE, get_vring_base },
	{ VHOST_SET_VRING_ADDR, set_vring_addr },
	{ VHOST_SET_VRING_KICK, set_vring_kick },
	{ VHOST_SET_VRING_CALL, set_vring_call },
	{ VHOST_SET_VRING_ERR, set_vring_err },
	{ VHOST_VSOCK_SET_GUEST_CID, set_guest_cid },
	{ VHOST_VSOCK_SET_RUNNING, set_running },
};

bool ioctls_is_vhost(unsigned long request)
{
	return _IOC_TYPE(request) == VHOST_VIRTIO;
}

int ioctls_answer(struct backend *b, unsigned long request, void *arg)
{
	/* The C library's ioctl() lets the upper half be sign-extended. */
	request &= UINT32_MAX;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		if (requests[i].request == request)
			return requests[i].fn(b, arg);
	return -ENOTTY;
}
