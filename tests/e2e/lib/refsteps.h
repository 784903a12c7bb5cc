/*
 * tests/e2e/lib/refsteps.h - what a reference host does more than once
 *
 * The steps of refhost's scenarios: vectors by name, containers made from them,
 * execs in them. As in refhost.h, a step that fails ends the program.
 */
#ifndef FERRY_TESTS_E2E_LIB_REFSTEPS_H
#define FERRY_TESTS_E2E_LIB_REFSTEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/e2e/lib/refhost.h"

/* The sandbox and the workload of the vectors. */
#define POD "5a1b0c7de2f34a6b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d"
#define CTR "c0ffee00112233445566778899aabbccddeeff00112233445566778899aabbcc"
#define BUNDLES "/run/gcs/c/"

/* The folder of the vectors. */
extern const char *ref_vectors;

/** ref_payload() - a vector's body, byte for byte, in a static buffer */
const char *ref_payload(const char *name);

/** ref_vector() - send it as a request of @type; return: the result code */
uint32_t ref_vector(struct ref *r, uint32_t type, const char *name);

/** ref_make_root() - a rootfs of busybox alone, with what the vectors run */
void ref_make_root(struct ref *r, const char *id);

/**
 * ref_launch() - all that a host does up to a process that runs
 * @vector:	the Create request
 * @sandbox:	pid of the sandbox's process, for a workload; else 0
 * @init:	receives the container's process
 */
void ref_launch(struct ref *r, const char *id, const char *vector,
		uint32_t sandbox, unsigned int streams, struct ref_proc *init);

/**
 * ref_exec_in() - a process in a container
 * @args:	members of the JSON array of its words
 *
 * Return: the result code
 */
uint32_t ref_exec_in(struct ref *r, const char *id, const char *args,
		     bool terminal, unsigned int streams, struct ref_proc *p);

/** ref_must_exec() - the same, which has to succeed */
void ref_must_exec(struct ref *r, const char *id, const char *args,
		   bool terminal, unsigned int streams, struct ref_proc *p);

/** ref_resize() - of a process's terminal; return: the result code */
uint32_t ref_resize(struct ref *r, const struct ref_proc *p, int rows,
		    int columns);

/** ref_signal() - to a process; return: the result code */
uint32_t ref_signal(struct ref *r, const struct ref_proc *p, int number);

/** ref_alone() - a standalone container that runs a line of shell */
void ref_alone(struct ref *r, const char *id, const char *line,
	       unsigned int streams, struct ref_proc *init);

/** ref_delete() - a container that has ended */
void ref_delete(struct ref *r, const char *id);

/** ref_kill_and_delete() - a container that runs, by a forced shutdown */
void ref_kill_and_delete(struct ref *r, struct ref_proc *init);

/** ref_probe() - a wait of 50 ms; return: the result code */
uint32_t ref_probe(struct ref *r, const struct ref_proc *p);

#endif
