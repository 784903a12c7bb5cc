/*
 * bridge/guest/oci.h - the OCI document of a container: from what the host sent
 * to what the runtime gets
 *
 * In three steps, of which the first is pure and the others are functions of a
 * job (bridge/guest/job.h), for they touch disks:
 *
 *   oci_read()		what the agent itself has to know: struct oci_facts.
 *			Every document that a later step would choke on is
 *			refused here, with the name of the member (W-G5).
 *   oci_prepare()	makes the files and mounts that the container needs and
 *			writes config.json into its bundle. What it finds out
 *			(the user's numbers) comes back as its output. It may
 *			be repeated; what it made before it failed is undone by
 *			oci_remove().
 *   oci_exec_prepare()	the process document of an exec.
 *
 * What becomes of the document, in this order (numbers of bridge.md 4.2):
 *
 *	2  sandbox, standalone: hostname, hosts and resolv.conf in the sandbox
 *	   root; standalone: bound over those of its /etc
 *	3  sandbox: the shared folders of the pod
 *	4  workload: mounts rewritten; the sandbox's files bound over /etc;
 *	   /dev/shm; devices
 *	5  sandbox, workload: RLIMIT_CORE; user names become numbers
 *	6  cgroupsPath; the windows section goes
 *	7  the pod's log folder
 *	8  the UVM's network namespace
 *	-  a security context folder; the working directory is made
 *	-  no device but the usual ones and those of the document: a document
 *	   without device rules would leave every block device to mknod
 *
 * Sources of mounts that lie where containers of the pod can write are opened
 * beneath their folder, bound to a folder of the bundle that no container
 * sees, and given to the runtime by that name: a link that appears later leads
 * nowhere. All else that a container might have shaped is opened beneath its
 * folder as well.
 *
 * AF_VSOCK is not taken away here but by a filter that the runtime inherits
 * (bridge/io/novsock.h), on top of which a document's own linux.seccomp takes
 * effect unchanged: of two filters the stricter answer counts. @vsock says
 * whether a container is excepted.
 *
 * No JSON node leaves bridge/guest/oci*.c.
 * Source: shared specification bridge.md 3.3, 3.5, 3.11.10, 3.11.11, 4.1 to
 * 4.3; OCI runtime specification 1.2, config.md.
 */
#ifndef FERRY_BRIDGE_GUEST_OCI_H
#define FERRY_BRIDGE_GUEST_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/err.h"
#include "config/text.h"

/* Bytes of a config.json, and of a process document. */
#define OCI_TEXT_MAX ((size_t)4 << 20)
/* An assigned device may take its time; everything else takes some ms. */
#define OCI_PREPARE_MS 90000
#define OCI_REMOVE_MS 60000
#define OCI_EXEC_MS 10000

/* Folders of a sandbox root, and the file of a bundle. */
#define OCI_CONFIG "config.json"
#define OCI_LOGS "logs"

enum oci_kind {
	OCI_STANDALONE,
	OCI_SANDBOX,
	OCI_WORKLOAD,
};

/**
 * struct oci_facts - what a document says, in the agent's words
 * @kind:	of container
 * @virtual_pod: it belongs to, or is the sandbox of, a virtual pod
 * @terminal:	process.terminal
 * @owns_pid_namespace: a pid namespace of its own
 * @host_network: annotation of this document; for a workload its sandbox's
 *		counts
 * @skip_networking: a sandbox that needs no network record
 * @privileged:	annotation
 * @vsock:	it may use AF_VSOCK: it is privileged, or io.ferry.vsock
 * @by_name:	process.user.username is set: struct oci_prepared has its numbers
 * @sandbox_id:	of its pod; its own for a sandbox and a standalone
 * @sandbox_root: folder of what the pod shares; "" for a workload, which has
 *		its sandbox's
 * @rootfs:	absolute path of its root
 * @cgroup:	path of its own cgroup
 * @pod_cgroup:	cgroup of the pod, to be made; "" unless it is a sandbox
 * @namespace:	GUID of its network record, lower case; "": none
 * @tee_log:	file below the sandbox root that takes its output too, relative
 *		("logs/..."), for oci_tee_open(); "": none
 * @rlimits:	of its process, JSON text, for oci_exec; "": none
 * @resources:	linux.resources, JSON text, for cgroup_pod_create(); NULL: none
 *
 * Strings are in the arena that oci_read() was given, never NULL where not said
 */
struct oci_facts {
	enum oci_kind kind;
	bool virtual_pod;
	bool terminal;
	bool owns_pid_namespace;
	bool host_network;
	bool skip_networking;
	bool privileged;
	bool vsock;
	bool by_name;
	const char *sandbox_id;
	const char *sandbox_root;
	const char *rootfs;
	const char *cgroup;
	const char *pod_cgroup;
	const char *namespace;
	const char *tee_log;
	const char *rlimits;
	const char *resources;
};

