#include "tools/qemu/argv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longest argument with a format; texts of the caller are added whole. */
#define WORD_MAX 1024

/* Arguments so far; @full is sticky, so one check at the end is enough. */
struct vector {
	char **item;
	size_t n;
	struct arena *arena;
	bool full;
};

static void add(struct vector *v, const char *word)
{
	char *copy = NULL;

	if (!v->full && v->n + 1 < QEMU_ARGV_MAX)
		copy = arena_strn(v->arena, word, strlen(word));
	if (!copy)
		v->full = true;
	else
		v->item[v->n++] = copy;
}

__attribute__((format(printf, 3, 4))) static void
add_pair(struct vector *v, const char *option, const char *fmt, ...)
{
	char word[WORD_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(word))
		v->full = true;
	add(v, option);
	add(v, word);
}

static void add_text(struct vector *v, const char *option, const char *text)
{
	add(v, option);
	add(v, text);
}

/* QEMU's option lists end a value at a comma, unless it is doubled. */
static const char *comma_safe(struct vector *v, const char *path)
{
	const size_t len = strlen(path);
	char *out = arena_alloc(v->arena, 2 * len + 1);
	char *to = out;

	if (!out) {
		v->full = true;
		return "";
	}
	for (const char *p = path; *p; p++) {
		*to++ = *p;
		if (*p == ',')
			*to++ = ',';
	}
	*to = '\0';
	return out;
}

static void machine(struct vector *v, const struct qemu_options *o)
{
	add(v, o->binary);
	add_text(v, "-machine", o->machine ? o->machine : "q35");
	add_text(v, "-accel", accel_option(o->accel));
	/* A KVM guest may use what the host has; TCG's default is portable. */
	if (o->accel == ACCEL_KVM)
		add_text(v, "-cpu", "host");
	add_pair(v, "-m", "%" PRIu64, o->memory_mib);
	add_pair(v, "-smp", "%" PRIu32, o->processors);
	add(v, "-nodefaults");
	add(v, "-no-user-config");
	add_text(v, "-display", "none");
	/* A guest that resets itself has ended; the QMP event tells how. */
	add(v, "-no-reboot");
	add_text(v, "-bios", "qboot.rom");
	if (o->only_migratable)
		add(v, "-only-migratable");
}

static void devices(struct vector *v, const struct qemu_options *o)
{
	add_text(v, "-device", "pvpanic");
	/* The guest powers off by itself after the event. */
	add_text(v, "-action", "panic=none");
	add_pair(v, "-device",
		 "vhost-vsock-pci,id=vsock0,guest-cid=%" PRIu32 ",addr=%d",
		 o->cid, QEMU_SLOT_VSOCK);
	for (uint32_t i = 0; i < o->scsi; i++)
		add_pair(v, "-device",
			 "virtio-scsi-pci,id=scsi%" PRIu32 ",addr=0x%" PRIx32,
			 i, i ? QEMU_SLOT_SCSI_1 + i - 1 : QEMU_SLOT_SCSI);
	for (uint32_t i = 0; i < o->nics; i++)
		add_pair(v, "-device",
			 "pcie-root-port,id=nic%" PRIu32 ",chassis=%" PRIu32
			 ",addr=0x%" PRIx32,
			 i, i + 1, i ? QEMU_SLOT_NIC_1 + i - 1 : QEMU_SLOT_NIC);
}

static int check(const struct qemu_options *o, struct err *e)
{
	if (o->accel == ACCEL_AUTO)
		return err_set(e, EINVAL, "the accelerator is not settled");
	if (o->cid < QEMU_CID_MIN || o->cid > QEMU_CID_MAX)
		return err_set(e, EINVAL, "guest CID %" PRIu32 " is reserved",
			       o->cid);
	if (o->processors == 0 || o->memory_mib == 0)
		return err_set(e, EINVAL, "a UVM needs processors and memory");
	if (o->scsi > QEMU_SCSI_MAX || o->nics > QEMU_NICS_MAX)
		return err_set(e, EINVAL,
			       "more than %u SCSI controllers or %u NICs",
			       QEMU_SCSI_MAX, QEMU_NICS_MAX);
	return 0;
}

int qemu_argv(const struct qemu_options *o, struct arena *a, char ***ret,
	      struct err *e)
{
	struct vector v = {
		.item = arena_array(a, QEMU_ARGV_MAX, sizeof(char *)),
		.arena = a,
	};
	const int r = check(o, e);

	if (r < 0)
		return r;
	if (!v.item)
		return err_set(e, ENOMEM, "QEMU's arguments");
	machine(&v, o);
	add_text(&v, "-kernel", o->kernel);
	add_text(&v, "-initrd", o->initrd);
	add_text(&v, "-append", o->append);
	add_pair(&v, "-qmp", "unix:%s", comma_safe(&v, o->qmp));
	if (o->console)
		add_pair(&v, "-serial", "unix:%s", comma_safe(&v, o->console));
	devices(&v, o);
	if (o->incoming)
		add_text(&v, "-incoming", o->incoming);
	if (o->paused)
		add(&v, "-S");
	if (v.full)
		return err_set(e, ENOMEM, "QEMU's arguments are too long");
	*ret = v.item;
	return 0;
}
