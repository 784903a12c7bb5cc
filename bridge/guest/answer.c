#include "bridge/guest/answer.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/wire.h"

struct answer *answer_new(const struct answer_to *to, const char *body,
			  size_t len)
{
	const struct wire_header h = {
		.type = wire_response_type(to->type),
		.size = (uint32_t)(WIRE_HEADER_SIZE + len),
		.id = to->id,
	};
	struct answer *a;

	if (len > WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE)
		return NULL;
	a = malloc(sizeof(*a) + h.size);
	if (!a)
		return NULL;
	list_init(&a->node);
	a->id = to->id;
	a->conn = to->conn;
	a->len = h.size;
	wire_header_put(a->frame, &h);
	memcpy(a->frame + WIRE_HEADER_SIZE, body, len);
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
