#include "init/life.h"

#include <stdio.h>
#include <sys/wait.h>

/* So many failures in a row are blamed on the state that was handed over. */
#define POISON_LIMIT 2u

struct life_next life_ended(struct life *l, bool stable, int status)
{
	const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	struct life_next n = { .end = well ? CONTROL_END_ORDERLY
					   : CONTROL_END_FAILED };

	l->proven |= stable;
	l->failures = stable ? 0 : l->failures + 1;
	n.restart = !well && l->restartable && l->proven &&
		    l->failures < CONTROL_TRIES_MAX;
	n.pause_ms = (int)l->failures * LIFE_PAUSE_MS;
	return n;
}

bool life_poisoned(const struct life *l)
{
	return l->failures >= POISON_LIMIT;
}

void life_words(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status))
		(void)snprintf(buf, size, "was killed by signal %d",
			       WTERMSIG(status));
	else
		(void)snprintf(buf, size, "ended with status %d",
			       WEXITSTATUS(status));
}
