/*
 * tests/fuzz/fuzz_note.c - PID 1's reader of the ELF note, on any file
 *
 * The bytes are the program. No fault, no long walk, and never a note that is
 * not there.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "init/program.h"

/* A file of our own, which has a path and costs no disk. */
static int file_of(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz_note", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
	return fd;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	char path[64];
	uint32_t type;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d",
		       file_of(data, size));
	type = program_note(path);
	if (type != 0)
		FUZZ_CHECK(memmem(data, size, CONTROL_NOTE_OWNER,
				  sizeof(CONTROL_NOTE_OWNER)));
	return 0;
}
