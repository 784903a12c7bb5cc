/* bridge/guest/list.h - a ring of nodes that live inside other structs */
#ifndef FERRY_BRIDGE_GUEST_LIST_H
#define FERRY_BRIDGE_GUEST_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A head, or a node inside a struct; a node in no list points at itself. */
struct list {
	struct list *next;
	struct list *prev;
};

/* The struct of type @type whose member @member is the node @node. */
#define LIST_ITEM(node, type, member)                                          \
	((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/** list_push() - add @node behind the last; it is in no list before */
static inline void list_push(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/** list_remove() - take @node out of its list, if it is in one */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/** list_pop() - take the first node; NULL when there is none */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	head->next = node->next;
	node->next->prev = head;
	list_init(node);
	return node;
}

/** list_move_all() - put all of @from behind the last of @to, in order */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
