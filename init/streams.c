#include "init/streams.h"

#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "init/clock.h"
#include "init/dial.h"

#define STREAMS 3

/* The stream before @i that has the same port, or @i itself. */
static int shared_with(const uint32_t ports[STREAMS], int i)
{
	for (int j = 0; j < i; j++)
		if (ports[j] == ports[i])
			return j;
	return i;
}

static int connect_all(const struct transport *t, const uint32_t ports[STREAMS],
		       int fds[STREAMS], struct err *e)
{
	int r;

	for (int i = 0; i < STREAMS; i++) {
		if (ports[i] == 0 || shared_with(ports, i) != i)
			continue;
		r = dial(t, ports[i], clock_ms() + STREAMS_DEADLINE_MS, &fds[i],
			 e);
		if (r == 0)
			r = fd_nonblock(fds[i], false);
		if (r < 0)
			return r;
	}
	return 0;
}

static int move_all(const uint32_t ports[STREAMS], const int fds[STREAMS],
		    struct err *e)
{
	for (int i = 0; i < STREAMS; i++) {
		if (ports[i] == 0)
			continue;
		if (dup2(fds[shared_with(ports, i)], i) < 0)
			return err_sys(e, "descriptor %d", i);
	}
	return 0;
}

int streams_connect(const struct transport *t, const uint32_t ports[3],
		    struct err *e)
{
	int fds[STREAMS] = { -1, -1, -1 };
	int r = connect_all(t, ports, fds, e);

	if (r == 0)
		r = move_all(ports, fds, e);
	for (int i = 0; i < STREAMS; i++)
		fd_close(&fds[i]);
	return r;
}
