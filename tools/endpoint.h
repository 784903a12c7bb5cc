/*
 * tools/endpoint.h - where two hosts meet for a move, and the words they begin
 * with
 *
 * An endpoint is the path of a unix socket (it has a '/'), or HOST:PORT. Nobody
 * proves who he is there: it is for a trusted network, or for the end of an ssh
 * or TLS tunnel. Each connection begins with a line and is answered by one:
 *
 *	ferry-move-v1 control NAME	ok PATH TOKEN	then ttrpc to the shim
 *	ferry-move-v1 data TOKEN	ok		then the guest's memory
 *					error WORDS
 */
#ifndef FERRY_TOOLS_ENDPOINT_H
#define FERRY_TOOLS_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

#define ENDPOINT_MAGIC "ferry-move-v1"
#define ENDPOINT_CONTROL "control"
#define ENDPOINT_DATA "data"
/* Longest line, with its NUL. */
#define ENDPOINT_LINE_MAX 512u
#define ENDPOINT_MS 10000
#define ENDPOINT_BACKLOG 16

/** endpoint_dial() - connect; blocking, ENDPOINT_MS at most */
int endpoint_dial(const char *where, int *ret, struct err *e);

/** endpoint_listen() - listen; a dead socket of that path is replaced */
int endpoint_listen(const char *where, int *ret, struct err *e);

/** endpoint_say() - one line; @line has its newline */
int endpoint_say(int fd, const char *line, struct err *e);

/**
 * endpoint_hear() - one line without its newline, and no byte behind it;
 * blocking, ENDPOINT_MS at most
 */
int endpoint_hear(int fd, char line[ENDPOINT_LINE_MAX], struct err *e);

/**
 * endpoint_hear_some() - the same, of what is there now
 * @n:		bytes of @line so far, 0 at first
 *
 * Return: 1: the line is whole; 0: more has to come; -ECONNRESET, -EPROTO
 */
int endpoint_hear_some(int fd, char line[ENDPOINT_LINE_MAX], size_t *n,
		       struct err *e);

/** endpoint_limit() - a write that takes so long fails; 0: none does */
void endpoint_limit(int fd, int ms);

/** endpoint_now_ms() - of a clock that nobody sets */
int64_t endpoint_now_ms(void);

#endif
