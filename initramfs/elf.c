#include "initramfs/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

/* The file and its header. */
struct file {
	const char *bytes;
	size_t len;
	Elf64_Ehdr head;
};

static bool inside(const struct file *f, uint64_t at, uint64_t n)
{
	return at <= f->len && n <= f->len - at;
}

static int damaged(struct err *e)
{
	return err_set(e, EINVAL, "a damaged ELF file");
}

static int read_head(struct file *f, struct err *e)
{
	if (f->len < sizeof(f->head))
		return err_set(e, EINVAL, "not an ELF file");
	(void)memcpy(&f->head, f->bytes, sizeof(f->head));
	if (memcmp(f->head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    f->head.e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(e, EINVAL, "not a 64-bit ELF file");
	if (f->head.e_machine != MACHINE ||
	    (f->head.e_type != ET_EXEC && f->head.e_type != ET_DYN))
		return err_set(e, EINVAL,
			       "not a program or library of this machine");
	if (f->head.e_phentsize != sizeof(Elf64_Phdr) ||
	    !inside(f, f->head.e_phoff,
		    (uint64_t)f->head.e_phnum * sizeof(Elf64_Phdr)))
		return damaged(e);
	return 0;
}

static Elf64_Phdr segment(const struct file *f, size_t i)
{
	Elf64_Phdr p;

	(void)memcpy(&p, f->bytes + f->head.e_phoff + i * sizeof(p), sizeof(p));
	return p;
}

/* The first segment of @type; false: it has none. */
static bool find_segment(const struct file *f, uint32_t type, Elf64_Phdr *ret)
{
	for (size_t i = 0; i < f->head.e_phnum; i++) {
		*ret = segment(f, i);
		if (ret->p_type == type)
			return true;
	}
	return false;
}

/* A name that ends inside the file and is neither empty nor too long. */
static const char *name_at(const struct file *f, uint64_t at)
{
	const char *name;
	size_t n;

	if (at >= f->len)
		return NULL;
	name = f->bytes + at;
	n = strnlen(name, f->len - at);
	return n > 0 && n <= ELF_NAME_MAX && n < f->len - at ? name : NULL;
}

/* Where in the file the byte is that the loader puts at @address. */
static bool offset_of(const struct file *f, uint64_t address, uint64_t *ret)
{
	for (size_t i = 0; i < f->head.e_phnum; i++) {
		const Elf64_Phdr p = segment(f, i);

		if (p.p_type == PT_LOAD && address >= p.p_vaddr &&
		    address - p.p_vaddr < p.p_filesz && p.p_offset <= f->len) {
			*ret = p.p_offset + (address - p.p_vaddr);
			return true;
		}
	}
	return false;
}

static Elf64_Dyn dynamic(const struct file *f, const Elf64_Phdr *p, size_t i)
{
	Elf64_Dyn d;

	(void)memcpy(&d, f->bytes + p->p_offset + i * sizeof(d), sizeof(d));
	return d;
}

static int read_needed(const struct file *f, const Elf64_Phdr *p,
		       struct elf_needs *ret, struct err *e)
{
	const size_t n = p->p_filesz / sizeof(Elf64_Dyn);
	uint64_t strings = 0;
	bool found = false;

	for (size_t i = 0; i < n && dynamic(f, p, i).d_tag != DT_NULL; i++)
		if (dynamic(f, p, i).d_tag == DT_STRTAB)
			found = offset_of(f, dynamic(f, p, i).d_un.d_ptr,
					  &strings);
	for (size_t i = 0; i < n && dynamic(f, p, i).d_tag != DT_NULL; i++) {
		const Elf64_Dyn d = dynamic(f, p, i);
		const char *name;
		uint64_t at;

		if (d.d_tag != DT_NEEDED)
			continue;
		if (!found ||
		    __builtin_add_overflow(strings, d.d_un.d_val, &at))
			return damaged(e);
		name = name_at(f, at);
		if (!name || strchr(name, '/'))
			return damaged(e);
		if (ret->count == ELF_NEEDED_MAX)
			return err_set(e, E2BIG, "needs more than %d libraries",
				       ELF_NEEDED_MAX);
		ret->needed[ret->count++] = name;
	}
	return 0;
}

int elf_needs_read(const void *elf, size_t len, struct elf_needs *ret,
		   struct err *e)
{
	struct file f = { .bytes = elf, .len = len };
	struct elf_needs needs = { 0 };
	Elf64_Phdr p;
	int r = read_head(&f, e);

	if (r < 0)
		return r;
	if (find_segment(&f, PT_INTERP, &p)) {
		needs.interp = name_at(&f, p.p_offset);
		if (!needs.interp || needs.interp[0] != '/')
			return damaged(e);
	}
	if (find_segment(&f, PT_DYNAMIC, &p)) {
		if (!inside(&f, p.p_offset, p.p_filesz))
			return damaged(e);
		r = read_needed(&f, &p, &needs, e);
	}
	if (r == 0)
		*ret = needs;
	return r;
}
