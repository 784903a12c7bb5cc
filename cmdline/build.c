/*
 * Theory of operation. The words are written in the order of the table of
 * cmdline.md 6.1, one blank between them. Compat mode only writes. Strict mode
 * checks each raw text, notes every word as it should arrive (struct intent),
 * and lets roundtrip_check() compare at the end.
 */
#include "cmdline/build.h"

#include <errno.h>
#include <string.h>

#include "config/migratable.h"
#include "config/text.h"
#include "cmdline/agentflags.h"
#include "cmdline/origin.h"
#include "cmdline/rawtext.h"
#include "cmdline/roundtrip.h"
#include "cmdline/words.h"

_Static_assert(CMDLINE_MAX == RAWTEXT_MAX, "a raw text is part of a line");

/* The vsock port of the log; re-armed on a destination, others are not. */
#define LOG_PORT "109"

/* More words of the console form than this are explained as one. */
#define PARTS_MAX 256u

/* Where a word of the console form begins in the agent command, and why. */
struct part {
	size_t at;
	const struct cmdline_origin *from;
};

/**
 * struct line - one line in the making
 * @o:		options
 * @out:	the line
 * @in:		strict mode: what is meant; NULL: compat
 * @agent:	the agent command alone, for the console form
 * @part:	its words
 * @n_parts:	how many
 * @from:	why the words that come now are there
 * @fn:		told of each word, NULL: nobody
 * @ctx:	for @fn
 * @behind:	the separator has been written
 * @leak:	a boot option would reach init, see words_leak()
 * @flags:	how far the agent has read the words of an annotation
 */
struct line {
	const struct sandbox_options *o;
	struct text out;
	struct intent *in;
	struct text agent;
	struct part part[PARTS_MAX];
	size_t n_parts;
	const struct cmdline_origin *from;
	cmdline_word_fn *fn;
	void *ctx;
	bool behind;
	bool leak;
	struct agentflags_scan flags;
};

static void from(struct line *l, enum from why)
{
	l->from = &cmdline_origins[why];
}

static bool strict(const struct line *l)
{
	return l->in != NULL;
}

static bool qemu(const struct line *l)
{
	return l->o->profile == PROFILE_QEMU;
}

static bool from_vhd(const struct line *l)
{
	return strcmp(l->o->rootfs, ROOTFS_VHD) == 0;
}

static void tell(struct line *l, const char *w)
{
	if (l->fn)
		l->fn(l->ctx, w, l->from);
}

/* Writes @raw, which should arrive as @meant, and tells nobody. */
static void put_quietly(struct line *l, const char *raw, const char *meant)
{
	if (l->out.len)
		text_addc(&l->out, ' ');
	text_add(&l->out, raw);
	if (!l->in)
		return;
	if (l->behind)
		intent_arg(l->in, meant);
	else
		intent_kernel(l->in, meant);
}

static void put(struct line *l, const char *raw, const char *meant)
{
	put_quietly(l, raw, meant);
	tell(l, raw);
}

static void word(struct line *l, const char *w)
{
	put(l, w, w);
}

/* "name" + "value" as one word. */
static void word2(struct line *l, const char *name, const char *value)
{
	char buf[CMDLINE_SIZE];
	struct text t;

	text_fixed(&t, buf, sizeof(buf));
	text_add(&t, name);
	text_add(&t, value);
	word(l, text_str(&t));
	l->out.full |= t.full;
}

/* The reference's quoting of a table; the kernel undoes none of it. */
static void quote(struct text *t, const char *table)
{
	static const char letters[] = "abtnvfr"; /* 0x07 to 0x0d */

	for (const char *p = table; *p != '\0'; p++) {
		const unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			text_addf(t, "\\%c", c);
		else if (c >= 0x07 && c <= 0x0d)
			text_addf(t, "\\%c", letters[c - 0x07]);
		else if (c < 0x20 || c == 0x7f)
			text_addf(t, "\\x%02x", c);
		else
			text_addc(t, *p);
	}
}

