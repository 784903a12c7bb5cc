/*
 * tests/e2e/qmp_move.c - move a VM from one QEMU to another, or begin to
 *
 * qmp_move SOURCE DESTINATION URI        a migration, then source quits
 * qmp_move SOURCE DESTINATION URI cancel called off just before the switch
 *
 * SOURCE and DESTINATION are QMP sockets; DESTINATION was started with
 * -incoming URI. The guest stands meanwhile: QEMU before 9.0 loses stores of one
 * that TCG runs while it copies (docs/migration.md).
 */
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TRIES 6000
#define PAUSE_MS 10

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "qmp_move: %s\n", what);
	exit(1);
}

struct qmp {
	int fd;
	FILE *in;
};

/* The answer to a command; events in between are skipped. */
static const char *ask(const struct qmp *q, const char *command)
{
	static char line[65536];

	if (dprintf(q->fd, "%s\n", command) < 0)
		die("write");
	while (fgets(line, sizeof(line), q->in) != NULL) {
		if (strncmp(line, "{\"error\"", 8) == 0)
			die(line);
		if (strncmp(line, "{\"return\"", 9) == 0)
			return line;
	}
	die("end of file");
}

static struct qmp qmp_open(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct qmp q = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (q.fd < 0 ||
	    connect(q.fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		die(path);
	q.in = fdopen(q.fd, "r");
	if (q.in == NULL)
		die("fdopen");
	(void)ask(&q, "{\"execute\":\"qmp_capabilities\"}");
	return q;
}

/* Ask until the answer has @word in it. */
static void wait_for(const struct qmp *q, const char *command, const char *word)
{
	for (int i = 0; i < TRIES; i++) {
		const char *answer = ask(q, command);

		if (strstr(answer, word) != NULL)
			return;
		if (strstr(answer, "\"status\": \"failed\"") != NULL)
			die(answer);
		(void)poll(NULL, 0, PAUSE_MS);
	}
	die(word);
}

#define MIGRATE_STATE "{\"execute\":\"query-migrate\"}"
#define CONTINUE "{\"execute\":\"cont\"}"
#define RUN_STATE "{\"execute\":\"query-status\"}"

static void begin(const struct qmp *source, const char *uri)
{
	char command[256];

	(void)ask(source,
		  "{\"execute\":\"migrate-set-capabilities\",\"arguments\":"
		  "{\"capabilities\":[{\"capability\":"
		  "\"pause-before-switchover\",\"state\":true}]}}");
	(void)ask(source, "{\"execute\":\"migrate-set-parameters\","
			  "\"arguments\":{\"max-bandwidth\":10737418240}}");
	(void)ask(source, "{\"execute\":\"stop\"}");
	(void)snprintf(command, sizeof(command),
		       "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"%s\"}"
		       "}",
		       uri);
	(void)ask(source, command);
	wait_for(source, MIGRATE_STATE, "\"pre-switchover\"");
}

int main(int argc, char **argv)
{
	struct qmp source, destination;

	if (argc < 4)
		return 2;
	source = qmp_open(argv[1]);
	destination = qmp_open(argv[2]);
	wait_for(&destination, RUN_STATE, "\"inmigrate\"");
	begin(&source, argv[3]);
	if (argc > 4) {
		(void)ask(&source, "{\"execute\":\"migrate_cancel\"}");
		wait_for(&source, MIGRATE_STATE, "\"cancelled\"");
		(void)ask(&source, CONTINUE);
		wait_for(&source, RUN_STATE, "\"running\"");
		return 0;
	}
	(void)ask(&source, "{\"execute\":\"migrate-continue\",\"arguments\":"
			   "{\"state\":\"pre-switchover\"}}");
	wait_for(&source, MIGRATE_STATE, "\"completed\"");
	wait_for(&destination, RUN_STATE, "\"paused\"");
	(void)ask(&destination, CONTINUE);
	wait_for(&destination, RUN_STATE, "\"running\"");
	(void)ask(&source, "{\"execute\":\"quit\"}");
	return 0;
}
