#include "cmdline/mode.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/num.h"
#include "config/util.h"
#include "cmdline/initargs.h"
#include "cmdline/optscan.h"

static const char *const names[] = {
	[GUEST_MODE_MIGRATABLE] = "migratable",
	[GUEST_MODE_CLASSIC] = "classic",
	[GUEST_MODE_RELAY] = "relay",
	[GUEST_MODE_CONSOLE] = "console",
	[GUEST_MODE_OTHER] = "other",
};
static_assert(ARRAY_LEN(names) == GUEST_MODES, "a mode has no name");

const char *mode_name(enum guest_mode mode)
{
	return (size_t)mode < ARRAY_LEN(names) ? names[mode] : "unknown";
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The wrapper's own options tell relay from classic, and the log port. */
static struct mode wrapper(char *const *command)
{
	struct mode m = { .mode = GUEST_MODE_CLASSIC,
			  .agent = -1,
			  .reason = "vsockexec connects the agent's output" };
	uint32_t out = 0, err = 0;
	struct optscan scan;
	const char *value;
	int argc = 0, letter;

	while (command[argc])
		argc++;
	optscan_init(&scan, argc, command);
	while ((letter = optscan_next(&scan, "ioe", &value)) != 0) {
		if (letter == 'r') {
			m.mode = GUEST_MODE_RELAY;
			m.reason = "vsockexec -r relays the agent's output";
		} else if (letter == 'o' && value) {
			(void)num_u32(value, 0, INITARGS_PORT_MAX, &out, NULL);
		} else if (letter == 'e' && value) {
			(void)num_u32(value, 0, INITARGS_PORT_MAX, &err, NULL);
		}
	}
	m.log_port = err ? err : out;
	if (scan.at < argc)
		m.agent = scan.at;
	return m;
}

struct mode mode_choose(char *const *command)
{
	const char *program;

	if (!command[0])
		return (struct mode){ GUEST_MODE_OTHER, -1, 0, "no command" };

	program = base_name(command[0]);
	if (strcmp(program, "gcs") == 0)
		return (struct mode){ GUEST_MODE_MIGRATABLE, 0, 0,
				      "the agent is the command, no wrapper" };
	if (strcmp(program, "vsockexec") == 0)
		return wrapper(command);
	if (strcmp(program, "sh") == 0)
		return (struct mode){ GUEST_MODE_CONSOLE, -1, 0,
				      "a shell runs the agent beside itself" };
	return (struct mode){ GUEST_MODE_OTHER, -1, 0,
			      "the command is neither agent nor wrapper" };
}
