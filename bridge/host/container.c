#include "bridge/host/container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/track.h"
#include "bridge/hresult.h"
#include "config/util.h"

/* The two kinds of shutdown, each of which may be under way. */
#define KINDS 2

enum container_stage {
	STAGE_CREATING,
	STAGE_LIVE,
	STAGE_ENDED,
};

/*
 * struct shutdown_call - one Shutdown that is under way
 * @active:	it is
 */
struct shutdown_call {
	struct host_container *container;
	struct host_done done;
	uint64_t id;
	bool active;
};

struct host_container {
	struct host_client *client;
	enum container_stage stage;
	char id[TRACK_ID_MAX];
	struct host_tracked tracked;
	struct host_observer observer;
	struct host_done created;
	uint64_t create_id;
	struct shutdown_call shutdown[KINDS];
	char early[TRACK_TYPE_MAX];
	struct loop_id timer; /* hands on an early notice */
	host_container_ended_fn *ended;
	void *ctx;
};

static const char *const how_names[] = {
	[HOST_CONTAINER_EXITED] = "exited",
	[HOST_CONTAINER_STOPPED] = "stopped",
	[HOST_CONTAINER_KILLED] = "killed",
	[HOST_CONTAINER_UNKNOWN] = "unknown",
};
static_assert(ARRAY_LEN(how_names) == HOST_CONTAINER_HOWS, "one has no name");

const char *host_container_how_name(enum host_container_how how)
{
	return (unsigned int)how < HOST_CONTAINER_HOWS ? how_names[how]
						       : "unknown";
}

/* --- the end -------------------------------------------------------------- */

/* Out of all tables; nothing of it is touched after the callback. */
static void end(struct host_container *h, enum host_container_how how,
		const struct err *why)
{
	host_track_remove(&h->tracked);
	host_client_unobserve(&h->observer);
	h->stage = STAGE_ENDED;
	h->ended(h->ctx, how, why);
}

static enum host_container_how how_of(const char *type)
{
	if (strcmp(type, "GracefulExit") == 0)
		return HOST_CONTAINER_STOPPED;
	if (strcmp(type, "ForcedExit") == 0)
		return HOST_CONTAINER_KILLED;
	return HOST_CONTAINER_EXITED;
}

/*
 * A notice in the middle of a create is of a container that the guest has
 * created and told us nothing of yet: it waits for the answer.
 */
static void on_notice(void *ctx, const char *type)
{
	struct host_container *h = ctx;

	if (h->stage == STAGE_LIVE)
		end(h, how_of(type), NULL);
	else
		(void)snprintf(h->early, sizeof(h->early), "%s", type);
}

static void on_early(void *ctx)
{
	struct host_container *h = ctx;

	end(h, how_of(h->early), NULL);
}

static void on_bridge_failed(void *ctx, const struct err *why)
{
	struct host_container *h = ctx;

	/* A create that is under way ends with its own answer. */
	if (h->stage == STAGE_LIVE)
		end(h, HOST_CONTAINER_UNKNOWN, why);
}

/* --- the beginning -------------------------------------------------------- */

static int container_new(struct host_client *c, const char *id,
			 host_container_ended_fn *ended, void *ctx,
			 struct host_container **ret, struct err *e)
{
	struct host_container *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_set(e, ENOMEM, "no memory for a container");
	h->client = c;
	h->ended = ended;
	h->ctx = ctx;
	/* One byte too many is seen by host_track_add(). */
	memcpy(h->id, id, strnlen(id, sizeof(h->id) - 1));
	h->tracked = (struct host_tracked){
		.id = strlen(id) < sizeof(h->id) ? h->id : id,
		.ended = on_notice,
		.ctx = h,
	};
	r = host_track_add(host_client_track(c), &h->tracked, e);
	if (r < 0) {
		free(h);
		return r;
	}
	h->observer = (struct host_observer){
		.failed = on_bridge_failed,
		.ctx = h,
	};
	host_client_observe(c, &h->observer);
	*ret = h;
	return 0;
}

