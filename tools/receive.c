#include "tools/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "config/util.h"
#include "tools/arrival.h"
#include "tools/endpoint.h"
#include "tools/handoff.h"
#include "tools/remote.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"

#define RELAY_BYTES 65536u
/* Whoever does not take what is said to him for so long has hung up. */
#define RELAY_MS 30000
/* Connections that have not said yet what they are for; the oldest makes room. */
#define GREETERS_MAX 8u
/* In the folder of the sandbox. */
#define HANDOFF_SOCKET "h"

/* Nobody waits for the first words of somebody else. */
struct greeter {
	int fd; /* -1: free */
	uint64_t number;
	int64_t until_ms;
	size_t n;
	char line[ENDPOINT_LINE_MAX];
};

/* The move that is under way, and who may want the next one. */
struct receive {
	struct greeter greeter[GREETERS_MAX];
	uint64_t greeters; /* so many came */
	const char *where;
	const char *kernel;
	const char *image;
	bool once;
	int listen_fd;
	int control;
	int shim;
	int data;
	int offer; /* where the shim asks for @data */
	char name[RUNDIR_NAME_MAX];
	char token[HANDOFF_TOKEN_MIN + 1];
	char path[HANDOFF_PATH_MAX + 1];
};

static volatile sig_atomic_t stopped;

static void on_signal(int number UNUSED)
{
	stopped = 1;
}

/* --- the shim -------------------------------------------------------------------- */

static int start_shim(const struct receive *r, struct err *e)
{
	int ours[2 + GREETERS_MAX] = { r->listen_fd, r->control };
	const struct arrival a = { .name = r->name,
				   .kernel = r->kernel,
				   .image = r->image,
				   .close = ours,
				   .n_close = ARRAY_LEN(ours) };

	for (size_t i = 0; i < GREETERS_MAX; i++)
		ours[2 + i] = r->greeter[i].fd;
	return arrival_start(&a, e);
}

static int open_shim(struct receive *r, struct err *e)
{
	char dir[RUNDIR_MAX];
	char path[RUNDIR_MAX + 16];
	int n = rundir_find(rundir_base(), r->name, dir, e);

	if (n < 0)
		return n;
	(void)snprintf(path, sizeof(path), "%s/" SHIM_SOCKET, dir);
	n = ttrpc_dial(path, &r->shim, e);
	if (n == 0)
		n = fd_nonblock(r->shim, false);
	if (n < 0)
		return n;
	endpoint_limit(r->shim, RELAY_MS);
	(void)snprintf(r->path, sizeof(r->path), "%s/" HANDOFF_SOCKET, dir);
	n = handoff_token(r->token, e);
	return n < 0 ? n : endpoint_listen(r->path, &r->offer, e);
}

/* Nobody calls it any more: it ends, unless the guest is its own by now. */
static void abandon(const struct receive *r)
{
	FerryAbandonRequest q = FERRY_ABANDON_REQUEST__INIT;
	struct remote remote = { 0 };
	struct err e;

	if (remote_open(r->name, &remote, &e) == 0)
		(void)remote_ask(&remote, "Abandon", &q.base, NULL, NULL, NULL,
				 REMOTE_CALL_MS, &e);
	remote_close(&remote);
}

/* --- the connections ------------------------------------------------------------------- */

static void refuse(int fd, const struct err *why)
{
	char line[ENDPOINT_LINE_MAX];
	struct err e;

	(void)snprintf(line, sizeof(line), "error %.400s\n", why->text);
	(void)endpoint_say(fd, line, &e);
}

static int begin(struct receive *r, const char *name, struct err *e)
{
	char line[ENDPOINT_LINE_MAX];
	int n = rundir_name_check(name, e);

	if (n < 0)
		return n;
	(void)snprintf(r->name, sizeof(r->name), "%.*s", RUNDIR_NAME_MAX - 1,
		       name); /* no more, as checked */
	n = start_shim(r, e);
	if (n < 0)
		return n;
	n = open_shim(r, e);
	(void)snprintf(line, sizeof(line), "ok %s %s\n", r->path, r->token);
	if (n == 0)
		n = endpoint_say(r->control, line, e);
	if (n < 0)
		abandon(r);
	return n;
}

static void on_words(struct receive *r, const char *line, int conn)
{
	cleanup_fd fd = conn;
	char kind[16] = "";
	char word[256] = "";
	struct err e = { 0 };

	if (sscanf(line, ENDPOINT_MAGIC " %15s %255s", kind, word) != 2) {
		(void)err_set(&e, EPROTO, "not the words of a move");
		refuse(fd, &e);
	} else if (strcmp(kind, ENDPOINT_DATA) == 0 && r->control >= 0 &&
		   strcmp(word, r->token) == 0 && r->data < 0) {
		if (endpoint_say(fd, "ok\n", &e) == 0)
			r->data = fd_take(&fd);
	} else if (strcmp(kind, ENDPOINT_CONTROL) == 0 && r->control < 0) {
		r->control = fd_take(&fd);
		endpoint_limit(r->control, RELAY_MS);
		if (begin(r, word, &e) == 0) {
			(void)printf("%s is coming\n", r->name);
			(void)fflush(stdout);
			return;
		}
		refuse(r->control, &e);
		(void)fprintf(stderr, "ferry: %s\n", e.text);
		fd_close(&r->control);
		fd_close(&r->shim);
		fd_close(&r->offer);
		stopped |= r->once;
	} else {
		(void)err_set(&e, EBUSY, "another move is under way");
		refuse(fd, &e);
	}
}

