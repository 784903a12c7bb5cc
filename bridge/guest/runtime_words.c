/* What runtimes say, and what it means. */
#include <stdio.h>
#include <string.h>

#include "bridge/guest/runtime.h"
#include "bridge/hresult.h"
#include "bridge/msg.h"
#include "bridge/schema.h"
#include "config/arena.h"
#include "config/util.h"

/* Memory for one log entry. */
#define ENTRY_MAX ((size_t)4 * RUNTIME_LOG_MAX)

/**
 * struct words - a text contains @first, and behind it @second
 * @second:	"": nothing
 */
struct words {
	const char *first;
	const char *second;
	uint32_t code;
};

/*
 * The first that fits wins. Up to the empty line what runc says, in the order
 * of the reference; then crun 1.8, which names a state folder that is not
 * there, and whose fifo is gone once a container was started.
 */
static const struct words words[] = {
	{ "container", "does not exist", HR_SYSTEM_NOT_FOUND },
	{ "container with id exists", "", HR_SYSTEM_ALREADY_EXISTS },
	{ "container with given ID already exists", "",
	  HR_SYSTEM_ALREADY_EXISTS },
	{ "invalid id format", "", HR_INVALID_ARGUMENT },
	{ "invalid container ID format", "", HR_INVALID_ARGUMENT },
	{ "container", "that is not stopped", HR_INVALID_STATE },
	{ "container still running", "", HR_INVALID_STATE },
	{ "container not running", "", HR_SYSTEM_ALREADY_STOPPED },

	{ "container `", "` already exists", HR_SYSTEM_ALREADY_EXISTS },
	{ "container `", "` is not in `created` or `stopped` state",
	  HR_INVALID_STATE },
	{ "container `", "` is not running", HR_SYSTEM_ALREADY_STOPPED },
	{ "container `", "` is paused", HR_INVALID_STATE },
	{ "cannot create state directory for `", "", HR_INVALID_ARGUMENT },
	{ "/status`: No such file or directory", "", HR_SYSTEM_NOT_FOUND },
	{ "cannot open directory '", "': No such file or directory",
	  HR_SYSTEM_NOT_FOUND },
	{ "/exec.fifo`: No such file or directory", "", HR_INVALID_STATE },
	{ "setns(", "No such process", HR_SYSTEM_ALREADY_STOPPED },
	{ "kill container: No such process", "", HR_SYSTEM_ALREADY_STOPPED },
	{ "send signal to pidfd: No such process", "",
	  HR_SYSTEM_ALREADY_STOPPED },
	{ "container process not found", "", HR_SYSTEM_ALREADY_STOPPED },
};

uint32_t runtime_code(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *at = strstr(text, words[i].first);

		if (at && strstr(at + strlen(words[i].first), words[i].second))
			return words[i].code;
	}
	return HR_FAIL;
}

struct entry {
	const char *level;
	const char *msg;
};

static const struct schema_member entry_members[] = {
	SCHEMA_STRING(struct entry, level, "level", SCHEMA_OPTIONAL),
	SCHEMA_STRING(struct entry, msg, "msg", SCHEMA_OPTIONAL),
};

static const struct schema entry_schema = SCHEMA(struct entry, entry_members);

static bool is_error(const char *level)
{
	return strcmp(level, "error") == 0 || strcmp(level, "fatal") == 0 ||
	       strcmp(level, "panic") == 0;
}

bool runtime_log_last(const char *log, char *out, size_t size)
{
	struct arena arena;
	bool found = false;

	arena_init(&arena, ENTRY_MAX);
	out[0] = '\0';
	for (const char *next; *log != '\0'; log = next) {
		const char *end = strchrnul(log, '\n');
		struct entry entry;

		next = *end == '\0' ? end : end + 1;
		arena_reset(&arena);
		if (msg_decode(&entry_schema, log, (size_t)(end - log), &arena,
			       &entry, NULL) < 0 ||
		    !is_error(entry.level))
			continue;
		(void)snprintf(out, size, "%s", entry.msg); /* may be cut */
		found = true;
	}
	arena_done(&arena);
	return found;
}
