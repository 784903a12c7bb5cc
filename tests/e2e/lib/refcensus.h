/*
 * tests/e2e/lib/refcensus.h - what there is of each kind, counted in the UVM
 */
#ifndef FERRY_TESTS_E2E_LIB_REFCENSUS_H
#define FERRY_TESTS_E2E_LIB_REFCENSUS_H

#include "tests/e2e/lib/refhost.h"

struct ref_census {
	long fds, mounts, cgroups, zombies, rss_kib, folders, processes;
};

/** ref_census_take() - count now */
void ref_census_take(struct ref *r, struct ref_census *c);

/**
 * ref_census_settled() - count until there is no more than @before, for some
 * time: what ended is reaped, and goes, a moment after it was told
 */
void ref_census_settled(struct ref *r, const struct ref_census *before,
			struct ref_census *c);

/**
 * ref_census_check() - nothing is left behind: else the program ends
 * @kib:	by how much the memory of the agent may have grown
 */
void ref_census_check(const struct ref_census *before,
		      const struct ref_census *after, long kib);

#endif
