#include "tests/e2e/lib/refhost.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/json_check.h"
#include "bridge/wire.h"
#include "config/text.h"
#include "config/util.h"

static char step[256] = "start";
static json_object *last_body;

void ref_step(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(step, sizeof(step), fmt, ap);
	va_end(ap);
}

void ref_ok(const char *fmt, ...)
{
	va_list ap;

	printf("ok - ");
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	(void)fflush(stdout);
}

void ref_fail(const char *fmt, ...)
{
	va_list ap;

	printf("not ok - %s: ", step);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	exit(1);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool readable(int fd, int64_t ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, ms < 0 ? 0 : (int)ms);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static int take(const struct transport *t, int listener)
{
	struct err e = { 0 };
	int fd = -1;

	ref_check(readable(listener, REF_LIMIT_MS), "the guest does not dial");
	ref_check(transport_accept(t, listener, &fd, &e) == 0, "%s", e.text);
	(void)fd_nonblock(fd, false);
	return fd;
}

struct ref *ref_new(const char *base)
{
	struct ref *r = calloc(1, sizeof(*r));
	char spelled[256];
	struct err e = { 0 };

	if (!r)
		abort();
	(void)snprintf(spelled, sizeof(spelled), "unix:%s", base);
	r->fd = -1;
	r->next_port = WIRE_PORT_STDIO_FIRST;
	ref_check(transport_parse(spelled, &r->transport, &e) == 0 &&
			  transport_listen(&r->transport, WIRE_PORT_BRIDGE, 8,
					   &r->listener, &e) == 0,
		  "%s", e.text);
	return r;
}

void ref_accept(struct ref *r)
{
	r->fd = take(&r->transport, r->listener);
}

void ref_hang_up(struct ref *r)
{
	fd_close(&r->fd);
}

void ref_forget(struct ref *r)
{
	for (size_t i = 0; i < REF_IDS; i++)
		if (r->answer[i].body)
			json_object_put(r->answer[i].body);
	memset(r->answer, 0, sizeof(r->answer));
	r->n_tracked = 0;
	r->n_noticed = 0;
	r->next_id = 0;
}

/* --- frames ------------------------------------------------------------------ */

void ref_raw(struct ref *r, const void *bytes, size_t len)
{
	ref_check(fd_write_full(r->fd, bytes, len) == 0,
		  "the guest closed the bridge");
}

uint64_t ref_send(struct ref *r, uint32_t type, const char *body)
{
	const size_t len = strlen(body);
	const uint64_t id = r->next_id++;
	uint8_t *frame = malloc(WIRE_HEADER_SIZE + len + 2);

	if (!frame || id >= REF_IDS)
		abort();
	wire_header_put(frame,
			&(struct wire_header){
				.type = type,
				.size = (uint32_t)(WIRE_HEADER_SIZE + len + 1),
				.id = id });
	(void)snprintf((char *)frame + WIRE_HEADER_SIZE, len + 2, "%s\n", body);
	r->answer[id] = (struct ref_answer){ true, true, type, NULL };
	ref_raw(r, frame, WIRE_HEADER_SIZE + len + 1);
	free(frame);
	return id;
}

void ref_expect(struct ref *r, uint64_t id)
{
	r->answer[id] =
		(struct ref_answer){ true, true, WIRE_WAIT_FOR_PROCESS, NULL };
}

void ref_track(struct ref *r, const char *container)
{
	if (r->n_tracked == REF_NOTICES)
		r->n_tracked = 0; /* the oldest are long over */
	(void)snprintf(r->tracked[r->n_tracked++], sizeof(r->tracked[0]), "%s",
		       container);
}

static const char *text_of(json_object *o, const char *name)
{
	json_object *v = NULL;

	return json_object_object_get_ex(o, name, &v)
		       ? json_object_get_string(v)
		       : NULL;
}

static bool is_guid(const char *s)
{
	size_t i;

	for (i = 0; i < 36 && s[i]; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !strchr("0123456789abcdef", s[i]))
			return false;
	}
	return i == 36 && s[36] == '\0';
}

