/*
 * tests/e2e/movehold.c - stands between `ferry migrate` and its door, and holds
 * a move at one step
 *
 * usage: movehold LISTEN DOOR before:METHOD|after:METHOD|memory:BYTES|nothing
 *        movehold LISTEN DOOR swap:OLD:NEW
 *
 * Hands everything on, but for one thing: the first request of that method, the
 * answer to it, or memory behind so many bytes. Says "held" then, and waits:
 * SIGUSR1 lets it go on, SIGUSR2 cuts both connections. Whatever else is said on
 * the control connection goes on meanwhile, so that nobody is taken for dead.
 * A request that was overtaken has a new number then, for numbers must rise.
 * swap writes another text of the same length into what containers are there.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/endpoint.h"
#include "tools/ttrpc/wire.h"

#define BYTES ((size_t)65536)

enum { TOOL, DOOR, ENDS };
enum { CONTROL, DATA, PAIRS };

enum hold { HOLD_NOTHING, HOLD_BEFORE, HOLD_AFTER, HOLD_MEMORY };

struct pair {
	int fd[ENDS];
	uint64_t bytes; /* from the tool */
};

struct relay {
	int listen_fd;
	const char *door;
	enum hold hold;
	const char *method;
	uint64_t after_bytes;
	struct pair pair[PAIRS];
	const char *old, *new;	   /* NULL: nothing is swapped */
	uint32_t last;		   /* number of the tool's newest request */
	uint32_t held_id, late_id; /* of one that was overtaken; 0: none was */
	bool armed;		   /* the answer of @stream is to be held */
	uint32_t stream;
	char *frame; /* held */
	size_t frame_len;
	int frame_to;
	bool held;
	bool done; /* it was held once */
};

static volatile sig_atomic_t go_on, cut;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		go_on = 1;
	else
		cut = 1;
}

static void close_pair(struct pair *p)
{
	fd_close(&p->fd[TOOL]);
	fd_close(&p->fd[DOOR]);
}

static void say_held(struct relay *r)
{
	r->held = r->done = true;
	(void)printf("held\n");
	(void)fflush(stdout);
}

static uint32_t number_of(const char *frame)
{
	return (uint32_t)(uint8_t)frame[4] << 24 |
	       (uint32_t)(uint8_t)frame[5] << 16 |
	       (uint32_t)(uint8_t)frame[6] << 8 | (uint8_t)frame[7];
}

static void put_number(char *frame, uint32_t number)
{
	frame[4] = (char)(number >> 24);
	frame[5] = (char)(number >> 16);
	frame[6] = (char)(number >> 8);
	frame[7] = (char)number;
}

/* What comes behind one that was overtaken has moved by one request. */
static void renumber(struct relay *r, int from, char *frame)
{
	const uint32_t number = number_of(frame);

	if (from == TOOL)
		r->last = number;
	if (r->late_id == 0)
		return;
	if (from == TOOL)
		put_number(frame, number + 2);
	else if (number == r->late_id)
		put_number(frame, r->held_id);
	else if (number > r->late_id)
		put_number(frame, number - 2);
}

static void release(struct relay *r)
{
	r->held = false;
	if (r->frame && r->frame_to == DOOR && r->last > number_of(r->frame)) {
		r->held_id = number_of(r->frame);
		r->late_id = r->last + 2;
		put_number(r->frame, r->late_id);
	}
	if (r->frame && r->pair[CONTROL].fd[r->frame_to] >= 0)
		(void)fd_write_full(r->pair[CONTROL].fd[r->frame_to], r->frame,
				    r->frame_len);
	free(r->frame);
	r->frame = NULL;
}

/* Is this the frame that is waited for? */
static bool is_it(struct relay *r, int from, const char *frame, size_t len)
{
	const struct ttrpc_header h = {
		.stream = number_of(frame),
		.type = (uint8_t)frame[8],
	};

	if (r->done || r->hold == HOLD_NOTHING || r->hold == HOLD_MEMORY)
		return false;
	if (from == DOOR)
		return r->armed && h.stream == r->stream;
	if (h.type != TTRPC_REQUEST || r->armed ||
	    !memmem(frame + TTRPC_HEADER_SIZE, len - TTRPC_HEADER_SIZE,
		    r->method, strlen(r->method)))
		return false;
	if (r->hold == HOLD_BEFORE)
		return true;
	r->armed = true;
	r->stream = h.stream;
	return false;
}

static void swap(const struct relay *r, char *frame, size_t len)
{
	const size_t n = strlen(r->old);
	char *at;

	if (!memmem(frame, len, "Adopt", strlen("Adopt")))
		return;
	while ((at = memmem(frame, len, r->old, n)))
		memcpy(at, r->new, n);
}

/* One frame of the control connection. */
static bool relay_frame(struct relay *r, int from)
{
	struct pair *p = &r->pair[CONTROL];
	char head[TTRPC_HEADER_SIZE];
	size_t n;
	char *frame;
	bool ok;

	if (fd_read_full(p->fd[from], head, sizeof(head)) !=
	    (ssize_t)sizeof(head))
		return false;
	n = (size_t)(uint8_t)head[0] << 24 | (size_t)(uint8_t)head[1] << 16 |
	    (size_t)(uint8_t)head[2] << 8 | (size_t)(uint8_t)head[3];
	frame = n <= TTRPC_DATA_MAX ? malloc(sizeof(head) + n) : NULL;
	if (!frame)
		return false;
	memcpy(frame, head, sizeof(head));
	n += sizeof(head);
	ok = fd_read_full(p->fd[from], frame + sizeof(head),
			  n - sizeof(head)) == (ssize_t)(n - sizeof(head));
	if (ok && is_it(r, from, frame, n)) {
		r->frame = frame;
		r->frame_len = n;
		r->frame_to = !from;
		say_held(r);
		return true;
	}
	if (ok)
		renumber(r, from, frame);
	if (ok && from == TOOL && r->old)
		swap(r, frame, n);
	ok = ok && fd_write_full(p->fd[!from], frame, n) == 0;
	free(frame);
	return ok;
}

