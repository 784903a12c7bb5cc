/*
 * config/devices.h - assigned devices and socket services of a sandbox; pure.
 * Source: shared specification cmdline.md 4.7 to 4.9.
 */
#ifndef FERRY_CONFIG_DEVICES_H
#define FERRY_CONFIG_DEVICES_H

#include "config/annotation_map.h"
#include "config/err.h"
#include "config/options.h"

/**
 * devices_check() - fill @o->assigned, check vPMem
 * @o:		options whose memory is known
 * @r:		devices
 * @e:		vpmem-unsupported, vpci-duplicate
 *
 * Devices of another type are skipped with a note.
 * Return: 0, -EINVAL, -ENOMEM
 */
int devices_check(struct sandbox_options *o, const struct runtime_options *r,
		  struct err *e);

/**
 * devices_services() - fill @o->services
 * @o:		options whose annotations have been read
 * @a:		the annotations, for those that name a service
 * @r:		who can read the JSON of a service
 * @e:		out of memory
 *
 * A service with a bad GUID or bad settings is skipped with a note.
 * Return: 0 or -ENOMEM
 */
int devices_services(struct sandbox_options *o, const struct annotation_map *a,
		     const struct runtime_options *r, struct err *e);

#endif
