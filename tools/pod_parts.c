/* What containers of tools/pod_run.h are made of: documents, streams, network */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/num.h"
#include "config/util.h"
#include "tools/home.h"
#include "tools/pod_run_own.h"

#define PAUSE_FOLDER "guest/pause"
#define FD_PATH "fd:"
/* The only namespace of the UVM; its number has no meaning. */
#define NAMESPACE "66657272-7900-4000-8000-000000000002"
/* Two paths of sockets, and a word. */
#define ENDPOINT_MAX 256
#define CARD_MAC "00-15-5D-FE-44-59"
/* What QEMU's own network gives to its first guest. */
#define USER_SETTINGS                                                          \
	"{\"IPConfigs\":[{\"IPAddress\":\"10.0.2.15\",\"PrefixLength\":24}],"  \
	"\"Routes\":[{\"NextHop\":\"10.0.2.2\","                               \
	"\"DestinationPrefix\":\"0.0.0.0/0\"}],"                               \
	"\"DNSServerList\":\"10.0.2.3\"}"

/* --- the sandbox container --------------------------------------------------------- */

/* It may configure lo, and nothing else. */
static const char pause_document[] =
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
	"\"args\":[\"/pause\"],\"cwd\":\"/\",\"noNewPrivileges\":true,"
	"\"capabilities\":{\"bounding\":[\"CAP_NET_ADMIN\"],"
	"\"effective\":[\"CAP_NET_ADMIN\"],"
	"\"permitted\":[\"CAP_NET_ADMIN\"]}},"
	"\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
	"\"hostname\":\"pod\","
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
	"\"source\":\"proc\"}],"
	"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},"
	"{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]}}";

int pod_pause_open(struct bundle **ret, struct err *e)
{
	char path[4096];
	int r = tool_lib_path(PAUSE_FOLDER, path, sizeof(path), e);

	return r < 0 ? r : bundle_new(path, pause_document, ret, e);
}

/* --- documents ------------------------------------------------------------------------ */

int pod_item_document(struct pod_item *i, struct text *out, struct err *e)
{
	const struct pod_run *p = i->run;
	const bool shared = p->c.plan->shared;
	char rootfs[256];
	struct bundle_edit x = {
		.rootfs = rootfs,
		.terminal = i->terminal,
		.height = p->c.height,
		.width = p->c.width,
	};

	(void)snprintf(rootfs, sizeof(rootfs), "/run/gcs/pods/%s/%s/rootfs",
		       p->pod->gcs_id, i->id);
	if (i->spec) {
		x.args = &i->spec->args;
		x.env = &i->spec->env;
		x.cwd = i->spec->cwd;
	}
	if (p->c.plan->network != POD_NETWORK_NONE)
		x.network_id = NAMESPACE;
	if (shared && !i->spec) {
		x.container_type = "sandbox";
		x.skip_network = p->c.plan->network == POD_NETWORK_NONE;
	} else if (shared) {
		x.container_type = "container";
		x.sandbox_id = p->item[0].id;
		x.join_pid = p->item[0].ctl->init->pid;
		x.network_id = NULL;
		x.hostname = "";
	}
	return bundle_document(i->bundle, &x, out, e);
}

/* --- network ---------------------------------------------------------------------------- */

const char *pod_namespace(const struct pod_run *p)
{
	return p->c.plan->network == POD_NETWORK_NONE ? "" : NAMESPACE;
}

/* The controller copies what it is given, and does not write to it. */
static int add_adapter(struct pod_run *p, const struct pod_adapter *a,
		       unsigned int number, struct err *e)
{
	char name[16];
	char endpoint[ENDPOINT_MAX];
	char mac[32];
	char *settings = strdup(a->settings ? a->settings : "{}");
	const struct network_endpoint x = { .endpoint_id = endpoint,
					    .mac = mac,
					    .name = name,
					    .settings = settings };
	int r;

	if (!settings)
		return err_set(e, ENOMEM, "network");
	(void)snprintf(name, sizeof(name), "eth%u", number);
	if (snprintf(endpoint, sizeof(endpoint), "%s", a->endpoint) >=
		    (int)sizeof(endpoint) ||
	    snprintf(mac, sizeof(mac), "%s", a->mac) >= (int)sizeof(mac))
		r = err_set(e, EINVAL, "adapter %u: too long", number);
	else
		r = network_ctl_add(&p->pod->network, &x, e);
	free(settings);
	return r;
}

int pod_network_add(struct pod_run *p, struct err *e)
{
	static const struct pod_adapter user = { "user", CARD_MAC,
						 USER_SETTINGS };
	const struct pod_plan *plan = p->c.plan;
	int r = 0;

	if (plan->network == POD_NETWORK_USER)
		return add_adapter(p, &user, 0, e);
	for (size_t i = 0; r == 0 && i < plan->n_adapters; i++)
		r = add_adapter(p, &plan->adapter[i], (unsigned int)i, e);
	return r;
}

/* --- streams ------------------------------------------------------------------------------ */

static int open_one(const char *path, int *ret, struct err *e)
{
	uint32_t fd = 0;

	*ret = -1;
	if (!*path)
		return 0;
	if (strncmp(path, FD_PATH, strlen(FD_PATH)) != 0 ||
	    num_u32(path + strlen(FD_PATH), 0, INT32_MAX, &fd, e) < 0)
		return err_set(e, EINVAL, "'%.40s' is no stream", path);
	*ret = fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
	return *ret < 0 ? err_sys(e, "stream %s", path) : 0;
}

static int streams_open(void *ctx UNUSED, const char *const path[GUEST_STREAMS],
			void **ret, int guest_fd[GUEST_STREAMS], struct err *e)
{
	int r = 0;

	*ret = NULL;
	for (int i = 0; r == 0 && i < GUEST_STREAMS; i++)
		r = open_one(path[i] ? path[i] : "", &guest_fd[i], e);
	return r;
}

const struct ops_streams pod_streams = { .open = streams_open };
