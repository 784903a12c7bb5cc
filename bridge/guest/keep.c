#include "bridge/guest/keep.h"

#include <string.h>

#include "bridge/guest/container.h"
#include "bridge/guest/pack.h"
#include "bridge/io/log.h"

static void put(struct agent *a, uint32_t *slot, enum slot_kind kind,
		const struct pack *p)
{
	const int r = p->bad ? -E2BIG
			     : slot_put(&a->slots, slot, kind, p->buf, p->at);

	if (r == 0 || a->unkept)
		return;
	a->unkept = true;
	log_err("no room for a record of kind=%u: what is too much would be "
		"lost with this agent",
		kind);
}

/* --- the agent itself --------------------------------------------------------- */

void keep_agent(struct agent *a)
{
	uint8_t body[KEEP_BODY_MAX];
	struct pack p = pack_write(body, sizeof(body));

	pack_put(&p, a->conn.number, 4);
	pack_put(&p, a->epoch, 4);
	pack_put(&p, a->containers.serial, 8);
	put(a, &a->slot, SLOT_AGENT, &p);
}

bool keep_agent_read(const struct slot_view *v, struct keep_agent *ret)
{
	struct pack p = pack_read(v->body, v->len);

	ret->number = unpack_u32(&p);
	ret->epoch = unpack_u32(&p);
	ret->serial = unpack(&p, 8);
	return !p.bad;
}

/* --- processes ---------------------------------------------------------------- */

void keep_process_put(struct agent *a, uint32_t *slot,
		      const struct keep_process *k)
{
	uint8_t body[KEEP_BODY_MAX];
	struct pack p = pack_write(body, sizeof(body));

	pack_put(&p, k->ticket, 8);
	pack_put(&p, k->number, 8);
	pack_put(&p, k->request, 8);
	pack_put(&p, k->serial, 8);
	pack_put(&p, k->pid, 4);
	pack_put(&p, k->exit_code, 4);
	pack_put(&p, k->told_on, 4);
	pack_put(&p, k->state, 1);
	pack_put(&p, k->init, 1);
	pack_put(&p, k->console, 1);
	put(a, slot, SLOT_PROCESS, &p);
}

bool keep_process_read(const struct slot_view *v, struct keep_process *ret)
{
	struct pack p = pack_read(v->body, v->len);

	ret->ticket = unpack(&p, 8);
	ret->number = unpack(&p, 8);
	ret->request = unpack(&p, 8);
	ret->serial = unpack(&p, 8);
	ret->pid = unpack_u32(&p);
	ret->exit_code = unpack_u32(&p);
	ret->told_on = unpack_u32(&p);
	ret->state = (enum process_state)unpack(&p, 1);
	ret->init = unpack_bool(&p);
	ret->console = unpack_bool(&p);
	if (ret->pid == 0)
		ret->pid = (uint32_t)v->word;
	return !p.bad && ret->state <= PROCESS_OVER;
}

/* Its copies of what the agent has closed keep a pipe or a terminal alive. */
static void withdraw(struct agent *a, struct process *p, bool forgotten)
{
	if (forgotten || (p->state == PROCESS_OVER && !p->init)) {
		pid1_withdraw(&a->pid1, p->number, CONTROL_ROLE_ALL);
		p->number = 0;
	} else if (p->console && p->terminal < 0 && p->number != 0) {
		pid1_withdraw(&a->pid1, p->number, PROCESS_TERMINAL);
	}
}

void keep_process(void *agent, struct process *p, bool forgotten)
{
	struct agent *a = agent;
	const struct keep_process k = {
		.ticket = p->ticket,
		.number = p->number,
		.request = p->request,
		.serial = p->container ? p->container->facts.serial : 0,
		.pid = (uint32_t)p->pid,
		.exit_code = p->exit_code,
		.told_on = p->told_on,
		.state = p->state,
		.init = p->init,
		.console = p->console,
	};

	if (forgotten)
		slot_drop(&a->slots, &p->slot);
	else
		keep_process_put(a, &p->slot, &k);
	withdraw(a, p, forgotten);
}
