#include "migration/machine.h"

#include "migration/status.h"

const struct machine_row *machine_row(const struct machine *m, unsigned state,
				      unsigned event)
{
	size_t i;

	if (state >= m->n_states || event >= m->n_events)
		return NULL;
	for (i = 0; i < m->n_rows; i++)
		if (m->rows[i].event == event &&
		    (m->rows[i].from & MACHINE_BIT(state)))
			return &m->rows[i];
	return NULL;
}

int machine_check(const struct machine *m, unsigned state, unsigned event,
		  struct err *e)
{
	const struct machine_row *row = machine_row(m, state, event);

	if (row && row->kind != MACHINE_REFUSE)
		return (int)row->kind;
	return err_set(e, row ? row->code : EPRECONDITION,
		       "%s is %s: %s is not possible", m->name,
		       machine_state_name(m, state),
		       event < m->n_events ? m->events[event] : "?");
}

unsigned machine_next(const struct machine *m, unsigned state, unsigned event)
{
	const struct machine_row *row = machine_row(m, state, event);

	if (!row || row->kind != MACHINE_GO || row->to == MACHINE_SAME)
		return state;
	return (unsigned)row->to;
}

unsigned machine_fail(const struct machine *m, unsigned state, unsigned event)
{
	const struct machine_row *row = machine_row(m, state, event);

	if (!row || row->kind != MACHINE_GO || row->fail == MACHINE_SAME)
		return state;
	return (unsigned)row->fail;
}

const char *machine_state_name(const struct machine *m, unsigned state)
{
	return state < m->n_states ? m->states[state] : "?";
}
