#include "init/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "init/clock.h"
#include "init/drain.h"
#include "init/end.h"
#include "init/journal.h"
#include "init/klog.h"
#include "init/launch.h"
#include "init/life.h"
#include "init/link.h"
#include "init/program.h"
#include "init/reap.h"
#include "init/reserve.h"
#include "init/serve.h"
#include "init/upgrade.h"

/* PID 1's own descriptors besides the two tables, with a margin. */
#define OWN_FDS 256u

/* Places in the poll table. */
enum place {
	PLACE_SIGNAL,
	PLACE_LINK,
	PLACE_OUT,
	PLACE_ERR,
	PLACES, /* number of places */
};

/*
 * The state of PID 1 after start-up; there is one.
 * @control:	the command is ferry's agent
 * @drained:	its output goes to the ring, whoever's agent it is
 * @restart_ms:	when to start it again, -1: it runs
 */
static struct {
	const struct init_args *args;
	struct ring *ring;
	bool control;
	bool drained;
	int64_t restart_ms;
	int signal_fd;
	struct serve serve;
	struct link link;
	struct drain out;
	struct drain err;
	struct reap reap;
	struct life life;
	struct upgrade upgrade;
} self = {
	.signal_fd = -1,
	.restart_ms = -1,
	.link = { .fd = -1, .serve = &self.serve },
	.out = { .fd = -1, .writer = -1 },
	.err = { .fd = -1, .writer = -1 },
};

/* Only now: children that came before inherited the soft limit of 1024. */
static void raise_own_limit(void)
{
	const rlim_t own = CONTROL_STORE_MAX + CONTROL_PIDS_MAX + OWN_FDS;
	const struct rlimit files = { own, LAUNCH_NOFILE_HARD };

	if (prlimit(0, RLIMIT_NOFILE, &files, NULL) < 0)
		klog(KLOG_WARN, "own limit of descriptors stays low");
}

static void open_signals(void)
{
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	self.signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (self.signal_fd < 0)
		end_power_off(CONTROL_END_FAILED, "no signalfd");
}

/* Without pipes the agent writes where PID 1 would; it starts all the same. */
static void open_drains(void)
{
	struct err e = { 0 };

	if (drain_open(&self.out, &e) == 0 && drain_open(&self.err, &e) == 0)
		return;
	klog(KLOG_WARN, "%s; the agent's output is not kept", e.text);
	self.drained = false;
}

/* Return: 0, or -errno with the reason. */
static int start_command(struct err *e)
{
	cleanup_fd child_end = -1;
	struct launch l = { .argv = self.args->command, .out = -1, .err = -1 };

	if (self.control) {
		upgrade_begin(&self.upgrade, clock_ms());
		serve_begin(&self.serve, life_poisoned(&self.life));
		if (link_open(&self.link, &child_end, e) < 0)
			return -e->code;
	}
	if (self.drained) {
		l.out = self.out.writer;
		l.err = self.err.writer;
	}
	l.control = child_end;
	self.reap.ended = false;
	self.restart_ms = -1;
	return launch_start(&l, &self.reap.awaited, e);
}

static void start_shell(void)
{
	static char *argv[2];
	const struct launch l = { argv, -1, -1, -1 };
	struct err e = { 0 };

	argv[0] = (char *)(uintptr_t)self.args->shell; /* exec takes no const */
	if (launch_start(&l, &self.reap.awaited, &e) < 0)
		end_power_off(CONTROL_END_FAILED, "debug shell %s", e.text);
	klog(KLOG_WARN, "debug shell %s runs; its end is the end",
	     self.args->shell);
}

static void take_last_words(void)
{
	drain_last(&self.out, self.ring, clock_ms());
	drain_last(&self.err, self.ring, clock_ms());
}

/* The one before it is back; what happened says nothing about that one, nor
 * about the state. */
static bool back_from_trial(int status)
{
	char words[64];

	if (!upgrade_ended(&self.upgrade))
		return false;
	life_words(status, words, sizeof(words));
	klog(KLOG_ERR, "agent (incarnation %u) %s", self.serve.incarnation,
	     words);
	self.restart_ms = clock_ms();
	return true;
}