/**
 * oci_read() - understand a document, and refuse what cannot be run; pure
 * @id:		container id; must be good as a name of a directory
 * @bundle:	OciBundlePath; must be below a folder for bundles
 * @document:	OciSpecification, JSON text; NULL: was absent
 * @a:		owner of the strings
 * @ret:	written on success only
 * @e:		names the member: "$.linux: missing"
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int oci_read(const char *id, const char *bundle, const char *document,
	     struct arena *a, struct oci_facts *ret, struct err *e);

/**
 * struct oci_work - what the functions of a job work on; all is borrowed
 * @root:	descriptor of "/"; must be among the job's kept descriptors
 * @id, @bundle, @document: as oci_read() has taken them
 * @scratch:	ScratchDirPath, "": none; checked like @bundle
 * @facts:	from oci_read()
 * @sandbox_root: of the facts, for a workload that of its sandbox
 * @host_network: of the facts, for a workload that of its sandbox
 * @resolv_conf: lines for a sandbox or standalone, NULL: none
 * @reference, @hash_envelope: base64 that the host has set for the UVM, NULL
 *		or "": none
 */
struct oci_work {
	int root;
	const char *id;
	const char *bundle;
	const char *document;
	const char *scratch;
	const struct oci_facts *facts;
	const char *sandbox_root;
	bool host_network;
	const char *resolv_conf;
	const char *reference;
	const char *hash_envelope;
};

/**
 * struct oci_prepared - what oci_prepare() has found out; its output is the
 * bytes of this struct
 * @has_user:	process.user.username was set and is
 * @uid, @gid:	these numbers
 */
struct oci_prepared {
	bool has_user;
	uint32_t uid;
	uint32_t gid;
};

/**
 * oci_prepare() - a job_fn: everything up to config.json
 * @arg:	struct oci_work
 * @out:	struct oci_prepared
 *
 * Return: 0 or -errno
 */
int oci_prepare(void *arg, struct text *out, struct err *e);

/**
 * oci_prepared_get() - what a job's output says
 *
 * Return: 0, -EPROTO (not of that size)
 */
int oci_prepared_get(const char *out, size_t len, struct oci_prepared *ret);

/**
 * oci_unmount() - a job_fn: unmount all that oci_prepare() has mounted; for a
 * sandbox the shared folders with everything in them as well
 * @arg:	struct oci_work; @document, @resolv_conf... are not looked at
 *
 * Before the runtime's delete. What cannot be unmounted is detached.
 * Return: 0 or the first failure
 */
int oci_unmount(void *arg, struct text *out, struct err *e);

/**
 * oci_remove() - a job_fn: oci_unmount(), then remove scratch and bundle
 *
 * After the runtime's delete, and after a bundle that was bound from a disk
 * was unmounted (layers). Trees are removed beneath the known prefixes, no link
 * is followed and no mount is entered. What is not there is fine; everything is
 * tried. A virtual pod's and, below /run/gcs/pods, a pod's empty folder goes.
 * Return: 0 or the first failure (-EBUSY: something is mounted in a tree)
 */
int oci_remove(void *arg, struct text *out, struct err *e);

/**
 * oci_tee_open() - the file that takes a container's output too
 * @root:	descriptor of "/"
 * @sandbox_root: of its pod
 * @tee_log:	of its facts
 *
 * The pod's containers may write to that folder: no link is followed, and
 * what is no regular file is refused.
 * Return: a descriptor for appending, or -errno
 */
int oci_tee_open(int root, const char *sandbox_root, const char *tee_log,
		 struct err *e);

/* --- execs (oci_exec.c) ---------------------------------------------------- */

/**
 * struct oci_exec - an exec in a container
 * @root:	descriptor of "/"
 * @process:	OciProcess, JSON text
 * @rlimits:	the container's facts'; "": none
 * @rootfs:	likewise
 * @has_user, @uid, @gid: what oci_prepare() found out for the container
 */
struct oci_exec {
	int root;
	const char *process;
	const char *rlimits;
	const char *rootfs;
	bool has_user;
	uint32_t uid;
	uint32_t gid;
};

/**
 * oci_exec_read() - look at it; pure
 * @ret_terminal: process.terminal
 * @ret_by_name: a name must be looked up: call oci_exec_prepare() in a job.
 *		Else it touches no disk and may be called at once
 *
 * Return: 0, -EINVAL (names the member), -ENOMEM
 */
int oci_exec_read(const char *process, bool *ret_terminal, bool *ret_by_name,
		  struct err *e);

/**
 * oci_exec_prepare() - a job_fn: the process document for the runtime
 * @arg:	struct oci_exec
 * @out:	JSON text
 *
 * Return: 0 or -errno
 */
int oci_exec_prepare(void *arg, struct text *out, struct err *e);

/* --- texts (oci_text.c), pure ----------------------------------------------- */

/** oci_hostname_ok() - 0 to 255 bytes of [A-Za-z0-9_.-] */
bool oci_hostname_ok(const char *name);

/** oci_hosts() - /etc/hosts of a pod with that name */
void oci_hosts(const char *hostname, struct text *out);

#endif
