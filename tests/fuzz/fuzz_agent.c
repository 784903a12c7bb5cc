/*
 * tests/fuzz/fuzz_agent.c - any requests to a whole agent, carried out
 *
 * A line of the input is a request: a letter for its type, a blank, its body,
 * in which @P stands for the process that was started last. Small letters are
 * the host's: c ends its connection, t lets time pass. The agent is the real
 * one with all its handlers and children, but no program is ever executed: the
 * runtime is played by execve() below, and others end at once.
 *
 * All of it happens in an empty root on a tmpfs of our own, in namespaces of our
 * own, without the rights to switch off the machine or to set its clock. Where
 * that cannot be had nothing is tried.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "bridge/guest/agent.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/io/transport.h"
#include "bridge/wire.h"
#include "config/util.h"

#define SCRATCH "/tmp/ferry-fuzz-agent"
#define TURN_MS 1
#define PATIENCE_TURNS 15 /* until the next request, answered or not */
#define ASKED_MAX 48u
#define BODY_MAX 32768u
#define LIFE_MS 120 /* of a process */

const unsigned int fuzz_runs = 100;

enum isolation { UNTRIED, DONE, NONE };

static enum isolation isolation;
static struct transport transport;
static int listener = -1;

/* The search for leaks needs /proc, which is not in our root. */
int __lsan_is_turned_off(void); /* NOLINT: the sanitizer's name */
int __lsan_is_turned_off(void)	/* NOLINT: likewise */
{
	return 1;
}

/* --- what the agent must not do, and what does not happen ------------------- */

int reboot(int how)
{
	(void)how;
	abort(); /* never: the agent knows that it is in no UVM */
}

void sync(void)
{
}

int kill(pid_t pid, int number)
{
	FUZZ_CHECK(pid > 1 || pid < -1); /* all processes, or ours */
	return (int)syscall(SYS_kill, pid, number);
}

static bool ends_with(const char *text, const char *end)
{
	const size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* The process of a container; its parent may be in the agent's memory. */
__attribute__((no_sanitize("address", "undefined"))) static long life(void)
{
	const struct timespec t = { .tv_nsec = LIFE_MS * 1000000L };
	const long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid != 0)
		return pid;
	(void)syscall(SYS_nanosleep, &t, NULL);
	(void)syscall(SYS_exit_group, 3);
	return 0;
}

/* A runtime that does what it is told; other programs are tired at once. */
__attribute__((no_sanitize("address", "undefined"))) int
execve(const char *path, char *const *argv, char *const *envp)
{
	const char *pid_file = NULL;
	char number[24];

	(void)envp;
	for (size_t i = 0; argv[i] && ends_with(path, "/crun"); i++)
		if (strcmp(argv[i], "--pid-file") == 0)
			pid_file = argv[i + 1];
	if (pid_file) {
		const int fd =
			open(pid_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		const int n = snprintf(number, sizeof(number), "%ld", life());

		(void)!write(fd, number, (size_t)n);
	}
	_exit(0);
}

/* --- a place of our own ----------------------------------------------------- */

/* Of root's rights those for files, mounts and users. */
static bool drop_rights(void)
{
	const uint32_t kept = 1u << CAP_SYS_ADMIN | 1u << CAP_DAC_OVERRIDE |
			      1u << CAP_FOWNER | 1u << CAP_CHOWN |
			      1u << CAP_SETUID | 1u << CAP_SETGID;
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	const struct __user_cap_data_struct d[2] = {
		{ kept, kept, 0 },
		{ 0, 0, 0 },
	};

	return syscall(SYS_capset, &h, d) == 0;
}

static void put_file(const char *path, mode_t mode)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

	FUZZ_CHECK(fd >= 0);
	(void)close(fd);
}

static bool own_root(void)
{
	(void)mkdir(SCRATCH, 0700);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) <
		    0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("fuzz", SCRATCH, "tmpfs", 0, "size=64m") < 0 ||
	    chroot(SCRATCH) < 0)
		return false;
	/* Our working directory stays outside: findings are written there. */
	(void)mkdir("/bin", 0755);
	(void)mkdir("/dev", 0755);
	(void)mkdir("/run", 0755);
	(void)mkdir("/tmp", 0755);
	put_file("/bin/crun", 0755);
	put_file("/bin/sh", 0755);
	put_file("/dev/null", 0666); /* no device, and good enough */
	return drop_rights();
}

