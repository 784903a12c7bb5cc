/*
 * tests/fuzz/fuzz_cmdline.c - strict lines from any annotations: nothing that
 * an annotation says changes a word besides its own
 *
 * Input: one byte of switches, then records of a key's number, a length and a
 * value. When a line is built, it is cut up and handed out as a kernel does
 * it, and must be, word for word, what a second, plainer description of the
 * line (below) says for these options.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bridge/guest/flags.h"
#include "cmdline/build.h"
#include "cmdline/distribute.h"
#include "cmdline/tokenize.h"
#include "cmdline/words.h"
#include "config/annotations.h"
#include "config/text.h"

#define WORDS_MAX 1200u

/* Switches of the first byte. */
enum {
	CONSOLE = 1,
	HYPERV = 2,
	VHD = 4,
	UEFI = 8,
	RELAY = 16,
	SCRUB = 32,
	ARM64 = 64,
	DEVICE = 128,
};

struct words {
	const char *item[WORDS_MAX];
	size_t n;
	char store[3 * CMDLINE_SIZE];
	struct text text;
};

static void say(struct words *w, const char *word)
{
	const size_t at = w->text.len;

	FUZZ_CHECK(w->n < WORDS_MAX);
	text_add(&w->text, word);
	text_addn(&w->text, "", 1);
	FUZZ_CHECK(!w->text.full);
	w->item[w->n++] = w->store + at;
}

static void begin(struct words *w)
{
	w->n = 0;
	text_fixed(&w->text, w->store, sizeof(w->store));
}

/* The words of a raw text, as a kernel would read them if it stood alone. */
static void say_all(struct words *w, const char *raw, bool for_kernel,
		    bool console)
{
	static char copy[CMDLINE_SIZE];
	char *at = copy;
	struct token t;

	FUZZ_CHECK(strlen(raw) < sizeof(copy));
	memcpy(copy, raw, strlen(raw) + 1);
	while (token_next(&at, &t)) {
		if (for_kernel)
			FUZZ_CHECK(words_check(t.name, t.value, console,
					       NULL) == 0);
		say(w, token_join(&t));
	}
}

static void describe_kernel(struct words *w, const struct sandbox_options *o)
{
	const bool qemu = o->profile == PROFILE_QEMU;
	const bool arm64 = strcmp(o->architecture, "arm64") == 0;
	char word[CMDLINE_SIZE + 32];
	size_t first;

	if (strcmp(o->rootfs, "rootfs.vhd") == 0 && o->dmverity) {
		say(w, "root=/dev/dm-0");
		(void)snprintf(word, sizeof(word), "dm-mod.create=%s",
			       o->dmverity_args);
		say(w, word);
		say(w, "init=/init");
	} else if (strcmp(o->rootfs, "rootfs.vhd") == 0) {
		say_all(w, "root=/dev/sda ro rootwait init=/init", false,
			false);
	} else if (!qemu && !o->kernel_direct) {
		say(w, "initrd=/initrd.img");
	}
	if (!qemu)
		say(w, "initcall_blacklist=virtio_vsock_init");
	if (o->console && !qemu && !arm64)
		say_all(w, "8250_core.nr_uarts=1 8250_core.skip_txen_test=1",
			false, false);
	if (o->console)
		say(w,
		    arm64 ? "console=ttyAMA0,115200" : "console=ttyS0,115200");
	else if (!arm64)
		say(w, qemu ? "8250.nr_uarts=0" : "8250_core.nr_uarts=0");
	if (!o->console)
		say_all(w, "panic=-1 quiet", false, false);
	first = w->n;
	say_all(w, o->kernel_boot_options, true, o->console);
	for (size_t i = first, last = w->n; i < last && w->n == last; i++)
		if (strcmp(w->item[i], "nokaslr") == 0)
			say(w, "init=/init");
	if (!o->vpci && !qemu && o->assigned.n == 0)
		say(w, "pci=off");
	(void)snprintf(word, sizeof(word), "nr_cpus=%u", o->processor_count);
	say(w, word);
	say_all(w, "brd.rd_nr=0 pmtmr=0", false, false);
}

static void describe_agent(struct words *w, const struct sandbox_options *o)
{
	if (o->forwarder == FORWARDER_CLASSIC)
		say_all(w, "/bin/vsockexec -e 109", false, false);
	if (o->forwarder == FORWARDER_RELAY)
		say_all(w, "/bin/vsockexec -r -e 109", false, false);
	say_all(w, "/bin/gcs -v4 -log-format json -loglevel info", false,
		false);
	if (o->no_time_sync)
		say(w, "-disable-time-sync");
	if (o->scrub_logs == TRI_TRUE)
		say(w, "-scrub-logs=true");
	if (*o->dump_location) {
		say(w, "-core-dump-location");
		say(w, o->dump_location);
	}
	say_all(w, o->agent_args, false, false);
}

/*
 * The agent itself reads its words to the end, and still speaks with the host,
 * sends it its log and lets no crash run a program. The last word is one that
 * only a reader who got there knows of.
 */
