#include "tools/shim/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/ttrpc/client.h"

/* Dropped at once when the buffer is full and nobody is attached. */
#define DROP_STEP (STDIO_KEEP / 4)
#define FILE_URI "file://"
#define ANY_URI "://"

/*
 * struct flow - one stream
 * @pipe:	our end of its pipe, -1: no such stream, or it has ended
 * @client:	the client's end, -1: nobody is attached
 * @keep:	a FIFO's other end, held so that it does not hang up
 * @plain:	@client is a file: always ready, no watch
 * @buf:	@size bytes while any are held, else NULL; more than STDIO_KEEP only
 *		around a move
 * @last:	of a process that exited before it came
 * @from, @to:	what of @buf is in use
 * @ended:	the source has ended; output: the process has closed it
 * @ending:	input: to be closed once nobody is attached and all is written
 * @frozen:	nothing moves
 */
struct flow {
	struct loop *loop;
	bool input;
	int pipe;
	int client;
	int keep;
	bool plain;
	struct loop_id pipe_watch;
	struct loop_id client_watch;
	uint8_t *buf;
	size_t size;
	size_t from;
	size_t to;
	bool last;
	bool ended;
	bool ending;
	bool frozen;
};

struct shim_stdio {
	struct flow flow[MSG_STDIO];
};

static const char *const names[] = { "stdin", "stdout", "stderr" };

/* --- ends ------------------------------------------------------------------------ */

static void close_client(struct flow *f)
{
	loop_unwatch(f->loop, &f->client_watch);
	fd_close(&f->client);
	fd_close(&f->keep);
}

static void close_pipe(struct flow *f)
{
	loop_unwatch(f->loop, &f->pipe_watch);
	fd_close(&f->pipe);
}

static void release(struct flow *f)
{
	close_client(f);
	close_pipe(f);
	free(f->buf);
	f->buf = NULL;
	f->from = f->to = 0;
}

static size_t held(const struct flow *f)
{
	return f->to - f->from;
}

/* --- moving bytes ------------------------------------------------------------------ */

static uint64_t dropped; /* by all: one shim is one process */

uint64_t shim_stdio_dropped(void)
{
	return dropped;
}

static size_t most(const struct flow *f)
{
	return f->last && f->client < 0 ? STDIO_LAST_MAX : STDIO_KEEP;
}

static void grow(struct flow *f)
{
	uint8_t *buf = realloc(f->buf, f->size * 2);

	if (!buf)
		return;
	f->buf = buf;
	f->size *= 2;
}

/* Room behind @to; false: none, or no memory. */
static bool make_room(struct flow *f)
{
	if (!f->buf) {
		f->buf = malloc(STDIO_KEEP);
		f->size = STDIO_KEEP;
		f->from = f->to = 0;
		if (!f->buf)
			return false;
	}
	if (held(f) >= most(f) && !f->input && f->client < 0) {
		dropped += held(f) - (most(f) - DROP_STEP);
		f->from = f->to - (most(f) - DROP_STEP);
	}
	if (f->to == f->size && f->from > 0) {
		memmove(f->buf, f->buf + f->from, held(f));
		f->to -= f->from;
		f->from = 0;
	}
	if (f->to == f->size && held(f) < most(f))
		grow(f);
	return f->to < f->size && held(f) < most(f);
}

