/*
 * tests/golden/golden_states.c - the state machines of migration/ as a page
 *
 *	golden-states		docs/migration-states.md is what the tables say,
 *				and every state of them has a way out
 *	golden-states --write	write the page from the present tables
 *
 * Run from the root of the tree.
 */
#include <stdio.h>
#include <string.h>

#include "config/err.h"
#include "config/text.h"
#include "config/util.h"
#include "migration/container.h"
#include "migration/network.h"
#include "migration/process.h"
#include "migration/scsi.h"
#include "migration/session.h"
#include "migration/vm.h"

#define PAGE "docs/migration-states.md"
#define PAGE_MAX ((size_t)1024 * 1024)
/* A rule from that many states is told in words, not with arrows. */
#define ARROWS_MAX 8

#define S(state) MACHINE_BIT(SESSION_##state)

#define TRANSFER                                                               \
	"    transferring --> transfer_completed : the memory is over\n"       \
	"    transferring --> failed : the transfer fails, the VM ends\n"      \
	"    socket_waiting --> failed : no socket in time\n"

/*
 * @rest: where an object may stay for ever
 * @inside: states that only a call in progress has; its end leaves them
 * @background: arrows of what no call does
 */
static const struct chapter {
	const char *title;
	const struct machine *m;
	uint32_t rest;
	uint32_t inside;
	const char *background;
} chapters[] = {
	{ "Session, source", &session_source_machine, S(IDLE),
	  S(SOURCE_PREPARED) | S(CANCELLING) | S(DESTINATION_IMPORTED) |
		  S(DESTINATION_PREPARED),
	  TRANSFER },
	{ "Session, destination", &session_destination_machine, S(IDLE),
	  S(SOURCE_PREPARED) | S(SOURCE_EXPORTED) | S(CANCELLING), TRANSFER },
	{ "VM", &vm_machine,
	  MACHINE_BIT(VM_RUNNING) | MACHINE_BIT(VM_TERMINATED), 0, "" },
	{ "Container", &container_machine,
	  MACHINE_BIT(CONTAINER_RUNNING) | MACHINE_BIT(CONTAINER_STOPPED), 0,
	  "" },
	{ "Process", &process_machine,
	  MACHINE_BIT(PROCESS_NOT_CREATED) | MACHINE_BIT(PROCESS_RUNNING) |
		  MACHINE_BIT(PROCESS_TERMINATED),
	  0, "" },
	{ "Network", &network_machine,
	  MACHINE_BIT(NETWORK_CONFIGURED) | MACHINE_BIT(NETWORK_TORN_DOWN), 0,
	  "" },
	{ "SCSI controller", &scsi_machine, MACHINE_BIT(SCSI_READY), 0, "" },
	{ "Disk", &scsi_disk_machine, MACHINE_BIT(SCSI_DISK_DETACHED), 0, "" },
	{ "Mount", &scsi_mount_machine, MACHINE_BIT(SCSI_MOUNT_UNMOUNTED), 0,
	  "" },
};

static const char head[] =
	"# State machines of a migration\n"
	"\n"
	"Written by `build/tests/golden-states --write` from the tables in "
	"`migration/`;\n"
	"a test keeps the two equal. What has no row is refused with\n"
	"FAILED_PRECONDITION. An arrow \"... fails\" is where a failure leads; "
	"where there\n"
	"is none, a failure changes nothing. A session knows its id: a call "
	"with another\n"
	"one is INVALID_ARGUMENT in every state.\n";

static unsigned count(uint32_t set)
{
	unsigned n = 0;

	for (; set; set &= set - 1)
		n++;
	return n;
}

static void node(struct text *t, const char *name)
{
	for (; *name; name++)
		text_addc(t, *name == ' ' || *name == '-' ? '_' : *name);
}

static bool is_arrow(const struct machine_row *r)
{
	return r->kind == MACHINE_GO && count(r->from) <= ARROWS_MAX;
}

/* One arrow for all that leads from @from to @to. */
static void arrow(const struct machine *m, unsigned from, unsigned to,
		  struct text *t)
{
	bool first = true;
	size_t i;

	for (i = 0; i < 2 * m->n_rows; i++) {
		const struct machine_row *r = &m->rows[i / 2];
		const int8_t end = i % 2 == 0 ? r->to : r->fail;

		if (!is_arrow(r) || !(r->from & MACHINE_BIT(from)) ||
		    end != (int8_t)to || end == (int8_t)from)
			continue;
		if (first) {
			text_add(t, "    ");
			node(t, m->states[from]);
			text_add(t, " --> ");
			node(t, m->states[to]);
		}
		text_add(t, first ? " : " : ", ");
		text_add(t, m->events[r->event]);
		text_add(t, i % 2 == 0 ? "" : " fails");
		first = false;
	}
	if (!first)
		text_addc(t, '\n');
}

