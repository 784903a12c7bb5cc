/*
 * vsockexec - run a program with its standard streams on host vsock ports
 *
 * With -r init/relay.h carries the output, whether or not the host listens.
 * Without -r the host must listen; then it is the same relay when there is
 * nothing but output to one port, so that a host that reads nothing does not
 * hold the program up, and otherwise the program takes this one's place.
 * Source: shared specification cmdline.md 9.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/note.h"
#include "bridge/io/transport.h"
#include "init/clock.h"
#include "init/dial.h"
#include "init/relay.h"
#include "init/streams.h"
#include "init/wrapargs.h"

CONTROL_NOTE(2);

static const struct transport host = { .kind = TRANSPORT_VSOCK,
				       .cid = TRANSPORT_CID_HOST };

/* One write, without stdio's buffers. Return: the exit status. */
static int fail(const struct err *e, const char *usage)
{
	char line[2 * ERR_TEXT_MAX];
	const int n = snprintf(line, sizeof(line), "vsockexec: %s\n%s", e->text,
			       usage);

	if (n > 0)
		(void)fd_write_full(STDERR_FILENO, line, strlen(line));
	return 1;
}

static int relay(const struct wrapargs *a, struct err *e)
{
	struct relay_job job = { .t = host,
				 .port = wrapargs_relay_port(a),
				 .out = a->ports[1] != 0,
				 .err = a->ports[2] != 0,
				 .fd = -1,
				 .cannot_run = a->relay ? 127 : 1,
				 .command = a->command };
	int r = 0;

	if (!a->relay)
		r = dial(&host, job.port, clock_ms() + STREAMS_DEADLINE_MS,
			 &job.fd, e);
	if (r == 0)
		r = relay_run(&job, e);

	return r < 0 ? fail(e, "") : r;
}

int main(int argc, char **argv)
{
	static const char usage[] =
		"usage: vsockexec [-r] [-i port] [-o port] [-e port] [--] program [args...]\n";
	struct wrapargs a;
	struct err e = { 0 };

	if (fd_std_open() < 0)
		return 1;
	if (wrapargs_parse(argc, argv, &a, &e) < 0)
		return fail(&e, usage);
	if (a.relay || wrapargs_only_output(&a))
		return relay(&a, &e);
	if (streams_connect(&host, a.ports, &e) < 0)
		return fail(&e, "");
	(void)execvp(a.command[0], a.command);
	(void)err_sys(&e, "%.128s", a.command[0]);
	return fail(&e, "");
}
