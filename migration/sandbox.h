/*
 * migration/sandbox.h - one VM, its pods, and at most one migration
 *
 * The root of the controllers: one shim has one. It owns everything below it,
 * and takes what nobody asked for from VMM and guest. Pure: it does what it is
 * called for and nothing else, so a test can drive two of them, source and
 * destination, in one process.
 *
 *	sandbox_ctl_init(&s, "sandbox-1", &seams, e);
 *	vm_ctl_set(&s.vm, &spec, e);	vm_ctl_boot(&s.vm, &op, e);
 *	sandbox_ctl_pod_new(&s, "sandbox-1", namespace, &pod, e);
 *	network_ctl_add(&pod->network, &endpoint, e);
 *	pod_ctl_container_new(pod, &spec, &container, &op, e);
 *	process_ctl_start(container->init, &op, e);
 *	process_ctl_wait(container->init, &op, e);
 *	container_ctl_delete(container, &op, e);
 *	vm_ctl_terminate(&s.vm, &op, e);
 *
 * The events of struct task_events are told from within these.
 */
#ifndef FERRY_MIGRATION_SANDBOX_H
#define FERRY_MIGRATION_SANDBOX_H

#include "migration/pod.h"
#include "migration/seams.h"
#include "migration/vm.h"

struct session_ctl;

#define SANDBOX_PODS_MAX 64u /* also what a state may hold, rule S1 */

struct sandbox_ctl {
	struct seams seams;
	char *id;
	struct vm_ctl vm;
	struct pod_ctl *pods; /* ascending id */
	size_t n_pods;
	struct session_ctl *session; /* NULL: it has none */
};

/**
 * sandbox_ctl_init() - nothing yet
 * @seams:	copied; what it points to must outlive the sandbox
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int sandbox_ctl_init(struct sandbox_ctl *s, const char *id,
		     const struct seams *seams, struct err *e);

/** sandbox_ctl_done() - forget all; nothing may be on its way */
void sandbox_ctl_done(struct sandbox_ctl *s);

/**
 * sandbox_ctl_pod_new() - an empty pod
 * @namespace_id: network namespace, "": none
 *
 * Return: 0, -EINVAL, -EEXIST, -EEXHAUSTED, -EPRECONDITION (a migration), -ENOMEM
 */
int sandbox_ctl_pod_new(struct sandbox_ctl *s, const char *id,
			const char *namespace_id, struct pod_ctl **ret,
			struct err *e);

/** sandbox_ctl_pod_delete() - of a pod without containers; 0 or -EPRECONDITION */
int sandbox_ctl_pod_delete(struct pod_ctl *p, struct err *e);

/** sandbox_ctl_pod() - by containerd's id; NULL: none */
struct pod_ctl *sandbox_ctl_pod(const struct sandbox_ctl *s, const char *id);

/** sandbox_ctl_container() - by containerd's id, in any pod; NULL: none */
struct container_ctl *sandbox_ctl_container(const struct sandbox_ctl *s,
					    const char *id);

/** sandbox_ctl_pod_make() - in no list yet; NULL: -ENOMEM in @e */
struct pod_ctl *sandbox_ctl_pod_make(struct sandbox_ctl *s, const char *id,
				     const char *gcs_id,
				     const char *namespace_id, struct err *e);

/** sandbox_ctl_insert() - into the list; sandbox_ctl_remove() - out of it */
void sandbox_ctl_remove(struct sandbox_ctl *s, struct pod_ctl *p);
void sandbox_ctl_insert(struct sandbox_ctl *s, struct pod_ctl *p);

/* --- from the implementers of vmm_ops and guest_ops --- */

/**
 * sandbox_ctl_process_exited() - the guest told an exit
 * @gcs_container_id: the guest's id
 * @exec_id:	"" for init
 * @status:	0..255; TASK_EXIT_UNKNOWN: nobody knows
 * @exited_at_ns: nanoseconds since 1970
 *
 * Return: false: nobody knows that process
 */
bool sandbox_ctl_process_exited(struct sandbox_ctl *s,
				const char *gcs_container_id,
				const char *exec_id, uint32_t status,
				uint64_t exited_at_ns);

/** sandbox_ctl_oom() - the guest killed a process for want of memory */
void sandbox_ctl_oom(struct sandbox_ctl *s, const char *gcs_container_id);

/**
 * sandbox_ctl_vm_exited() - the VM is gone, asked for or not
 *
 * Operations that ran on it end on their own, with -ESHUTDOWN.
 */
void sandbox_ctl_vm_exited(struct sandbox_ctl *s);

#endif
