#include "tools/image_build.h"

/*
 * The modules that reach the host are loaded at boot, in the order of the
 * command-line specification 8.2. What serves disks is loaded when there is a
 * SCSI controller, what serves networks when there is a slot for a card; a UVM
 * that has neither starts a fifth sooner.
 */
#define SCSI "1af4:1004 1af4:1048" /* virtio-scsi, of both generations */
#define NIC "1b36:000c 1af4:1000 1af4:1041" /* QEMU's root port, virtio-net */

const char image_manifest_default[] =
	"# The default image of a utility VM.\n"
	"dir / 0755\n"
	"dir /dev 0755\n"
	"dir /etc 0755\n"
	"dir /mnt 0755\n"
	"dir /proc 0555\n"
	"dir /root 0700\n"
	"dir /run 0755\n"
	"dir /sys 0555\n"
	"dir /tmp 1777\n"
	"dir /var 0755\n"
	"nod /dev/console 0600 c 5 1\n"
	"file /init 0755 @init\n"
	"file /bin/vsockexec 0755 @vsockexec\n"
	"file /bin/gcs 0755 @gcs\n"
	"busybox /bin/busybox 0755 @busybox\n"
	"runtime /usr/bin/crun 0755 @runtime\n"
	"text /etc/passwd 0644 root:x:0:0:root:/root:/bin/sh\\n"
	"nobody:x:65534:65534:nobody:/:/bin/false\\n\n"
	"text /etc/group 0644 root:x:0:\\ntty:x:5:\\nnogroup:x:65534:\\n\n"
	"text /etc/hosts 0644 127.0.0.1 localhost\\n::1 localhost\\n\n"
	/* Tells the agent what it got, see bridge/guest/dhcp.h. */
	"text /sbin/udhcpc_config.script 0755 #!/bin/sh\\n"
	"case $1 in bound|renew) ;; *) exit 0 ;; esac\\n"
	"line=\"ferry-lease ip=$ip mask=$mask\"\\n"
	"for r in $router; do line=\"$line router=$r\"; done\\n"
	"echo \"$line\"\\n\n"
	"module virtio_pci\n"
	"module vmw_vsock_virtio_transport\n"
	"module virtio_scsi if " SCSI "\n"
	"module sd_mod if " SCSI "\n"
	"module erofs if " SCSI "\n"
	"module overlay if " SCSI "\n"
	"module virtio_net if " NIC "\n"
	"module virtio_blk later\n"
	"module virtio_console later\n"
	"module squashfs later\n";
