#include "tools/qemu/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/util.h"

/* Members that say what an event is about. */
static const char *const members[] = {
	"status", "reason", "action", "device", "node-name", "path",
};

void history_add(struct history *h, const char *name,
		 const struct qmp_data *data, int64_t now_ms)
{
	char buf[HISTORY_LINE_MAX];
	struct text t;
	size_t at;

	text_fixed(&t, buf, sizeof(buf));
	text_quote(&t, name, 48);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const char *value = qmp_data_text(data, members[i]);

		if (!value || strlen(value) > 48)
			continue;
		text_addf(&t, " %s=", members[i]);
		text_quote(&t, value, 48);
	}
	h->total++;
	at = (size_t)(h->lines - 1) % HISTORY_LINES;
	if (h->lines == 0 || strcmp(h->line[at].text, text_str(&t)) != 0) {
		at = (size_t)h->lines++ % HISTORY_LINES;
		(void)snprintf(h->line[at].text, HISTORY_LINE_MAX, "%s",
			       text_str(&t));
		h->line[at].times = 0;
	}
	h->line[at].times++;
	h->line[at].at_ms = now_ms;
}

void history_print(const struct history *h, int64_t now_ms, struct text *out)
{
	const uint64_t first =
		h->lines > HISTORY_LINES ? h->lines - HISTORY_LINES : 0;

	text_addf(out, "events %" PRIu64 "\n", h->total);
	for (uint64_t i = first; i < h->lines; i++) {
		const size_t at = (size_t)(i % HISTORY_LINES);
		const int64_t age = now_ms - h->line[at].at_ms;

		text_addf(out, "event -%" PRId64 ".%03d s %s", age / 1000,
			  (int)(age % 1000), h->line[at].text);
		if (h->line[at].times > 1)
			text_addf(out, " (%" PRIu32 " times)",
				  h->line[at].times);
		text_addc(out, '\n');
	}
}
