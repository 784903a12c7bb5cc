/* hcsshim.controller.process.save.v1 */
#include "build/proto/state_ext.pb-c.h"
#include "build/proto/state_process.pb-c.h"
#include "migration/saved_codec.h"

static int get_extension(struct saved_reader *r, const StateProcess *m,
			 struct saved_process *ret)
{
	bool bad;
	const StateProcessExt *x = saved_extension(
		r, m->extension, &state_process_ext__descriptor, &bad);
	size_t i;

	if (!x)
		return bad ? err_code(r->e) : 0;
	ret->terminal = x->terminal;
	ret->streams = saved_many(r, x->n_streams, sizeof(*ret->streams));
	if (!ret->streams)
		return -EEXHAUSTED;
	for (i = 0; i < x->n_streams; i++)
		ret->streams[ret->n_streams++] =
			(struct saved_stream){ x->streams[i]->port,
					       x->streams[i]->offset };
	return 0;
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

static ProtobufCBinaryData put_extension(struct saved_writer *w,
					 const struct saved_process *p)
{
	StateProcessExt x = STATE_PROCESS_EXT__INIT;
	StateStreamExt *s = saved_put_many(w, p->n_streams, sizeof(*s));
	size_t i;

	if (!p->terminal && p->n_streams == 0)
		return (ProtobufCBinaryData){ 0, NULL };
	x.magic = SAVED_MAGIC;
	x.terminal = p->terminal;
	x.streams = saved_put_row(w, p->n_streams);
	for (i = 0; s && x.streams && i < p->n_streams; i++) {
		state_stream_ext__init(&s[i]);
		s[i].port = p->streams[i].port;
		s[i].offset = p->streams[i].offset;
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
