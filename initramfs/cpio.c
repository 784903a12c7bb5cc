#include "initramfs/cpio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/text.h"
#include "config/util.h"

/* Six bytes of magic, then these fields as eight hexadecimal digits each. */
enum {
	F_INO,
	F_MODE,
	F_UID,
	F_GID,
	F_NLINK,
	F_MTIME,
	F_FILESIZE,
	F_DEV_MAJOR,
	F_DEV_MINOR,
	F_RDEV_MAJOR,
	F_RDEV_MINOR,
	F_NAMESIZE,
	F_CHECK,
	FIELDS,
};
#define MAGIC_LEN 6
#define DIGITS 8
#define HEADER_LEN (MAGIC_LEN + FIELDS * DIGITS)
#define TRAILER "TRAILER!!!"

/* Bytes of names and targets in one tree. */
#define NAMES_MAX ((size_t)64 * 1024 * 1024)
/* Bytes shown of a name in an error. */
#define SHOWN_MAX 80

/**
 * struct cpio_node - an entry with its place in the order of adding
 * @entry:	what goes into the archive
 * @seq:	later ones have a higher number
 * @rank:	as given
 * @implied:	a parent that nobody named; gives way to one that was
 */
struct cpio_node {
	struct cpio_entry entry;
	size_t seq;
	enum cpio_rank rank;
	bool implied;
};

/* err_set() with a name made safe to print. */
static int name_err(struct err *e, int code, const char *name, const char *what)
{
	char buf[SHOWN_MAX * 4 + 8];
	struct text t;

	text_fixed(&t, buf, sizeof(buf));
	text_quote(&t, name, SHOWN_MAX);
	return err_set(e, code, "/%s: %s", text_str(&t), what);
}

/* --- writer ------------------------------------------------------------- */

void cpio_tree_init(struct cpio_tree *t)
{
	*t = (struct cpio_tree){ 0 };
	arena_init(&t->names, NAMES_MAX);
}

void cpio_tree_done(struct cpio_tree *t)
{
	arena_done(&t->names);
	free(t->nodes);
	*t = (struct cpio_tree){ 0 };
}

static bool name_ok(const char *name)
{
	const char *p = name;

	for (;;) {
		const size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[n] == '\0')
			return strlen(name) <= CPIO_NAME_MAX &&
			       strcmp(name, TRAILER) != 0;
		p += n + 1;
	}
}

/* What is wrong with the entry beside its name, or NULL. */
static const char *entry_fault(const struct cpio_entry *n)
{
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		return n->size > CPIO_IMAGE_MAX ? "larger than an image may be"
						: NULL;
	case S_IFLNK:
		if (n->size == 0 || n->size > CPIO_TARGET_MAX ||
		    memchr(n->data, '\0', n->size))
			return "bad target of a symbolic link";
		return NULL;
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return n->size != 0 ? "this kind of file holds no bytes" : NULL;
	default:
		return "unknown kind of file";
	}
}

static int tree_grow(struct cpio_tree *t, struct err *e)
{
	struct cpio_node *nodes;
	size_t space = t->space ? t->space * 2 : 64;

	if (t->count < t->space)
		return 0;
	if (t->count >= CPIO_ENTRIES_MAX)
		return err_set(e, E2BIG, "more than %d files",
			       CPIO_ENTRIES_MAX);
	nodes = reallocarray(t->nodes, space, sizeof(*nodes));
	if (!nodes)
		return err_set(e, ENOMEM, "no memory for the image's files");
	t->nodes = nodes;
	t->space = space;
	return 0;
}

/* @name and, of a link, @data are the tree's from here on. */
static int tree_push(struct cpio_tree *t, const struct cpio_entry *entry,
		     enum cpio_rank rank, bool implied, struct err *e)
{
	int r = tree_grow(t, e);

	if (r < 0)
		return r;
	t->nodes[t->count] = (struct cpio_node){
		.entry = *entry,
		.seq = t->count,
		.rank = rank,
		.implied = implied,
	};
	t->count++;
	return 0;
}

int cpio_tree_add(struct cpio_tree *t, const struct cpio_entry *entry,
		  enum cpio_rank rank, struct err *e)
{
	struct cpio_entry copy = *entry;
	const char *name = entry->name + (entry->name[0] == '/');
	const char *fault = entry_fault(entry);

	if (strcmp(entry->name, "/") == 0 && S_ISDIR(entry->mode))
		name = "."; /* "/": the mode of the root itself */
	else if (!name_ok(name))
		return name_err(e, EINVAL, name, "not a name for an image");
	if (fault)
		return name_err(e, EINVAL, name, fault);

	copy.name = arena_strn(&t->names, name, strlen(name));
	if (S_ISLNK(entry->mode))
		copy.data = arena_strn(&t->names, entry->data, entry->size);
	if (!copy.name || (S_ISLNK(entry->mode) && !copy.data))
		return name_err(e, E2BIG, name, "too many names in one image");
	return tree_push(t, &copy, rank, false, e);
}

