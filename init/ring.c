#include "init/ring.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bridge/io/fd.h"

#define RING_FILE_SIZE (CONTROL_RING_DATA + CONTROL_RING_SIZE)

/* Linux 5.1; not in every libc's fcntl.h. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

int ring_open(struct ring *r, struct err *e)
{
	cleanup_fd fd =
		memfd_create("ferry-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	*r = (struct ring){ .fd = -1 };
	if (fd < 0)
		return err_sys(e, "log ring: memfd");
	if (ftruncate(fd, RING_FILE_SIZE) < 0)
		return err_sys(e, "log ring: size");
	map = mmap(NULL, RING_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	if (map == MAP_FAILED)
		return err_sys(e, "log ring: map");
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
			  F_SEAL_FUTURE_WRITE) < 0) {
		(void)munmap(map, RING_FILE_SIZE); /* keeps errno on success */
		return err_sys(e, "log ring: seal");
	}

	r->head = map;
	r->head->size = CONTROL_RING_SIZE;
	r->head->magic = CONTROL_RING_MAGIC;
	r->fd = fd_take(&fd);
	return 0;
}

void ring_put(struct ring *r, const void *data, size_t len)
{
	const char *from = data;
	struct control_ring *h = r->head;
	size_t at, part;
	uint64_t end;

	if (!h)
		return;
	end = h->head + len;
	if (len > CONTROL_RING_SIZE) { /* its beginning would be lost anyway */
		from += len - CONTROL_RING_SIZE;
		len = CONTROL_RING_SIZE;
	}
	at = (size_t)((end - len) % CONTROL_RING_SIZE);
	part = CONTROL_RING_SIZE - at;
	if (part > len)
		part = len;
	memcpy((char *)h + CONTROL_RING_DATA + at, from, part);
	memcpy((char *)h + CONTROL_RING_DATA, from + part, len - part);
	if (end > CONTROL_RING_SIZE)
		h->dropped = end - CONTROL_RING_SIZE;
	__atomic_store_n(&h->head, end, __ATOMIC_RELEASE);
}

void ring_done(struct ring *r)
{
	if (r->head)
		(void)munmap(r->head, RING_FILE_SIZE); /* it was mapped so */
	r->head = NULL;
	fd_close(&r->fd);
}
