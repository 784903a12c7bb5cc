/*
 * Theory of operation. The file's text is walked line by line. Each line is
 * checked here, then handed to inih, which asks for lines one at a time
 * through next_line() and calls take_pair() for what it finds in the line it
 * got last; so the line's number is known where the value is checked. The
 * first error is kept and ends the walk: inih sees the end of the file.
 */
#include "config/conf.h"

#include <stdio.h>
#include <string.h>

#include <ini.h>

#include "config/num.h"
#include "config/options.h"
#include "config/util.h"

/* Room for what all files together may say. */
#define ARENA_MAX (16ul * 1024 * 1024)
#define ANNOTATIONS_SECTION "annotations"

static const struct conf_row rows[] = {
	[CONF_SANDBOX_PLATFORM] = { .section = "sandbox",
				    .key = "platform",
				    .kind = CONF_CHOICE,
				    .choices = "linux/amd64|linux/arm64",
				    .fallback = "linux/amd64",
				    .help = "Platform of the sandbox" },
	[CONF_SANDBOX_PROCESSORS] = { .section = "sandbox",
				      .key = "processors",
				      .kind = CONF_U32,
				      .min = 1,
				      .max = 1024,
				      .fallback = "",
				      .help = "Processors of a sandbox whose annotations name none" },
	[CONF_SANDBOX_MEMORY_MIB] = { .section = "sandbox",
				      .key = "memory_mib",
				      .kind = CONF_U32,
				      .min = 64,
				      .max = 16777216,
				      .fallback = "",
				      .help = "Memory, in MiB, of a sandbox whose annotations name none" },
	[CONF_BOOT_PROFILE] = { .section = "boot",
				.key = "profile",
				.kind = CONF_CHOICE,
				.choices = "qemu|hyperv",
				.fallback = "qemu",
				.help = "VMM that the line is built for" },
	[CONF_BOOT_STRICT] = { .section = "boot",
			       .key = "strict",
			       .kind = CONF_BOOL,
			       .fallback = "true",
			       .help = "Refuse doubtful annotations instead of guessing" },
	[CONF_BOOT_KERNEL] = { .section = "boot",
			       .key = "kernel",
			       .kind = CONF_STRING,
			       .fallback = "",
			       .help = "Kernel to boot; without it the one that was installed" },
	[CONF_BOOT_IMAGE] = { .section = "boot",
			      .key = "image",
			      .kind = CONF_STRING,
			      .fallback = "",
			      .help = "Initramfs to boot; without it the one that was installed" },
	[CONF_BOOT_ACCEL] = { .section = "boot",
			      .key = "accel",
			      .kind = CONF_CHOICE,
			      .choices = "auto|kvm|tcg",
			      .fallback = "auto",
			      .help = "Accelerator of QEMU; auto takes KVM where it works" },
	[CONF_BOOT_CONSOLE] = { .section = "boot",
				.key = "console",
				.kind = CONF_BOOL,
				.fallback = "false",
				.help = "Boot with a serial console and a shell on it" },
	[CONF_BOOT_TIMEOUT_S] = { .section = "boot",
				  .key = "timeout_s",
				  .kind = CONF_U32,
				  .min = 1,
				  .max = 3600,
				  .fallback = "120",
				  .help = "Seconds that a guest has to call the bridge" },
	[CONF_LOG_LEVEL] = { .section = "log",
			     .key = "level",
			     .kind = CONF_CHOICE,
			     .choices =
				     "trace|debug|info|warn|warning|error|fatal|panic",
			     .fallback = "",
			     .help = "Log level of the agent" },
	[CONF_LOG_SCRUB] = { .section = "log",
			     .key = "scrub",
			     .kind = CONF_BOOL,
			     .fallback = "",
			     .help = "Tell the agent to hide secrets in its log, or not to" },
	[CONF_LOG_FORWARDER] = { .section = "log",
				 .key = "forwarder",
				 .kind = CONF_CHOICE,
				 .choices = "classic|migratable|relay",
				 .fallback = "",
				 .help = "How the log leaves the guest; without it the migration annotation decides" },
	[CONF_MIGRATION_ENABLED] = { .section = "migration",
				     .key = "enabled",
				     .kind = CONF_BOOL,
				     .fallback = "",
				     .help = "Whether a sandbox is migratable whose annotations do not say it" },
	[CONF_MIGRATION_CONSOLE] = { .section = "migration",
				     .key = "console_may_stay",
				     .kind = CONF_BOOL,
				     .fallback = "false",
				     .help = "Let a migratable sandbox have a console pipe, which ends on the source host" },
};
static_assert(ARRAY_LEN(rows) == CONF_KEYS, "a setting has no row");

