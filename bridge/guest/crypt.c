#include "bridge/guest/crypt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/job.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define KEY_BYTES 1024u
#define HEAD_BYTES 4096u
#define TRIES 2
#define AGAIN_NS 500000000L
#define PATH_BYTES 256

void crypt_name(const struct volume_facts *f, char *buf, size_t size)
{
	(void)snprintf(buf, size, "dm-crypt-scsi-contr%u-lun%u-p%" PRIu64,
		       f->controller, f->lun, f->partition);
}

/* cryptsetup with these words; it takes no constant strings. */
static int run(const struct volume_env *env, const char *const *word, size_t n,
	       struct err *e)
{
	char copies[1024];
	char *argv[32];
	size_t used = 0;
	int r;

	if (n + 1 > ARRAY_LEN(argv))
		return err_set(e, EINVAL, "cryptsetup: too many arguments");
	for (size_t i = 0; i < n; i++) {
		const size_t len = strlen(word[i]) + 1;

		if (used + len > sizeof(copies))
			return err_set(e, EINVAL, "cryptsetup: arguments");
		argv[i] = memcpy(copies + used, word[i], len);
		used += len;
	}
	argv[n] = NULL;
	r = job_run(argv, env->programs, NULL, 0, e);
	if (r == -ENOENT)
		return err_set(e, EOPNOTSUPP,
			       "Encrypted: the image has no cryptsetup");
	return r;
}

static int format(const struct volume_env *env, const char *device,
		  const char *key, struct err *e)
{
	const char *const word[] = { "cryptsetup",
				     "--debug",
				     "-v",
				     "luksFormat",
				     device,
				     "--type",
				     "luks2",
				     "--key-file",
				     key,
				     "--batch-mode",
				     "--cipher",
				     "aes-xts-plain64",
				     "--integrity",
				     "hmac-sha256",
				     "--integrity-no-wipe",
				     "--sector-size",
				     "4096",
				     "--pbkdf",
				     "pbkdf2",
				     "--pbkdf-force-iterations",
				     "1000" };

	return run(env, word, ARRAY_LEN(word), e);
}

static int open_device(const struct volume_env *env, const char *device,
		       const char *name, const char *key, struct err *e)
{
	const char *const word[] = {
		"cryptsetup",  "--debug", "-v",
		"luksOpen",    device,	  name,
		"--key-file",  key,	  "--integrity-no-journal",
		"--persistent"
	};

	return run(env, word, ARRAY_LEN(word), e);
}

/* The old contents are noise under the new key: no tags fit. */
static int clear_head(const char *path, struct err *e)
{
	static const uint8_t zero[HEAD_BYTES];
	cleanup_fd fd = open(path, O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(e, "open %s", path);
	r = fd_write_full(fd, zero, sizeof(zero));
	return r < 0 ? err_set(e, -r, "write %s: %s", path, strerror(-r)) : 0;
}

static int write_key(const struct volume_env *env, const char *path,
		     struct err *e)
{
	uint8_t key[KEY_BYTES];
	size_t have = 0;
	cleanup_fd dir =
		beneath_mkdirs(env->root, CRYPT_KEYS, BENEATH_STRICT, 0700, e);
	int r;

	if (dir < 0)
		return dir;
	while (have < sizeof(key)) {
		const ssize_t n = getrandom(key + have, sizeof(key) - have, 0);

		if (n < 0 && errno != EINTR)
			return err_sys(e, "random key");
		have += n > 0 ? (size_t)n : 0;
	}
	r = beneath_write(env->root, path, BENEATH_STRICT, key, sizeof(key),
			  0600, e);
	explicit_bzero(key, sizeof(key));
	return r;
}

static int try_once(const struct volume_env *env, const char *device,
		    const char *name, const char *key, const char *opened,
		    struct err *e)
{
	int r = format(env, device, key, e);

	if (r == 0)
		r = open_device(env, device, name, key, e);
	if (r == 0)
		r = clear_head(opened, e);
	return r;
}

/* What programs see of a path below the root. */
static void seen_path(const struct volume_env *env, const char *path, char *buf,
		      size_t size)
{
	char root[PATH_BYTES];
	char proc[BENEATH_PROC_MAX];
	const ssize_t n =
		readlink(beneath_proc(env->root, proc), root, sizeof(root) - 1);

	root[n > 0 ? n : 0] = '\0';
	(void)snprintf(buf, size, "%s/%s", strcmp(root, "/") == 0 ? "" : root,
		       path);
}

int crypt_open(const struct volume_env *env, const struct volume_facts *f,
	       const char *device, char *path, size_t size, struct err *e)
{
	const struct timespec again = { .tv_nsec = AGAIN_NS };
	char name[VOLUME_NAME_MAX], key[PATH_BYTES], seen[2 * PATH_BYTES];
	int r;

	crypt_name(f, name, sizeof(name));
	(void)snprintf(path, size, "%s/mapper/%s", env->dev, name);
	(void)snprintf(key, sizeof(key), "%s/%s", CRYPT_KEYS, name);
	seen_path(env, key, seen, sizeof(seen));
	r = write_key(env, key, e);
	for (int i = 0; r == 0 && i < TRIES; i++) {
		r = try_once(env, device, name, seen, path, e);
		if (r == 0 || r == -EOPNOTSUPP || i + 1 == TRIES)
			break;
		(void)crypt_close(env, f, NULL); /* for the next try */
		(void)nanosleep(&again, NULL);
		(void)write_key(env, key, e);
		r = 0;
	}
	(void)beneath_unlink(env->root, key, BENEATH_STRICT, 0, NULL);
	if (r < 0)
		(void)crypt_close(env, f, NULL); /* most likely not open */
	return r;
}

int crypt_close(const struct volume_env *env, const struct volume_facts *f,
		struct err *e)
{
	char name[VOLUME_NAME_MAX], path[PATH_BYTES];
	const char *const word[] = { "cryptsetup", "luksClose", name };

	crypt_name(f, name, sizeof(name));
	(void)snprintf(path, sizeof(path), "%s/%s", CRYPT_KEYS, name);
	(void)beneath_unlink(env->root, path, BENEATH_STRICT, 0, NULL);
	(void)snprintf(path, sizeof(path), "%s/mapper/%s", env->dev, name);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	return run(env, word, ARRAY_LEN(word), e);
}
