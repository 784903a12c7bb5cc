/*
 * tools/shim/debug.h - what a shim knows about its sandbox, as text files
 *
 * They are left by themselves as a bundle (tools/qemu/remains.h) when the UVM
 * ends unasked, when its agent does not answer, and when a move fails; and they
 * are handed out on the call Collect, of `ferry debug collect`, then with what
 * QEMU and the guest say at that moment.
 *
 *	why		one sentence
 *	versions	of ferry, the host's kernel, QEMU; the files booted from
 *	line		the kernel command line
 *	annotations	names, and values that cannot be secret
 *	states		of shim, bridge, processes, containers and the move
 *	qmp		last events, QEMU's last words, status of machine and move
 *	log		the end of the shim's log
 *	guest		the agent's dump with the end of PID 1's log (Collect only)
 *
 * No file has environments, command lines or documents; each has been through
 * mask_text() besides.
 */
#ifndef FERRY_TOOLS_SHIM_DEBUG_H
#define FERRY_TOOLS_SHIM_DEBUG_H

#include "config/text.h"
#include "tools/qemu/remains.h"
#include "tools/ttrpc/server.h"

struct shim;

enum debug_file {
	DEBUG_WHY,
	DEBUG_VERSIONS,
	DEBUG_LINE,
	DEBUG_ANNOTATIONS,
	DEBUG_STATES,
	DEBUG_QMP,
	DEBUG_LOG,
	DEBUG_GUEST,
	DEBUG_FILES, /* number of files */
};

/** struct debug_texts - one bundle in the making */
struct debug_texts {
	struct text file[DEBUG_FILES];
};

/** debug_file_name() - "why", "versions", ... */
const char *debug_file_name(enum debug_file f);

/**
 * debug_gather() - fill in everything that is known here, without asking
 * @why:	a sentence
 *
 * debug_texts_done() releases it.
 */
void debug_gather(const struct shim *s, const char *why, struct debug_texts *t);
void debug_texts_done(struct debug_texts *t);

/** debug_mask() - when all is filled in; before it goes anywhere */
void debug_mask(struct debug_texts *t);

/**
 * shim_debug_leave() - leave a bundle and say so in the log
 * @word:	REMAINS_*
 * @why:	a sentence
 *
 * s->left names it then; a failure is logged only.
 */
void shim_debug_leave(struct shim *s, const char *word, const char *why);

/**
 * debug_on_collect() - the method Collect of the service Ferry
 *
 * QEMU and the guest have DEBUG_ASK_MS each, at the same time.
 */
#define DEBUG_ASK_MS 5000
ttrpc_method_fn debug_on_collect;

/** shim_debug_refer() - @why, and where the last bundle is; of a long sentence the
 * end is cut, not the path */
void shim_debug_refer(const struct shim *s, const char *why, char *out,
		      size_t size);

/** shim_debug_crash() - from here on a crash of the shim is a line in @log_fd,
 * with the places it came from */
void shim_debug_crash(int log_fd);

#endif
