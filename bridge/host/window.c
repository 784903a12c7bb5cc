/*
 * The migration window of a client, declared in bridge/host/client.h: what
 * happens to the bridge while the VM may be moved away, and how it comes back.
 */
#include "bridge/host/client_parts.h"

#include <errno.h>

#include "bridge/io/fd.h"
#include "bridge/wire.h"

void host_client_set_migrating(struct host_client *c, bool migrating)
{
	if (c->migrating == migrating || c->state == HOST_FAILED)
		return;
	c->migrating = migrating;
	/* In the window it is the controller who decides when to give up. */
	loop_cancel(c->config.loop, &c->give_up);
	if (migrating || c->state == HOST_READY)
		return;
	(void)client_limit(c, c->config.reconnect_timeout_ms, NULL);
	if (c->state != HOST_PARKED)
		return;
	c->state = HOST_LISTENING;
	c->retry_ms = 0;
	client_listen_again(c);
}

bool host_client_migrating(const struct host_client *c)
{
	return c->migrating;
}

bool host_client_connected(const struct host_client *c)
{
	return c->state == HOST_READY;
}

/* Ends a resume that is under way; its callback is the last thing. */
void client_resume_over(struct host_client *c, const struct err *why)
{
	const struct resume was = c->resume;

	if (!was.active)
		return;
	if (was.pinging)
		host_pending_cancel(&c->calls, was.ping);
	loop_cancel(c->config.loop, &c->resume.timer);
	c->resume = (struct resume){ 0 };
	if (was.done)
		was.done(was.ctx, why);
}

void client_park(struct host_client *c, const struct err *why)
{
	const bool was_ready = c->state == HOST_READY;
	const uint64_t unsent = host_conn_unsent(&c->conn);

	host_listener_stop(&c->listener);
	loop_cancel(c->config.loop, &c->retry);
	host_conn_close(&c->conn);
	c->state = HOST_PARKED;
	client_calls_lost(c, unsent, why);
	if (was_ready)
		host_observer_lost(&c->observers, why);
}

static void on_resume_timeout(void *ctx)
{
	struct host_client *c = ctx;
	struct err e = { 0 };

	(void)err_set(&e, ETIMEDOUT, "the guest did not come back in time%s%s",
		      c->last_err.code ? ": " : "", c->last_err.text);
	if (c->migrating && c->state != HOST_READY)
		client_park(c, &e);
	client_resume_over(c, &e);
}

/* Any answer shows that there is a guest behind the connection. */
static void on_ping(void *ctx, const void *result, const struct host_failure *f)
{
	struct host_client *c = ctx;

	c->resume.pinging = false;
	if (result || f->kind == HOST_FAIL_REFUSED ||
	    f->kind == HOST_FAIL_GARBLED)
		client_resume_over(c, NULL);
	else if (f->kind == HOST_FAIL_TIMEOUT)
		client_lose(c, &f->err);
	/* Lost meanwhile: the client listens again, and the resume waits. */
}

/* Nobody has this pid: the guest says so at once. */
static int ping(struct host_client *c, struct err *e)
{
	const struct msg_wait_for_process m = {
		.base = { .container_id = WIRE_NULL_ID,
			  .activity_id = WIRE_NULL_ID },
		.process_id = UINT32_MAX,
	};
	const struct host_call call = {
		.type = WIRE_WAIT_FOR_PROCESS,
		.request = &msg_wait_for_process_schema,
		.message = &m,
		.response = &msg_wait_for_process_result_schema,
		.response_size = sizeof(struct msg_wait_for_process_result),
		.timeout_ms = HOST_PING_TIMEOUT_MS,
		.done = on_ping,
		.ctx = c,
	};
	int r = host_pending_start(&c->calls, &call, NULL, &c->resume.ping, e);

	c->resume.pinging = r == 0;
	return r;
}

/* Makes a client that does not listen yet do so. Return: 0 or -errno. */
static int listen_for_resume(struct host_client *c, struct err *e)
{
	int r;

	if (c->state != HOST_PARKED)
		return 0; /* it does, or will */
	r = host_listener_start(&c->listener, WIRE_PORT_BRIDGE, HOST_NO_TIMEOUT,
				e);
	if (r == 0)
		c->state = HOST_LISTENING;
	c->retry_ms = 0;
	return r;
}

int host_client_resume(struct host_client *c, int timeout_ms,
		       host_resumed_fn *done, void *ctx, struct err *e)
{
	struct loop *l = c->config.loop;
	int r = 0;

	if (c->resume.active)
		return err_set(e, EALREADY, "a resume is under way");
	if (c->state == HOST_FAILED)
		return err_set(e, ENOTCONN, "the bridge has failed");
	if (timeout_ms >= 0)
		r = loop_at(l, loop_now_ms(l) + timeout_ms, on_resume_timeout,
			    c, &c->resume.timer, e);
	if (r == 0)
		r = c->state == HOST_READY ? ping(c, e)
					   : listen_for_resume(c, e);
	if (r < 0) {
		loop_cancel(l, &c->resume.timer);
		return r;
	}
	c->resume.active = true;
	c->resume.done = done;
	c->resume.ctx = ctx;
	return 0;
}

int host_client_resume_on(struct host_client *c, int fd, struct err *e)
{
	struct err why = { 0 };
	int r;

	if (!c->migrating || c->state == HOST_FAILED) {
		fd_close(&fd);
		return err_set(e, EINVAL,
			       "a new connection is not expected now");
	}
	(void)err_set(&why, ECONNRESET, "the connection was replaced");
	client_park(c, &why);
	r = fd_nonblock(fd, true);
	if (r < 0) {
		fd_close(&fd);
		return err_set(e, -r, "the new connection is of no use");
	}
	r = client_serve(c, fd, &why);
	if (r < 0) {
		client_park(c, &why);
		if (e)
			*e = why;
	}
	return r;
}
