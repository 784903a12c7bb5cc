/*
 * tools/shim/spec.h - OCI's process object, as far as ferry reads and writes it
 *
 * The document of a container's process goes to the guest as it came; this is
 * for processes of the UVM, and for what ferry exec writes.
 */
#ifndef FERRY_TOOLS_SHIM_SPEC_H
#define FERRY_TOOLS_SHIM_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/msg.h"
#include "bridge/schema.h"

/* The type of such a document in a task request. */
#define SPEC_PROCESS_URL                                                       \
	"types.containerd.io/opencontainers/runtime-spec/1/Process"
#define SPEC_RESOURCES_URL                                                     \
	"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"

struct spec_size {
	uint16_t height;
	uint16_t width;
};

struct spec_user {
	uint32_t uid;
	uint32_t gid;
};

/* @env: "NAME=VALUE" */
struct shim_spec {
	bool terminal;
	struct spec_size size;
	struct spec_user user;
	struct msg_strings args;
	struct msg_strings env;
	const char *cwd;
};

/* For msg_decode() and msg_encode(). */
extern const struct schema shim_spec_schema;

/* Longest document that shim_spec_put() makes. */
#define SPEC_DOCUMENT_MAX ((size_t)1024 * 1024)

/**
 * shim_spec_put() - the document of a command
 * @spec:	its @env is not looked at
 * @env:	its variables
 * @out:	initialised by this function, text_done() releases it
 *
 * Return: 0, -E2BIG, -ENOMEM
 */
int shim_spec_put(const struct shim_spec *spec, const struct msg_pairs *env,
		  struct text *out, struct err *e);

#endif
