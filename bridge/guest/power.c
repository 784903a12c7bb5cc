#include "bridge/guest/power.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* The inode of the initial pid namespace (kernel, PROC_PID_INIT_INO). */
#define INITIAL_PID_NS "pid:[4026531836]"

static bool is_vsock(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       domain == AF_VSOCK;
}

static bool has_cid(void)
{
	cleanup_fd fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
	unsigned int cid = VMADDR_CID_ANY;

	return fd >= 0 &&
	       ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0 &&
	       cid != VMADDR_CID_ANY && cid > VMADDR_CID_HOST;
}

static bool in_initial_pid_namespace(void)
{
	char name[64];
	const ssize_t n = readlink("/proc/self/ns/pid", name, sizeof(name) - 1);

	if (n < 0)
		return false;
	name[n] = '\0';
	return strcmp(name, INITIAL_PID_NS) == 0;
}

bool power_is_ours(int fd)
{
	return geteuid() == 0 && is_vsock(fd) && has_cid() &&
	       in_initial_pid_namespace();
}

void power_off(void)
{
	log_info("powering off");
	sync();
	if (reboot(RB_POWER_OFF) < 0)
		log_err("power off failed");
}