/* Every folder on the way to every entry; tree_settle() drops the surplus. */
static int tree_imply_parents(struct cpio_tree *t, struct err *e)
{
	const size_t count = t->count;

	for (size_t i = 0; i < count; i++) {
		const char *name = t->nodes[i].entry.name;
		const char *slash = name;
		const char *last = i ? t->nodes[i - 1].entry.name : "";

		while ((slash = strchr(slash, '/'))) {
			const size_t n = (size_t)(slash - name);
			struct cpio_entry dir = { .mode = S_IFDIR | 0755 };
			int r;

			slash++;
			/* The neighbour had it too: saves most of them. */
			if (strncmp(last, name, n + 1) == 0)
				continue;
			dir.name = arena_strn(&t->names, name, n);
			if (!dir.name)
				return name_err(e, E2BIG, name,
						"too many names in one image");
			r = tree_push(t, &dir, CPIO_WEAK, true, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int node_cmp(const void *va, const void *vb)
{
	const struct cpio_node *a = va;
	const struct cpio_node *b = vb;
	const int c = strcmp(a->entry.name, b->entry.name);

	if (c != 0)
		return c;
	if (a->implied != b->implied)
		return a->implied ? -1 : 1;
	if ((a->rank == CPIO_WEAK) != (b->rank == CPIO_WEAK))
		return a->rank == CPIO_WEAK ? -1 : 1;
	return a->seq < b->seq ? -1 : 1;
}

/* Of two nodes with one name, in order: may @b stand for both? */
static int node_supersede(const struct cpio_node *a, const struct cpio_node *b,
			  struct err *e)
{
	const bool dir_a = S_ISDIR(a->entry.mode);
	const bool dir_b = S_ISDIR(b->entry.mode);

	if (a->implied && !dir_b)
		return name_err(
			e, ENOTDIR, b->entry.name,
			"other files lie below it, but it is no folder");
	if ((dir_a && dir_b) || a->rank == CPIO_WEAK || b->rank == CPIO_REPLACE)
		return 0;
	return name_err(e, EEXIST, b->entry.name, "twice in the image");
}

/* Sorted, each name once. */
static int tree_settle(struct cpio_tree *t, struct err *e)
{
	size_t kept = 0;
	int r = tree_imply_parents(t, e);

	if (r < 0)
		return r;
	if (t->count)
		qsort(t->nodes, t->count, sizeof(*t->nodes), node_cmp);
	for (size_t i = 0; i < t->count; i++) {
		const struct cpio_node *n = &t->nodes[i];

		if (kept &&
		    strcmp(t->nodes[kept - 1].entry.name, n->entry.name) == 0) {
			r = node_supersede(&t->nodes[kept - 1], n, e);
			if (r < 0)
				return r;
			kept--;
		}
		t->nodes[kept++] = *n;
	}
	t->count = kept;
	return 0;
}

/* Where the bytes go, and how many went there. */
struct out {
	cpio_put_fn *put;
	void *arg;
	size_t len;
};

static int out_put(struct out *o, const void *buf, size_t len, struct err *e)
{
	int r;

	if (len > CPIO_IMAGE_MAX - o->len)
		return err_set(e, E2BIG, "the image passes %zu MiB",
			       CPIO_IMAGE_MAX / 1024 / 1024);
	r = len ? o->put(o->arg, buf, len, e) : 0;
	o->len += len;
	return r;
}

static int out_pad(struct out *o, struct err *e)
{
	return out_put(o, "\0\0\0", (4 - o->len % 4) % 4, e);
}

static int out_entry(struct out *o, const struct cpio_entry *n, uint32_t ino,
		     uint32_t mtime, struct err *e)
{
	char header[HEADER_LEN + 1];
	const size_t name_len = strlen(n->name) + 1;
	const uint32_t nlink = S_ISDIR(n->mode) ? 2 : 1;
	int r;

	(void)snprintf(header, sizeof(header),
		       "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x"
		       "%08x%08x",
		       ino, n->mode, 0u, 0u, nlink, mtime, (uint32_t)n->size,
		       0u, 0u, n->rdev_major, n->rdev_minor, (uint32_t)name_len,
		       0u);
	r = out_put(o, header, HEADER_LEN, e);
	if (r == 0)
		r = out_put(o, n->name, name_len, e);
	if (r == 0)
		r = out_pad(o, e);
	if (r == 0)
		r = out_put(o, n->data, n->size, e);
	if (r == 0)
		r = out_pad(o, e);
	return r;
}

int cpio_tree_write(struct cpio_tree *t, uint32_t mtime, cpio_put_fn *put,
		    void *arg, struct err *e)
{
	const struct cpio_entry trailer = { .name = TRAILER };
	struct out o = { .put = put, .arg = arg };
	int r = tree_settle(t, e);

	for (size_t i = 0; r == 0 && i < t->count; i++)
		r = out_entry(&o, &t->nodes[i].entry, (uint32_t)i + 1, mtime,
			      e);
	if (r == 0)
		r = out_entry(&o, &trailer, 0, 0, e);
	return r;
}

/* --- reader ------------------------------------------------------------- */

void cpio_reader_init(struct cpio_reader *r, const void *buf, size_t len)
{
	*r = (struct cpio_reader){ .buf = buf, .len = len };
}

static int bad(const struct cpio_reader *r, struct err *e, const char *what)
{
	return err_set(e, EINVAL, "byte %zu: %s", r->pos, what);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int header_parse(const uint8_t *p, uint32_t fields[FIELDS])
{
	for (size_t f = 0; f < FIELDS; f++) {
		fields[f] = 0;
		for (size_t i = 0; i < DIGITS; i++) {
			const int d = hex_digit(p[MAGIC_LEN + f * DIGITS + i]);

			if (d < 0)
				return -EINVAL;
			fields[f] = fields[f] << 4 | (uint32_t)d;
		}
	}
	return 0;
}

/* The kernel sums bytes of files in the variant with checksums. */
static bool sum_ok(const uint8_t *magic, const uint32_t *fields,
		   const uint8_t *data)
{
	uint32_t sum = 0;

	if (magic[MAGIC_LEN - 1] != '2' || !S_ISREG(fields[F_MODE]))
		return true;
	for (uint32_t i = 0; i < fields[F_FILESIZE]; i++)
		sum += data[i];
	return sum == fields[F_CHECK];
}

static size_t align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* The header at @pos and what follows it; 1, or what cpio_next() fails with. */
static int entry_read(struct cpio_reader *r, struct cpio_entry *entry,
		      struct err *e)
{
	const uint8_t *p = r->buf + r->pos;
	const size_t left = r->len - r->pos;
	uint32_t fields[FIELDS];
	size_t name_len;
	size_t data_at;

	if (left < MAGIC_LEN || (memcmp(p, "070701", MAGIC_LEN) != 0 &&
				 memcmp(p, "070702", MAGIC_LEN) != 0))
		return bad(r, e,
			   "no newc header (compressed, or another format)");
	if (left < HEADER_LEN)
		return bad(r, e, "the image ends inside a header");
	if (header_parse(p, fields) < 0)
		return bad(r, e, "a header field is not hexadecimal");

	/* 32-bit numbers added as size_t: nothing can wrap. */
	name_len = fields[F_NAMESIZE];
	if (name_len == 0 || name_len > CPIO_NAME_MAX + 1)
		return bad(r, e, "an entry's name is empty or too long");
	data_at = align4(HEADER_LEN + name_len);
	if (left < data_at || left - data_at < fields[F_FILESIZE])
		return bad(r, e, "the image ends inside an entry");
	if (p[HEADER_LEN + name_len - 1] != '\0' ||
	    strlen((const char *)p + HEADER_LEN) != name_len - 1)
		return bad(
			r, e,
			"an entry's name has a NUL elsewhere than at its end");
	if (!sum_ok(p, fields, p + data_at))
		return bad(r, e, "an entry's checksum is wrong");

	*entry = (struct cpio_entry){
		.name = (const char *)p + HEADER_LEN,
		.mode = fields[F_MODE],
		.rdev_major = fields[F_RDEV_MAJOR],
		.rdev_minor = fields[F_RDEV_MINOR],
		.data = p + data_at,
		.size = fields[F_FILESIZE],
	};
	/* The last entry's padding may be missing. */
	r->pos += align4(data_at + entry->size);
	if (r->pos > r->len)
		r->pos = r->len;
	return 1;
}

/* From a trailer to the next archive, as the kernel goes: over zero bytes. */
static int between(struct cpio_reader *r, struct err *e)
{
	while (r->pos < r->len && r->buf[r->pos] == '\0')
		r->pos++;
	if (r->pos < r->len && r->pos % 4 != 0)
		return bad(r, e,
			   "an archive does not begin at a multiple of 4");
	return 0;
}

int cpio_next(struct cpio_reader *r, struct cpio_entry *entry, struct err *e)
{
	int n = 0;

	if (r->len > CPIO_IMAGE_MAX)
		return err_set(e, E2BIG, "the image passes %zu MiB",
			       CPIO_IMAGE_MAX / 1024 / 1024);
	for (;;) {
		if (!r->open)
			n = between(r, e);
		if (n == 0 && r->pos >= r->len) {
			if (r->open)
				return bad(r, e, "an archive has no trailer");
			return r->archives ? 0 : bad(r, e, "no archive");
		}
		if (n == 0)
			n = entry_read(r, entry, e);
		if (n < 0)
			return n;
		r->open = strcmp(entry->name, TRAILER) != 0;
		if (r->open)
			break;
		r->archives++;
		n = 0;
	}
	if (++r->entries > CPIO_ENTRIES_MAX)
		return err_set(e, E2BIG, "more than %d files",
			       CPIO_ENTRIES_MAX);
	return 1;
}
