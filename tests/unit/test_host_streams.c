/*
 * Streams of a session with both real ends: processes of the agent read and
 * write while a proxy cuts their connections, and the bridge's, behind any byte
 * in either direction; and while the host is replaced by another one, which
 * knows the numbers of docs/resume.md and nothing else. Processes of the UVM and
 * of containers, whose runtime is tests/unit/fake_runtime.h.
 */
#include "tests/unit/stream_jobs.h"
#include "tests/unit/container_peer.h"

#include "bridge/host/container.h"

#define REPLACE_EVERY 4
#define HOSTS_MIN 6

/* --- containers --- */

/* Runs from the beginning to the end, for execs. */
#define STANDING "standing"

static struct host_container *standing;
static unsigned int boxes; /* that were asked for */

static void on_deleted(void *ctx, const void *result,
		       const struct host_failure *f)
{
	struct job *j = ctx;

	if (!result)
		fail_msg("%s is not deleted: %s", j->id, f->err.text);
	j->busy = false;
}

/* The end of the process and the notice come in any order. */
static void on_process_over(struct job *j)
{
	const struct host_done done = { .fn = on_deleted, .ctx = j };
	struct err e = { 0 };

	if (j->busy && j->notices > 0 && j->ended > 0 &&
	    host_delete_container_state(j->all->x->client, j->id, &done, NULL,
					&e) < 0)
		fail_msg("%s", e.text);
}

static void on_notice(void *ctx, enum host_container_how how,
		      const struct err *why)
{
	struct job *j = ctx;

	assert_null(why);
	assert_int_equal(how, HOST_CONTAINER_EXITED);
	assert_int_equal(j->notices++, 0);
	host_container_free(mem_take(&j->box));
	on_process_over(j);
}

static void on_no_notice(void *ctx UNUSED, enum host_container_how how,
			 const struct err *why UNUSED)
{
	fail_msg("the standing container has ended: %d", (int)how);
}

static void document_of(const char *id, const char *line, bool terminal,
			char *spec, size_t size)
{
	(void)snprintf(
		spec, size,
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":%s,"
		"\"cwd\":\"/\"," CONTAINER_ENV
		"\"args\":[\"/bin/sh\",\"-c\",\"%s\"],"
		"\"user\":{\"uid\":0,\"gid\":0}},"
		"\"root\":{\"path\":\"/run/gcs/c/%s/rootfs\"}," CONTAINER_MOUNTS
		"\"linux\":{\"resources\":{},\"namespaces\":["
		"{\"type\":\"pid\"},{\"type\":\"mount\"}]}}",
		terminal ? "true" : "false", line, id);
}

static void ask_for_box(struct all *t, const char *id, const char *line,
			bool terminal, const struct host_done *created,
			host_container_ended_fn *ended,
			struct host_container **ret)
{
	char spec[4096], bundle[64], scratch[96];
	const struct msg_container_config document = {
		.schema_version = { 2, 1 },
		.oci_bundle_path = bundle,
		.scratch_dir_path = scratch,
		.oci_specification = spec,
	};
	struct err e = { 0 };

	container_make_root(id);
	(void)snprintf(bundle, sizeof(bundle), "/run/gcs/c/%s", id);
	(void)snprintf(scratch, sizeof(scratch), "%s/scratch/%s", bundle, id);
	document_of(id, line, terminal, spec, sizeof(spec));
	if (host_container_create(t->x->client, id, &document, created, ended,
				  created->ctx, ret, &e) < 0)
		fail_msg("%s", e.text);
	boxes++;
}

static void on_created(void *ctx, const void *result,
		       const struct host_failure *f)
{
	if (!result)
		fail_msg("no container: %s", f->err.text);
	begin(ctx);
}

/* In the UVM, as an exec of the container that stands, or as the first process of
 * a container of its own. */
