#include "bridge/guest/cgroup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/num.h"
#include "config/util.h"

static const char *const v1_controllers[] = {
	"memory",   "cpu",     "cpuacct",    "cpuset",	"pids",
	"blkio",    "devices", "freezer",    "hugetlb", "net_cls",
	"net_prio", "rdma",    "perf_event", "misc",
};

const char *cgroup_controller(const struct cgroups *c, unsigned int i)
{
	if (c->version == CGROUP_V2)
		return i == 0 ? "" : NULL;
	return i < ARRAY_LEN(v1_controllers) ? v1_controllers[i] : NULL;
}

int cgroup_path_check(const char *path, struct err *e)
{
	const char *p = path;

	if (*p != '/' || strlen(path) >= CGROUP_PATH_MAX)
		return err_set(e, EINVAL, "cgroup '%.64s': no absolute path",
			       path);
	while (*p == '/') {
		const size_t len = strcspn(p + 1, "/");

		if (len == 0 || (len == 1 && p[1] == '.') ||
		    (len == 2 && p[1] == '.' && p[2] == '.'))
			return err_set(e, EINVAL, "cgroup '%.64s': bad name",
				       path);
		p += 1 + len;
	}
	return 0;
}

int cgroup_dir(const struct cgroups *c, const char *controller,
	       const char *path, struct err *e)
{
	char full[2 * CGROUP_PATH_MAX];
	int fd;

	if (c->version == CGROUP_NONE)
		return err_set(e, ENOENT, "there are no cgroups");
	if (cgroup_path_check(path, e) < 0)
		return err_code(e);
	if (c->version == CGROUP_V2)
		controller = "";
	if (snprintf(full, sizeof(full), "%s/%s%s", c->root, controller,
		     path) >= (int)sizeof(full))
		return err_set(e, ENAMETOOLONG, "cgroup '%.64s'", path);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cgroup %s%s%.128s", controller,
			       *controller ? ":" : "", path);
	return fd;
}

int cgroup_read(int dir, const char *name, char *text, size_t size)
{
	cleanup_fd fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	n = fd_read_full(fd, text, size - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return (int)n;
}

/* The number at @text, which ends there or with white space. */
static uint64_t number(char *text)
{
	uint64_t value = 0;

	text[strcspn(text, " \t\n")] = '\0';
	if (strcmp(text, "max") == 0)
		return UINT64_MAX;
	if (num_u64(text, 0, UINT64_MAX, &value, NULL) < 0)
		return 0;
	return value;
}

uint64_t cgroup_number(int dir, const char *name)
{
	char text[64];

	return cgroup_read(dir, name, text, sizeof(text)) < 0 ? 0
							      : number(text);
}

void cgroup_keys_text(char *text, const struct cgroup_key *key, size_t n,
		      void *ret)
{
	while (*text) {
		char *end = text + strcspn(text, "\n");
		char *value = text + strcspn(text, " \n");

		if (*end)
			*end++ = '\0';
		if (*value == ' ')
			*value++ = '\0';
		for (size_t i = 0; i < n; i++) {
			if (strcmp(text, key[i].name) == 0) {
				const uint64_t number_ = number(value);

				memcpy((char *)ret + key[i].offset, &number_,
				       sizeof(number_));
			}
		}
		text = end;
	}
}

void cgroup_keys(int dir, const char *name, const struct cgroup_key *key,
		 size_t n, void *ret)
{
	char text[CGROUP_FILE_MAX];

	if (cgroup_read(dir, name, text, sizeof(text)) > 0)
		cgroup_keys_text(text, key, n, ret);
}

int cgroup_write(int dir, const char *name, const char *text, struct err *e)
{
	cleanup_fd fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(e, "cgroup file %s", name);
	r = fd_write_full(fd, text, strlen(text));
	if (r < 0)
		return err_set(e, -r, "cgroup file %s: %s", name, strerror(-r));
	return 0;
}
