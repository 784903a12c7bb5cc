#include "bridge/guest/dial.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge/io/fd.h"

static void dial_next(struct dial *d);

static void end_dial(struct dial *d)
{
	loop_unwatch(d->loop, &d->watch);
	loop_cancel(d->loop, &d->timer);
}

void dial_init(struct dial *d, struct loop *l, const struct transport *t,
	       dial_done_fn *done, void *ctx)
{
	*d = (struct dial){
		.loop = l,
		.transport = t,
		.sock = { -1, -1, -1 },
		.done = done,
		.ctx = ctx,
	};
}

void dial_wanted(struct dial *d, const struct msg_execute_process *m)
{
	const bool wanted[MSG_STDIO] = {
		[MSG_STDIN] = m->parameters.create_stdin_pipe,
		[MSG_STDOUT] = m->parameters.create_stdout_pipe,
		[MSG_STDERR] = m->parameters.create_stderr_pipe,
	};

	for (int i = 0; i < MSG_STDIO; i++)
		d->port[i] = wanted[i] ? m->port[i] : 0;
}

void dial_stop(struct dial *d)
{
	end_dial(d);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&d->sock[i]);
}

static void on_dial_again(void *ctx)
{
	dial_next(ctx);
}

/* A dial has failed: again, or the request has. */
static void dial_failed(struct dial *d, struct err *e)
{
	end_dial(d);
	fd_close(&d->sock[d->at]);
	if ((e->code == ETIMEDOUT || e->code == EAGAIN) &&
	    ++d->dials < DIALS_MAX &&
	    loop_at(d->loop, loop_now_ms(d->loop) + DIAL_AGAIN_MS,
		    on_dial_again, d, &d->timer, e) == 0)
		return;
	(void)err_wrap(e, "standard stream %d", d->at);
	d->done(d->ctx, e);
}

static bool dial_stands(struct dial *d, struct err *e)
{
	const int r = transport_dial_result(d->sock[d->at]);

	if (r == 0) {
		end_dial(d);
		d->at++;
		d->dials = 0;
		return true;
	}
	(void)err_set(e, -r, "connect to host port %u: %s", d->port[d->at],
		      strerror(-r));
	return false;
}

static void on_dial_ready(void *ctx, uint32_t events)
{
	struct dial *d = ctx;
	struct err e = { 0 };

	(void)events; /* the result of the dial tells */
	if (dial_stands(d, &e))
		dial_next(d);
	else
		dial_failed(d, &e);
}

static void on_dial_limit(void *ctx)
{
	struct dial *d = ctx;
	struct err e = { 0 };

	(void)err_set(&e, ETIMEDOUT, "connect to host port %u: no answer",
		      d->port[d->at]);
	dial_failed(d, &e);
}

static bool is_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

/* Return: true when the dial of the current stream is over and it stands */
static bool dial_one(struct dial *d)
{
	struct transport patient = *d->transport;
	struct err e = { 0 };
	int *fd = &d->sock[d->at];

	patient.patience_ms = DIAL_LIMIT_MS;
	if (transport_dial(&patient, d->port[d->at], fd, &e) < 0) {
		dial_failed(d, &e);
		return false;
	}
	if (!is_writable(*fd)) {
		if (loop_watch(d->loop, *fd, EPOLLOUT, on_dial_ready, d,
			       &d->watch, &e) == 0 &&
		    loop_at(d->loop, loop_now_ms(d->loop) + DIAL_LIMIT_MS,
			    on_dial_limit, d, &d->timer, &e) == 0)
			return false;
	} else if (dial_stands(d, &e)) {
		return true;
	}
	dial_failed(d, &e);
	return false;
}

static void dial_next(struct dial *d)
{
	loop_cancel(d->loop, &d->timer);
	while (d->at < MSG_STDIO) {
		if (d->port[d->at] == 0)
			d->at++;
		else if (!dial_one(d))
			return;
	}
	d->done(d->ctx, NULL);
}

void dial_start(struct dial *d)
{
	if (d->carried)
		d->done(d->ctx, NULL);
	else
		dial_next(d);
}

void dial_has(const struct dial *d, bool has[MSG_STDIO])
{
	for (int i = 0; i < MSG_STDIO; i++)
		has[i] = d->carried ? d->port[i] != 0 : d->sock[i] >= 0;
}
