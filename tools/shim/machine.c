#include "tools/shim/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/msg.h"
#include "bridge/schema.h"
#include "config/arena.h"
#include "config/annotation_lock.h"
#include "migration/status.h"
#include "tools/shim/shim.h"

#define VERSION 1u
/* What a text of that size may decode to. */
#define DECODED_MAX ((size_t)2 * 1024 * 1024)
/* The machine of tools/qemu/argv.h; and what its versions begin with. */
#define MACHINE "q35"
#define MACHINE_VERSIONS "pc-q35-"

/* A network card, by its port: so QEMU finds it. */
struct card {
	uint32_t port;
	const char *id;
};

/*
 * In the document and in the statement; the second leaves annotations out and
 * has the cards, which come and go.
 */
struct description {
	uint32_t v;
	const char *machine;
	const char *accel;
	const char *vsock;
	uint32_t memory_mib;
	uint32_t processors;
	uint32_t scsi;
	uint32_t nics;
	bool console;
	const char *line;
	const char *qemu; /* statement only, as the next three */
	const char *kernel;
	const char *image;
	const char *cpu;
	struct msg_pairs annotations;
	struct card *card;
	size_t n_cards;
};

static const struct schema_member card_members[] = {
	SCHEMA_U32(struct card, port, "port", SCHEMA_ALWAYS),
	SCHEMA_STRING(struct card, id, "id", SCHEMA_ALWAYS),
};
static const struct schema card_schema = SCHEMA(struct card, card_members);

#define T struct description
static const struct schema_member members[] = {
	SCHEMA_U32(T, v, "v", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, machine, "machine", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, accel, "accel", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, vsock, "vsock", SCHEMA_ALWAYS),
	SCHEMA_U32(T, memory_mib, "memory_mib", SCHEMA_ALWAYS),
	SCHEMA_U32(T, processors, "processors", SCHEMA_ALWAYS),
	SCHEMA_U32(T, scsi, "scsi", SCHEMA_ALWAYS),
	SCHEMA_U32(T, nics, "nics", SCHEMA_ALWAYS),
	SCHEMA_BOOL(T, console, "console", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, line, "line", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, qemu, "qemu", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, kernel, "kernel", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, image, "image", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, cpu, "cpu", SCHEMA_OPTIONAL),
	SCHEMA_PAIRS(T, annotations, "annotations", SCHEMA_OPTIONAL),
	SCHEMA_ARRAY(struct card, T, card, n_cards, "cards", SCHEMA_OPTIONAL,
		     card_schema),
};
static const struct schema machine_schema = SCHEMA(T, members);
#undef T

static const char *vsock_name(enum vhost_backend b)
{
	return b == VHOST_KERNEL ? "kernel" : "user";
}

static struct description of(const struct shim *s)
{
	const struct sandbox_options *o = &s->launch->options;

	return (struct description){
		.v = VERSION,
		.machine = *s->machine.id.machine ? s->machine.id.machine
						  : MACHINE,
		.accel = accel_name(sandbox_accel(s->sandbox)),
		.vsock = vsock_name(sandbox_vsock(s->sandbox)),
		.memory_mib = (uint32_t)o->memory_mib,
		.processors = o->processor_count,
		.scsi = QEMU_SCSI_MAX,
		.nics = QEMU_NICS_MAX,
		.console = o->console,
		.line = s->launch->line,
	};
}

static int put(const struct description *m, struct text *out, struct err *e)
{
	msg_encode(&machine_schema, m, out);
	return out->full ? err_set(e, E2BIG, "the VM's description is too long")
			 : 0;
}

