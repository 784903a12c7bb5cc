/*
 * tools/mask.h - secrets in texts that somebody may send to somebody else; pure
 *
 * ferry's logs hold no environments, command lines and policies by themselves.
 * This is the second net, for lines of other programs: what follows a name that
 * sounds like a secret ("password=", "api_key: ", "\"token\":\"") becomes '*',
 * and so does what stands between the lines of a PEM block. The length stays,
 * so that a masked text needs no memory.
 */
#ifndef FERRY_TOOLS_MASK_H
#define FERRY_TOOLS_MASK_H

#include <stddef.h>

#include "config/annotation_map.h"
#include "config/text.h"

/** mask_text() - in place; @n bytes at @text, which need no NUL */
void mask_text(char *text, size_t n);

/**
 * mask_annotations() - a line for each annotation: names, and those values that
 * cannot be secret: numbers, truth values and GUIDs of annotations that ferry
 * knows. Of others, and of texts, the length is told
 */
void mask_annotations(const struct annotation_map *m, struct text *out);

#endif
