/*
 * tests/e2e/argvboot.c - boot kernel command lines and compare what init got
 *
 * usage: argvboot KERNEL INITRD FOLDER BUDGET_S FILE...
 *
 * FILE holds vectors as kernel_argv.jsonl does: "append", and "expect" with
 * "argv" or "argv_hex" and "envp", or "error" for a line that never reaches
 * init. INITRD holds tests/e2e/guest/probe_init.c. Each is one boot in QEMU;
 * those that the budget leaves no time for are skipped and said to be. Prints
 * TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "config/num.h"
#include "config/util.h"

#define OUTPUT_MAX 65536
#define LINE_MAX_BYTES 65536
/* A boot takes 1.2 s; a busy machine may need many times that. */
#define BOOT_MS 60000
/* A line that never boots is silent; nothing tells it from a slow one. */
#define NEVER_MS 8000

struct settings {
	const char *kernel;
	const char *initrd;
	char output[256]; /* file that the debug port is written to */
	int64_t stop_ms;
};

static int passed;
static int failed;
static int skipped;

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Runs QEMU until it ends or @limit_ms are over; returns 0 or -errno. */
static int boot(const struct settings *s, const char *append, int limit_ms,
		struct err *e)
{
	char debugcon[300];
	const char *const words[] = {
		"qemu-system-x86_64",
		"-machine",
		"q35",
		"-accel",
		"tcg,thread=single",
		"-m",
		"128",
		"-smp",
		"1",
		"-nodefaults",
		"-no-user-config",
		"-display",
		"none",
		"-no-reboot",
		"-bios",
		"qboot.rom",
		"-kernel",
		s->kernel,
		"-initrd",
		s->initrd,
		"-append",
		append,
		"-debugcon",
		debugcon,
		"-device",
		"isa-debug-exit,iobase=0xf4,iosize=4",
	};
	char *argv[ARRAY_LEN(words) + 1] = { NULL };
	char *envp[] = { NULL };
	const struct spawn child = {
		.argv = argv,
		.envp = envp,
		.stdio = { -1, -1, STDERR_FILENO },
		.setsid = true,
		.die_with_parent = true,
	};
	cleanup_fd pidfd = -1;
	struct pollfd p = { .events = POLLIN };
	pid_t pid = -1;
	int r = 0;

	(void)snprintf(debugcon, sizeof(debugcon), "file:%s", s->output);
	for (size_t i = 0; i < ARRAY_LEN(words) && r == 0; i++) {
		argv[i] = strdup(words[i]);
		r = argv[i] ? 0 : err_set(e, ENOMEM, "arguments");
	}
	if (r == 0)
		r = spawn_start(&child, &pid, &pidfd, e);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		free(argv[i]);
	if (r < 0)
		return r;
	p.fd = pidfd;
	(void)poll(&p, 1, limit_ms); /* over or not, it ends now */
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return 0;
}

/* What the probe wrote, or "" */
static void read_output(const struct settings *s, char *buf)
{
	cleanup_fd fd = open(s->output, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? 0 : fd_read_full(fd, buf, OUTPUT_MAX - 1);

	buf[n > 0 ? n : 0] = '\0';
}

static void append_hex(char *out, size_t *n, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && *n + 3 < OUTPUT_MAX; i++)
		*n += (size_t)sprintf(out + *n, "%02x",
				      (unsigned int)(unsigned char)bytes[i]);
}

static void expect_list(struct json_object *list, bool hex, const char *tag,
			char *out, size_t *n)
{
	const size_t count = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < count && *n + 16 < OUTPUT_MAX; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *text = json_object_get_string(o);
		const size_t len = (size_t)json_object_get_string_len(o);

		*n += (size_t)sprintf(out + *n, "%s", tag);
		if (hex && *n + len + 2 < OUTPUT_MAX)
			*n += (size_t)sprintf(out + *n, "%s", text);
		else
			append_hex(out, n, text, len);
		*n += (size_t)sprintf(out + *n, "\n");
	}
}

