#include "bridge/guest/user.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/io/fd.h"
#include "config/num.h"

/* (uid_t)-1 is no id. */
#define ID_LARGEST (UINT32_MAX - 1)
/* Fields of a line of passwd. */
#define FIELDS_MAX 8

/* One part of a user string: a number, or else a name. */
struct part {
	char text[USER_TEXT_MAX];
	bool is_number;
	uint32_t number;
};

/**
 * struct lookup - an entry to be found
 * @file:	below the rootfs
 * @fields:	fields that an entry has at least
 * @name:	what it is called, NULL: by @id
 * @id:		in its third field
 */
struct lookup {
	const char *file;
	unsigned int fields;
	const char *name;
	uint32_t id;
	struct user_ids found; /* third and fourth field */
};

/* Cuts @line at its colons. Return: number of fields, at most FIELDS_MAX */
static unsigned int cut(char *line, char *field[FIELDS_MAX])
{
	unsigned int n = 0;

	while (line && n < FIELDS_MAX)
		field[n++] = strsep(&line, ":");
	return n;
}

static bool matches(struct lookup *l, char *line)
{
	char *field[FIELDS_MAX];
	struct user_ids ids = { 0 };

	if (cut(line, field) < l->fields || field[0][0] == '\0' ||
	    num_u32(field[2], 0, ID_LARGEST, &ids.uid, NULL) < 0)
		return false;
	/* a group's fourth field is a list of names */
	if (l->fields > 4 &&
	    num_u32(field[3], 0, ID_LARGEST, &ids.gid, NULL) < 0)
		return false;
	if (l->name ? strcmp(field[0], l->name) != 0 : ids.uid != l->id)
		return false;
	l->found = ids;
	return true;
}

/*
 * Feeds lines to matches(). A line that is too long, or has a NUL, is dropped
 * whole. Return: 0 found, -ENOENT, -EFBIG, -errno
 */
static int scan(int fd, struct lookup *l)
{
	char buf[4096], line[USER_LINE_MAX];
	size_t len = 0, total = 0;
	bool good = true;
	ssize_t n;

	while ((n = fd_read_full(fd, buf, sizeof(buf))) > 0) {
		total += (size_t)n;
		if (total > USER_FILE_MAX)
			return -EFBIG;
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				line[len] = '\0';
				if (good && matches(l, line))
					return 0;
				len = 0;
				good = true;
			} else if (len + 1 < sizeof(line) && buf[i] != '\0') {
				line[len++] = buf[i];
			} else {
				good = false;
			}
		}
	}
	if (n < 0)
		return (int)n;
	line[len] = '\0';
	return good && len > 0 && matches(l, line) ? 0 : -ENOENT;
}

static int look_up(int rootfs, struct lookup *l, struct err *e)
{
	struct stat st;
	int r;
	cleanup_fd fd = beneath_open(rootfs, l->file, BENEATH_ROOTFS,
				     O_RDONLY | O_NONBLOCK, 0, e);

	if (fd < 0)
		return err_wrap(e, "user");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "user: %s is no regular file",
			       l->file);
	r = scan(fd, l);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "user: no '%s' in %s",
			       l->name ? l->name : "", l->file);
	return r < 0 ? err_set(e, -r, "user: %s: %s", l->file, strerror(-r))
		     : 0;
}

static int part_of(const char *text, size_t len, struct part *ret,
		   struct err *e)
{
	if (len == 0)
		return err_set(e, EINVAL, "user: an empty part");
	memcpy(ret->text, text, len);
	ret->text[len] = '\0';
	ret->is_number = strspn(ret->text, "0123456789") == len;
	if (ret->is_number &&
	    num_u32(ret->text, 0, ID_LARGEST, &ret->number, e) < 0)
		return err_wrap(e, "user");
	return 0;
}

/* The user alone: his group is the one of his entry. */
static int resolve_user(int rootfs, const struct part *user,
			struct user_ids *ret, struct err *e)
{
	struct lookup l = { .file = "etc/passwd",
			    .fields = 5,
			    .name = user->is_number ? NULL : user->text,
			    .id = user->number };
	struct err missing = { 0 };
	const int r = look_up(rootfs, &l, user->is_number ? &missing : e);

	if (user->is_number && r == -ENOENT)
		l.found = (struct user_ids){ .uid = user->number };
	else if (r < 0)
		return user->is_number ? err_set(e, -r, "%s", missing.text) : r;
	*ret = l.found;
	return 0;
}

static int resolve_group(int rootfs, const struct part *group, uint32_t *ret,
			 struct err *e)
{
	struct lookup l = { .file = "etc/group",
			    .fields = 4,
			    .name = group->text };
	int r;

	if (group->is_number) {
		*ret = group->number;
		return 0;
	}
	r = look_up(rootfs, &l, e);
	if (r == 0)
		*ret = l.found.uid; /* the third field */
	return r;
}

int user_resolve(int rootfs, const char *text, struct user_ids *ret,
		 struct err *e)
{
	const char *colon = strchr(text, ':');
	const size_t len = colon ? (size_t)(colon - text) : strlen(text);
	struct part user, group;
	struct user_ids ids = { 0 };
	int r;

	if (strlen(text) >= USER_TEXT_MAX)
		return err_set(e, EINVAL, "user: over %d bytes",
			       USER_TEXT_MAX - 1);
	if (colon && strchr(colon + 1, ':'))
		return err_set(e, EINVAL, "user: '%s' has three parts", text);
	r = part_of(text, len, &user, e);
	if (r == 0 && colon)
		r = part_of(colon + 1, strlen(colon + 1), &group, e);
	if (r < 0)
		return r;
	if (colon && user.is_number)
		ids.uid = user.number;
	else
		r = resolve_user(rootfs, &user, &ids, e);
	if (r == 0 && colon)
		r = resolve_group(rootfs, &group, &ids.gid, e);
	if (r == 0)
		*ret = ids;
	return r;
}