static void launch_anywhere(struct job *j)
{
	const struct host_done created = { .fn = on_created, .ctx = j };
	const bool terminal = j->what == WHAT_TTY;
	char line[256];

	j->id[0] = '\0';
	j->exec[0] = '\0';
	j->notices = 0;
	line_of(j, line, sizeof(line));
	switch (j->all->runs % 3) {
	case 0:
		begin(j);
		return;
	case 1:
		(void)snprintf(j->id, sizeof(j->id), STANDING);
		(void)snprintf(j->exec, sizeof(j->exec),
			       "{\"terminal\":%s,\"cwd\":\"/\"," CONTAINER_ENV
			       "\"user\":{\"uid\":0,\"gid\":0},"
			       "\"args\":[\"/bin/sh\",\"-c\",\"%s\"]}",
			       terminal ? "true" : "false", line);
		begin(j);
		return;
	default:
		(void)snprintf(j->id, sizeof(j->id), "c%u", boxes);
		j->busy = true;
		ask_for_box(j->all, j->id, line, terminal, &created, on_notice,
			    &j->box);
		return;
	}
}

/* Lines of what the runtime was called for that begin so. */
static unsigned int calls_of(const struct all *t, const char *verb)
{
	char path[96];
	unsigned int n = 0;
	const char *at;

	(void)snprintf(path, sizeof(path), "%s/fake/calls", t->dir);
	at = fake_text(path);
	while (at && (at = strstr(at, verb)))
		n += *(at += strlen(verb)) == ' ';
	return n;
}

static void on_standing(void *ctx, const void *result,
			const struct host_failure *f)
{
	struct outcome *o = ctx;

	if (!result)
		fail_msg("%s", f->err.text);
	o->times++;
}

static void begin_standing(struct all *t)
{
	struct outcome o = { 0 };
	const struct host_done done = { .fn = on_standing, .ctx = &o };
	const uint32_t no_port[MSG_STDIO] = { 0 };
	const struct msg_process_parameters init = { 0 };

	ask_for_box(t, STANDING, "sleep 100000", false, &done, on_no_notice,
		    &standing);
	FAKE_UNTIL(&t->x->fake, o.times == 1);
	assert_int_equal(host_execute_process(t->x->client, STANDING, &init,
					      no_port, &done, NULL, NULL),
			 0);
	FAKE_UNTIL(&t->x->fake, o.times == 2);
}

/* Each was taken over; what has not been told is told to the next host. */
static void boxes_of_host(struct all *t, bool open)
{
	struct err e = { 0 };

	if (!standing)
		return;
	if (!open)
		host_container_free(standing);
	else if (host_container_open(t->x->client, STANDING, on_no_notice, NULL,
				     &standing, &e) < 0)
		fail_msg("%s", e.text);
	for (int i = 0; i < AT_ONCE; i++) {
		struct job *j = &t->job[i];

		if (!j->box)
			continue;
		if (!open)
			host_container_free(j->box);
		else if (host_container_open(t->x->client, j->id, on_notice, j,
					     &j->box, &e) < 0)
			fail_msg("%s", e.text);
	}
}

/* --- another host --- */

/* Nothing is just starting or ending. */
static bool all_run(struct all *t)
{
	bool any = false;

	for (int i = 0; i < AT_ONCE; i++) {
		struct job *j = &t->job[i];

		if (j->busy && (!j->process || !j->box))
			return false;
		if (!j->process)
			continue;
		any = true;
		if (host_process_state(j->process, &j->state) < 0)
			return false;
	}
	return any;
}

static void open_again(struct job *j)
{
	struct host_process_config config = config_of(j);
	struct err e = { 0 };

	j->state.stream = j->stream;
	/* The input goes on behind what was read of it, the outputs behind what
	 * was written: the files know, as their owners would. */
	if (host_process_open(j->all->x->client, &config, &j->state, false,
			      &j->process, &e) < 0)
		fail_msg("%s", e.text);
	host_process_streams_done(j->stream);
}

