/*
 * tests/e2e/guest/gcs_faults.c - the agent, whose calls fail at random
 *
 * Linked with the agent's own main and objects, whose calls go through
 * tests/unit/faultcalls.h (Makefile). Each agent, and each child of one until it
 * executes something, asks a file in memory that they all share, and so can a
 * shell in the UVM:
 *
 *	printf '\350\003\000\000' | dd of=/run/faults conv=notrunc
 *
 * and from then on of each 1,000 calls one fails, by chance which; 0, which it
 * begins with, is never. So what needs less than half of that many calls cannot
 * fail three times in a row. Behind that are the seed, how many calls were asked for, how many have failed,
 * and the last of these with place and process.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define FAULTS_FILE "/run/faults"
#define FAULTS_NOTED 2048u
#define FAULT_FN

/**
 * struct fault_note - a call that failed
 * @at:		return address
 */
struct fault_note {
	uint64_t at;
	uint32_t pid;
	char name[20];
};

/**
 * struct faults - the file
 * @one_in:	so many calls, 0: none fails
 */
struct faults {
	uint32_t one_in;
	uint32_t seed;
	uint64_t calls;
	uint64_t failed;
	struct fault_note note[FAULTS_NOTED];
};

static struct faults *faults;

/* Numbers without a pattern, of a count (splitmix64). */
static uint64_t mixed(uint64_t n)
{
	n *= 0x9e3779b97f4a7c15u;
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
	n = (n ^ n >> 27) * 0x94d049bb133111ebu;
	return n ^ n >> 31;
}

static void note(const char *name, const void *from)
{
	const uint64_t n =
		__atomic_fetch_add(&faults->failed, 1, __ATOMIC_SEQ_CST);
	struct fault_note *to = &faults->note[n % FAULTS_NOTED];

	to->at = (uintptr_t)from;
	to->pid = (uint32_t)getpid();
	for (size_t i = 0; i + 1 < sizeof(to->name); i++) {
		to->name[i] = name[i];
		if (name[i] == '\0')
			break;
	}
}

/* Also in a child that has the agent's memory: nothing but this memory. */
static bool fault_now(const char *name, const void *from)
{
	uint32_t one_in;
	uint64_t n;

	if (!faults)
		return false;
	one_in = __atomic_load_n(&faults->one_in, __ATOMIC_SEQ_CST);
	if (one_in == 0)
		return false;
	n = __atomic_fetch_add(&faults->calls, 1, __ATOMIC_SEQ_CST);
	if (mixed(n / one_in ^ (uint64_t)faults->seed << 32) % one_in !=
	    n % one_in)
		return false;
	note(name, from);
	return true;
}

#include "tests/unit/faultcalls.h"

/* Before the agent's main. An agent without the file is an ordinary one. */
__attribute__((constructor)) static void faults_begin(void)
{
	const int fd =
		__real_open64(FAULTS_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *at = MAP_FAILED;

	if (fd < 0 || __real_ftruncate64(fd, sizeof(*faults)) < 0)
		return;
	at = __real_mmap64(NULL, sizeof(*faults), PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, 0);
	(void)close(fd);
	if (at == MAP_FAILED)
		return;
	faults = at;
	if (faults->seed == 0)
		(void)getrandom(&faults->seed, sizeof(faults->seed), 0);
	(void)dprintf(STDERR_FILENO, "faults: seed=%u one_in=%u failed=%llu\n",
		      faults->seed, faults->one_in,
		      (unsigned long long)faults->failed);
}
