#include "tools/image_check.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/text.h"
#include "config/util.h"
#include "initramfs/cpio.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

/* Bytes of a name that are shown, and lines of a list that are read. */
#define SHOWN_MAX 200
#define MODULES_LINES_MAX 1024
/* Symbolic links followed on the way to one file. */
#define LINKS_MAX 16

static const struct {
	const char *name;
	uint32_t kind;
	char letter;
} kinds[] = {
	{ "file", S_IFREG, '-' },    { "dir", S_IFDIR, 'd' },
	{ "link", S_IFLNK, 'l' },    { "char", S_IFCHR, 'c' },
	{ "block", S_IFBLK, 'b' },   { "fifo", S_IFIFO, 'p' },
	{ "socket", S_IFSOCK, 's' },
};

static size_t kind_of(uint32_t mode)
{
	size_t i = 0;

	while (i < ARRAY_LEN(kinds) && kinds[i].kind != (mode & S_IFMT))
		i++;
	return i;
}

static bool is_device(uint32_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

/* --- list ----------------------------------------------------------------- */

/* A JSON string; bytes above 0x7e become characters of the same number. */
static void json_string(FILE *to, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	(void)fputc('"', to);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"' || p[i] == '\\')
			(void)fprintf(to, "\\%c", p[i]);
		else if (p[i] < ' ' || p[i] > '~')
			(void)fprintf(to, "\\u%04x", p[i]);
		else
			(void)fputc(p[i], to);
	}
	(void)fputc('"', to);
}

static void list_json(FILE *to, const struct cpio_entry *n, bool first)
{
	const size_t kind = kind_of(n->mode);

	(void)fputs(first ? "\n{\"name\":" : ",\n{\"name\":", to);
	json_string(to, n->name, strlen(n->name));
	(void)fprintf(to, ",\"type\":\"%s\",\"mode\":\"%04o\",\"size\":%zu",
		      kind < ARRAY_LEN(kinds) ? kinds[kind].name : "unknown",
		      n->mode & 07777, n->size);
	if (S_ISLNK(n->mode)) {
		(void)fputs(",\"target\":", to);
		json_string(to, n->data, n->size);
	}
	if (is_device(n->mode))
		(void)fprintf(to, ",\"major\":%u,\"minor\":%u", n->rdev_major,
			      n->rdev_minor);
	(void)fputc('}', to);
}

/* Text of an image goes to a terminal only with its control bytes shown. */
static void show(FILE *to, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < ' ' || p[i] > '~' || p[i] == '\\')
			(void)fprintf(to, "\\x%02x", p[i]);
		else
			(void)fputc(p[i], to);
	}
}

static void list_text(FILE *to, const struct cpio_entry *n)
{
	static const char bits[] = "rwxrwxrwx";
	const size_t kind = kind_of(n->mode);

	(void)fputc(kind < ARRAY_LEN(kinds) ? kinds[kind].letter : '?', to);
	for (unsigned int i = 0; i < 9; i++)
		(void)fputc(n->mode & (0400u >> i) ? bits[i] : '-', to);
	if (is_device(n->mode))
		(void)fprintf(to, " %4u,%5u ", n->rdev_major, n->rdev_minor);
	else
		(void)fprintf(to, " %10zu ", n->size);
	show(to, n->name, strlen(n->name));
	if (S_ISLNK(n->mode)) {
		(void)fputs(" -> ", to);
		show(to, n->data, n->size);
	}
	(void)fputc('\n', to);
}

int image_list(const void *image, size_t len, bool json, FILE *to,
	       struct err *e)
{
	struct cpio_reader r;
	struct cpio_entry n;
	int got;

	cpio_reader_init(&r, image, len);
	if (json)
		(void)fputc('[', to);
	while ((got = cpio_next(&r, &n, e)) > 0) {
		if (json)
			list_json(to, &n, r.entries == 1);
		else
			list_text(to, &n);
	}
	if (json)
		(void)fputs("\n]\n", to);
	if (fflush(to) != 0 || ferror(to))
		return err_sys(e, "writing the list");
	return got;
}

/* --- check ---------------------------------------------------------------- */

