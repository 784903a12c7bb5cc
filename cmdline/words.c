#include "cmdline/words.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/num.h"
#include "config/text.h"
#include "config/util.h"

/* How much of a refused word an error shows. */
#define SHOWN_MAX 64

/* How the kernel takes a word in. */
enum taken {
	EARLY,	/* early parameter: with or without a value, never an error */
	ASSIGN, /* set-up function "name=": only with a value */
	FLAG,	/* set-up function "name": only without a value */
	PARAM,	/* typed parameter: a bad value is the trap */
	LEAK,	/* read before the kernel proper, which does not know it and
		 * hands it on to init */
};

enum grammar {
	NOTHING,  /* no value is good */
	NUMBER,	  /* decimal, 0..max */
	SIZE,	  /* decimal with an optional K, M or G */
	SWITCH,	  /* what the kernel's kstrtobool takes */
	CHOICE,	  /* one of a list of words, separated by '|' */
	CPU_LIST, /* 0,2-5 */
	CONSOLE,  /* ttyS0,115200n8 and the like */
	INTEGER,  /* what the kernel's kstrtoint takes */
};

enum bare { NO, BARE };
enum who { BUILDER, ANYONE };

struct word {
	const char *name;
	enum taken taken;
	enum who who;	/* may an annotation bring it? */
	enum bare bare; /* is it good without a value? */
	enum grammar grammar;
	uint32_t max;	     /* NUMBER */
	const char *choices; /* CHOICE */
};