/* All that the first host knew but the numbers is gone. */
static void replace_host(struct all *t)
{
	const uint64_t next_id = host_client_next_id(t->x->client);
	const uint32_t next_port = host_client_ports(t->x->client)->next;
	uint8_t *saved = NULL;
	size_t len = 0;
	struct err e = { 0 };

	host_client_freeze(t->x->client, true);
	if (!all_run(t)) {
		host_client_freeze(t->x->client, false);
		return;
	}
	for (int i = 0; i < AT_ONCE; i++) {
		struct job *j = &t->job[i];

		j->moves = j->process != NULL;
		if (j->moves)
			assert_int_equal(
				host_process_streams(j->process, j->stream, &e),
				0);
	}
	assert_int_equal(host_client_save(t->x->client, &saved, &len, &e), 0);
	t->losses += t->x->lost;
	for (int i = 0; i < AT_ONCE; i++)
		host_process_free(mem_take(&t->job[i].process));
	boxes_of_host(t, false);
	host_client_free(mem_take(&t->x->client));
	t->x->ready = 0;
	t->x->lost = 0;
	make_client(t->x, (struct host_client_config){ .session = true,
						       .saved = saved,
						       .saved_len = len });
	free(saved);
	host_client_raise_id(t->x->client, next_id);
	host_ports_raise(host_client_ports(t->x->client), next_port);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	for (int i = 0; i < AT_ONCE; i++)
		if (t->job[i].moves)
			open_again(&t->job[i]);
	boxes_of_host(t, true);
	t->x->notices = 0; /* they came before, and were handed on */
	t->hosts++;
}

/* --- the tests --- */

static void run(struct all *t, uint32_t cuts, bool replace)
{
	uint32_t turns = 0;

	t->agent = agent_start(t->dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	if (t->launch)
		begin_standing(t);
	for (;;) {
		const bool more = proxy_cuts(&t->proxy) < cuts ||
				  (replace && t->hosts < HOSTS_MIN);

		look_after(t, more);
		if (!more && !any_runs(t))
			break;
		assert_true(loop_turn(t->x->fake.loop, 50, NULL) >= 0);
		assert_int_equal(t->x->failed, 0);
		assert_int_equal(t->x->notices, 0); /* a second one */
		if (replace && ++turns % REPLACE_EVERY == 0)
			replace_host(t);
	}
	look_after(t, false);
	t->losses += t->x->lost;
	if (!t->plain)
		FAKE_UNTIL(&t->x->fake, agent_ran(t->dir) >= t->runs);
}

static uint32_t cuts_wanted(void)
{
	return getenv("FERRY_SOAK") ? 10 * CUTS : CUTS;
}

static void test_streams_survive_cuts(void **state)
{
	struct all *t = *state;

	make_client(t->x, (struct host_client_config){ .session = true });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	run(t, cuts_wanted(), false);
	report(t, "session");
	assert_int_equal(agent_ran(t->dir), t->runs);
	assert_true(t->losses > 20);
}

static void test_streams_survive_their_host(void **state)
{
	struct all *t = *state;

	make_client(t->x, (struct host_client_config){ .session = true });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	run(t, cuts_wanted(), true);
	report(t, "hosts");
	assert_int_equal(agent_ran(t->dir), t->runs);
	assert_true(t->hosts >= HOSTS_MIN);
}

/* Processes of containers, first ones and execs, beside those of the UVM: what
 * was asked for is done once, each end and each notice is told once. */
static void test_containers_survive_cuts_and_their_host(void **state)
{
	struct all *t = *state;

	t->launch = launch_anywhere;
	t->over = on_process_over;
	make_client(t->x, (struct host_client_config){ .session = true });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	run(t, cuts_wanted(), true);
	report(t, "containers");
	print_message("containers: %u\n", boxes);
	assert_int_equal(agent_ran(t->dir), t->runs);
	assert_true(t->hosts >= HOSTS_MIN);
	assert_true(boxes > 1);
	assert_int_equal(calls_of(t, "create"), boxes);
	assert_int_equal(calls_of(t, "start"), boxes);
}

/* The runtime is this program, by the name that an agent looks for. */
static int set_up_boxes(void **state)
{
	const char *path = getenv("PATH");
	char from[256], at[512];
	struct all *t;
	ssize_t n;

	if (set_up(state) < 0)
		return -1;
	t = *state;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1L);
	n = readlink("/proc/self/exe", from, sizeof(from) - 1);
	assert_true(n > 0);
	from[n] = '\0';
	(void)snprintf(at, sizeof(at), "%s/fake", t->dir);
	assert_int_equal(mkdir(at, 0700), 0);
	(void)snprintf(at, sizeof(at), "%s/bin", t->dir);
	assert_int_equal(mkdir(at, 0700), 0);
	(void)snprintf(at, sizeof(at), "%s/bin/crun", t->dir);
	assert_int_equal(symlink(from, at), 0);
	(void)snprintf(at, sizeof(at), "%s/bin:%s", t->dir,
		       path ? path : "/usr/bin:/bin");
	return setenv("PATH", at, 1);
}

