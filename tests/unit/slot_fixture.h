/* tests/unit/slot_fixture.h - a file of records for each test */
#ifndef FERRY_TESTS_UNIT_SLOT_FIXTURE_H
#define FERRY_TESTS_UNIT_SLOT_FIXTURE_H

#include "tests/unit/unit.h"

#include <fcntl.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/slot.h"
#include "config/util.h"

UNUSED static struct slots slots;

UNUSED static int set_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	slots_init(&slots);
	assert_int_equal(slots_create(&slots, &e), 0);
	return 0;
}

UNUSED static int tear_down(void **state)
{
	(void)state;
	slots_done(&slots);
	return 0;
}

/* As the next agent finds it. */
UNUSED static void open_again(void)
{
	const int fd = fcntl(slots.fd, F_DUPFD_CLOEXEC, 3);
	struct err e = { 0 };

	assert_true(fd >= 0);
	slots_done(&slots);
	assert_int_equal(slots_open(&slots, fd, &e), 0);
}

#endif
