#include "init/modules.h"

#include <errno.h>
#include <fcntl.h>
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

int modules_load(const char *list, int (*load)(const char *path, struct err *e),
		 void (*warn)(const struct err *e), struct err *e)
{
	static char text[MODULES_LIST_MAX];
	char *at = text, *path;
	struct err one;
	int r = file_read(list, text, sizeof(text), e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	while ((path = file_word(&at, "\n"))) {
		if (load(path, &one) < 0)
			warn(&one);
	}
	return 0;
}
