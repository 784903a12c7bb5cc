#include "init/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/bpf.h>

#include "bridge/io/fd.h"
#include "cmdline/tokenize.h"
#include "init/file.h"

#define NDSE (MS_NODEV | MS_NOSUID | MS_NOEXEC)

/* A line of the kernel and its NUL fit twice, /proc adds one newline. */
#define LINE_MAX_BYTES 4096u

bool cgroup_v1_asked(char *line)
{
	struct token t;

	while (token_next(&line, &t)) {
		if (!t.value && strcmp(t.name, "--") == 0)
			return false;
		if (t.value && strcmp(t.name, "hcsshim.cgroup") == 0 &&
		    strcmp(t.value, "v1") == 0)
			return true;
	}
	return false;
}

static bool v1_asked_here(void (*warn)(const struct err *e))
{
	static char line[LINE_MAX_BYTES];
	struct err e = { 0 };

	if (file_read("/proc/cmdline", line, sizeof(line), &e) < 0)
		warn(&e);
	return cgroup_v1_asked(line);
}

/* Writes "+name" for each name in turn; the text is cut up at the blanks. */
static void enable_each(char *names,
			int (*write)(const char *text, struct err *e),
			void (*warn)(const struct err *e))
{
	char one[CGROUP_NAME_MAX + 1];
	struct err e = { 0 };
	char *name;

	while ((name = file_word(&names, " \n"))) {
		if (strlen(name) >= CGROUP_NAME_MAX)
			continue; /* no kernel has such a name */
		(void)snprintf(one, sizeof(one), "+%s", name);
		if (write(one, &e) < 0)
			warn(&e);
	}
}

void cgroup_enable(char *controllers,
		   int (*write)(const char *text, struct err *e),
		   void (*warn)(const struct err *e))
{
	/* A blank becomes at most " +". */
	static char names[CGROUP_TEXT_MAX], all[2 * CGROUP_TEXT_MAX];
	char *at = names, *name, *end = all;

	(void)snprintf(names, sizeof(names), "%s", controllers);
	while ((name = file_word(&at, " \n")))
		end += sprintf(end, end == all ? "+%s" : " +%s", name);
	if (end > all && write(all, NULL) < 0)
		enable_each(controllers, write, warn);
}

/* Can device rules be attached? Only these two answers mean that they cannot
 * (specification cmdline.md 8.2 step 6). */
static int check_bpf(struct err *e)
{
	cleanup_fd root = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	union bpf_attr attr;

	if (root < 0)
		return err_sys(e, "open " CGROUP_ROOT);
	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (__u32)root;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0 &&
	    (errno == ENOSYS || errno == EINVAL))
		return err_sys(e, "cgroup 2: device rules");
	return 0;
}

static int write_subtree(const char *text, struct err *e)
{
	return file_write(CGROUP_ROOT "/cgroup.subtree_control", text, e);
}

static int setup_v2(void (*warn)(const struct err *e), struct err *e)
{
	static char names[CGROUP_TEXT_MAX];
	int r;

	if (mount("cgroup2", CGROUP_ROOT, "cgroup2", NDSE, NULL) < 0)
		return err_sys(e, "mount cgroup2");
	r = file_read(CGROUP_ROOT "/cgroup.controllers", names, sizeof(names),
		      e);
	if (r >= 0)
		r = check_bpf(e);
	if (r < 0) {
		(void)umount(CGROUP_ROOT); /* version 1 goes over it if not */
		return r;
	}
	cgroup_enable(names, write_subtree, warn);
	return 2;
}

const char *cgroup_v1_next(char **at)
{
	char *line, *name, *word;

	while ((line = file_word(at, "\n"))) {
		name = file_word(&line, "\t ");
		if (!name || name[0] == '#' || strlen(name) >= CGROUP_NAME_MAX)
			continue;
		(void)file_word(&line, "\t "); /* hierarchy */
		(void)file_word(&line, "\t "); /* number of cgroups */
		word = file_word(&line, "\t ");
		if (word && strcmp(word, "1") == 0)
			return name;
	}
	return NULL;
}

static int mount_v1(const char *name, struct err *e)
{
	char path[sizeof(CGROUP_ROOT) + 1 + CGROUP_NAME_MAX];

	(void)snprintf(path, sizeof(path), CGROUP_ROOT "/%s", name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "mkdir %s", path);
	if (mount("cgroup", path, "cgroup", NDSE, name) < 0)
		return err_sys(e, "mount cgroup %s", name);
	return 0;
}

static int setup_v1(void (*warn)(const struct err *e), struct err *e)
{
	static char text[CGROUP_TEXT_MAX];
	char *at = text;
	struct err one = { 0 };
	const char *name;
	int mounted = 0, r;

	r = file_read("/proc/cgroups", text, sizeof(text), e);
	if (r < 0)
		return r;
	if (mount("tmpfs", CGROUP_ROOT, "tmpfs", NDSE, "mode=0755") < 0)
		return err_sys(e, "mount tmpfs on " CGROUP_ROOT);
	while ((name = cgroup_v1_next(&at))) {
		if (mount_v1(name, &one) < 0)
			warn(&one);
		else
			mounted++;
	}
	if (mounted == 0)
		return err_set(e, ENODEV, "no cgroup 1 controller");
	return 1;
}

int cgroup_setup(void (*warn)(const struct err *e), struct err *e)
{
	struct err first = { 0 };
	int r;

	if (!v1_asked_here(warn)) {
		r = setup_v2(warn, &first);
		if (r > 0)
			return r;
		warn(&first);
	}
	return setup_v1(warn, e);
}