static int tear_down_boxes(void **state)
{
	struct all *t = *state;
	int r;

	end_process(t->agent);
	t->agent = 0;
	host_container_free(mem_take(&standing));
	for (int i = 0; i < AT_ONCE; i++)
		host_container_free(mem_take(&t->job[i].box));
	r = tear_down(state);
	peer_end_orphans();
	return r;
}

#define BULK_BYTES ((off_t)32 << 20)
/* Of two streams: what is not acknowledged, and not yet given back. */
#define BULK_KEPT_MAX ((uint64_t)3 << 20)

/* Bytes of memory in the agent's files. */
static uint64_t kept_by(pid_t agent)
{
	char path[64], to[64];
	uint64_t bytes = 0;
	const struct dirent *d;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)agent);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		const ssize_t n =
			readlinkat(dirfd(dir), d->d_name, to, sizeof(to) - 1);
		struct stat st;

		if (n < 7 || memcmp(to, "/memfd:", 7) != 0 ||
		    fstatat(dirfd(dir), d->d_name, &st, 0) < 0)
			continue;
		bytes += (uint64_t)st.st_blocks * 512;
	}
	(void)closedir(dir);
	return bytes;
}

static void on_bulk_ended(void *ctx, const struct host_process_end *end)
{
	int *code = ctx;

	*code = end->exited && !end->output_cut ? (int)end->code : -2;
}

/* However much goes through a stream to a slow reader, the guest keeps what is on
 * its way, and no more than a window of that. */