/* What a reference host's decoder would close its bridge on. */
static void check_body(json_object *o, const char *text)
{
	json_object *v = NULL;
	json_object *line = NULL;
	const char *s;

	ref_check(json_object_is_type(o, json_type_object), "no object: %s",
		  text);
	if (json_object_object_get_ex(o, "Result", &v)) {
		const int64_t n = json_object_get_int64(v);

		ref_check(n >= INT32_MIN && n <= INT32_MAX, "Result: %s", text);
	}
	s = text_of(o, "ActivityId");
	ref_check(!s || is_guid(s), "ActivityId: %s", text);
	s = text_of(o, "ResultInfo");
	ref_check(!s || json_check(s, strlen(s), NULL) == 0, "ResultInfo: %s",
		  text);
	if (json_object_object_get_ex(o, "Properties", &v)) {
		ref_check(json_object_is_type(v, json_type_string),
			  "Properties: %s", text);
		s = json_object_get_string(v);
		ref_check(json_check(s, strlen(s), NULL) == 0, "Properties: %s",
			  text);
	}
	if (json_object_object_get_ex(o, "ErrorRecords", &v))
		for (size_t i = 0; i < json_object_array_length(v); i++)
			if (json_object_object_get_ex(
				    json_object_array_get_idx(v, i), "Line",
				    &line))
				ref_check(json_object_get_int64(line) >= 0,
					  "Line: %s", text);
}

static void on_notice(struct ref *r, json_object *o)
{
	const char *id = text_of(o, "ContainerId");
	int i;

	for (i = 0; i < r->n_tracked; i++)
		if (id && strcmp(r->tracked[i], id) == 0)
			break;
	ref_check(i < r->n_tracked,
		  "a notice for a container that is not "
		  "tracked: %s",
		  json_object_to_json_string(o));
	r->tracked[i][0] = '\0';
	if (r->n_noticed == REF_NOTICES)
		r->n_noticed = 0;
	(void)snprintf(r->noticed[r->n_noticed], sizeof(r->noticed[0]), "%s",
		       id);
	(void)snprintf(r->notice_type[r->n_noticed], sizeof(r->notice_type[0]),
		       "%s", text_of(o, "Type"));
	r->n_noticed++;
}

static void on_frame(struct ref *r, const struct wire_header *h,
		     const char *text, size_t len)
{
	json_object *o;
	struct ref_answer *a;

	ref_check(json_check(text, len, NULL) == 0, "not JSON: %s", text);
	o = json_tokener_parse(text);
	check_body(o, text);
	if (h->type == WIRE_CONTAINER_NOTIFICATION) {
		on_notice(r, o);
		json_object_put(o);
		return;
	}
	ref_check(wire_kind(h->type) == WIRE_RESPONSE, "a frame of type %08x",
		  h->type);
	ref_check(h->id < REF_IDS && r->answer[h->id].asked,
		  "an answer to id %llu, which is not outstanding: %s",
		  (unsigned long long)h->id, text);
	a = &r->answer[h->id];
	ref_check(!a->body, "a second answer to id %llu: %s",
		  (unsigned long long)h->id, text);
	ref_check(h->type == wire_response_type(a->type),
		  "id %llu: type %08x answers %08x", (unsigned long long)h->id,
		  h->type, a->type);
	a->body = o;
	a->asked = false;
}

