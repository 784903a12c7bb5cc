/*
 * migration/saved_json.h - a saved state for people and programs to read; pure
 *
 * The canonical JSON of protobuf with each Any in place under "@type": default
 * values are left out, 64-bit numbers are strings, bytes are base64. What is
 * ferry's own stands in members named "ferry".
 */
#ifndef FERRY_MIGRATION_SAVED_JSON_H
#define FERRY_MIGRATION_SAVED_JSON_H

#include "config/text.h"
#include "migration/saved.h"

/** saved_json() - append it; members in alphabetical order; check @out->full */
void saved_json(const struct saved *s, struct text *out);

#endif
