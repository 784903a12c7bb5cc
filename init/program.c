#include "init/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"

/* Can this path be executed? */
static int check(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return access(path, X_OK) < 0 ? -errno : 0;
}

/* Tries each directory; the first program that can be executed wins. */
static int search_path(const char *name, const char *search,
		       char path[PROGRAM_PATH_MAX])
{
	int result = -ENOENT;

	while (*search) {
		const size_t len = strcspn(search, ":");
		const int n = snprintf(path, PROGRAM_PATH_MAX, "%.*s/%s",
				       (int)len, search, name);
		const int r =
			n < (int)PROGRAM_PATH_MAX ? check(path) : -ENAMETOOLONG;

		if (r == 0)
			return 0;
		if (r == -EACCES || r == -ENAMETOOLONG)
			result = r;
		search += len;
		search += *search == ':';
	}
	return result;
}

int program_find(const char *name, const char *search,
		 char path[PROGRAM_PATH_MAX], struct err *e)
{
	int r;

	if (strlen(name) >= PROGRAM_PATH_MAX) {
		r = -ENAMETOOLONG;
	} else if (strchr(name, '/')) {
		(void)snprintf(path, PROGRAM_PATH_MAX, "%s", name);
		r = check(path);
	} else {
		r = *name ? search_path(name, search, path) : -ENOENT;
	}
	if (r < 0)
		return err_set(e, -r, "%.128s: %s", name, strerror(-r));
	return 0;
}

/* One note, padded as the ABI says; return: its end, 0: cut or malformed. */
static size_t note_end(const unsigned char *at, size_t left, ElfW(Nhdr) * ret,
		       size_t *ret_desc)
{
	size_t name, desc;

	if (left < sizeof(*ret))
		return 0;
	memcpy(ret, at, sizeof(*ret));
	name = ((size_t)ret->n_namesz + 3) & ~(size_t)3;
	desc = ((size_t)ret->n_descsz + 3) & ~(size_t)3;
	if (name > left || desc > left || sizeof(*ret) + name + desc > left)
		return 0;
	*ret_desc = sizeof(*ret) + name;
	return *ret_desc + desc;
}

static uint32_t find_note(const unsigned char *at, size_t left)
{
	static const char owner[] = CONTROL_NOTE_OWNER;
	ElfW(Nhdr) n;
	uint32_t version;
	size_t desc, end;

	while ((end = note_end(at, left, &n, &desc)) > 0) {
		if (n.n_namesz == sizeof(owner) &&
		    n.n_descsz == sizeof(version) &&
		    memcmp(at + sizeof(n), owner, sizeof(owner)) == 0) {
			memcpy(&version, at + desc, sizeof(version));
			return version == CONTROL_VERSION ? n.n_type : 0;
		}
		at += end;
		left -= end;
	}
	return 0;
}

static uint32_t segment_note(int fd, const ElfW(Phdr) * p)
{
	unsigned char notes[PROGRAM_NOTES_MAX];
	size_t len = p->p_filesz < sizeof(notes) ? (size_t)p->p_filesz
						 : sizeof(notes);
	const ssize_t n = pread(fd, notes, len, (off_t)p->p_offset);

	return n > 0 ? find_note(notes, (size_t)n) : 0;
}

static bool is_native_elf(const ElfW(Ehdr) * h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 &&
	       h->e_ident[EI_CLASS] ==
		       (sizeof(h->e_entry) == 8 ? ELFCLASS64 : ELFCLASS32) &&
	       h->e_phentsize == sizeof(ElfW(Phdr)) &&
	       h->e_phnum <= PROGRAM_PHDRS_MAX;
}

uint32_t program_note(const char *path)
{
	cleanup_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ElfW(Ehdr) h;
	ElfW(Phdr) table[PROGRAM_PHDRS_MAX];
	size_t len;
	uint32_t type = 0;

	if (fd < 0 || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
	    !is_native_elf(&h))
		return 0;
	len = h.e_phnum * sizeof(table[0]);
	if (pread(fd, table, len, (off_t)h.e_phoff) != (ssize_t)len)
		return 0;
	for (size_t i = 0; i < h.e_phnum && type == 0; i++) {
		if (table[i].p_type == PT_NOTE)
			type = segment_note(fd, &table[i]);
	}
	return type;
}

static uint32_t note_of(const char *name, const char *search)
{
	char path[PROGRAM_PATH_MAX];

	return program_find(name, search, path, NULL) == 0 ? program_note(path)
							   : 0;
}

bool program_takes_control(char *const *argv, int agent, const char *search)
{
	if (agent < 0)
		return false;
	if (agent > 0 && note_of(argv[0], search) != CONTROL_NOTE_WRAPPER)
		return false;
	return note_of(argv[agent], search) == CONTROL_NOTE_AGENT;
}