static int put_table(struct line *l, struct err *e)
{
	const char *table = l->o->dmverity_args;
	struct text raw, meant;
	int r = 0;

	if (*table == '\0')
		return err_class(e, ERR_DMVERITY_ARGS_MISSING,
				 "dm-verity is on and there is no table");
	if (strict(l))
		r = rawtext_table(table, e);
	for (const char *p = table; *p != '\0' && r == 0; p++)
		if ((unsigned char)*p >= 0x80)
			r = err_class(e, ERR_TEXT_QUOTE,
				      "the dm-verity table is not ASCII");
	if (r < 0)
		return r;

	text_heap(&raw, CMDLINE_COMPAT_SIZE);
	text_heap(&meant, CMDLINE_COMPAT_SIZE);
	text_add(&raw, "dm-mod.create=\"");
	quote(&raw, table);
	text_addc(&raw, '"');
	text_addf(&meant, "dm-mod.create=%s", table);
	put(l, text_str(&raw), text_str(&meant));
	l->out.full |= raw.full || meant.full;
	text_done(&raw);
	text_done(&meant);
	return 0;
}

static int put_root(struct line *l, struct err *e)
{
	int r;

	from(l, FROM_ROOT);
	if (strcmp(l->o->rootfs, ROOTFS_INITRD) == 0 && !l->o->kernel_direct &&
	    !qemu(l))
		word(l, "initrd=/" ROOTFS_INITRD);
	if (!from_vhd(l))
		return 0;

	if (l->o->dmverity) {
		from(l, FROM_TABLE);
		word(l, "root=/dev/dm-0");
		r = put_table(l, e);
		if (r < 0)
			return r;
		from(l, FROM_ROOT);
	} else {
		word2(l, "root=", qemu(l) ? l->o->root_device : "/dev/sda");
		word(l, "ro");
		word(l, "rootwait");
	}
	word(l, "init=/init");
	return 0;
}

static void put_console(struct line *l)
{
	/* On arm64 there is no 8250; the reference writes its words there. */
	const bool arm64 =
		strict(l) && strcmp(l->o->architecture, "arm64") == 0;

	from(l, FROM_CONSOLE);
	if ((qemu(l) || arm64) && l->o->console) {
		word2(l, "console=", l->o->console_device);
	} else if (l->o->console) {
		word(l, "8250_core.nr_uarts=1");
		word(l, "8250_core.skip_txen_test=1");
		word(l, "console=ttyS0,115200");
	} else {
		if (!arm64)
			word(l, qemu(l) ? "8250.nr_uarts=0"
					: "8250_core.nr_uarts=0");
		from(l, FROM_PANIC);
		word(l, "panic=-1");
		from(l, FROM_QUIET);
		word(l, "quiet");
	}
}

static int put_boot_option(void *ctx, const struct raw_word *w, struct err *e)
{
	struct line *l = ctx;
	int r = words_check(w->name, w->value, l->o->console, e);

	if (r == 0)
		put(l, w->raw, w->joined);
	l->leak |= words_leak(w->name);
	return r;
}

static int put_boot_options(struct line *l, struct err *e)
{
	const char *text = l->o->kernel_boot_options;
	int r;

	from(l, FROM_BOOT_OPTIONS);
	if (!strict(l)) {
		if (*text != '\0')
			word(l, text);
		return 0;
	}

	r = rawtext_words(BOOT_OPTIONS_KEY, text, put_boot_option, l, e);
	from(l, FROM_LEAK);
	if (r == 0 && l->leak)
		word(l, "init=/init"); /* the program it would be anyway */
	return r;
}

static void put_devices(struct line *l)
{
	char count[16];
	struct text t;

	from(l, FROM_PCI);
	/*
	 * On a PCI machine pci=off would remove every virtio device, and
	 * wherever there are assigned devices, those.
	 */
	if (!l->o->vpci && !(qemu(l) && l->o->pci_bus) &&
	    !(strict(l) && l->o->assigned.n))
		word(l, "pci=off");
	from(l, FROM_PROCESSORS);
	text_fixed(&t, count, sizeof(count));
	text_addf(&t, "%u", l->o->processor_count);
	word2(l, "nr_cpus=", count);
	from(l, FROM_KERNEL);
	word(l, "brd.rd_nr=0");
	word(l, "pmtmr=0");
}

static int put_kernel_words(struct line *l, struct err *e)
{
	int r = put_root(l, e);

	if (r < 0)
		return r;
	from(l, FROM_PLATFORM);
	if (!qemu(l))
		word(l, "initcall_blacklist=virtio_vsock_init");
	put_console(l);
	r = put_boot_options(l, e);
	if (r == 0)
		put_devices(l);
	return r;
}

