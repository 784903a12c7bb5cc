/*
 * bridge/guest/flags.h - the agent's command line; pure.
 *
 * The reference's flags, with one dash: -flag value or -flag=value; a boolean
 * stands alone or has =true or =false. Reading stops at the first word that is
 * no flag, or behind "--". Source: shared specification cmdline.md 10.
 */
#ifndef FERRY_BRIDGE_GUEST_FLAGS_H
#define FERRY_BRIDGE_GUEST_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/io/log.h"
#include "bridge/io/transport.h"
#include "config/err.h"

/* What a flag takes. */
enum flag_kind {
	FLAG_BOOL,   /* true or false, only behind '='; alone: true */
	FLAG_TEXT,   /* anything */
	FLAG_NUMBER, /* decimal, 64 bits */
	FLAG_LEVEL,  /* a log level, in any case */
	FLAG_FORMAT, /* text, json */
	FLAG_STANCE, /* allow, deny */
	FLAG_CORE,   /* anything but a program */
	FLAG_PEER,   /* transport_parse() */
};

/**
 * struct flags - what the command line said, defaults filled in
 * @v4:		answer requests at all; without it each one is refused
 * @log_level:	lines above it are left out
 * @log_json:	shape of a log line
 * @log_file:	path, truncated at start; "": standard error
 * @core_pattern: goes to /proc/sys/kernel/core_pattern; "": left alone
 * @kmsg_level:	accepted; PID 1's log ring has the kernel's messages
 * @root_mem_reserve_bytes: memory that pods may not use
 * @gcs_mem_limit_bytes: a warning is logged when the agent's cgroup is above
 * @disable_time_sync: leave the clock alone
 * @scrub_logs:	accepted; secrets are never logged
 * @policy_deny: the initial policy refuses to run anything
 * @use_inouterr: the bridge is standard input and output
 * @transport:	ferry's own: where the host's ports are
 *
 * Strings are borrowed from the arguments.
 */
struct flags {
	bool v4;
	enum log_level log_level;
	bool log_json;
	const char *log_file;
	const char *core_pattern;
	uint64_t kmsg_level;
	uint64_t root_mem_reserve_bytes;
	uint64_t gcs_mem_limit_bytes;
	bool disable_time_sync;
	bool scrub_logs;
	bool policy_deny;
	bool use_inouterr;
	struct transport transport;
};

/**
 * flags_parse() - read the arguments behind the program's name
 * @argv:	NULL-terminated, without the program's name
 * @ret:	filled on success
 * @e:		names the flag and what is wrong with it
 *
 * Return: 0, -EINVAL, -ERANGE, -ENAMETOOLONG
 */
int flags_parse(char *const *argv, struct flags *ret, struct err *e);

/**
 * flags_at() - the flags there are
 * @i:		from 0
 * @ret_kind:	what it takes
 *
 * Return: name without a dash, NULL: there are no more
 */
const char *flags_at(size_t i, enum flag_kind *ret_kind);

#endif