/* Return: bytes; 0: none now; -1: the source has ended. */
static ssize_t fill(struct flow *f, int from)
{
	ssize_t n;

	if (!make_room(f))
		return 0;
	do {
		n = read(from, f->buf + f->to, f->size - f->to);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		f->to += (size_t)n;
	return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

/* Return: bytes; 0: none now; -1: nobody reads any more. */
static ssize_t empty(struct flow *f, int to)
{
	ssize_t n;

	if (held(f) == 0)
		return 0;
	do {
		n = write(to, f->buf + f->from, held(f));
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		f->from += (size_t)n;
	return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

/*
 * A hang-up is reported whatever is asked for: an end whose hang-up can wait
 * until there is room is not watched at all. Without memory for a watch the
 * stream ends.
 */
static void watch(struct flow *f, int fd, loop_io_fn *fn, uint32_t events,
		  struct loop_id *id)
{
	if (fd < 0 || events == 0)
		loop_unwatch(f->loop, id);
	else if (id->generation)
		loop_rewatch(f->loop, *id, events);
	else if (loop_watch(f->loop, fd, events, fn, f, id, NULL) < 0)
		release(f);
}

static void trim(struct flow *f)
{
	if (held(f) > 0)
		return;
	free(f->buf);
	f->buf = NULL;
	f->from = f->to = 0;
}

static void on_pipe(void *ctx, uint32_t events);
static void on_client(void *ctx, uint32_t events);

static void pump_output(struct flow *f)
{
	ssize_t in = 0;
	ssize_t out = 0;

	if (f->pipe >= 0)
		in = fill(f, f->pipe);
	if (f->client >= 0)
		out = empty(f, f->client);
	if (in < 0) {
		close_pipe(f);
		f->ended = true;
	}
	if (out < 0 || (f->ended && held(f) == 0))
		close_client(f);
	trim(f);
	watch(f, f->pipe, on_pipe,
	      f->client < 0 || held(f) < STDIO_KEEP ? (uint32_t)EPOLLIN : 0,
	      &f->pipe_watch);
	/* Without data to send the watch still tells that the client went. */
	if (f->client >= 0 && !f->plain)
		loop_rewatch(f->loop, f->client_watch,
			     held(f) > 0 ? (uint32_t)EPOLLOUT : 0);
}

static void pump_input(struct flow *f)
{
	ssize_t in = 0;
	ssize_t out = 0;

	if (f->client >= 0)
		in = fill(f, f->client);
	if (f->pipe >= 0)
		out = empty(f, f->pipe);
	if (in < 0)
		close_client(f);
	if (out < 0 || (f->ending && f->client < 0 && held(f) == 0))
		release(f);
	trim(f);
	watch(f, f->client, on_client,
	      held(f) < STDIO_KEEP ? (uint32_t)EPOLLIN : 0, &f->client_watch);
	if (f->pipe >= 0)
		loop_rewatch(f->loop, f->pipe_watch,
			     held(f) > 0 ? (uint32_t)EPOLLOUT : 0);
}

static void pump(struct flow *f)
{
	if (f->frozen)
		return;
	if (f->input)
		pump_input(f);
	else
		pump_output(f);
}

static void on_pipe(void *ctx, uint32_t events)
{
	struct flow *f = ctx;

	/* The process reads no more: nobody has to send any more. */
	if (f->input && !f->frozen && events & (EPOLLERR | EPOLLHUP))
		release(f);
	else
		pump(f);
}

static void on_client(void *ctx, uint32_t events)
{
	struct flow *f = ctx;

	if (!f->input && events & (EPOLLERR | EPOLLHUP))
		close_client(f);
	pump(f);
}

/* --- opening ------------------------------------------------------------------------ */

/* What a client gave, opened. */
struct end {
	int fd;
	int keep;
	bool plain;
};

static int open_fifo(const char *path, bool input, struct end *ret,
		     struct err *e)
{
	const int flags = O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	/* Neither blocks nor fails while the other side is not there. */
	cleanup_fd both = open(path, O_RDWR | flags);

	if (both < 0)
		return err_sys(e, "%s", path);
	if (!input) {
		ret->fd = fd_take(&both);
		return 0;
	}
	ret->fd = open(path, O_RDONLY | flags);
	if (ret->fd < 0)
		return err_sys(e, "%s", path);
	ret->keep = fd_take(&both);
	return 0;
}

static int open_file(const char *uri, struct end *ret, struct err *e)
{
	const char *path = uri + strlen(FILE_URI);

	ret->plain = true;
	ret->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	return ret->fd < 0 ? err_sys(e, "%s", path) : 0;
}

static int open_end(const char *path, bool input, struct end *ret,
		    struct err *e)
{
	struct stat st;

	*ret = (struct end){ .fd = -1, .keep = -1 };
	if (*path == '\0' || strcmp(path, "-") == 0)
		return 0;
	if (!input && strncmp(path, FILE_URI, strlen(FILE_URI)) == 0)
		return open_file(path, ret, e);
	if (strstr(path, ANY_URI))
		return err_set(e, EOPNOTSUPP, "%s is no kind of stream", path);
	if (*path != '/')
		return err_set(e, EINVAL, "%s is not an absolute path", path);
	if (stat(path, &st) < 0)
		return err_sys(e, "%s", path);
	if (S_ISFIFO(st.st_mode))
		return open_fifo(path, input, ret, e);
	if (S_ISSOCK(st.st_mode))
		return ttrpc_dial(path, &ret->fd, e);
	return err_set(e, EINVAL, "%s is neither a FIFO nor a socket", path);
}

static void end_close(struct end *end)
{
	fd_close(&end->fd);
	fd_close(&end->keep);
}

/* The client's end becomes @end, which is taken. */
static int connect_end(struct flow *f, struct end *end, struct err *e)
{
	struct loop_id id = { 0 };

	if (end->fd >= 0 && !end->plain &&
	    loop_watch(f->loop, end->fd, 0, on_client, f, &id, e) < 0)
		return -e->code;
	close_client(f);
	f->client = fd_take(&end->fd);
	f->keep = fd_take(&end->keep);
	f->plain = end->plain;
	f->client_watch = id;
	return 0;
}

static int open_all(const char *const path[MSG_STDIO],
		    struct end end[MSG_STDIO], struct err *e)
{
	for (int i = 0; i < MSG_STDIO; i++)
		end[i] = (struct end){ .fd = -1, .keep = -1 };
	for (int i = 0; i < MSG_STDIO; i++) {
		const int r = open_end(path[i], i == MSG_STDIN, &end[i], e);

		if (r < 0)
			return err_wrap(e, "%s", names[i]);
	}
	return 0;
}

static int flow_pipe(struct flow *f, int *guest_fd, struct err *e)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, "pipe");
	f->pipe = f->input ? fd[1] : fd[0];
	*guest_fd = f->input ? fd[0] : fd[1];
	return loop_watch(f->loop, f->pipe, 0, on_pipe, f, &f->pipe_watch, e);
}

/* --- a move --------------------------------------------------------------------------- */

/* What nobody has read yet of an output's FIFO, which was opened for both. */
static size_t in_fifo(const struct flow *f, size_t others)
{
	struct stat st;
	int n = 0;

	if (f->input || f->client < 0 || fstat(f->client, &st) < 0 ||
	    !S_ISFIFO(st.st_mode) || ioctl(f->client, FIONREAD, &n) < 0 ||
	    n < 0 || others + (size_t)n > STDIO_FIFO_MAX)
		return 0;
	return (size_t)n;
}

/* Reads what is there; its reader may have been faster. */
static size_t take(int fd, uint8_t *to, size_t n)
{
	const ssize_t got = n > 0 ? read(fd, to, n) : 0;

	return got > 0 ? (size_t)got : 0;
}

/*
 * In their order: of an output what lies in a FIFO, what is held, what lies in
 * the pipe; of an input the pipe first.
 */
static int gather(struct flow *f, struct err *e)
{
	cleanup_fd other = -1;
	char path[32];
	int waiting = 0;
	size_t fifo, size, n;
	uint8_t *buf;

	if (f->pipe >= 0 && ioctl(f->pipe, FIONREAD, &waiting) < 0)
		waiting = 0;
	fifo = in_fifo(f, held(f) + (size_t)waiting);
	if (waiting == 0 && fifo == 0)
		return 0;
	size = fifo + held(f) + (size_t)waiting;
	if (size < STDIO_KEEP)
		size = STDIO_KEEP;
	buf = malloc(size);
	if (!buf)
		return err_set(e, ENOMEM, "no memory for %zu bytes of a stream",
			       size);
	/* Only the bridge has the reading end of an input. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->pipe);
	if (f->input)
		other = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	n = f->input ? take(other, buf, (size_t)waiting)
		     : take(f->client, buf, fifo);
	if (held(f) > 0)
		memcpy(buf + n, f->buf + f->from, held(f));
	n += held(f);
	if (!f->input)
		n += take(f->pipe, buf + n, (size_t)waiting);
	f->to = n;
	f->from = 0;
	free(f->buf);
	f->buf = buf;
	f->size = size;
	return 0;
}

static void thaw(struct flow *f)
{
	if (!f->frozen)
		return;
	f->frozen = false;
	if ((f->pipe >= 0 && loop_watch(f->loop, f->pipe, 0, on_pipe, f,
					&f->pipe_watch, NULL) < 0) ||
	    (f->client >= 0 && !f->plain && f->client_watch.generation == 0 &&
	     loop_watch(f->loop, f->client, 0, on_client, f, &f->client_watch,
			NULL) < 0))
		release(f); /* as without memory for any watch */
	else
		pump(f);
}

int shim_stdio_freeze(struct shim_stdio *s, bool frozen, struct err *e)
{
	int r = 0;

	for (int i = 0; frozen && r == 0 && i < MSG_STDIO; i++) {
		struct flow *f = &s->flow[i];

		if (f->frozen)
			continue;
		r = gather(f, e);
		f->frozen = true;
		loop_unwatch(f->loop, &f->pipe_watch);
		loop_unwatch(f->loop, &f->client_watch);
	}
	for (int i = 0; (!frozen || r < 0) && i < MSG_STDIO; i++)
		thaw(&s->flow[i]);
	return r;
}

size_t shim_stdio_kept(const struct shim_stdio *s, enum msg_stdio which,
		       const uint8_t **ret)
{
	const struct flow *f = &s->flow[which];

	*ret = f->buf ? f->buf + f->from : NULL;
	return held(f);
}

int shim_stdio_give(struct shim_stdio *s, enum msg_stdio which,
		    const void *bytes, size_t n, bool last, struct err *e)
{
	struct flow *f = &s->flow[which];
	const size_t size = held(f) + n > STDIO_KEEP ? held(f) + n : STDIO_KEEP;
	uint8_t *buf;

	f->last = last;
	if (n == 0 || f->pipe < 0)
		return 0;
	buf = malloc(size);
	if (!buf)
		return err_set(e, ENOMEM, "no memory for %zu bytes of a stream",
			       n);
	memcpy(buf, bytes, n);
	if (held(f) > 0)
		memcpy(buf + n, f->buf + f->from, held(f));
	f->to = n + held(f);
	f->from = 0;
	free(f->buf);
	f->buf = buf;
	f->size = size;
	pump(f);
	return 0;
}

int shim_stdio_attach(struct shim_stdio *s, const char *const path[MSG_STDIO],
		      struct err *e)
{
	struct end end[MSG_STDIO];
	int r = open_all(path, end, e);

	for (int i = 0; r == 0 && i < MSG_STDIO; i++) {
		struct flow *f = &s->flow[i];

		if (path[i][0] == '\0')
			continue;
		if (f->pipe < 0 && held(f) == 0) {
			end_close(&end[i]); /* it has ended: so it hears */
			continue;
		}
		r = connect_end(f, &end[i], e);
		if (r == 0)
			pump(f);
	}
	for (int i = 0; i < MSG_STDIO; i++)
		end_close(&end[i]);
	return r;
}

int shim_stdio_ended(const char *const path[MSG_STDIO], struct err *e)
{
	struct end end[MSG_STDIO];
	const int r = open_all(path, end, e);

	for (int i = 0; i < MSG_STDIO; i++)
		end_close(&end[i]);
	return r;
}

int shim_stdio_new(struct loop *loop, const char *const path[MSG_STDIO],
		   struct shim_stdio **ret, int guest_fd[MSG_STDIO],
		   struct err *e)
{
	struct shim_stdio *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return err_set(e, ENOMEM, "no memory for streams");
	for (int i = 0; i < MSG_STDIO; i++) {
		s->flow[i] = (struct flow){
			.loop = loop,
			.input = i == MSG_STDIN,
			.pipe = -1,
			.client = -1,
			.keep = -1,
		};
		guest_fd[i] = -1;
	}
	for (int i = 0; r == 0 && i < MSG_STDIO; i++)
		if (path[i][0] != '\0')
			r = flow_pipe(&s->flow[i], &guest_fd[i], e);
	if (r == 0)
		r = shim_stdio_attach(s, path, e);
	if (r < 0) {
		for (int i = 0; i < MSG_STDIO; i++)
			fd_close(&guest_fd[i]);
		shim_stdio_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void shim_stdio_close_stdin(struct shim_stdio *s)
{
	struct flow *f = &s->flow[MSG_STDIN];

	f->ending = true;
	fd_close(&f->keep);
	pump(f);
}

void shim_stdio_free(struct shim_stdio *s)
{
	if (!s)
		return;
	for (int i = 0; i < MSG_STDIO; i++)
		release(&s->flow[i]);
	free(s);
}
