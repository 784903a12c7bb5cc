/* tools/image_build.h - an initramfs image from a manifest and the programs */
#ifndef FERRY_TOOLS_IMAGE_BUILD_H
#define FERRY_TOOLS_IMAGE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

/* --add and --module options of one call. */
#define IMAGE_EXTRAS_MAX 256

/* The programs that a manifest calls @init, and so on. */
enum image_program {
	IMAGE_INIT,
	IMAGE_VSOCKEXEC,
	IMAGE_GCS,
	IMAGE_BUSYBOX,
	IMAGE_RUNTIME,
	IMAGE_PROGRAMS,
};

/**
 * struct image_options - what `ferry image build` was told; all borrowed
 * @manifest:	file, NULL: the default image
 * @modules_dir: folder of modules.dep, NULL: the prepared kernel's
 * @programs:	files, NULL: the ones of ferry's library folder
 * @no_busybox:	leave "busybox" lines out
 * @no_runtime:	leave "runtime" lines out
 * @modules:	further modules to load at boot, @modules_count of them
 * @adds:	"SOURCE:PATH", files that take the place of others
 * @out:	file to write
 * @mtime:	time of every entry, in seconds since 1970
 */
struct image_options {
	const char *manifest;
	const char *modules_dir;
	const char *programs[IMAGE_PROGRAMS];
	bool no_busybox;
	bool no_runtime;
	const char *modules[IMAGE_EXTRAS_MAX];
	size_t modules_count;
	const char *adds[IMAGE_EXTRAS_MAX];
	size_t adds_count;
	const char *out;
	uint32_t mtime;
};

/* The manifest of the default image, as text. */
extern const char image_manifest_default[];

/**
 * image_build() - write the image
 * @o:		what to build
 * @e:		names the file, the manifest's line, or the module
 *
 * Return: 0 or -errno; on failure no file is left and an old one is kept
 */
int image_build(const struct image_options *o, struct err *e);

#endif