static void picture(const struct chapter *c, struct text *t)
{
	const struct machine *m = c->m;
	unsigned i, j;

	text_add(t, "```mermaid\nstateDiagram-v2\n");
	for (i = 0; i < m->n_states; i++)
		for (j = 0; j < m->n_states; j++)
			arrow(m, i, j, t);
	text_addf(t, "%s```\n", c->background);
}

static void from_names(const struct machine *m, uint32_t from, struct text *t)
{
	const unsigned all = (unsigned)m->n_states;
	const uint32_t rest = ~from & (MACHINE_BIT(all) - 1);
	const bool most = count(from) > ARROWS_MAX && all - count(from) < 4;
	const uint32_t listed = most ? rest : from;
	const char *between = most && rest ? "all but " : "";
	unsigned i;

	if (most && !rest)
		text_add(t, "all");
	for (i = 0; i < all; i++)
		if (listed & MACHINE_BIT(i)) {
			text_addf(t, "%s%s", between, m->states[i]);
			between = ", ";
		}
}

static void row(const struct machine *m, const struct machine_row *r,
		struct text *t)
{
	text_addf(t, "| %s | ", m->events[r->event]);
	from_names(m, r->from, t);
	text_add(t, " | ");
	if (r->kind == MACHINE_NOOP)
		text_add(t, "nothing to do");
	else if (r->kind == MACHINE_REFUSE)
		text_addf(t, "refused: %s", strerror(r->code));
	else
		text_add(t,
			 r->to == MACHINE_SAME ? "the same" : m->states[r->to]);
	text_addf(t, " | %s | %s |\n",
		  r->kind == MACHINE_GO && r->fail != MACHINE_SAME
			  ? m->states[r->fail]
			  : "",
		  r->words ? r->words : "");
}

static void chapter(const struct chapter *c, struct text *t)
{
	size_t i;

	text_addf(t, "\n## %s\n\n", c->title);
	picture(c, t);
	text_add(t, "\n| event | in | then | after a failure | |\n"
		    "|---|---|---|---|---|\n");
	for (i = 0; i < c->m->n_rows; i++)
		row(c->m, &c->m->rows[i], t);
}

/* --- no state without a way out --- */

static uint32_t step_back(const struct machine *m, uint32_t good)
{
	uint32_t more = good;
	size_t i;

	for (i = 0; i < m->n_rows; i++)
		if (m->rows[i].kind == MACHINE_GO &&
		    m->rows[i].to != MACHINE_SAME &&
		    (good & MACHINE_BIT(m->rows[i].to)))
			more |= m->rows[i].from;
	return more;
}

static bool has_ways_out(const struct chapter *c)
{
	const uint32_t all = MACHINE_BIT(c->m->n_states) - 1;
	uint32_t good = c->rest, before;
	unsigned i;

	do {
		before = good;
		good = step_back(c->m, good);
	} while (good != before);
	for (i = 0; i < c->m->n_states; i++)
		if (!((good | c->inside) & MACHINE_BIT(i)))
			printf("FAIL %s: no way out of '%s'\n", c->title,
			       c->m->states[i]);
	return (all & ~(good | c->inside)) == 0;
}

/* --- files --- */

static bool same_as_file(const struct text *t)
{
	FILE *f = fopen(PAGE, "rbe");
	size_t at = 0;
	int c;

	if (!f)
		return false;
	while ((c = fgetc(f)) != EOF && at < t->len &&
	       (unsigned char)t->buf[at] == c)
		at++;
	(void)fclose(f);
	return c == EOF && at == t->len;
}

static int write_file(const struct text *t)
{
	FILE *f = fopen(PAGE, "wbe");
	bool ok;

	if (!f)
		return 1;
	ok = fwrite(t->buf, 1, t->len, f) == t->len;
	return fclose(f) == 0 && ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	struct text t;
	size_t i;
	int r = 0;

	text_heap(&t, PAGE_MAX);
	text_add(&t, head);
	for (i = 0; i < ARRAY_LEN(chapters); i++)
		chapter(&chapters[i], &t);
	if (argc > 1 && strcmp(argv[1], "--write") == 0) {
		r = write_file(&t);
		text_done(&t);
		return r;
	}
	for (i = 0; i < ARRAY_LEN(chapters); i++)
		if (has_ways_out(&chapters[i]))
			passed++;
		else
			failed++;
	if (!t.full && same_as_file(&t)) {
		passed++;
	} else {
		failed++;
		printf("FAIL %s is not what the tables say: "
		       "golden-states --write\n",
		       PAGE);
	}
	text_done(&t);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