static bool isolated(void)
{
	if (isolation == UNTRIED) {
		log_setup(STDERR_FILENO, LOG_FORM_TEXT, LOG_LEVEL_ERR);
		(void)signal(SIGPIPE, SIG_IGN);
		FUZZ_CHECK(setenv("PATH", "/bin", 1) == 0);
		isolation = own_root() ? DONE : NONE;
		if (isolation == NONE)
			(void)fprintf(stderr, "no namespaces: not tried\n");
	}
	return isolation == DONE;
}

/* An empty /run, where everything of containers and volumes is. */
static void fresh_run(void)
{
	static const char *const folders[] = {
		"/run/gcs",	      "/run/gcs/c",
		"/run/gcs/c/f",	      "/run/gcs/c/f/rootfs",
		"/run/gcs/c/w",	      "/run/gcs/c/w/rootfs",
		"/run/mounts",	      "/run/mounts/scsi",
		"/run/mounts/scsi/a", "/run/mounts/scsi/b",
	};

	while (umount2("/run", MNT_DETACH) == 0)
		;
	FUZZ_CHECK(mount("run", "/run", "tmpfs", 0, NULL) == 0);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		FUZZ_CHECK(mkdir(folders[i], 0755) == 0);
}

/* --- the host --------------------------------------------------------------- */

/**
 * struct host - the input, and how far it is
 * @pid:	that started last, as text
 * @sent:	requests; ids are 0 and up
 * @answers:	to each of them
 */
struct host {
	struct agent *agent;
	const char *at;
	const char *end;
	int fd;
	unsigned int patience;
	unsigned int sent;
	unsigned char answers[ASKED_MAX + 1];
	unsigned int open;
	char pid[16];
	struct loop_id timer;
	uint8_t in[WIRE_GUEST_FRAME_MAX];
	size_t n_in;
};

static struct host host;

static void hang_up(void)
{
	fd_close(&host.fd);
	host.n_in = 0;
	host.open = 0; /* an answer may have been under way: not waited for */
}

static void take_answer(const struct wire_header *h, const char *body)
{
	const char *pid = strstr(body, "\"ProcessId\":");

	FUZZ_CHECK(wire_kind(h->type) == WIRE_RESPONSE ||
		   wire_kind(h->type) == WIRE_NOTIFICATION);
	if (wire_kind(h->type) == WIRE_NOTIFICATION)
		return;
	FUZZ_CHECK(h->id < host.sent);
	FUZZ_CHECK(host.answers[h->id] == 0);
	host.answers[h->id] = 1;
	host.open -= host.open > 0;
	if (pid)
		(void)snprintf(host.pid, sizeof(host.pid), "%ld",
			       strtol(pid + 12, NULL, 10));
}

static void hear(void)
{
	ssize_t n;

	while (host.fd >= 0 &&
	       (n = recv(host.fd, host.in + host.n_in,
			 sizeof(host.in) - host.n_in, MSG_DONTWAIT)) >= 0) {
		if (n == 0) {
			hang_up();
			return;
		}
		host.n_in += (size_t)n;
		while (host.n_in >= WIRE_HEADER_SIZE) {
			const struct wire_header h = wire_header_get(host.in);
			char saved;

			FUZZ_CHECK(h.size >= WIRE_HEADER_SIZE &&
				   h.size <= WIRE_GUEST_FRAME_MAX);
			if (host.n_in < h.size || h.size == sizeof(host.in))
				break;
			saved = (char)host.in[h.size];
			host.in[h.size] = '\0';
			take_answer(&h,
				    (const char *)host.in + WIRE_HEADER_SIZE);
			host.in[h.size] = (uint8_t)saved;
			host.n_in -= h.size;
			memmove(host.in, host.in + h.size, host.n_in);
		}
	}
}

static void ask(uint32_t type, const char *body, size_t len)
{
	static uint8_t frame[WIRE_HEADER_SIZE + BODY_MAX];
	const struct wire_header h = {
		.type = type,
		.size = (uint32_t)(WIRE_HEADER_SIZE + len),
		.id = host.sent,
	};

	if (host.fd < 0 || host.sent == ASKED_MAX)
		return;
	wire_header_put(frame, &h);
	memcpy(frame + WIRE_HEADER_SIZE, body, len);
	if (fd_write_full(host.fd, frame, h.size) < 0) {
		hang_up();
		return;
	}
	host.answers[host.sent++] = 0;
	host.open++;
	host.patience = PATIENCE_TURNS;
}

static void negotiate(void)
{
	static const char body[] = "{\"MinimumVersion\":4,"
				   "\"MaximumVersion\":4}";

	ask(WIRE_NEGOTIATE_PROTOCOL, body, sizeof(body) - 1);
}