/* What the kernel would have unpacked: sorted by name, the last of each. */
struct index {
	struct cpio_entry *list;
	size_t count;
	FILE *to;
	size_t problems;
};

static void problem(struct index *x, const char *name, const char *what)
{
	(void)fputc('/', x->to);
	show(x->to, name, strnlen(name, SHOWN_MAX));
	(void)fprintf(x->to, ": %s\n", what);
	x->problems++;
}

/* Names as the kernel opens them: "./x", "/x" and "x" are the same file. */
static const char *plain(const char *name)
{
	for (;;) {
		if (name[0] == '/')
			name++;
		else if (name[0] == '.' && name[1] == '/')
			name += 2;
		else
			return name;
	}
}

/* Equal names stay in the order of the image by their place in it. */
static int entry_cmp(const void *va, const void *vb)
{
	const struct cpio_entry *a = va;
	const struct cpio_entry *b = vb;
	const int c = strcmp(a->name, b->name);

	if (c != 0)
		return c;
	return (const char *)a->data < (const char *)b->data ? -1 : 1;
}

static int name_cmp(const void *name, const void *entry)
{
	return strcmp(name, ((const struct cpio_entry *)entry)->name);
}

static int index_fill(struct index *x, const void *image, size_t len,
		      struct image_summary *s, struct err *e)
{
	struct cpio_reader r;
	struct cpio_entry n;
	size_t space = 0;
	size_t kept = 0;
	int got;

	cpio_reader_init(&r, image, len);
	while ((got = cpio_next(&r, &n, e)) > 0) {
		if (x->count == space) {
			struct cpio_entry *grown;

			space = space ? space * 2 : 256;
			grown = reallocarray(x->list, space, sizeof(*grown));
			if (!grown)
				return err_set(e, ENOMEM, "no memory");
			x->list = grown;
		}
		n.name = plain(n.name);
		x->list[x->count++] = n;
	}
	if (got < 0)
		return got;
	s->files = r.entries;
	s->archives = r.archives;
	if (x->count)
		qsort(x->list, x->count, sizeof(*x->list), entry_cmp);
	for (size_t i = 0; i < x->count; i++) {
		if (kept &&
		    strcmp(x->list[kept - 1].name, x->list[i].name) == 0)
			kept--;
		x->list[kept++] = x->list[i];
	}
	x->count = kept;
	return 0;
}

static const struct cpio_entry *find(const struct index *x, const char *name)
{
	return x->count ? bsearch(name, x->list, x->count, sizeof(*x->list),
				  name_cmp)
			: NULL;
}

/* @path with what the link at its first @upto bytes points to; false: long. */
static bool substitute(char *path, size_t size, size_t upto,
		       const struct cpio_entry *link)
{
	char buf[CPIO_NAME_MAX + 1];
	const char *target = link->data;
	const char *slash = memrchr(path, '/', upto);
	const size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
	const bool absolute = link->size && target[0] == '/';
	int n;

	n = snprintf(buf, sizeof(buf), "%.*s%.*s%s", absolute ? 0 : (int)dir,
		     path, (int)link->size, target, path + upto);
	if (n < 0 || (size_t)n >= sizeof(buf) || (size_t)n >= size)
		return false;
	(void)memcpy(path, buf, (size_t)n + 1);
	return true;
}

/* The length of @path's first part that is a link, or 0. */
static size_t link_in(const struct index *x, const char *path,
		      const struct cpio_entry **link)
{
	char part[CPIO_NAME_MAX + 1];
	const size_t len = strlen(path);

	for (size_t n = 1; n <= len; n++) {
		if (path[n] != '/' && path[n] != '\0')
			continue;
		(void)memcpy(part, path, n);
		part[n] = '\0';
		*link = find(x, part);
		if (*link && S_ISLNK((*link)->mode))
			return n;
	}
	return 0;
}

/* A file by its path, through links as they come in distributions (/bin). */
static const struct cpio_entry *walk(const struct index *x, const char *name)
{
	char path[CPIO_NAME_MAX + 1];
	const struct cpio_entry *link;

	if (strlen(name) > CPIO_NAME_MAX)
		return NULL;
	(void)memcpy(path, name, strlen(name) + 1);
	for (int i = 0; i < LINKS_MAX; i++) {
		const char *from = plain(path);
		size_t n;

		if (from != path)
			(void)memmove(path, from, strlen(from) + 1);
		n = link_in(x, path, &link);
		if (n == 0)
			return find(x, path);
		if (!substitute(path, sizeof(path), n, link))
			return NULL;
	}
	return NULL;
}