int machine_compat(struct shim *s, struct text *out, struct err *e)
{
	const uint32_t *v = s->machine.id.version;
	struct description m = of(s);
	struct card cards[QEMU_NICS_MAX];
	char version[40];
	const char *id;

	m.card = cards;
	for (uint32_t i = 0; (id = ops_card(s->tasks.ops, i)) != NULL; i++)
		if (*id)
			cards[m.n_cards++] = (struct card){ i, id };
	(void)snprintf(version, sizeof(version), "%u.%u.%u", v[0], v[1], v[2]);
	m.qemu = version;
	m.cpu = s->machine.id.cpu;
	m.kernel = file_sum_hex(&s->machine.file[MACHINE_KERNEL], e);
	if (!m.kernel)
		return err_wrap(e, "kernel");
	m.image = file_sum_hex(&s->machine.file[MACHINE_IMAGE], e);
	if (!m.image)
		return err_wrap(e, "image");
	return put(&m, out, e);
}

int machine_document(const struct shim *s, struct text *out, struct err *e)
{
	const struct annotation_map *a = &s->launch->args.annotations;
	struct description m = of(s);
	int r;

	m.annotations.item = calloc(a->n + 1, sizeof(*m.annotations.item));
	if (!m.annotations.item)
		return err_set(e, ENOMEM, "no memory for annotations");
	for (size_t i = 0; i < a->n; i++)
		m.annotations.item[m.annotations.n++] =
			(struct msg_pair){ .name = a->item[i].key,
					   .value = a->item[i].value };
	r = put(&m, out, e);
	free(m.annotations.item);
	return r;
}

/* --- the other side ----------------------------------------------------------------- */

static int differs(struct err *e, const char *what, const char *there,
		   const char *here)
{
	return err_set(e, EPRECONDITION, "%s: %.80s there, %.80s here", what,
		       there, here);
}

static int get(const void *p, size_t len, struct arena *a,
	       struct description *m, struct err *e)
{
	const int r = msg_decode(&machine_schema, p, len, a, m, e);

	if (r < 0)
		return err_wrap(e, "description of the VM");
	if (m->v != VERSION)
		return err_set(e, EPRECONDITION,
			       "description of the VM: version %u", m->v);
	return 0;
}

/* It becomes an argument of QEMU's, which splits at commas. */
static bool is_machine(const char *name)
{
	const size_t n = strlen(MACHINE_VERSIONS);

	if (strcmp(name, MACHINE) == 0)
		return true; /* of a ferry that did not ask for the version */
	return strncmp(name, MACHINE_VERSIONS, n) == 0 &&
	       strlen(name) < VM_MACHINE_SIZE &&
	       strspn(name + n, "0123456789.") == strlen(name + n);
}

static int same_file(struct shim *s, int which, const char *what,
		     const char *there, struct err *e)
{
	const char *here;

	if (!*there)
		return 0; /* the same */
	here = file_sum_hex(&s->machine.file[which], e);
	if (!here)
		return err_wrap(e, "%s", what);
	if (strcmp(here, there) == 0)
		return 0;
	return err_set(e, EPRECONDITION,
		       "%s: another one there, by its content (SHA-256 %.16s "
		       "there, %.16s here)",
		       what, there, here);
}

/* QEMU takes the state of an older one, not that of a newer one. */
int machine_is_right(const struct shim *s, struct err *e)
{
	const struct machine_facts *f = &s->machine;
	const uint32_t *there = f->oldest, *here = f->id.version;

	if (vm_identity_newer(there, here))
		return err_set(e, EPRECONDITION,
			       "QEMU: %u.%u.%u there, %u.%u.%u here is older",
			       there[0], there[1], there[2], here[0], here[1],
			       here[2]);
	if (*f->wanted && strcmp(f->wanted, MACHINE) != 0 &&
	    strcmp(f->wanted, f->id.machine) != 0)
		return differs(e, "machine", f->wanted, f->id.machine);
	return vm_identity_same_cpu(f->cpu, f->id.cpu, e);
}

static void remember(struct shim *s, const struct description *doc,
		     const struct description *said)
{
	struct machine_facts *f = &s->machine;
	uint32_t v[3] = { 0 };

	(void)snprintf(f->wanted, sizeof(f->wanted), "%s", doc->machine);
	(void)snprintf(f->cpu, sizeof(f->cpu), "%s", said->cpu);
	if (sscanf(said->qemu, "%5u.%5u.%5u", &v[0], &v[1], &v[2]) == 3)
		memcpy(f->oldest, v, sizeof(v));
}

