/*
 * tools/conf_load.h - which configuration files there are, and their reading
 *
 * Without --config: /etc/ferry/ferry.conf, then /etc/ferry/ferry.conf.d/<any>.conf in
 * byte order; none of them has to exist. With --config FILE: that file alone,
 * and it has to. What a file says is weaker than an annotation of the sandbox
 * and than an option of the command line, and stronger than the defaults.
 */
#ifndef FERRY_TOOLS_CONF_LOAD_H
#define FERRY_TOOLS_CONF_LOAD_H

#include "config/conf.h"
#include "config/err.h"
#include "config/options.h"

#define CONF_SYSTEM_FILE "/etc/ferry/ferry.conf"
/* Files of a conf.d folder that are read; more is an error. */
#define CONF_FILES_MAX 256

/**
 * conf_load() - read the files
 * @c:		initialised; after an error only conf_done() is of use
 * @file:	--config, or NULL
 * @e:		file, line and reason
 *
 * Return: 0, -EINVAL (content), or -errno of a file that cannot be read
 */
int conf_load(struct conf *c, const char *file, struct err *e);

/**
 * conf_load_under() - as conf_load() with NULL, for tests
 * @system_file: in place of CONF_SYSTEM_FILE; its folder is "<@system_file>.d"
 */
int conf_load_under(struct conf *c, const char *system_file, struct err *e);

/**
 * conf_runtime() - what the files say, before any other option is looked at
 * @c:		settings
 * @r:		members that the files can say are written; strings and
 *		@r->defaults stay those of @c
 */
void conf_runtime(const struct conf *c, struct runtime_options *r);

/**
 * conf_migration() - [migration] enabled becomes an annotation of @c, unless
 * either name of the migration annotation is there already
 * @own:	annotations of the sandbox, complete
 *
 * Return: 0, -E2BIG, -ENOMEM
 */
int conf_migration(struct conf *c, const struct annotation_map *own,
		   struct err *e);

#endif