static void check_agent(const struct words *w)
{
	static char bridge[] = "-use-inouterr";
	static char copy[sizeof(w->store)];
	char *argv[WORDS_MAX + 2];
	struct flags f;
	size_t n = 0, i = 0;

	memcpy(copy, w->store, w->text.len);
	while (strcmp(w->item[i++], "/bin/gcs") != 0)
		FUZZ_CHECK(i < w->n);
	for (; i < w->n; i++)
		argv[n++] = copy + (w->item[i] - w->store);
	argv[n] = NULL;
	FUZZ_CHECK(flags_parse(argv, &f, NULL) == 0);
	FUZZ_CHECK(f.v4 && !f.use_inouterr && *f.log_file == '\0');
	FUZZ_CHECK(f.transport.kind == TRANSPORT_VSOCK);
	FUZZ_CHECK(*f.core_pattern == '\0' || *f.core_pattern == '/');
	argv[n] = bridge;
	argv[n + 1] = NULL;
	FUZZ_CHECK(flags_parse(argv, &f, NULL) == 0 && f.use_inouterr);
}

static void describe_init(struct words *w, const struct sandbox_options *o)
{
	static struct words agent;
	static char script[CMDLINE_SIZE + 32];
	struct text t;

	say_all(w, "-e 1", false, false);
	if (o->writable_overlay && strcmp(o->rootfs, "rootfs.vhd") == 0)
		say(w, "-w");
	begin(&agent);
	describe_agent(&agent, o);
	check_agent(&agent);
	if (!o->console) {
		describe_agent(w, o);
		return;
	}
	text_fixed(&t, script, sizeof(script));
	for (size_t i = 0; i < agent.n; i++)
		text_addf(&t, "%s%s", i ? " " : "", agent.item[i]);
	text_add(&t, "& exec sh");
	say_all(w, "sh -c", false, false);
	say(w, script);
}

static void check_kernel(const char *line, const struct sandbox_options *o)
{
	static struct words want;
	static char copy[CMDLINE_SIZE];
	char *at = copy;
	struct token t;
	size_t i = 0;

	begin(&want);
	describe_kernel(&want, o);
	memcpy(copy, line, strlen(line) + 1);
	while (token_next(&at, &t)) {
		if (!t.value && strcmp(t.name, "--") == 0)
			break;
		FUZZ_CHECK(i < want.n);
		FUZZ_CHECK(strcmp(token_join(&t), want.item[i]) == 0);
		i++;
	}
	FUZZ_CHECK(i == want.n);
}

static void check_init(const char *line, const struct sandbox_options *o)
{
	static struct words want;
	static char copy[CMDLINE_SIZE];
	struct distribution d;

	begin(&want);
	describe_init(&want, o);
	memcpy(copy, line, strlen(line) + 1);
	FUZZ_CHECK(distribute(copy, true, &d, NULL) == 0);
	FUZZ_CHECK(!d.poison && d.separator && d.n_discarded == 0);
	FUZZ_CHECK(d.envc == 2 && strcmp(d.envp[0], "HOME=/") == 0 &&
		   strcmp(d.envp[1], "TERM=linux") == 0);
	FUZZ_CHECK(strcmp(d.argv[0], "/init") == 0);
	FUZZ_CHECK(d.argc == want.n + 1);
	for (size_t i = 0; i < want.n; i++)
		FUZZ_CHECK(strcmp(d.argv[i + 1], want.item[i]) == 0);
}

/* Records of the input into the map; a NUL ends a value. */
static void fill(struct annotation_map *m, const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (size - at > 2) {
		const size_t row = data[at] % annotation_rows_n;
		const size_t left = size - at - 2;
		size_t n = data[at + 1];
		char value[256];

		if (n > left)
			n = left;
		memcpy(value, data + at + 2, n);
		value[n] = '\0';
		(void)annotation_map_set(m, annotation_rows[row].key, value,
					 NULL); /* a full map is as good */
		at += 2 + n;
	}
}

static void run(const struct annotation_map *m, const struct runtime_options *r)
{
	struct sandbox_options o;
	char line[CMDLINE_SIZE];

	sandbox_options_init(&o);
	if (sandbox_options_build(&o, m, r, NULL) == 0 &&
	    cmdline_build(&o, line, sizeof(line), NULL) > 0) {
		check_kernel(line, &o);
		check_init(line, &o);
	}
	sandbox_options_done(&o);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static const struct sandbox_device device = { "a", "vpci" };
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct annotation_map m;
	uint8_t switches;

	if (size < 1)
		return 0;
	switches = data[0];
	r.console = switches & CONSOLE;
	r.profile = switches & HYPERV ? PROFILE_HYPERV : PROFILE_QEMU;
	r.rootfs = switches & VHD ? ROOTFS_VHD : ROOTFS_INITRD;
	r.kernel_direct = switches & UEFI ? TRI_FALSE : TRI_TRUE;
	r.forwarder = switches & RELAY ? FORWARDER_RELAY : FORWARDERS;
	r.scrub_logs = switches & SCRUB ? TRI_TRUE : TRI_UNSET;

	r.platform = switches & ARM64 ? "linux/arm64" : NULL;
	r.devices = &device;
	r.n_devices = switches & DEVICE ? 1 : 0;

	annotation_map_init(&m);
	fill(&m, data + 1, size - 1);
	run(&m, &r);
	annotation_map_done(&m);
	return 0;
}
