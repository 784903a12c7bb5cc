/*
 * tools/vsock/hybrid.h - vsock ports as unix sockets of the host
 *
 * A VM has a base path. The guest's connection to port P of the host goes to
 * the unix socket BASE_P. A program of the host that wants port P of the guest
 * connects to BASE, writes "CONNECT P\n", and gets "OK <port>\n" when the guest
 * accepted, or end of file.
 */
#ifndef FERRY_TOOLS_VSOCK_HYBRID_H
#define FERRY_TOOLS_VSOCK_HYBRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A unix path has 107 bytes; the longest suffix is "_4294967295". */
#define HYBRID_BASE_MAX 96
/* "CONNECT 4294967295\n" and some air. */
#define HYBRID_LINE_MAX 32

/**
 * hybrid_dial() - connect to the unix socket of a port
 * @base:	base path, at most HYBRID_BASE_MAX bytes
 * @port:	port that the guest asked for
 * @ret_fd:	receives a non-blocking socket
 *
 * Return: 0, -EAGAIN (the listener's backlog is full: try again), or what
 * connect() says, e.g. -ENOENT, -ECONNREFUSED
 */
int hybrid_dial(const char *base, uint32_t port, int *ret_fd);

/**
 * hybrid_listen() - listen on BASE; a socket that nobody serves is replaced
 *
 * Return: 0 or -errno (-EADDRINUSE: another process serves it)
 */
int hybrid_listen(const char *base, int *ret_fd);

/**
 * hybrid_greeting() - read the CONNECT line of a host program, no byte more
 *
 * Return: 0 and @ret_port, -EAGAIN (not all there yet), -EPROTO (something
 * else, or end of file)
 */
int hybrid_greeting(int fd, uint32_t *ret_port);

/** hybrid_accepted() - write the OK line; return: 0 or -errno */
int hybrid_accepted(int fd, uint32_t host_port);

#endif
