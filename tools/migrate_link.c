#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/migration.pb-c.h"
#include "config/util.h"
#include "tools/endpoint.h"
#include "tools/migrate.h"

/* A shim that starts, disks that are opened, QEMU that starts. */
#define STEP_MS 60000
#define HANDOFF_SOCKET "m"
/* A fraction of what a shim waits (tools/shim/migrate.h). */
#define PULSE_MS 2000

/* --- connections ----------------------------------------------------------------- */

static void on_lost(void *ctx, const struct err *why UNUSED)
{
	((struct migrate_side *)ctx)->lost = true;
}

/* First words on a connection to the other host; gives its answer. */
static int greet(const struct migrate *m, const char *kind, const char *word,
		 int *ret, char line[ENDPOINT_LINE_MAX], struct err *e)
{
	cleanup_fd fd = -1;
	int r = endpoint_dial(m->args.to, &fd, e);

	(void)snprintf(line, ENDPOINT_LINE_MAX, ENDPOINT_MAGIC " %s %s\n", kind,
		       word);
	if (r == 0)
		r = endpoint_say(fd, line, e);
	if (r == 0)
		r = endpoint_hear(fd, line, e);
	if (r == 0)
		remote_plain(line);
	if (r == 0 && strncmp(line, "error ", 6) == 0)
		r = err_set(e, EIO, "%s: %.200s", m->args.to, line + 6);
	if (r == 0)
		*ret = fd_take(&fd);
	return r;
}

static int open_destination(struct migrate *m, struct err *e)
{
	char line[ENDPOINT_LINE_MAX];
	cleanup_fd fd = -1;
	int r = greet(m, ENDPOINT_CONTROL, m->remote.name, &fd, line, e);

	if (r == 0 &&
	    sscanf(line, "ok %107s %128s", m->far_path, m->far_token) != 2)
		r = err_set(e, EPROTO, "%s: not the words of a move",
			    m->args.to);
	if (r == 0)
		r = fd_nonblock(fd, true);
	if (r == 0)
		r = ttrpc_client_new(m->remote.loop, fd, on_lost,
				     &m->destination, &m->destination.client,
				     e);
	if (r == 0)
		(void)fd_take(&fd);
	return r == 0 ? greet(m, ENDPOINT_DATA, m->far_token, &m->data, line, e)
		      : r;
}

static void on_offer(void *ctx, uint32_t events UNUSED)
{
	struct migrate *m = ctx;
	cleanup_fd conn = accept4(m->offer, NULL, NULL, SOCK_CLOEXEC);
	struct err e;

	if (conn < 0 || m->data < 0)
		return;
	/* Who is not told is told so by its own limit. */
	(void)handoff_give(conn, m->token, m->data, &e);
	fd_close(&m->data);
}

int migrate_link(struct migrate *m, struct err *e)
{
	int r = open_destination(m, e);

	if (r == 0)
		r = handoff_token(m->token, e);
	(void)snprintf(m->path, sizeof(m->path), "%s/" HANDOFF_SOCKET,
		       m->remote.dir);
	if (r == 0)
		r = endpoint_listen(m->path, &m->offer, e);
	return r < 0 ? r
		     : loop_watch(m->remote.loop, m->offer, EPOLLIN, on_offer,
				  m, &m->offer_watch, e);
}

/* --- that we live ---------------------------------------------------------------- */

static void on_beat(void *ctx UNUSED, enum ttrpc_code code UNUSED,
		    const char *text UNUSED, const ProtobufCMessage *m UNUSED)
{
}

static void beat(struct migrate *m, struct migrate_side *side)
{
	FerryMoveRequest q = FERRY_MOVE_REQUEST__INIT;
	const struct ttrpc_ask ask = {
		.service = "Ferry",
		.method = "Move",
		.request = &q.base,
		.response = &ferry_move_response__descriptor,
		.timeout_ms = STEP_MS,
		.done = on_beat,
	};
	struct err e;

	q.session = m->session;
	if (side->client && !side->lost)
		(void)ttrpc_client_call(side->client, &ask, &e);
}