/* Arranges for a notice that is here already. */
static int expect_early(struct host_container *h, struct err *e)
{
	struct loop *loop = host_client_loop(h->client);

	return loop_at(loop, loop_now_ms(loop), on_early, h, &h->timer, e);
}

static void on_created(void *ctx, const void *result,
		       const struct host_failure *f)
{
	struct host_container *h = ctx;
	const struct host_done created = h->created;

	h->create_id = 0;
	if (f) { /* the id is free again */
		host_track_remove(&h->tracked);
		host_client_unobserve(&h->observer);
		h->stage = STAGE_ENDED;
	} else {
		h->stage = STAGE_LIVE;
		/* Without memory for the timer the exit code tells the end. */
		if (h->early[0])
			(void)expect_early(h, NULL);
	}
	if (created.fn)
		created.fn(created.ctx, result, f);
}

int host_container_create(struct host_client *c, const char *id,
			  const struct msg_container_config *document,
			  const struct host_done *created,
			  host_container_ended_fn *ended, void *ctx,
			  struct host_container **ret, struct err *e)
{
	struct host_container *h = NULL;
	struct host_done done = { .fn = on_created };
	char old[TRACK_TYPE_MAX];
	int r = container_new(c, id, ended, ctx, &h, e);

	if (r < 0)
		return r;
	/* What was heard of this id before was about another container. */
	(void)host_track_take_early(host_client_track(c), id, old);
	if (created) {
		h->created = *created;
		done.timeout_ms = created->timeout_ms;
	}
	done.ctx = h;
	r = host_create(c, id, document, &done, &h->create_id, e);
	if (r < 0) {
		host_container_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

int host_container_open(struct host_client *c, const char *id,
			host_container_ended_fn *ended, void *ctx,
			struct host_container **ret, struct err *e)
{
	struct host_container *h = NULL;
	int r = container_new(c, id, ended, ctx, &h, e);

	if (r < 0)
		return r;
	h->stage = STAGE_LIVE;
	if (host_track_take_early(host_client_track(c), id, h->early))
		r = expect_early(h, e);
	if (r < 0) {
		host_container_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void host_container_free(struct host_container *h)
{
	if (!h)
		return;
	if (h->create_id)
		host_client_cancel(h->client, h->create_id);
	for (int i = 0; i < KINDS; i++)
		if (h->shutdown[i].active)
			host_client_cancel(h->client, h->shutdown[i].id);
	loop_cancel(host_client_loop(h->client), &h->timer);
	host_track_remove(&h->tracked);
	host_client_unobserve(&h->observer);
	free(h);
}

/* --- while it lives ------------------------------------------------------- */

const char *host_container_id(const struct host_container *h)
{
	return h->id;
}

bool host_container_live(const struct host_container *h)
{
	return h->stage == STAGE_LIVE;
}

static void on_shutdown(void *ctx, const void *result,
			const struct host_failure *f)
{
	static const struct msg_result ok = { .activity_id = "",
					      .error_message = "" };
	struct shutdown_call *s = ctx;
	const struct host_done done = s->done;

	s->active = false;
	if (f && f->kind == HOST_FAIL_REFUSED &&
	    (f->hresult == HR_SYSTEM_NOT_FOUND ||
	     f->hresult == HR_SYSTEM_ALREADY_STOPPED)) {
		result = &ok;
		f = NULL;
	}
	if (done.fn)
		done.fn(done.ctx, result, f);
}

int host_container_shutdown(struct host_container *h, bool forced,
			    const struct host_done *done, struct err *e)
{
	struct shutdown_call *s = &h->shutdown[forced ? 1 : 0];
	struct host_done mine = { .fn = on_shutdown, .ctx = s };
	int r;

	if (s->active)
		return err_set(e, EALREADY,
			       "container %s is being stopped already", h->id);
	s->container = h;
	s->done = done ? *done : (struct host_done){ 0 };
	mine.timeout_ms = s->done.timeout_ms;
	r = host_shutdown(h->client, h->id, forced, &mine, &s->id, e);
	s->active = r == 0;
	return r;
}
