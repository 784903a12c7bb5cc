/*
 * tests/e2e/refhost.c - scenarios of a host that speaks as the reference's does
 *
 * The reference's own host runs on Windows alone and cannot be run here. What
 * it sends is in the shared vectors; what it would refuse to read is checked
 * by lib/refhost.c after the specification. What neither says, as its timing
 * and its reaction to an answer, is not shown by these tests.
 *
 * usage: refhost BASE VECTORS SCENARIO...
 *	all		every vector of a host, byte for byte
 *	pod		a pod in the order of bridge.md 10.4, from the vectors
 *	exits COUNT	COUNT exit codes and the signals, by exec
 *	resume		connections that begin with id 0 and with an id above
 *	hostile		frames that are none, and a host that pipelines
 *	churn COUNT	pods made and deleted; what is left behind is counted
 *	off		power off
 *
 * A line "ok - ..." for each thing that was seen, "not ok - ..." and the end
 * for the first that was not.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/wire.h"
#include "config/util.h"
#include "tests/e2e/lib/refcensus.h"
#include "tests/e2e/lib/refhost.h"
#include "tests/e2e/lib/refsteps.h"

/* Warm-up rounds before anything is counted. */
#define CHURN_WARM 2
/* A container ends 2 s after its beginning, while nobody is there. */
#define GAP_MS 6000

/* --- all: nothing is there that they name, and each is answered ---------------- */

