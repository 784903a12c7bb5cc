#include "init/drain.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

#define CHUNK 8192u

int drain_open(struct drain *d, struct err *e)
{
	int ends[2];

	*d = (struct drain){ .fd = -1, .writer = -1 };
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "log pipe");
	d->fd = ends[0];
	d->writer = ends[1]; /* stays blocking: the agent's own choice */
	return fd_nonblock(d->fd, true);
}

enum klog_level drain_level(const char *line)
{
	static const struct {
		const char *word;
		enum klog_level level;
	} words[] = {
		{ "trace", KLOG_INFO }, { "debug", KLOG_INFO },
		{ "info", KLOG_INFO },	{ "warn", KLOG_WARN },
		{ "err", KLOG_ERR },	{ "fatal", KLOG_ERR },
		{ "panic", KLOG_ERR },
	};
	static const char *const keys[] = { "\"level\":\"", "level=" };
	const char *at = line;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *key = strstr(line, keys[i]);

		if (key && at == line)
			at = key + strlen(keys[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strncmp(at, words[i].word, strlen(words[i].word)) == 0)
			return words[i].level;
	return *line == '{' ? KLOG_INFO : KLOG_WARN;
}

/* The line is complete: should somebody hear it? */
static void say(struct drain *d, int64_t now_ms)
{
	d->line[d->len] = '\0';
	if (d->len == 0 || drain_level(d->line) > KLOG_WARN)
		return;
	if (d->second != now_ms / 1000) {
		if (d->muted > 0)
			klog_aloud("agent: %u more in the log ring", d->muted);
		d->second = now_ms / 1000;
		d->aloud = 0;
		d->muted = 0;
	}
	if (d->aloud++ < DRAIN_ALOUD_MAX)
		klog_aloud("agent: %s", d->line);
	else
		d->muted++;
}

static void look_at(struct drain *d, const char *data, size_t len,
		    int64_t now_ms)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			say(d, now_ms);
			d->len = 0;
		} else if (d->len < sizeof(d->line) - 1) {
			d->line[d->len++] = data[i];
		}
	}
}

void drain_turn(struct drain *d, struct ring *ring, int64_t now_ms)
{
	static char chunk[CHUNK];
	size_t total = 0;
	ssize_t n = 1;

	while (n > 0 && total < DRAIN_TURN_MAX) {
		n = read(d->fd, chunk, sizeof(chunk));
		if (n > 0) {
			ring_put(ring, chunk, (size_t)n);
			look_at(d, chunk, (size_t)n, now_ms);
			total += (size_t)n;
		}
	}
}

void drain_last(struct drain *d, struct ring *ring, int64_t now_ms)
{
	if (d->fd < 0)
		return;
	d->aloud = 0;
	drain_turn(d, ring, now_ms);
	look_at(d, "\n", 1, now_ms); /* a line that nobody will end */
}
