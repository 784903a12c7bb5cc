#include "tools/image_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/image_file.h"

void image_tree_init(struct image_tree *t, const struct image_options *o)
{
	*t = (struct image_tree){ .o = o };
	cpio_tree_init(&t->tree);
}

void image_tree_done(struct image_tree *t)
{
	cpio_tree_done(&t->tree);
	while (t->count)
		free(t->contents[--t->count]);
	free(t->contents);
}

int image_tree_keep(struct image_tree *t, void *p, struct err *e)
{
	if (t->count == t->space) {
		const size_t space = t->space ? t->space * 2 : 64;
		void **grown = reallocarray(t->contents, space, sizeof(*grown));

		if (!grown) {
			free(p);
			return err_set(e, ENOMEM, "no memory for the image");
		}
		t->contents = grown;
		t->space = space;
	}
	t->contents[t->count++] = p;
	return 0;
}

int image_tree_read(struct image_tree *t, const char *source, void **ret,
		    size_t *ret_len, struct err *e)
{
	void *data;
	size_t len;
	int r = image_file_read(source, IMAGE_FILE_MAX, &data, &len, e);

	if (r == 0)
		r = image_tree_keep(t, data, e);
	if (r < 0)
		return r;
	*ret = data;
	*ret_len = len;
	return 0;
}

int image_tree_bytes(struct image_tree *t, const char *path, uint32_t mode,
		     const void *bytes, size_t len, enum cpio_rank rank,
		     struct err *e)
{
	const struct cpio_entry n = {
		.name = path,
		.mode = S_IFREG | mode,
		.data = bytes,
		.size = len,
	};

	return cpio_tree_add(&t->tree, &n, rank, e);
}

int image_tree_file(struct image_tree *t, const char *path, uint32_t mode,
		    const char *source, enum cpio_rank rank, struct err *e)
{
	void *data;
	size_t len;
	const int r = image_tree_read(t, source, &data, &len, e);

	return r < 0 ? r : image_tree_bytes(t, path, mode, data, len, rank, e);
}

int image_tree_text(struct image_tree *t, const char *path, uint32_t mode,
		    const char *text, struct err *e)
{
	char *copy = strdup(text);
	int r;

	if (!copy)
		return err_set(e, ENOMEM, "no memory for the image");
	r = image_tree_keep(t, copy, e);
	return r < 0 ? r
		     : image_tree_bytes(t, path, mode, copy, strlen(copy),
					CPIO_ONCE, e);
}

int image_tree_link(struct image_tree *t, const char *path, const char *target,
		    enum cpio_rank rank, struct err *e)
{
	const struct cpio_entry n = {
		.name = path,
		.mode = S_IFLNK | 0777,
		.data = target,
		.size = strlen(target),
	};

	return cpio_tree_add(&t->tree, &n, rank, e);
}
