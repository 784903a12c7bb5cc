/*
 * tests/fuzz/driver.c - main() of every fuzz target, see fuzz.h
 *
 * Each input is handed over in a heap block of exactly its size, so that
 * AddressSanitizer sees a read one byte behind it. Mutations are a function
 * of the seed and the corpus alone: a failure in CI happens here too.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX 131072u /* bytes of one input, mutated or not */
#define INPUTS_MAX 4096u
#define RUNS_DEFAULT 4000u
#define STEPS_MAX 6u	  /* changes in one mutation */
#define INPUT_LIMIT_S 60u /* longer means that the target hangs */

struct input {
	uint8_t *data;
	size_t size;
};

static struct input corpus[INPUTS_MAX];
static size_t n_corpus;
static struct input now; /* what the target is looking at */
static char keep_path[PATH_MAX];
static uint64_t seed = 88172645463325252u;

/* Only there when the program was built with a sanitizer. */
void __sanitizer_set_death_callback(void (*callback)(void))
	__attribute__((weak));

/* Called in a dying process, where nobody is left to tell of a failure. */
static void put(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) < 0)
		return;
}

static void keep_input(void)
{
	const int fd =
		open(keep_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return;
	put(fd, now.data, now.size);
	(void)close(fd);
	put(STDERR_FILENO, "input kept in ", 14);
	put(STDERR_FILENO, keep_path, strlen(keep_path));
	put(STDERR_FILENO, "\n", 1);
}

static void die(int signal_number)
{
	keep_input();
	(void)signal(signal_number, SIG_DFL);
	(void)raise(signal_number);
}

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static size_t below(size_t n)
{
	return n ? (size_t)(any() % n) : 0;
}

static void run(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	now = (struct input){ exact, size };
	(void)alarm(INPUT_LIMIT_S);
	(void)fuzz_one(exact, size);
	(void)alarm(0);
	now = (struct input){ 0 };
	free(exact);
}

static bool add_file(const char *path)
{
	struct input in = { malloc(INPUT_MAX), 0 };
	FILE *f = fopen(path, "rbe");

	if (!f || !in.data || n_corpus == INPUTS_MAX) {
		free(in.data);
		if (f)
			(void)fclose(f);
		return false;
	}
	in.size = fread(in.data, 1, INPUT_MAX, f);
	(void)fclose(f);
	corpus[n_corpus++] = in;
	return true;
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The files of a folder in the order of their names; folders are skipped. */
static void add_folder(const char *folder)
{
	struct dirent **list = NULL;
	const int n = scandir(folder, &list, is_visible, alphasort);

	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%s", folder,
			       list[i]->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			(void)add_file(path);
		free(list[i]);
	}
	free(list);
}

/* Room for @n bytes at @at; what does not fit any more is dropped. */
static size_t insert(uint8_t *buf, size_t size, size_t at, const uint8_t *from,
		     size_t n)
{
	size_t tail = size - at;

	if (n > INPUT_MAX - at)
		n = INPUT_MAX - at;
	if (tail > INPUT_MAX - at - n)
		tail = INPUT_MAX - at - n;
	memmove(buf + at + n, buf + at, tail);
	memcpy(buf + at, from, n);
	return at + n + tail;
}

static size_t insert_piece(uint8_t *buf, size_t size)
{
	const struct input *other = &corpus[below(n_corpus)];
	const size_t from = below(other->size);
	const size_t n = below(other->size - from + 1);

	if (n == 0)
		return size;
	return insert(buf, size, below(size + 1), other->data + from, n);
}

static size_t insert_noise(uint8_t *buf, size_t size)
{
	const uint64_t noise[2] = { any(), any() };

	return insert(buf, size, below(size + 1), (const uint8_t *)noise,
		      1 + below(sizeof(noise)));
}

static size_t remove_piece(uint8_t *buf, size_t size)
{
	const size_t at = below(size), n = below(size - at + 1);

	memmove(buf + at, buf + at + n, size - at - n);
	return size - n;
}

static void set_number(uint8_t *buf, size_t size)
{
	static const uint64_t edges[] = {
		0,	     1,		 15,	    16,		0x7f,
		0x80,	     0xff,	 0x7fff,    0x8000,	0xffff,
		0x10000,     0x10001,	 0x1000000, 0x7fffffff, 0x80000000u,
		0xffffffffu, UINT64_MAX,
	};
	const uint64_t v = edges[below(sizeof(edges) / sizeof(edges[0]))];
	const size_t width = (size_t)1 << below(4);

	if (size >= width) /* little endian, as all of ferry's formats */
		memcpy(buf + below(size - width + 1), &v, width);
}

static size_t mutate_once(uint8_t *buf, size_t size)
{
	switch (below(6)) {
	case 0:
		if (size)
			buf[below(size)] ^= (uint8_t)(1u << below(8));
		return size;
	case 1:
		if (size)
			buf[below(size)] = (uint8_t)any();
		return size;
	case 2:
		set_number(buf, size);
		return size;
	case 3:
		return insert_piece(buf, size);
	case 4:
		return insert_noise(buf, size);
	default:
		return remove_piece(buf, size);
	}
}

static void mutate(unsigned long runs)
{
	static uint8_t buf[INPUT_MAX];

	for (unsigned long i = 0; i < runs; i++) {
		const struct input *in = &corpus[below(n_corpus)];
		size_t size = in->size;

		memcpy(buf, in->data, size);
		for (size_t n = 1 + below(STEPS_MAX); n > 0; n--)
			size = mutate_once(buf, size);
		run(buf, size);
	}
}

static unsigned long environment_number(const char *name, unsigned long other)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 10) : other;
}

static void prepare(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;
	char folder[PATH_MAX];

	(void)mkdir("build", 0755); /* both mostly exist */
	(void)mkdir("build/log", 0755);
	(void)snprintf(keep_path, sizeof(keep_path), "build/log/%s.input",
		       name);
	(void)snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s", name);
	add_folder(folder);
	for (size_t i = 0; fuzz_folders && fuzz_folders[i]; i++)
		add_folder(fuzz_folders[i]);

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(keep_input);
	(void)signal(SIGABRT, die);
	(void)signal(SIGALRM, die);
	seed ^= environment_number("FERRY_FUZZ_SEED", 0);
}

int main(int argc, char **argv)
{
	static uint8_t nothing[1];
	const unsigned long runs = environment_number(
		"FERRY_FUZZ_RUNS", &fuzz_runs ? fuzz_runs : RUNS_DEFAULT);

	prepare(argv[0]);
	if (argc > 1) { /* replay these only */
		n_corpus = 0;
		for (int i = 1; i < argc; i++)
			if (!add_file(argv[i])) {
				(void)fprintf(stderr, "cannot read %s\n",
					      argv[i]);
				return 1;
			}
	}
	run(nothing, 0);
	for (size_t i = 0; i < n_corpus; i++)
		run(corpus[i].data, corpus[i].size);
	if (n_corpus == 0 && add_file("/dev/null"))
		(void)printf("no corpus, mutating nothing\n");
	if (argc == 1)
		mutate(runs);
	(void)printf("%zu files, %lu mutations\n1 passed, 0 failed\n", n_corpus,
		     argc == 1 ? runs : 0);
	return 0;
}
