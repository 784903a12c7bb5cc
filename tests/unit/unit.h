/* tests/unit/unit.h - cmocka with the headers that it wants before it */
#ifndef FERRY_TESTS_UNIT_UNIT_H
#define FERRY_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* IWYU pragma: keep */

#endif