/* One argument of the agent command: on the line, or into the console form. */
static int put_agent_raw(struct line *l, const char *raw, const char *meant,
			 struct err *e)
{
	if (!l->o->console) {
		put(l, raw, meant);
		return 0;
	}
	if (strict(l) && !rawtext_shell_safe(raw))
		return err_class(e, ERR_TEXT_INVALID,
				 "the console form cannot hold the word "
				 "'%.64s': a shell would read it",
				 raw);
	if (l->agent.len)
		text_addc(&l->agent, ' ');
	if (l->n_parts < PARTS_MAX)
		l->part[l->n_parts++] = (struct part){ l->agent.len, l->from };
	text_add(&l->agent, raw);
	return 0;
}

static int put_agent(struct line *l, const char *w, struct err *e)
{
	return put_agent_raw(l, w, w, e);
}

/* Looks like an option of vsockexec that brings its own port? */
static bool is_port_option(const char *w)
{
	return w[0] == '-' && w[1] != '\0' && strchr("ioe", w[1]) &&
	       w[2 + strspn(w + 2, "0123456789")] == '\0' &&
	       strcmp(w + 2, LOG_PORT) != 0;
}

static int put_agent_word(void *ctx, const struct raw_word *w, struct err *e)
{
	struct line *l = ctx;
	int r;

	if (l->o->migratable && is_port_option(w->joined))
		return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
				 "a migratable sandbox cannot have the word "
				 "'%.32s' in " AGENT_ARGS_KEY ": %s",
				 w->joined,
				 migratable_rules[MIGRATABLE_LOG_PORT].why);
	r = agentflags_word(&l->flags, w->joined, e);
	return r < 0 ? r : put_agent_raw(l, w->raw, w->joined, e);
}

static int put_agent_args(struct line *l, struct err *e)
{
	const char *text = l->o->agent_args;
	int r;

	from(l, FROM_AGENT_ARGS);
	if (!strict(l))
		return *text == '\0' ? 0 : put_agent(l, text, e);

	r = rawtext_words(AGENT_ARGS_KEY, text, put_agent_word, l, e);
	return r < 0 ? r : agentflags_end(&l->flags, e);
}

static int put_dump_location(struct line *l, struct err *e)
{
	int r = 0;

	from(l, FROM_DUMP);
	if (*l->o->dump_location == '\0')
		return 0;
	if (strict(l))
		r = rawtext_dump_location(l->o->dump_location, e);
	if (r == 0)
		r = put_agent(l, "-core-dump-location", e);
	return r < 0 ? r : put_agent(l, l->o->dump_location, e);
}

/* Words of the agent command that are the same for every value. */
static int put_agent_start(struct line *l, struct err *e)
{
	static const char *const start[] = { "/bin/gcs", "-v4", "-log-format",
					     "json", "-loglevel" };
	int r = 0;

	from(l, FROM_FORWARDER);
	if (l->o->forwarder != FORWARDER_MIGRATABLE)
		r = put_agent(l, "/bin/vsockexec", e);
	if (r == 0 && l->o->forwarder == FORWARDER_RELAY)
		r = put_agent(l, "-r", e);
	if (r == 0 && l->o->forwarder != FORWARDER_MIGRATABLE)
		r = put_agent(l, "-e", e);
	if (r == 0 && l->o->forwarder != FORWARDER_MIGRATABLE)
		r = put_agent(l, LOG_PORT, e);
	from(l, FROM_AGENT);
	for (size_t i = 0; i < sizeof(start) / sizeof(start[0]) && r == 0; i++)
		r = put_agent(l, start[i], e);
	return r;
}

static int put_agent_command(struct line *l, struct err *e)
{
	const struct sandbox_options *o = l->o;
	const char *level = *o->log_level == '\0' ? "info" : o->log_level;
	int r = put_agent_start(l, e);

	from(l, FROM_LOG_LEVEL);
	if (r == 0 && strict(l))
		r = rawtext_log_level(level, e);
	if (r == 0)
		r = put_agent(l, level, e);
	from(l, FROM_TIME_SYNC);
	if (r == 0 && o->no_time_sync)
		r = put_agent(l, "-disable-time-sync", e);
	from(l, FROM_SCRUB);
	if (r == 0 && o->scrub_logs != TRI_UNSET)
		r = put_agent(l,
			      o->scrub_logs == TRI_TRUE ? "-scrub-logs=true"
							: "-scrub-logs=false",
			      e);
	if (r == 0)
		r = put_dump_location(l, e);
	return r < 0 ? r : put_agent_args(l, e);
}

