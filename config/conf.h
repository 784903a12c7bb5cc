/*
 * config/conf.h - the host's configuration file: typed settings with origin
 *
 * Text in, struct conf out; the caller reads the files. Sections [sandbox],
 * [boot], [log] and [migration] have the keys of one table (conf_row());
 * [annotations] takes any annotation as a default for sandboxes that do not
 * have it. An unknown section or key, a bad value and a key given twice in one
 * file are errors with file and line. A later file overrides an earlier one
 * key by key.
 *
 * The grammar is that of inih (INI files, ';' and '#' comments), less what
 * inih would silently make something else of: lines that are longer than its
 * buffer, indented lines, and keys before the first section are refused.
 */
#ifndef FERRY_CONFIG_CONF_H
#define FERRY_CONFIG_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/annotation_map.h"
#include "config/arena.h"
#include "config/err.h"
#include "config/text.h"
#include "config/value.h"

/* Bounds of one file; a line is what inih takes in one piece. */
#define CONF_FILE_MAX (256ul * 1024)
#define CONF_LINE_MAX 197u

/* Every setting of the table; the annotations are apart. */
enum conf_key {
	CONF_SANDBOX_PLATFORM,
	CONF_SANDBOX_PROCESSORS,
	CONF_SANDBOX_MEMORY_MIB,
	CONF_BOOT_PROFILE,
	CONF_BOOT_STRICT,
	CONF_BOOT_KERNEL,
	CONF_BOOT_IMAGE,
	CONF_BOOT_ACCEL,
	CONF_BOOT_CONSOLE,
	CONF_BOOT_TIMEOUT_S,
	CONF_LOG_LEVEL,
	CONF_LOG_SCRUB,
	CONF_LOG_FORWARDER,
	CONF_MIGRATION_ENABLED,
	CONF_MIGRATION_CONSOLE,
	CONF_KEYS, /* number of settings */
};

enum conf_kind { CONF_BOOL, CONF_U32, CONF_STRING, CONF_CHOICE };

/**
 * struct conf_row - what one setting is
 * @section:	without the brackets
 * @key:	as written in the file
 * @kind:	grammar of the value
 * @choices:	CONF_CHOICE: words separated by '|'
 * @min:	CONF_U32: smallest value
 * @max:	CONF_U32: largest value
 * @fallback:	value without any file, as text; "" none
 * @help:	one sentence for the manual
 */
struct conf_row {
	const char *section;
	const char *key;
	enum conf_kind kind;
	const char *choices;
	uint32_t min;
	uint32_t max;
	const char *fallback;
	const char *help;
};

/** conf_row() - the table's row of a key; any enum conf_key below CONF_KEYS */
const struct conf_row *conf_row(enum conf_key key);

/**
 * struct conf_value - one setting as it stands
 * @text:	as written, "" when there is none
 * @origin:	"FILE:LINE", or "default"
 */
struct conf_value {
	const char *text;
	const char *origin;
};

/**
 * struct conf - all settings
 * @value:	by enum conf_key; a value that is here was checked
 * @annotations: section [annotations]
 * @origins:	where each annotation came from, by the same keys
 * @arena:	owns the strings
 */
struct conf {
	struct conf_value value[CONF_KEYS];
	struct annotation_map annotations;
	struct annotation_map origins;
	struct arena arena;
};

/** conf_init() - the defaults of the table */
void conf_init(struct conf *c);

/** conf_done() - release it */
void conf_done(struct conf *c);

/**
 * conf_read() - the text of one file over what is there
 * @c:		settings; after an error only conf_done() is of use
 * @name:	the file's name, for messages and origins
 * @text:	its content; NUL bytes are refused
 * @len:	bytes of @text, at most CONF_FILE_MAX
 * @e:		"NAME:LINE: reason"
 *
 * Return: 0, -EINVAL, -E2BIG, -ENOMEM
 */
int conf_read(struct conf *c, const char *name, const char *text, size_t len,
	      struct err *e);

/** conf_text() - a setting as text, "" when it is not set */
const char *conf_text(const struct conf *c, enum conf_key key);

/** conf_u32() - a CONF_U32 setting, 0 when it is not set */
uint32_t conf_u32(const struct conf *c, enum conf_key key);

/** conf_bool() - a CONF_BOOL setting */
enum tristate conf_bool(const struct conf *c, enum conf_key key);

/** conf_dump() - every setting with its origin, in the form of a file */
void conf_dump(const struct conf *c, struct text *out);

#endif