/* One frame. Return: false at the end of the connection */
static bool read_frame(struct ref *r)
{
	static char body[WIRE_GUEST_FRAME_MAX + 1];
	uint8_t head[WIRE_HEADER_SIZE];
	struct wire_header h;
	size_t n = 0;

	while (n < sizeof(head)) {
		const ssize_t got = read(r->fd, head + n, sizeof(head) - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	h = wire_header_get(head);
	ref_check(h.size >= WIRE_HEADER_SIZE && h.size <= WIRE_GUEST_FRAME_MAX,
		  "a frame of %u bytes", h.size);
	for (n = 0; n < h.size - WIRE_HEADER_SIZE;) {
		const ssize_t got =
			read(r->fd, body + n, h.size - WIRE_HEADER_SIZE - n);

		ref_check(got > 0, "the end inside of a frame");
		n += (size_t)got;
	}
	body[n] = '\0';
	on_frame(r, &h, body, n);
	return true;
}

uint32_t ref_answer(struct ref *r, uint64_t id)
{
	const int64_t end = now_ms() + REF_LIMIT_MS;
	struct ref_answer *a = &r->answer[id];

	while (!a->body) {
		ref_check(readable(r->fd, end - now_ms()),
			  "no answer to id %llu", (unsigned long long)id);
		ref_check(read_frame(r), "the guest closed the bridge");
	}
	if (last_body)
		json_object_put(last_body);
	last_body = a->body;
	a->body = NULL;
	return (uint32_t)ref_number(r, "Result");
}

uint32_t ref_call(struct ref *r, uint32_t type, const char *body)
{
	return ref_answer(r, ref_send(r, type, body));
}

json_object *ref_body(const struct ref *r)
{
	(void)r;
	return last_body;
}

int64_t ref_number(const struct ref *r, const char *name)
{
	json_object *v = NULL;

	(void)r;
	ref_check(json_object_object_get_ex(last_body, name, &v), "no %s in %s",
		  name, json_object_to_json_string(last_body));
	return json_object_get_int64(v);
}

void ref_pump(struct ref *r, int ms)
{
	const int64_t end = now_ms() + ms;

	while (readable(r->fd, end - now_ms()))
		ref_check(read_frame(r), "the guest closed the bridge");
}

void ref_quiet(struct ref *r, int ms)
{
	ref_check(!readable(r->fd, ms), "a frame that nobody asked for");
}

static int find_notice(const struct ref *r, const char *container)
{
	for (int i = r->n_noticed - 1; i >= 0; i--)
		if (strcmp(r->noticed[i], container) == 0)
			return i;
	return -1;
}

bool ref_noticed(struct ref *r, const char *container)
{
	ref_pump(r, 0);
	return find_notice(r, container) >= 0;
}

const char *ref_notice(struct ref *r, const char *container)
{
	const int64_t end = now_ms() + REF_LIMIT_MS;
	int i;

	while ((i = find_notice(r, container)) < 0) {
		ref_check(readable(r->fd, end - now_ms()), "no notice of %s",
			  container);
		ref_check(read_frame(r), "the guest closed the bridge");
	}
	r->noticed[i][0] = '\0';
	return r->notice_type[i];
}

void ref_negotiate(struct ref *r)
{
	static const char body[] = "{\"ContainerId\":\"\",\"ActivityId\":"
				   "\"" WIRE_NULL_ID "\",\"MinimumVersion\":4,"
				   "\"MaximumVersion\":4}";

	ref_check(ref_call(r, WIRE_NEGOTIATE_PROTOCOL, body) == 0,
		  "negotiation: %s", json_object_to_json_string(last_body));
	ref_check(ref_number(r, "Version") == 4, "another version");
}

/* --- requests ---------------------------------------------------------------- */

const char *ref_base(const char *container)
{
	static char body[256];

	(void)snprintf(body, sizeof(body),
		       "{\"ContainerId\":\"%s\",\"ActivityId\":"
		       "\"" WIRE_NULL_ID "\"}",
		       container);
	return body;
}

char *ref_quote(const char *text)
{
	json_object *s = json_object_new_string(text);
	char *quoted = strdup(json_object_to_json_string_ext(
		s, JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(s);
	if (!quoted)
		abort();
	return quoted;
}

static void put_flag(struct text *t, const char *name, bool set)
{
	if (set)
		text_addf(t, "%s\"%s\":true", t->len > 1 ? "," : "", name);
}

uint32_t ref_exec(struct ref *r, const char *container, const char *inner,
		  unsigned int streams, struct ref_proc *p)
{
	static const char *const pipes[] = { "CreateStdInPipe",
					     "CreateStdOutPipe",
					     "CreateStdErrPipe" };
	static const char *const names[] = { "StdIn", "StdOut", "StdErr" };
	static char buf[131072], ports_buf[256], body[262144];
	struct text t, ports;
	int listener[3] = { -1, -1, -1 };
	struct err e = { 0 };
	char wait[256];
	char *quoted;
	uint64_t id;
	uint32_t result;

	*p = (struct ref_proc){ .fd = { -1, -1, -1 } };
	(void)snprintf(p->container, sizeof(p->container), "%s",
		       container ? container : WIRE_NULL_ID);
	text_fixed(&t, buf, sizeof(buf));
	text_fixed(&ports, ports_buf, sizeof(ports_buf));
	text_addf(&t, "{%s", inner);
	text_add(&ports, "{");
	for (int i = 0; i < 3; i++) {
		if (!(streams & 1u << i))
			continue;
		p->port[i] = r->next_port++;
		ref_check(transport_listen(&r->transport, p->port[i], 1,
					   &listener[i], &e) == 0,
			  "%s", e.text);
		put_flag(&t, pipes[i], true);
		text_addf(&ports, "%s\"%s\":%u", ports.len > 1 ? "," : "",
			  names[i], p->port[i]);
	}
	text_add(&t, "}");
	text_add(&ports, "}");
	quoted = ref_quote(buf);
	(void)snprintf(body, sizeof(body),
		       "{\"ContainerId\":\"%s\",\"ActivityId\":"
		       "\"" WIRE_NULL_ID "\",\"Settings\":{"
		       "\"ProcessParameters\":%s,"
		       "\"VsockStdioRelaySettings\":%s}}",
		       p->container, quoted, ports_buf);
	free(quoted);
	id = ref_send(r, WIRE_EXECUTE_PROCESS, body);
	result = ref_answer(r, id);
	for (int i = 0; i < 3; i++) {
		if (result == 0 && listener[i] >= 0)
			p->fd[i] = take(&r->transport, listener[i]);
		fd_close(&listener[i]);
		if (p->port[i])
			transport_unlink(&r->transport, p->port[i]);
	}
	if (result != 0)
		return result;
	p->pid = (uint32_t)ref_number(r, "ProcessId");
	(void)snprintf(wait, sizeof(wait),
		       "{\"ContainerId\":\"%s\",\"ActivityId\":"
		       "\"" WIRE_NULL_ID "\",\"ProcessId\":%u,"
		       "\"TimeoutInMs\":4294967295}",
		       p->container, p->pid);
	p->wait_id = ref_send(r, WIRE_WAIT_FOR_PROCESS, wait);
	return 0;
}

const char *ref_read_all(int fd)
{
	static char out[2][REF_OUT_MAX];
	static int which;
	size_t n = 0;

	which ^= 1;
	for (;;) {
		ssize_t got;

		ref_check(readable(fd, REF_LIMIT_MS), "a stream goes on");
		got = read(fd, out[which] + n, REF_OUT_MAX - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	out[which][n] = '\0';
	return out[which];
}

void ref_read_until(int fd, const char *text)
{
	char buf[REF_OUT_MAX];
	size_t n = 0;

	buf[0] = '\0';
	while (!strstr(buf, text)) {
		ssize_t got;

		ref_check(n < sizeof(buf) - 1 && readable(fd, REF_LIMIT_MS),
			  "'%s' does not come: %s", text, buf);
		got = read(fd, buf + n, 1);
		ref_check(got == 1, "the end before '%s': %s", text, buf);
		buf[++n] = '\0';
	}
}

void ref_close(struct ref_proc *p)
{
	for (int i = 0; i < 3; i++)
		fd_close(&p->fd[i]);
}

uint32_t ref_exit(struct ref *r, struct ref_proc *p)
{
	uint32_t result;

	for (int i = 1; i < 3; i++)
		if (p->fd[i] >= 0)
			(void)ref_read_all(p->fd[i]);
	ref_close(p);
	result = ref_answer(r, p->wait_id);
	ref_check(result == 0, "wait: 0x%08x", result);
	return (uint32_t)ref_number(r, "ExitCode");
}

const char *ref_uvm(struct ref *r, const char *line)
{
	char *quoted = ref_quote(line);
	char inner[65536];
	struct ref_proc p;
	const char *out;
	uint32_t code;

	(void)snprintf(inner, sizeof(inner),
		       "\"CommandArgs\":[\"/bin/sh\",\"-c\",%s],"
		       "\"WorkingDirectory\":\"/\",\"Environment\":{\"PATH\":"
		       "\"/sbin:/usr/sbin:/bin:/usr/bin\"}",
		       quoted);
	free(quoted);
	ref_check(ref_exec(r, NULL, inner, REF_OUT, &p) == 0, "UVM process: %s",
		  json_object_to_json_string(last_body));
	out = ref_read_all(p.fd[1]);
	ref_close(&p);
	ref_check(ref_answer(r, p.wait_id) == 0, "no exit code");
	code = (uint32_t)ref_number(r, "ExitCode");
	ref_check(code == 0, "'%s' ends with %u: %s", line, code, out);
	return out;
}
