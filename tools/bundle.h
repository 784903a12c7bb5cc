/*
 * tools/bundle.h - an OCI bundle of the host, and the document that a guest
 * gets of it
 *
 * A bundle is a folder with config.json and a root file system. What of its
 * document concerns the host, or is the guest's to choose, is taken out as the
 * reference host does: hooks, the cgroup path, rules for devices, limits that
 * it does not pass on. Folders of the host cannot be mounted in a UVM: a bind
 * mount is refused by its destination, but for those of /etc/hosts,
 * /etc/hostname and /etc/resolv.conf, which the guest makes itself.
 * Source: OCI runtime specification, bundle.md and config.md; shared
 * specification bridge.md 3.3 and 4.2.
 */
#ifndef FERRY_TOOLS_BUNDLE_H
#define FERRY_TOOLS_BUNDLE_H

#include <stdbool.h>

#include "bridge/msg.h"
#include "config/err.h"
#include "config/text.h"

/* Bytes of a config.json, and depth of it. */
#define BUNDLE_DOCUMENT_MAX ((size_t)4 * 1024 * 1024)
#define BUNDLE_DEPTH_MAX 64

struct bundle;

/**
 * bundle_open() - read and check the bundle in @dir
 * @ret:	receives the bundle
 * @e:		names the file and the member
 *
 * Return: 0, -ENOENT, -EINVAL (not a document that can be run), -E2BIG, -errno
 */
int bundle_open(const char *dir, struct bundle **ret, struct err *e);

/**
 * bundle_new() - a bundle that was not read from disk
 * @rootfs:	folder of the host
 * @document:	JSON text
 */
int bundle_new(const char *rootfs, const char *document, struct bundle **ret,
	       struct err *e);

/** bundle_free() - NULL is fine */
void bundle_free(struct bundle *b);

/** bundle_rootfs() - its root file system on the host */
const char *bundle_rootfs(const struct bundle *b);

/** bundle_terminal() - does its process want a terminal? */
bool bundle_terminal(const struct bundle *b);

/**
 * struct bundle_edit - what becomes of the document; NULL or empty: as it is
 * @rootfs:	root file system in the guest, never NULL
 * @args:	replace the process's
 * @env:	variables that are added, or replace those of their names
 * @cwd:	replaces
 * @terminal:	whether there is one
 * @height, @width: of the terminal, 0: not told
 * @container_type: of the annotation io.kubernetes.cri.container-type
 * @sandbox_id:	of the annotation io.kubernetes.cri.sandbox-id
 * @join_pid:	join the network, IPC and UTS namespaces of this process; 0: no
 * @network_id:	GUID of the guest's network namespace record
 * @skip_network: annotation: a sandbox without a network
 * @hostname:	replaces; "" takes it out
 */
struct bundle_edit {
	const char *rootfs;
	const struct msg_strings *args;
	const struct msg_pairs *env;
	const char *cwd;
	bool terminal;
	unsigned int height;
	unsigned int width;
	const char *container_type;
	const char *sandbox_id;
	unsigned int join_pid;
	const char *network_id;
	bool skip_network;
	const char *hostname;
};

/**
 * bundle_document() - the text for the guest
 * @out:	receives it; a heap text of BUNDLE_DOCUMENT_MAX at least
 *
 * May be called once for a bundle, which is edited in place.
 * Return: 0, -ENOMEM, -E2BIG
 */
int bundle_document(struct bundle *b, const struct bundle_edit *edit,
		    struct text *out, struct err *e);

#endif
