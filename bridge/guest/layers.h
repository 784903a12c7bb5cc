/*
 * bridge/guest/layers.h - CombinedLayers: the root of a container as an overlay
 * of layers, with a scratch folder on top
 *
 * Layers are opened first and named to the kernel by the numbers of their
 * descriptors, so that a list of LAYERS_MAX fits into the page that it takes,
 * and nobody can swap one on the way. One layer without a scratch is no
 * overlay: it is bound read-only.
 *
 * A scratch that is not below the directory above the root (V2 hosts) holds
 * the bundle, too: its folder "bundle" is bound onto that directory first. That
 * bind is undone by DeleteContainerState, not here.
 * Source: shared specification bridge.md 3.11.3.
 */
#ifndef FERRY_BRIDGE_GUEST_LAYERS_H
#define FERRY_BRIDGE_GUEST_LAYERS_H

#include "bridge/guest/volume.h"
#include "bridge/msg_settings.h"
#include "config/err.h"

/* As the kernel's limit of an overlay. */
#define LAYERS_MAX 500u

/**
 * layers_check() - is the request one that can be tried? Pure.
 * @f:		receives what it says
 *
 * Return: 0 or -EINVAL (names the member)
 */
int layers_check(const struct msg_combined_layers *m, bool add,
		 struct volume_facts *f, struct err *e);

/**
 * layers_bundle() - the directory above the root, where the bundle is
 * @size:	VOLUME_PATH_MAX is enough
 */
void layers_bundle(const struct volume_facts *f, char *buf, size_t size);

/**
 * layers_add() - mount it; blocks
 * @f:		from layers_check(); bound is filled in
 *
 * What fails leaves no mount, and no directory that was not there before.
 * Return: 0 or -errno
 */
int layers_add(const struct volume_env *env,
	       const struct msg_combined_layers *m, struct volume_facts *f,
	       struct err *e);

/** layers_remove() - see volume_remove(); with @f->bound the bind goes, too. A
 * folder that cannot be removed, for the disk that it is on is gone, stays */
int layers_remove(const struct volume_env *env, const struct volume_facts *f,
		  struct err *e);

/** layers_unbind() - undo the bind of a bundle, if there is one, and remove its
 * folders where nothing else is in them; 0 or -errno */
int layers_unbind(const struct volume_env *env, const struct volume_facts *f,
		  struct err *e);

#endif
