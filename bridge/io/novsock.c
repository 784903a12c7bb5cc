#include "bridge/io/novsock.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "config/util.h"

/* System calls, by the tables of the kernel. */
#define IO_URING_SETUP 425 /* everywhere */
#define X32_BIT 0x40000000u
#define NO_SUCH_CALL 0xffffffffu
#define SYS_SOCKET_CALL 1 /* first argument of socketcall() */

/* Rows of the program: four blocks of seven behind the first one, an end. */
#define BLOCK_SIZE 7
#define AT_SOCKET 30
#define AT_CALL 34
#define AT_REFUSE 37

#define LOAD(field)                                                            \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define IF(value, yes, no)                                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (unsigned char)(yes),       \
		 (unsigned char)(no))

/* The block at row @at: where the calls of one architecture go. */
#define BLOCK(at, arch, socket, socketcall)                                    \
	IF(arch, 0, BLOCK_SIZE - 1), LOAD(nr),                                 \
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32_BIT),                 \
		IF(socket, AT_SOCKET - (at)-4, 0),                             \
		IF(IO_URING_SETUP, AT_REFUSE - (at)-5, 0),                     \
		IF(socketcall, AT_CALL - (at)-6, 0), ANSWER(SECCOMP_RET_ALLOW)

/* The low half of an argument: all of these are little-endian. */
static const struct sock_filter program[] = {
	LOAD(arch),
	BLOCK(1, AUDIT_ARCH_X86_64, 41, NO_SUCH_CALL),
	BLOCK(8, AUDIT_ARCH_I386, 359, 102),
	BLOCK(15, AUDIT_ARCH_AARCH64, 198, NO_SUCH_CALL),
	BLOCK(22, AUDIT_ARCH_ARM, 281, 102),
	ANSWER(SECCOMP_RET_ALLOW),
	LOAD(args[0]), /* AT_SOCKET */
	IF(AF_VSOCK, 0, 1),
	ANSWER(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	ANSWER(SECCOMP_RET_ALLOW),
	LOAD(args[0]), /* AT_CALL */
	IF(SYS_SOCKET_CALL, 1, 0),
	ANSWER(SECCOMP_RET_ALLOW),
	ANSWER(SECCOMP_RET_ERRNO | ENOSYS), /* AT_REFUSE */
};
static_assert(ARRAY_LEN(program) == AT_REFUSE + 1, "rows moved");

/* Called in a child that shares its caller's memory, see bridge/io/spawn.c. */
__attribute__((no_sanitize("address", "undefined"))) int novsock(void)
{
	const struct sock_fprog filter = {
		.len = ARRAY_LEN(program),
		/* the kernel copies it */
		.filter = (struct sock_filter *)(uintptr_t)program,
	};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0)
		return -errno;
	return 0;
}
