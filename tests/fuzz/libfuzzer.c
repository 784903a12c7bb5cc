/*
 * tests/fuzz/libfuzzer.c - lets libFuzzer drive a fuzz target, see fuzz.h
 *
 * Takes the place of driver.c in `make soak`.
 */
#include "tests/fuzz/fuzz.h"

/* The name that libFuzzer calls; it declares it nowhere. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_one(data, size);
}
