#include "tools/qemu/vcpus.h"

#include <stdbool.h>
#include <string.h>

#include "bridge/io/log.h"
#include "config/util.h"

#define LINE_MAX_BYTES 1024
#define HEX "0123456789abcdefABCDEF"

/* The value behind @name where @line has it at the begin of a word. */
static const char *value_of(const char *line, size_t len, const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 0; i + n <= len; i++)
		if ((i == 0 || line[i - 1] == ' ') &&
		    memcmp(line + i, name, n) == 0)
			return line + i + n;
	return NULL;
}

static void place(const char *line, size_t len, struct text *t)
{
	static const char *const names[] = { "RIP=", "EIP=", "PC=" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *at = value_of(line, len, names[i]);

		if (!at)
			continue;
		text_addc(t, '=');
		text_addn(t, at, strspn(at, HEX));
		break;
	}
	if (value_of(line, len, "HLT=1"))
		text_add(t, " halted");
}

void vcpus_print(const char *registers, struct text *t)
{
	static const char head[] = "CPU#";
	unsigned int cpus = 0;

	for (const char *line = registers; *line != '\0';) {
		const size_t len = strcspn(line, "\r\n");
		const char *number = line + strlen(head);

		if (strncmp(line, head, strlen(head)) == 0) {
			if (++cpus > VCPUS_MAX)
				return;
			text_add(t, " cpu");
			text_addn(t, number, strspn(number, "0123456789"));
		} else if (cpus > 0) {
			place(line, len, t);
		}
		line += len + strspn(line + len, "\r\n");
	}
}

static void on_registers(void *ctx UNUSED, int result UNUSED,
			 const struct qmp_data *data,
			 const struct err *e UNUSED)
{
	const char *registers = qmp_data_text(data, "");
	char buf[LINE_MAX_BYTES];
	struct text t;

	if (!registers)
		return;
	text_fixed(&t, buf, sizeof(buf));
	vcpus_print(registers, &t);
	log_warn("processors of the guest:%s", text_str(&t));
}

void vcpus_log(struct qmp *q)
{
	(void)qmp_send(q, "human-monitor-command",
		       "{\"command-line\":\"info registers -a\"}",
		       VCPUS_ANSWER_MS, on_registers, NULL, NULL);
}