static const struct {
	uint32_t type;
	const char *name;
	uint32_t result;
} everything[] = {
	{ WIRE_NEGOTIATE_PROTOCOL, "negotiate-request", HR_NOT_IMPLEMENTED },
	{ WIRE_NEGOTIATE_PROTOCOL, "negotiate-request-unsupported-range",
	  HR_NOT_IMPLEMENTED },
	{ WIRE_CREATE, "create-uvm-request", HR_INVALID_JSON },
	{ WIRE_CREATE, "create-workload-request", HR_FAIL },
	{ WIRE_CREATE, "create-workload-v2-paths-request", HR_FAIL },
	{ WIRE_CREATE, "create-standalone-request", HR_FAIL },
	{ WIRE_START, "start-request", HR_OK },
	{ WIRE_START, "start-traced-request", HR_OK },
	{ WIRE_START, "start-uvm-request", HR_OK },
	{ WIRE_EXECUTE_PROCESS, "exec-in-container-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_EXECUTE_PROCESS, "exec-init-request", HR_SYSTEM_NOT_FOUND },
	{ WIRE_EXECUTE_PROCESS, "exec-init-stdout-only-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_EXECUTE_PROCESS, "exec-uvm-process-request", HR_FAIL },
	{ WIRE_WAIT_FOR_PROCESS, "wait-request", HR_SYSTEM_NOT_FOUND },
	{ WIRE_WAIT_FOR_PROCESS, "wait-probe-request", HR_SYSTEM_NOT_FOUND },
	{ WIRE_SIGNAL_PROCESS, "signal-term-request", HR_SYSTEM_NOT_FOUND },
	{ WIRE_SIGNAL_PROCESS, "signal-default-kill-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_RESIZE_CONSOLE, "resize-console-request", HR_SYSTEM_NOT_FOUND },
	{ WIRE_SHUTDOWN_GRACEFUL, "shutdown-graceful-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_SHUTDOWN_FORCED, "shutdown-forced-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_GET_PROPERTIES, "get-properties-process-list-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_GET_PROPERTIES, "get-properties-statistics-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_MODIFY_SETTINGS, "modify-combined-layers-add-request", HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-combined-layers-v2-add-request",
	  HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-combined-layers-remove-request",
	  HR_OK },
	{ WIRE_MODIFY_SETTINGS, "modify-container-constraints-request",
	  HR_SYSTEM_NOT_FOUND },
	{ WIRE_MODIFY_SETTINGS, "modify-mapped-directory-add-request",
	  HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-mapped-directory-remove-request",
	  HR_OK },
	{ WIRE_MODIFY_SETTINGS, "modify-network-remove-request", HR_OK },
	{ WIRE_MODIFY_SETTINGS, "modify-pod-cgroup-memory-limit-request",
	  HR_OK },
	{ WIRE_MODIFY_SETTINGS, "modify-policy-fragment-request", HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-scsi-layer-add-request", HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-scsi-scratch-add-request", HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-security-policy-request", HR_OK },
	{ WIRE_MODIFY_SETTINGS, "modify-scsi-layer-remove-request", HR_OK },
	{ WIRE_MODIFY_SETTINGS, "modify-scsi-unplug-request", HR_OK },
	{ WIRE_MODIFY_SETTINGS, "modify-vpmem-add-request", HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-vpmem-mapped-add-request", HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-scsi-v2-path-add-request", HR_FAIL },
	{ WIRE_MODIFY_SETTINGS, "modify-vpci-add-request", HR_FAIL },
	{ WIRE_DUMP_STACKS, "dump-stacks-request", HR_OK },
	{ WIRE_DELETE_CONTAINER_STATE, "delete-container-state-request",
	  HR_SYSTEM_NOT_FOUND },
};

static void scenario_all(struct ref *r)
{
	uint64_t id[ARRAY_LEN(everything)];

	for (size_t i = 0; i < ARRAY_LEN(everything); i++)
		id[i] = ref_send(r, everything[i].type,
				 ref_payload(everything[i].name));
	for (size_t i = 0; i < ARRAY_LEN(everything); i++) {
		const uint32_t got = ref_answer(r, id[i]);

		ref_step("vector %s", everything[i].name);
		ref_check(got == everything[i].result,
			  "0x%08x instead of 0x%08x: %s", got,
			  everything[i].result,
			  json_object_to_json_string(ref_body(r)));
	}
	ref_ok("%zu vectors at once: each answered, once, in a form that the "
	       "reference reads",
	       ARRAY_LEN(everything));
	ref_step("vector negotiate-request-unsupported-range");
	ref_hang_up(r);
	ref_accept(r);
	ref_check(ref_vector(r, WIRE_NEGOTIATE_PROTOCOL,
			     "negotiate-request-unsupported-range") ==
			  HR_UNSUPPORTED_VERSION,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_hang_up(r);
	ref_accept(r);
	ref_negotiate(r);
	ref_ok("versions that the agent has not are refused, then negotiated");
	ref_step("refused messages");
	ref_check(ref_call(r, WIRE_UPDATE_CONTAINER, ref_base(CTR)) ==
				  HR_NOT_IMPLEMENTED &&
			  ref_call(r, WIRE_LIFECYCLE_NOTIFICATION,
				   ref_base(CTR)) == HR_NOT_IMPLEMENTED &&
			  ref_call(r, WIRE_MODIFY_SERVICE_SETTINGS,
				   ref_base(CTR)) == HR_NOT_IMPLEMENTED,
		  "another answer");
	ref_ok("messages of Windows guests are not implemented");
}

/* --- a pod --------------------------------------------------------------------- */

static void pod_execs(struct ref *r)
{
	struct ref_proc p;
	const char *out;

	ref_step("exec with output");
	ref_must_exec(r, CTR, "\"/bin/ls\",\"-l\"", false, REF_OUT | REF_ERR,
		      &p);
	out = ref_read_all(p.fd[1]);
	ref_check(strstr(out, "bin") && strstr(out, "data"), "ls says %s", out);
	ref_check(ref_exit(r, &p) == 0, "another code");
	ref_ok("an exec: output and code");

	ref_step("exec with input");
	ref_must_exec(r, CTR, "\"/bin/cat\"", false, REF_IN | REF_OUT, &p);
	ref_check(write(p.fd[0], "through\n", 8) == 8, "not written");
	(void)shutdown(p.fd[0], SHUT_WR);
	ref_check(strcmp(ref_read_all(p.fd[1]), "through\n") == 0, "lost");
	ref_check(ref_exit(r, &p) == 0, "another code");
	ref_ok("an exec: input, half close, end of output");

	ref_step("exec of nothing");
	ref_check(ref_exec_in(r, CTR, "\"/nowhere\"", false, 0, &p) != 0,
		  "it was started");
	ref_ok("an exec of what is not there is refused");
}

/* The statistics beside the files that they come from. */
static void pod_stats(struct ref *r)
{
	json_object *o, *v = NULL;
	int64_t told, file;

	ref_step("statistics");
	ref_check(ref_vector(r, WIRE_GET_PROPERTIES,
			     "get-properties-statistics-request") == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
	(void)json_object_object_get_ex(ref_body(r), "Properties", &v);
	o = json_tokener_parse(json_object_get_string(v));
	ref_check(json_object_object_get_ex(o, "LCOWMetrics", &v) &&
			  json_object_object_get_ex(v, "memory", &v) &&
			  json_object_object_get_ex(v, "usage", &v) &&
			  json_object_object_get_ex(v, "usage", &v),
		  "no memory usage in %s", json_object_to_json_string(o));
	told = json_object_get_int64(v);
	json_object_put(o);
	file = strtoll(ref_uvm(r, "cat $(ls -d /sys/fs/cgroup/memory/pods/" POD
				  "/" CTR "/memory.usage_in_bytes /sys/fs/"
				  "cgroup/pods/" POD "/" CTR "/memory.current "
				  "2>/dev/null)"),
		       NULL, 10);
	ref_check(told > 0 && told < 4 * file && file < 4 * told,
		  "told %lld, file %lld", (long long)told, (long long)file);
	ref_ok("statistics are those of the container's cgroup");

	ref_step("process list");
	ref_check(ref_vector(r, WIRE_GET_PROPERTIES,
			     "get-properties-process-list-request") == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
	(void)json_object_object_get_ex(ref_body(r), "Properties", &v);
	ref_check(strstr(json_object_get_string(v), "ProcessId"), "%s",
		  json_object_get_string(v));
	ref_ok("the list of processes");
	ref_check(ref_vector(r, WIRE_MODIFY_SETTINGS,
			     "modify-container-constraints-request") == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_check(
		strtoll(ref_uvm(r, "cat $(ls -d /sys/fs/cgroup/memory/pods/" POD
				   "/" CTR "/memory.limit_in_bytes /sys/"
				   "fs/cgroup/pods/" POD "/" CTR
				   "/memory.max 2>/dev/null)"),
			NULL, 10) == 536870912,
		"the limit is another");
	ref_ok("constraints reach the cgroup");
}

static void scenario_pod(struct ref *r)
{
	struct ref_proc pause, work;
	uint32_t result;

	ref_step("network");
	result = ref_vector(r, WIRE_MODIFY_SETTINGS,
			    "modify-network-add-request");
	ref_check(result == 0, "%s", json_object_to_json_string(ref_body(r)));
	ref_ok("an adapter is added before the sandbox is created");
	ref_make_root(r, POD);
	ref_make_root(r, CTR);
	ref_launch(r, POD, "create-sandbox-request", 0, 0, &pause);
	ref_ok("the sandbox is created and runs, pid %u", pause.pid);
	ref_step("second create");
	ref_check(ref_vector(r, WIRE_CREATE, "create-sandbox-request") ==
			  HR_SYSTEM_ALREADY_EXISTS,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_launch(r, CTR, "create-workload-request", pause.pid,
		   REF_OUT | REF_ERR, &work);
	ref_read_until(work.fd[1], "\n");
	ref_ok("the workload is created, runs and writes, pid %u", work.pid);
	pod_execs(r);
	pod_stats(r);

	ref_step("shutdown of the workload");
	ref_check(ref_call(r, WIRE_DELETE_CONTAINER_STATE, ref_base(CTR)) ==
			  HR_INVALID_STATE,
		  "a running container is deleted");
	ref_check(ref_signal(r, &work, SIGKILL) == 0, "not delivered");
	ref_check(ref_exit(r, &work) == 137, "another code");
	ref_check(strcmp(ref_notice(r, CTR), "ForcedExit") == 0,
		  "another notice");
	ref_ok("SIGKILL: code 137 and the notice of a forced exit");
	ref_check(ref_call(r, WIRE_SHUTDOWN_FORCED, ref_base(POD)) == 0, "%s",
		  json_object_to_json_string(ref_body(r)));
	ref_check(ref_exit(r, &pause) == 137, "another code");
	ref_check(strcmp(ref_notice(r, POD), "ForcedExit") == 0,
		  "another notice");
	ref_ok("a forced shutdown: code 137 and its notice");

	ref_step("deletion");
	ref_check(ref_call(r, WIRE_DELETE_CONTAINER_STATE, ref_base(CTR)) ==
				  0 &&
			  ref_call(r, WIRE_DELETE_CONTAINER_STATE,
				   ref_base(POD)) == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_check(ref_call(r, WIRE_DELETE_CONTAINER_STATE, ref_base(POD)) ==
			  HR_SYSTEM_NOT_FOUND,
		  "it is there twice");
	result = ref_vector(r, WIRE_MODIFY_SETTINGS,
			    "modify-network-remove-request");
	ref_check(result == 0, "%s", json_object_to_json_string(ref_body(r)));
	ref_check(strcmp(ref_uvm(r, "ls " BUNDLES), "") == 0,
		  "bundles are left");
	ref_ok("deleted: nothing is left of the bundles");
}

static void terminal(struct ref *r)
{
	struct ref_proc p;

	ref_step("exec with a terminal");
	ref_must_exec(r, "exits",
		      "\"/bin/sh\",\"-c\",\"trap 'stty size; exit 3' WINCH; "
		      "echo go; while true; do sleep 0.05; done\"",
		      true, REF_IN | REF_OUT, &p);
	ref_read_until(p.fd[1], "go");
	ref_check(ref_resize(r, &p, 33, 77) == 0, "resize: %s",
		  json_object_to_json_string(ref_body(r)));
	ref_read_until(p.fd[1], "33 77");
	ref_check(ref_exit(r, &p) == 3, "another code");
	ref_ok("a terminal: its size arrives, with the signal");
}

static void scenario_exits(struct ref *r, int count)
{
	static const int signals[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGILL,
				       SIGABRT, SIGKILL, SIGUSR1, SIGSEGV,
				       SIGPIPE, SIGALRM, SIGTERM, SIGXCPU };
	struct ref_proc init, p;
	char args[128];

	ref_alone(r, "exits", "exec sleep 100000", 0, &init);
	terminal(r);
	for (int i = 0; i < count; i++) {
		const int code = count == 1 ? 0 : i * 255 / (count - 1);

		ref_step("exit code %d", code);
		(void)snprintf(args, sizeof(args),
			       "\"/bin/sh\",\"-c\",\"exit %d\"", code);
		ref_must_exec(r, "exits", args, false, 0, &p);
		ref_check(ref_exit(r, &p) == (uint32_t)code, "another");
	}
	ref_ok("%d exit codes by exec", count);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		ref_step("signal %d", signals[i]);
		ref_must_exec(r, "exits", "\"/bin/sleep\",\"1000\"", false, 0,
			      &p);
		ref_check(ref_signal(r, &p, signals[i]) == 0, "not delivered");
		ref_check(ref_exit(r, &p) == 128 + (uint32_t)signals[i],
			  "another code");
		ref_check(ref_signal(r, &p, signals[i]) == HR_ELEMENT_NOT_FOUND,
			  "delivered to nobody");
	}
	ref_ok("%zu signals to an exec, and none to one that has ended",
	       ARRAY_LEN(signals));
	ref_kill_and_delete(r, &init);
	ref_step("graceful shutdown");
	ref_alone(r, "term",
		  "trap 'exit 9' TERM; echo go; while :; do sleep 0.1; done",
		  REF_OUT, &init);
	ref_read_until(init.fd[1], "go"); /* before that it is ignored */
	ref_check(ref_call(r, WIRE_SHUTDOWN_GRACEFUL, ref_base("term")) == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_check(ref_exit(r, &init) == 9, "another code");
	ref_check(strcmp(ref_notice(r, "term"), "GracefulExit") == 0,
		  "another notice");
	ref_delete(r, "term");
	ref_ok("a graceful shutdown: the program's own code, and its notice");
}

/* --- connections ------------------------------------------------------------------- */

/* The destination of a move: a new object, id 0, that adopts one container. */
static void adopt(struct ref *r, struct ref_proc *init, bool exited)
{
	const uint64_t old = init->wait_id;
	uint32_t result;

	ref_forget(r);
	ref_accept(r);
	ref_quiet(r, 300);
	ref_negotiate(r);
	ref_quiet(r, 300); /* nothing before it names the container */
	r->next_id = 1000; /* the floor */
	ref_track(r, init->container);
	ref_expect(r, old);
	result = ref_probe(r, init);
	ref_check(result == (exited ? HR_OK : HR_TIMEOUT), "probe: %s",
		  json_object_to_json_string(ref_body(r)));
	if (exited)
		ref_check(ref_number(r, "ExitCode") == 5, "another code");
}

static void scenario_resume(struct ref *r)
{
	struct ref_proc a, b, uvm;

	ref_step("resume: a host that goes on");
	ref_alone(r, "first", "read x; exit 5", REF_IN, &a);
	ref_check(ref_exec(r, NULL, "\"CommandArgs\":[\"/bin/sleep\",\"3\"]", 0,
			   &uvm) == 0,
		  "no process");
	ref_hang_up(r);
	ref_accept(r);
	ref_quiet(r, 300);
	ref_negotiate(r); /* with an id above 0 */
	ref_check(ref_answer(r, uvm.wait_id) == 0, "wait");
	ref_ok("id above 0: the wait of before is answered under its id");
	ref_check(ref_probe(r, &a) == HR_TIMEOUT, "%s",
		  json_object_to_json_string(ref_body(r)));

	ref_step("resume: an exit while nobody is there");
	ref_alone(r, "second", "sleep 2; exit 5", 0, &b);
	ref_hang_up(r);
	(void)poll(NULL, 0, GAP_MS);
	adopt(r, &b, true);
	ref_pump(r, 1000);
	ref_check(strcmp(ref_notice(r, "second"), "UnexpectedExit") == 0,
		  "another notice");
	ref_ok("id 0: an exit in the gap is told to the probe, then the notice");
	ref_delete(r, "second");

	ref_step("resume: a destination adopts a running container");
	ref_hang_up(r);
	adopt(r, &a, false);
	ref_check(ref_call(r, WIRE_SHUTDOWN_FORCED, ref_base("first")) == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_check(ref_answer(r, a.wait_id) == 0 &&
			  ref_number(r, "ExitCode") == 137,
		  "the old wait");
	ref_check(strcmp(ref_notice(r, "first"), "ForcedExit") == 0,
		  "another notice");
	ref_ok("id 0: the adopted wait is answered, and the notice comes");
	ref_close(&a);
	ref_delete(r, "first");
}

static void scenario_hostile(struct ref *r)
{
	static const uint8_t too_small[16] = { 1, 7, 0x10, 0x10, 3 };
	static const uint8_t too_large[16] = { 1,    7,	   0x10, 0x10,
					       0xff, 0xff, 0xff, 0xff };
	static char big[100000];
	uint64_t id, next;

	ref_step("hostile: sizes that are none");
	for (int i = 0; i < 6; i++) {
		char c;

		ref_raw(r, i % 2 ? too_small : too_large, 16);
		ref_check(recv(r->fd, &c, 1, 0) <= 0, "it goes on");
		ref_hang_up(r);
		ref_accept(r);
		ref_negotiate(r);
	}
	ref_ok("sizes that are none cost the connection, no more");

	ref_step("hostile: a body of noise");
	memset(big, '<', sizeof(big) - 1);
	ref_check(ref_call(r, WIRE_WAIT_FOR_PROCESS, big) == HR_INVALID_JSON,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_check(ref_call(r, 0x10105001, "{}") == HR_NOT_IMPLEMENTED,
		  "an unknown message");
	ref_ok("noise and unknown messages are answered within 64 KiB");

	ref_step("hostile: frames cut in the middle");
	for (int i = 1; i < 40; i += 3) {
		ref_raw(r,
			"\1\1\x10\x10\x40\0\0\0\7\0\0\0\0\0\0\0{\"Contain"
			"erId\":\"x\",\"ActivityId\":\"\"}",
			(size_t)i);
		ref_hang_up(r);
		ref_accept(r);
		ref_negotiate(r);
	}
	ref_ok("frames cut anywhere cost the connection, no more");

	ref_step("a host that pipelines");
	for (int i = 0; i < 50; i++) {
		ref_hang_up(r);
		ref_accept(r);
		id = ref_send(r, WIRE_NEGOTIATE_PROTOCOL,
			      ref_payload("negotiate-request"));
		next = ref_send(r, WIRE_DUMP_STACKS, ref_base(WIRE_NULL_ID));
		ref_check(ref_answer(r, id) == 0, "negotiation");
		ref_check(ref_answer(r, next) == 0, "the request behind it");
	}
	ref_ok("50 requests pipelined behind a negotiation are served");
}

/* --- leaks ------------------------------------------------------------------------ */

static void one_pod(struct ref *r)
{
	struct ref_proc pause, work, p;

	ref_check(ref_vector(r, WIRE_MODIFY_SETTINGS,
			     "modify-network-add-request") == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
	ref_make_root(r, POD);
	ref_make_root(r, CTR);
	ref_launch(r, POD, "create-sandbox-request", 0, 0, &pause);
	ref_launch(r, CTR, "create-workload-request", pause.pid, REF_OUT,
		   &work);
	ref_read_until(work.fd[1], "\n");
	ref_must_exec(r, CTR, "\"/bin/true\"", false, REF_IN | REF_OUT, &p);
	ref_check(ref_exit(r, &p) == 0, "exec");
	ref_kill_and_delete(r, &work);
	ref_kill_and_delete(r, &pause);
	ref_check(ref_vector(r, WIRE_MODIFY_SETTINGS,
			     "modify-network-remove-request") == 0,
		  "%s", json_object_to_json_string(ref_body(r)));
}

static void scenario_churn(struct ref *r, int count)
{
	struct ref_census before, after;

	for (int i = 0; i < CHURN_WARM; i++)
		one_pod(r);
	ref_census_take(r, &before);
	for (int i = 0; i < count; i++)
		one_pod(r);
	ref_census_settled(r, &before, &after);
	ref_step("what %d pods leave behind", count);
	ref_census_check(&before, &after, 64 + 4L * count);
	ref_ok("%d pods leave no descriptor, mount, cgroup, file or zombie; "
	       "agent %ld KiB, then %ld",
	       count, before.rss_kib, after.rss_kib);
}

static void scenario_off(struct ref *r)
{
	char c;

	ref_step("power off");
	(void)ref_send(r, WIRE_SHUTDOWN_FORCED,
		       ref_payload("shutdown-forced-uvm-request"));
	while (recv(r->fd, &c, 1, 0) > 0)
		;
	ref_ok("the UVM was asked to power off");
}

int main(int argc, char **argv)
{
	struct ref *r;

	if (argc < 4) {
		(void)fputs("usage: refhost BASE VECTORS SCENARIO...\n",
			    stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	ref_vectors = argv[2];
	r = ref_new(argv[1]);
	ref_accept(r);
	ref_negotiate(r);
	ref_ok("negotiated, with id 0");
	for (int i = 3; i < argc; i++) {
		const char *name = argv[i];
		const int n = i + 1 < argc ? atoi(argv[i + 1]) : 0; /* NOLINT */

		if (strcmp(name, "all") == 0)
			scenario_all(r);
		else if (strcmp(name, "pod") == 0)
			scenario_pod(r);
		else if (strcmp(name, "exits") == 0)
			scenario_exits(r, n), i++;
		else if (strcmp(name, "resume") == 0)
			scenario_resume(r);
		else if (strcmp(name, "hostile") == 0)
			scenario_hostile(r);
		else if (strcmp(name, "churn") == 0)
			scenario_churn(r, n), i++;
		else if (strcmp(name, "off") == 0)
			scenario_off(r);
		else
			ref_fail("no scenario %s", name);
	}
	return 0;
}