const struct conf_row *conf_row(enum conf_key key)
{
	return &rows[key];
}

void conf_init(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	arena_init(&c->arena, ARENA_MAX);
	annotation_map_init(&c->annotations);
	annotation_map_init(&c->origins);
	for (size_t i = 0; i < CONF_KEYS; i++)
		c->value[i] =
			(struct conf_value){ rows[i].fallback, "default" };
}

void conf_done(struct conf *c)
{
	annotation_map_done(&c->annotations);
	annotation_map_done(&c->origins);
	arena_done(&c->arena);
}

/* One walk through one file. */
struct walk {
	struct conf *conf;
	const char *name;
	const char *at;
	const char *end;
	unsigned int line;
	bool in_section;
	/* Line of this file that set a key; 0: none yet. */
	unsigned int set_at[CONF_KEYS];
	struct annotation_map seen; /* annotations of this file */
	struct err *e;
	int error;
};

/* Keeps the first error, with file and line before it. */
static void refuse(struct walk *w, int error)
{
	if (w->error)
		return;
	w->error = error;
	(void)err_wrap(w->e, "%s:%u", w->name, w->line);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What inih would take for something that the writer did not mean. */
static int check_line(struct walk *w, const char *line, size_t len)
{
	const char *p = line;

	if (memchr(line, '\0', len))
		return err_set(w->e, EINVAL, "a NUL byte");
	if (len > CONF_LINE_MAX)
		return err_set(w->e, EINVAL,
			       "the line has %zu bytes, at most %u are read",
			       len, CONF_LINE_MAX);
	while (p < line + len && blank(*p))
		p++;
	if (p == line + len || *p == '#' || *p == ';')
		return 0;
	if (p != line)
		return err_set(
			w->e, EINVAL,
			"the line is indented; continued lines are not supported");
	if (*p == '[' ? !memchr(p, ']', len)
		      : !memchr(p, '=', len) && !memchr(p, ':', len))
		return err_set(w->e, EINVAL,
			       "neither [section] nor key = value");
	if (*p == '[')
		w->in_section = true;
	if (!w->in_section)
		return err_set(w->e, EINVAL, "a key before the first section");
	return 0;
}

/* inih's reader: the next line, checked, into its buffer. */
static char *next_line(char *buf, int size, void *stream)
{
	struct walk *w = stream;
	const char *nl;
	size_t len;
	int r;

	if (w->error || w->at == w->end)
		return NULL;
	nl = memchr(w->at, '\n', (size_t)(w->end - w->at));
	len = (size_t)((nl ? nl : w->end) - w->at);
	w->line++;
	if (len > 0 && w->at[len - 1] == '\r')
		len--;

	r = check_line(w, w->at, len);
	if (r == 0 && len + 2 > (size_t)size)
		r = err_set(w->e, EINVAL, "the line is too long");
	if (r < 0) {
		refuse(w, r);
		return NULL;
	}
	memcpy(buf, w->at, len);
	buf[len] = '\n';
	buf[len + 1] = '\0';
	w->at = nl ? nl + 1 : w->end;
	return buf;
}

static bool is_choice(const char *choices, const char *value)
{
	const size_t len = strlen(value);

	if (strchr(value, '|'))
		return false;
	for (const char *p = choices; p; p = strchr(p, '|')) {
		p += *p == '|';
		if (strncmp(p, value, len) == 0 &&
		    (p[len] == '|' || p[len] == '\0'))
			return true;
	}
	return false;
}

static int check_value(const struct conf_row *row, const char *value,
		       struct err *e)
{
	uint32_t number;
	bool yes;

	switch (row->kind) {
	case CONF_BOOL:
		if (value_parse(VALUE_BOOL, value, NULL, &yes) < 0)
			return err_set(e, EINVAL, "'%s' is not true or false",
				       value);
		return 0;
	case CONF_U32:
		return num_u32(value, row->min, row->max, &number, e);
	case CONF_CHOICE:
		if (*value == '\0' || !is_choice(row->choices, value))
			return err_set(e, EINVAL, "'%s' is not one of %s",
				       value, row->choices);
		return 0;
	case CONF_STRING:
		if (*value == '\0')
			return err_set(e, EINVAL, "the value is empty");
		return 0;
	}
	return err_set(e, EINVAL, "no such kind");
}

/* "FILE:LINE" of the line in hand, or NULL without memory. */
static const char *origin(struct walk *w)
{
	char where[512];
	const int n = snprintf(where, sizeof(where), "%s:%u", w->name, w->line);

	return arena_strn(&w->conf->arena, where,
			  n < (int)sizeof(where) ? (size_t)n
						 : sizeof(where) - 1);
}

static int take_annotation(struct walk *w, const char *key, const char *value)
{
	const char *from = origin(w);
	const char *before = annotation_map_get(&w->seen, key);
	int r;

	if (!from)
		return err_set(w->e, ENOMEM, "no memory");
	if (before)
		return err_set(w->e, EINVAL, "%s is given already at %s", key,
			       before);
	r = annotation_map_set(&w->seen, key, from, w->e);
	if (r == 0)
		r = annotation_map_set(&w->conf->annotations, key, value, w->e);
	if (r == 0)
		r = annotation_map_set(&w->conf->origins, key, from, w->e);
	return r;
}

static int take_setting(struct walk *w, enum conf_key key, const char *value)
{
	struct conf_value *v = &w->conf->value[key];
	int r;

	if (w->set_at[key])
		return err_set(w->e, EINVAL, "%s is given already in line %u",
			       rows[key].key, w->set_at[key]);
	r = check_value(&rows[key], value, w->e);
	if (r < 0)
		return err_wrap(w->e, "%s", rows[key].key);

	w->set_at[key] = w->line;
	v->origin = origin(w);
	v->text = arena_strn(&w->conf->arena, value, strlen(value));
	if (!v->origin || !v->text)
		return err_set(w->e, ENOMEM, "no memory");
	return 0;
}

static int take(struct walk *w, const char *section, const char *key,
		const char *value)
{
	bool known = false;

	if (strcmp(section, ANNOTATIONS_SECTION) == 0)
		return take_annotation(w, key, value);
	for (size_t i = 0; i < CONF_KEYS; i++) {
		if (strcmp(rows[i].section, section) != 0)
			continue;
		known = true;
		if (strcmp(rows[i].key, key) == 0)
			return take_setting(w, (enum conf_key)i, value);
	}
	if (!known)
		return err_set(w->e, EINVAL, "there is no section [%.64s]",
			       section);
	return err_set(w->e, EINVAL, "there is no key %.64s in [%s]", key,
		       section);
}

/* inih's handler; it wants 1 for "fine". */
static int take_pair(void *user, const char *section, const char *key,
		     const char *value)
{
	struct walk *w = user;
	int r;

	if (w->error)
		return 0;
	r = take(w, section, key, value);
	if (r < 0)
		refuse(w, r);
	return r == 0;
}

int conf_read(struct conf *c, const char *name, const char *text, size_t len,
	      struct err *e)
{
	struct err spare = { 0 };
	struct walk w = { .conf = c,
			  .name = name,
			  .at = text,
			  .end = text + len,
			  .e = e ? e : &spare };
	int bad_line;

	if (len > CONF_FILE_MAX)
		return err_set(e, E2BIG, "%s: over %lu bytes", name,
			       CONF_FILE_MAX);
	annotation_map_init(&w.seen);
	bad_line = ini_parse_stream(next_line, &w, take_pair, &w);
	annotation_map_done(&w.seen);
	if (w.error)
		return w.error;
	if (bad_line != 0) /* check_line() and inih do not agree */
		return err_set(e, EINVAL, "%s:%d: not understood", name,
			       bad_line);
	return 0;
}

const char *conf_text(const struct conf *c, enum conf_key key)
{
	return c->value[key].text;
}

uint32_t conf_u32(const struct conf *c, enum conf_key key)
{
	uint32_t number = 0;

	/* Checked when it was read; "" stays 0. */
	(void)num_u32(c->value[key].text, rows[key].min, rows[key].max, &number,
		      NULL);
	return number;
}

enum tristate conf_bool(const struct conf *c, enum conf_key key)
{
	bool yes;

	if (value_parse(VALUE_BOOL, c->value[key].text, NULL, &yes) < 0)
		return TRI_UNSET;
	return yes ? TRI_TRUE : TRI_FALSE;
}

void conf_dump(const struct conf *c, struct text *out)
{
	const char *section = "";

	for (size_t i = 0; i < CONF_KEYS; i++) {
		const bool set = c->value[i].text[0] != '\0';

		if (strcmp(section, rows[i].section) != 0) {
			text_addf(out, "%s[%s]\n", *section ? "\n" : "",
				  rows[i].section);
			section = rows[i].section;
		}
		text_addf(out, "%s%s = %s ; %s\n", set ? "" : "# ", rows[i].key,
			  c->value[i].text,
			  set ? c->value[i].origin : "not set");
	}
	text_addf(out, "\n[%s]\n", ANNOTATIONS_SECTION);
	for (size_t i = 0; i < c->annotations.n; i++)
		text_addf(out, "%s = %s ; %s\n", c->annotations.item[i].key,
			  c->annotations.item[i].value,
			  annotation_map_get(&c->origins,
					     c->annotations.item[i].key));
}
