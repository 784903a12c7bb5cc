#include "migration/sandbox.h"

#include <stdlib.h>
#include <string.h>

#include "migration/container_life.h"
#include "migration/lists.h"
#include "migration/session.h"
#include "migration/status.h"

int sandbox_ctl_init(struct sandbox_ctl *s, const char *id,
		     const struct seams *seams, struct err *e)
{
	int r = names_check_id("sandbox id", id, e);

	if (r < 0)
		return r;
	*s = (struct sandbox_ctl){ .seams = *seams };
	vm_ctl_init(&s->vm, s);
	return names_copy(id, &s->id, e);
}

static void pod_free(struct pod_ctl *p)
{
	while (p->containers)
		container_ctl_free(p->containers);
	network_ctl_done(&p->network);
	free(p->id);
	free(p->gcs_id);
	free(p);
}

void sandbox_ctl_done(struct sandbox_ctl *s)
{
	struct pod_ctl *p;

	while ((p = s->pods)) {
		s->pods = p->next;
		pod_free(p);
	}
	s->n_pods = 0;
	vm_ctl_done(&s->vm);
	free(s->id);
	s->id = NULL;
}

void sandbox_ctl_insert(struct sandbox_ctl *s, struct pod_ctl *p)
{
	struct pod_ctl *before = NULL, *behind = s->pods;

	for (; behind && strcmp(behind->id, p->id) < 0; behind = behind->next)
		before = behind;
	p->next = behind;
	if (before)
		before->next = p;
	else
		s->pods = p;
	s->n_pods++;
}

void sandbox_ctl_remove(struct sandbox_ctl *s, struct pod_ctl *p)
{
	struct pod_ctl *before = NULL, *i = s->pods;

	for (; i && i != p; i = i->next)
		before = i;
	if (!i)
		return;
	if (before)
		before->next = p->next;
	else
		s->pods = p->next;
	s->n_pods--;
}

struct pod_ctl *sandbox_ctl_pod_make(struct sandbox_ctl *s, const char *id,
				     const char *gcs_id,
				     const char *namespace_id, struct err *e)
{
	struct pod_ctl *p = calloc(1, sizeof(*p));

	if (!p) {
		(void)err_set(e, ENOMEM, "pod: no memory");
		return NULL;
	}
	p->sandbox = s;
	if (names_copy(id, &p->id, e) < 0 ||
	    names_copy(gcs_id, &p->gcs_id, e) < 0 ||
	    network_ctl_init(&p->network, namespace_id, &s->seams, e) < 0) {
		pod_free(p);
		return NULL;
	}
	return p;
}

int sandbox_ctl_pod_new(struct sandbox_ctl *s, const char *id,
			const char *namespace_id, struct pod_ctl **ret,
			struct err *e)
{
	struct pod_ctl *p;
	int r = names_check_id("pod id", id, e);

	if (r < 0)
		return r;
	if (sandbox_ctl_pod(s, id))
		return err_set(e, EEXIST, "pod %s is there already", id);
	if (s->n_pods >= SANDBOX_PODS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u pods",
			       SANDBOX_PODS_MAX);
	r = vm_ctl_check(&s->vm, VM_EV_USE, e);
	if (r < 0)
		return r;
	p = sandbox_ctl_pod_make(s, id, id, namespace_id, e);
	if (!p)
		return err_code(e);
	sandbox_ctl_insert(s, p);
	*ret = p;
	return 0;
}

int sandbox_ctl_pod_delete(struct pod_ctl *p, struct err *e)
{
	if (p->containers || p->migrating || p->network.seq.busy)
		return err_set(e, EPRECONDITION, "pod %s is in use", p->id);
	sandbox_ctl_remove(p->sandbox, p);
	pod_free(p);
	return 0;
}

struct pod_ctl *sandbox_ctl_pod(const struct sandbox_ctl *s, const char *id)
{
	struct pod_ctl *p;

	for (p = s->pods; p; p = p->next)
		if (strcmp(p->id, id) == 0)
			return p;
	return NULL;
}

struct container_ctl *sandbox_ctl_container(const struct sandbox_ctl *s,
					    const char *id)
{
	struct container_ctl *c = NULL;
	struct pod_ctl *p;

	for (p = s->pods; p && !c; p = p->next)
		c = pod_ctl_container(p, id);
	return c;
}

static struct container_ctl *by_guest_id(const struct sandbox_ctl *s,
					 const char *gcs_id)
{
	struct container_ctl *c = NULL;
	struct pod_ctl *p;

	for (p = s->pods; p && !c; p = p->next)
		c = pod_ctl_guest_container(p, gcs_id);
	return c;
}

bool sandbox_ctl_process_exited(struct sandbox_ctl *s,
				const char *gcs_container_id,
				const char *exec_id, uint32_t status,
				uint64_t exited_at_ns)
{
	struct container_ctl *c = by_guest_id(s, gcs_container_id);
	struct process_ctl *p = c ? container_ctl_process(c, exec_id) : NULL;

	if (!p)
		return false;
	process_ctl_exited(p, status, exited_at_ns);
	return true;
}

void sandbox_ctl_oom(struct sandbox_ctl *s, const char *gcs_container_id)
{
	struct container_ctl *c = by_guest_id(s, gcs_container_id);
	struct task_event event;

	if (!c || !c->init)
		return;
	process_ctl_event(c->init, &event);
	s->seams.events->oom(s->seams.events_ctx, &event);
}

void sandbox_ctl_vm_exited(struct sandbox_ctl *s)
{
	const uint64_t now = s->seams.now_ns(s->seams.now_ctx);
	struct container_ctl *c;
	struct pod_ctl *p;

	if (s->vm.state == VM_TERMINATED)
		return;
	vm_ctl_exited(&s->vm);
	for (p = s->pods; p; p = p->next) {
		network_ctl_vm_gone(&p->network);
		p->migrating = false; /* deletes are bookkeeping now */
		for (c = p->containers; c; c = c->next)
			container_ctl_end_all(c, TASK_EXIT_UNKNOWN, now);
	}
	if (s->session)
		session_ctl_vm_exited(s->session);
}
