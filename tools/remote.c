#include "tools/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "config/util.h"
#include "tools/qemu/remains.h"
#include "tools/shim/shim.h"

/* A shim that has answered cleans up; for so long is looked whether it has. */
#define GONE_TRIES 500
#define GONE_LOOK_MS 10L

static int split(const char *target, struct remote *r, struct err *e)
{
	const char *slash = strchr(target, '/');
	const size_t n = slash ? (size_t)(slash - target) : strlen(target);
	const char *container = slash ? slash + 1 : "";

	if (n >= sizeof(r->name))
		return err_set(e, EINVAL, "'%.60s' is no name of a sandbox",
			       target);
	if (strlen(container) >= sizeof(r->container) ||
	    (slash && *container == '\0'))
		return err_set(e, EINVAL, "'%.60s' names no container", target);
	memcpy(r->name, target, n);
	r->name[n] = '\0';
	memcpy(r->container, container, strlen(container) + 1);
	return 0;
}

int remote_open_in(const char *target, struct remote *r, struct err *e)
{
	char path[RUNDIR_MAX + 16];
	char left[REMAINS_PATH_MAX];
	cleanup_fd fd = -1;
	int n;

	*r = (struct remote){ 0 };
	n = split(target, r, e);
	if (n == 0)
		n = rundir_find(rundir_base(), r->name, r->dir, e);
	if (n == -ENOENT &&
	    remains_find(rundir_base(), r->name, left, NULL) == 0)
		return err_set(e, ENOENT,
			       "no sandbox %s; what it left is in %s", r->name,
			       left);
	if (n < 0)
		return n;
	(void)snprintf(path, sizeof(path), "%s/" SHIM_SOCKET, r->dir);
	n = ttrpc_dial(path, &fd, e);
	if (n == -ECONNREFUSED || n == -ENOENT)
		return err_set(e, ENOENT,
			       "the shim of %s has died; 'ferry gc' cleans up",
			       r->name);
	if (n == 0)
		n = loop_new(&r->loop, e);
	if (n == 0)
		n = ttrpc_client_new(r->loop, fd, NULL, NULL, &r->client, e);
	if (n == 0)
		(void)fd_take(&fd);
	return n;
}

int remote_open(const char *sandbox, struct remote *r, struct err *e)
{
	if (!strchr(sandbox, '/'))
		return remote_open_in(sandbox, r, e);
	*r = (struct remote){ 0 };
	return err_set(e, EINVAL,
		       "'%.60s': want a sandbox, not a container in it",
		       sandbox);
}

void remote_close(struct remote *r)
{
	ttrpc_client_free(r->client);
	loop_free(r->loop);
	r->client = NULL;
	r->loop = NULL;
}

static int error_of(enum ttrpc_code code)
{
	switch ((int)code) {
	case TTRPC_INVALID_ARGUMENT:
		return EINVAL;
	case TTRPC_NOT_FOUND:
		return ENOENT;
	case TTRPC_ALREADY_EXISTS:
		return EEXIST;
	case TTRPC_DEADLINE_EXCEEDED:
		return ETIMEDOUT;
	case TTRPC_UNAVAILABLE:
		return ENOTCONN;
	default:
		return EIO;
	}
}

/* Bytes of @n at @s that a terminal would obey: 0, 1, or 2 with the eighth bit. */
static size_t control(const char *s, size_t n)
{
	const unsigned char c = (unsigned char)s[0];
	const unsigned char next = n > 1 ? (unsigned char)s[1] : 0;

	if (c == 0xc2 && next >= 0x80 && next < 0xa0)
		return 2;
	return c < ' ' || c == 0x7f;
}

void remote_plain(char *s)
{
	size_t n;

	for (size_t left = strlen(s); left > 0; s += n, left -= n) {
		n = control(s, left);
		memset(s, '?', n);
		n = n ? n : 1;
	}
}

void remote_show(FILE *to, const char *s, size_t len)
{
	while (len > 0) {
		const bool keep = *s == '\n' || *s == '\t';
		const size_t n = keep ? 0 : control(s, len);

		/* A serial console has one at the end of each line. */
		if (n == 0 || !(len > 1 && s[0] == '\r' && s[1] == '\n'))
			(void)putc(n ? '?' : *s, to); /* main asks ferror() */
		s += n ? n : 1;
		len -= n ? n : 1;
	}
}

void remote_answered(void *ctx, enum ttrpc_code code, const char *text,
		     const ProtobufCMessage *m)
{
	struct remote_wait *w = ctx;

	w->over = true;
	w->code = code;
	if (code != TTRPC_OK) {
		w->result = err_set(w->e, error_of(code), "%s", text);
		remote_plain(w->e->text);
	} else if (w->got) {
		w->got(w->ctx, m);
	}
}

int remote_ask(struct remote *r, const char *method,
	       const ProtobufCMessage *request,
	       const ProtobufCMessageDescriptor *response,
	       void (*got)(void *ctx, const ProtobufCMessage *m), void *ctx,
	       int64_t timeout_ms, struct err *e)
{
	struct remote_wait w = { .e = e, .got = got, .ctx = ctx };
	const struct ttrpc_ask ask = {
		.service = r->service ? r->service : "Ferry",
		.method = method,
		.request = request,
		.response = response,
		.timeout_ms = timeout_ms,
		.done = remote_answered,
		.ctx = &w,
	};
	int n = ttrpc_client_call(r->client, &ask, e);

	while (n >= 0 && !w.over)
		n = loop_turn(r->loop, -1, e);
	if (w.over)
		r->code = w.code;
	return n < 0 ? n : w.result;
}

/* The shim keeps its folder locked until it has removed it (rundir.h). */
static void wait_until_gone(int dir)
{
	const struct timespec again = { .tv_nsec = GONE_LOOK_MS * 1000000L };

	for (int i = 0; i < GONE_TRIES && flock(dir, LOCK_SH | LOCK_NB) < 0;
	     i++)
		(void)nanosleep(&again, NULL);
}

int remote_stop(struct remote *r, bool force, struct err *e)
{
	FerryStopRequest q = FERRY_STOP_REQUEST__INIT;
	cleanup_fd dir = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int n;

	q.force = force;
	r->service = NULL;
	n = remote_ask(r, "Stop", &q.base, NULL, NULL, NULL, REMOTE_STOP_MS, e);
	if (n == 0 && dir >= 0)
		wait_until_gone(dir);
	return n;
}
