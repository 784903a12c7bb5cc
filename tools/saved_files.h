/*
 * tools/saved_files.h - a sandbox in files: `ferry save` and `ferry restore`
 *
 *	FILE		its state, sealed (migration/state_file.h)
 *	FILE.more	containers, and sums of the other two; sealed
 *	FILE.memory	what QEMU sends in a migration
 *	FILE.disk-C-L	disk at controller C, LUN L
 *	FILE.lease	who may run it (tools/lease.h): stays when the others go,
 *			so that copies of them are not restored a second time
 *
 * FILE is written last and removed first, so that what has no FILE is no save.
 * A save is made once and restored once: it is one machine, and its disks go on
 * with it.
 */
#ifndef FERRY_TOOLS_SAVED_FILES_H
#define FERRY_TOOLS_SAVED_FILES_H

#include <limits.h>
#include <stddef.h>

#include "build/proto/saved.pb-c.h"
#include "config/arena.h"
#include "config/digest.h"
#include "config/err.h"
#include "config/text.h"
#include "migration/saved.h"
#include "tools/migrate.h"

#define SAVED_MORE ".more"
#define SAVED_MEMORY ".memory"
#define SAVED_LEASE ".lease"

/**
 * struct saved_files - names, and what is in the files
 * @file:	FILE, absolute
 * @key_file:	NULL: no key
 * @state:	serialised
 */
struct saved_files {
	char file[PATH_MAX - 64];
	const char *key_file;
	struct text state;
};

/** saved_files_name() - FILE with @suffix behind it, in @ret */
void saved_files_name(const struct saved_files *f, const char *suffix,
		      char ret[PATH_MAX]);

/** saved_files_disk() - name of a disk's file */
void saved_files_disk(const struct saved_files *f, uint32_t slot,
		      char ret[PATH_MAX]);

/** saved_files_init() - @path becomes absolute; its folder has to be there */
int saved_files_init(struct saved_files *f, const char *path,
		     const char *key_file, struct err *e);
void saved_files_done(struct saved_files *f);

/** saved_files_write() - FILE.more, then FILE; none may be there */
int saved_files_write(const struct saved_files *f, FerrySaved *more,
		      struct err *e);

/**
 * saved_files_read() - both, seals and sums checked, also that of the memory
 * @ret:	ferry_saved__free_unpacked() releases it
 */
int saved_files_read(struct saved_files *f, FerrySaved **ret, struct err *e);

/** saved_files_remove() - all of them; @s: the decoded state, NULL: unknown */
void saved_files_remove(const struct saved_files *f, const struct saved *s);

/* --- the memory's way: a socket pair, one end is the shim's (saved_pipe.c) --- */

/**
 * struct saved_pipe - one end of it, and the file
 * @write_file:	a save; else a restore
 * @eof:	all is through
 * @failed:	@why
 */
struct saved_pipe {
	struct migrate *m;
	int fd;
	int file;
	bool write_file;
	uint32_t number;
	size_t n_told, n_heard; /* of the number's four bytes */
	struct digest sum;
	uint64_t bytes;
	char *buf;
	size_t at, n;
	bool eof;
	bool failed;
	struct err why;
	struct loop_id watch;
};

/**
 * saved_pipe_open() - connect the shim of @side to a file
 * @file:	open; taken
 */
int saved_pipe_open(struct saved_pipe *p, struct migrate *m,
		    struct migrate_side *side, int file, bool write_file,
		    struct err *e);
void saved_pipe_close(struct saved_pipe *p);

/* --- what both commands do --- */

/** saved_wait() - until @side has transferred, and the pipe is through */
int saved_wait(struct migrate *m, struct migrate_side *side,
	       struct saved_pipe *p, struct err *e);

int tool_save(int argc, char **argv);
int tool_restore(int argc, char **argv);

#endif
