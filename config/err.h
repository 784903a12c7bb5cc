/* config/err.h - what went wrong, in words, without a heap */
#ifndef FERRY_CONFIG_ERR_H
#define FERRY_CONFIG_ERR_H

#include <errno.h>
#include <string.h>

/* Longest error text with its NUL; longer ones are cut at a byte border. */
#define ERR_TEXT_MAX 256

/*
 * The error classes of the command-line builder (shared specification
 * cmdline.md 12.2). ERR_NONE: an error that has no class, only a text.
 */
enum err_class {
	ERR_NONE = 0,
	ERR_NO_OPTIONS,
	ERR_PLATFORM_UNSUPPORTED,
	ERR_ANNOTATION_CONFLICT,
	ERR_ANNOTATION_UNSUPPORTED,
	ERR_ANNOTATION_MALFORMED,
	ERR_ANNOTATION_UNKNOWN,
	ERR_ANNOTATION_RANGE,
	ERR_BOOT_PATH_MISSING,
	ERR_KERNEL_MISSING,
	ERR_ROOTFS_MISSING,
	ERR_ROOTFS_TYPE_INVALID,
	ERR_KERNEL_DIRECT_UNSUPPORTED,
	ERR_DMVERITY_ARGS_MISSING,
	ERR_DMVERITY_VHD_MISSING,
	ERR_GUEST_STATE_MISSING,
	ERR_POLICY_ENCODING,
	ERR_CPU_GROUP_PARTITION_CONFLICT,
	ERR_RESOURCE_PARTITION_INVALID,
	ERR_DEFERRED_COMMIT_PHYSICAL,
	ERR_NUMA_IMPLICIT_INCOMPLETE,
	ERR_NUMA_COUNT_MISMATCH,
	ERR_NUMA_NODE_RANGE,
	ERR_NUMA_WILDCARD_MIX,
	ERR_NUMA_ZERO_MEMORY,
	ERR_NUMA_PARTIAL,
	ERR_NUMA_NEEDS_PHYSICAL,
	ERR_NUMA_CPU_TOTAL,
	ERR_NUMA_MEMORY_TOTAL,
	ERR_VPMEM_UNSUPPORTED,
	ERR_VPCI_DUPLICATE,
	ERR_CONSOLE_INVALID,
	ERR_GUID_INVALID,
	ERR_MIGRATION_INCOMPATIBLE,
	ERR_TEXT_INVALID,
	ERR_TEXT_QUOTE,
	ERR_TEXT_SEPARATOR,
	ERR_TEXT_RESERVED,
	ERR_TEXT_STRAY_WORD,
	ERR_CMDLINE_TOO_LONG,
	ERR_CMDLINE_ROUNDTRIP,
	ERR_INIT_ARGS_OVERFLOW,
	ERR_INIT_ENV_OVERFLOW,
	ERR_CLASSES, /* number of classes */
};

/**
 * struct err - one error, filled where it happens, worded on the way up
 * @code:	positive errno value, 0: unset
 * @class:	class for programs that read errors, ERR_NONE for most
 * @text:	one sentence without a full stop, cut when longer
 */
struct err {
	int code;
	enum err_class class;
	char text[ERR_TEXT_MAX];
};

/*
 * The three below are macros, so that a caller's compiler and analyser see
 * that what they return is negative.
 */

/**
 * err_set() - fill @e; a NULL @e is allowed and only gives the return value
 * @e:		error to fill, or NULL
 * @code:	positive errno value
 * @...:	format and arguments as for printf
 *
 * Return: -@code, so that a caller can `return err_set(...)`
 */
#define err_set(e, code, ...)                                                  \
	({                                                                     \
		const int err_code_ = (code);                                  \
		err_fill((e), err_code_, ERR_NONE, __VA_ARGS__);               \
		-err_code_;                                                    \
	})

/**
 * err_class() - as err_set(), with a class; the code is EINVAL
 *
 * Return: -EINVAL
 */
#define err_class(e, class, ...)                                               \
	({                                                                     \
		err_fill((e), EINVAL, (class), __VA_ARGS__);                   \
		-EINVAL;                                                       \
	})

/**
 * err_sys() - fill @e from errno: "<text>: <strerror(errno)>"
 *
 * Return: -errno as it was at the call (-EIO when errno was 0)
 */
#define err_sys(e, ...)                                                        \
	({                                                                     \
		const int err_code_ = errno > 0 ? errno : EIO;                 \
		err_fill((e), err_code_, ERR_NONE, __VA_ARGS__);               \
		err_append((e), strerror(err_code_));                          \
		-err_code_;                                                    \
	})

/**
 * err_wrap() - put context before the text that @e already has
 *
 * Return: -@e->code (-EIO when @e is NULL or unset)
 */
#define err_wrap(e, ...)                                                       \
	({                                                                     \
		err_prepend((e), __VA_ARGS__);                                 \
		err_code(e);                                                   \
	})

/** err_code() - what a function that filled @e returns: a negative errno */
static inline int err_code(const struct err *e)
{
	return e && e->code > 0 ? -e->code : -EIO;
}

/** err_fill() - what err_set() and the others are made of */
void err_fill(struct err *e, int code, enum err_class class, const char *fmt,
	      ...) __attribute__((format(printf, 4, 5)));

/** err_append() - add ": <what>" as far as the text has room */
void err_append(struct err *e, const char *what);

/** err_prepend() - put a formatted text and ": " before the text of @e */
void err_prepend(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * err_class_name() - the printed name of a class, "error" for ERR_NONE
 * @class:	any value; one out of range gives "error"
 */
const char *err_class_name(enum err_class class);

/**
 * err_class_find() - the class of a printed name
 *
 * Return: the class, ERR_NONE if no class has that name
 */
enum err_class err_class_find(const char *name);

#endif
