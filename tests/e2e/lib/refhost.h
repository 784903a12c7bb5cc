/*
 * tests/e2e/lib/refhost.h - a host that speaks as the reference's does
 *
 * Blocking, one thread, written from the specification and not from ferry's own
 * client: every body ends with a newline that the size counts, ids count from
 * 0, ports from 0x40000001, streams are closed behind the end of output. Every
 * frame of the guest is checked for what would end a reference host's bridge
 * (shared specification bridge.md 1.5, 2.6): one that fails the check ends the
 * program. The reference itself cannot be run here.
 */
#ifndef FERRY_TESTS_E2E_LIB_REFHOST_H
#define FERRY_TESTS_E2E_LIB_REFHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "bridge/io/transport.h"

#define REF_LIMIT_MS 120000
#define REF_IDS 65536u
#define REF_NOTICES 256
#define REF_OUT_MAX 65536

/* What came for one id. */
struct ref_answer {
	bool asked;
	bool known;	   /* a reference host would know the id */
	uint32_t type;	   /* of the request */
	json_object *body; /* NULL: not yet */
};

/**
 * struct ref - one host object and its connection
 * @fd:		the bridge, -1: none
 * @tracked:	containers whose notice may come
 */
struct ref {
	struct transport transport;
	int listener;
	int fd;
	uint64_t next_id;
	uint32_t next_port;
	struct ref_answer answer[REF_IDS];
	char tracked[REF_NOTICES][80];
	char noticed[REF_NOTICES][80];
	char notice_type[REF_NOTICES][24];
	int n_tracked;
	int n_noticed;
};

/* One process. */
struct ref_proc {
	char container[80];
	uint32_t pid;
	uint64_t wait_id;
	uint32_t port[3];
	int fd[3];
};

#define REF_IN 1u
#define REF_OUT 2u
#define REF_ERR 4u

/** ref_step() - what is being tried, for the report of a failure */
void ref_step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** ref_ok() - the step is done */
void ref_ok(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** ref_fail() - it is not: report, and end the program */
void ref_fail(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
/** ref_check() - or ref_fail() with these words */
#define ref_check(condition, ...)                                              \
	do {                                                                   \
		if (!(condition))                                              \
			ref_fail(__VA_ARGS__);                                 \
	} while (0)

/** ref_new() - listen on the bridge port of BASE */
struct ref *ref_new(const char *base);

/** ref_accept() - take the guest's connection, without a word */
void ref_accept(struct ref *r);

/** ref_negotiate() - a new host object starts at id 0, a resumed one does not */
void ref_negotiate(struct ref *r);

/** ref_forget() - as a new host object: no id, no container is known */
void ref_forget(struct ref *r);

/** ref_hang_up() - end the connection */
void ref_hang_up(struct ref *r);

/** ref_raw() - bytes onto the bridge */
void ref_raw(struct ref *r, const void *bytes, size_t len);

/** ref_send() - a request; return: its id */
uint64_t ref_send(struct ref *r, uint32_t type, const char *body);

/** ref_expect() - register the id of another host object's wait */
void ref_expect(struct ref *r, uint64_t id);

/** ref_track() - the container's notice may come from now on */
void ref_track(struct ref *r, const char *container);

/** ref_answer() - wait for an answer; return: its result code */
uint32_t ref_answer(struct ref *r, uint64_t id);

/** ref_call() - both */
uint32_t ref_call(struct ref *r, uint32_t type, const char *body);

/** ref_body() - the answer to the last ref_answer() */
json_object *ref_body(const struct ref *r);

/** ref_number() - a number of it */
int64_t ref_number(const struct ref *r, const char *name);

/** ref_notice() - wait for the notice of a container; return: its type */
const char *ref_notice(struct ref *r, const char *container);

/** ref_noticed() - has it come? Reads what is there first */
bool ref_noticed(struct ref *r, const char *container);

/** ref_quiet() - no frame may come for so long */
void ref_quiet(struct ref *r, int ms);

/** ref_pump() - take in what comes for so long */
void ref_pump(struct ref *r, int ms);

/** ref_base() - the body of a request that has only its base */
const char *ref_base(const char *container);

/**
 * ref_exec() - ExecuteProcess, its streams, and the wait behind it
 * @container:	id, NULL: the UVM
 * @inner:	members of the process parameters, without braces; "" for init
 * @streams:	REF_IN, REF_OUT, REF_ERR added
 *
 * Return: the result code; the process only when it is 0
 */
uint32_t ref_exec(struct ref *r, const char *container, const char *inner,
		  unsigned int streams, struct ref_proc *p);

/** ref_read_all() - a stream to its end; into a static buffer */
const char *ref_read_all(int fd);

/** ref_read_until() - a stream until @text was seen */
void ref_read_until(int fd, const char *text);

/** ref_close() - the host's ends of the streams */
void ref_close(struct ref_proc *p);

/** ref_exit() - read and close the outputs, wait; return: the exit code */
uint32_t ref_exit(struct ref *r, struct ref_proc *p);

/** ref_uvm() - run a line of shell in the UVM; return: its output */
const char *ref_uvm(struct ref *r, const char *line);

/** ref_quote() - a JSON string of it, on the heap */
char *ref_quote(const char *text);

#endif
