/*
 * tests/fuzz/fuzz.h - what a fuzz target gives to tests/fuzz/driver.c
 *
 * A target is tests/fuzz/fuzz_NAME.c with the function below. The driver runs
 * it over the files given as arguments or, without arguments, over all files
 * of tests/fuzz/corpus/fuzz_NAME/ and of the folders in fuzz_folders, then
 * over FERRY_FUZZ_RUNS mutations of these with a fixed seed (FERRY_FUZZ_SEED).
 * An input that kills the target is kept in build/log/fuzz_NAME.input.
 */
#ifndef FERRY_TESTS_FUZZ_FUZZ_H
#define FERRY_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/** fuzz_one() - try one input; the bytes are exactly @size long. Return: 0 */
int fuzz_one(const uint8_t *data, size_t size);

/* Further folders with inputs, NULL at the end; a target may leave it out. */
extern const char *const fuzz_folders[] __attribute__((weak));

/* Mutations to try in make check, where the usual number takes too long. */
extern const unsigned int fuzz_runs __attribute__((weak));

/* A property that must hold for every input, in every kind of build. */
#define FUZZ_CHECK(condition)                                                  \
	do {                                                                   \
		if (!(condition))                                              \
			abort();                                               \
	} while (0)

#endif