/* The reason why these bytes are no static program of this machine, or NULL. */
static const char *program_fault(const struct cpio_entry *n)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;

	if (n->size < sizeof(h))
		return "not a program";
	(void)memcpy(&h, n->data, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
	    h.e_ident[EI_CLASS] != ELFCLASS64)
		return "not a 64-bit ELF program";
	if (h.e_machine != MACHINE ||
	    (h.e_type != ET_EXEC && h.e_type != ET_DYN))
		return "not a program of this machine";
	if (h.e_phnum == 0 || h.e_phentsize != sizeof(p) ||
	    h.e_phoff > n->size ||
	    (size_t)h.e_phnum * sizeof(p) > n->size - h.e_phoff)
		return "damaged program headers";
	for (size_t i = 0; i < h.e_phnum; i++) {
		(void)memcpy(&p,
			     (const char *)n->data + h.e_phoff + i * sizeof(p),
			     sizeof(p));
		if (p.p_type == PT_INTERP)
			return "wants a loader: not static";
	}
	return NULL;
}

static void check_program(struct index *x, const char *name)
{
	const struct cpio_entry *n = walk(x, name);
	const char *fault = NULL;

	if (!n)
		fault = "missing";
	else if (!S_ISREG(n->mode))
		fault = "not a file";
	else if ((n->mode & 0111) == 0)
		fault = "not executable";
	else
		fault = program_fault(n);
	if (fault)
		problem(x, name, fault);
}

static void check_folder(struct index *x, const char *name)
{
	const struct cpio_entry *n = walk(x, name);

	if (!n || !S_ISDIR(n->mode))
		problem(x, name, n ? "not a folder" : "missing");
}

static void check_module(struct index *x, const char *name)
{
	const struct cpio_entry *n =
		name[0] == '/' ? walk(x, plain(name)) : NULL;
	Elf64_Ehdr h;

	if (name[0] != '/') {
		problem(x, name, "in ferry.list, but not an absolute path");
	} else if (!n || !S_ISREG(n->mode) || n->size < sizeof(h)) {
		problem(x, plain(name), "in ferry.list, but not a file");
	} else {
		(void)memcpy(&h, n->data, sizeof(h));
		if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
		    h.e_type != ET_REL || h.e_machine != MACHINE)
			problem(x, plain(name), "not a module of this machine");
	}
}

static size_t check_modules(struct index *x)
{
	static const char list[] = "lib/modules/ferry.list";
	const struct cpio_entry *n = walk(x, list);
	size_t count = 0;
	const char *p;
	const char *end;

	if (!n || !S_ISREG(n->mode)) {
		problem(x, list, "missing");
		return 0;
	}
	p = n->data;
	end = p + n->size;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const size_t len = (size_t)((nl ? nl : end) - p);
		char line[CPIO_NAME_MAX + 1];

		if (!nl || len >= sizeof(line) || memchr(p, '\0', len) ||
		    ++count > MODULES_LINES_MAX) {
			problem(x, list, "damaged, or too long");
			break;
		}
		(void)memcpy(line, p, len);
		line[len] = '\0';
		line[strcspn(line, " ")] = '\0'; /* before its devices */
		if (len)
			check_module(x, line);
		p = nl + 1;
	}
	return count;
}

int image_check(const void *image, size_t len, FILE *to,
		struct image_summary *ret, struct err *e)
{
	static const char *const folders[] = { "dev", "proc", "run", "sys",
					       "tmp" };
	struct index x = { .to = to };
	struct image_summary s = { 0 };
	int r = index_fill(&x, image, len, &s, e);

	if (r == 0) {
		check_program(&x, "init");
		check_program(&x, "bin/gcs");
		for (size_t i = 0; i < ARRAY_LEN(folders); i++)
			check_folder(&x, folders[i]);
		s.modules = check_modules(&x);
		s.problems = x.problems;
		*ret = s;
	}
	free(x.list);
	return r;
}
