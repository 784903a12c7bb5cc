#include "init/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#include "bridge/io/fd.h"
#include "init/file.h"

int modules_insert(const char *path, struct err *e)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "module %s", path);
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		return err_sys(e, "module %s", path);
	return 0;
}

/* Is one of the words of @wanted the numbers of a device in @devices? */
static bool present(char *wanted, const char *devices)
{
	const char *word;

	while ((word = file_word(&wanted, ","))) {
		const char *at = devices;
		const size_t n = strlen(word);

		while ((at = strstr(at, word))) {
			if (at > devices && at[-1] == '\t' && at[n] == '\t')
				return true;
			at += n;
		}
	}
	return false;
}

int modules_load(const char *list, const char *devices,
		 int (*load)(const char *path, struct err *e),
		 void (*warn)(const struct err *e), struct err *e)
{
	static char text[MODULES_LIST_MAX];
	static char there[MODULES_DEVICES_MAX];
	char *at = text, *line;
	struct err one;
	int r = file_read(list, text, sizeof(text), e);
	bool known;

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	known = file_read(devices, there, sizeof(there), &one) >= 0;
	while ((line = file_word(&at, "\n"))) {
		const char *path = file_word(&line, " ");

		if (path && line && *line && known && !present(line, there))
			continue;
		if (path && load(path, &one) < 0)
			warn(&one);
	}
	return 0;
}
