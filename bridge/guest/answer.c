#include "bridge/guest/answer.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/wire.h"

static struct answer *frame_new(const struct wire_header *h, const char *body)
{
	struct answer *a;

	if (h->size > WIRE_GUEST_FRAME_MAX)
		return NULL;
	a = malloc(sizeof(*a) + h->size);
	if (!a)
		return NULL;
	list_init(&a->node);
	a->id = h->id;
	a->keep = 0;
	a->conn = 0;
	a->len = h->size;
	wire_header_put(a->frame, h);
	memcpy(a->frame + WIRE_HEADER_SIZE, body, h->size - WIRE_HEADER_SIZE);
	return a;
}

struct answer *answer_new(const struct answer_to *to, const char *body,
			  size_t len)
{
	const struct wire_header h = {
		.type = wire_response_type(to->type),
		.size = (uint32_t)(WIRE_HEADER_SIZE + len),
		.id = to->id,
	};
	struct answer *a = frame_new(&h, body);

	if (a) {
		a->conn = to->conn;
		a->keep = to->keep;
	}
	return a;
}

struct answer *answer_notice(uint32_t type, uint64_t keep, const char *body,
			     size_t len)
{
	const struct wire_header h = {
		.type = type,
		.size = (uint32_t)(WIRE_HEADER_SIZE + len),
	};
	struct answer *a = frame_new(&h, body);

	if (a) {
		a->id = ANSWER_NOTICE;
		a->keep = keep;
	}
	return a;
}

void answer_free(struct answer *a)
{
	free(a);
}

void answer_free_all(struct list *queue)
{
	struct list *node;

	while ((node = list_pop(queue)) != NULL)
		answer_free(LIST_ITEM(node, struct answer, node));
}