static bool relay_data(struct relay *r, int from)
{
	static char bytes[BYTES];
	struct pair *p = &r->pair[DATA];
	const ssize_t n = recv(p->fd[from], bytes, sizeof(bytes), 0);

	if (n <= 0 || fd_write_full(p->fd[!from], bytes, (size_t)n) < 0)
		return false;
	if (from == TOOL)
		p->bytes += (uint64_t)n;
	if (r->hold == HOLD_MEMORY && !r->done && p->bytes >= r->after_bytes)
		say_held(r);
	return true;
}

/* The first words of both go through as lines. */
static void on_connection(struct relay *r)
{
	cleanup_fd tool = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	cleanup_fd door = -1;
	char line[ENDPOINT_LINE_MAX];
	char words[ENDPOINT_LINE_MAX + 1];
	struct pair *p;
	struct err e;

	if (tool < 0 || endpoint_hear(tool, line, &e) < 0 ||
	    endpoint_dial(r->door, &door, &e) < 0)
		return;
	p = &r->pair[strstr(line, " " ENDPOINT_DATA " ") ? DATA : CONTROL];
	(void)snprintf(words, sizeof(words), "%s\n", line);
	if (endpoint_say(door, words, &e) < 0 ||
	    endpoint_hear(door, line, &e) < 0)
		return;
	(void)snprintf(words, sizeof(words), "%s\n", line);
	if (endpoint_say(tool, words, &e) < 0)
		return;
	close_pair(p);
	*p = (struct pair){ .fd = { fd_take(&tool), fd_take(&door) } };
}

static short wanted(const struct relay *r, int pair, int end)
{
	/* Memory that is held is not read. */
	return pair == DATA && end == TOOL && r->held && r->hold == HOLD_MEMORY
		       ? 0
		       : POLLIN;
}

static int serve(struct relay *r)
{
	bool began = false;

	for (;;) {
		struct pollfd p[1 + PAIRS * ENDS] = { { .fd = r->listen_fd,
							.events = POLLIN } };

		for (int i = 0; i < PAIRS * ENDS; i++)
			p[1 + i] = (struct pollfd){
				.fd = r->pair[i / ENDS].fd[i % ENDS],
				.events = wanted(r, i / ENDS, i % ENDS),
			};
		if (ppoll(p, ARRAY_LEN(p), NULL, &(sigset_t){ 0 }) < 0 &&
		    errno != EINTR)
			return 1;
		if (cut) {
			close_pair(&r->pair[CONTROL]);
			close_pair(&r->pair[DATA]);
			return 0;
		}
		if (go_on && r->held)
			release(r);
		for (int i = 0; i < PAIRS * ENDS; i++) {
			struct pair *pair = &r->pair[i / ENDS];

			if (!p[1 + i].revents || pair->fd[i % ENDS] < 0)
				continue;
			if (!(i / ENDS == DATA ? relay_data(r, i % ENDS)
					       : relay_frame(r, i % ENDS)))
				close_pair(pair);
		}
		if (p[0].revents & POLLIN)
			on_connection(r);
		began |= r->pair[CONTROL].fd[TOOL] >= 0;
		if (began && r->pair[CONTROL].fd[TOOL] < 0)
			return 0;
	}
}

static bool parse(struct relay *r, char *what)
{
	char *colon;

	if (strncmp(what, "before:", 7) == 0) {
		r->hold = HOLD_BEFORE;
		r->method = what + 7;
	} else if (strncmp(what, "after:", 6) == 0) {
		r->hold = HOLD_AFTER;
		r->method = what + 6;
	} else if (strncmp(what, "memory:", 7) == 0) {
		r->hold = HOLD_MEMORY;
		r->after_bytes = strtoull(what + 7, NULL, 10);
	} else if (strncmp(what, "swap:", 5) == 0) {
		colon = strchr(what + 5, ':');
		if (!colon || strlen(colon + 1) != (size_t)(colon - what - 5) ||
		    colon == what + 5)
			return false;
		*colon = '\0';
		r->old = what + 5;
		r->new = colon + 1;
	} else if (strcmp(what, "nothing") != 0) {
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct sigaction act = { .sa_handler = on_signal };
	struct relay r = { .pair = { { .fd = { -1, -1 } },
				     { .fd = { -1, -1 } } } };
	sigset_t set;
	struct err e;

	if (argc != 4 || !parse(&r, argv[3])) {
		(void)fprintf(stderr, "usage: movehold LISTEN DOOR STEP\n");
		return 2;
	}
	r.door = argv[2];
	/* They come while we wait, and only then. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGUSR1, &act, NULL);
	(void)sigaction(SIGUSR2, &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (endpoint_listen(argv[1], &r.listen_fd, &e) < 0) {
		(void)fprintf(stderr, "movehold: %s\n", e.text);
		return 1;
	}
	return serve(&r);
}
