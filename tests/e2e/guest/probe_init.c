/*
 * tests/e2e/guest/probe_init.c - a PID 1 that shows what the kernel gave it
 *
 * Writes its arguments and environment to QEMU's debug port, each as a line of
 * hexadecimal digits, and ends QEMU. The port works whatever the command line
 * does to consoles, and needs no file system.
 */
#include <sys/io.h>
#include <unistd.h>

#define PORT_DEBUGCON 0xe9
#define PORT_EXIT 0xf4
/* isa-debug-exit makes (value << 1) | 1 of it. */
#define EXIT_VALUE 3

static void put(const char *s)
{
	for (; *s; s++)
		outb((unsigned char)*s, PORT_DEBUGCON);
}

static void put_hex(const char *s)
{
	static const char digits[] = "0123456789abcdef";

	for (; *s; s++) {
		outb((unsigned char)digits[(unsigned char)*s >> 4],
		     PORT_DEBUGCON);
		outb((unsigned char)digits[(unsigned char)*s & 15],
		     PORT_DEBUGCON);
	}
}

static void put_all(const char *tag, char *const *list)
{
	for (; *list; list++) {
		put(tag);
		put_hex(*list);
		put("\n");
	}
}

int main(int argc, char **argv, char **envp)
{
	(void)argc;
	/* All ports: ioperm() knows only the first 1024, which is enough. */
	if (ioperm(PORT_DEBUGCON, 1, 1) == 0 && ioperm(PORT_EXIT, 1, 1) == 0) {
		put("begin\n");
		put_all("argv ", argv);
		put_all("envp ", envp);
		put("end\n");
		outb(EXIT_VALUE, PORT_EXIT);
	}
	for (;;)
		(void)pause(); /* the harness has a deadline */
}
