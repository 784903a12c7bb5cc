#include "bridge/host/failure.h"

#include <errno.h>

#include "bridge/hresult.h"
#include "bridge/wire.h"
#include "config/text.h"
#include "config/util.h"

static const char *const fail_names[] = {
	[HOST_FAIL_REFUSED] = "refused",     [HOST_FAIL_LOST] = "lost",
	[HOST_FAIL_TIMEOUT] = "timeout",     [HOST_FAIL_GARBLED] = "garbled",
	[HOST_FAIL_CANCELLED] = "cancelled", [HOST_FAIL_LOCAL] = "local",
};
static_assert(ARRAY_LEN(fail_names) == HOST_FAILS, "a kind has no name");

const char *host_fail_name(enum host_fail kind)
{
	return (unsigned int)kind < HOST_FAILS ? fail_names[kind] : "unknown";
}

static const char *const fail_words[] = {
	[HOST_FAIL_REFUSED] = "refused",
	[HOST_FAIL_LOST] = "the bridge was lost",
	[HOST_FAIL_TIMEOUT] = "no answer from the guest in time",
	[HOST_FAIL_GARBLED] = "the guest's answer is of no use",
	[HOST_FAIL_CANCELLED] = "the bridge was closed here",
	[HOST_FAIL_LOCAL] = "not possible here",
};
static_assert(ARRAY_LEN(fail_words) == HOST_FAILS, "a kind has no words");

static const char *words_of(enum host_fail kind)
{
	return (unsigned int)kind < HOST_FAILS ? fail_words[kind] : "failed";
}

static const char *request_name(uint32_t type)
{
	const char *name = wire_type_name(type);

	return name ? name : "request";
}

static int fail_errno(enum host_fail kind)
{
	switch (kind) {
	case HOST_FAIL_LOST:
		return ECONNRESET;
	case HOST_FAIL_TIMEOUT:
		return ETIMEDOUT;
	case HOST_FAIL_GARBLED:
		return EBADMSG;
	case HOST_FAIL_CANCELLED:
		return ECANCELED;
	case HOST_FAIL_LOCAL:
		return ENOMEM;
	case HOST_FAIL_REFUSED:
	case HOST_FAILS:
		break;
	}
	return EREMOTEIO;
}

struct host_failure host_failure_make(enum host_fail kind, uint32_t type,
				      bool sent, const struct err *why)
{
	struct host_failure f = { .kind = kind, .sent = sent };
	const bool unknown =
		sent && (kind == HOST_FAIL_LOST || kind == HOST_FAIL_TIMEOUT);

	(void)err_set(&f.err, fail_errno(kind), "%s: %s%s%s%s",
		      request_name(type), words_of(kind),
		      unknown ? ", the guest may have done it" : "",
		      why ? ": " : "", why ? why->text : "");
	return f;
}

struct host_failure host_failure_refused(uint32_t type,
					 const struct msg_result *r)
{
	const uint32_t code = hresult_from_wire(r->result);
	struct host_failure f = { .kind = HOST_FAIL_REFUSED,
				  .hresult = code,
				  .sent = true };
	char buf[4 * FAILURE_GUEST_TEXT_MAX + 8];
	struct text said;

	text_fixed(&said, buf, sizeof(buf));
	text_quote(&said, r->error_message, FAILURE_GUEST_TEXT_MAX);
	(void)err_set(&f.err, EREMOTEIO, "%s: guest error 0x%08x (%s)%s%s",
		      request_name(type), code, hresult_name(code),
		      said.len ? ": " : "", text_str(&said));
	return f;
}
