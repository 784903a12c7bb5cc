/*
 * bridge/io/novsock.h - a process, and all that it will start, without AF_VSOCK
 *
 * The agent dials the host; nothing authenticates it to a reference host. Any
 * process of a container with AF_VSOCK could dial in its place. So the runtime
 * runs under a seccomp filter that everything below it inherits and nobody can
 * take off. It refuses
 *
 *	socket(AF_VSOCK)	EAFNOSUPPORT, as a kernel without vsock would
 *	io_uring_setup()	ENOSYS: a ring can open sockets, past any filter
 *	socketcall(SYS_SOCKET)	ENOSYS, of 32-bit programs: its arguments are in
 *				memory, where a filter cannot look
 *
 * and leaves all else to filters that come later. Of the family only the low
 * 32 bits are compared, as the kernel does; filters made by libseccomp compare
 * 64 and can be walked around.
 *
 * Source: seccomp(2), linux/seccomp.h, the system call tables of Linux.
 */
#ifndef FERRY_BRIDGE_IO_NOVSOCK_H
#define FERRY_BRIDGE_IO_NOVSOCK_H

/**
 * novsock() - put the calling process under the filter
 *
 * Needs CAP_SYS_ADMIN (no_new_privs would break set-user-id programs in
 * containers). Async-signal-safe: meant for between fork and exec.
 * Return: 0 or -errno
 */
int novsock(void);

#endif
