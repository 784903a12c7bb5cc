/*
 * tests/unit/faults.h - the n-th call of what can fail does fail
 *
 * A program that includes this is linked with --wrap for each function below
 * (Makefile, FAULTS). What libraries call for themselves is not counted.
 * Count and verdict are in memory that the agent and its forked children share
 * with the test; the test's own calls are not counted.
 *
 * Children run side by side, so that the n-th call of two runs need not be the
 * same. Therefore each place in the program from where such a function is
 * called is noted too, and can be made to fail by itself.
 */
#ifndef FERRY_TESTS_UNIT_FAULTS_H
#define FERRY_TESTS_UNIT_FAULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define FAULT_PLACES 4096u /* a power of two, and more than there are */

/**
 * struct fault_place - where a function is called from
 * @at:		return address, 0: free
 * @failed:	how often it was made to fail
 */
struct fault_place {
	uintptr_t at;
	uint32_t failed;
	char name[20];
};

/**
 * struct faults - shared
 * @tester, @spared: whose calls are not counted
 * @left:	calls until one fails; 0: none does
 * @only:	calls from this place alone are counted; 0: all
 * @name:	the function that failed, "": none has
 * @where:	from where it was called
 */
struct faults {
	pid_t tester;
	pid_t spared;
	int64_t left;
	uintptr_t only;
	uintptr_t where;
	char name[32];
	struct fault_place places[FAULT_PLACES];
};

static struct faults *faults;

/* Nothing that a start's child, in the agent's memory, must not call. */
#define FAULT_FN __attribute__((no_sanitize("address", "undefined")))

FAULT_FN static struct fault_place *fault_place(uintptr_t at, const char *name)
{
	for (size_t i = at * 0x9e3779b9u;; i++) {
		struct fault_place *p = &faults->places[i % FAULT_PLACES];
		uintptr_t free = 0;

		if (p->at != at &&
		    __atomic_compare_exchange_n(&p->at, &free, at, false,
						__ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST)) {
			for (size_t n = 0; n + 1 < sizeof(p->name); n++) {
				p->name[n] = name[n];
				if (name[n] == '\0')
					break;
			}
			return p;
		}
		if (p->at == at)
			return p;
	}
}

FAULT_FN static bool fault_now(const char *name, const void *from)
{
	const uintptr_t at = (uintptr_t)from;
	struct fault_place *p;
	pid_t self;

	if (!faults)
		return false;
	self = getpid();
	if (self == faults->tester || self == faults->spared)
		return false;
	p = fault_place(at, name);
	if (faults->left <= 0 || (faults->only && faults->only != at))
		return false;
	if (__atomic_sub_fetch(&faults->left, 1, __ATOMIC_SEQ_CST) != 0)
		return false;
	(void)__atomic_add_fetch(&p->failed, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i + 1 < sizeof(faults->name) && name[i]; i++)
		faults->name[i] = name[i];
	faults->where = at;
	return true;
}

static void faults_init(void)
{
	void *p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	faults = p;
	faults->tester = getpid();
}

/* The @n-th call from now on fails, of those from @only (0: of all); @n of 0:
 * none does. */
static void faults_arm_at(int64_t n, uintptr_t only)
{
	memset(faults->name, 0, sizeof(faults->name));
	faults->where = 0;
	faults->only = only;
	__atomic_store_n(&faults->left, n, __ATOMIC_SEQ_CST);
}

static void faults_arm(int64_t n)
{
	faults_arm_at(n, 0);
}

#include "tests/unit/faultcalls.h"

#endif
