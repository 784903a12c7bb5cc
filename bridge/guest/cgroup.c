#include "bridge/guest/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <linux/magic.h>

#include "bridge/guest/cgroup_file.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

void cgroups_init(struct cgroups *c, struct loop *l, const char *root)
{
	char path[CGROUP_PATH_MAX];
	struct statfs fs;

	*c = (struct cgroups){ .loop = l, .root = root };
	if (statfs(root, &fs) < 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	if (fs.f_type == CGROUP2_SUPER_MAGIC || access(path, F_OK) == 0) {
		c->version = CGROUP_V2;
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/memory", root);
	if (access(path, F_OK) == 0)
		c->version = CGROUP_V1;
}

void cgroups_done(struct cgroups *c)
{
	loop_cancel(c->loop, &c->refresh);
}

/* --- making ---------------------------------------------------------------- */

/* cgroup 1: a new cpuset has no CPU and no memory, and takes no process. */
static void cpuset_inherit(int parent, int dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char text[CGROUP_FILE_MAX];

	for (size_t i = 0; i < 2; i++) {
		if (cgroup_read(dir, files[i], text, sizeof(text)) > 1)
			continue; /* it has some */
		if (cgroup_read(parent, files[i], text, sizeof(text)) > 0)
			(void)cgroup_write(dir, files[i], text, NULL);
	}
}

/* cgroup 2: what this cgroup controls its children may, too. One controller
 * that refuses does not keep the others away. */
static void enable_children(int dir)
{
	char names[CGROUP_PATH_MAX];
	char *save = NULL;

	if (cgroup_read(dir, "cgroup.controllers", names, sizeof(names)) <= 0)
		return;
	for (const char *name = strtok_r(names, " \n", &save); name;
	     name = strtok_r(NULL, " \n", &save)) {
		char one[64];
		struct err e = { 0 };

		(void)snprintf(one, sizeof(one), "+%s", name);
		if (cgroup_write(dir, "cgroup.subtree_control", one, &e) < 0)
			log_debug("controller %s stays off: %s", name, e.text);
	}
}

/* One directory below @parent; it may be there already. */
static int make_one(const struct cgroups *c, const char *controller, int parent,
		    const char *name, bool hand_on, struct err *e)
{
	cleanup_fd dir = -1;

	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make cgroup %.64s", name);
	dir = openat(parent, name,
		     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "cgroup %.64s", name);
	if (c->version == CGROUP_V2 && hand_on)
		enable_children(dir);
	else if (strcmp(controller, "cpuset") == 0)
		cpuset_inherit(parent, dir);
	return fd_take(&dir);
}

/* The directories of @path in one hierarchy, made where they are missing. */
static int make_path(const struct cgroups *c, const char *controller,
		     const char *path, bool parent, struct err *e)
{
	char full[2 * CGROUP_PATH_MAX];
	cleanup_fd at = -1;

	(void)snprintf(full, sizeof(full), "%s/%s", c->root, controller);
	at = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_sys(e, "cgroups of %s", full);
	for (const char *p = path; *p == '/';) {
		const size_t len = strcspn(p + 1, "/");
		char name[CGROUP_PATH_MAX];
		int next;

		(void)snprintf(name, sizeof(name), "%.*s", (int)len, p + 1);
		next = make_one(c, controller, at, name,
				parent || p[1 + len] == '/', e);
		if (next < 0)
			return next;
		fd_close(&at);
		at = next;
		p += 1 + len;
	}
	return 0;
}

int cgroup_make(const struct cgroups *c, const char *path, bool parent,
		struct err *e)
{
	const char *name;
	unsigned int made = 0;

	if (cgroup_path_check(path, e) < 0)
		return err_code(e);
	for (unsigned int i = 0; (name = cgroup_controller(c, i)); i++) {
		char mounted[2 * CGROUP_PATH_MAX];

		(void)snprintf(mounted, sizeof(mounted), "%s/%s", c->root,
			       name);
		if (access(mounted, F_OK) < 0)
			continue;
		if (make_path(c, name, path, parent, e) < 0)
			return err_code(e);
		made++;
	}
	return made > 0 ? 0 : err_set(e, ENOENT, "there are no cgroups");
}

/* --- removing -------------------------------------------------------------- */

/* Removes what is below @dir, then @name in @parent, which is open as @dir. */
static int remove_tree(int parent, const char *name, unsigned int depth,
		       unsigned int *left)
{
	const int fd = openat(parent, name,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r == -ENOENT ? 0 : r;
	}
	while (r == 0 && (entry = readdir(d))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (depth == 0 || *left == 0)
			r = -ELOOP;
		else if ((*left)--, true)
			r = remove_tree(fd, entry->d_name, depth - 1, left);
	}
	(void)closedir(d);
	if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		r = -errno;
	return r;
}

static int remove_once(const struct cgroups *c, const char *path, struct err *e)
{
	const char *controller;
	const char *name = strrchr(path, '/');
	int r = 0;

	for (unsigned int i = 0; (controller = cgroup_controller(c, i)); i++) {
		unsigned int left = CGROUP_DIRS_MAX;
		char above[2 * CGROUP_PATH_MAX];
		cleanup_fd parent = -1;
		int one;

		(void)snprintf(above, sizeof(above), "%s/%s%.*s", c->root,
			       controller, (int)(name - path), path);
		parent = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0 && errno == ENOENT)
			continue;
		one = parent < 0 ? -errno
				 : remove_tree(parent, name + 1,
					       CGROUP_DEPTH_MAX, &left);
		if (one < 0)
			r = err_set(e, -one, "remove cgroup %.128s: %s", path,
				    strerror(-one));
	}
	return r;
}

int cgroup_remove(const struct cgroups *c, const char *path, struct err *e)
{
	if (cgroup_path_check(path, e) < 0)
		return err_code(e);
	/* There may have been no memory: nobody else takes it away. */
	return remove_once(c, path, e) == 0 ? 0 : remove_once(c, path, e);
}

/* --- processes ------------------------------------------------------------- */

struct procs {
	pid_t *pid;
	size_t max;
	size_t n;
	unsigned int left; /* directories */
};

static void add_pid(struct procs *p, uint32_t pid)
{
	if (pid == 0)
		return; /* of another pid namespace */
	if (p->n < p->max)
		p->pid[p->n] = (pid_t)pid;
	p->n++;
}

/* One number a line; the file may be longer than any buffer of ours. */
static void read_procs(int dir, struct procs *p)
{
	cleanup_fd fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096];
	uint32_t pid = 0;
	ssize_t n;

	/* Failure: it is gone, or threaded. */
	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				pid = pid * 10 + (uint32_t)(text[i] - '0');
			} else {
				add_pid(p, pid);
				pid = 0;
			}
		}
	}
}

