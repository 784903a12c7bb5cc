/* The command line of tools/migrate.h: words for what migration.md 9.3 can set */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "config/num.h"
#include "config/util.h"
#include "tools/migrate.h"
#include "tools/tool.h"

#define BLACKOUT_MAX_MS 2000000u
#define TIMEOUT_MAX_S (7u * 24 * 3600)
#define PASSES_MAX 1000000u

static const char help[] =
	"usage: ferry migrate SANDBOX --to ENDPOINT [OPTION...]\n"
	"       ferry migrate SANDBOX --cancel\n"
	"       ferry migrate receive --listen ENDPOINT [--once]\n"
	"\n"
	"Moves a running sandbox to the host where 'ferry migrate receive' "
	"listens.\n"
	"\n"
	"  --to ENDPOINT       a path with '/', for a unix socket, or "
	"HOST:PORT\n"
	"  --lease FILE|none   who may run it is told by FILE, on storage that "
	"both\n"
	"                      hosts share; by default it works on one machine "
	"only\n"
	"  --timeout SECONDS   for the transfer, by default none\n"
	"  --on-timeout cancel|force\n"
	"                      call it off then, or let the guest stand still\n"
	"  --cancel            call off the move that is under way\n"
	"  --json              one JSON object a line\n"
	"\n"
	"How the memory goes:\n"
	"  --max-downtime MS   how long the guest may stand still, about\n"
	"  --cancel-downtime MS\n"
	"                      call it off when it stands still for longer\n"
	"  --max-passes N      over memory; then it may stand still for long\n"
	"  --target-passes N   then for as long as --cancel-downtime\n"
	"  --no-throttle       do not slow a guest that writes too fast\n"
	"  --throttle-start PERCENT, --throttle-step PERCENT\n"
	"                      slow it by so much at first, and each time more\n"
	"  --compress THREADS  compress it\n";

enum {
	OPT_TO = 256,
	OPT_LEASE,
	OPT_ON_TIMEOUT,
	OPT_CANCEL,
	OPT_JSON,
	OPT_NO_THROTTLE,
	OPT_NUMBERS, /* and on, as in the table */
};

static const struct {
	const char *name;
	size_t at;
	uint32_t max;
} numbers[] = {
#define N(name, member, max)                                                   \
	{                                                                      \
		name, offsetof(struct migrate_args, member), max               \
	}
	N("max-downtime", downtime_ms, BLACKOUT_MAX_MS),
	N("cancel-downtime", cancel_downtime_ms, BLACKOUT_MAX_MS),
	N("max-passes", max_passes, PASSES_MAX),
	N("target-passes", target_passes, PASSES_MAX),
	N("throttle-start", throttle_start, 99),
	N("throttle-step", throttle_step, 99),
	N("compress", compress, 255),
	N("timeout", timeout_s, TIMEOUT_MAX_S),
#undef N
};

#define FLAGS 7u

static int take_number(size_t i, struct migrate_args *a)
{
	uint32_t *to = (uint32_t *)(void *)((char *)a + numbers[i].at);
	struct err e;

	return num_u32(optarg, 1, numbers[i].max, to, &e) < 0
		       ? tool_usage("migrate", "--%s: %s", numbers[i].name,
				    e.text)
		       : TOOL_OK;
}

static int take(int id, struct migrate_args *a)
{
	if (id >= OPT_NUMBERS)
		return take_number((size_t)(id - OPT_NUMBERS), a);
	switch (id) {
	case OPT_TO:
		a->to = optarg;
		return TOOL_OK;
	case OPT_LEASE:
		a->lease = optarg;
		return *optarg == '/' || strcmp(optarg, LEASE_NONE) == 0
			       ? TOOL_OK
			       : tool_usage("migrate",
					    "--lease: want an absolute path or "
					    "none");
	case OPT_ON_TIMEOUT:
		a->force = strcmp(optarg, "force") == 0;
		return a->force || strcmp(optarg, "cancel") == 0
			       ? TOOL_OK
			       : tool_usage("migrate",
					    "--on-timeout: cancel or force");
	case OPT_CANCEL:
		a->cancel = true;
		return TOOL_OK;
	case OPT_JSON:
		a->json = true;
		return TOOL_OK;
	case OPT_NO_THROTTLE:
		a->no_throttle = true;
		return TOOL_OK;
	default:
		return tool_try("migrate"); /* getopt has named it */
	}
}

/* What cannot be meant together. */
static int agree(const struct migrate_args *a)
{
	if (!a->to == !a->cancel)
		return tool_usage("migrate", "want --to or --cancel");
	if (a->no_throttle && (a->throttle_start || a->throttle_step))
		return tool_usage("migrate", "--no-throttle: and how much?");
	if (a->target_passes && a->max_passes &&
	    a->max_passes < a->target_passes)
		return tool_usage("migrate",
				  "--max-passes: fewer than the target");
	if (a->target_passes && !a->cancel_downtime_ms)
		return tool_usage("migrate",
				  "--target-passes: want --cancel-downtime");
	return TOOL_OK;
}

int migrate_args(int argc, char **argv, struct migrate_args *a)
{
	struct option options[FLAGS + ARRAY_LEN(numbers) + 1] = {
		{ "to", required_argument, NULL, OPT_TO },
		{ "lease", required_argument, NULL, OPT_LEASE },
		{ "on-timeout", required_argument, NULL, OPT_ON_TIMEOUT },
		{ "cancel", no_argument, NULL, OPT_CANCEL },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "no-throttle", no_argument, NULL, OPT_NO_THROTTLE },
		{ "help", no_argument, NULL, 'h' },
	};
	int id, code;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		options[FLAGS + i] =
			(struct option){ numbers[i].name, required_argument,
					 NULL, OPT_NUMBERS + (int)i };
	while ((id = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (id == 'h') {
			(void)fputs(help, stdout);
			return TOOL_OK;
		}
		code = take(id, a);
		if (code != TOOL_OK)
			return code;
	}
	if (optind + 1 != argc)
		return tool_usage("migrate", "want one sandbox");
	code = agree(a);
	if (code == TOOL_OK)
		a->sandbox = argv[optind];
	return code;
}