static void on_pulse(void *ctx)
{
	struct migrate *m = ctx;
	struct err e;

	beat(m, &m->source);
	beat(m, &m->destination);
	/* Without memory for a timer we are as good as dead. */
	(void)loop_at(m->remote.loop, loop_now_ms(m->remote.loop) + PULSE_MS,
		      on_pulse, m, &m->pulse, &e);
}

void migrate_pulse(struct migrate *m)
{
	on_pulse(m);
}

/* --- the state ----------------------------------------------------------------------- */

/* From the source straight to the destination. */
struct carry {
	struct migrate *m;
	int result;
	struct err *e;
	bool over;
	PbAny *config;
};

static void on_exported(void *ctx, const ProtobufCMessage *answer)
{
	const MigrationExportResponse *a = (const void *)answer;
	struct carry *c = ctx;
	const size_t n = a->config ? pb_any__get_packed_size(a->config) : 0;
	uint8_t *bytes = n ? malloc(n) : NULL;

	if (bytes) {
		(void)pb_any__pack(a->config, bytes);
		c->config = pb_any__unpack(NULL, n, bytes);
	}
	free(bytes);
}

static int carry_state(struct migrate *m, const MigrationOptions *o,
		       struct err *e)
{
	MigrationPrepareRequest q = MIGRATION_PREPARE_REQUEST__INIT;
	MigrationImportRequest i = MIGRATION_IMPORT_REQUEST__INIT;
	struct carry c = { .m = m };
	int r;

	q.session_id = i.session_id = m->session;
	q.init_options = (MigrationOptions *)(uintptr_t)o;
	i.sandbox_id = m->remote.name;
	r = migrate_ask(m, &m->source, "Migration", "PrepareAndExportSandbox",
			&q.base, &migration_export_response__descriptor,
			on_exported, &c, STEP_MS, e);
	if (r == 0) /* from here on it would wait for us */
		r = migrate_look(m, &m->source, false, e);
	i.config = c.config;
	if (r == 0)
		r = c.config ? migrate_ask(m, &m->destination, "Migration",
					   "ImportSandbox", &i.base, NULL, NULL,
					   NULL, STEP_MS, e)
			     : err_set(e, EPROTO, "the source gave no state");
	if (c.config)
		pb_any__free_unpacked(c.config, NULL);
	return r;
}

/* --- the containers --------------------------------------------------------------------- */

static void on_containers(void *ctx, const ProtobufCMessage *answer)
{
	const FerryContainersResponse *a = (const void *)answer;
	const size_t n = ferry_containers_response__get_packed_size(a);
	uint8_t *bytes = malloc(n + 1);

	if (!bytes)
		return;
	(void)ferry_containers_response__pack(a, bytes);
	*(FerryContainersResponse **)ctx =
		ferry_containers_response__unpack(NULL, n, bytes);
	free(bytes);
}

int migrate_containers(struct migrate *m, FerryContainersResponse **ret,
		       struct err *e)
{
	FerryContainersRequest q = FERRY_CONTAINERS_REQUEST__INIT;
	int r;

	*ret = NULL;
	r = migrate_ask(m, &m->source, "Ferry", "Containers", &q.base,
			&ferry_containers_response__descriptor, on_containers,
			ret, STEP_MS, e);
	return r == 0 && !*ret ? err_set(e, ENOMEM, "no memory for containers")
			       : r;
}

static int adopt(struct migrate *m, struct err *e)
{
	FerryContainersResponse *all;
	int r = migrate_containers(m, &all, e);

	for (size_t i = 0; r == 0 && i < all->n_containers; i++) {
		FerryAdoptRequest a = FERRY_ADOPT_REQUEST__INIT;

		a.source_id = all->containers[i]->id;
		a.container = all->containers[i];
		r = migrate_ask(m, &m->destination, "Ferry", "Adopt", &a.base,
				NULL, NULL, NULL, STEP_MS, e);
	}
	if (all)
		ferry_containers_response__free_unpacked(all, NULL);
	return r;
}

