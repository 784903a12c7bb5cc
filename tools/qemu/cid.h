/*
 * tools/qemu/cid.h - a guest's vsock address, taken for as long as it is used
 *
 * Between the choice of a CID and the moment when QEMU has set it, another
 * sandbox could choose the same one. So a CID is a lock on one byte of a file
 * of the host, the byte whose offset is the CID; the kernel lets go of it when
 * its owner ends, however it ends. The kernel's vhost is asked as well, for
 * programs that know nothing of the file; of those one may still be quicker
 * than QEMU, which then ends with words of vhost_cid_taken(), and the caller
 * takes another CID.
 */
#ifndef FERRY_TOOLS_QEMU_CID_H
#define FERRY_TOOLS_QEMU_CID_H

#include <stdint.h>

#include "config/err.h"

/* Random addresses of 32 bits: more misses mean that something else is wrong.*/
#define CID_TRIES 16

/**
 * struct cid - one that is ours
 * @number:	the address, valid while @lock is there
 * @lock:	-1: none
 */
struct cid {
	uint32_t number;
	int lock;
};

/** cid_probe_fn - 0: nobody has @number; -EADDRINUSE, or another -errno */
typedef int cid_probe_fn(uint32_t number, struct err *e);

/**
 * cid_take() - one that nobody on this host uses
 * @folder:	of the host, see tools/qemu/hostdir.h
 * @probe:	vhost_cid_probe(), or a test's
 * @ret:	filled; cid_drop() lets go of it
 *
 * Return: 0, -EADDRINUSE (after CID_TRIES), or -errno
 */
int cid_take(const char *folder, cid_probe_fn *probe, struct cid *ret,
	     struct err *e);

/**
 * cid_take_one() - @number, if nobody uses it
 *
 * Return: 0, -EADDRINUSE, or -errno
 */
int cid_take_one(const char *folder, uint32_t number, cid_probe_fn *probe,
		 struct cid *ret, struct err *e);

/** cid_drop() - fine when there is none */
void cid_drop(struct cid *c);

#endif
