#include "tools/shim/spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct schema_member size_members[] = {
	SCHEMA_U16(struct spec_size, height, "height", SCHEMA_OPTIONAL),
	SCHEMA_U16(struct spec_size, width, "width", SCHEMA_OPTIONAL),
};
static const struct schema size_schema = SCHEMA(struct spec_size, size_members);

static const struct schema_member user_members[] = {
	SCHEMA_U32(struct spec_user, uid, "uid", SCHEMA_ALWAYS),
	SCHEMA_U32(struct spec_user, gid, "gid", SCHEMA_ALWAYS),
};
static const struct schema user_schema = SCHEMA(struct spec_user, user_members);

#define T struct shim_spec
static const struct schema_member process_members[] = {
	SCHEMA_BOOL(T, terminal, "terminal", SCHEMA_OPTIONAL),
	SCHEMA_OBJECT(struct spec_size, T, size, "consoleSize", SCHEMA_OPTIONAL,
		      size_schema),
	SCHEMA_OBJECT(struct spec_user, T, user, "user", SCHEMA_ALWAYS,
		      user_schema),
	SCHEMA_STRINGS(T, args, "args", SCHEMA_ALWAYS),
	SCHEMA_STRINGS(T, env, "env", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, cwd, "cwd", SCHEMA_OPTIONAL),
};
const struct schema shim_spec_schema = SCHEMA(T, process_members);
#undef T

static int put_env(struct arena *a, const struct msg_pairs *env,
		   struct msg_strings *ret, struct err *e)
{
	ret->n = env->n;
	ret->item = arena_array(a, env->n + 1, sizeof(*ret->item));
	if (!ret->item)
		return err_set(e, ENOMEM, "no memory for an environment");
	for (size_t i = 0; i < env->n; i++) {
		const size_t size = strlen(env->item[i].name) +
				    strlen(env->item[i].value) + 2;
		char *pair = arena_alloc(a, size);

		if (!pair)
			return err_set(e, E2BIG, "the environment is too long");
		(void)snprintf(pair, size, "%s=%s", env->item[i].name,
			       env->item[i].value);
		ret->item[i] = pair;
	}
	return 0;
}

int shim_spec_put(const struct shim_spec *spec, const struct msg_pairs *env,
		  struct text *out, struct err *e)
{
	struct shim_spec full = *spec;
	struct arena arena;
	int r;

	arena_init(&arena, SPEC_DOCUMENT_MAX);
	text_heap(out, SPEC_DOCUMENT_MAX);
	r = put_env(&arena, env, &full.env, e);
	if (r == 0) {
		msg_encode(&shim_spec_schema, &full, out);
		if (out->full)
			r = err_set(e, E2BIG, "the command is too long");
	}
	arena_done(&arena);
	return r;
}
