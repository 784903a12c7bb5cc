/*
 * bridge/guest/user.h - user strings of a container, against its own rootfs
 *
 *	user	uid	user:group	uid:gid		and mixed
 *
 * A number is one or more digits; "+0", "-1", "0x0" and " 0" are names, which
 * hardly any rootfs knows. 4294967295 means "leave as it is" to the kernel and
 * is refused, and so is what is larger. Numbers win: a user whose name is
 * "1000" is found by its number only. An empty part is an error.
 *
 *	one part, number	the gid of the first user with that uid, else 0
 *	one part, name		uid and gid of the first user of that name
 *	two parts		each by itself; a number needs no entry
 *
 * Additional groups are not looked up: the document says which there are.
 * The files are those below the rootfs, in which no link leads out; they are
 * read line by line, and lines that are malformed or longer than
 * USER_LINE_MAX are no entries.
 * Source: shared specification bridge.md 3.5 C; passwd(5), group(5).
 */
#ifndef FERRY_BRIDGE_GUEST_USER_H
#define FERRY_BRIDGE_GUEST_USER_H

#include <stdint.h>

#include "config/err.h"

#define USER_TEXT_MAX 512	  /* longest user string, with its NUL */
#define USER_LINE_MAX 4096	  /* longest line of a file, with its NUL */
#define USER_FILE_MAX (16u << 20) /* bytes of a file that are read */

struct user_ids {
	uint32_t uid;
	uint32_t gid;
};

/**
 * user_resolve() - a user string as numbers
 * @rootfs:	directory descriptor of the container's root
 * @text:	the string
 * @ret:	written on success only
 * @e:		says which part was not found where
 *
 * Return: 0, -EINVAL (not of the forms above), -ERANGE (number), -ENOENT (no
 *         such user or group, or no file), -EFBIG, -errno
 */
int user_resolve(int rootfs, const char *text, struct user_ids *ret,
		 struct err *e);

#endif