/* What no option of ours can make equal. */
static int check(const struct description *m, struct err *e)
{
	char number[16];

	if (!is_machine(m->machine))
		return differs(e, "machine", m->machine,
			       MACHINE_VERSIONS "...");
	(void)snprintf(number, sizeof(number), "%u", m->scsi);
	if (m->scsi != QEMU_SCSI_MAX)
		return differs(e, "SCSI controllers", number, "others");
	(void)snprintf(number, sizeof(number), "%u", m->nics);
	if (m->nics != QEMU_NICS_MAX)
		return differs(e, "network ports", number, "others");
	if (strlen(m->line) >= CMDLINE_SIZE)
		return err_set(e, EINVAL, "kernel line: too long");
	return 0;
}

/* The statement must be one of the same machine. */
static int agree(const struct description *doc, const struct description *said,
		 struct err *e)
{
	if (strlen(said->cpu) >= VM_CPU_SIZE)
		return err_set(e, EINVAL, "CPU: too long");
	if (strcmp(doc->machine, said->machine) != 0 &&
	    strcmp(doc->machine, MACHINE) != 0)
		return differs(e, "machine", said->machine, doc->machine);
	if (strcmp(doc->accel, said->accel) != 0)
		return differs(e, "accelerator", said->accel, doc->accel);
	if (strcmp(doc->vsock, said->vsock) != 0)
		return differs(e, "vsock", said->vsock, doc->vsock);
	if (doc->memory_mib != said->memory_mib ||
	    doc->processors != said->processors ||
	    doc->console != said->console || strcmp(doc->line, said->line) != 0)
		return err_set(e, EPRECONDITION,
			       "the compatibility statement is of another VM");
	return 0;
}

static int apply(struct shim *s, const struct description *m, struct err *e)
{
	struct launch *l = s->launch;
	int r = accel_parse(m->accel, &l->args.accel, e);

	if (r == 0)
		r = vhost_parse(m->vsock, &l->args.vsock, e);
	for (size_t i = 0; i < m->annotations.n && r == 0; i++)
		r = annotation_map_set(&l->args.annotations,
				       m->annotations.item[i].name,
				       m->annotations.item[i].value, e);
	l->args.memory_mib = (int32_t)m->memory_mib;
	l->args.processors = (int32_t)m->processors;
	l->args.console = m->console;
	if (r == 0)
		r = launch_line(l, e);
	if (r < 0)
		return r;
	if (!l->options.migratable)
		return err_set(e, EPRECONDITION,
			       "the sandbox was not made for migration");
	if ((uint32_t)l->options.memory_mib != m->memory_mib ||
	    l->options.processor_count != m->processors)
		return err_set(e, EPRECONDITION,
			       "this host cannot have as much memory or as "
			       "many processors");
	/* The guest has read its line long ago. */
	memcpy(l->line, m->line, strlen(m->line) + 1);
	annotation_map_done(&s->lock);
	return annotation_lock_take(&l->options, &s->lock, e);
}

int machine_take(struct shim *s, const struct vmm_config *c, struct err *e)
{
	struct description doc;
	struct description said;
	struct arena a;
	int r;

	arena_init(&a, DECODED_MAX);
	r = get(c->document, c->document_len, &a, &doc, e);
	if (r == 0)
		r = get(c->compat, c->compat_len, &a, &said, e);
	if (r == 0)
		r = check(&doc, e);
	if (r == 0)
		r = agree(&doc, &said, e);
	if (r == 0)
		r = same_file(s, MACHINE_KERNEL, "kernel", said.kernel, e);
	if (r == 0)
		r = same_file(s, MACHINE_IMAGE, "image", said.image, e);
	if (r == 0)
		r = apply(s, &doc, e);
	for (size_t i = 0; r == 0 && i < said.n_cards; i++)
		ops_card_expect(s->tasks.ops, said.card[i].port,
				said.card[i].id);
	if (r == 0)
		remember(s, &doc, &said);
	arena_done(&a);
	return r;
}
