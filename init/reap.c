#include "init/reap.h"

#include <stddef.h>
#include <sys/wait.h>

#include "init/journal.h"
#include "init/procs.h"

/* The awaited one may stand behind orphans that have to wait. */
static void look_for_awaited(struct reap *r)
{
	if (r->awaited > 0 && !r->ended &&
	    waitpid(r->awaited, &r->status, WNOHANG) == r->awaited)
		r->ended = true;
}

/* Nobody's exit is of interest but the awaited one's. Return: reaped one? */
static bool reap_plain(struct reap *r)
{
	int status;
	const pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid > 0 && pid == r->awaited) {
		r->ended = true;
		r->status = status;
	}
	return pid > 0;
}

/* The wait status that a siginfo_t stands for. */
static int status_of(const siginfo_t *s)
{
	if (s->si_code == CLD_EXITED)
		return (s->si_status & 0xff) << 8;
	return (s->si_status & 0x7f) | (s->si_code == CLD_DUMPED ? 0x80 : 0);
}

/*
 * Looks before it reaps: a registered process is checked while its number is
 * surely still its own. Return: reaped one?
 */
static bool reap_known(struct reap *r)
{
	siginfo_t s = { .si_pid = 0 };

	if (waitid(P_ALL, 0, &s, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    s.si_pid == 0)
		return false;
	if (s.si_pid == r->awaited) {
		look_for_awaited(r);
		return r->ended;
	}
	if (!procs_ended(s.si_pid, status_of(&s))) {
		if (journal_full())
			return false;
		journal_record(s.si_pid, status_of(&s));
	}
	return waitpid(s.si_pid, NULL, WNOHANG) > 0;
}

static bool somebody_ended(void)
{
	siginfo_t s = { .si_pid = 0 };

	return waitid(P_ALL, 0, &s, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       s.si_pid != 0;
}

bool reap_turn(struct reap *r)
{
	for (unsigned int n = 0; n < REAP_TURN_MAX; n++) {
		bool plain;

		if (r->before && somebody_ended())
			r->before();
		plain = journal_idle() && !procs_any();
		if (!(plain ? reap_plain(r) : reap_known(r))) {
			look_for_awaited(r);
			return false;
		}
	}
	return true;
}