/* One row a line. */
/* clang-format off */
static const struct word words[] = {
	/* The builder's own, or too strong for an annotation. */
	{ "init", ASSIGN, BUILDER, NO, NOTHING, 0, NULL },
	{ "rdinit", ASSIGN, BUILDER, NO, NOTHING, 0, NULL },
	{ "root", ASSIGN, BUILDER, NO, NOTHING, 0, NULL },
	{ "initrd", EARLY, BUILDER, NO, NOTHING, 0, NULL },
	{ "nr_cpus", EARLY, BUILDER, NO, NUMBER, UINT32_MAX, NULL },
	{ "panic", PARAM, BUILDER, NO, INTEGER, 0, NULL },
	{ "initcall_blacklist", ASSIGN, BUILDER, NO, NOTHING, 0, NULL },
	{ "pci", EARLY, BUILDER, NO, NOTHING, 0, NULL },
	{ "pmtmr", ASSIGN, BUILDER, NO, NUMBER, UINT32_MAX, NULL },
	{ "brd.rd_nr", PARAM, BUILDER, NO, INTEGER, 0, NULL },
	{ "8250.nr_uarts", PARAM, BUILDER, NO, INTEGER, 0, NULL },
	{ "console", ASSIGN, BUILDER, NO, CONSOLE, 0, NULL },

	/* Bare words of the specification. */
	{ "quiet", EARLY, ANYONE, BARE, NOTHING, 0, NULL },
	{ "debug", EARLY, ANYONE, BARE, NOTHING, 0, NULL },
	{ "ro", FLAG, ANYONE, BARE, NOTHING, 0, NULL },
	{ "rw", FLAG, ANYONE, BARE, NOTHING, 0, NULL },
	{ "rootwait", FLAG, ANYONE, BARE, NOTHING, 0, NULL },
	{ "nokaslr", LEAK, ANYONE, BARE, NOTHING, 0, NULL },
	{ "nosmp", EARLY, ANYONE, BARE, NOTHING, 0, NULL },
	{ "noapic", EARLY, ANYONE, BARE, NOTHING, 0, NULL },
	{ "nolapic", EARLY, ANYONE, BARE, NOTHING, 0, NULL },
	{ "ignore_loglevel", EARLY, ANYONE, BARE, NOTHING, 0, NULL },
	{ "earlyprintk", EARLY, ANYONE, BARE, CHOICE, 0,
	  "serial|ttyS0|ttyS1|serial,ttyS0|serial,ttyS0,115200|ttyS0,115200|"
	  "vga|vga,keep|serial,keep|ttyS0,keep|ttyS0,115200,keep" },

	/* Messages. */
	{ "loglevel", EARLY, ANYONE, NO, NUMBER, 15, NULL },
	{ "log_buf_len", EARLY, ANYONE, NO, SIZE, 0, NULL },
	{ "printk.time", PARAM, ANYONE, BARE, SWITCH, 0, NULL },
	{ "printk.devkmsg", ASSIGN, ANYONE, NO, CHOICE, 0,
	  "on|off|ratelimit" },
	{ "initcall_debug", PARAM, ANYONE, BARE, SWITCH, 0, NULL },

	/* Root file system. */
	{ "rootdelay", ASSIGN, ANYONE, NO, NUMBER, 3600, NULL },
	{ "rootfstype", ASSIGN, ANYONE, NO, CHOICE, 0,
	  "ext4|xfs|squashfs|erofs" },

	/* Processors and time. */
	{ "maxcpus", EARLY, ANYONE, NO, NUMBER, 65535, NULL },
	{ "mitigations", EARLY, ANYONE, NO, CHOICE, 0,
	  "off|auto|auto,nosmt" },
	{ "nosmt", EARLY, ANYONE, BARE, CHOICE, 0, "force" },
	{ "clocksource", ASSIGN, ANYONE, NO, CHOICE, 0,
	  "tsc|hpet|acpi_pm|jiffies|kvm-clock|hyperv_clocksource_tsc_page" },
	{ "tsc", ASSIGN, ANYONE, NO, CHOICE, 0,
	  "reliable|unstable|noirqtime|nowatchdog" },
	{ "idle", EARLY, ANYONE, NO, CHOICE, 0, "poll|halt|nomwait" },
	{ "rcu_nocbs", ASSIGN, ANYONE, NO, CPU_LIST, 0, NULL },

	/* Memory. */
	{ "hugepages", ASSIGN, ANYONE, NO, NUMBER, 1u << 24, NULL },
	{ "hugepagesz", ASSIGN, ANYONE, NO, CHOICE, 0, "2M|1G" },
	{ "default_hugepagesz", ASSIGN, ANYONE, NO, CHOICE, 0, "2M|1G" },
	{ "transparent_hugepage", ASSIGN, ANYONE, NO, CHOICE, 0,
	  "always|madvise|never" },
	{ "swiotlb", EARLY, ANYONE, NO, CHOICE, 0, "force|noforce" },
	{ "init_on_alloc", EARLY, ANYONE, NO, SWITCH, 0, NULL },
	{ "init_on_free", EARLY, ANYONE, NO, SWITCH, 0, NULL },

	/* Security, faults, networks. */
	{ "audit", ASSIGN, ANYONE, NO, CHOICE, 0, "0|1|on|off" },
	{ "apparmor", ASSIGN, ANYONE, NO, CHOICE, 0, "0|1" },
	{ "oops", EARLY, ANYONE, NO, CHOICE, 0, "panic" },
	{ "panic_on_warn", PARAM, ANYONE, NO, NUMBER, 1, NULL },
	{ "nmi_watchdog", ASSIGN, ANYONE, NO, CHOICE, 0, "0|1|panic|nopanic" },
	{ "random.trust_cpu", EARLY, ANYONE, NO, SWITCH, 0, NULL },
	{ "random.trust_bootloader", EARLY, ANYONE, NO, SWITCH, 0, NULL },
	{ "cgroup_no_v1", ASSIGN, ANYONE, NO, CHOICE, 0, "all|named" },
	{ "cgroup.memory", ASSIGN, ANYONE, NO, CHOICE, 0,
	  "nokmem|nosocket|nokmem,nosocket" },
	{ "ipv6.disable", PARAM, ANYONE, NO, NUMBER, 1, NULL },
	{ "net.ifnames", EARLY, ANYONE, NO, NUMBER, 1, NULL },
};
/* clang-format on */

/* Names are equal in the kernel's eyes when only '-' and '_' differ. */
static bool same_name(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
			return false;
	return *a == *b;
}

static const struct word *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (same_name(words[i].name, name))
			return &words[i];
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The kernel's kstrtoint with base 0, but for the last step of its range. */
static bool good_integer(const char *v)
{
	size_t n = 0;

	v += *v == '-' || *v == '+';
	if (v[0] == '0' && (v[1] == 'x' || v[1] == 'X')) {
		for (v += 2; is_hex(*v); v++)
			n++;
		return n > 0 && n <= 8 && *v == '\0';
	}
	for (; is_digit(*v); v++)
		n++;
	return n > 0 && n <= 9 && *v == '\0';
}

static bool good_size(const char *v)
{
	size_t n = 0;

	for (; is_digit(*v); v++)
		n++;
	v += *v == 'K' || *v == 'M' || *v == 'G';
	return n > 0 && n <= 9 && *v == '\0';
}