static void walk_procs(int fd, unsigned int depth, struct procs *p)
{
	DIR *d = fdopendir(fd);
	const struct dirent *entry;

	if (!d) {
		(void)close(fd);
		return;
	}
	read_procs(fd, p);
	while (depth > 0 && (entry = readdir(d))) {
		int next;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    p->left == 0)
			continue;
		p->left--;
		next = openat(fd, entry->d_name,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next >= 0)
			walk_procs(next, depth - 1, p);
	}
	(void)closedir(d);
}

ssize_t cgroup_procs(const struct cgroups *c, const char *path, pid_t *pid,
		     size_t max, struct err *e)
{
	struct procs p = { .pid = pid, .max = max, .left = CGROUP_DIRS_MAX };
	const char *name;

	for (unsigned int i = 0; (name = cgroup_controller(c, i)); i++) {
		const int dir = cgroup_dir(c, name, path, e);

		if (dir < 0)
			continue;
		walk_procs(dir, CGROUP_DEPTH_MAX, &p);
		return (ssize_t)p.n;
	}
	return c->version == CGROUP_NONE
		       ? err_set(e, ENOENT, "there are no cgroups")
		       : err_code(e);
}

/* --- the agent and the pods ------------------------------------------------ */

static uint64_t total_memory(const struct cgroups *c)
{
	struct sysinfo info;

	if (c->total != 0)
		return c->total;
	return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

int cgroup_pods_limit(struct cgroups *c, struct err *e)
{
	const uint64_t total = total_memory(c);
	cleanup_fd dir = -1;
	char text[32];

	if (total <= c->reserve)
		return err_set(e, ERANGE,
			       "%" PRIu64 " bytes of memory, and %" PRIu64
			       " of them reserved",
			       total, c->reserve);
	if (total - c->reserve == c->pods_limit)
		return 0;
	dir = cgroup_dir(c, "memory", CGROUP_PODS, e);
	if (dir < 0)
		return dir;
	(void)snprintf(text, sizeof(text), "%" PRIu64, total - c->reserve);
	if (cgroup_write(dir,
			 c->version == CGROUP_V2 ? "memory.max"
						 : "memory.limit_in_bytes",
			 text, e) < 0)
		return err_wrap(e, "limit of the pods");
	c->pods_limit = total - c->reserve;
	return 0;
}

static void look_at_gcs(struct cgroups *c)
{
	cleanup_fd dir = cgroup_dir(c, "memory", CGROUP_GCS, NULL);
	uint64_t usage;

	if (dir < 0 || c->gcs_threshold == 0)
		return;
	usage = cgroup_number(dir, c->version == CGROUP_V2
					   ? "memory.current"
					   : "memory.usage_in_bytes");
	if (usage > c->gcs_threshold && !c->gcs_above)
		log_warn(
			"memory of the agent is above its threshold usage=%" PRIu64
			" threshold=%" PRIu64,
			usage, c->gcs_threshold);
	c->gcs_above = usage > c->gcs_threshold;
}

static void on_refresh(void *ctx)
{
	struct cgroups *c = ctx;
	struct err e = { 0 };

	if (cgroup_pods_limit(c, &e) < 0)
		log_warn("%s", e.text);
	look_at_gcs(c);
	if (loop_at(c->loop, loop_now_ms(c->loop) + CGROUP_REFRESH_MS,
		    on_refresh, c, &c->refresh, &e) < 0)
		log_warn("the limit of the pods is not looked after: %s",
			 e.text);
}

static int enter_gcs(const struct cgroups *c, struct err *e)
{
	const char *name;

	if (cgroup_make(c, CGROUP_GCS, false, e) < 0)
		return err_code(e);
	for (unsigned int i = 0; (name = cgroup_controller(c, i)); i++) {
		cleanup_fd dir = cgroup_dir(c, name, CGROUP_GCS, e);

		/* 0: whoever writes */
		if (dir >= 0 && cgroup_write(dir, "cgroup.procs", "0", e) < 0)
			return err_wrap(e, "enter %s", CGROUP_GCS);
	}
	return 0;
}

int cgroups_start(struct cgroups *c, uint64_t reserve, uint64_t gcs_threshold,
		  struct err *e)
{
	c->reserve = reserve;
	c->gcs_threshold = gcs_threshold;
	if (c->version == CGROUP_NONE)
		return err_set(e, ENOENT, "there are no cgroups");
	if (cgroup_make(c, CGROUP_PODS, true, e) < 0)
		return err_code(e);
	on_refresh(c);
	return enter_gcs(c, e);
}
