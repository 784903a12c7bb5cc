#include "bridge/guest/vpci.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GUID_LEN 36u
#define SYS_PATH_MAX 512

int vpci_check(const struct msg_vpci_device *m, struct err *e)
{
	const char *s = m->vmbus_guid;
	bool good = strlen(s) == GUID_LEN;

	for (size_t i = 0; good && i < GUID_LEN; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		good = dash ? s[i] == '-' : isxdigit((unsigned char)s[i]) != 0;
	}
	return good ? 0 : err_set(e, EINVAL, "VMBusGUID: not a GUID");
}

struct search {
	const struct volume_env *env;
	char guid[GUID_LEN + 1];
};

/* Does a directory hold a name that begins with @prefix? */
static bool has(const char *dir, const char *prefix, char *name, size_t size)
{
	const struct dirent *entry;
	bool found = false;
	DIR *d = opendir(dir);

	if (!d)
		return false;
	while (!found && (entry = readdir(d)) != NULL) {
		found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
			strlen(entry->d_name) < size;
		if (found)
			memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
	}
	(void)closedir(d);
	return found;
}

/* .../<guid>/pci<bus>/<bus>:... */
static int look(void *ctx, struct err *e)
{
	const struct search *s = ctx;
	char dir[SYS_PATH_MAX], bus[VOLUME_NAME_MAX], function[VOLUME_NAME_MAX];
	int n;

	(void)e;
	n = snprintf(dir, sizeof(dir), "%s/bus/vmbus/devices/%s", s->env->sys,
		     s->guid);
	if (n < 0 || !has(dir, "pci", bus, sizeof(bus)))
		return 0;
	(void)snprintf(dir + n, sizeof(dir) - (size_t)n, "/%s", bus);
	return has(dir, bus + strlen("pci"), function, sizeof(function));
}

int vpci_wait(const struct volume_env *env, const struct msg_vpci_device *m,
	      struct err *e)
{
	struct search s = { .env = env };
	char path[SYS_PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/bus/vmbus", env->sys);
	if (access(path, F_OK) < 0)
		return err_set(e, ENODEV,
			       "VMBusGUID: there is no VMBus in this machine");
	for (size_t i = 0; i < GUID_LEN; i++)
		s.guid[i] = (char)tolower((unsigned char)m->vmbus_guid[i]);
	r = volume_wait(env, look, &s, e);
	if (r == 0)
		return err_set(e, ETIMEDOUT,
			       "no PCI function at %s within %" PRId64 " ms",
			       s.guid, env->wait_ms);
	return r < 0 ? r : 0;
}
