#include "tools/debug.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "build/proto/ferry.pb-c.h"
#include "config/util.h"
#include "tools/mask.h"
#include "tools/qemu/remains.h"
#include "tools/remote.h"
#include "tools/shim/debug.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"

/* A shim that is there answers when QEMU and the guest had their time. */
#define COLLECT_MS 15000

static const char usage[] =
	"usage: ferry debug collect [-o FILE] SANDBOX\n"
	"\n"
	"Writes a tar file of texts that help to find out what is wrong with a "
	"sandbox,\nor was: versions, states, the end of logs, and no secrets.\n"
	"\n"
	"  -o, --output FILE  by default ferry-SANDBOX.tar; '-' is standard "
	"output\n";

/**
 * struct collection - one in the making
 * @work:	a folder of our own
 * @folder:	the folder in it that is archived, "NAME"
 * @dir:	@folder, open
 * @left:	what was left before, "": nothing
 */
struct collection {
	struct remote remote;
	char work[64];
	char folder[RUNDIR_NAME_MAX];
	int dir;
	char left[REMAINS_PATH_MAX];
	int result;
};

/* --- files ---------------------------------------------------------------------- */

static void keep(struct collection *c, const char *name, const void *bytes,
		 size_t n)
{
	cleanup_fd fd = openat(c->dir, name,
			       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_full(fd, bytes, n) < 0)
		c->result = -EIO;
}

static void on_collected(void *ctx, const ProtobufCMessage *m)
{
	const FerryCollectResponse *a = (const void *)m;
	struct collection *c = ctx;

	for (size_t i = 0; i < a->n_files; i++)
		if (*a->files[i]->name && !strchr(a->files[i]->name, '/') &&
		    *a->files[i]->name != '.')
			keep(c, a->files[i]->name, a->files[i]->content.data,
			     a->files[i]->content.len);
}

/* The log in the folder of a shim that does not answer. */
static void keep_log(struct collection *c)
{
	char path[RUNDIR_MAX + 16];
	char *buf = malloc(REMAINS_FILE_MAX);
	cleanup_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/" SHIM_LOG, c->remote.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = buf ? remains_end_of(fd, buf) : -1;
	if (n > 0) {
		mask_text(buf, (size_t)n);
		keep(c, "log", buf, (size_t)n);
	}
	free(buf);
}

/* Return: 0, or why there is nothing at all. */
static int gather(struct collection *c, const char *name, struct err *e)
{
	FerryCollectRequest q = FERRY_COLLECT_REQUEST__INIT;
	int r = remote_open(name, &c->remote, e);

	if (r == -EINVAL)
		return r;
	if (r == 0)
		r = remote_ask(&c->remote, "Collect", &q.base,
			       &ferry_collect_response__descriptor,
			       on_collected, c, COLLECT_MS, e);
	if (remains_find(rundir_base(), c->remote.name, c->left, NULL) < 0)
		c->left[0] = '\0';
	if (r == 0)
		return 0;
	if (c->remote.dir[0]) {
		keep(c, "why", e->text, strlen(e->text));
		keep_log(c);
		return 0;
	}
	return c->left[0] ? 0 : r;
}

/* --- the archive ------------------------------------------------------------------ */

static int wait_for_tar(pid_t pid, const char *file, struct err *e)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for tar");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, EIO, "tar could not write %s", file);
	return 0;
}

static int archive(struct collection *c, const char *file, struct err *e)
{
	char *left = strrchr(c->left, '/');
	/* tar changes to the folders of -C in turn; options come first. */
	const char *argv[24] = { "tar",	      "--create",  "--format=ustar",
				 "--owner=0", "--group=0", "--force-local",
				 "--file",    file,	   "-C",
				 c->work,     c->folder };
	size_t n = 11;
	struct spawn s = {
		.envp = environ,
		.stdio = { -1, STDOUT_FILENO, STDERR_FILENO },
	};
	pid_t pid = 0;
	int r;

	if (left) {
		*left = '\0';
		argv[n++] = "-C";
		argv[n++] = c->left;
		argv[n++] = left + 1;
	}
	s.argv = (char *const *)(uintptr_t)argv;
	r = spawn_start(&s, &pid, NULL, e);
	return r < 0 ? r : wait_for_tar(pid, file, e);
}

static int begin(struct collection *c, struct err *e)
{
	char path[sizeof(c->work) + sizeof(c->folder) + 2];

	(void)snprintf(c->work, sizeof(c->work), "/tmp/ferry-debug-XXXXXX");
	if (!mkdtemp(c->work)) {
		c->work[0] = '\0';
		return err_sys(e, "a folder in /tmp");
	}
	(void)snprintf(path, sizeof(path), "%s/%s", c->work, c->folder);
	if (mkdir(path, 0700) < 0)
		return err_sys(e, "%s", path);
	c->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->dir < 0 ? err_sys(e, "%s", path) : 0;
}

static void clean(struct collection *c)
{
	char path[sizeof(c->work) + sizeof(c->folder) + 2];

	if (!c->work[0])
		return;
	for (int i = 0; c->dir >= 0 && i < DEBUG_FILES; i++)
		(void)unlinkat(c->dir, debug_file_name((enum debug_file)i), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", c->work, c->folder);
	(void)rmdir(path);
	(void)rmdir(c->work);
	fd_close(&c->dir);
}

static int collect(const char *name, const char *file)
{
	static struct collection c = { .dir = -1 };
	char own[RUNDIR_NAME_MAX + 16];
	struct err e;
	int r = rundir_name_check(name, &e);

	if (r < 0)
		return tool_fail(&e);
	(void)snprintf(c.folder, sizeof(c.folder), "%s", name);
	(void)snprintf(own, sizeof(own), "ferry-%s.tar", name);
	file = file ? file : own;
	r = begin(&c, &e);
	if (r == 0)
		r = gather(&c, name, &e);
	if (r == 0 && c.result < 0)
		r = err_set(&e, -c.result, "%s cannot be written", c.work);
	if (r == 0)
		r = archive(&c, file, &e);
	remote_close(&c.remote);
	clean(&c);
	if (r < 0)
		return tool_fail(&e);
	if (strcmp(file, "-") != 0)
		(void)printf("%s\n", file);
	return TOOL_OK;
}

int tool_debug(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *file = NULL;
	int id;

	while ((id = getopt_long(argc, argv, "o:h", options, NULL)) >= 0) {
		if (id == 'h')
			return fputs(usage, stdout) < 0 ? TOOL_FAILURE
							: TOOL_OK;
		if (id != 'o')
			return tool_try("debug");
		file = optarg;
	}
	if (optind + 2 != argc || strcmp(argv[optind], "collect") != 0)
		return tool_usage("debug", "want collect SANDBOX");
	return collect(argv[optind + 1], file);
}
