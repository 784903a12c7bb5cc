/*
 * tools/image_tree.h - an image in the making
 *
 * Shared by the pairs that put things into an image: programs and texts
 * (image_build), libraries (image_runtime), modules (image_modules).
 */
#ifndef FERRY_TOOLS_IMAGE_TREE_H
#define FERRY_TOOLS_IMAGE_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "initramfs/cpio.h"
#include "tools/image_build.h"

/* Bytes of one file that goes into an image. */
#define IMAGE_FILE_MAX ((size_t)512 * 1024 * 1024)

/**
 * struct image_tree - entries and what they are made of
 * @o:		what is wanted
 * @tree:	the entries
 * @contents:	buffers that the tree's entries point into, owned
 * @count:	how many
 * @space:	room at @contents
 */
struct image_tree {
	const struct image_options *o;
	struct cpio_tree tree;
	void **contents;
	size_t count;
	size_t space;
};

/** image_tree_init() - empty */
void image_tree_init(struct image_tree *t, const struct image_options *o);

/** image_tree_done() - release it */
void image_tree_done(struct image_tree *t);

/**
 * image_tree_keep() - @p is freed with @t, or now when there is no memory
 *
 * Return: 0 or -ENOMEM
 */
int image_tree_keep(struct image_tree *t, void *p, struct err *e);

/**
 * image_tree_read() - a host's file, kept for the life of @t
 * @ret:	receives its bytes
 * @ret_len:	receives how many
 *
 * Return: 0 or -errno, @e names the file
 */
int image_tree_read(struct image_tree *t, const char *source, void **ret,
		    size_t *ret_len, struct err *e);

/** image_tree_bytes() - a file of @len bytes that live as long as @t */
int image_tree_bytes(struct image_tree *t, const char *path, uint32_t mode,
		     const void *bytes, size_t len, enum cpio_rank rank,
		     struct err *e);

/** image_tree_file() - a file with the content of the host's @source */
int image_tree_file(struct image_tree *t, const char *path, uint32_t mode,
		    const char *source, enum cpio_rank rank, struct err *e);

/** image_tree_text() - a file with @text, which is copied */
int image_tree_text(struct image_tree *t, const char *path, uint32_t mode,
		    const char *text, struct err *e);

/** image_tree_link() - a symbolic link */
int image_tree_link(struct image_tree *t, const char *path, const char *target,
		    enum cpio_rank rank, struct err *e);

#endif
