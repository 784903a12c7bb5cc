#include "bridge/guest/flags.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config/num.h"
#include "config/util.h"

struct row {
	const char *name;
	enum flag_kind kind;
	size_t offset;
};

/* clang-format off */
static const struct row rows[] = {
	{ "v4",			    FLAG_BOOL,   offsetof(struct flags, v4) },
	{ "loglevel",		    FLAG_LEVEL,  offsetof(struct flags, log_level) },
	{ "log-format",		    FLAG_FORMAT, offsetof(struct flags, log_json) },
	{ "logfile",		    FLAG_TEXT,   offsetof(struct flags, log_file) },
	{ "core-dump-location",	    FLAG_CORE,   offsetof(struct flags, core_pattern) },
	{ "kmsgLogLevel",	    FLAG_NUMBER, offsetof(struct flags, kmsg_level) },
	{ "root-mem-reserve-bytes", FLAG_NUMBER, offsetof(struct flags, root_mem_reserve_bytes) },
	{ "gcs-mem-limit-bytes",    FLAG_NUMBER, offsetof(struct flags, gcs_mem_limit_bytes) },
	{ "disable-time-sync",	    FLAG_BOOL,   offsetof(struct flags, disable_time_sync) },
	{ "scrub-logs",		    FLAG_BOOL,   offsetof(struct flags, scrub_logs) },
	{ "initial-policy-stance",  FLAG_STANCE, offsetof(struct flags, policy_deny) },
	{ "use-inouterr",	    FLAG_BOOL,   offsetof(struct flags, use_inouterr) },
	{ "transport",		    FLAG_PEER,   offsetof(struct flags, transport) },
};

static const struct { const char *name; enum log_level level; } levels[] = {
	{ "trace", LOG_LEVEL_DEBUG }, { "debug", LOG_LEVEL_DEBUG },
	{ "info", LOG_LEVEL_INFO },
	{ "warn", LOG_LEVEL_WARN }, { "warning", LOG_LEVEL_WARN },
	{ "error", LOG_LEVEL_ERR }, { "fatal", LOG_LEVEL_ERR },
	{ "panic", LOG_LEVEL_ERR },
};

/* The forms that the reference's flag parser takes. */
static const struct { const char *text; bool value; } bools[] = {
	{ "1", true }, { "t", true }, { "T", true }, { "true", true },
	{ "TRUE", true }, { "True", true },
	{ "0", false }, { "f", false }, { "F", false }, { "false", false },
	{ "FALSE", false }, { "False", false },
};
/* clang-format on */

static int bool_set(const char *text, bool *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(bools); i++) {
		if (strcmp(text, bools[i].text) == 0) {
			*ret = bools[i].value;
			return 0;
		}
	}
	return err_set(e, EINVAL, "'%.32s' is not true or false", text);
}

static int level_set(const char *text, enum log_level *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (strcasecmp(text, levels[i].name) == 0) {
			*ret = levels[i].level;
			return 0;
		}
	}
	return err_set(e, EINVAL, "'%.32s' is not a log level", text);
}

/* One of two words; true for @yes. */
static int choice_set(const char *text, const char *no, const char *yes,
		      bool *ret, struct err *e)
{
	if (strcmp(text, yes) != 0 && strcmp(text, no) != 0)
		return err_set(e, EINVAL, "'%.32s' is not %s or %s", text, no,
			       yes);
	*ret = strcmp(text, yes) == 0;
	return 0;
}

/* A pipe would run a program, as root, at every crash of anything. */
static int core_set(const char *text, const char **ret, struct err *e)
{
	if (text[strspn(text, " \t")] == '|')
		return err_set(e, EINVAL,
			       "a program for core dumps is refused");
	*ret = text;
	return 0;
}

static int value_set(const struct row *row, const char *value, struct flags *f,
		     struct err *e)
{
	void *at = (char *)f + row->offset;

	switch (row->kind) {
	case FLAG_BOOL:
		return bool_set(value, at, e);
	case FLAG_TEXT:
		*(const char **)at = value;
		return 0;
	case FLAG_NUMBER:
		return num_u64(value, 0, UINT64_MAX, at, e);
	case FLAG_LEVEL:
		return level_set(value, at, e);
	case FLAG_FORMAT:
		return choice_set(value, "text", "json", at, e);
	case FLAG_STANCE:
		return choice_set(value, "allow", "deny", at, e);
	case FLAG_CORE:
		return core_set(value, at, e);
	case FLAG_PEER:
		return transport_parse(value, at, e);
	}
	return err_set(e, EINVAL, "a flag of no kind");
}

static const struct row *row_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strlen(rows[i].name) == len &&
		    memcmp(rows[i].name, name, len) == 0)
			return &rows[i];
	}
	return NULL;
}

/* Return: words taken, 1 or 2, or -errno */
static int flag_read(char *const *argv, struct flags *f, struct err *e)
{
	const char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
	const char *value = strchr(name, '=');
	const size_t len = value ? (size_t)(value - name) : strlen(name);
	const struct row *row = row_find(name, len);
	int used = 1;

	if (!row)
		return err_set(e, EINVAL, "-%.*s: no such flag",
			       len < 64 ? (int)len : 64, name);
	if (value)
		value++;
	else if (row->kind == FLAG_BOOL)
		value = "true";
	else if (argv[1])
		value = argv[used++];
	else
		return err_set(e, EINVAL, "-%s: needs a value", row->name);
	if (value_set(row, value, f, e) < 0)
		return err_wrap(e, "-%s", row->name);
	return used;
}

int flags_parse(char *const *argv, struct flags *ret, struct err *e)
{
	struct flags f = {
		.log_level = LOG_LEVEL_DEBUG,
		.log_file = "",
		.core_pattern = "",
		.kmsg_level = 4,
		.root_mem_reserve_bytes = UINT64_C(75) << 20,
		.gcs_mem_limit_bytes = UINT64_C(50) << 20,
		.scrub_logs = true,
		.transport = { .kind = TRANSPORT_VSOCK,
			       .cid = TRANSPORT_CID_HOST },
	};

	while (*argv && (*argv)[0] == '-' && (*argv)[1] != '\0' &&
	       strcmp(*argv, "--") != 0) {
		const int used = flag_read(argv, &f, e);

		if (used < 0)
			return used;
		argv += used;
	}
	*ret = f;
	return 0;
}

const char *flags_at(size_t i, enum flag_kind *ret_kind)
{
	if (i >= ARRAY_LEN(rows))
		return NULL;
	*ret_kind = rows[i].kind;
	return rows[i].name;
}
