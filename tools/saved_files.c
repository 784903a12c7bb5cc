#include "tools/saved_files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "migration/state_file.h"
#include "tools/image_file.h"

#define LUNS 64u
#define READ_BYTES 65536u

void saved_files_name(const struct saved_files *f, const char *suffix,
		      char ret[PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s%s", f->file, suffix);
}

void saved_files_disk(const struct saved_files *f, uint32_t slot,
		      char ret[PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s.disk-%u-%u", f->file, slot / LUNS,
		       slot % LUNS);
}

int saved_files_init(struct saved_files *f, const char *path,
		     const char *key_file, struct err *e)
{
	char copy[PATH_MAX], folder[PATH_MAX], base[PATH_MAX];

	*f = (struct saved_files){ .key_file = key_file };
	text_heap(&f->state, SAVED_BYTES_MAX + 1);
	if (strlen(path) >= sizeof(copy))
		return err_set(e, ENAMETOOLONG, "%.80s", path);
	(void)snprintf(copy, sizeof(copy), "%s", path);
	if (!realpath(dirname(copy), folder))
		return err_sys(e, "%.200s", path);
	(void)snprintf(copy, sizeof(copy), "%s", path);
	(void)snprintf(base, sizeof(base), "%s", basename(copy));
	if (snprintf(f->file, sizeof(f->file), "%s/%s",
		     strcmp(folder, "/") == 0 ? "" : folder,
		     base) >= (int)sizeof(f->file))
		return err_set(e, ENAMETOOLONG, "%.80s", path);
	return 0;
}

void saved_files_done(struct saved_files *f)
{
	text_done(&f->state);
}

/* --- seals --- */

static int read_key(const struct saved_files *f, void **bytes,
		    struct state_key *ret, struct err *e)
{
	size_t n = 0;
	int r = 0;

	*bytes = NULL;
	*ret = (struct state_key){ NULL, 0 };
	if (f->key_file)
		r = image_file_read(f->key_file, STATE_FILE_KEY_MAX, bytes, &n,
				    e);
	*ret = (struct state_key){ *bytes, n };
	return r;
}

static int write_sealed(const struct saved_files *f, const char *suffix,
			const void *p, size_t n, struct err *e)
{
	cleanup_free void *secret = NULL;
	char path[PATH_MAX];
	struct state_key key;
	cleanup_fd fd = -1;
	struct text t;
	int r = read_key(f, &secret, &key, e);

	saved_files_name(f, suffix, path);
	text_heap(&t, STATE_FILE_MAX + 1);
	if (r == 0)
		r = state_file_seal(p, n, f->key_file ? &key : NULL, &t, e);
	if (r == 0) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || fd_write_full(fd, t.buf, t.len) < 0 ||
		    fsync(fd) < 0)
			r = err_sys(e, "%s", path);
	}
	text_done(&t);
	return r;
}

static int read_sealed(const struct saved_files *f, const char *suffix,
		       struct text *ret, struct err *e)
{
	cleanup_free void *secret = NULL;
	cleanup_free void *bytes = NULL;
	const void *p = NULL;
	char path[PATH_MAX];
	struct state_key key;
	size_t n = 0, n_state = 0;
	int r = read_key(f, &secret, &key, e);

	if (r < 0)
		return r;
	saved_files_name(f, suffix, path);
	r = image_file_read(path, STATE_FILE_MAX, &bytes, &n, e);
	if (r < 0)
		return r;
	r = state_file_open(bytes, n, f->key_file ? &key : NULL, &p, &n_state,
			    e);
	if (r < 0)
		return err_wrap(e, "%s", path);
	text_addn(ret, p, n_state);
	return ret->full ? err_set(e, ENOMEM, "no memory for a state") : 0;
}

static void sum_of(const struct text *t, uint8_t sum[DIGEST_BYTES])
{
	struct digest d;

	digest_init(&d);
	digest_add(&d, t->buf, t->len);
	digest_done(&d, sum);
}

/* --- both --- */

int saved_files_write(const struct saved_files *f, FerrySaved *more,
		      struct err *e)
{
	uint8_t sum[DIGEST_BYTES];
	uint8_t *bytes;
	size_t n;
	int r;

	sum_of(&f->state, sum);
	more->state_sum = (ProtobufCBinaryData){ sizeof(sum), sum };
	bytes = malloc(ferry_saved__get_packed_size(more) + 1);
	if (!bytes)
		return err_set(e, ENOMEM, "no memory for a state");
	n = ferry_saved__pack(more, bytes);
	more->state_sum = (ProtobufCBinaryData){ 0, NULL };
	r = write_sealed(f, SAVED_MORE, bytes, n, e);
	free(bytes);
	return r < 0 ? r : write_sealed(f, "", f->state.buf, f->state.len, e);
}

static bool is_sum(ProtobufCBinaryData b, const uint8_t sum[DIGEST_BYTES])
{
	return b.len == DIGEST_BYTES && digest_equal(b.data, sum);
}

static int check_memory(const struct saved_files *f, const FerrySaved *more,
			struct err *e)
{
	static unsigned char buf[READ_BYTES];
	uint8_t sum[DIGEST_BYTES];
	char path[PATH_MAX];
	struct digest d;
	cleanup_fd fd = -1;
	uint64_t all = 0;
	ssize_t n;

	saved_files_name(f, SAVED_MEMORY, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", path);
	digest_init(&d);
	while ((n = fd_read_full(fd, buf, sizeof(buf))) > 0) {
		digest_add(&d, buf, (size_t)n);
		all += (uint64_t)n;
	}
	if (n < 0)
		return err_sys(e, "%s", path);
	digest_done(&d, sum);
	if (all != more->memory_bytes || !is_sum(more->memory_sum, sum))
		return err_set(e, EINVAL, "%s is damaged", path);
	return 0;
}

int saved_files_read(struct saved_files *f, FerrySaved **ret, struct err *e)
{
	uint8_t sum[DIGEST_BYTES];
	FerrySaved *more;
	struct text t;
	int r = read_sealed(f, "", &f->state, e);

	if (r < 0)
		return r;
	text_heap(&t, STATE_FILE_MAX + 1);
	r = read_sealed(f, SAVED_MORE, &t, e);
	more = r < 0 ? NULL
		     : ferry_saved__unpack(NULL, t.len, (uint8_t *)t.buf);
	text_done(&t);
	if (r < 0)
		return r;
	if (!more)
		return err_set(e, EINVAL,
			       "%s" SAVED_MORE " is no part of a save",
			       f->file);
	sum_of(&f->state, sum);
	if (!is_sum(more->state_sum, sum))
		r = err_set(e, EINVAL, "%s" SAVED_MORE " is of another save",
			    f->file);
	if (r == 0)
		r = check_memory(f, more, e);
	if (r < 0)
		ferry_saved__free_unpacked(more, NULL);
	else
		*ret = more;
	return r;
}

void saved_files_remove(const struct saved_files *f, const struct saved *s)
{
	char path[PATH_MAX];
	size_t i;

	/* What is gone already is gone. */
	(void)unlink(f->file);
	saved_files_name(f, SAVED_MORE, path);
	(void)unlink(path);
	saved_files_name(f, SAVED_MEMORY, path);
	(void)unlink(path);
	for (i = 0; s && i < s->vm.scsi.n_disks; i++) {
		saved_files_disk(f, s->vm.scsi.disks[i].slot, path);
		(void)unlink(path);
	}
}
