#include "bridge/host/early.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/wire.h"

struct early_answer {
	struct early_answer *next;
	struct wire_header header;
	size_t len;
	char body[];
};

bool early_keep(struct early_answers *all, const struct frame *frame)
{
	struct early_answer *a;

	if (frame->header.type != wire_response_type(WIRE_WAIT_FOR_PROCESS) ||
	    frame->len > EARLY_BODY_MAX || all->n >= EARLY_ANSWERS_MAX)
		return false;
	a = malloc(sizeof(*a) + frame->len);
	if (!a)
		return false;
	a->header = frame->header;
	a->len = frame->len;
	memcpy(a->body, frame->body, frame->len);
	a->next = all->first;
	all->first = a;
	all->n++;
	return true;
}

struct early_answer *early_take(struct early_answers *all, uint64_t id)
{
	struct early_answer **at = &all->first;
	struct early_answer *a;

	while (*at && (*at)->header.id != id)
		at = &(*at)->next;
	a = *at;
	if (a) {
		*at = a->next;
		all->n--;
	}
	return a;
}

struct frame early_frame(const struct early_answer *a)
{
	return (struct frame){
		.header = a->header,
		.body = a->body,
		.len = a->len,
	};
}

void early_free(struct early_answer *a)
{
	free(a);
}

void early_done(struct early_answers *all)
{
	while (all->first)
		early_free(early_take(all, all->first->header.id));
}
