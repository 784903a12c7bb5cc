#include "tools/qemu/vm_identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/io/log.h"
#include "config/text.h"
#include "config/util.h"
#include "migration/status.h"

/* QEMU answers at once, unless the host is very busy. */
#define IDENTITY_MS 30000
#define SUFFIX "-machine"
/* Of a processor, in QEMU's object model. */
#define PATH_SIZE 128u

/* What is asked of the first processor; all are alike. */
static const char *const properties[] = { "vendor", "family", "model",
					  "feature-words" };

/**
 * struct asker - a question that takes some answers
 * @path:	the first processor
 * @cpu:	of @id, as far as it goes
 * @property:	index of the one that is asked for
 */
struct asker {
	vm_identity_fn *done;
	void *ctx;
	struct qmp *qmp;
	struct vm_identity id;
	char path[PATH_SIZE];
	struct text cpu;
	size_t property;
};

static void finish(struct asker *a)
{
	a->done(a->ctx, &a->id);
	free(a);
}

/* --- the processors ------------------------------------------------------------- */

/* Half of it would be another processor. */
static void give_up(struct asker *a, const char *why)
{
	log_warn("what the guest sees of its processors is not known: %s", why);
	memset(a->id.cpu, 0, sizeof(a->id.cpu));
	finish(a);
}

static void put_word(struct text *out, const struct qmp_data *word)
{
	const char *reg = qmp_data_text(word, "cpuid-register");
	int64_t eax = 0;
	int64_t ecx = 0;
	int64_t bits = 0;

	(void)qmp_data_int(word, "cpuid-input-eax", &eax);
	(void)qmp_data_int(word, "cpuid-input-ecx", &ecx);
	(void)qmp_data_int(word, "features", &bits);
	if (reg && bits != 0)
		text_addf(out, " %x.%x.%.3s=%x", (uint32_t)eax, (uint32_t)ecx,
			  reg, (uint32_t)bits);
}

static bool put_property(struct asker *a, const struct qmp_data *data)
{
	const char *word = qmp_data_text(data, "");
	const struct qmp_data *at;
	int64_t n;

	if (qmp_data_at(data, "", 0))
		for (size_t i = 0; (at = qmp_data_at(data, "", i)) != NULL; i++)
			put_word(&a->cpu, at);
	else if (word && !strpbrk(word, " ="))
		text_addf(&a->cpu, " %s=%s", properties[a->property], word);
	else if (qmp_data_int(data, "", &n))
		text_addf(&a->cpu, " %s=%lld", properties[a->property],
			  (long long)n);
	else
		return false;
	return !a->cpu.full;
}

static void on_property(void *ctx, int result, const struct qmp_data *data,
			const struct err *e);

static void ask_property(struct asker *a)
{
	char arguments[PATH_SIZE + 64];
	struct err e;

	if (a->property == ARRAY_LEN(properties)) {
		finish(a);
		return;
	}
	(void)snprintf(arguments, sizeof(arguments),
		       "{\"path\":\"%s\",\"property\":\"%s\"}", a->path,
		       properties[a->property]);
	if (qmp_send(a->qmp, "qom-get", arguments, IDENTITY_MS, on_property, a,
		     &e) < 0)
		give_up(a, e.text);
}

static void on_property(void *ctx, int result, const struct qmp_data *data,
			const struct err *e)
{
	struct asker *a = ctx;

	if (result < 0) {
		give_up(a, e->text);
		return;
	}
	if (!put_property(a, data)) {
		give_up(a, properties[a->property]);
		return;
	}
	a->property++;
	ask_property(a);
}

static void on_processors(void *ctx, int result, const struct qmp_data *data,
			  const struct err *e)
{
	struct asker *a = ctx;
	const char *path = qmp_data_text(qmp_data_at(data, "", 0), "qom-path");

	if (result < 0 || !path || strlen(path) >= sizeof(a->path) ||
	    strpbrk(path, "\"\\")) {
		give_up(a, result < 0 ? e->text : "no processor");
		return;
	}
	memcpy(a->path, path, strlen(path) + 1);
	text_fixed(&a->cpu, a->id.cpu, sizeof(a->id.cpu));
	ask_property(a);
}