/* --- the sockets ---------------------------------------------------------------------------- */

static int give_socket(struct migrate *m, struct migrate_side *side,
		       const char *path, const char *token, struct err *e)
{
	MigrationSocketRequest q = MIGRATION_SOCKET_REQUEST__INIT;
	char info[HANDOFF_INFO_MAX];
	int r = handoff_info(path, token, info, e);

	q.session_id = m->session;
	q.has_protocol_info = true;
	q.protocol_info.data = (uint8_t *)info;
	q.protocol_info.len = strlen(info);
	return r < 0 ? r
		     : migrate_ask(m, side, "Migration",
				   "CreateDuplicateSocket", &q.base, NULL, NULL,
				   NULL, STEP_MS, e);
}

static int prepare(struct migrate *m, const MigrationOptions *o, struct err *e)
{
	MigrationPrepareRequest q = MIGRATION_PREPARE_REQUEST__INIT;

	q.session_id = m->session;
	q.init_options = (MigrationOptions *)(uintptr_t)o;
	return migrate_ask(m, &m->destination, "Migration", "PrepareSandbox",
			   &q.base, NULL, NULL, NULL, STEP_MS, e);
}

static void wishes(const struct migrate_args *a, MigrationOptions *o,
		   MigrationThrottle *t, MigrationCompression *c)
{
	o->has_memory_transport = true;
	o->memory_transport = MIGRATION_TRANSPORT__MIGRATION_TRANSPORT_TCP;
	o->throttle = t;
	o->ferry_lease = (char *)(uintptr_t)a->lease; /* or NULL */
	o->has_cancel_over_blackout_limit = a->cancel_downtime_ms != 0;
	o->cancel_over_blackout_limit = a->cancel_downtime_ms != 0;
	t->has_skip_throttling = a->no_throttle;
	t->skip_throttling = a->no_throttle;
	t->has_throttling_scale = a->throttle_step != 0;
	t->throttling_scale = a->throttle_step;
	t->has_minimum_throttle_percentage = a->throttle_start != 0;
	t->minimum_throttle_percentage = a->throttle_start;
	t->has_target_brownout_passes = a->target_passes != 0;
	t->target_brownout_passes = a->target_passes;
	t->has_maximum_brownout_passes = a->max_passes != 0;
	t->maximum_brownout_passes = a->max_passes;
	t->has_target_blackout_ms = a->downtime_ms != 0;
	t->target_blackout_ms = a->downtime_ms;
	t->has_blackout_limit_ms = a->cancel_downtime_ms != 0;
	t->blackout_limit_ms = a->cancel_downtime_ms;
	if (!a->compress)
		return;
	o->compression = c;
	c->has_throttle_worker_count = true;
	c->throttle_worker_count = a->compress;
}

int migrate_hand_over(struct migrate *m, struct err *e)
{
	MigrationOptions o = MIGRATION_OPTIONS__INIT;
	MigrationThrottle t = MIGRATION_THROTTLE__INIT;
	MigrationCompression c = MIGRATION_COMPRESSION__INIT;
	int r;

	wishes(&m->args, &o, &t, &c);
	migrate_report(m, "state");
	migrate_pulse(m);
	r = carry_state(m, &o, e);
	if (r == 0)
		r = adopt(m, e);
	if (r == 0)
		migrate_report(m, "prepare");
	if (r == 0)
		r = prepare(m, &o, e);
	if (r == 0)
		r = give_socket(m, &m->destination, m->far_path, m->far_token,
				e);
	if (r == 0)
		r = give_socket(m, &m->source, m->path, m->token, e);
	if (r == 0)
		r = migrate_call(m, &m->destination, "TransferSandbox", e);
	if (r == 0)
		r = migrate_call(m, &m->source, "TransferSandbox", e);
	return r;
}