/* The probe's output as it should be. */
static void expected_output(struct json_object *expect, char *out)
{
	struct json_object *argv = NULL;
	struct json_object *envp = NULL;
	const bool hex = json_object_object_get_ex(expect, "argv_hex", &argv);
	size_t n = (size_t)sprintf(out, "begin\n");

	if (!hex)
		(void)json_object_object_get_ex(expect, "argv", &argv);
	(void)json_object_object_get_ex(expect, "envp", &envp);
	expect_list(argv, hex, "argv ", out, &n);
	expect_list(envp, false, "envp ", out, &n);
	(void)snprintf(out + n, OUTPUT_MAX - n, "end\n");
}

static void verdict(const char *name, bool good, const char *expect,
		    const char *actual)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", passed + failed + 1,
	       name);
	if (good) {
		passed++;
		return;
	}
	failed++;
	printf("expected:\n%sactual:\n%s\n", expect, actual);
}

static void check(const struct settings *s, struct json_object *o)
{
	static char expect[OUTPUT_MAX];
	static char actual[OUTPUT_MAX];
	struct json_object *value = NULL;
	struct json_object *wanted = NULL;
	const char *name;
	bool never;
	struct err e;

	if (!json_object_object_get_ex(o, "name", &value) ||
	    !json_object_object_get_ex(o, "expect", &wanted)) {
		verdict("a vector without name or expect", false, "", "");
		return;
	}
	name = json_object_get_string(value);
	if (now_ms() > s->stop_ms) {
		skipped++;
		printf("# not booted, no time left: %s\n", name);
		return;
	}
	never = json_object_object_get_ex(wanted, "error", NULL);
	(void)json_object_object_get_ex(o, "append", &value);
	(void)unlink(s->output);
	if (boot(s, json_object_get_string(value), never ? NEVER_MS : BOOT_MS,
		 &e) < 0) {
		verdict(name, false, "a boot\n", e.text);
		return;
	}
	if (never)
		(void)snprintf(expect, sizeof(expect), "%s", "");
	else
		expected_output(wanted, expect);
	read_output(s, actual);
	verdict(name, strcmp(expect, actual) == 0, expect, actual);
	(void)fflush(stdout);
}

/* Lines that never boot come first: they are few, and the budget may end. */
static bool is_error(struct json_object *o)
{
	struct json_object *expect = NULL;

	return json_object_object_get_ex(o, "expect", &expect) &&
	       json_object_object_get_ex(expect, "error", NULL);
}

static int check_file(const struct settings *s, const char *path, bool errors)
{
	FILE *f = fopen(path, "re");
	static char line[LINE_MAX_BYTES];

	if (!f) {
		perror(path);
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		struct json_object *o = json_tokener_parse(line);

		if (o && is_error(o) == errors)
			check(s, o);
		else if (!o && !errors)
			verdict("a line that is not JSON", false, line, "");
		json_object_put(o);
	}
	(void)fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	struct settings s = { 0 };
	uint32_t budget_s = 0;
	struct err e;

	if (argc < 6 || num_u32(argv[4], 1, 86400, &budget_s, &e) < 0) {
		(void)fputs("usage: argvboot KERNEL INITRD FOLDER BUDGET_S "
			    "FILE...\n",
			    stderr);
		return 2;
	}
	s.kernel = argv[1];
	s.initrd = argv[2];
	(void)snprintf(s.output, sizeof(s.output), "%s/debugcon", argv[3]);
	s.stop_ms = now_ms() + (int64_t)budget_s * 1000;
	for (int i = 5; i < argc; i++)
		if (check_file(&s, argv[i], true) < 0 ||
		    check_file(&s, argv[i], false) < 0)
			return 2;
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed == 0 && passed > 0 ? 0 : 1;
}
