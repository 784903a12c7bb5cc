/*
 * tests/fuzz/fuzz_host.c - any bytes as what a guest sends to the host
 *
 * A client with one call of each kind outstanding and a process that starts
 * gets the input as the guest's stream after a good negotiation; the log port
 * gets it too. Whatever it is, every call ends exactly once, the end of the
 * stream is noticed, and every line of the log is printable.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/host/logport.h"
#include "bridge/host/process.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"

#define TURNS_MAX 20000
#define CALLS 6

const char *const fuzz_folders[] = { "tests/golden/bridge/frames", NULL };

static char dir[] = "/tmp/ferry-fuzz-XXXXXX";
static struct transport transport;
static struct loop *loop;
static int answers[CALLS];
static int process_ends;

static void remove_dir(void)
{
	(void)rmdir(dir); /* empty, since every listener is closed */
}

static void set_up(void)
{
	char text[64];

	log_setup(STDERR_FILENO, LOG_FORM_TEXT, LOG_LEVEL_ERR);
	FUZZ_CHECK(mkdtemp(dir) != NULL);
	(void)snprintf(text, sizeof(text), "unix:%s/v", dir);
	FUZZ_CHECK(transport_parse(text, &transport, NULL) == 0);
	FUZZ_CHECK(loop_new(&loop, NULL) == 0);
	FUZZ_CHECK(atexit(remove_dir) == 0);
}

static void turn(void)
{
	FUZZ_CHECK(loop_turn(loop, 0, NULL) >= 0);
}

static int dial(uint32_t port)
{
	int fd = -1;

	FUZZ_CHECK(transport_dial(&transport, port, &fd, NULL) == 0);
	return fd;
}

static void put(int fd, const void *bytes, size_t len)
{
	size_t at = 0;

	for (int i = 0; at < len && i < TURNS_MAX; i++) {
		const ssize_t n = send(fd, (const char *)bytes + at, len - at,
				       MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		turn();
	}
}

static void send_negotiated(int fd)
{
	static const char body[] =
		"{\"Result\":0,\"Version\":4,\"Capabilities\":"
		"{\"GuestDefinedCapabilities\":{}}}";
	uint8_t header[WIRE_HEADER_SIZE];

	wire_header_put(header,
			&(struct wire_header){
				.type = 0x20100b01,
				.size = sizeof(header) + sizeof(body) - 1,
			});
	put(fd, header, sizeof(header));
	put(fd, body, sizeof(body) - 1);
}

static void on_answer(void *ctx, const void *result,
		      const struct host_failure *f)
{
	int *times = ctx;

	FUZZ_CHECK((result == NULL) == (f != NULL));
	++*times;
}

static void on_ended(void *ctx, const struct host_process_end *end)
{
	(void)ctx;
	FUZZ_CHECK(end->exited == (end->failure == NULL));
	process_ends++;
}

/* One of each kind, so that the input can answer ids 1 to 7. */
static struct host_process *make_calls(struct host_client *c)
{
	static const struct msg_process_parameters parameters;
	const struct host_process_config config = {
		.parameters = &parameters,
		.fd = { -1, -1, -1 },
		.ended = on_ended,
	};
	struct host_process *p = NULL;
	struct host_done d[CALLS];

	for (int i = 0; i < CALLS; i++)
		d[i] = (struct host_done){ on_answer, &answers[i], 0 };
	FUZZ_CHECK(host_process_start(c, &config, &p, NULL) == 0);
	FUZZ_CHECK(host_wait_for_process(c, NULL, 1, MSG_WAIT_FOREVER, &d[0],
					 NULL, NULL) == 0);
	FUZZ_CHECK(host_wait_for_process(c, NULL, 1, 0, &d[1], NULL, NULL) ==
		   0);
	FUZZ_CHECK(host_signal_process(c, "c", 1, 9, &d[2], NULL, NULL) == 0);
	FUZZ_CHECK(host_resize_console(c, "c", 1, 2, 3, &d[3], NULL, NULL) ==
		   0);
	FUZZ_CHECK(host_dump_stacks(c, &d[4], NULL, NULL) == 0);
	FUZZ_CHECK(host_shutdown(c, NULL, true, &d[5], NULL, NULL) == 0);
	return p;
}

static void try_client(const uint8_t *data, size_t size)
{
	const struct host_client_config config = {
		.loop = loop,
		.transport = transport,
	};
	struct host_client *c = NULL;
	struct host_process *p;
	int fd;

	memset(answers, 0, sizeof(answers));
	process_ends = 0;
	FUZZ_CHECK(host_client_new(&config, &c, NULL) == 0);
	fd = dial(WIRE_PORT_BRIDGE);
	turn();
	send_negotiated(fd);
	for (int i = 0; i < 10 && host_client_state(c) != HOST_READY; i++)
		turn();
	FUZZ_CHECK(host_client_state(c) == HOST_READY);

	p = make_calls(c);
	put(fd, data, size);
	(void)shutdown(fd, SHUT_WR); /* the host may have closed */
	for (int i = 0; i < TURNS_MAX && host_client_state(c) == HOST_READY;
	     i++)
		turn();
	FUZZ_CHECK(host_client_state(c) == HOST_LISTENING);

	host_process_free(p);
	host_client_free(c);
	FUZZ_CHECK(process_ends <= 1);
	for (int i = 0; i < CALLS; i++)
		FUZZ_CHECK(answers[i] == 1);
	fd_close(&fd);
}

static void on_line(void *ctx, const struct host_log_line *line)
{
	(void)ctx;
	for (const char *s = line->msg; *s; s++)
		FUZZ_CHECK(*s >= 0x20 && *s < 0x7f);
	FUZZ_CHECK(strlen(line->msg) <= 4 * LOGPORT_LINE_MAX + 3);
}

static void on_log_ended(void *ctx)
{
	*(bool *)ctx = true;
}

static void try_log(const uint8_t *data, size_t size)
{
	struct host_logport *log = NULL;
	bool ended = false;
	int fd;

	FUZZ_CHECK(host_logport_new(loop, &transport, on_line, on_log_ended,
				    &ended, &log, NULL) == 0);
	fd = dial(WIRE_PORT_LOG);
	turn();
	put(fd, data, size);
	fd_close(&fd);
	for (int i = 0; i < TURNS_MAX && !ended; i++)
		turn();
	FUZZ_CHECK(ended);
	host_logport_free(log);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	if (!loop)
		set_up();
	try_client(data, size);
	try_log(data, size);
	return 0;
}
