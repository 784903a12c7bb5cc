#include "tools/conf_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bridge/io/fd.h"
#include "config/util.h"

#define SUFFIX ".conf"
#define MIGRATION_KEY "io.microsoft.migration.support-enabled"
#define OLD_MIGRATION_KEY "io.microsoft.migration.allowed"

static int load_one(struct conf *c, const char *path, struct err *e)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup_free char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: not a regular file", path);
	text = malloc(CONF_FILE_MAX + 1);
	if (!text)
		return err_set(e, ENOMEM, "%s: no memory", path);
	/* One byte more than allowed tells a file that is too large. */
	n = fd_read_full(fd, text, CONF_FILE_MAX + 1);
	if (n < 0)
		return err_set(e, (int)-n, "%s: %s", path, strerror((int)-n));
	return conf_read(c, path, text, (size_t)n, e);
}

static int is_conf(const struct dirent *d)
{
	const size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > strlen(SUFFIX) &&
	       strcmp(d->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_entries(struct conf *c, const char *dir,
			struct dirent *const *entry, int n, struct err *e)
{
	char path[PATH_MAX];
	int r = 0;

	if (n > CONF_FILES_MAX)
		return err_set(e, E2BIG, "%s: over %d files", dir,
			       CONF_FILES_MAX);
	for (int i = 0; i < n && r == 0; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", dir,
			     entry[i]->d_name) >= (int)sizeof(path))
			return err_set(e, ENAMETOOLONG, "%s: path too long",
				       dir);
		r = load_one(c, path, e);
	}
	return r;
}

static int load_dir(struct conf *c, const char *dir, struct err *e)
{
	struct dirent **entry;
	const int n = scandir(dir, &entry, is_conf, by_bytes);
	int r;

	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", dir);
	r = load_entries(c, dir, entry, n, e);
	for (int i = 0; i < n; i++)
		free(entry[i]);
	free(entry);
	return r;
}

int conf_load_under(struct conf *c, const char *system_file, struct err *e)
{
	char dir[PATH_MAX];
	int r = load_one(c, system_file, e);

	if (r < 0 && r != -ENOENT)
		return r;
	if (snprintf(dir, sizeof(dir), "%s.d", system_file) >= (int)sizeof(dir))
		return err_set(e, ENAMETOOLONG, "%s: path too long",
			       system_file);
	return load_dir(c, dir, e);
}

int conf_load(struct conf *c, const char *file, struct err *e)
{
	return file ? load_one(c, file, e)
		    : conf_load_under(c, CONF_SYSTEM_FILE, e);
}

void conf_runtime(const struct conf *c, struct runtime_options *r)
{
	r->platform = conf_text(c, CONF_SANDBOX_PLATFORM);
	r->processor_count = (int32_t)conf_u32(c, CONF_SANDBOX_PROCESSORS);
	r->memory_mib = (int32_t)conf_u32(c, CONF_SANDBOX_MEMORY_MIB);
	r->log_level = conf_text(c, CONF_LOG_LEVEL);
	r->scrub_logs = conf_bool(c, CONF_LOG_SCRUB);
	r->forwarder = log_forwarder_find(conf_text(c, CONF_LOG_FORWARDER));
	r->console = conf_bool(c, CONF_BOOT_CONSOLE) == TRI_TRUE;
	r->console_may_stay = conf_bool(c, CONF_MIGRATION_CONSOLE) == TRI_TRUE;
	r->defaults = &c->annotations;
	if (strcmp(conf_text(c, CONF_BOOT_PROFILE), "hyperv") == 0)
		r->profile = PROFILE_HYPERV;
	if (conf_bool(c, CONF_BOOT_STRICT) == TRI_FALSE)
		r->strictness = COMPAT;
}

int conf_migration(struct conf *c, const struct annotation_map *own,
		   struct err *e)
{
	static const char *const keys[] = { MIGRATION_KEY, OLD_MIGRATION_KEY };
	const struct conf_value *enabled = &c->value[CONF_MIGRATION_ENABLED];
	int r;

	if (*enabled->text == '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (annotation_map_get(&c->annotations, keys[i]) ||
		    annotation_map_get(own, keys[i]))
			return 0;
	r = annotation_map_set(&c->annotations, MIGRATION_KEY, enabled->text,
			       e);
	if (r < 0)
		return r;
	return annotation_map_set(&c->origins, MIGRATION_KEY, enabled->origin,
				  e);
}