static void after_end(int status)
{
	const char *name =
		self.args->shell ? self.args->shell : self.args->command[0];
	struct life_next next;
	char words[64];

	take_last_words();
	link_finish(&self.link);
	if (self.serve.power_off)
		end_power_off(self.serve.end, "asked by the agent");
	if (back_from_trial(status))
		return;
	life_ended(&self.life, self.serve.stable, status, &next);
	life_words(status, words, sizeof(words));
	if (!next.restart)
		end_power_off(next.end, "%.128s %s", name, words);
	if (reserve_short())
		end_power_off(CONTROL_END_FAILED,
			      "%.128s %s, and there is no memory for another",
			      name, words);
	klog(KLOG_ERR, "agent (incarnation %u) %s; next one in %d ms",
	     self.serve.incarnation, words, next.pause_ms);
	self.restart_ms = clock_ms() + next.pause_ms;
}

static void restart(void)
{
	struct err e = { 0 };

	if (start_command(&e) < 0) {
		klog(KLOG_ERR, "agent: %s", e.text);
		after_end(127 << 8); /* the shell's word for it */
	}
}

static void serve_link(void)
{
	struct err e = { 0 };

	if (link_turn(&self.link, &e) < 0)
		klog(KLOG_WARN, "%s", e.text);
	if (self.serve.stable)
		upgrade_stable(&self.upgrade);
	if (self.serve.power_off) {
		take_last_words();
		end_power_off(self.serve.end, "asked by the agent");
	}
}

/* All that an agent that is dead by now had to say. */
static void hear_out(void)
{
	struct pollfd p = { .events = POLLIN };

	for (unsigned int n = 0; n < LINK_DRAIN_MAX / LINK_TURN_MAX; n++) {
		p.fd = self.link.fd;
		if (p.fd < 0 || poll(&p, 1, 0) <= 0 ||
		    (p.revents & POLLIN) == 0)
			return;
		serve_link();
	}
}

static void forget_signals(void)
{
	struct signalfd_siginfo gone;

	while (read(self.signal_fd, &gone, sizeof(gone)) > 0)
		; /* that there was one is all that counts */
}

/* One that says nothing is not waited for; its end follows. */
static void end_silent_trial(void)
{
	if (self.reap.awaited > 1 && upgrade_late(&self.upgrade, clock_ms()))
		(void)kill(self.reap.awaited, SIGKILL);
}

static int timeout_ms(void)
{
	const int64_t next =
		self.restart_ms >= 0 ? self.restart_ms : self.upgrade.trial_ms;
	int64_t left;

	if (next < 0)
		return -1;
	left = next - clock_ms();
	return left > 0 ? (int)left : 0;
}

static void wait_and_serve(bool more)
{
	struct pollfd table[PLACES] = {
		[PLACE_SIGNAL] = { self.signal_fd, POLLIN, 0 },
		[PLACE_LINK] = { self.link.fd, link_events(&self.link), 0 },
		[PLACE_OUT] = { self.out.fd, POLLIN, 0 },
		[PLACE_ERR] = { self.err.fd, POLLIN, 0 },
	};

	if (poll(table, PLACES, more ? 0 : timeout_ms()) < 0)
		return; /* no memory for a moment: the next turn tries again */
	if (table[PLACE_SIGNAL].revents)
		forget_signals();
	if (table[PLACE_OUT].revents)
		drain_turn(&self.out, self.ring, clock_ms());
	if (table[PLACE_ERR].revents)
		drain_turn(&self.err, self.ring, clock_ms());
	if (table[PLACE_LINK].revents)
		serve_link();
}

_Noreturn void supervise(const struct init_args *a, const struct mode *m,
			 struct ring *ring)
{
	struct err e = { 0 };
	bool more;

	self.args = a;
	self.ring = ring;
	self.serve.ring_fd = ring->fd;
	self.serve.migratable = m->mode == GUEST_MODE_MIGRATABLE;
	self.control = !a->shell && program_takes_control(a->command, m->agent,
							  PROGRAM_PATH);
	upgrade_init(&self.upgrade, self.control ? a->command[m->agent] : NULL,
		     PROGRAM_PATH);
	self.reap.before = hear_out;
	self.drained = m->mode == GUEST_MODE_MIGRATABLE;
	self.life.restartable = self.control;
	if (self.drained)
		open_drains();
	if (start_command(&e) < 0)
		end_power_off(CONTROL_END_FAILED, "cannot run %s", e.text);
	if (a->shell)
		start_shell();
	open_signals();
	raise_own_limit();
	reserve_open(RESERVE_KEPT, RESERVE_MEMINFO);
	for (;;) {
		more = reap_turn(&self.reap);
		if (self.reap.ended) {
			self.reap.ended = false;
			self.reap.awaited = 0;
			after_end(self.reap.status);
		}
		if (self.restart_ms >= 0 && clock_ms() >= self.restart_ms)
			restart();
		end_silent_trial();
		serve_link(); /* exits that were reaped above */
		wait_and_serve(more);
	}
}