/* --- QEMU ------------------------------------------------------------------------- */

static void on_type(void *ctx, int result UNUSED, const struct qmp_data *data,
		    const struct err *e UNUSED)
{
	struct asker *a = ctx;
	const char *type = qmp_data_text(data, "");
	struct err ignored;
	size_t n = type ? strlen(type) : 0;

	if (n > strlen(SUFFIX) &&
	    strcmp(type + n - strlen(SUFFIX), SUFFIX) == 0)
		n -= strlen(SUFFIX);
	if (n > 0 && n < sizeof(a->id.machine))
		memcpy(a->id.machine, type, n); /* zeros behind it */
	if (qmp_send(a->qmp, "query-cpus-fast", NULL, IDENTITY_MS,
		     on_processors, a, &ignored) < 0)
		finish(a);
}

static void on_version(void *ctx, int result, const struct qmp_data *data,
		       const struct err *e UNUSED)
{
	static const char *const parts[] = { "qemu.major", "qemu.minor",
					     "qemu.micro" };
	struct asker *a = ctx;
	struct err ignored;
	int64_t n;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (qmp_data_int(data, parts[i], &n) && n >= 0 && n < 100000)
			a->id.version[i] = (uint32_t)n;
	if (result < 0 ||
	    qmp_send(a->qmp, "qom-get",
		     "{\"path\":\"/machine\",\"property\":\"type\"}",
		     IDENTITY_MS, on_type, a, &ignored) < 0)
		finish(a);
}

int vm_identity_ask(struct qmp *q, vm_identity_fn *done, void *ctx,
		    struct err *e)
{
	struct asker *a;
	int r;

	if (!q)
		return err_set(e, ENOTCONN, "QEMU's monitor is not there");
	a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(e, ENOMEM, "QEMU's identity");
	a->done = done;
	a->ctx = ctx;
	a->qmp = q;
	r = qmp_send(q, "query-version", NULL, IDENTITY_MS, on_version, a, e);
	if (r < 0)
		free(a);
	return r;
}

/* --- two of them ------------------------------------------------------------------- */

/* The next "KEY=VALUE"; false: there is none. */
static bool next_fact(const char **at, const char **ret, size_t *ret_len)
{
	*at += strspn(*at, " ");
	*ret = *at;
	*ret_len = strcspn(*at, " ");
	*at += *ret_len;
	return *ret_len > 0;
}

/* Of the same key, or NULL. */
static const char *same_key(const char *facts, const char *fact,
			    size_t *ret_len)
{
	const size_t key = strcspn(fact, "= ") + 1;
	const char *other;

	while (next_fact(&facts, &other, ret_len))
		if (*ret_len >= key && strncmp(other, fact, key) == 0)
			return other;
	return NULL;
}

int vm_identity_same_cpu(const char *there, const char *here, struct err *e)
{
	const char *const side[] = { there, here };
	const char *fact, *other;
	size_t n, m;

	if (!*there || !*here)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(side); i++)
		for (const char *at = side[i]; next_fact(&at, &fact, &n);) {
			other = same_key(side[!i], fact, &m);
			if (other && m == n && strncmp(other, fact, n) == 0)
				continue;
			if (!other)
				m = strlen(other = "nothing");
			if (i == 1)
				return err_set(e, EPRECONDITION,
					       "CPU: %.*s there, %.*s here",
					       (int)m, other, (int)n, fact);
			return err_set(e, EPRECONDITION,
				       "CPU: %.*s there, %.*s here", (int)n,
				       fact, (int)m, other);
		}
	return 0;
}

bool vm_identity_newer(const uint32_t a[3], const uint32_t b[3])
{
	for (size_t i = 0; i < 3; i++)
		if (a[i] != b[i])
			return a[i] > b[i];
	return false;
}