static bool good_switch(const char *v)
{
	static const char *const good[] = { "0", "1", "y",  "n",
					    "Y", "N", "on", "off" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (strcmp(v, good[i]) == 0)
			return true;
	return false;
}

static bool good_choice(const char *v, const char *choices)
{
	const size_t n = strlen(v);

	for (const char *p = choices; n > 0; p++) {
		const char *end = strchrnul(p, '|');

		if ((size_t)(end - p) == n && memcmp(p, v, n) == 0)
			return true;
		p = end;
		if (*p == '\0')
			break;
	}
	return false;
}

/* Numbers of at most five digits, "a-b" ranges, commas between. */
static bool good_cpu_list(const char *v)
{
	size_t n = 0, dashes = 0;

	for (; *v != '\0'; v++) {
		if (is_digit(*v)) {
			if (++n > 5)
				return false;
			continue;
		}
		if (n == 0 || (*v != '-' && *v != ','))
			return false;
		dashes = *v == '-' ? dashes + 1 : 0;
		if (dashes > 1)
			return false;
		n = 0;
	}
	return n > 0;
}

/* ttyS0, tty1, hvc0, ttyAMA0, with an optional ,115200 and n8 behind it. */
static bool good_console(const char *v)
{
	static const char *const lines[] = { "ttyAMA", "ttyS", "tty", "hvc" };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(lines) && n == 0; i++)
		if (strncmp(v, lines[i], strlen(lines[i])) == 0)
			n = strlen(lines[i]);
	if (n == 0 || !is_digit(v[n]))
		return false;
	for (v += n; is_digit(*v);)
		v++;
	if (*v == '\0')
		return true;
	if (*v++ != ',' || !is_digit(*v))
		return false;
	while (is_digit(*v))
		v++;
	return *v == '\0' || strcmp(v, "n8") == 0 || strcmp(v, "n8r") == 0;
}

static bool good_value(const struct word *w, const char *v)
{
	uint32_t number;

	switch (w->grammar) {
	case NUMBER:
		return num_u32(v, 0, w->max, &number, NULL) == 0;
	case SIZE:
		return good_size(v);
	case SWITCH:
		return good_switch(v);
	case CHOICE:
		return good_choice(v, w->choices);
	case CPU_LIST:
		return good_cpu_list(v);
	case CONSOLE:
		return good_console(v);
	case INTEGER:
		return good_integer(v);
	case NOTHING:
		break;
	}
	return false;
}

enum word_fate words_fate(const char *name, const char *value)
{
	const struct word *w = find(name);

	if (w && w->taken == PARAM) {
		if (value ? !good_value(w, value) : w->bare == NO)
			return WORD_POISON;
		return WORD_CONSUMED;
	}
	if (w && w->taken != LEAK &&
	    (w->taken == EARLY || (w->taken == ASSIGN) == !!value))
		return WORD_CONSUMED;
	return strchr(name, '.') ? WORD_DROPPED : WORD_UNKNOWN;
}

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

bool words_leak(const char *name)
{
	const struct word *w = find(name);

	return w && w->taken == LEAK;
}

int words_check(const char *name, const char *value, bool console,
		struct err *e)
{
	char buf[4 * SHOWN_MAX + 4];
	const struct word *w = find(name);
	struct text shown;

	text_fixed(&shown, buf, sizeof(buf));
	text_quote(&shown, name, SHOWN_MAX);
	if (begins(name, "ferry.") || begins(name, "hcsshim."))
		return err_class(e, ERR_TEXT_RESERVED,
				 "%s: words that begin so are reserved", buf);
	if (!w && !value && !strchr(name, '.'))
		return err_class(e, ERR_TEXT_STRAY_WORD,
				 "'%s' would become an argument of init", buf);
	if (!w)
		return err_class(e, ERR_TEXT_RESERVED,
				 "%s is not on the list of kernel words that "
				 "an annotation may set",
				 buf);
	if (w->who == BUILDER && !(console && w->grammar == CONSOLE))
		return err_class(e, ERR_TEXT_RESERVED,
				 "%s is set by the builder alone", buf);

	if (value ? good_value(w, value) : w->bare == BARE)
		return 0;
	if (!value && w->taken == ASSIGN && !strchr(name, '.'))
		return err_class(e, ERR_TEXT_STRAY_WORD,
				 "'%s' without a value would become an "
				 "argument of init",
				 buf);
	return err_class(e, ERR_TEXT_INVALID,
			 value ? "%s does not take that value"
			       : "%s needs a value",
			 buf);
}
