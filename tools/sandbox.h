/*
 * tools/sandbox.h - one booted UVM with its bridge
 *
 * Order of steps: a folder for sockets; listeners on every port that the guest
 * will dial (entropy, the log in classic and relay mode, the bridge); QEMU;
 * negotiation. Then the owner makes calls on sandbox_client() until it asks for
 * the end or the UVM ends by itself. ended() is called once, when QEMU is gone.
 * An agent that dies and is started again finds the same ports open.
 */
#ifndef FERRY_TOOLS_SANDBOX_H
#define FERRY_TOOLS_SANDBOX_H

#include <stdint.h>

#include "bridge/host/client.h"
#include "bridge/host/logport.h"
#include "bridge/io/loop.h"
#include "config/err.h"
#include "config/options.h"
#include "config/text.h"
#include "tools/qemu/accel.h"
#include "tools/qemu/vm_move.h"
#include "tools/qemu/plug.h"
#include "tools/qemu/vhost.h"
#include "tools/qemu/vm.h"

/* Default time from the start of QEMU to a negotiated bridge. */
#define SANDBOX_BOOT_MS 120000
/* A lost bridge of a booted UVM has this long to come back. */
#define SANDBOX_RECONNECT_MS 60000

/* Moments in the life of a sandbox, in their order. */
enum sandbox_phase {
	SANDBOX_STARTED, /* QEMU runs */
	SANDBOX_SEEDED,	 /* init has its entropy: kernel and modules are up */
	SANDBOX_READY,	 /* the agent has negotiated */
	SANDBOX_OFF,	 /* the guest has powered off */
	SANDBOX_GONE,	 /* QEMU has ended */
	SANDBOX_PHASES,	 /* number of phases */
};

/**
 * struct sandbox_config - what to boot; borrowed for the life of the sandbox
 * @loop:	event loop
 * @options:	validated options
 * @line:	kernel command line made from them
 * @qemu:	QEMU program, NULL: "qemu-system-x86_64"
 * @kernel:	path of the kernel
 * @image:	path of the initramfs
 * @vhost_lib:	path of ferry's vsock library, for VHOST_USER
 * @accel:	accelerator, ACCEL_AUTO is settled here
 * @machine:	see struct qemu_options
 * @vsock:	backend, VHOST_AUTO is settled here
 * @scsi:	SCSI controllers for disks to be plugged, at most QEMU_SCSI_MAX
 * @nics:	ports for network cards to be plugged, at most QEMU_NICS_MAX
 * @incoming:	a destination: QEMU waits for a guest that moves here, and
 *		nobody waits for its bridge
 * @session:	ask the agent for a session: calls and streams outlive connections
 * @saved:	with @incoming: the session of the source; NULL: another begins
 * @waiting:	QEMU can be spoken to, the guest boots or has to come; may be NULL
 * @moved:	what QEMU says of a migration; may be NULL
 * @boot_timeout_ms: 0: SANDBOX_BOOT_MS
 * @console_fd:	where the output of the UVM's console goes, -1: nowhere. Used
 *		when the options have a console
 * @phase:	a moment has come, each at most once; may be NULL
 * @ready:	the bridge stands for the first time
 * @log:	a line of the agent's log (classic, relay); may be NULL
 * @ended:	last callback. @why is NULL when the guest powered off after
 *		sandbox_shutdown(), else what happened
 * @ctx:	passed to all
 *
 * The sandbox must not be freed from within a callback.
 */
struct sandbox_config {
	struct loop *loop;
	const struct sandbox_options *options;
	const char *line;
	const char *qemu;
	const char *machine;
	const char *kernel;
	const char *image;
	const char *vhost_lib;
	enum accel accel;
	enum vhost_backend vsock;
	uint32_t scsi;
	uint32_t nics;
	bool incoming;
	bool session;
	const void *saved;
	size_t saved_len;
	void (*waiting)(void *ctx);
	vm_move_note_fn *moved;
	int boot_timeout_ms;
	int console_fd;
	void (*phase)(void *ctx, enum sandbox_phase phase);
	void (*ready)(void *ctx);
	host_log_fn *log;
	void (*ended)(void *ctx, const struct err *why);
	void *ctx;
};

struct sandbox;

/**
 * sandbox_new() - boot a UVM
 * @c:		what; borrowed until sandbox_free()
 * @ret:	receives the sandbox
 * @e:		reason
 *
 * Return: 0: ended() will be called; -errno: nothing is left over
 */
int sandbox_new(const struct sandbox_config *c, struct sandbox **ret,
		struct err *e);

/**
 * sandbox_shutdown() - ask the guest to power off, then insist
 *
 * Within a few seconds the guest, then QEMU, then the kernel is asked.
 */
void sandbox_shutdown(struct sandbox *s);

/** sandbox_kill() - end it now, without asking the guest */
void sandbox_kill(struct sandbox *s);

/** sandbox_free() - end what is left, remove the folder; NULL is fine */
void sandbox_free(struct sandbox *s);

/** sandbox_client() - the bridge; NULL once the sandbox is ending */
struct host_client *sandbox_client(const struct sandbox *s);

/** sandbox_vm() - the QEMU process, for its monitor and its end */
struct vm *sandbox_vm(const struct sandbox *s);

/** sandbox_plug() - its disks and cards; from ready() to sandbox_free() */
struct plug *sandbox_plug(const struct sandbox *s);

/** sandbox_move() - its migration; as above, with incoming from waiting() on */
struct vm_move *sandbox_move(const struct sandbox *s);

/** sandbox_dir() - its folder, for files that go when it does */
const char *sandbox_dir(const struct sandbox *s);

/** sandbox_describe() - lines about it for people: phases, bridge, last error of
 * the agent */
void sandbox_describe(const struct sandbox *s, struct text *out);

/** sandbox_end_word() - the kind of an end that nobody asked for, REMAINS_* */
const char *sandbox_end_word(const struct sandbox *s);

/** sandbox_accel(), sandbox_vsock() - what was settled on */
enum accel sandbox_accel(const struct sandbox *s);
enum vhost_backend sandbox_vsock(const struct sandbox *s);

/** sandbox_phase_name() - for people and for --json, for example "ready" */
const char *sandbox_phase_name(enum sandbox_phase phase);

#endif
