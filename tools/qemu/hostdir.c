#include "tools/qemu/hostdir.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int hostdir_make(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", path);
	if (lstat(path, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return err_set(e, EPERM, "%s must be a folder of user %u alone",
			       path, (unsigned int)geteuid());
	return 0;
}

int hostdir_get(char *ret, struct err *e)
{
	const unsigned int uid = geteuid();
	char run[HOSTDIR_MAX];

	(void)snprintf(run, sizeof(run), "/run/user/%u", uid);
	if (uid == 0)
		(void)snprintf(ret, HOSTDIR_MAX, "/run/ferry");
	else if (access(run, W_OK) == 0)
		(void)snprintf(ret, HOSTDIR_MAX, "/run/user/%u/ferry", uid);
	else
		(void)snprintf(ret, HOSTDIR_MAX, "/tmp/ferry-host-%u", uid);
	return hostdir_make(ret, e);
}
