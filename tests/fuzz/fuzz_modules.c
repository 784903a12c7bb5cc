/*
 * tests/fuzz/fuzz_modules.c - modules.dep and a manifest of any bytes
 *
 * The same bytes serve as both. Of modules, the closure of every one is taken:
 * a dependency must come before what needs it, and none twice.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "initramfs/manifest.h"
#include "initramfs/modules.h"

/* More would only make the target slow: each closure walks all. */
#define MODULES_TRIED 64

static void closure_of(struct modules *m, const char *name)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
	const struct module **list = calloc(m->count + 1, sizeof(*list));
	size_t count = 0;

	FUZZ_CHECK(list);
	if (modules_closure(m, &name, 1, list, &count, NULL) == 0) {
		FUZZ_CHECK(count <= m->count);
		for (size_t i = 0; i < count; i++) {
			FUZZ_CHECK(!list[i]->builtin);
			for (size_t k = 0; k < i; k++)
				FUZZ_CHECK(list[k] != list[i]);
		}
		if (count)
			FUZZ_CHECK(strcmp(list[count - 1]->name, name) == 0);
	}
	free(list);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct manifest manifest;
	struct modules m;
	char release[64];

	if (manifest_parse(&manifest, "fuzz", text, size, NULL) == 0)
		for (size_t i = 0; i < manifest.count; i++)
			FUZZ_CHECK(manifest.entries[i].mode <= 07777);
	manifest_done(&manifest);

	if (modules_parse(&m, text, size, text, size / 2, NULL) == 0)
		for (size_t i = 0; i < m.count && i < MODULES_TRIED; i++)
			closure_of(&m, m.list[i].name);
	modules_done(&m);

	if (modules_release(data, size, release, sizeof(release)) == 0)
		FUZZ_CHECK(strchr(release, '/') == NULL && release[0]);
	return 0;
}
