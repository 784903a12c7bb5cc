#include "tests/e2e/lib/refsteps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/hresult.h"
#include "bridge/wire.h"

const char *ref_vectors;

/* The payload of a vector, exactly its bytes. */
const char *ref_payload(const char *name)
{
	static const char key[] = "\"payload\": ";
	static char text[65536];
	char path[512];
	char *from;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s.json", ref_vectors, name);
	f = fopen(path, "re");
	ref_check(f, "no vector %s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	from = strstr(text, key);
	ref_check(from, "%s has no payload", path);
	*strrchr(text, '}') = '\0';
	return from + sizeof(key) - 1;
}

uint32_t ref_vector(struct ref *r, uint32_t type, const char *name)
{
	ref_step("vector %s", name);
	return ref_call(r, type, ref_payload(name));
}

/* A root of busybox alone, with what the vectors' documents run. */
void ref_make_root(struct ref *r, const char *id)
{
	char line[1024];

	(void)snprintf(line, sizeof(line),
		       "d=" BUNDLES "%s/rootfs; mkdir -p $d/bin $d/tmp && "
		       "cp /bin/busybox $d/bin/busybox && "
		       "for n in sh ls cat echo date sleep stty id true kill "
		       "head seq yes; do ln -sf busybox $d/bin/$n; done && "
		       "printf '#!/bin/sh\\nexec sleep 100000\\n' >$d/pause && "
		       "chmod 755 $d/pause",
		       id);
	(void)ref_uvm(r, line);
}

/* The vector's document, with the namespaces of this sandbox's process. */
static const char *joined(const char *text, uint32_t pid)
{
	static const char from[] = "/proc/412/";
	static char out[65536];
	size_t n = 0;

	while (*text && n < sizeof(out) - 32) {
		if (strncmp(text, from, sizeof(from) - 1) == 0) {
			n += (size_t)sprintf(out + n, "/proc/%u/", pid);
			text += sizeof(from) - 1;
		} else {
			out[n++] = *text++;
		}
	}
	out[n] = '\0';
	return out;
}

/*
 * What the host does up to a process that runs; the vector makes it.
 * @sandbox: pid of the sandbox's process, for a workload
 */
void ref_launch(struct ref *r, const char *id, const char *vector,
		uint32_t sandbox, unsigned int streams, struct ref_proc *init)
{
	uint32_t result;

	ref_track(r, id);
	ref_step("vector %s", vector);
	result = ref_call(r, WIRE_CREATE, joined(ref_payload(vector), sandbox));
	ref_check(result == 0, "0x%08x: %s", result,
		  json_object_to_json_string(ref_body(r)));
	ref_step("start of %.8s", id);
	ref_check(ref_call(r, WIRE_START, ref_base(id)) == 0, "refused");
	result = ref_exec(r, id, "", streams, init);
	ref_check(result == 0, "0x%08x: %s", result,
		  json_object_to_json_string(ref_body(r)));
}

/* An exec in a container; @args are members of its args array. */
uint32_t ref_exec_in(struct ref *r, const char *id, const char *args,
		     bool terminal, unsigned int streams, struct ref_proc *p)
{
	char inner[8192];

	(void)snprintf(inner, sizeof(inner),
		       "\"OciProcess\":{\"terminal\":%s,\"user\":{\"uid\":0,"
		       "\"gid\":0},\"args\":[%s],\"env\":[\"PATH=/bin\","
		       "\"TERM=xterm\"],\"cwd\":\"/\"}",
		       terminal ? "true" : "false", args);
	return ref_exec(r, id, inner, streams, p);
}

void ref_must_exec(struct ref *r, const char *id, const char *args,
		   bool terminal, unsigned int streams, struct ref_proc *p)
{
	const uint32_t result = ref_exec_in(r, id, args, terminal, streams, p);

	ref_check(result == 0, "exec: 0x%08x %s", result,
		  json_object_to_json_string(ref_body(r)));
}

uint32_t ref_resize(struct ref *r, const struct ref_proc *p, int rows,
		    int columns)
{
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{\"ContainerId\":\"%s\",\"ActivityId\":"
		       "\"" WIRE_NULL_ID "\",\"ProcessId\":%u,\"Height\":%d,"
		       "\"Width\":%d}",
		       p->container, p->pid, rows, columns);
	return ref_call(r, WIRE_RESIZE_CONSOLE, body);
}

uint32_t ref_signal(struct ref *r, const struct ref_proc *p, int number)
{
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{\"ContainerId\":\"%s\",\"ActivityId\":"
		       "\"" WIRE_NULL_ID "\",\"ProcessId\":%u,"
		       "\"Options\":{\"Signal\":%d}}",
		       p->container, p->pid, number);
	return ref_call(r, WIRE_SIGNAL_PROCESS, body);
}

/* --- containers of their own ------------------------------------------------------ */

/* Creates a standalone container that runs a line of shell, and starts it. */
void ref_alone(struct ref *r, const char *id, const char *line,
	       unsigned int streams, struct ref_proc *init)
{
	char spec[4096], inner[8192], body[16384];
	char *q = ref_quote(line);
	uint32_t result;

	ref_make_root(r, id);
	(void)snprintf(spec, sizeof(spec),
		       "{\"ociVersion\":\"1.2.0\",\"process\":{\"user\":"
		       "{\"uid\":0,\"gid\":0},\"args\":[\"/bin/sh\",\"-c\",%s],"
		       "\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"},\"root\":"
		       "{\"path\":\"" BUNDLES "%s/rootfs\"},\"mounts\":["
		       "{\"destination\":\"/proc\",\"type\":\"proc\","
		       "\"source\":\"proc\"},{\"destination\":\"/dev\","
		       "\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
		       "{\"destination\":\"/dev/pts\",\"type\":\"devpts\","
		       "\"source\":\"devpts\",\"options\":[\"newinstance\","
		       "\"ptmxmode=0666\"]}],\"linux\":{\"namespaces\":["
		       "{\"type\":\"pid\"},{\"type\":\"mount\"},"
		       "{\"type\":\"network\"}]}}",
		       q, id);
	free(q);
	(void)snprintf(inner, sizeof(inner),
		       "{\"SchemaVersion\":{\"Major\":2,\"Minor\":1},"
		       "\"OciBundlePath\":\"" BUNDLES "%s\","
		       "\"OciSpecification\":%s,\"ScratchDirPath\":\"" BUNDLES
		       "%s/scratch/%s\"}",
		       id, spec, id, id);
	q = ref_quote(inner);
	(void)snprintf(body, sizeof(body),
		       "{\"ContainerId\":\"%s\",\"ActivityId\":"
		       "\"" WIRE_NULL_ID "\",\"ContainerConfig\":%s}",
		       id, q);
	free(q);
	ref_track(r, id);
	result = ref_call(r, WIRE_CREATE, body);
	ref_check(result == 0, "create: %s",
		  json_object_to_json_string(ref_body(r)));
	ref_check(ref_call(r, WIRE_START, ref_base(id)) == 0, "start");
	result = ref_exec(r, id, "", streams, init);
	ref_check(result == 0, "init: %s",
		  json_object_to_json_string(ref_body(r)));
}

void ref_delete(struct ref *r, const char *id)
{
	ref_check(ref_call(r, WIRE_DELETE_CONTAINER_STATE, ref_base(id)) == 0,
		  "delete: %s", json_object_to_json_string(ref_body(r)));
}

void ref_kill_and_delete(struct ref *r, struct ref_proc *init)
{
	ref_check(ref_call(r, WIRE_SHUTDOWN_FORCED,
			   ref_base(init->container)) == 0,
		  "shutdown: %s", json_object_to_json_string(ref_body(r)));
	ref_check(ref_exit(r, init) == 137, "another code");
	(void)ref_notice(r, init->container);
	ref_delete(r, init->container);
}

uint32_t ref_probe(struct ref *r, const struct ref_proc *p)
{
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{\"ContainerId\":\"%s\",\"ActivityId\":"
		       "\"" WIRE_NULL_ID "\",\"ProcessId\":%u,"
		       "\"TimeoutInMs\":50}",
		       p->container, p->pid);
	return ref_call(r, WIRE_WAIT_FOR_PROCESS, body);
}