/* The words of the script one by one, with the quotes around all of them. */
static void tell_parts(struct line *l, const char *before)
{
	const char *agent = text_str(&l->agent);
	struct text t;

	if (!l->fn)
		return;
	text_heap(&t, CMDLINE_COMPAT_SIZE);
	text_add(&t, before);
	for (size_t i = 0; i < l->n_parts; i++) {
		const bool last = i + 1 == l->n_parts;
		const size_t at = l->part[i].at;

		text_addn(&t, agent + at,
			  last ? l->agent.len - at
			       : l->part[i + 1].at - 1 - at);
		if (last)
			text_addc(&t, '&');
		l->from = l->part[i].from;
		tell(l, text_str(&t));
		text_reset(&t);
	}
	text_done(&t);
	from(l, FROM_CONSOLE);
	tell(l, "exec");
	tell(l, "sh\"");
}

/* The reference forgets the blank behind -c, and its shell does not start. */
static void put_shell(struct line *l)
{
	struct text raw, meant;

	text_heap(&raw, CMDLINE_COMPAT_SIZE);
	text_heap(&meant, CMDLINE_COMPAT_SIZE);
	text_addf(&meant, "%s& exec sh", text_str(&l->agent));
	from(l, FROM_CONSOLE);
	word(l, "sh");
	if (strict(l)) {
		word(l, "-c");
		text_addf(&raw, "\"%s\"", text_str(&meant));
	} else {
		text_addf(&raw, "-c\"%s\"", text_str(&meant));
	}
	put_quietly(l, text_str(&raw), text_str(&meant));
	tell_parts(l, strict(l) ? "\"" : "-c\"");
	l->out.full |= raw.full || meant.full || l->agent.full;
	text_done(&raw);
	text_done(&meant);
}

static int put_init_words(struct line *l, struct err *e)
{
	int r;

	from(l, FROM_SEPARATOR);
	text_add(&l->out, " --");
	tell(l, "--");
	l->behind = true;
	from(l, FROM_ENTROPY);
	word(l, "-e");
	word(l, "1");
	from(l, FROM_OVERLAY);
	if (l->o->writable_overlay && from_vhd(l))
		word(l, "-w");
	r = put_agent_command(l, e);
	if (r == 0 && l->o->console)
		put_shell(l);
	return r;
}

static int finish(struct line *l, struct err *e)
{
	if (strict(l) && (l->out.full || l->in->full))
		return err_class(e, ERR_CMDLINE_TOO_LONG,
				 "the line has more bytes than the %u that a "
				 "kernel takes",
				 CMDLINE_MAX);
	if (l->out.full)
		return err_set(e, ENOBUFS, "the line does not fit in %zu bytes",
			       l->out.size);
	return strict(l) ? roundtrip_check(text_str(&l->out), l->in, e) : 0;
}

int cmdline_explain(const struct sandbox_options *o, char *out, size_t size,
		    cmdline_word_fn *fn, void *ctx, struct err *e)
{
	struct intent intent;
	struct line l = { .o = o, .fn = fn, .ctx = ctx };
	int r;

	text_fixed(&l.out, out, size);
	if (o->hardware_confidential)
		return 0;
	if (o->strictness == STRICT) {
		intent_init(&intent);
		l.in = &intent;
	}

	text_heap(&l.agent, CMDLINE_COMPAT_SIZE);
	r = put_kernel_words(&l, e);
	if (r == 0)
		r = put_init_words(&l, e);
	if (r == 0)
		r = finish(&l, e);
	text_done(&l.agent);
	if (r < 0)
		out[0] = '\0';
	return r < 0 ? r : (int)l.out.len;
}

int cmdline_build(const struct sandbox_options *o, char *out, size_t size,
		  struct err *e)
{
	return cmdline_explain(o, out, size, NULL, NULL, e);
}
