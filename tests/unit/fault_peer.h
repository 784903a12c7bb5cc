/*
 * tests/unit/fault_peer.h - a host for which the n-th call of its agent fails
 *
 * A scene is a number of requests that leaves nothing behind. It is played
 * again and again, each time with the next call failing, and then once more for
 * each place in the program whose turn had not come, because children run side
 * by side and calls change their numbers. Each request must be answered, or its
 * connection must end; afterwards the agent serves as before, and has as many
 * descriptors as before.
 *
 * FERRY_FAULT_TEST=PATTERN plays some tests only, FERRY_FAULT_FROM=N begins with
 * call N, FERRY_FAULT_SHOW=1 tells of each.
 */
#ifndef FERRY_TESTS_UNIT_FAULT_PEER_H
#define FERRY_TESTS_UNIT_FAULT_PEER_H

#include "tests/unit/container_peer.h"
#include "tests/unit/faults.h"

#include <dirent.h>
#include <time.h>

#define FAULT_STRIDE 41 /* in make check */
#define FAULT_MOST 20000
#define FAULT_ROUNDS 5 /* that a place is not hit before it is given up */
#define SETTLE_TRIES 500
#define LOST 1u /* a result that no agent gives */

/**
 * struct scene - requests that leave nothing behind
 * @life:	all of it. Return: did everything succeed?
 * @clear:	takes away what a life with a fault in it has left
 */
struct scene {
	bool (*life)(void);
	void (*clear)(void);
};

static struct peer peer;
static int64_t nth; /* the call that fails */
static unsigned int lost;
static char failed[sizeof(faults->name)]; /* the function that did */
static size_t failed_at;		  /* as objdump and addr2line have it */
static char refused[256]; /* the first answer that was no success */

extern const char __executable_start[]; /* NOLINT: the linker's name */

static size_t fault_address(uintptr_t at)
{
	return at == 0 ? 0 : at - (uintptr_t)__executable_start;
}

/* Keeps what failed. */
static void told(void)
{
	(void)snprintf(failed, sizeof(failed), "%s", faults->name);
	failed_at = fault_address(faults->where);
}

/* --- a host that lives with lost connections ------------------------------- */

static void again(void)
{
	lost++;
	fd_close(&peer.fd);
	for (int i = 0; i < 100 && !peer_ready(peer.listener, POLLIN, 100); i++)
		if (!peer_agent_lives(&peer))
			break;
	if (faults->where)
		told();
	if (!peer_agent_lives(&peer))
		fail_msg("the agent is gone");
	peer_accept(&peer);
	peer_negotiate(&peer);
}

static bool send_frame(uint32_t type, uint64_t id, const char *body)
{
	static uint8_t frame[65536];
	const size_t n = peer_frame_put(frame, type, id, body);

	peer_waiting[id] = true;
	return fd_write_full(peer.fd, frame, n) == 0;
}

/* Return: the result, LOST: the connection ended before the answer */
static uint32_t call(uint32_t type, const char *body, struct peer_frame *f)
{
	const uint64_t id = peer.next_id++;

	if (!send_frame(type, id, body)) {
		(void)snprintf(refused, sizeof(refused), "0x%x not sent", type);
		again();
		return LOST;
	}
	while (peer_recv_any(&peer, f)) {
		if (f->type >> 28 == WIRE_NOTIFICATION)
			continue;
		if (f->id != id)
			continue;
		if (peer_result(f) != HR_OK && refused[0] == '\0')
			(void)snprintf(refused, sizeof(refused), "0x%x: %.200s",
				       type, f->body);
		return peer_result(f);
	}
	(void)snprintf(refused, sizeof(refused), "0x%x: lost", type);
	again();
	return LOST;
}

/* --- afterwards ------------------------------------------------------------ */

static char there[65536]; /* between two lives */

static int descriptors(void)
{
	char path[64];
	DIR *d;
	int n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", peer.agent);
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		(void)closedir(d);
	return n;
}

