#include "tools/home.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/util.h"

int tool_lib_path_at(const char *dir, const char *name, char *out, size_t size,
		     struct err *e)
{
	static const char *const folders[] = { "lib/ferry", "../lib/ferry" };
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(folders); i++) {
		int n = snprintf(path, sizeof(path), "%s/%s/%s", dir,
				 folders[i], name);

		if (n < 0 || (size_t)n >= sizeof(path) || (size_t)n >= size)
			return err_set(e, ENAMETOOLONG,
				       "the path of %s is too long", name);
		if (access(path, R_OK) == 0) {
			memcpy(out, path, (size_t)n + 1);
			return 0;
		}
	}
	return err_set(e, ENOENT,
		       "%s is neither in %s/lib/ferry nor in %s/../lib/ferry",
		       name, dir, dir);
}

int tool_lib_path(const char *name, char *out, size_t size, struct err *e)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return err_sys(e, "/proc/self/exe");
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	return tool_lib_path_at(self, name, out, size, e);
}
