/*
 * bridge/json_tree.h - what json-c's parser does when it has a member
 *
 * Theory of operation. json-c puts a member that comes twice at the place of the
 * first one, and where it gets no memory for a name or a text it goes on without
 * (or with a NULL pointer). So the json-c that we compile, for the guest and for
 * the host, is told by a define (Makefile) to call these functions instead of its
 * own; what was lost is noticed by who asks for the tree.
 */
#ifndef FERRY_BRIDGE_JSON_TREE_H
#define FERRY_BRIDGE_JSON_TREE_H

#include <stdbool.h>

struct json_object;
struct printbuf;

/** json_tree_add() - json_object_object_add() of the parser: behind all others;
 * NULL is a name that there was no memory for. Return: 0, -1 (@v is released) */
int json_tree_add(struct json_object *in, const char *name,
		  struct json_object *v);

/** json_tree_append() - printbuf_memappend() of parser and writer */
int json_tree_append(struct printbuf *p, const char *text, int n);

/** json_tree_lost() - since it was asked last: did memory run out? */
bool json_tree_lost(void);

#endif
