#include "init/reserve.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "config/num.h"
#include "init/file.h"

#define MEMINFO_MAX 4096u

static int kept_fd = -1, meminfo_fd = -1;
static char text[MEMINFO_MAX];

/* The same descriptor again and again: its buffer is there already. */
static bool read_meminfo(void)
{
	const ssize_t n = pread(meminfo_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

void reserve_open(const char *kept, const char *meminfo)
{
	kept_fd = open(kept, O_WRONLY | O_CLOEXEC);
	meminfo_fd = open(meminfo, O_RDONLY | O_CLOEXEC);
	(void)read_meminfo(); /* for the buffer alone */
}

void reserve_give(void)
{
	static const char few[] = "256\n";

	if (write(kept_fd, few, sizeof(few) - 1) < 0)
		return; /* then it is the end that it would have been */
}

bool reserve_short(void)
{
	static const char key[] = "\nMemAvailable:";
	const char *word;
	uint32_t kib;
	char *at;

	if (!read_meminfo())
		return false;
	at = strstr(text, key);
	if (!at)
		return false;
	at += sizeof(key) - 1;
	word = file_word(&at, " \n");
	return word && num_u32(word, 0, UINT32_MAX, &kib, NULL) == 0 &&
	       kib < RESERVE_SHORT_KIB;
}
