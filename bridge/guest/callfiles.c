#include "bridge/guest/callfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/num.h"
#include "config/util.h"

const char *callfiles_path(const struct callfiles *f, const char *name,
			   char buf[CALLFILES_PATH_MAX])
{
	(void)snprintf(buf, CALLFILES_PATH_MAX, "%s/%s", f->folder, name);
	return buf;
}

void callfiles_remove(const struct callfiles *f)
{
	static const char *const files[] = { "log", "pid", "process.json",
					     "master.sock" };
	char path[CALLFILES_PATH_MAX];

	if (f->folder[0] == '\0')
		return;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		(void)unlink(callfiles_path(f, files[i], path));
	(void)rmdir(f->folder); /* an empty folder costs nothing */
}

void callfiles_name(struct callfiles *f, const char *dir, uint64_t call)
{
	(void)snprintf(f->folder, sizeof(f->folder), "%s/%llu", dir,
		       (unsigned long long)call);
}

int callfiles_make(struct callfiles *f, const char *dir, uint64_t call,
		   struct err *e)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", dir);
	callfiles_name(f, dir, call);
	if (mkdir(f->folder, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, "%s", f->folder);
	callfiles_remove(f); /* of an earlier agent */
	return mkdir(f->folder, 0700) < 0 ? err_sys(e, "%s", f->folder) : 0;
}

char *callfiles_read(const struct callfiles *f, const char *name, size_t max)
{
	char path[CALLFILES_PATH_MAX];
	char *text = calloc(1, max + 1);
	cleanup_fd fd = open(callfiles_path(f, name, path),
			     O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = 0;
	struct stat st;

	if (!text)
		return NULL;
	/* The end of a long log says how it ended. */
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > (off_t)max)
		(void)lseek(fd, st.st_size - (off_t)max, SEEK_SET);
	if (fd >= 0)
		n = fd_read_full(fd, text, max);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

int callfiles_write(const struct callfiles *f, const char *name,
		    const char *text, struct err *e)
{
	char path[CALLFILES_PATH_MAX];
	cleanup_fd fd = open(callfiles_path(f, name, path),
			     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(e, "%s", name);
	r = fd_write_full(fd, text, strlen(text));
	return r < 0 ? err_set(e, -r, "%s: %s", name, strerror(-r)) : 0;
}

int callfiles_pid(const struct callfiles *f, pid_t *ret, struct err *e)
{
	char *text = callfiles_read(f, "pid", 16);
	uint32_t pid = 0;
	int r = text ? 0 : err_set(e, ENOMEM, "no memory");

	if (text) {
		text[strcspn(text, "\n")] = '\0';
		r = num_u32(text, 2, INT32_MAX, &pid, e);
	}
	free(text);
	if (r < 0)
		return err_wrap(e, "process file of the runtime");
	*ret = (pid_t)pid;
	return 0;
}
