/*
 * tests/e2e/guest/sleep_agent.c - an agent by its note that never says a word
 */
#include <unistd.h>

#include "bridge/io/note.h"

CONTROL_NOTE(1);

int main(void)
{
	for (;;)
		(void)pause();
}
