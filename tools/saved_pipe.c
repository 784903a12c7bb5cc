/* The guest's memory between a shim and a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/migration.pb-c.h"
#include "config/util.h"
#include "migration/session.h"
#include "tools/endpoint.h"
#include "tools/saved_files.h"

#define STEP_MS 60000
#define LOOK_MS 50
#define PIPE_BYTES ((size_t)256 * 1024)
#define NUMBER_BYTES 4u
#define SOCKET_NAME "f"

static void end(struct saved_pipe *p)
{
	loop_unwatch(p->m->remote.loop, &p->watch);
	p->eof = true;
}

static void fail(struct saved_pipe *p, const char *what)
{
	(void)err_sys(&p->why, "%s", what);
	p->failed = true;
	end(p);
}

static uint8_t number_byte(const struct saved_pipe *p, size_t i)
{
	return (uint8_t)(p->number >> (24 - 8 * i));
}

/* Each end says the number of the session before the memory moves. */
static int tell(struct saved_pipe *p)
{
	uint8_t b[NUMBER_BYTES];
	size_t i;

	for (i = 0; i < NUMBER_BYTES; i++)
		b[i] = number_byte(p, i);
	if (p->n_told == NUMBER_BYTES)
		return 0;
	if (fd_write_full(p->fd, b, sizeof(b)) < 0)
		return -1;
	p->n_told = NUMBER_BYTES;
	return 0;
}

/* Bytes of the shim: its number, then memory (save) or nothing of use. */
static void hear(struct saved_pipe *p)
{
	const ssize_t n = recv(p->fd, p->buf, PIPE_BYTES, MSG_DONTWAIT);
	size_t at = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && !p->write_file)) {
		if (n < 0 && p->write_file)
			fail(p, "the memory's socket");
		else
			end(p);
		return;
	}
	if (n == 0) {
		end(p);
		return;
	}
	while (at < (size_t)n && p->n_heard < NUMBER_BYTES) {
		if ((uint8_t)p->buf[at++] != number_byte(p, p->n_heard++)) {
			errno = EPROTO;
			fail(p, "another session's socket");
			return;
		}
	}
	if (!p->write_file && p->n_heard == NUMBER_BYTES)
		loop_rewatch(p->m->remote.loop, p->watch, EPOLLIN | EPOLLOUT);
	if (!p->write_file || at == (size_t)n)
		return;
	digest_add(&p->sum, p->buf + at, (size_t)n - at);
	p->bytes += (uint64_t)n - at;
	if (fd_write_full(p->file, p->buf + at, (size_t)n - at) < 0)
		fail(p, "cannot write the memory");
}

/* The file's bytes to the shim, as it takes them. */
static void feed(struct saved_pipe *p)
{
	static char chunk[65536];
	ssize_t n;

	if (p->at == p->n) {
		n = read(p->file, chunk, sizeof(chunk));
		if (n < 0) {
			fail(p, "cannot read the memory");
			return;
		}
		p->at = 0;
		p->n = (size_t)n;
		p->bytes += (uint64_t)n;
		if (n == 0) {
			p->eof = true;
			loop_unwatch(p->m->remote.loop, &p->watch);
			return;
		}
	}
	n = send(p->fd, chunk + p->at, p->n - p->at,
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		p->at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		fail(p, "the memory's socket");
}

static void on_ready(void *ctx, uint32_t events)
{
	struct saved_pipe *p = ctx;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		hear(p);
	if (!p->write_file && !p->eof && p->n_heard == NUMBER_BYTES &&
	    (events & EPOLLOUT))
		feed(p);
}

/* --- the shim's end --- */

struct offer {
	struct migrate *m;
	int fd;
};

static void on_offer(void *ctx, uint32_t events UNUSED)
{
	struct offer *o = ctx;
	cleanup_fd conn = accept4(o->m->offer, NULL, NULL, SOCK_CLOEXEC);
	struct err e;

	if (conn < 0 || o->fd < 0)
		return;
	/* Who is not told is told so by its own limit. */
	(void)handoff_give(conn, o->m->token, o->fd, &e);
	fd_close(&o->fd);
}

static int give(struct migrate *m, struct migrate_side *side, int fd,
		struct err *e)
{
	MigrationSocketRequest q = MIGRATION_SOCKET_REQUEST__INIT;
	struct offer o = { .m = m, .fd = fd };
	char info[HANDOFF_INFO_MAX];
	int r = handoff_token(m->token, e);

	(void)snprintf(m->path, sizeof(m->path), "%s/" SOCKET_NAME,
		       m->remote.dir);
	if (r == 0)
		r = endpoint_listen(m->path, &m->offer, e);
	if (r == 0)
		r = loop_watch(m->remote.loop, m->offer, EPOLLIN, on_offer, &o,
			       &m->offer_watch, e);
	if (r == 0)
		r = handoff_info(m->path, m->token, info, e);
	q.session_id = m->session;
	q.has_protocol_info = true;
	q.protocol_info.data = (uint8_t *)info;
	q.protocol_info.len = strlen(info);
	if (r == 0)
		r = migrate_ask(m, side, "Migration", "CreateDuplicateSocket",
				&q.base, NULL, NULL, NULL, STEP_MS, e);
	loop_unwatch(m->remote.loop, &m->offer_watch);
	fd_close(&m->offer);
	fd_close(&o.fd);
	(void)unlink(m->path);
	return r;
}

int saved_pipe_open(struct saved_pipe *p, struct migrate *m,
		    struct migrate_side *side, int file, bool write_file,
		    struct err *e)
{
	int fd[2];
	int r;

	*p = (struct saved_pipe){ .m = m,
				  .fd = -1,
				  .file = file,
				  .write_file = write_file,
				  .number = session_number(m->session) };
	digest_init(&p->sum);
	p->buf = malloc(PIPE_BYTES);
	if (!p->buf)
		return err_set(e, ENOMEM, "no memory for a buffer");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return err_sys(e, "socket pair");
	p->fd = fd[0];
	r = give(m, side, fd[1], e);
	if (r == 0 && tell(p) < 0)
		r = err_sys(e, "the memory's socket");
	if (r == 0)
		r = loop_watch(m->remote.loop, p->fd, EPOLLIN, on_ready, p,
			       &p->watch, e);
	return r;
}

void saved_pipe_close(struct saved_pipe *p)
{
	if (p->m && p->m->remote.loop)
		loop_unwatch(p->m->remote.loop, &p->watch);
	fd_close(&p->fd);
	fd_close(&p->file);
	free(p->buf);
	p->buf = NULL;
}

/* --- what both commands do --- */

int saved_wait(struct migrate *m, struct migrate_side *side,
	       struct saved_pipe *p, struct err *e)
{
	for (;;) {
		const bool done =
			strcmp(side->state, "transfer-completed") == 0;
		int r = p->failed ? err_set(e, p->why.code, "%s", p->why.text)
				  : migrate_look(m, side, false, e);

		if (r < 0)
			return r;
		if (p->write_file)
			migrate_report(m, "memory");
		if (*side->reason)
			return err_set(e, EIO, "%s", side->reason);
		if (strcmp(side->state, "failed") == 0 ||
		    strcmp(side->state, "cancelled") == 0 ||
		    strcmp(side->state, "idle") == 0)
			return err_set(e, EIO, "the transfer has %s",
				       side->state);
		if (done && p->eof)
			return 0;
		r = loop_turn(m->remote.loop, LOOK_MS, e);
		if (r < 0)
			return r;
	}
}