static void meet(void)
{
	int fd = -1;

	if (host.fd >= 0 ||
	    transport_accept(&transport, listener, &fd, NULL) < 0)
		return;
	FUZZ_CHECK(fd_nonblock(fd, false) == 0);
	host.fd = fd;
	negotiate();
}

static uint32_t type_of(char letter)
{
	static const uint32_t types[] = {
		['C'] = WIRE_CREATE,
		['D'] = WIRE_DUMP_STACKS,
		['E'] = WIRE_DELETE_CONTAINER_STATE,
		['F'] = WIRE_SHUTDOWN_FORCED,
		['G'] = WIRE_SHUTDOWN_GRACEFUL,
		['K'] = WIRE_SIGNAL_PROCESS,
		['L'] = WIRE_LIFECYCLE_NOTIFICATION,
		['M'] = WIRE_MODIFY_SETTINGS,
		['N'] = WIRE_NEGOTIATE_PROTOCOL,
		['P'] = WIRE_GET_PROPERTIES,
		['R'] = WIRE_RESIZE_CONSOLE,
		['S'] = WIRE_START,
		['U'] = WIRE_UPDATE_CONTAINER,
		['V'] = WIRE_MODIFY_SERVICE_SETTINGS,
		['W'] = WIRE_WAIT_FOR_PROCESS,
		['X'] = WIRE_EXECUTE_PROCESS,
	};

	if ((unsigned char)letter < ARRAY_LEN(types) &&
	    types[(unsigned char)letter] != 0)
		return types[(unsigned char)letter];
	return 0x10000000u | (uint32_t)(unsigned char)letter << 8 | 1;
}

/* The body with the pid in it. */
static void ask_line(const char *line, size_t len)
{
	static char body[BODY_MAX];
	size_t n = 0;

	for (size_t i = 2; i < len && n + sizeof(host.pid) < BODY_MAX; i++) {
		if (line[i] == '@' && i + 1 < len && line[i + 1] == 'P') {
			memcpy(body + n, host.pid, strlen(host.pid));
			n += strlen(host.pid);
			i++;
		} else {
			body[n++] = line[i];
		}
	}
	ask(type_of(line[0]), body, n);
}

static void on_turn(void *ctx);

static void again(void)
{
	struct loop *l = host.agent->loop;

	FUZZ_CHECK(loop_at(l, loop_now_ms(l) + TURN_MS, on_turn, NULL,
			   &host.timer, NULL) == 0);
}

static void on_turn(void *ctx)
{
	const char *line = host.at;
	const char *stop;

	(void)ctx;
	meet();
	hear();
	again();
	if (host.patience > 0 && (host.open > 0 || host.fd < 0)) {
		host.patience--;
		return;
	}
	if (host.at >= host.end) {
		host.agent->stopped = true;
		return;
	}
	stop = memchr(line, '\n', (size_t)(host.end - line));
	host.at = stop ? stop + 1 : host.end;
	stop = stop ? stop : host.end;
	host.patience = PATIENCE_TURNS;
	if (stop - line == 1 && *line == 'c')
		hang_up();
	else if (stop - line == 1 && *line == 't')
		host.open += host.open == 0; /* until patience ends */
	else if (stop - line >= 2)
		ask_line(line, (size_t)(stop - line));
}

/* --- one input -------------------------------------------------------------- */

static void end_children(void)
{
	const struct timespec t = { .tv_nsec = 1000000L };

	for (int i = 0; i < 3 * LIFE_MS; i++) {
		const pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0)
			(void)nanosleep(&t, NULL);
	}
}

static void one_life(const uint8_t *data, size_t size)
{
	struct flags f = { .v4 = true,
			   .log_level = LOG_LEVEL_ERR,
			   .log_file = "",
			   .core_pattern = "",
			   .transport = transport };
	struct agent *a = NULL;
	struct err e = { 0 };

	FUZZ_CHECK(agent_new(&f, &a, &e) == 0);
	host = (struct host){ .agent = a,
			      .at = (const char *)data,
			      .end = (const char *)data + size,
			      .fd = -1,
			      .pid = "1",
			      .patience = PATIENCE_TURNS };
	again();
	FUZZ_CHECK(agent_run(a, &e) == 0);
	fd_close(&host.fd);
	agent_free(a);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct err e = { 0 };

	if (!isolated())
		return 0;
	fresh_run();
	FUZZ_CHECK(transport_parse("unix:/run/v", &transport, &e) == 0);
	FUZZ_CHECK(transport_listen(&transport, WIRE_PORT_BRIDGE, 8, &listener,
				    &e) == 0);
	FUZZ_CHECK(fd_nonblock(listener, true) == 0);
	one_life(data, size);
	fd_close(&listener);
	end_children();
	return 0;
}
