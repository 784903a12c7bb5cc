/*
 * migration/container_life.h - what the parts of a container tell each other:
 * container.c, container_chain.c, process.c and those of the move. For others
 * migration/container.h is enough.
 */
#ifndef FERRY_MIGRATION_CONTAINER_LIFE_H
#define FERRY_MIGRATION_CONTAINER_LIFE_H

#include "migration/container.h"

const struct seams *container_ctl_seams(const struct container_ctl *c);

/** container_ctl_new() - facts only, in no list, nothing done; NULL: @e */
struct container_ctl *container_ctl_new(struct pod_ctl *p,
					const struct container_spec *spec,
					struct err *e);

/** container_ctl_paths() - bundle and rootfs in the guest, by the guest's ids */
int container_ctl_paths(struct container_ctl *c, struct err *e);

/** container_ctl_free() - out of its pod; nothing may be on its way */
void container_ctl_free(struct container_ctl *c);

/**
 * container_ctl_create() - the chain of create; clears up after a failure and
 * then frees @c, unless that failed too
 */
int container_ctl_create(struct container_ctl *c,
			 const struct container_spec *spec, struct op *op,
			 struct err *e);

/** container_ctl_init_exited() - it runs no more */
void container_ctl_init_exited(struct container_ctl *c);

/** container_ctl_end_all() - every process that has not ended ends so */
void container_ctl_end_all(struct container_ctl *c, uint32_t status,
			   uint64_t now_ns);

/** process_ctl_words() - as the guest is told; borrowed from @p */
void process_ctl_words(const struct process_ctl *p, struct guest_process *ret);

/** process_ctl_event() - as the shim is told; borrowed from @p */
void process_ctl_event(const struct process_ctl *p, struct task_event *ret);

#endif
