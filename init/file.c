#include "init/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "bridge/io/fd.h"

int file_read(const char *path, char *buf, size_t size, struct err *e)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return err_sys(e, "open %s", path);
	n = fd_read_full(fd, buf, size);
	if (n < 0) {
		buf[0] = '\0';
		return err_set(e, (int)-n, "read %s", path);
	}
	if ((size_t)n == size) {
		buf[0] = '\0';
		return err_set(e, EFBIG, "%s has over %zu bytes", path,
			       size - 1);
	}
	buf[n] = '\0';
	return (int)n;
}

int file_write(const char *path, const char *text, struct err *e)
{
	cleanup_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (write(fd, text, strlen(text)) < 0)
		return err_sys(e, "write %s to %s", text, path);
	return 0;
}

char *file_word(char **at, const char *ends)
{
	char *word = *at + strspn(*at, ends);
	char *end = word + strcspn(word, ends);

	if (*word == '\0')
		return NULL;
	*at = *end ? end + 1 : end;
	*end = '\0';
	return word;
}
