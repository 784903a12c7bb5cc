/*
 * migration/lists.h - for files that keep owned objects in linked lists
 *
 * gcc 12's -fanalyzer loses sight of memory that is reachable only through a
 * list or an array of pointers, and calls it leaked where it is linked in.
 * AddressSanitizer's leak check runs over the same code in every test.
 */
#ifndef FERRY_MIGRATION_LISTS_H
#define FERRY_MIGRATION_LISTS_H

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#endif