/* Mounts, calls of the runtime, and cgroups with names of these tests. */
static const char *what_is_there(void)
{
	static char text[65536];
	FILE *f = popen("cut -d' ' -f5 /proc/self/mountinfo | grep ^/run; "
			"find /run/gcsrunc; find /sys/fs/cgroup -path '*pods*' "
			"'(' -name bound -o -name f -o -name t -o -name pod "
			"-o -name work ')' | sort",
			"re"); /* NOLINT: our own */
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)pclose(f);
	return text;
}

static void nothing_is_left(void)
{
	const char *now = "";

	for (int i = 0; i < SETTLE_TRIES; i++) {
		now = what_is_there();
		if (strcmp(now, there) == 0)
			return;
		(void)usleep(10000);
	}
	fail_msg("call %" PRId64 ", %s at 0x%zx leaves\n%s\nbefore\n%s", nth,
		 failed, failed_at, now, there);
}

static void serves_as_before(const struct scene *s, int before)
{
	int now = 0;

	faults_arm(0);
	if (!peer_agent_lives(&peer))
		fail_msg("the agent is gone");
	s->clear();
	nothing_is_left();
	refused[0] = '\0';
	if (!s->life())
		fail_msg("it does not serve any more: %s", refused);
	for (int i = 0; i < SETTLE_TRIES; i++) {
		now = descriptors();
		if (now <= before)
			return;
		(void)usleep(10000);
	}
	fail_msg("%d descriptors, before %d", now, before);
}

/* --- every call ------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One life with a fault in it. Return: was there one? */
static bool faulty_life(const struct scene *s, int before, uintptr_t only)
{
	const int64_t from = now_ms();
	bool good, hit;

	/* Ids are used once; a new host begins anew. */
	if (peer.next_id > PEER_IDS - 1000) {
		peer_drop(&peer, true);
		peer_accept(&peer);
		peer_negotiate(&peer);
	}
	faults_arm_at(only ? 1 : nth, only);
	good = s->life();
	hit = faults->name[0] != '\0';
	told();
	if (getenv("FERRY_FAULT_SHOW"))
		print_message("%lld %s %s at 0x%zx, %lld ms\n", (long long)nth,
			      failed, good ? "unseen" : "told", failed_at,
			      (long long)(now_ms() - from));
	serves_as_before(s, before);
	return hit;
}

/* Those whose number was another one's each time. Return: how many */
static unsigned int places_left(const struct scene *s, int before)
{
	unsigned int n = 0;

	for (size_t i = 0; i < FAULT_PLACES; i++) {
		const struct fault_place *p = &faults->places[i];

		for (int r = 0; r < FAULT_ROUNDS && p->at && !p->failed; r++)
			n += faulty_life(s, before, p->at);
		if (p->at && !p->failed)
			print_message("%s at 0x%zx came once only\n", p->name,
				      fault_address(p->at));
	}
	return n;
}

static unsigned int places(bool all)
{
	unsigned int n = 0;

	for (size_t i = 0; i < FAULT_PLACES; i++)
		n += faults->places[i].at && (all || faults->places[i].failed);
	return n;
}

static void every_call_fails_once(const struct scene *s)
{
	const char *soak = getenv("FERRY_SOAK");
	const char *from = getenv("FERRY_FAULT_FROM");
	const bool full = soak && strcmp(soak, "1") == 0;
	unsigned int n = 0, more = 0;
	int before;

	memset(faults->places, 0, sizeof(faults->places));
	lost = 0;
	refused[0] = '\0';
	if (!s->life()) {
		print_message("skipped: %s\n", refused);
		skip(); /* no overlay in this namespace */
	}
	assert_true(s->life());
	(void)usleep(300000);
	s->clear();
	(void)snprintf(there, sizeof(there), "%s", what_is_there());
	before = descriptors();
	for (nth = from ? atoll(from) : 1; nth < FAULT_MOST;
	     nth += full ? 1 : FAULT_STRIDE) {
		if (!faulty_life(s, before, 0))
			break;
		n++;
	}
	assert_true(nth < FAULT_MOST);
	if (full && !from)
		more = places_left(s, before);
	print_message("%u calls failed, then %u, from %u of %u places; %u "
		      "connections lost\n",
		      n, more, places(false), places(true), lost);
	nth = 0;
}

#endif
