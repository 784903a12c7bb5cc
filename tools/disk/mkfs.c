#include "tools/disk/mkfs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/util.h"

/* Of every disk: it has no meaning, but the same folder gives the same bytes. */
#define UUID "66657272-7900-4000-8000-000000000001"
/* Both file systems begin behind an unused kilobyte. */
#define SUPERBLOCK 1024
#define EROFS_MAGIC UINT32_C(0xe0f5e1e2)
#define EXT4_MAGIC 0xef53u
#define EXT4_MAGIC_AT 56

static const char *const names[DISK_FSS] = {
	[DISK_FS_AUTO] = "auto",
	[DISK_FS_EROFS] = "erofs",
	[DISK_FS_EXT4] = "ext4",
};

const char *disk_fs_name(enum disk_fs fs)
{
	return names[fs];
}

int disk_fs_parse(const char *text, enum disk_fs *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], text) == 0) {
			*ret = (enum disk_fs)i;
			return 0;
		}
	}
	return err_set(e, EINVAL, "'%.40s' is not auto, erofs or ext4", text);
}

const char *mkfs_name(enum disk_fs fs)
{
	return fs == DISK_FS_EROFS ? "mkfs.erofs" : "mke2fs";
}

const char *mkfs_path(void)
{
	static char path[PATH_MAX];
	const char *own = getenv("PATH");

	(void)snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin:/usr/bin:/bin",
		       own && *own ? own : "/usr/local/bin");
	return path;
}

/* argv is not const by tradition, and not written to. */
static void add(struct mkfs_command *c, size_t *n, const char *word)
{
	c->argv[(*n)++] = (char *)(uintptr_t)word;
}

static void add_pair(struct mkfs_command *c, size_t *n, const char *option,
		     const char *value)
{
	add(c, n, option);
	add(c, n, value);
}

static void erofs(const struct mkfs_wish *w, struct mkfs_command *c, size_t *n)
{
	add(c, n, "--quiet");
	add_pair(c, n, "-U", UUID);
	if (w->all_root)
		add(c, n, "--all-root");
	add(c, n, w->target);
	add(c, n, w->source);
}

/* A journal is of no use to what is never written, or never read again. */
static void ext4(const struct mkfs_wish *w, struct mkfs_command *c, size_t *n)
{
	add(c, n, "-q");
	add(c, n, "-F");
	add_pair(c, n, "-t", "ext4");
	add_pair(c, n, "-b", "4096");
	add_pair(c, n, "-m", "0");
	add_pair(c, n, "-U", UUID);
	add_pair(c, n, "-O", "^has_journal,^resize_inode");
	add_pair(c, n, "-E",
		 "assume_storage_prezeroed=1,nodiscard,root_owner=0:0,"
		 "hash_seed=" UUID);
	if (w->source) {
		(void)snprintf(c->inodes, sizeof(c->inodes), "%" PRIu64,
			       w->sum.files + 64);
		add_pair(c, n, "-N", c->inodes);
		add_pair(c, n, "-d", w->source);
	}
	add(c, n, w->target);
}

void mkfs_command(const struct mkfs_wish *w, struct mkfs_command *c)
{
	const char *time = w->fs == DISK_FS_EROFS ? "SOURCE_DATE_EPOCH"
						  : "E2FSPROGS_FAKE_TIME";
	size_t n = 0;

	*c = (struct mkfs_command){ 0 };
	add(c, &n, mkfs_name(w->fs));
	if (w->fs == DISK_FS_EROFS)
		erofs(w, c, &n);
	else
		ext4(w, c, &n);
	(void)snprintf(c->epoch, sizeof(c->epoch), "%s=%" PRId64, time,
		       w->sum.newest_s > 0 ? w->sum.newest_s : 1);
	c->envp[0] = c->epoch;
	c->envp[1] = (char *)(uintptr_t) "LC_ALL=C";
}

uint64_t mkfs_ext4_size(const struct tree_sum *sum)
{
	const uint64_t inodes = (sum->files + 64) / 16 + 1;
	uint64_t blocks = sum->blocks + inodes + 1024;

	blocks += blocks / 16; /* bitmaps, extents, folders as ext4 has them */
	return blocks * TREE_BLOCK;
}

int mkfs_check(int fd, enum disk_fs fs, struct err *e)
{
	unsigned char b[EXT4_MAGIC_AT + 2] = { 0 };
	bool good;

	if (pread(fd, b, sizeof(b), SUPERBLOCK) < 0)
		return err_sys(e, "disk");
	if (fs == DISK_FS_EROFS)
		good = (b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
			(uint32_t)b[3] << 24) == EROFS_MAGIC;
	else
		good = (b[EXT4_MAGIC_AT] | (unsigned int)b[EXT4_MAGIC_AT + 1]
						   << 8) == EXT4_MAGIC;
	return good ? 0
		    : err_set(e, EIO, "%s wrote no file system", mkfs_name(fs));
}
