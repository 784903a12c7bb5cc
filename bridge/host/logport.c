#include "bridge/host/logport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bridge/host/listener.h"
#include "bridge/io/fd.h"
#include "bridge/msg.h"
#include "bridge/schema.h"
#include "bridge/wire.h"
#include "config/text.h"
#include "config/util.h"

#define READ_SIZE 16384u
/* Reads of one event; others get their turn then. */
#define STEPS_PER_EVENT 8
/* What one decoded line may take. */
#define DECODE_MAX ((size_t)256 * 1024)

struct host_logport {
	struct loop *loop;
	struct host_listener listener;
	int fd;
	struct loop_id watch;
	host_log_fn *line;
	void (*ended)(void *ctx);
	void *ctx;
	size_t len;
	bool cut;
	char raw[LOGPORT_LINE_MAX + 1];
	char safe[4 * LOGPORT_LINE_MAX + 8];
	struct arena arena;
};

/* What ferry wants to know of a line. */
struct log_record {
	const char *level;
	const char *msg;
};

static const struct schema_member record_members[] = {
	SCHEMA_STRING(struct log_record, level, "level", SCHEMA_OPTIONAL),
	SCHEMA_STRING(struct log_record, msg, "msg", SCHEMA_OPTIONAL),
};
static const struct schema record_schema =
	SCHEMA(struct log_record, record_members);

static enum log_level level_of(const char *name)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{ "panic", LOG_LEVEL_ERR },   { "fatal", LOG_LEVEL_ERR },
		{ "error", LOG_LEVEL_ERR },   { "warning", LOG_LEVEL_WARN },
		{ "warn", LOG_LEVEL_WARN },   { "debug", LOG_LEVEL_DEBUG },
		{ "trace", LOG_LEVEL_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (strcasecmp(name, levels[i].name) == 0)
			return levels[i].level;
	return LOG_LEVEL_INFO;
}

/* Hands on the line in @raw; each line stands for itself. */
static void emit(struct host_logport *p)
{
	struct log_record record = { 0 };
	struct host_log_line line = { .level = LOG_LEVEL_INFO, .cut = p->cut };
	const char *msg = p->raw;
	struct text safe;

	p->raw[p->len] = '\0';
	if (p->len > 0 && p->raw[0] == '{' && !p->cut &&
	    msg_decode(&record_schema, p->raw, p->len, &p->arena, &record,
		       NULL) == 0 &&
	    record.msg[0] != '\0') {
		line.json = true;
		line.level = level_of(record.level);
		msg = record.msg;
	}
	text_fixed(&safe, p->safe, sizeof(p->safe));
	text_quote(&safe, msg, LOGPORT_LINE_MAX);
	line.msg = text_str(&safe);
	if (p->len > 0)
		p->line(p->ctx, &line);
	arena_reset(&p->arena);
	p->len = 0;
	p->cut = false;
}

static void take(struct host_logport *p, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char c = bytes[i];

		if (c == '\n')
			emit(p);
		else if (p->len == LOGPORT_LINE_MAX)
			p->cut = true;
		else if (c != '\r')
			p->raw[p->len++] = c != '\0' ? c : '?';
	}
}

static void hang_up(struct host_logport *p)
{
	loop_unwatch(p->loop, &p->watch);
	fd_close(&p->fd);
}

static void on_ready(void *ctx, uint32_t events)
{
	struct host_logport *p = ctx;
	char buf[READ_SIZE];
	ssize_t n = 1;

	(void)events;
	for (int i = 0; i < STEPS_PER_EVENT && n > 0; i++) {
		n = recv(p->fd, buf, sizeof(buf), 0);
		if (n > 0)
			take(p, buf, (size_t)n);
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	hang_up(p);
	emit(p); /* the beginning of a line whose end never came */
	if (p->ended)
		p->ended(p->ctx);
}

static void on_dialled(void *ctx, int fd, const struct err *e)
{
	struct host_logport *p = ctx;

	(void)e;
	p->fd = fd;
	if (fd >= 0 &&
	    loop_watch(p->loop, fd, EPOLLIN, on_ready, p, &p->watch, NULL) == 0)
		return;
	fd_close(&p->fd);
	if (p->ended)
		p->ended(p->ctx);
}

int host_logport_arm(struct host_logport *p, struct err *e)
{
	if (p->fd >= 0 || host_listener_active(&p->listener))
		return 0;
	return host_listener_start(&p->listener, WIRE_PORT_LOG, -1, e);
}

int host_logport_new(struct loop *loop, const struct transport *t,
		     host_log_fn *line, void (*ended)(void *ctx), void *ctx,
		     struct host_logport **ret, struct err *e)
{
	struct host_logport *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ENOMEM, "no memory for the log port");
	p->loop = loop;
	p->fd = -1;
	p->line = line;
	p->ended = ended;
	p->ctx = ctx;
	arena_init(&p->arena, DECODE_MAX);
	host_listener_init(&p->listener, loop, t, on_dialled, p);
	r = host_logport_arm(p, e);
	if (r < 0) {
		host_logport_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void host_logport_free(struct host_logport *p)
{
	if (!p)
		return;
	host_listener_stop(&p->listener);
	hang_up(p);
	arena_done(&p->arena);
	free(p);
}
