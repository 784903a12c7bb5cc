#include "init/life.h"

#include <stdio.h>
#include <sys/wait.h>

/* So many failures in a row are blamed on the state that was handed over. */
#define POISON_LIMIT 2u

void life_ended(struct life *l, bool stable, int status, struct life_next *ret)
{
	const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	l->proven |= stable;
	l->failures = stable ? 0 : l->failures + 1;
	ret->restart = !well && l->restartable && l->proven &&
		       l->failures < CONTROL_TRIES_MAX;
	ret->pause_ms = (int)l->failures * LIFE_PAUSE_MS;
	ret->end = well ? CONTROL_END_ORDERLY : CONTROL_END_FAILED;
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
