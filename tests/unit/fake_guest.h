/*
 * tests/unit/fake_guest.h - the guest's side of a bridge, played by the test
 * itself: it dials unix sockets, reads frames, and sends whatever it likes.
 * While it waits, the loop of the host's side turns. Every wait has a deadline.
 */
#ifndef FERRY_TESTS_UNIT_FAKE_GUEST_H
#define FERRY_TESTS_UNIT_FAKE_GUEST_H

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/frame.h"
#include "bridge/io/fd.h"
#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "bridge/wire.h"
#include "config/util.h"

#define FAKE_PATIENCE_MS 60000

#define FAKE_NEGOTIATED                                                        \
	"{\"Result\":0,\"Version\":4,\"Capabilities\":{"                       \
	"\"SupportedSchemaVersions\":[{\"Major\":2,\"Minor\":1}],"             \
	"\"RuntimeOsType\":\"Linux\",\"GuestDefinedCapabilities\":{"           \
	"\"NamespaceAddRequestSupported\":true,"                               \
	"\"SignalProcessSupported\":true,\"DumpStacksSupported\":true,"        \
	"\"DeleteContainerStateSupported\":true}}}"

/* A folder of sockets, a loop, and one bridge connection. */
struct fake {
	struct loop *loop;
	struct transport transport;
	char dir[32];
	int fd;
	struct frame_reader in;
};

/* A request as it arrived. */
struct fake_request {
	uint32_t type;
	uint64_t id;
	char body[4096];
};

/* Turns the loop until the condition holds; fails the test if it never does. */
#define FAKE_UNTIL(f, condition)                                               \
	do {                                                                   \
		const int64_t end_ =                                           \
			loop_now_ms((f)->loop) + FAKE_PATIENCE_MS;             \
		while (!(condition)) {                                         \
			assert_true(loop_turn((f)->loop, 5, NULL) >= 0);       \
			if (loop_now_ms((f)->loop) > end_)                     \
				fail_msg("waited in vain for %s", #condition); \
		}                                                              \
	} while (0)

static inline void fake_init(struct fake *f)
{
	char text[64];

	memset(f, 0, sizeof(*f));
	f->fd = -1;
	strcpy(f->dir, "/tmp/ferry-host-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(text, sizeof(text), "unix:%s/v", f->dir);
	assert_int_equal(transport_parse(text, &f->transport, NULL), 0);
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	frame_init(&f->in, WIRE_HOST_FRAME_MAX);
}

static inline void fake_hang_up(struct fake *f)
{
	fd_close(&f->fd);
	frame_done(&f->in);
}

/* Number of sockets in the folder: what is listened on now. */
static inline int fake_ports(const struct fake *f)
{
	DIR *d = opendir(f->dir);
	int n = 0;

	assert_non_null(d);
	for (const struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static inline void fake_done(struct fake *f)
{
	fake_hang_up(f);
	loop_free(f->loop);
	assert_int_equal(fake_ports(f), 0); /* nothing is left behind */
	assert_int_equal(rmdir(f->dir), 0);
}

/* One attempt to dial. Return: a socket or -1. */
static inline int fake_try_dial(struct fake *f, uint32_t port)
{
	int fd = -1;

	return transport_dial(&f->transport, port, &fd, NULL) < 0 ? -1 : fd;
}

/* Dials until somebody listens, as the agent does. */
static inline int fake_dial(struct fake *f, uint32_t port)
{
	int fd = -1;

	FAKE_UNTIL(f, (fd = fake_try_dial(f, port)) >= 0);
	return fd;
}

/* Sends bytes, whatever they are. */
static inline void fake_send_raw(struct fake *f, const void *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const ssize_t n = send(f->fd, (const char *)bytes + at,
				       len - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else if (errno != EAGAIN)
			return; /* the host hung up; the test will see it */
		assert_true(loop_turn(f->loop, 0, NULL) >= 0);
	}
}

/* A frame in @buf. Return: its length. */
static inline size_t fake_frame(uint8_t *buf, uint32_t type, uint64_t id,
				const char *body)
{
	const size_t size = WIRE_HEADER_SIZE + strlen(body);

	wire_header_put(buf, &(struct wire_header){ .type = type,
						    .size = (uint32_t)size,
						    .id = id });
	memcpy(buf + WIRE_HEADER_SIZE, body, strlen(body));
	return size;
}

static inline void fake_send(struct fake *f, uint32_t type, uint64_t id,
			     const char *body)
{
	static uint8_t buf[2 * WIRE_GUEST_FRAME_MAX];
	const size_t n = fake_frame(buf, type, id, body);

	fake_send_raw(f, buf, n);
}

/* The answer to a request. */
static inline void fake_answer(struct fake *f, const struct fake_request *r,
			       const char *body)
{
	fake_send(f, wire_response_type(r->type), r->id, body);
}

static inline bool fake_try_read(struct fake *f, struct frame *frame)
{
	void *p;
	size_t room;
	ssize_t n;

	if (frame_next(&f->in, frame, NULL) == 1)
		return true;
	assert_int_equal(frame_room(&f->in, &p, &room, NULL), 0);
	n = recv(f->fd, p, room, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	frame_commit(&f->in, (size_t)n);
	return frame_next(&f->in, frame, NULL) == 1;
}

/* Waits for the host's next request. */
static inline struct fake_request fake_read(struct fake *f)
{
	struct fake_request r = { 0 };
	struct frame frame;

	FAKE_UNTIL(f, fake_try_read(f, &frame));
	r.type = frame.header.type;
	r.id = frame.header.id;
	memcpy(r.body, frame.body,
	       frame.len < sizeof(r.body) ? frame.len : sizeof(r.body) - 1);
	return r;
}

/* As fake_read(), of a given kind. */
static inline struct fake_request fake_expect(struct fake *f, uint32_t type)
{
	const struct fake_request r = fake_read(f);

	if (r.type != type)
		fail_msg("got %s instead of %s", wire_type_name(r.type),
			 wire_type_name(type));
	return r;
}

/* Dials the bridge and negotiates. Return: id of NegotiateProtocol. */
static inline uint64_t fake_connect(struct fake *f)
{
	struct fake_request r;

	f->fd = fake_dial(f, WIRE_PORT_BRIDGE);
	r = fake_expect(f, WIRE_NEGOTIATE_PROTOCOL);
	fake_answer(f, &r, FAKE_NEGOTIATED);
	return r.id;
}

/* Has the host closed the connection? */
static inline bool fake_closed(struct fake *f)
{
	char c;
	const ssize_t n = recv(f->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

#endif
