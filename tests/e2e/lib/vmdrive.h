/*
 * tests/e2e/lib/vmdrive.h - what hostdrive does without a bridge of its own
 *
 * The arguments are those of its command line, behind BASE; what is missing at
 * their end is NULL.
 */
#ifndef FERRY_TESTS_E2E_LIB_VMDRIVE_H
#define FERRY_TESTS_E2E_LIB_VMDRIVE_H

#include <stdint.h>

#include "bridge/io/loop.h"
#include "bridge/io/transport.h"

/** vmdrive_number() - 1 to @max; else the program ends with 2 */
uint32_t vmdrive_number(const char *text, uint32_t max);

/**
 * vmdrive_boot() - run QEMU and serve entropy until it ends
 * @argv:	KERNEL IMAGE LIBRARY LINE [MIB]
 *
 * Return: 0: it powered off in order; 1
 */
int vmdrive_boot(struct loop *loop, const struct transport *t, char **argv);

/**
 * vmdrive_listen() - print how many connections come to a port
 * @argv:	PORT SECONDS [COUNT]
 *
 * Return: 0, or 1: nobody can listen there
 */
int vmdrive_listen(const struct transport *t, char **argv);

#endif
