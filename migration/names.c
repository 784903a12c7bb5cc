#include "migration/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/digest.h"
#include "config/util.h"

bool names_id_ok(const void *s, size_t len)
{
	const unsigned char *p = s;
	size_t i;

	if (len == 0 || len > NAMES_ID_MAX)
		return false;
	for (i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] == 0x7f || p[i] == '/' ||
		    /* U+0080 to U+009F, in UTF-8 */
		    (p[i] == 0xc2 && i + 1 < len && p[i + 1] >= 0x80 &&
		     p[i + 1] <= 0x9f))
			return false;
	return !(p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.')));
}

bool names_path_ok(const void *s, size_t len)
{
	const char *p = s;
	size_t i, begin = 1;

	if (len == 0 || len > NAMES_PATH_MAX || p[0] != '/' ||
	    memchr(p, '\0', len))
		return false;
	for (i = 1; i <= len; i++) {
		if (i < len && p[i] != '/')
			continue;
		if (i - begin == 1 && p[begin] == '.')
			return false;
		if (i - begin == 2 && p[begin] == '.' && p[begin + 1] == '.')
			return false;
		begin = i + 1;
	}
	return true;
}

bool names_guid_ok(const void *s, size_t len)
{
	const char *p = s;
	size_t i;

	if (len != NAMES_GUID_SIZE - 1)
		return false;
	for (i = 0; i < len; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? p[i] != '-'
			 : !((p[i] >= '0' && p[i] <= '9') ||
			     (p[i] >= 'a' && p[i] <= 'f') ||
			     (p[i] >= 'A' && p[i] <= 'F')))
			return false;
	}
	return true;
}

void names_guid_lower(const char *guid, char ret[NAMES_GUID_SIZE])
{
	size_t i;

	for (i = 0; i < NAMES_GUID_SIZE - 1; i++)
		ret[i] = guid[i] >= 'A' && guid[i] <= 'F'
				 ? (char)(guid[i] - 'A' + 'a')
				 : guid[i];
	ret[i] = '\0';
}

void names_guid_make(const unsigned char seed[16], uint64_t number,
		     char ret[NAMES_GUID_SIZE])
{
	uint8_t sum[DIGEST_BYTES];
	struct digest d;

	digest_init(&d);
	digest_add(&d, seed, 16);
	digest_add(&d, &number, sizeof(number));
	digest_done(&d, sum);
	sum[6] = (uint8_t)((sum[6] & 0x0f) | 0x40);
	sum[8] = (uint8_t)((sum[8] & 0x3f) | 0x80);
	(void)snprintf(ret, NAMES_GUID_SIZE,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		       "%02x%02x%02x%02x%02x%02x",
		       sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6],
		       sum[7], sum[8], sum[9], sum[10], sum[11], sum[12],
		       sum[13], sum[14], sum[15]);
}

int names_check_id(const char *what, const char *id, struct err *e)
{
	if (id && names_id_ok(id, strlen(id)))
		return 0;
	return err_set(e, EINVAL, "%s: want 1 to %u bytes without '/'", what,
		       NAMES_ID_MAX);
}

int names_check_path(const char *what, const char *path, struct err *e)
{
	if (path && names_path_ok(path, strlen(path)))
		return 0;
	return err_set(e, EINVAL,
		       "%s: want an absolute path without '.' and '..'", what);
}

int names_copy(const char *s, char **ret, struct err *e)
{
	char *copy = strdup(s ? s : "");

	if (!copy)
		return err_set(e, ENOMEM, "no memory");
	*ret = copy;
	return 0;
}

char *names_join(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}
