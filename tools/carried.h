/*
 * tools/carried.h - streams of a process between the bridge and the saved state
 *
 * For each stream of the session (docs/resume.md 2.1): what the bridge has of it,
 * and the bytes that lie between the bridge and whoever reads or writes there.
 */
#ifndef FERRY_TOOLS_CARRIED_H
#define FERRY_TOOLS_CARRIED_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/host/process.h"
#include "config/arena.h"
#include "config/err.h"
#include "migration/saved.h"

/**
 * carried_take() - streams of a process, while all is frozen
 * @p:		NULL: it has ended
 * @kept:	gives the bytes of one that lie on the host, of @streams
 * @a:		gives the memory
 * @ret:	receives its streams, and what nobody has read of the others; its
 *		ports are those of the process. If it has exited, and nobody was
 *		told that yet, its stage and exit as well
 *
 * Return: 0, -ESRCH (it does not run), -EEXHAUSTED (too much is unread), -ENOMEM
 */
int carried_take(const struct host_process *p,
		 size_t (*kept)(const void *streams, enum msg_stdio which,
				const uint8_t **ret),
		 const void *streams, struct arena *a,
		 struct saved_process *ret, struct err *e);

/** carried_find() - the stream of @port, NULL: it is not of the session */
const struct saved_stream *carried_find(const struct saved_stream *s, size_t n,
					uint32_t port);

/** carried_state() - for host_process_open(); borrows from @s */
void carried_state(const struct saved_stream *s, size_t n,
		   const uint32_t port[MSG_STDIO],
		   struct host_stream_state ret[MSG_STDIO]);

#endif
