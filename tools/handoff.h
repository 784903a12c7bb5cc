/*
 * tools/handoff.h - a connected socket goes from one process to another
 *
 * ttrpc carries no descriptors. Who has the socket listens on a unix socket and
 * gives its path and a secret in words; who wants it connects, says the secret
 * and gets one byte with the descriptor:
 *
 *	ferry-fd-v1 /absolute/path\n32 to 128 hexadecimal digits
 *
 * Source: shared specification migration.md 7.4.
 */
#ifndef FERRY_TOOLS_HANDOFF_H
#define FERRY_TOOLS_HANDOFF_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"

#define HANDOFF_TOKEN_MIN 32u
#define HANDOFF_TOKEN_MAX 128u
#define HANDOFF_PATH_MAX 107u
/* Words, with their NUL. */
#define HANDOFF_INFO_MAX (16u + HANDOFF_PATH_MAX + HANDOFF_TOKEN_MAX)
/* Everything that one of us waits for the other. */
#define HANDOFF_MS 10000

/**
 * handoff_done_fn - it is over
 * @fd:		the descriptor when @result is 0, the owner's from now on
 */
typedef void handoff_done_fn(void *ctx, int result, int fd,
			     const struct err *e);

struct handoff;

/**
 * handoff_take() - get the socket that @info names
 * @info:	words, not terminated
 * @ret:	receives the operation; handoff_free() it in any case
 *
 * Return: 0: @done will run, from the loop; -EINVAL (syntax), -EPRECONDITION
 *         (nobody there), -ENOMEM
 */
int handoff_take(struct loop *l, const void *info, size_t len,
		 handoff_done_fn *done, void *ctx, struct handoff **ret,
		 struct err *e);

/**
 * handoff_agree() - both ends of a socket say the same number, or it is not
 * the socket that they think it is
 * @fd:		borrowed until it is over
 */
int handoff_agree(struct loop *l, int fd, uint32_t number,
		  handoff_done_fn *done, void *ctx, struct handoff **ret,
		  struct err *e);

/** handoff_free() - end it without a callback; NULL is fine */
void handoff_free(struct handoff *h);

/** handoff_give() - to a connection that was accepted and said @token; blocks
 * for HANDOFF_MS at most. Return: 0, -EACCES, -ETIMEDOUT, -errno */
int handoff_give(int conn, const char *token, int fd, struct err *e);

/** handoff_info() - the words; 0 or -ENAMETOOLONG */
int handoff_info(const char *path, const char *token,
		 char ret[HANDOFF_INFO_MAX], struct err *e);

/** handoff_token() - a new secret; @ret has HANDOFF_TOKEN_MIN + 1 bytes */
int handoff_token(char *ret, struct err *e);

#endif
