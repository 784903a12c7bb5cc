#include "cmdline/agentflags.h"

#include <stdint.h>
#include <string.h>

#include "config/num.h"
#include "config/util.h"
#include "cmdline/rawtext.h"

/* One row a line. */
/* clang-format off */
const struct agentflag agentflags[] = {
	/* The builder's own. */
	{ "v4", AGENTFLAG_BOOL, true },
	/* Truncates any file, and takes the log away from the host. */
	{ "logfile", AGENTFLAG_TEXT, true },
	/* Would turn the bridge away from the host. */
	{ "use-inouterr", AGENTFLAG_BOOL, true },
	{ "transport", AGENTFLAG_PEER, true },

	{ "loglevel", AGENTFLAG_LEVEL, false },
	{ "log-format", AGENTFLAG_FORMAT, false },
	{ "core-dump-location", AGENTFLAG_CORE, false },
	{ "kmsgLogLevel", AGENTFLAG_NUMBER, false },
	{ "root-mem-reserve-bytes", AGENTFLAG_NUMBER, false },
	{ "gcs-mem-limit-bytes", AGENTFLAG_NUMBER, false },
	{ "disable-time-sync", AGENTFLAG_BOOL, false },
	{ "scrub-logs", AGENTFLAG_BOOL, false },
	{ "initial-policy-stance", AGENTFLAG_STANCE, false },
};
/* clang-format on */
const size_t agentflags_n = ARRAY_LEN(agentflags);

static const struct agentflag *find(const char *name, size_t len)
{
	for (size_t i = 0; i < agentflags_n; i++)
		if (strlen(agentflags[i].name) == len &&
		    memcmp(agentflags[i].name, name, len) == 0)
			return &agentflags[i];
	return NULL;
}

static bool good_bool(const char *v)
{
	static const char *const good[] = { "1",    "t",     "T",     "true",
					    "TRUE", "True",  "0",     "f",
					    "F",    "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (strcmp(v, good[i]) == 0)
			return true;
	return false;
}

/*
 * The reference reads 010 as eight and ferry's agent as ten: a number does not
 * begin with a zero.
 */
static bool good_number(const char *v)
{
	uint64_t number;

	return (v[0] != '0' || v[1] == '\0') &&
	       num_u64(v, 0, UINT64_MAX, &number, NULL) == 0;
}

static bool good_value(const struct agentflag *f, const char *v)
{
	switch (f->kind) {
	case AGENTFLAG_BOOL:
		return good_bool(v);
	case AGENTFLAG_NUMBER:
		return good_number(v);
	case AGENTFLAG_LEVEL:
		return rawtext_log_level(v, NULL) == 0;
	case AGENTFLAG_FORMAT:
		return strcmp(v, "json") == 0 || strcmp(v, "text") == 0;
	case AGENTFLAG_STANCE:
		return strcmp(v, "allow") == 0 || strcmp(v, "deny") == 0;
	case AGENTFLAG_CORE:
		return rawtext_dump_location(v, NULL) == 0;
	case AGENTFLAG_TEXT:
	case AGENTFLAG_PEER:
		break; /* reserved */
	}
	return false;
}

static int check_value(const struct agentflag *f, const char *v, struct err *e)
{
	if (good_value(f, v))
		return 0;
	return err_class(e, ERR_TEXT_INVALID,
			 "the agent's flag -%s does not take '%.64s'", f->name,
			 v);
}

int agentflags_word(struct agentflags_scan *s, const char *word, struct err *e)
{
	const struct agentflag *f = s->open;
	const char *name, *value;
	size_t len;

	s->open = NULL;
	if (f)
		return check_value(f, word, e);
	if (word[0] != '-' || word[1] == '\0')
		return err_class(e, ERR_TEXT_STRAY_WORD,
				 "'%.64s' is no flag: the agent would read "
				 "nothing from there on",
				 word);

	name = word + (word[1] == '-' ? 2 : 1);
	value = strchr(name, '=');
	len = value ? (size_t)(value - name) : strlen(name);
	f = find(name, len);
	if (!f || f->reserved)
		return err_class(e, ERR_TEXT_RESERVED,
				 "'%.64s' is not on the list of agent flags "
				 "that an annotation may set",
				 word);
	if (value)
		return check_value(f, value + 1, e);
	if (f->kind != AGENTFLAG_BOOL)
		s->open = f;
	return 0;
}

int agentflags_end(const struct agentflags_scan *s, struct err *e)
{
	if (!s->open)
		return 0;
	return err_class(e, ERR_TEXT_INVALID,
			 "the agent's flag -%s needs a value", s->open->name);
}
