/* hcsshim.controller.process.save.v1 */
#include "build/proto/state_ext.pb-c.h"
#include "build/proto/state_process.pb-c.h"
#include "migration/saved_codec.h"

static int get_stream(struct saved_reader *r, const StateStreamExt *m,
		      struct saved_stream *ret)
{
	if (!m)
		return saved_refuse(r, "S3", EINVAL,
				    "process: an empty stream");
	*ret = (struct saved_stream){
		.port = m->port,
		.offset = m->offset,
		.ended = m->ended,
		.length = m->length,
		.marked = m->marked,
		.mark = m->mark,
		.unacknowledged = saved_bytes(m->unacknowledged),
		.kept = saved_bytes(m->kept),
	};
	return 0;
}

static int get_extension(struct saved_reader *r, const StateProcess *m,
			 struct saved_process *ret)
{
	bool bad;
	const StateProcessExt *x = saved_extension(
		r, m->extension, &state_process_ext__descriptor, &bad);
	size_t i;
	int ok = 0;

	if (!x)
		return bad ? err_code(r->e) : 0;
	if (x->stage >= SAVED_STAGES || x->n_stdio > GUEST_STREAMS ||
	    x->n_unread > GUEST_STREAMS)
		return saved_refuse(r, "S3", EINVAL,
				    "process: stage %u, %zu ends, %zu unread",
				    x->stage, x->n_stdio, x->n_unread);
	ret->terminal = x->terminal;
	ret->stage = (enum saved_stage)x->stage;
	ret->exit_status = x->exit_status;
	ret->exited_at_ns = x->exited_at_ns;
	ret->started_at_ns = x->started_at_ns;
	ret->streams = saved_many(r, x->n_streams, sizeof(*ret->streams));
	if (!ret->streams)
		return -EEXHAUSTED;
	for (i = 0; i < x->n_streams && ok == 0; i++)
		ok = get_stream(r, x->streams[i],
				&ret->streams[ret->n_streams++]);
	for (i = 0; i < x->n_unread; i++)
		ret->unread[i] = saved_bytes(x->unread[i]);
	for (i = 0; i < x->n_stdio && ok == 0; i++)
		ok = saved_take_text(r, "stdio", x->stdio[i], &ret->stdio[i]);
	return ok;
}

int process_save_get(struct saved_reader *r, const struct saved_any *any,
		     struct saved_process *ret)
{
	const StateProcess *m =
		saved_open(r, any, "process", &state_process__descriptor);

	if (!m)
		return err_code(r->e);
	*ret = (struct saved_process){
		.version = m->schema_version,
		.pid = m->pid,
		.document = saved_bytes(m->oci_process_spec_json),
		.port = { m->stdin_port, m->stdout_port, m->stderr_port },
		.wait_id = m->wait_call_id,
	};
	if (m->io_retry_timeout)
		ret->io_retry =
			(struct saved_duration){ true,
						 m->io_retry_timeout->seconds,
						 m->io_retry_timeout->nanos };
	if (saved_take_text(r, "exec_id", m->exec_id, &ret->exec_id) < 0 ||
	    saved_take_text(r, "bundle", m->bundle, &ret->bundle) < 0)
		return err_code(r->e);
	return get_extension(r, m, ret);
}

static void put_stream(StateStreamExt *m, const struct saved_stream *s)
{
	state_stream_ext__init(m);
	m->port = s->port;
	m->offset = s->offset;
	m->ended = s->ended;
	m->length = s->length;
	m->marked = s->marked;
	m->mark = s->mark;
	m->unacknowledged = saved_put_text(s->unacknowledged);
	m->kept = saved_put_text(s->kept);
}

static size_t used(const struct saved_text text[GUEST_STREAMS])
{
	size_t n = GUEST_STREAMS;

	while (n > 0 && text[n - 1].n == 0)
		n--;
	return n;
}

static ProtobufCBinaryData put_extension(struct saved_writer *w,
					 const struct saved_process *p)
{
	StateProcessExt x = STATE_PROCESS_EXT__INIT;
	StateStreamExt *s = saved_put_many(w, p->n_streams, sizeof(*s));
	size_t i;

	if (!p->terminal && p->n_streams == 0 && !p->stage &&
	    !p->started_at_ns && used(p->stdio) == 0 && used(p->unread) == 0)
		return (ProtobufCBinaryData){ 0, NULL };
	x.magic = SAVED_MAGIC;
	x.terminal = p->terminal;
	x.stage = (uint32_t)p->stage;
	x.exit_status = p->exit_status;
	x.exited_at_ns = p->exited_at_ns;
	x.started_at_ns = p->started_at_ns;
	x.stdio = saved_put_texts(w, p->stdio, used(p->stdio));
	x.n_stdio = x.stdio ? used(p->stdio) : 0;
	x.unread = saved_put_texts(w, p->unread, used(p->unread));
	x.n_unread = x.unread ? used(p->unread) : 0;
	x.streams = saved_put_row(w, p->n_streams);
	for (i = 0; s && x.streams && i < p->n_streams; i++) {
		put_stream(&s[i], &p->streams[i]);
		x.streams[x.n_streams++] = &s[i];
	}
	return saved_put_text(saved_put_message(w, &x.base));
}

void process_save_put(struct saved_writer *w, const struct saved_process *p,
		      struct saved_any *ret)
{
	StateProcess m = STATE_PROCESS__INIT;
	StateDuration d = STATE_DURATION__INIT;

	m.schema_version = p->version;
	m.exec_id = saved_put_text(p->exec_id);
	m.pid = p->pid;
	m.bundle = saved_put_text(p->bundle);
	m.oci_process_spec_json = saved_put_text(p->document);
	d.seconds = p->io_retry.seconds;
	d.nanos = p->io_retry.nanos;
	m.io_retry_timeout = p->io_retry.present ? &d : NULL;
	m.stdin_port = p->port[GUEST_STDIN];
	m.stdout_port = p->port[GUEST_STDOUT];
	m.stderr_port = p->port[GUEST_STDERR];
	m.wait_call_id = p->wait_id;
	m.extension = put_extension(w, p);
	saved_put_any(w, "process", &m.base, ret);
}

int process_save_get_packed(struct saved_reader *r, const StateAny *m,
			    struct saved_process *ret)
{
	const struct saved_any any = {
		m ? saved_bytes(m->type_url) : (struct saved_text){ "", 0 },
		m ? saved_bytes(m->value) : (struct saved_text){ "", 0 },
	};

	return process_save_get(r, &any, ret);
}

StateAny *process_save_put_packed(struct saved_writer *w,
				  const struct saved_process *p)
{
	StateAny *m = saved_put_many(w, 1, sizeof(*m));
	struct saved_any any;

	if (!m)
		return NULL;
	process_save_put(w, p, &any);
	state_any__init(m);
	m->type_url = saved_put_text(any.type);
	m->value = saved_put_text(any.value);
	return m;
}

int saved_by_process_key(const void *a, const void *b)
{
	const struct saved_process *x = a, *y = b;

	return saved_compare(x->key, y->key);
}