static void test_what_the_host_has_takes_no_memory(void **state)
{
	struct all *t = *state;
	const char *argv[] = { "/bin/sh", "-c", "cat; exit 7" };
	const struct msg_process_parameters what = { .command_args = { argv,
								       3 } };
	struct host_process *p = NULL;
	int code = -1;
	struct host_process_config config = {
		.parameters = &what,
		.fd = { new_file(), -1, -1 },
		.ended = on_bulk_ended,
		.ctx = &code,
	};
	static char buf[16384];
	uint64_t base, most = 0;
	off_t got = 0;
	int fd[2];
	struct err e = { 0 };

	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	config.fd[1] = fd[1];
	assert_int_equal(ftruncate(config.fd[0], BULK_BYTES), 0);
	make_client(t->x, (struct host_client_config){ .session = true });
	t->agent = agent_start(t->x->fake.dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	base = kept_by(t->agent);
	if (host_process_start(t->x->client, &config, &p, &e) < 0)
		fail_msg("%s", e.text);
	fd_close(&config.fd[0]);
	fd_close(&config.fd[1]);
	while (code == -1 || got < BULK_BYTES) {
		const uint64_t now = kept_by(t->agent);
		const ssize_t n = read(fd[0], buf, sizeof(buf));

		got += n > 0 ? n : 0;
		most = now > most ? now : most;
		assert_true(loop_turn(t->x->fake.loop, 50, NULL) >= 0);
	}
	host_process_free(p);
	fd_close(&fd[0]);
	assert_int_equal(code, 7);
	assert_true(got == BULK_BYTES);
	assert_true(base > 0); /* files are seen */
	assert_true(most <= base + BULK_KEPT_MAX);
	FAKE_UNTIL(&t->x->fake, kept_by(t->agent) <= base + 65536);
}

/*
 * Somebody in the guest dials the port of a stream, with what he can know; the
 * stream is not his, and goes on with the agent.
 */
static void test_p1_a_stream_of_somebody_else(void **state)
{
	struct all *t = *state;
	struct fake *f = &t->x->fake;
	struct job *j = &t->job[0];
	uint8_t lie[STREAM_HELLO_BYTES] = "FERRYST1";
	int fd;

	make_client(t->x, (struct host_client_config){ .session = true });
	/* The agent dials the host itself, the liar too. */
	t->agent = agent_start(f->dir);
	FAKE_UNTIL(f, t->x->ready > 0);
	/* Not before the liar. */
	assert_int_equal(kill(t->agent, SIGSTOP), 0);
	start(j);
	fd = fake_dial(f, WIRE_PORT_STDIO_FIRST);
	assert_int_equal(write(fd, lie, sizeof(lie)), sizeof(lie));
	FAKE_UNTIL(f, recv(fd, lie, sizeof(lie), MSG_DONTWAIT) == 0);
	(void)close(fd);
	assert_int_equal(kill(t->agent, SIGCONT), 0);
	FAKE_UNTIL(f, j->ended > 0);
	assert_true(j->good);
}

/* Refused before anything was moved, in words that name who is too old. */
static void test_hazard_24_another_version_is_refused(void **state)
{
	struct all *t = *state;
	struct host_client_config config = { .session = true };
	struct host_client *other = NULL;
	struct err e;
	uint8_t *saved;
	size_t len;

	make_client(t->x, config);
	t->agent = agent_start(t->x->fake.dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	assert_int_equal(host_client_save(t->x->client, &saved, &len, &e), 0);
	host_client_free(mem_take(&t->x->client));
	config.loop = t->x->fake.loop;
	config.transport = t->x->fake.transport;
	config.saved = saved;
	config.saved_len = len;
	saved[7]++; /* behind the magic */
	assert_int_equal(host_client_new(&config, &other, &e), -EPROTO);
	assert_string_equal(e.text, "the agent in the saved guest has another "
				    "version of FerryResume, '2', and this "
				    "host has 1");
	saved[0]++;
	assert_int_equal(host_client_new(&config, &other, &e), -EINVAL);
	saved[0]--;
	saved[7]--;
	assert_int_equal(host_client_new(&config, &other, &e), 0);
	host_client_free(other);
	free(saved);
}

/*
 * What the plain protocol makes of the same: a figure for docs/resume.md, not
 * a promise. Fewer cuts, for each of them may cost seconds.
 */
static void test_the_plain_protocol_loses(void **state)
{
	struct all *t = *state;

	t->plain = true;
	make_client(t->x, (struct host_client_config){ .session = false });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	run(t, cuts_wanted() / 10, false);
	report(t, "plain");
	assert_true(t->missing > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define R(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		R(test_streams_survive_cuts),
		R(test_streams_survive_their_host),
		R(test_what_the_host_has_takes_no_memory),
		R(test_p1_a_stream_of_somebody_else),
		R(test_hazard_24_another_version_is_refused),
		R(test_the_plain_protocol_loses),
#undef R
	};
	const struct CMUnitTest of_containers[] = {
		cmocka_unit_test_setup_teardown(
			test_containers_survive_cuts_and_their_host,
			set_up_boxes, tear_down_boxes),
	};
	int failed;

	if (container_is_runtime(argv[0]))
		return fake_runtime_main(argc, argv);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (container_private_run())
		return failed +
		       cmocka_run_group_tests(of_containers, NULL, NULL);
	print_message("skipped: no mount namespace to be had\n");
	return failed;
}
