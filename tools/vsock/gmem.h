/*
 * tools/vsock/gmem.h - the guest's memory as this process sees it
 *
 * The memory table says which guest physical ranges are mapped where. Every
 * access to guest memory goes through it: an address is translated and checked
 * once, in whole, and a range that crosses from one region into the next
 * becomes several pieces.
 */
#ifndef FERRY_TOOLS_VSOCK_GMEM_H
#define FERRY_TOOLS_VSOCK_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* As many as the kernel's vhost takes by default. */
#define GMEM_REGIONS_MAX 64

/**
 * struct gmem_region - one mapped range
 * @guest:	first guest physical address
 * @size:	bytes, not 0
 * @host:	where it is mapped in this process
 */
struct gmem_region {
	uint64_t guest;
	uint64_t size;
	uint8_t *host;
};

struct gmem {
	struct gmem_region region[GMEM_REGIONS_MAX];
	size_t regions;
	size_t last; /* region of the last hit; most lookups hit it again */
};

/* A part of guest memory: where it is here, and its guest address. */
struct gmem_piece {
	struct iovec here;
	uint64_t guest;
};

/**
 * gmem_set() - replace the table
 *
 * Return: 0, -E2BIG (too many regions), -EINVAL (empty or wrapping region);
 * on failure the old table stays
 */
int gmem_set(struct gmem *m, const struct gmem_region *region, size_t regions);

/**
 * gmem_pages() - number of 4 KiB pages up to the end of the highest region
 *
 * Return: pages, 0 for an empty table
 */
uint64_t gmem_pages(const struct gmem *m);

/**
 * gmem_map() - translate a guest range
 * @m:		table
 * @guest:	first guest address
 * @len:	bytes; 0 gives no piece
 * @piece:	receives the pieces in order
 * @max:	room in @piece
 *
 * Return: number of pieces, -EFAULT (a byte of it is not in the table),
 * -ENOBUFS (more than @max pieces)
 */
int gmem_map(struct gmem *m, uint64_t guest, uint64_t len,
	     struct gmem_piece *piece, size_t max);

/**
 * gmem_read() - copy from guest memory, once
 *
 * Return: 0 or -EFAULT; then @buf is partly written
 */
int gmem_read(struct gmem *m, uint64_t guest, void *buf, size_t len);

/**
 * gmem_holds() - is a range of this process wholly inside of the table?
 * @host:	address in this process
 * @len:	bytes, more than 0
 */
bool gmem_holds(const struct gmem *m, uint64_t host, uint64_t len);

/**
 * gmem_gather() - copy the first @len bytes of some pieces, once
 *
 * Return: bytes copied, less than @len when the pieces end before
 */
size_t gmem_gather(const struct gmem_piece *piece, size_t pieces, void *buf,
		   size_t len);

/** gmem_scatter() - copy @len bytes to the beginning of some pieces */
void gmem_scatter(const struct gmem_piece *piece, size_t pieces,
		  const void *buf, size_t len);

/**
 * gmem_slice() - list a part of some pieces for readv or writev
 * @skip:	bytes to leave out at the beginning
 * @len:	bytes to list; no more than there are behind @skip
 * @iov:	room for @pieces entries
 *
 * Return: number of entries
 */
size_t gmem_slice(const struct gmem_piece *piece, size_t pieces, size_t skip,
		  uint64_t len, struct iovec *iov);

/**
 * gmem_snapshot() - copy bytes that the guest may be changing, exactly once
 *
 * The compiler is kept from reading the source a second time: what is checked
 * in the copy is what is used later.
 */
void gmem_snapshot(void *copy, const void *source, size_t len);

#endif