static void on_connection(struct receive *r)
{
	cleanup_fd fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct greeter *g = &r->greeter[0];

	if (fd < 0)
		return;
	for (size_t i = 0; i < GREETERS_MAX && g->fd >= 0; i++)
		if (r->greeter[i].fd < 0 || r->greeter[i].number < g->number)
			g = &r->greeter[i];
	fd_close(&g->fd);
	g->fd = fd_take(&fd);
	g->number = ++r->greeters;
	g->until_ms = endpoint_now_ms() + ENDPOINT_MS;
	g->n = 0;
}

static void on_greeter(struct receive *r, struct greeter *g)
{
	struct err e;
	int n;

	if (g->fd < 0)
		return;
	n = endpoint_hear_some(g->fd, g->line, &g->n, &e);
	if (n > 0)
		on_words(r, g->line, fd_take(&g->fd));
	else if (n < 0 || endpoint_now_ms() >= g->until_ms)
		fd_close(&g->fd);
}

/* Until the first of them has been silent for too long; -1: there is none. */
static int patience(const struct receive *r)
{
	const int64_t now = endpoint_now_ms();
	int ms = -1;

	for (size_t i = 0; i < GREETERS_MAX; i++) {
		const int64_t left = r->greeter[i].until_ms - now;

		if (r->greeter[i].fd >= 0 && (ms < 0 || left < ms))
			ms = left > 0 ? (int)left : 0;
	}
	return ms;
}

/* Return: false: one of them has hung up */
static bool relay(int from, int to)
{
	static char bytes[RELAY_BYTES];
	const ssize_t n = recv(from, bytes, sizeof(bytes), 0);

	return n > 0 && fd_write_full(to, bytes, (size_t)n) == 0;
}

static void hand_on(struct receive *r)
{
	cleanup_fd conn = accept4(r->offer, NULL, NULL, SOCK_CLOEXEC);
	struct err e;

	if (conn < 0 || r->data < 0)
		return;
	if (handoff_give(conn, r->token, r->data, &e) < 0)
		(void)fprintf(stderr, "ferry: %s\n", e.text);
	fd_close(&r->data); /* it is the shim's */
}

static void end_move(struct receive *r)
{
	fd_close(&r->control);
	fd_close(&r->shim);
	fd_close(&r->data);
	fd_close(&r->offer);
	(void)unlink(r->path);
	abandon(r);
	(void)printf("%s: the source has hung up\n", r->name);
	(void)fflush(stdout);
}

static int serve(struct receive *r, struct err *e)
{
	while (!stopped) {
		struct pollfd p[4 + GREETERS_MAX] = {
			{ .fd = r->listen_fd, .events = POLLIN },
			{ .fd = r->control, .events = POLLIN },
			{ .fd = r->shim, .events = POLLIN },
			{ .fd = r->offer, .events = POLLIN },
		};
		bool lost = false;

		for (size_t i = 0; i < GREETERS_MAX; i++)
			p[4 + i] = (struct pollfd){ .fd = r->greeter[i].fd,
						    .events = POLLIN };
		if (poll(p, ARRAY_LEN(p), patience(r)) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, "poll");
		}
		if (p[3].revents)
			hand_on(r);
		if (p[2].revents)
			lost |= !relay(r->shim, r->control);
		if (p[1].revents && !lost)
			lost |= !relay(r->control, r->shim);
		if (lost)
			end_move(r);
		if (lost && r->once)
			return 0;
		for (size_t i = 0; i < GREETERS_MAX; i++)
			on_greeter(r, &r->greeter[i]);
		if (p[0].revents)
			on_connection(r);
	}
	return 0;
}

static const char help[] =
	"usage: ferry migrate receive --listen ENDPOINT [--once] "
	"[--kernel FILE] [--image FILE]\n"
	"\n"
	"Waits for sandboxes that 'ferry migrate --to ENDPOINT' moves here.\n"
	"\n"
	"  --listen ENDPOINT   a path with '/', for a unix socket, or "
	"HOST:PORT\n"
	"  --once              end after one move\n"
	"  --kernel FILE       kernel of the machines, by default ferry's\n"
	"  --image FILE        image of the machines, by default ferry's\n";

int tool_receive(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "once", no_argument, NULL, 'o' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "image", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const struct sigaction act = { .sa_handler = on_signal };
	struct receive r = { .listen_fd = -1,
			     .control = -1,
			     .shim = -1,
			     .data = -1,
			     .offer = -1 };
	struct err e;
	int id;

	while ((id = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (id == 'h') {
			(void)fputs(help, stdout);
			return TOOL_OK;
		}
		if (id == 'l')
			r.where = optarg;
		else if (id == 'o')
			r.once = true;
		else if (id == 'k')
			r.kernel = optarg;
		else if (id == 'i')
			r.image = optarg;
		else
			return tool_try("migrate receive");
	}
	if (!r.where)
		return tool_usage("migrate receive", "--listen is wanted");
	if (optind < argc)
		return tool_usage("migrate receive", "too many words: %s",
				  argv[optind]);
	for (size_t i = 0; i < GREETERS_MAX; i++)
		r.greeter[i].fd = -1;
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	id = endpoint_listen(r.where, &r.listen_fd, &e);
	if (id == 0)
		id = serve(&r, &e);
	if (r.control >= 0)
		end_move(&r);
	fd_close(&r.listen_fd);
	for (size_t i = 0; i < GREETERS_MAX; i++)
		fd_close(&r.greeter[i].fd);
	if (id == 0 && strchr(r.where, '/'))
		(void)unlink(r.where);
	return id < 0 ? tool_fail(&e) : TOOL_OK;
}
