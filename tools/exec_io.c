#include "tools/exec_io.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bridge/host/local.h"
#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/listener.h"

static int index_of(const struct exec_stream *s)
{
	return (int)(s - s->io->stream);
}

static void stop_listening(struct exec_stream *s)
{
	if (s->listen < 0)
		return;
	loop_unwatch(s->io->loop, &s->watch);
	fd_close(&s->listen);
	(void)unlink(s->io->path[index_of(s)]); /* else the shim does */
}

bool exec_io_output_open(const struct exec_io *io)
{
	return io->stream[MSG_STDOUT].open || io->stream[MSG_STDERR].open;
}

static void on_relay_done(void *ctx, enum host_relay_end how,
			  const struct err *e UNUSED)
{
	struct exec_stream *s = ctx;
	struct exec_io *io = s->io;

	if (index_of(s) == MSG_STDIN) {
		/* The socket stays half open: see bridge/host/relay.h. */
		if (how == HOST_RELAY_EOF)
			io->input_ended(io->ctx);
		return;
	}
	if (how != HOST_RELAY_EOF)
		io->output_cut = true;
	host_relay_free(s->relay);
	s->relay = NULL;
	s->open = false;
	if (!exec_io_output_open(io))
		io->output_ended(io->ctx);
}

static int connect_stream(struct exec_stream *s, int fd, struct err *e)
{
	const bool input = index_of(s) == MSG_STDIN;
	struct local theirs = local_socket(fd);
	struct local ours;
	int r = local_open(s->own, !input, &ours, e);

	if (r < 0) {
		local_close(&theirs);
		return r;
	}
	r = host_relay_new(s->io->loop, input ? &ours : &theirs,
			   input ? &theirs : &ours, on_relay_done, s, &s->relay,
			   e);
	if (r < 0) {
		local_close(&theirs);
		local_close(&ours);
	}
	return r;
}

static void on_connect(void *ctx, uint32_t events UNUSED)
{
	struct exec_stream *s = ctx;
	struct err e;
	int fd = -1;

	if (listener_accept(s->listen, &fd, &e) < 0)
		return;
	stop_listening(s);
	if (connect_stream(s, fd, &e) == 0)
		return;
	s->open = false;
	s->io->output_cut |= index_of(s) != MSG_STDIN;
}

int exec_io_init(struct exec_io *io, const char *dir,
		 const bool wanted[MSG_STDIO], struct err *e)
{
	int r = 0;

	for (int i = 0; i < MSG_STDIO; i++)
		io->stream[i] = (struct exec_stream){
			.io = io,
			.own = i,
			.listen = -1,
		};
	for (int i = 0; r == 0 && i < MSG_STDIO; i++) {
		struct exec_stream *s = &io->stream[i];

		if (!wanted[i])
			continue;
		(void)snprintf(io->path[i], sizeof(io->path[i]), "%s/c%d.%d",
			       dir, (int)getpid(), i);
		r = listener_open(io->path[i], &s->listen, e);
		if (r == 0)
			r = loop_watch(io->loop, s->listen, EPOLLIN, on_connect,
				       s, &s->watch, e);
		s->open = r == 0;
	}
	return r;
}

void exec_io_done(struct exec_io *io)
{
	for (int i = 0; i < MSG_STDIO; i++) {
		struct exec_stream *s = &io->stream[i];

		if (!s->io)
			continue;
		stop_listening(s);
		host_relay_free(s->relay);
		s->relay = NULL;
	}
}
