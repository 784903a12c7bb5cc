/*
 * config/effect.h - annotations that are good and change nothing here
 *
 * Some annotations count only beside others: a device-mapper table without
 * dm-verity, an overlay without a disk. The reference says nothing; here there
 * is a note for each.
 */
#ifndef FERRY_CONFIG_EFFECT_H
#define FERRY_CONFIG_EFFECT_H

#include "config/annotation_map.h"
#include "config/options.h"

/**
 * effect_note() - add a NOTE_IGNORED for each annotation without effect
 * @o:		options, complete
 * @a:		all annotations
 * @r:		runtime options, some of which win over annotations
 */
void effect_note(struct sandbox_options *o, const struct annotation_map *a,
		 const struct runtime_options *r);

#endif
