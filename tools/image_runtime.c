#include "tools/image_runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/util.h"
#include "initramfs/elf.h"
#include "tools/home.h"

#if defined(__x86_64__)
#define TRIPLET "x86_64-linux-gnu"
#else
#define TRIPLET "aarch64-linux-gnu"
#endif

/* Of ferry's library folder; then the system's, as Debian's loader has them. */
#define OWN_FOLDER "guest/lib"
static const char *const folders[] = {
	"/lib/" TRIPLET, "/usr/lib/" TRIPLET, "/lib64", "/usr/lib64",
	"/lib",		 "/usr/lib",
};

/* Names of what is wanted; the first @done of them are in the image. */
struct wanted {
	struct image_tree *t;
	char names[IMAGE_LIBRARIES_MAX][ELF_NAME_MAX + 1];
	size_t count;
	size_t done;
	char interp[ELF_NAME_MAX + 1];
};

static int want(struct wanted *w, const char *name, struct err *e)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->names[i], name) == 0)
			return 0;
	if (w->count == IMAGE_LIBRARIES_MAX)
		return err_set(e, E2BIG, "more than %d libraries",
			       IMAGE_LIBRARIES_MAX);
	(void)snprintf(w->names[w->count++], sizeof(w->names[0]), "%s", name);
	return 0;
}

/* The host's file of a library; @by needs it. */
static int locate(const char *name, const char *by, char *out, size_t size,
		  struct err *e)
{
	(void)snprintf(out, size, OWN_FOLDER "/%s", name);
	if (tool_lib_path(out, out, size, NULL) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(out, size, "%s/%s", folders[i], name);
		if (access(out, R_OK) == 0)
			return 0;
	}
	return err_set(e, ENOENT, "no library %s, which %s needs", name, by);
}

/* @source as @path, and everything that it names itself is wanted. */
static int take(struct wanted *w, const char *path, uint32_t mode,
		const char *source, struct err *e)
{
	struct elf_needs needs;
	void *data;
	size_t len;
	int r = image_tree_read(w->t, source, &data, &len, e);

	if (r < 0)
		return r;
	r = elf_needs_read(data, len, &needs, e);
	if (r < 0)
		return err_wrap(e, "%s", source);
	for (size_t i = 0; r == 0 && i < needs.count; i++)
		r = want(w, needs.needed[i], e);
	if (needs.interp)
		(void)snprintf(w->interp, sizeof(w->interp), "%s",
			       needs.interp);
	return r < 0 ? r
		     : image_tree_bytes(w->t, path, mode, data, len,
					CPIO_REPLACE, e);
}

/* The libraries need the loader by its name too: it is one file. */
static int take_library(struct wanted *w, const char *name, const char *by,
			struct err *e)
{
	const char *slash = strrchr(w->interp, '/');
	char path[PATH_MAX];
	char source[PATH_MAX];
	int r = locate(name, by, source, sizeof(source), e);

	if (r < 0)
		return r;
	if (slash && strcmp(slash + 1, name) == 0)
		(void)snprintf(path, sizeof(path), "%s", w->interp);
	else
		(void)snprintf(path, sizeof(path), "/lib/" TRIPLET "/%s", name);
	return take(w, path, 0755, source, e);
}

int image_runtime_add(struct image_tree *t, const char *path, uint32_t mode,
		      const char *source, struct err *e)
{
	struct wanted *w = calloc(1, sizeof(*w));
	const char *slash;
	int r;

	if (!w)
		return err_set(e, ENOMEM, "no memory for the image");
	w->t = t;
	r = take(w, path, mode, source, e);
	slash = strrchr(w->interp, '/');
	if (r == 0 && slash)
		r = want(w, slash + 1, e);
	while (r == 0 && w->done < w->count) {
		r = take_library(w, w->names[w->done], path, e);
		w->done++;
	}
	free(w);
	return r;
}
