/* tests/e2e/guest/sleep_init.c - a PID 1 that never calls anybody */
#include <unistd.h>

int main(void)
{
	for (;;)
		(void)pause(); /* the harness has a deadline */
}
