/*
 * init/store.h - descriptors that outlive the agent, keyed (object, role)
 *
 * There is one store, as there is one PID 1.
 */
#ifndef FERRY_INIT_STORE_H
#define FERRY_INIT_STORE_H

#include <stdint.h>

/**
 * store_put() - keep a descriptor; one that has the same key is closed
 * @fd:		taken over on success only
 *
 * Return: 0 or -ENOSPC
 */
int store_put(uint64_t object, uint32_t role, int fd);

/**
 * store_drop() - close what has this key
 * @role:	a role, or CONTROL_ROLE_ALL
 *
 * Return: 0 or -ENOENT
 */
int store_drop(uint64_t object, uint32_t role);

/**
 * struct store_item - what a listing shows
 * @fd:		borrowed
 */
struct store_item {
	uint64_t object;
	uint32_t role;
	int fd;
};

/**
 * store_list() - the first descriptor at or behind a cursor
 * @cursor:	0 begins; moves behind what was found
 *
 * Return: 0 or -ENOENT
 */
int store_list(uint64_t *cursor, struct store_item *ret);

#endif
