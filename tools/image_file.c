#include "tools/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

int image_file_read(const char *path, size_t max, void **ret, size_t *ret_len,
		    struct err *e)
{
	cleanup_free char *buf = NULL;
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t size;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: not a regular file", path);
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return err_set(e, E2BIG, "%s: larger than %zu bytes", path,
			       max);
	size = (size_t)st.st_size;
	buf = malloc(size + 1);
	if (!buf)
		return err_set(e, ENOMEM, "%s: no memory", path);
	n = fd_read_full(fd, buf, size);
	if (n < 0)
		return err_set(e, (int)-n, "%s: %s", path, strerror((int)-n));
	if ((size_t)n != size)
		return err_set(e, EIO, "%s: shrank while it was read", path);
	buf[size] = '\0';
	*ret_len = size;
	*ret = mem_take(&buf);
	return 0;
}

/* A name beside @path that no other process uses now. */
static int temp_name(struct image_out *o, struct err *e)
{
	const int n = snprintf(o->temp, sizeof(o->temp), "%s.%ld.tmp", o->path,
			       (long)getpid());

	if (n > 0 && (size_t)n < sizeof(o->temp))
		return 0;
	o->temp[0] = '\0';
	return err_set(e, ENAMETOOLONG, "%s: name too long", o->path);
}

/*
 * A file without a name cannot be left behind by any kind of death. File
 * systems that have none of these get a named one.
 */
static int temp_open(struct image_out *o, struct err *e)
{
	const char *slash = strrchr(o->path, '/');
	char dir[PATH_MAX] = ".";
	int n = 0;

	if (slash)
		n = snprintf(dir, sizeof(dir), "%.*s",
			     (int)(slash - o->path) + 1, o->path);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return err_set(e, ENAMETOOLONG, "%s: name too long", o->path);
	o->fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	if (o->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return err_sys(e, "%s", o->path);
	n = temp_name(o, e);
	if (n < 0)
		return n;
	o->fd = open(o->temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	if (o->fd >= 0)
		return 0;
	n = err_sys(e, "%s", o->temp);
	o->temp[0] = '\0';
	return n;
}

int image_out_open(struct image_out *o, const char *path, struct err *e)
{
	struct stat st;

	*o = (struct image_out){ .path = path, .fd = -1 };
	if (path[0] == '\0')
		return err_set(e, EINVAL, "the output has no name");
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "%s: is a folder", path);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return o->fd < 0 ? err_sys(e, "%s", path) : 0;
	}
	return temp_open(o, e);
}

static int flush(struct image_out *o, const void *buf, size_t len,
		 struct err *e)
{
	const int r = fd_write_full(o->fd, buf, len);

	return r < 0 ? err_set(e, -r, "%s: %s", o->path, strerror(-r)) : 0;
}

int image_out_put(void *arg, const void *buf, size_t len, struct err *e)
{
	struct image_out *o = arg;
	int r = 0;

	if (len > sizeof(o->buf) - o->used) {
		r = flush(o, o->buf, o->used, e);
		o->used = 0;
	}
	if (r < 0)
		return r;
	if (len >= sizeof(o->buf))
		return flush(o, buf, len, e);
	memcpy(o->buf + o->used, buf, len);
	o->used += len;
	return 0;
}

/* Gives the file without a name one, beside its place. */
static int temp_link(struct image_out *o, struct err *e)
{
	char proc[64];
	int r;

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", o->fd);
	r = temp_name(o, e);
	if (r < 0)
		return r;
	/* A left-over of a killed process that had our number. */
	(void)unlink(o->temp);
	if (linkat(AT_FDCWD, proc, AT_FDCWD, o->temp, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	r = err_sys(e, "%s", o->temp);
	o->temp[0] = '\0';
	return r;
}

int image_out_commit(struct image_out *o, struct err *e)
{
	struct stat st;
	int r = flush(o, o->buf, o->used, e);

	o->used = 0;
	if (r < 0)
		return r;
	if (fstat(o->fd, &st) < 0)
		return err_sys(e, "%s", o->path);
	if (!S_ISREG(st.st_mode))
		return 0;
	/* Some file systems tell only now that there was no room. */
	if (fsync(o->fd) < 0)
		return err_sys(e, "%s", o->path);
	if (o->temp[0] == '\0') {
		r = temp_link(o, e);
		if (r < 0)
			return r;
	}
	if (rename(o->temp, o->path) < 0)
		return err_sys(e, "%s", o->path);
	o->temp[0] = '\0';
	return 0;
}

void image_out_done(struct image_out *o)
{
	if (o->temp[0])
		(void)unlink(o->temp);
	o->temp[0] = '\0';
	fd_close(&o->fd);
}
