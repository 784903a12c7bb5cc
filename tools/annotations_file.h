/*
 * tools/annotations_file.h - annotations from a file of JSON
 *
 * Two shapes: an object of strings, or a whole OCI config.json, whose member
 * "annotations" is such an object (a member "annotations" that is
 * an object, or "ociVersion"). A name that occurs twice in one object of the
 * document is an error: readers differ in which of the two they take.
 */
#ifndef FERRY_TOOLS_ANNOTATIONS_FILE_H
#define FERRY_TOOLS_ANNOTATIONS_FILE_H

#include <stddef.h>

#include "bridge/json_check.h"
#include "config/annotation_map.h"
#include "config/err.h"

/* Depth of JSON that is followed; an OCI document has about 10. */
#define ANNOTATIONS_JSON_DEPTH JSON_DEPTH_MAX

/**
 * annotations_parse() - add the pairs of a JSON text to a map
 * @text:	JSON, UTF-8, nothing but white space around the value
 * @len:	bytes of @text
 * @m:		initialised; equal keys are replaced
 * @e:		what is wrong, with the key
 *
 * Return: 0, -EINVAL, -E2BIG, -ENOMEM
 */
int annotations_parse(const char *text, size_t len, struct annotation_map *m,
		      struct err *e);

/**
 * annotations_file_read() - as annotations_parse(), from a file
 * @path:	"-": standard input
 *
 * Return: as above, or -errno of reading
 */
int annotations_file_read(const char *path, struct annotation_map *m,
			  struct err *e);

/**
 * annotations_argument() - add one "KEY=VALUE" to a map
 *
 * Return: 0, -EINVAL (no '=', no key), -E2BIG, -ENOMEM
 */
int annotations_argument(const char *word, struct annotation_map *m,
			 struct err *e);

#endif
