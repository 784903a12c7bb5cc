/*
 * cmdline/agentflags.h - the agent's flags, and which of them an annotation
 * may bring
 *
 * The table is an allow list: a flag that decides who the agent speaks with,
 * or where its log goes, is the builder's; of the others the values must be of
 * the flag's grammar, so that the agent never stops over them and no crash
 * runs a program. Read as the reference's flag parser does: one dash or two, a
 * value behind '=' or as the next word, a boolean's only behind '='; the first
 * other word ends the flags.
 * Source: shared specification cmdline.md 10, 12.1 rule 5.
 */
#ifndef FERRY_CMDLINE_AGENTFLAGS_H
#define FERRY_CMDLINE_AGENTFLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"

enum agentflag_kind {
	AGENTFLAG_BOOL,	  /* the forms of strconv.ParseBool; takes no word */
	AGENTFLAG_TEXT,	  /* anything */
	AGENTFLAG_NUMBER, /* decimal, 64 bits */
	AGENTFLAG_LEVEL,  /* rawtext_log_level() */
	AGENTFLAG_FORMAT, /* json, text */
	AGENTFLAG_STANCE, /* allow, deny */
	AGENTFLAG_CORE,	  /* rawtext_dump_location() */
	AGENTFLAG_PEER,	  /* where the host's ports are; ferry's own */
};

/**
 * struct agentflag - one flag
 * @name:	without dashes
 * @kind:	grammar of its value
 * @reserved:	an annotation may not bring it
 */
struct agentflag {
	const char *name;
	enum agentflag_kind kind;
	bool reserved;
};

extern const struct agentflag agentflags[];
extern const size_t agentflags_n;

/**
 * struct agentflags_scan - between two words; zero at the start
 * @open:	the flag whose value the next word is, NULL: none
 */
struct agentflags_scan {
	const struct agentflag *open;
};

/**
 * agentflags_word() - may an annotation bring this word next?
 * @s:		where the reading is
 * @word:	as the agent receives it
 * @e:		text-reserved (no such flag, or the builder's own),
 *		text-stray-word (no flag: the agent would stop reading),
 *		text-invalid (the value is not of the flag's grammar)
 *
 * Return: 0 or -EINVAL
 */
int agentflags_word(struct agentflags_scan *s, const char *word, struct err *e);

/**
 * agentflags_end() - is nothing missing behind the last word?
 * @e:		text-invalid (the last flag needs a value)
 *
 * Return: 0 or -EINVAL
 */
int agentflags_end(const struct agentflags_scan *s, struct err *e);

#endif
